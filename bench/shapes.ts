// What a bench is made of, and what comes of it: workloads with contenders go in, a report with a row for each comes out.

import type { Machine } from './machine.ts';
import type { Sampler } from './stats.ts';

export type Mode = 'small' | 'full';

/** What one run confirmed. */
export interface Done {
  /** Operations whose completion was seen: an answer checked, a receiver's own count. */
  readonly done: number;
  /** Milliseconds of the run that count, when not all of it does (reading back what was written does not). */
  readonly ms?: number;
  /** A fold of what came out. Contenders that give one must agree on it for the same n. */
  readonly hash?: number;
  /** For a gauge: the reading, in the unit of the workload. */
  readonly value?: number;
  /** Other readings of the same run, by name and unit; the table gives each a column. */
  readonly more?: Readonly<Record<string, number>>;
}

/** One side of a comparison. `run(n)` does n operations and confirms them; it may be called any number of times. */
export interface Contender {
  readonly name: string;
  setup?(): Promise<void> | void;
  run(n: number, latency: Sampler): Promise<Done>;
  /** Waits for what goes on behind (flushes, merges), unmeasured, so that it does not go on during the next one's turn. */
  settle?(): Promise<void> | void;
  teardown?(): Promise<void> | void;
}

export interface Workload {
  readonly name: string;
  /** What one operation is, in a sentence. */
  readonly about: string;
  /** A rate (operations a second, the default) or a gauge (a reading, smaller is better) and its unit. */
  readonly gauge?: string;
  /** Percentiles come from single operations (the contenders fill the sampler) instead of from whole runs. */
  readonly latency?: boolean;
  /** Rounds, at most: for what takes long and hardly varies, or is long enough in itself. */
  readonly rounds?: number;
  /** Milliseconds of a round when full. Longer than the usual 300 where what goes on behind the writers is to be seen. */
  readonly roundMs?: number;
  /** Milliseconds of warm-up before the first round when full. Longer than the usual 300 where much code on several threads has to be compiled. */
  readonly warmupMs?: number;
  /** Milliseconds after which anything counts as not completed when full. Longer than the usual 120,000 where much is loaded. */
  readonly deadlineMs?: number;
  /** Why there is nobody to compare with. Without it a workload needs a peer. */
  readonly alone?: string;
  /** Operations of one run: at least (the probe runs this many), and at most (a gauge runs this many). */
  readonly opsMin: number;
  readonly opsMax: number;
  /** Ours first, by convention; everything else is a peer. */
  readonly contenders: readonly Contender[];
  /** What DESIGN.md section 10 asks of us. */
  readonly goals?: readonly Goal[];
}

/** How many times better than a peer, by rate, a percentile or the gauge's reading; or a figure that must not be exceeded. */
export type Goal = Ratio | Limit;

export interface Ratio {
  readonly ours: string;
  readonly peer: string;
  readonly by: 'rate' | 'p50' | 'p99' | 'value';
  readonly times: number;
}

export interface Limit {
  readonly ours: string;
  /** Microseconds, of a percentile. */
  readonly by?: 'p50' | 'p99';
  readonly atMost: number;
}

export interface BenchContext {
  readonly mode: Mode;
  /** A size that is small in every test run and large when asked for; it is written into the result. */
  param(name: string, small: number, full: number): number;
  /** A generator of numbers in [0, 1) that begins at the same place for everybody who asks for it. */
  random(): () => number;
}

export interface BenchDefinition {
  readonly name: string;
  readonly about: string;
  workloads(context: BenchContext): readonly Workload[];
}

export interface Row {
  readonly contender: string;
  /** 'refused': work was not confirmed or the contender failed. 'unavailable': this machine lacks what it needs. */
  readonly status: 'completed' | 'refused' | 'unavailable';
  readonly why?: string;
  readonly opsPerRun?: number;
  /** One figure a round, in the order of the rounds: operations a second, or the gauge's reading. */
  readonly rounds: readonly number[];
  /** The median of the rounds. */
  readonly figure?: number;
  readonly mean?: number;
  readonly rsdPercent?: number;
  readonly p50Us?: number;
  readonly p99Us?: number;
  /** Of single operations only: of runs there are too few. */
  readonly p999Us?: number;
  readonly samples?: number;
  /** The medians of the other readings. */
  readonly more?: Readonly<Record<string, number>>;
}

export interface WorkloadResult {
  readonly workload: string;
  readonly about: string;
  readonly alone?: string;
  readonly unit: string;
  readonly rounds: number;
  readonly percentilesOf: 'operations' | 'runs';
  readonly rows: readonly Row[];
  readonly hash?: number;
  /** `reached`: the ratio, or the reading. */
  readonly goals: readonly (Goal & { readonly reached?: number })[];
}

export interface Report {
  readonly bench: string;
  readonly about: string;
  readonly mode: Mode;
  readonly seed: number;
  readonly params: Readonly<Record<string, number>>;
  readonly roundsWanted: number;
  readonly machine: Machine;
  readonly seconds: number;
  readonly results: readonly WorkloadResult[];
}
