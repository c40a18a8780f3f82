// Which runs to merge next. Size-tiered: runs of about one size are a tier, and when a tier has four, they become one of the
// next. So a record is rewritten once a tier, log4(n) times in all, and there are at most three runs a tier when all is done.
//
//     tier 0   [64] [64] [64] [64]  ──>  tier 1   [256]      tier 2   [1024]      (MiB)
//
// Order does not matter: every entry carries its lsn, so any runs may be merged with any others. Small ones go first: they
// cost little, and take away as many runs.
//
// Deletions, and records of dropped shards, are only got rid of in a merge that leaves nothing older outside. When
// they are a quarter of everything, all runs become one.
//
// Invariant: as long as there are more than runsMax runs, there is a plan.

import { runFanIn, runGarbageShare, runsMax, runTierBytesMin } from '../../limits.ts';
import type { RunInfo } from './run-format.ts';

export type RunSize = Pick<RunInfo, 'id' | 'bytes' | 'records' | 'deletes' | 'minLsn' | 'maxLsn' | 'shards'>;

export interface TierRules {
  /** The lowest lsn that is not in a run: in a memtable, or a segment that is not flushed. Infinity when there is none. */
  readonly unflushedLsn: number;
  /** Numbers of the shards there are. Undefined: all that occur. */
  readonly live?: ReadonlySet<number> | undefined;
  readonly fanIn?: number | undefined;
  readonly runsMax?: number | undefined;
  readonly tierBytesMin?: number | undefined;
}

export interface MergePlan {
  readonly why: 'tier' | 'too-many' | 'garbage' | 'asked';
  readonly runs: readonly number[];
  /** Deletions below this lsn may go: see MergeRules. */
  readonly forgetBelow: number;
  /** What the merge will read. */
  readonly bytes: number;
}

/** Undefined: all is well. Runs that another merge is at work on must not be among them. */
export function nextMerge<R extends RunSize>(
  runs: readonly R[],
  rules: TierRules,
  busy: readonly R[] = [],
): MergePlan | undefined {
  const { fanIn = runFanIn, runsMax: most = runsMax } = rules;
  const bySize = runs.toSorted((a, b) => a.bytes - b.bytes || a.id - b.id);
  const plan = (why: MergePlan['why'], some: readonly R[]): MergePlan => ({
    why,
    runs: some.map(({ id }) => id),
    forgetBelow: forgetBelow(some, [...runs, ...busy], rules),
    bytes: some.reduce((sum, { bytes }) => sum + bytes, 0),
  });
  if (busy.length === 0 && mostlyGarbage(runs, rules)) return plan('garbage', bySize);
  const tiers = [...Map.groupBy(bySize, ({ bytes }) => tierOf(bytes, rules))].sort(([a], [b]) => a - b);
  const full = tiers.find(([, tier]) => tier.length >= fanIn);
  if (full) return plan('tier', full[1].slice(0, 2 * fanIn));
  const excess = runs.length + busy.length - most;
  if (excess <= 0 || runs.length < 2) return undefined;
  return plan('too-many', bySize.slice(0, Math.max(excess + 1, fanIn)));
}

/** All runs become one, because somebody wants it. A single one is written anew: that purges it. */
export function mergeOfAll<R extends RunSize>(
  runs: readonly R[],
  rules: TierRules,
  busy: readonly R[] = [],
): MergePlan | undefined {
  if (runs.length === 0) return undefined;
  return {
    why: 'asked',
    runs: runs.map(({ id }) => id),
    forgetBelow: forgetBelow(runs, [...runs, ...busy], rules),
    bytes: runs.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

/** What all merges that are due will read, those included that are only due because of others. At most: nothing is left out. */
export function backlogOf(runs: readonly RunSize[], rules: TierRules, busy: readonly RunSize[] = []): number {
  let backlog = 0;
  let left = [...runs];
  for (;;) {
    const plan = nextMerge(left, rules, busy);
    if (plan === undefined) return backlog;
    backlog += plan.bytes;
    const inside = left.filter(({ id }) => plan.runs.includes(id));
    const records = inside.reduce((sum, run) => sum + run.records, 0);
    const [first] = inside as [RunSize, ...RunSize[]];
    // Without deletions and shards: what was garbage is none any more.
    left = left.filter(run => !inside.includes(run));
    left.push({ ...first, bytes: plan.bytes, records, deletes: 0, shards: [] });
  }
}

/** Each tier is fanIn times as large as the one before. All small runs are one. */
export function tierOf(
  bytes: number,
  { fanIn = runFanIn, tierBytesMin = runTierBytesMin }: Partial<TierRules>,
): number {
  return bytes <= tierBytesMin ? 0 : Math.floor(Math.log(bytes / tierBytesMin) / Math.log(fanIn) + 0.5);
}

/** What no deletion may be older than, or it goes: the lowest lsn of everything outside the merge. */
export function forgetBelow(some: readonly RunSize[], all: readonly RunSize[], { unflushedLsn }: TierRules): number {
  const inside = new Set(some.map(({ id }) => id));
  const outside = all.filter(({ id }) => !inside.has(id)).map(({ minLsn }) => minLsn);
  return Math.min(unflushedLsn, ...outside);
}

/** Counted are only deletions that would go: those of runs that are older than everything unflushed. */
function mostlyGarbage(runs: readonly RunSize[], { unflushedLsn, live }: TierRules): boolean {
  let [all, garbage] = [0, 0];
  for (const { records, deletes, maxLsn, shards } of runs) {
    all += records + deletes;
    if (maxLsn < unflushedLsn) garbage += deletes;
    for (const shard of shards) if (live?.has(shard.number) === false) garbage += shard.records;
  }
  return garbage > 0 && garbage >= all * runGarbageShare;
}
