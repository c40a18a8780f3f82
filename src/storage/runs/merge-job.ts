// The merge: several runs become one. For a thread of the jobs pool.
//
//     each input: whole file against its checksum ──> cursors ──> merge-entries.ts ──> run
//
// An input is read as a whole before it is merged. A bit that has turned in a page of LMDB's tree can make records disappear
// without any checksum noticing; merged, they would be gone for good, with a fine new checksum over what is left. It also
// brings the file into memory in one sweep, which its pages in the order of the keys would not.
//
// Invariant: it returns only when the new run is durable and holds what the inputs held, by the rules; else it throws
// (CORRUPT names the damaged input) and leaves nothing. The inputs are not touched, and nor is the manifest.

import { isTroupeError } from '../../errors.ts';
import { diskFreeLowWater, mergeHoldMs } from '../../limits.ts';
import { freeBytes } from '../lmdb-env-store.ts';
import { diskFull } from '../refusals.ts';
import { JobControl } from './job-control.ts';
import { mergeEntries } from './merge-entries.ts';
import { Throttle } from './pace.ts';
import { runCorrupt } from './run-env-store.ts';
import type { RunEntry, RunInfo } from './run-format.ts';
import { RunStore } from './run-store.ts';
import { sumFile, writeRun } from './run-writer-store.ts';

/** Plain data: it crosses a thread. */
export interface MergeArgument {
  readonly dir: string;
  readonly runs: readonly RunInfo[];
  /** From the manifest, never used before. */
  readonly runId: number;
  /** See MergeRules. */
  readonly forgetBelow: number;
  /** Numbers of the shards there are. Undefined: all. */
  readonly live?: readonly number[] | undefined;
  /** A function (argument) => (entry: RunEntry) => boolean, exported by a module: true for a record that has expired. */
  readonly purge?: { readonly module: string; readonly name: string; readonly argument: unknown } | undefined;
  /** JobControl.memory. */
  readonly control?: SharedArrayBuffer | undefined;
  /** Free bytes that must be left. Default the low water: a merge can wait. */
  readonly reserve?: number | undefined;
}

export interface MergeResult {
  /** Undefined: nothing was left. */
  readonly run: RunInfo | undefined;
  readonly bytesRead: number;
  readonly entriesRead: number;
  /** Records that `purge` has left out. */
  readonly purged: number;
}

/** Pages that runs lose at their ends: what a run takes is a quarter more than what is in it. */
const pageLoss = 1.25;
/** Entries between two looks at the control word. */
const lookEvery = 256;

export async function mergeRuns(argument: MergeArgument): Promise<MergeResult> {
  const { dir, runs, runId, forgetBelow, live, control, reserve = diskFreeLowWater } = argument;
  const progress = new Progress(new JobControl(control));
  const purge = await purgeOf(argument);
  let purged = 0;
  const bytes = runs.reduce((sum, { bytes }) => sum + bytes, 0);
  // Before everything is read: on a full disk this is tried again and again.
  needRoom(dir, bytes, reserve);
  const stores = runs.map(info => new RunStore(dir, info));
  try {
    for (const { path, info } of stores) progress.verify(path, info);
    const merged = mergeEntries(
      stores.map(store => progress.entriesOf(store)),
      {
        forgetBelow,
        live: live && new Set(live),
        purge: purge && (entry => purge(entry) && ++purged > 0),
      },
    );
    const run = await writeRun(merged, {
      dir,
      id: runId,
      entriesMax: runs.reduce((sum, { records, deletes }) => sum + records + deletes, 0),
      bytes: bytes / pageLoss,
      reserve,
      each: () => progress.look(),
    });
    return { run, bytesRead: progress.bytes, entriesRead: progress.entries, purged };
  } finally {
    for (const store of stores) store.close();
  }
}

function needRoom(dir: string, bytes: number, reserve: number): void {
  if (reserve === 0) return;
  const free = freeBytes(dir);
  if (free - bytes < reserve) throw diskFull(free, reserve + bytes);
}

/** How far the job is; and where it rests, when it is told to go slowly. */
class Progress {
  bytes = 0;
  entries = 0;
  #verified = 0;
  readonly #control: JobControl;
  readonly #throttle = new Throttle(performance.now());

  constructor(control: JobControl) {
    this.#control = control;
  }

  verify(path: string, info: RunInfo): void {
    const { crc, bytes } = this.#sum(path);
    if (bytes !== info.bytes) throw runCorrupt(path, `it has ${bytes} bytes, and was written with ${info.bytes}`);
    if (crc !== info.crc) throw runCorrupt(path, 'the checksum of the file differs');
  }

  #sum(path: string): { crc: number; bytes: number } {
    const before = this.#verified;
    try {
      return sumFile(path, sum => {
        this.#verified = before + sum;
        this.look();
      });
    } catch (why) {
      throw isTroupeError(why) ? why : runCorrupt(path, (why as Error).message, why);
    }
  }

  /** Blocks this thread: it is one for jobs, and has nothing else to do. */
  look(): void {
    const [control, throttle] = [this.#control, this.#throttle];
    // Read once from the disk, and written once: what the cursors read is in memory by then.
    const moved = this.#verified + this.bytes;
    for (;;) {
      const { wakes } = control;
      control.reached(this.bytes);
      const rest = throttle.restMs(performance.now(), moved, control.pace, control.bytesPerSecond);
      if (rest === 0) return;
      Atomics.wait(control.words, JobControl.wakesIndex, wakes, Math.min(rest, mergeHoldMs));
    }
  }

  *entriesOf(store: RunStore): Generator<RunEntry> {
    const { info, path } = store;
    const all = info.records + info.deletes;
    const each = info.bytes / all;
    let count = 0;
    for (const entry of store.entries()) {
      count++;
      this.entries++;
      this.bytes += each;
      if (this.entries % lookEvery === 0) this.look();
      yield entry;
    }
    if (count !== all) throw runCorrupt(path, `it has ${count} entries of ${all}`);
  }
}

async function purgeOf({ purge }: MergeArgument): Promise<((entry: RunEntry) => boolean) | undefined> {
  if (purge === undefined) return undefined;
  const module = await import(purge.module);
  return module[purge.name](purge.argument);
}
