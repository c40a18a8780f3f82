// The bench harness: ours and peers on the same work, in the same run, and no number that was not earned.
//
// The intuition: a benchmark lies in four ways. It measures a machine that drifts (so contenders take turns, in
// alternating order, and the median of the rounds counts); it hides the spread (so p50, p99 and the relative deviation
// stand beside the mean); it measures work that was never done (so each run says how much it *confirmed*, and a row
// that falls short prints the shortfall instead of a number); and it cannot be repeated (so the seed is fixed and the
// machine, Node and commit are written beside the result).
//
//   probe ──> calibrate ──> round 1: A B C ──> round 2: C B A ──> round 3: A B C ──> ...  ──> median
//   (same n for all,        (n so that one run takes batchMs, when full)
//    hashes must agree)
//
// Invariant: a row has status 'completed' exactly when every run of every round confirmed all its operations.

import v8 from 'node:v8';
import vm from 'node:vm';
import { Bench } from 'tinybench';
import { machineFacts } from './machine.ts';
import type {
  BenchContext,
  BenchDefinition,
  Contender,
  Done,
  Goal,
  Mode,
  Report,
  Row,
  Workload,
  WorkloadResult,
} from './shapes.ts';
import { mean, median, percentile, rsdPercent, Sampler, seededRandom } from './stats.ts';

export type * from './shapes.ts';

export interface RunOptions {
  readonly mode: Mode;
  /** Only workloads whose name contains this. */
  readonly only?: string;
  readonly rounds?: number;
  /** Sizes other than those of the mode, by the name of the parameter. */
  readonly sizes?: Readonly<Record<string, number>>;
  readonly progress?: (line: string) => void;
}

export const seed = 7;

/** Small proves that a bench works; full is what may be quoted. Rounds below 5 make no median worth the name. */
const pace = {
  small: { rounds: 2, roundMs: 0, batchMs: 0, warmupMs: 0, deadlineMs: 30_000 },
  full: { rounds: 5, roundMs: 300, batchMs: 20, warmupMs: 300, deadlineMs: 120_000 },
} as const;

/** Thrown by setup() when this machine lacks something (a server that is not installed): said, but not a failure. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable';
}

export const defineBench = (definition: BenchDefinition): BenchDefinition => definition;

export async function runBench(definition: BenchDefinition, options: RunOptions): Promise<Report> {
  const began = performance.now();
  const machine = machineFacts();
  const params: Record<string, number> = {};
  const context: BenchContext = {
    mode: options.mode,
    random: () => seededRandom(seed),
    param(name, small, full) {
      const value = options.sizes?.[name] ?? (options.mode === 'full' ? full : small);
      params[name] = value;
      return value;
    },
  };
  const workloads = definition.workloads(context).filter(({ name }) => name.includes(options.only ?? ''));
  const results: WorkloadResult[] = [];
  for (const workload of workloads) {
    options.progress?.(`${definition.name}: ${workload.name}`);
    results.push(await runWorkload(workload, options));
  }
  return {
    bench: definition.name,
    about: definition.about,
    mode: options.mode,
    seed,
    params,
    roundsWanted: options.rounds ?? pace[options.mode].rounds,
    machine,
    seconds: Number(((performance.now() - began) / 1_000).toFixed(1)),
    results,
  };
}

/** A contender with what was seen of it so far. Once it has an `end`, it is not run again. */
interface Entrant {
  readonly contender: Contender;
  readonly latency: Sampler;
  ops: number;
  hash?: number | undefined;
  readonly readings: number[];
  readonly more: Map<string, number[]>;
  /** Milliseconds an operation, one a run, by round. */
  readonly batches: number[][];
  end?: { status: 'refused' | 'unavailable'; why: string };
}

async function runWorkload(workload: Workload, options: RunOptions): Promise<WorkloadResult> {
  const entrants = workload.contenders.map(
    (contender): Entrant => ({
      contender,
      latency: new Sampler(seededRandom(seed)),
      ops: workload.opsMin,
      readings: [],
      more: new Map(),
      batches: [],
    }),
  );
  try {
    const deadlineMs = deadlineOf(workload, options.mode);
    for (const entrant of entrants)
      await attempt(entrant, 'setup', () => within(deadlineMs, entrant.contender.setup?.()));
    for (const entrant of entrants) {
      await attempt(entrant, 'probe', () => probe(entrant, workload, options.mode));
      await attempt(entrant, 'settling', () => settle(entrant, deadlineMs));
    }
    for (const entrant of entrants) {
      await attempt(entrant, 'calibration', () => calibrate(entrant, workload, options.mode));
      await attempt(entrant, 'settling', () => settle(entrant, deadlineMs));
    }
    refuseDissenters(entrants);
    const rounds = roundsOf(workload, options);
    for (let round = 0; round < rounds; round++) await runRound(entrants, workload, options.mode, round);
  } finally {
    for (const entrant of entrants.toReversed())
      await attempt(entrant, 'teardown', () => entrant.contender.teardown?.());
  }
  const rows = entrants.map(entrant => rowOf(entrant, workload));
  const hash = entrants.find(entrant => entrant.hash !== undefined)?.hash;
  return {
    workload: workload.name,
    about: workload.about,
    ...(workload.alone === undefined ? {} : { alone: workload.alone }),
    unit: workload.gauge ?? 'operations a second',
    rounds: roundsOf(workload, options),
    percentilesOf: workload.latency ? 'operations' : 'runs',
    rows,
    ...(hash === undefined ? {} : { hash }),
    goals: (workload.goals ?? []).map(goal => ({ ...goal, ...reached(goal, rows) })),
  };
}

