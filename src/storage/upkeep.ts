// What goes on behind the writers of an engine, as those above it see it: what it is at, and what it may be told. Only an engine that
// has something to keep up offers it, and only on the thread that does it.
//
// Types alone. Who does it is in upkeep-store.ts.

import type { TroupeCode } from '../errors.ts';

export type UpkeepState = 'none' | 'idle' | 'working' | 'retrying' | 'paused' | 'stopped';

export interface UpkeepJob {
  readonly what: 'flush' | 'merge' | 'filters';
  /** Of a merge: which rule of tiers.ts asks for it. */
  readonly why: string | null;
  /** What it will read, and has read. Of a flush only the former is known. */
  readonly bytes: number;
  readonly bytesRead: number;
  /** Of a merge: 'full', 'share' (half a core), 'hold' (a flush goes first). */
  readonly pace: string;
}

/** A run that cannot be read as it was written. It is read as far as that goes, and never merged. */
export interface DamagedRun {
  readonly file: string;
  readonly reason: string;
}

export interface Trouble {
  /** 'flush', 'flush/7' (one segment alone), 'merge', 'run/run-7.mdb' (a run that is damaged), 'manifest', 'removal' (files that should go), 'log/t1' (the disk does not answer). */
  readonly what: string;
  readonly code: TroupeCode;
  readonly message: string;
  /** So often it has been tried in vain. */
  readonly times: number;
}

export interface RunTier {
  /** From 0. */
  readonly tier: number;
  readonly runs: number;
  readonly bytes: number;
}

export interface UpkeepStatus {
  readonly state: UpkeepState;
  /** Segments that are full and in no run yet. */
  readonly waiting: number;
  /** Segments in memory, those that are being written included, and the bytes of what is in them. */
  readonly segments: number;
  readonly memoryBytes: number;
  readonly runs: number;
  /** Bytes of all runs. */
  readonly bytes: number;
  /** Bytes of files that were merged away and have not been removed yet: they go slowly, and when nobody reads them any more. */
  readonly unneeded: number;
  /** The same by size: each tier is four times as large as the one before. Those without runs are left out. */
  readonly tiers: readonly RunTier[];
  /** Bytes that the merges which are due will read. */
  readonly backlog: number;
  readonly jobs: readonly UpkeepJob[];
  /** What merges may read and write in a second; null: as much as they can. */
  readonly bytesPerSecond: number | null;
  readonly flushes: number;
  readonly merges: number;
  /** Read by merges. */
  readonly bytesIn: number;
  /** Written, by flushes and merges together, and by flushes alone. */
  readonly bytesOut: number;
  readonly bytesFlushed: number;
  /** Records that had expired or were deleted long ago, left out by merges. */
  readonly purged: number;
  readonly filtersMended: number;
  readonly failures: number;
  /** What has failed last and has not worked since. */
  readonly trouble: Trouble | null;
  readonly damaged: readonly DamagedRun[];
}

/** What a merge may leave out: a function (argument) => (entry) => boolean, exported by a module. See runs/merge-job.ts. */
export interface Purge {
  readonly module: string;
  readonly name: string;
  readonly argument: unknown;
}

/** Asked when the runs of a merge are chosen and before it begins, with numbers and names of the shards in them. */
export type PurgeOf = (shards: readonly (readonly [number, string])[]) => Promise<Purge | undefined>;

/** Something went wrong that was well before, or is another kind of wrong now. */
export type OnTrouble = (trouble: Trouble) => void;

export interface EngineUpkeep {
  status(): UpkeepStatus;
  /** Nothing is begun any more. A merge under way is called off, a flush ends. Writers go on until the segments are full. */
  pause(): void;
  resume(): void;
  /**
   * Flushes everything, and does all merges that are due; `all`: makes one run of all. Rejects with what went wrong, STOPPED when it
   * has ended, BAD_OPTION while it is paused.
   */
  run(options?: { readonly all?: boolean | undefined }): Promise<void>;
  /** Infinity: as many as it can. */
  setBytesPerSecond(bytes: number): void;
  purgeBy(purgeOf: PurgeOf): void;
  onTrouble(tell: OnTrouble): void;
  /** From now on only flushes: for the time in which a node comes to rest. */
  finish(): void;
  /** Calls off what is under way, and leaves nothing of it behind. */
  stop(): Promise<void>;
}
