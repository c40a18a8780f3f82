// What goes on behind the writers, one a node: sealed segments become runs, many runs become one, files that nobody needs go.
//
//     sealed segment ─flush job─▶ run ─▶ manifest ─▶ generation turns ─▶ the slot is given up
//     runs           ─merge job─▶ run ─▶ manifest ─▶ generation turns ─▶ files removed (who still reads them has them open)
//
// The jobs are pure work on files, made elsewhere (the jobs pool, or right here where there is none); what they have made counts only
// when the manifest names it. Oldest segment first, so what a run holds is never newer than what is still in memory.
//
// Invariant: a segment is given up after the manifest that names its run is on the disk, never before.

import { readdirSync, rmSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describeThrown } from '../errors.ts';
import { upkeepRestMs, upkeepRetryMs } from '../limits.ts';
import type { Crc32 } from './crc32.ts';
import type { RunJob } from './engine.ts';
import { fileOf, parseFile } from './log/log-names.ts';
import { shardSeed } from './record.ts';
import type { FlushArgument, FlushResult } from './runs/flush-job.ts';
import { JobControl } from './runs/job-control.ts';
import type { ManifestStore } from './runs/manifest-store.ts';
import type { MergeArgument, MergeResult } from './runs/merge-job.ts';
import { removeRunFiles } from './runs/run-writer-store.ts';
import { type MergePlan, nextMerge } from './runs/tiers.ts';
import { type SegmentSlot, slotState } from './segment-slot.ts';
import type { SharedDisk } from './shared-disk.ts';
import { SharedWords } from './shared-words.ts';
import { waitForNews } from './shared-words-store.ts';
import { logNameOf } from './troupe-log-store.ts';
import { importOf } from './troupe-runs-store.ts';

export interface UpkeepOptions {
  readonly dir: string;
  readonly manifest: ManifestStore;
  readonly disk: SharedDisk;
  readonly crc: Crc32;
  readonly runJob: RunJob;
  /** Something went wrong, and is tried again. */
  onTrouble?(what: string, why: Error): void;
}

/** Beside us, compiled or not. */
const jobAt = (name: string): URL => new URL(`./runs/${name}${import.meta.url.slice(-3)}`, import.meta.url);
const flushJob = jobAt('flush-job');
const mergeJob = jobAt('merge-job');

export class Upkeep {
  /** Where it works, and on what: for who makes a copy. */
  readonly options: UpkeepOptions;
  readonly #logDir: string;
  readonly #runDir: string;
  /** Segments whose thread is dead: nobody else removes their files. */
  readonly #orphans = new Set<number>();
  #running: Promise<void> | undefined;
  readonly #control = new JobControl();
  #stopped = false;
  #paused = false;
  #idle = true;
  #trouble: string | undefined;
  /** Who copies runs just now, and the files that nobody else needs any more. */
  #holds = 0;
  #unneeded: string[] = [];
  readonly #counts = { flushes: 0, merges: 0, bytesIn: 0, bytesOut: 0, failures: 0 };

  constructor(options: UpkeepOptions) {
    this.options = options;
    this.#logDir = join(options.dir, 'log');
    this.#runDir = join(options.dir, 'runs');
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** A merge under way is called off, a flush is waited for. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#control.stop();
    this.options.disk.words.tellSealed();
    await this.#running;
  }

