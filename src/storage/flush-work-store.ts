// Sealed segments become runs, one at a time, the oldest first. The upkeep (upkeep-store.ts) says when.
//
//     sealed slot ─ next() ─▶ flush job ─▶ run ─▶ manifest ─▶ generation turns ─▶ the slot is given up
//
// It is read from shared memory, where all of it is; from its file when it comes from an earlier life, or when its thread has died: only
// the file knows how far that had come. What is found damaged in one place is read from the other the next time.
//
// Invariant: a segment is given up after the manifest that names its run is on the disk, never before.

import { readdirSync, rmSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { isTroupeError } from '../errors.ts';
import type { Crc32 } from './crc32.ts';
import type { JobLane, RunJob } from './engine.ts';
import { fileOf, parseFile } from './log/log-names.ts';
import { shardSeed } from './record.ts';
import type { FlushArgument, FlushResult } from './runs/flush-job.ts';
import { JobControl } from './runs/job-control.ts';
import type { ManifestStore } from './runs/manifest-store.ts';
import { type SegmentSlot, slotState } from './segment-slot.ts';
import type { SharedDisk } from './shared-disk.ts';
import { logIdOf, logNameOf } from './troupe-log-store.ts';
import { importOf } from './troupe-runs-store.ts';
import type { UpkeepJob } from './upkeep.ts';

export interface UpkeepSeams {
  readonly dir: string;
  readonly manifest: ManifestStore;
  readonly disk: SharedDisk;
  readonly crc: Crc32;
  /** Undefined: jobs run right here, and must not rest. */
  readonly runJob: RunJob | undefined;
  /** Free bytes that merges leave, and flushes half of it: they give room back. 0: neither looks. */
  readonly lowWater: number;
}

/** Beside us, compiled or not. */
export const jobAt = (name: string): URL => new URL(`./runs/${name}${import.meta.url.slice(-3)}`, import.meta.url);
const flushJob = jobAt('flush-job');

/** A job without a pool: on this thread. */
export async function runHere(module: URL, name: string, argument: unknown): Promise<unknown> {
  const { [name]: job } = (await import(module.href)) as Record<string, (argument: unknown) => unknown>;
  return (job as (argument: unknown) => unknown)(argument);
}

export class FlushWork {
  readonly counts = { flushes: 0, bytesOut: 0 };
  job: UpkeepJob | undefined;
  /** Hears of every run that was made. */
  readonly #made: (run: number) => void;
  readonly #seams: UpkeepSeams;
  readonly #logDir: string;
  readonly #control = new JobControl();
  /** Segments whose thread is dead: nobody else removes their files. */
  readonly #orphans = new Set<number>();
  /** Segments that were found damaged where they are read first. */
  readonly #damaged = new Set<number>();

  constructor(seams: UpkeepSeams, made: (run: number) => void) {
    this.#seams = seams;
    this.#made = made;
    this.#logDir = join(seams.dir, 'log');
  }

  /** Sealed segments, the oldest first. */
  sealed(): SegmentSlot[] {
    const sealed = this.#seams.disk.slots.filter(({ state }) => state === slotState.sealed);
    return sealed.sort((a, b) => a.id - b.id);
  }

  async flush(slot: SegmentSlot): Promise<void> {
    this.job = { what: 'flush', why: null, bytes: slot.end, bytesRead: 0, pace: 'full' };
    try {
      const fromFile = this.#orphans.has(slot.id) !== this.#damaged.has(slot.id);
      await this.flushFile(logNameOf(slot.log), slot.id, fromFile ? undefined : slot.image);
      this.#damaged.delete(slot.id);
    } catch (why) {
      if (isTroupeError(why) && why.code === 'CORRUPT' && !this.#damaged.delete(slot.id)) this.#damaged.add(slot.id);
      throw why;
    } finally {
      this.job = undefined;
    }
    slot.flushed();
    this.#seams.disk.words.turnGeneration();
  }

  /** Makes a run of a segment, and has the manifest name it. `image`: what is to be read instead of its file. */
  async flushFile(log: string, segment: number, image?: Uint8Array, lane: JobLane = 'flush'): Promise<void> {
    const { manifest, runJob = runHere, disk, dir, crc, lowWater } = this.#seams;
    const segmentPath = join(this.#logDir, fileOf(log, segment, 'log'));
    const argument: FlushArgument = {
      segmentPath,
      segment,
      image,
      dir: join(dir, 'runs'),
      runId: await manifest.nextRunId(),
      seeds: seedsOf(manifest, crc),
      cut: this.#orphans.has(segment),
      reserve: lowWater / 2,
      control: this.#control.memory,
    };
    const { run, fences } = (await runJob(flushJob, 'flushSegment', argument, lane)) as FlushResult;
    await manifest.edit({ add: run ? [run] : [], flushed: [segment], fences });
    if (run) this.#made(run.id);
    this.counts.flushes++;
    this.counts.bytesOut += run?.bytes ?? 0;
    disk.words.turnGeneration();
    if (this.#orphans.delete(segment)) rmSync(segmentPath, { force: true });
  }

  /** The thread of this log is dead: what it has left is flushed, and its files removed. */
  adopt(thread: number): void {
    for (const slot of this.#seams.disk.slots) {
      if (!slot.isLive || slot.log.thread !== thread) continue;
      if (slot.entries === 0) {
        slot.flushed();
        continue;
      }
      this.#orphans.add(slot.id);
      slot.seal();
    }
    for (const file of readdirSync(this.#logDir)) {
      const name = parseFile(file);
      if (name?.kind === 'spare' && logIdOf(name.log).thread === thread) unlinkSync(join(this.#logDir, file));
    }
  }

  /** A segment of an earlier life: its file is ours to remove. */
  inherit(segment: number): void {
    this.#orphans.add(segment);
  }

  /** Calls off the one under way; its segment is read again in the next life. */
  stop(): void {
    this.#control.stop();
  }
}

/** What the records of each shard are checked with; of one that is being imported, those of what it will be. */
function seedsOf(manifest: ManifestStore, crc: Crc32): (readonly [number, number])[] {
  return [...manifest.state().names].map(([number, name]) => [number, shardSeed(crc, importOf(name) ?? name)]);
}
