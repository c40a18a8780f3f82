// The storage contract: what the runtime and the stores may ask of a disk. Engines behind it (troupe, lmdb, memory) pass one
// conformance suite, test/storage/conformance.ts.
//
// The picture: an engine holds shards; a shard is an ordered map from key bytes to a record. A shard is the unit that is
// exported, imported and dropped, so it is also the unit that moves. Writes come in groups: one group is applied whole or
// not at all, and carries the epoch of the writer. Groups handed in during the same tick share one transaction (group commit).
//
// Invariants every engine keeps:
//  1. A group resolves only after it is durable to the level asked.
//  2. Groups of one shard become visible and durable in the order they were handed in.
//  3. A read sees every group handed in before it on this engine object, durable or not (read your pending writes). Who
//     must not speak of a pending write waits for `pending(key)` first.
//  4. A group with an epoch lower than one already seen for its fence is refused with FENCED, inside the transaction.
//  5. A record whose checksum (over shard, key, epoch, version, value) does not match is never returned: CORRUPT instead.
//  6. If a group is refused (DISK_FULL, FENCED), every later pending group of the same shard that was handed in before
//     the refusal became known is refused with the same code: it may rest on what was refused.

import type { TroupeError } from '../errors.ts';
import type { Cut } from './backup/cut.ts';
import type { SharedDiskMemory } from './shared-disk.ts';
import type { EngineUpkeep } from './upkeep.ts';

/** Jobs of one kind do not wait for those of another: a flush is awaited by writers, a merge may take minutes. */
export type JobLane = 'flush' | 'merge';

/** Runs an exported function of a module with one argument, wherever there is time for it. */
export type RunJob = (module: URL, name: string, argument: unknown, lane: JobLane) => Promise<unknown>;

/** Survives the death of the process; survives the loss of power. */
export type Ack = 'committed' | 'flushed';

export interface StoredRecord {
  readonly key: Uint8Array;
  /** The epoch of the group that wrote it. */
  readonly epoch: number;
  /** Opaque to the engine; the stores put their clock here. May be empty. */
  readonly version: Uint8Array;
  readonly value: Uint8Array;
}

export type WriteOp =
  | {
      readonly type: 'put';
      readonly key: Uint8Array;
      readonly version: Uint8Array;
      readonly value: Uint8Array;
      /** The value goes on with these bytes: who has it in two parts need not copy them into one. */
      readonly rest?: Uint8Array | undefined;
    }
  | { readonly type: 'delete'; readonly key: Uint8Array };

export interface WriteGroup {
  readonly epoch: number;
  /**
   * Where the epoch is compared. 'shard': with the highest epoch any group of this shard carried (a vnode owns its
   * shard alone). 'record': with the epoch of each record the group touches (many actors share a shard). A deleted record is
   * forgotten with its epoch, and an absent one lets everybody pass: who needs a fence that outlives a deletion, or stands
   * before the first write, keeps a record for it and touches that one in each group.
   */
  readonly fence: 'shard' | 'record';
  readonly ops: readonly WriteOp[];
}

export interface ScanRange {
  /** Inclusive; default the first key. */
  readonly from?: Uint8Array;
  /** Exclusive; default past the last key. */
  readonly to?: Uint8Array;
  readonly limit?: number;
  /** Told of each record that is damaged, instead of CORRUPT being thrown: the walk goes on behind it. */
  readonly onCorrupt?: (why: TroupeError) => void;
}

export interface Shard {
  readonly name: string;
  /** The newest record handed in, pending ones included. Throws TroupeError CORRUPT. */
  get(key: Uint8Array): StoredRecord | undefined;
  /** True while the newest record of the key waits for its commit. */
  pending(key: Uint8Array): boolean;
  /**
   * In byte order of the keys, pending writes included, as of the moment of the call. A corrupt record throws CORRUPT when
   * it is reached, unless onCorrupt is there to hear of it. To be walked once. Until it has ended (or is broken off) it holds a snapshot, so do not linger.
   */
  scan(range?: ScanRange): Iterable<StoredRecord>;
  /**
   * Rejects with TroupeError FENCED, DISK_FULL, TOO_LARGE, OVERLOADED (too many pending) or STOPPED. Where other nodes have to have it, that may be long
   * after it was refused here, which `refused` is told at once; otherwise it is not called.
   */
  commit(group: WriteGroup, ack: Ack, refused?: () => void): Promise<void>;
  /** Number of live keys, pending writes included. */
  count(): number;
  /**
   * Where other nodes have to have what is committed here: resolves when enough of them have all that is here now, which an earlier life may have left.
   * Rejects as FENCED, outcome unknown, when it is another node's by then. Undefined, or not there: nobody has to.
   */
  kept?(): Promise<void> | undefined;
}

