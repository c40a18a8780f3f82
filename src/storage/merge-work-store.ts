// Runs become one, and filters that cannot be believed are made again; one at a time. The upkeep (upkeep-store.ts) says when, and how
// fast: see runs/pace.ts.
//
//     next() ─▶ which runs (tiers.ts) ─▶ what may be purged? ─▶ merge job ─▶ run ─▶ manifest ─▶ generation turns ─▶ files removed
//                    │                                              └ CORRUPT: that run is set aside, the others go on
//                    └ first a look at filters nobody has looked at, and at all of them when a reader has found one damaged
//
// Files go when nobody reads them any more (runs/run-removal-store.ts).
//
// Invariant: a run that is found damaged is never read by a merge again in this life, and counts as lying outside all merges.

import { join } from 'node:path';
import { isTroupeError } from '../errors.ts';
import { busyGroupsPerLook, paceLookMs, runsMax } from '../limits.ts';
import { jobAt, runHere, type UpkeepSeams } from './flush-work-store.ts';
import { JobControl } from './runs/job-control.ts';
import type { MergeArgument, MergeResult } from './runs/merge-job.ts';
import { paceOf } from './runs/pace.ts';
import type { RunInfo } from './runs/run-format.ts';
import { RunRemoval } from './runs/run-removal-store.ts';
import { backlogOf, type MergePlan, mergeOfAll, nextMerge, type TierRules, tierOf } from './runs/tiers.ts';
import type { MendArgument, MendResult } from './runs/verify-job.ts';
import type { DamagedRun, PurgeOf, RunTier, UpkeepJob, UpkeepStatus } from './upkeep.ts';

const mergeJob = jobAt('merge-job');
const verifyJob = jobAt('verify-job');

export type MergeWorkItem =
  | { readonly what: 'filters'; readonly runs: readonly RunInfo[] }
  | { readonly what: 'merge'; readonly plan: MergePlan };

export class MergeWork {
  readonly counts = { merges: 0, bytesIn: 0, bytesOut: 0, purged: 0, filtersMended: 0 };
  purgeOf: PurgeOf | undefined;
  bytesPerSecond: number = Number.POSITIVE_INFINITY;
  /** A merge of all runs is wanted. */
  all = false;
  readonly #seams: UpkeepSeams;
  readonly #runDir: string;
  readonly #damaged = new Map<number, DamagedRun>();
  /** Runs whose filters are known to be good. */
  readonly #filters = new Set<number>();
  #doubts = 0;
  #control: JobControl | undefined;
  #item: MergeWorkItem | undefined;
  #looked = { lsn: 0, at: 0 };
  readonly removal: RunRemoval;

  /** `removed`: see RunRemovalSeams. */
  constructor(seams: UpkeepSeams, removed: (why?: Error) => void) {
    this.#seams = seams;
    this.#runDir = join(seams.dir, 'runs');
    this.removal = new RunRemoval({
      dir: this.#runDir,
      nobodyReads: generation => seams.disk.words.allHaveLooked(generation),
      removed,
    });
  }