const roundsOf = ({ rounds = Number.POSITIVE_INFINITY }: Workload, { mode, rounds: wanted }: RunOptions): number =>
  Math.min(rounds, wanted ?? pace[mode].rounds);

async function attempt(entrant: Entrant, what: string, work: () => Promise<void> | void): Promise<void> {
  if (entrant.end && what !== 'teardown') return;
  try {
    await work();
  } catch (thrown) {
    const status = thrown instanceof Unavailable ? 'unavailable' : 'refused';
    entrant.end ??= { status, why: status === 'refused' ? `${what}: ${said(thrown)}` : said(thrown) };
  }
}

/** The first run, the same n for everybody, so that what came out can be compared. */
async function probe(entrant: Entrant, workload: Workload, mode: Mode): Promise<void> {
  const { hash } = await confirmed(entrant, workload, mode);
  entrant.hash = hash;
}

const deadlineOf = (workload: Workload, mode: Mode): number =>
  mode === 'full' ? (workload.deadlineMs ?? pace.full.deadlineMs) : pace.small.deadlineMs;

const settle = ({ contender }: Entrant, deadlineMs: number): Promise<void> =>
  within(deadlineMs, Promise.resolve(contender.settle?.()));

/** One loud voice is not a majority: the first contender that gives a hash sets it, and any other hash is refused. */
function refuseDissenters(entrants: readonly Entrant[]): void {
  const first = entrants.find(entrant => entrant.hash !== undefined);
  for (const entrant of entrants) {
    if (entrant.hash === undefined || entrant.hash === first?.hash) continue;
    const why = `other work than ${first?.contender.name}: hash ${entrant.hash} against ${first?.hash}`;
    entrant.end ??= { status: 'refused', why };
  }
}

/**
 * Doubles n until a run takes batchMs, which also warms the code up. The fastest of three counts: one slow run, cold or
 * interrupted, would settle on an n far too small, where the fixed cost of a run is most of what is measured.
 */
async function calibrate(entrant: Entrant, workload: Workload, mode: Mode): Promise<void> {
  const { batchMs } = pace[mode];
  if (workload.gauge !== undefined) entrant.ops = workload.opsMax;
  if (workload.gauge !== undefined || batchMs === 0) return;
  for (; entrant.ops * 2 <= workload.opsMax; entrant.ops *= 2) {
    let fastestMs = Number.POSITIVE_INFINITY;
    for (let tries = 0; tries < 3 && fastestMs >= batchMs; tries++) {
      const began = performance.now();
      const { ms } = await confirmed(entrant, workload, mode);
      fastestMs = Math.min(fastestMs, ms ?? performance.now() - began);
    }
    if (fastestMs >= batchMs) return;
  }
}

async function runRound(entrants: readonly Entrant[], workload: Workload, mode: Mode, round: number): Promise<void> {
  const warmupMs = mode === 'full' ? (workload.warmupMs ?? pace.full.warmupMs) : pace.small.warmupMs;
  const roundMs = mode === 'full' ? (workload.roundMs ?? pace.full.roundMs) : pace.small.roundMs;
  const bench = new Bench({
    time: workload.gauge === undefined ? roundMs : 0,
    iterations: 1,
    warmup: round === 0 && warmupMs > 0 && workload.gauge === undefined,
    warmupTime: warmupMs,
    warmupIterations: 1,
    retainSamples: true,
  });
  for (const entrant of round % 2 === 0 ? entrants : entrants.toReversed()) {
    if (entrant.end) continue;
    const warming = new Sampler(seededRandom(seed));
    let latency = warming;
    const task = async (): Promise<{ overriddenDuration: number; overriddenIterationCost: number }> => {
      const began = performance.now();
      const { ms = performance.now() - began, value, more = {} } = await confirmed(entrant, workload, mode, latency);
      if (value !== undefined) entrant.readings.push(value);
      for (const [name, reading] of Object.entries(more))
        entrant.more.set(name, [...(entrant.more.get(name) ?? []), reading]);
      return { overriddenDuration: ms / entrant.ops, overriddenIterationCost: ms };
    };
    const beforeAll = (phase?: 'run' | 'warmup'): void => {
      latency = phase === 'warmup' ? warming : entrant.latency;
      collectGarbage();
    };
    const afterAll = (): Promise<void> =>
      attempt(entrant, 'settling', () => settle(entrant, deadlineOf(workload, mode)));
    bench.add(entrant.contender.name, task, { async: true, beforeAll, afterAll });
  }
  await bench.run();
  for (const { name, result } of bench.tasks) {
    const entrant = entrants.find(({ contender }) => contender.name === name) as Entrant;
    if (result.state === 'completed') entrant.batches.push(result.latency.samples ?? []);
    else entrant.end ??= { status: 'refused', why: 'error' in result ? said(result.error) : `run ${result.state}` };
  }
}