/** A chunk of an exported shard: whole records, at most about 64 KiB, with a checksum of its own. */
export interface ShardChunk {
  readonly bytes: Uint8Array;
  readonly last: boolean;
}

export interface EngineStats {
  readonly kind: string;
  readonly pendingWrites: number;
  readonly pendingBytes: number;
  readonly transactions: number;
  readonly groups: number;
  readonly records: number;
  readonly bytesPut: number;
  readonly corrupt: number;
  readonly fenced: number;
  readonly diskFull: number;
}

export type EngineKind = 'troupe' | 'lmdb' | 'memory';

export interface Engine {
  readonly kind: EngineKind;
  /** True when all threads of the process see the same records (a file), false when each has its own (memory). */
  readonly shared: boolean;
  /** The handle of a shard, made on first use. Names are [a-z0-9/._-]{1,64}. The same name gives the same object. */
  shard(name: string): Shard;
  shards(): readonly string[];
  /** Removes every record of a shard, its fence included; durable to 'committed' when it resolves. */
  drop(name: string): Promise<void>;
  /** A consistent copy of a shard (pending writes awaited first), fence included. */
  export(name: string): AsyncIterable<ShardChunk>;
  /** Replaces a shard by an exported one; all or nothing. Throws CORRUPT on a damaged chunk. */
  import(name: string, chunks: AsyncIterable<ShardChunk> | Iterable<ShardChunk>): Promise<void>;
  /** Resolves when everything handed in before the call is durable to the level. */
  sync(ack: Ack): Promise<void>;
  /**
   * Calls `changed` with the shard and key of every write handed in on this engine object from now on, until the returned function is
   * called. It is told once the write is in the line: a read sees it, it is not durable, and it may yet be refused. So whoever copies a
   * shard asks to be told first, then awaits sync(), scans, and in the end (after another sync()) reads again each key he was told.
   *
   * The key is the watcher's own. What `changed` throws is dropped, for the write is under way: it keeps account itself of what it
   * could not note. Not told: drop() and import(); the fence that a group raises; what other threads write; and what never gets into
   * the line (OVERLOADED, TOO_LARGE, STOPPED at once: no reader ever sees it).
   */
  watch(changed: (shard: string, key: Uint8Array) => void): () => void;
  /** Reads from here on see whatever other threads have committed by now: a snapshot may be as old as this turn of the event loop. */
  refresh(shard?: string): void;
  /** Resolves when everything an earlier life has left can be read. Absent: it can. */
  ready?(): Promise<void>;
  /** A thread of this process that had the same place open has died. Called by thread 0, before anybody takes its shards over. */
  adopt?(thread: number): void;
  /** What goes on behind the writers. Absent: nothing does, or not on this thread. */
  readonly upkeep?: EngineUpkeep | undefined;
  /** One moment of everything there is, for a backup. Only on thread 0. Absent: nothing is on a disk. */
  cut?(): Cut;
  /** What threads that open the same place must be given as EngineOptions.memory. */
  readonly memory?: SharedDiskMemory;
  describe?(): Record<string, unknown>;
  stats(): EngineStats;
  /** Waits for pending groups, then closes. Later calls reject with STOPPED. */
  close(): Promise<void>;
}

/** What a world offers: engines to open, and where. */
export interface StorageSeam {
  /** Opens the engine of this thread. `dir` undefined means memory. */
  open(options: EngineOptions): Engine;
}

export interface EngineOptions {
  readonly kind: EngineKind;
  /** Where engines keep what they keep. Needed for all but memory. */
  readonly dir?: string;
  /** Which thread of the process this is. Default 0. */
  readonly thread?: number;
  /** Threads of the process that write. Default 1. */
  readonly writers?: number;
  /** Of the engine of thread 0. Without it this is the first thread to open the place. */
  readonly memory?: SharedDiskMemory | undefined;
  /** Where CPU work goes. Default: this thread. Functions do not travel: only thread 0 has it. */
  readonly runJob?: RunJob | undefined;
  /** Free bytes below which puts are refused with DISK_FULL. Default limits.diskFreeLowWater. */
  readonly freeLowWater?: number;
  /** Called when a commit failed in a way that makes going on unsafe. Default: SIGKILL this process (research/pitfalls.md F4, F8). */
  readonly onFatal?: (why: Error) => void;
}

/** For engines that poll (free space) and for tests that move time. */
export interface EngineClock {
  mono(): number;
  timer(delayMs: number, fn: () => void): () => void;
}