  get damaged(): DamagedRun[] {
    return [...this.#damaged.values()];
  }

  /** A run that was just made: its filter is good. */
  trust(run: number): void {
    this.#filters.add(run);
  }

  /** What is to be done next, if anything. */
  next(): MergeWorkItem | undefined {
    const { manifest, disk } = this.#seams;
    manifest.refresh();
    const { doubts } = disk.words;
    if (doubts !== this.#doubts) this.#filters.clear();
    this.#doubts = doubts;
    const { sound, damaged } = this.#runs();
    const unseen = sound.filter(({ id }) => !this.#filters.has(id));
    if (unseen.length > 0) return { what: 'filters', runs: unseen };
    const rules = this.#rules();
    const plan = this.all ? mergeOfAll(sound, rules, damaged) : nextMerge(sound, rules, damaged);
    return plan && { what: 'merge', plan };
  }

  /** Returns what is damaged and was not known to be. What was called off is simply not done. */
  async work(item: MergeWorkItem): Promise<DamagedRun[]> {
    const control = new JobControl();
    control.setBytesPerSecond(this.#seams.runJob === undefined ? Number.POSITIVE_INFINITY : this.bytesPerSecond);
    this.#control = control;
    this.#item = item;
    try {
      if (item.what === 'filters') return await this.#mend(item.runs);
      await this.#merge(item.plan, control);
      return [];
    } catch (why) {
      if (control.stopped) return [];
      const damaged = item.what === 'merge' ? this.#setAside(why) : undefined;
      if (damaged === undefined) throw why;
      return [damaged];
    } finally {
      this.#control = undefined;
      this.#item = undefined;
    }
  }

  /** Watches the writers while a merge goes on. */
  look(flushing: boolean, now: number): void {
    const { disk, manifest, runJob } = this.#seams;
    const control = this.#control;
    // Where there is no pool, the job is on this thread: who shall tell it to go on?
    if (control === undefined || runJob === undefined) return;
    const { lsn } = disk.words;
    const { lsn: before, at } = this.#looked;
    if (now - at < paceLookMs / 2) return;
    this.#looked = { lsn, at: now };
    const busy = lsn - before >= busyGroupsPerLook && now - at < 10 * paceLookMs;
    const runs = manifest.state().runs.length;
    control.setPace(paceOf({ runs, flushing, busy }));
    // Reads would pay for what the disk is spared.
    control.setBytesPerSecond(runs > runsMax ? Number.POSITIVE_INFINITY : this.bytesPerSecond);
  }

  budget(bytesPerSecond: number): void {
    this.bytesPerSecond = bytesPerSecond;
    if (this.#seams.runJob !== undefined) this.#control?.setBytesPerSecond(bytesPerSecond);
  }

  stop(): void {
    this.#control?.stop();
  }

  get job(): UpkeepJob | undefined {
    const item = this.#item;
    if (item === undefined) return undefined;
    const control = this.#control;
    const bytesRead = control?.bytesRead ?? 0;
    const pace = control?.pace ?? 'full';
    if (item.what === 'merge') return { what: 'merge', why: item.plan.why, bytes: item.plan.bytes, bytesRead, pace };
    return { what: 'filters', why: null, bytes: bytesOf(item.runs), bytesRead, pace };
  }

  status(): Pick<UpkeepStatus, 'runs' | 'bytes' | 'tiers' | 'backlog' | 'unneeded'> {
    const { runs } = this.#seams.manifest.state();
    const { sound, damaged } = this.#runs();
    const backlog = backlogOf(sound, this.#rules(), damaged);
    return { runs: runs.length, bytes: bytesOf(runs), tiers: tiersOf(runs), backlog, unneeded: this.removal.bytes };
  }

  #runs(): { sound: RunInfo[]; damaged: RunInfo[] } {
    const { runs } = this.#seams.manifest.state();
    const isDamaged = ({ id }: RunInfo): boolean => this.#damaged.has(id);
    return { sound: runs.filter(run => !isDamaged(run)), damaged: runs.filter(isDamaged) };
  }

  #rules(): TierRules {
    const { manifest, disk } = this.#seams;
    const bases = disk.slots.filter(({ isLive }) => isLive).map(({ base }) => base);
    const unflushedLsn = Math.min(...bases, Number.POSITIVE_INFINITY);
    return { unflushedLsn, live: new Set(manifest.state().names.keys()) };
  }

  async #merge({ runs: ids, forgetBelow, bytes }: MergePlan, control: JobControl): Promise<void> {
    const { manifest, runJob = runHere, disk, lowWater } = this.#seams;
    this.all = false;
    const { runs, names } = manifest.state();
    const some = runs.filter(({ id }) => ids.includes(id));
    const argument: MergeArgument = {
      dir: this.#runDir,
      runs: some,
      runId: await manifest.nextRunId(),
      forgetBelow,
      live: [...names.keys()],
      purge: await this.#purge(some, forgetBelow, names),
      reserve: lowWater,
      control: control.memory,
    };
    const { run, purged } = (await runJob(mergeJob, 'mergeRuns', argument, 'merge')) as MergeResult;
    await manifest.edit({ add: run ? [run] : [], remove: ids });
    if (run) this.trust(run.id);
    this.counts.merges++;
    this.counts.bytesIn += bytes;
    this.counts.bytesOut += run?.bytes ?? 0;
    this.counts.purged += purged;
    disk.words.turnGeneration();
    for (const { id } of some) this.#filters.delete(id);
    this.removal.add(some, disk.words.generation);
  }

  /** Nobody is asked when nothing could go. Whoever does not answer wants everything kept. */
  async #purge(some: readonly RunInfo[], forgetBelow: number, names: ReadonlyMap<number, string>) {
    if (this.purgeOf === undefined || some.every(({ minLsn }) => minLsn >= forgetBelow)) return undefined;
    const numbers = new Set(some.flatMap(({ shards }) => shards.map(({ number }) => number)));
    const shards = [...names].filter(([number]) => numbers.has(number));
    return this.purgeOf(shards).catch(() => undefined);
  }

  async #mend(runs: readonly RunInfo[]): Promise<DamagedRun[]> {
    const { runJob = runHere, disk } = this.#seams;
    const argument: MendArgument = { dir: this.#runDir, runs };
    const { mended, damaged } = (await runJob(verifyJob, 'mendFilters', argument, 'merge')) as MendResult;
    for (const { id, file } of runs) {
      const found = damaged.find(each => each.file === file);
      if (found === undefined) this.#filters.add(id);
      else this.#damaged.set(id, found);
    }
    this.counts.filtersMended += mended.length;
    // Readers look at the filter again.
    if (mended.length > 0) disk.words.turnGeneration();
    return [...damaged];
  }

  /** The run that is to blame; undefined when it is something else. */
  #setAside(why: unknown): DamagedRun | undefined {
    if (!isTroupeError(why) || why.code !== 'CORRUPT') return undefined;
    const file = why.details?.file;
    const run = this.#seams.manifest.state().runs.find(each => each.file === file);
    if (run === undefined) return undefined;
    const damaged = { file: run.file, reason: why.message };
    this.#damaged.set(run.id, damaged);
    return damaged;
  }
}

function tiersOf(runs: readonly RunInfo[]): RunTier[] {
  const tiers = [...Map.groupBy(runs, ({ bytes }) => tierOf(bytes, {}))].sort(([a], [b]) => a - b);
  return tiers.map(([tier, some]) => ({ tier, runs: some.length, bytes: bytesOf(some) }));
}

function bytesOf(runs: readonly RunInfo[]): number {
  return runs.reduce((sum, { bytes }) => sum + bytes, 0);
}