/** One run whose every operation was confirmed; anything less throws, and with it goes the row. */
async function confirmed(
  entrant: Entrant,
  workload: Workload,
  mode: Mode,
  latency = new Sampler(seededRandom(seed)),
): Promise<Done> {
  const n = entrant.ops;
  const before = latency.count;
  const result = await within(deadlineOf(workload, mode), entrant.contender.run(n, latency));
  if (result.done !== n) throw new Error(`not completed: confirmed ${result.done} of ${n}`);
  if (workload.gauge !== undefined && result.value === undefined) throw new Error('a gauge without a reading');
  if (workload.latency && latency.count - before !== n) {
    throw new Error(`${latency.count - before} latencies for ${n} operations`);
  }
  return result;
}

function rowOf({ contender, ops, end, batches, readings, more, latency }: Entrant, workload: Workload): Row {
  const isGauge = workload.gauge !== undefined;
  const rounds = isGauge ? readings : batches.map(batch => 1_000 / mean(batch));
  if (end) return { contender: contender.name, ...end, rounds: [] };
  const perOp = batches.flat();
  const sorted = workload.latency ? latency.sorted() : Float64Array.from(perOp).sort();
  return {
    contender: contender.name,
    status: 'completed',
    opsPerRun: ops,
    rounds,
    figure: median(rounds),
    mean: isGauge ? mean(readings) : 1_000 / mean(perOp),
    rsdPercent: rsdPercent(isGauge ? readings : perOp),
    ...(isGauge ? {} : { p50Us: percentile(sorted, 0.5) * 1_000, p99Us: percentile(sorted, 0.99) * 1_000 }),
    ...(workload.latency && !isGauge ? { p999Us: percentile(sorted, 0.999) * 1_000 } : {}),
    samples: isGauge ? readings.length : sorted.length,
    ...(more.size === 0 ? {} : { more: Object.fromEntries([...more].map(([name, each]) => [name, median(each)])) }),
  };
}

/** How many times better than the peer we are: rates the larger, times and sizes the smaller. */
function reached(goal: Goal, rows: readonly Row[]): { reached?: number } {
  const row = (name: string): Row | undefined => rows.find(({ contender }) => contender === name);
  const ours = row(goal.ours);
  const read = (from: Row | undefined): number | undefined =>
    goal.by === 'p50' ? from?.p50Us : goal.by === 'p99' ? from?.p99Us : from?.figure;
  const own = read(ours);
  if (!('peer' in goal)) return own === undefined ? {} : { reached: own };
  const theirs = read(row(goal.peer));
  if (own === undefined || theirs === undefined) return {};
  return { reached: goal.by === 'rate' ? own / theirs : theirs / own };
}

/** A message that was lost would keep a run waiting for ever; past the deadline it counts as not completed. */
async function within<Value>(ms: number, work: Promise<Value> | Value): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not completed within ${ms / 1_000} s`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** So that one contender's garbage is not collected on the next one's time. */
const collectGarbage: () => void = (() => {
  v8.setFlagsFromString('--expose-gc');
  return vm.runInNewContext('gc') as () => void;
})();

/**
 * A contender that lives in a module of its own, loaded when its turn comes: a side that cannot be loaded costs its own
 * row, not the whole bench.
 */
export function lazily<Module>(
  name: string,
  load: () => Promise<Module>,
  make: (module: Module) => Contender,
): Contender {
  let contender: Contender | undefined;
  return {
    name,
    async setup() {
      contender = make(await load());
      await contender.setup?.();
    },
    run(n, latency) {
      if (contender === undefined) throw new Error('run before setup');
      return contender.run(n, latency);
    },
    settle: () => contender?.settle?.(),
    teardown: () => contender?.teardown?.(),
  };
}

const said = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));