  /** Flushes and merges wait, but for those under way. Writers go on until the slots are full. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.options.disk.words.tellSealed();
  }

  /** Files of runs stay where they are, also when they are merged away, until the hold is given back. */
  hold(): () => void {
    this.#holds++;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#holds--;
      this.#remove([]);
    };
  }

  /** Resolves when there is nothing to do. */
  async settle(): Promise<void> {
    const { words } = this.options.disk;
    while (
      !this.#stopped &&
      !this.#paused &&
      (this.#sealed() !== undefined || this.#mergeNow() !== undefined || !this.#idle)
    ) {
      words.tellSealed();
      await waitForNews(words, SharedWords.generationIndex, words.generation, upkeepRestMs);
    }
  }

  /** The thread of this log is dead: what it has left is flushed, and its files removed. */
  adopt(thread: number): void {
    for (const slot of this.options.disk.slots) {
      if (!slot.isLive || slot.log !== thread) continue;
      if (slot.entries === 0) {
        slot.flushed();
        continue;
      }
      this.#orphans.add(slot.id);
      slot.seal();
    }
    for (const file of readdirSync(this.#logDir)) {
      const name = parseFile(file);
      if (name?.kind === 'spare' && name.log === logNameOf(thread)) unlinkSync(join(this.#logDir, file));
    }
    this.options.disk.words.tellSealed();
  }

  /** A segment of an earlier life: its file is ours to remove. */
  inherit(segment: number): void {
    this.#orphans.add(segment);
  }

  describe(): Record<string, unknown> {
    const { disk, manifest } = this.options;
    const waiting = disk.slots.filter(({ state }) => state === slotState.sealed).length;
    const state = this.#stopped ? 'stopped' : this.#paused ? 'paused' : this.#idle ? 'idle' : 'working';
    return { state, waiting, runs: manifest.state().runs.length, trouble: this.#trouble ?? null, ...this.#counts };
  }

  async #run(): Promise<void> {
    const { words } = this.options.disk;
    while (!this.#stopped) {
      const { sealed } = words;
      let restMs = upkeepRestMs;
      this.#idle = false;
      try {
        if (!this.#paused && (await this.#step())) continue;
        this.#trouble = undefined;
      } catch (why) {
        if (this.#stopped) break;
        this.#counts.failures++;
        this.#trouble = describeThrown(why).message;
        this.options.onTrouble?.('a flush or merge failed and will be tried again', why as Error);
        restMs = upkeepRetryMs;
      }
      this.#idle = true;
      words.tellIdle();
      await waitForNews(words, SharedWords.sealedIndex, sealed, restMs);
    }
  }

  async #step(): Promise<boolean> {
    this.options.disk.sweep();
    const slot = this.#sealed();
    if (slot !== undefined) {
      await this.#flush(slot);
      return true;
    }
    const runs = this.#mergeNow();
    if (runs === undefined) return false;
    await this.#merge(runs);
    return true;
  }

  #sealed(): SegmentSlot | undefined {
    const sealed = this.options.disk.slots.filter(({ state }) => state === slotState.sealed);
    return sealed.sort((a, b) => a.id - b.id)[0];
  }

  async #flush(slot: SegmentSlot): Promise<void> {
    const { id } = slot;
    await this.flushFile(logNameOf(slot.log), id);
    slot.flushed();
    this.options.disk.words.turnGeneration();
  }

  /** Makes a run of a segment, and has the manifest name it. */
  async flushFile(log: string, segment: number): Promise<void> {
    const { manifest, runJob, disk } = this.options;
    const segmentPath = join(this.#logDir, fileOf(log, segment, 'log'));
    const argument: FlushArgument = {
      segmentPath,
      segment,
      dir: this.#runDir,
      runId: await manifest.nextRunId(),
      seeds: seedsOf(manifest, this.options.crc),
      cut: this.#orphans.has(segment),
    };
    const { run, fences } = (await runJob(flushJob, 'flushSegment', argument)) as FlushResult;
    await manifest.edit({ add: run ? [run] : [], flushed: [segment], fences });
    this.#counts.flushes++;
    this.#counts.bytesOut += run?.bytes ?? 0;
    disk.words.turnGeneration();
    if (this.#orphans.delete(segment)) rmSync(segmentPath, { force: true });
  }

  #mergeNow(): MergePlan | undefined {
    const { manifest, disk } = this.options;
    manifest.refresh();
    const { runs, names } = manifest.state();
    const bases = disk.slots.filter(({ isLive }) => isLive).map(({ base }) => base);
    return nextMerge(runs, { unflushedLsn: Math.min(...bases, Number.POSITIVE_INFINITY), live: new Set(names.keys()) });
  }

  async #merge({ runs: ids, forgetBelow, bytes }: MergePlan): Promise<void> {
    const { manifest, runJob, disk } = this.options;
    const { runs, names } = manifest.state();
    const some = runs.filter(({ id }) => ids.includes(id));
    const argument: MergeArgument = {
      dir: this.#runDir,
      runs: some,
      runId: await manifest.nextRunId(),
      forgetBelow,
      live: [...names.keys()],
      control: this.#control.memory,
    };
    const { run } = (await runJob(mergeJob, 'mergeRuns', argument)) as MergeResult;
    await manifest.edit({ add: run ? [run] : [], remove: ids });
    this.#counts.merges++;
    this.#counts.bytesIn += bytes;
    this.#counts.bytesOut += run?.bytes ?? 0;
    disk.words.turnGeneration();
    this.#remove(some.map(({ file }) => file));
  }

  /** The manifest names them no more. What is left behind by the end of the process goes at the next start. */
  #remove(files: readonly string[]): void {
    this.#unneeded.push(...files);
    if (this.#holds > 0) return;
    for (const file of this.#unneeded.splice(0)) removeRunFiles(this.#runDir, file);
  }
}

/** What the records of each shard are checked with; of one that is being imported, those of what it will be. */
function seedsOf(manifest: ManifestStore, crc: Crc32): (readonly [number, number])[] {
  return [...manifest.state().names].map(([number, name]) => [number, shardSeed(crc, importOf(name) ?? name)]);
}
