// One seed, start to end: a plan is drawn, the programs run under its faults (safety), then everything is healed and must come to
// rest in bounded time (liveness), then the oracles speak.
//
//     plan ──▶ start ──▶ safety: operations and faults ──▶ heal ──▶ liveness: no faults, rest() must say yes ──▶ verdict
//                                                           └─ some stay away: served(), rest and verdict without them ─▶ all are back ─┘
//                 └──────────────────────────────────── the next act, with the same processes ◀────────────────────────────────────┘
//
// A plan is data: it comes from the seed, and shrink.ts takes parts of it away.

import { TroupeError } from '../../errors.ts';
import type { Millis } from '../../runtime/world.ts';
import { guardRealWorld } from '../virtual-world-trap.ts';
import { type Draw, drawsOf } from './draws.ts';
import { type Fault, type FaultKind, Faults } from './faults.ts';
import { hearLoose } from './loose-host.ts';
import type { Told } from './oracles.ts';
import type { Life, Program, SimProcess } from './process.ts';
import { Simulation, textOf } from './simulation.ts';
import type { TraceEvent } from './trace.ts';

export interface Operation {
  readonly id: number;
  /** Default 0. */
  readonly act?: number;
  readonly atMs: Millis;
  /** Not at that time, but when a process reaches that point for the nth time from then on; while all is not healed yet. */
  readonly when?: { readonly point: string; readonly nth: number };
  /** The process that is asked to do it. '*', of one that waits for a point: whoever reaches it. */
  readonly on: string;
  readonly name: string;
  readonly key: string;
  readonly value: number;
}

export interface SimPlan {
  readonly processes: readonly string[];
  readonly operations: readonly Operation[];
  readonly faults: readonly Fault[];
  /** Who is not started with the others, and when it is; without a time: when those are back who stay away. */
  readonly late?: readonly { readonly name: string; readonly atMs?: Millis }[];
  readonly safetyMs: Millis;
  /** Virtual time to come to rest after the heal. */
  readonly livenessMs: Millis;
  /** ... and until those who are left serve all they can, where some stay away. */
  readonly servedMs?: Millis;
  /** Acts after the first begin at that moment of theirs: all is up. Default: one. */
  readonly acts?: { readonly count: number; readonly fromMs: Millis };
}

/** What is simulated. Nodes are plugged in here. */
export interface Scenario<L extends Life = Life> {
  readonly name: string;
  plan(draw: Draw): SimPlan;
  begin(sim: Simulation<L>, plan: SimPlan): ScenarioRun<L>;
}

/** One run of a scenario: its oracles live here. */
export interface ScenarioRun<L extends Life = Life> {
  program(target: string): Program<L>;
  /** An act begins; its faults end at that time. */
  begins?(act: number, healsAtMs: Millis): void;
  /** Carries an operation out in a process that is up. What it rejects with decides what was told. */
  perform(operation: Operation, life: L): Promise<unknown>;
  /** It begins; and what became of it. An operation of a process that crashed meanwhile is 'unknown'. */
  begun(operation: Operation): void;
  told(operation: Operation, told: Told): void;
  onCrash?(target: SimProcess<L>): void;
  /** Before a fault takes what a process or a disk had promised to keep. */
  onLoss?(target: SimProcess<L>, kind: FaultKind): void;
  /** Some stay away: undefined when the others serve what they can, else why not. Asked until then. */
  served?(away: readonly string[]): Promise<string | undefined>;
  /** Undefined when everything is at rest, else why not. Asked until then. `away`: who is not back yet. */
  rest(away: readonly string[]): Promise<string | undefined>;
  verdict(away: readonly string[]): Promise<readonly string[]>;
}

export interface SeedResult {
  readonly seed: number;
  readonly scenario: string;
  readonly hash: string;
  readonly events: number;
  readonly virtualMs: Millis;
  readonly told: Readonly<Record<Told, number>>;
  readonly violations: readonly string[];
  /** The last events, oldest first. */
  readonly trace: readonly TraceEvent[];
  readonly plan: SimPlan;
}

export interface RunOptions {
  /** Instead of the one drawn from the seed. */
  readonly plan?: SimPlan | undefined;
  readonly traceLength?: number;
  readonly eventsMax?: number;
}

const traceLengthDefault = 200;
const eventsMaxDefault = 2_000_000;
/** Virtual time between two looks at whether everything is at rest. */
const restEveryMs = 250;
/** Virtual time the oracles may take to ask their last questions. */
const verdictMs = 60_000;

export async function runSeed<L extends Life>(
  scenario: Scenario<L>,
  seed: number,
  options: RunOptions = {},
): Promise<SeedResult> {
  const sim = new Simulation<L>({
    seed,
    traceLength: options.traceLength ?? traceLengthDefault,
    eventsMax: options.eventsMax ?? eventsMaxDefault,
  });
  const plan = options.plan ?? scenario.plan(drawsOf(seed));
  const unguard = guardRealWorld(what => sim.violation(what));
  const onLoose = (error: unknown): void => sim.violation(`nobody caught ${textOf(error)}`);
  const unhear = hearLoose(onLoose);
  try {
    return await runPlan(scenario, sim, plan);
  } finally {
    unhear();
    unguard();
  }
}

async function runPlan<L extends Life>(scenario: Scenario<L>, sim: Simulation<L>, plan: SimPlan): Promise<SeedResult> {
  const { seed } = sim;
  const run = scenario.begin(sim, plan);
  const operations = new Operations(sim, run);
  let healedAt: number | undefined;
  sim.onCrash = target => {
    operations.lost(target);
    run.onCrash?.(target);
    // It has slept over the heal, and goes on to find that its disk had failed before.
    if (sim.now === healedAt) sim.plan(undefined, 0, 'restart', () => target.start());
  };
  const late = new Map(plan.late?.map(({ name, atMs }) => [name, atMs]));
  for (const name of plan.processes) {
    const target = sim.addProcess(name, run.program(name));
    if (!late.has(name)) target.start();
  }
  const { count, fromMs } = plan.acts ?? { count: 1, fromMs: 0 };
  for (let act = 0; act < count && sim.violations.length === 0; act++) {
    const afterMs = act === 0 ? 0 : Math.ceil(sim.now - fromMs);
    const [operationsOfIt, faultsOfIt] = actOf(plan, act, afterMs);
    const healsAt = afterMs + plan.safetyMs;
    run.begins?.(act, healsAt);
    const faults = new Faults(sim, faultsOfIt);
    if (act === 0) for (const [name, atMs] of late) if (sim.processes.has(name)) faults.comesLate(name, atMs);
    faults.onLoss = (target, kind) => run.onLoss?.(target, kind);
    for (const operation of operationsOfIt) operations.plan(operation);
    const { onMark } = sim;
    sim.onMark = (target, point, peer) => {
      onMark(target, point, peer);
      operations.reached(target, point);
    };
    if (!(await sim.runTo(healsAt))) break;
    healedAt = sim.now;
    faults.heal();
    operations.forget();
    if (faults.away.length > 0) {
      if (!(await goOnWithout(sim, run, faults.away, plan))) break;
      healedAt = sim.now;
      faults.bringBack();
    }
    await comeToRest(sim, run, [], plan.livenessMs);
  }
  const { hash, events } = sim.trace;
  const { violations, now: virtualMs } = sim;
  const { counts: told } = operations;
  return { seed, scenario: scenario.name, hash, events, virtualMs, told, violations, trace: sim.trace.last(), plan };
}

/** What is done in that act, and what breaks, by the clock of the run. */
function actOf(plan: SimPlan, nth: number, afterMs: Millis): [Operation[], Fault[]] {
  const isOf = ({ act = 0 }: { act?: number }): boolean => act === nth;
  const operations = plan.operations.filter(isOf).map(each => ({ ...each, atMs: each.atMs + afterMs }));
  const faults = plan.faults.filter(isOf).map(({ when, ...each }): Fault => {
    if ('atMs' in when) return { ...each, when: { atMs: when.atMs + afterMs } };
    return { ...each, when: when.fromMs === undefined ? when : { ...when, fromMs: when.fromMs + afterMs } };
  });
  return [operations, faults];
}

/** False when something was wrong: who comes back then has nothing to add. */
async function goOnWithout<L extends Life>(
  sim: Simulation<L>,
  run: ScenarioRun<L>,
  away: readonly string[],
  { livenessMs, servedMs = livenessMs }: SimPlan,
): Promise<boolean> {
  const served = async (): Promise<string | undefined> => run.served?.(away);
  if (await comesTrue(sim, served, servedMs, `not served without ${away.join(' and ')}`))
    await comeToRest(sim, run, away, livenessMs);
  return sim.violations.length === 0;
}

async function comeToRest<L extends Life>(
  sim: Simulation<L>,
  run: ScenarioRun<L>,
  away: readonly string[],
  livenessMs: Millis,
): Promise<void> {
  if (!(await comesTrue(sim, () => run.rest(away), livenessMs, 'no rest'))) return;
  for (const wrong of await answer(sim, () => run.verdict(away), verdictMs)) sim.violation(wrong);
}

/** Asks again and again until there is nothing in its way. */
async function comesTrue<L extends Life>(
  sim: Simulation<L>,
  whyNot: () => Promise<string | undefined>,
  withinMs: Millis,
  what: string,
): Promise<boolean> {
  const endsAt = sim.now + withinMs;
  for (;;) {
    const why = await answer(sim, whyNot, withinMs + verdictMs);
    if (why === undefined) return true;
    if (sim.now >= endsAt) {
      sim.violation(`${what} ${withinMs} ms after the heal: ${why}`);
      return false;
    }
    if (!(await sim.runTo(sim.now + restEveryMs))) return false;
  }
}

/** Asks something whose answer needs virtual time to come. */
async function answer<L extends Life, T>(sim: Simulation<L>, ask: () => Promise<T>, withinMs: Millis): Promise<T> {
  let got: { value: T } | { error: unknown } | undefined;
  sim.plan(undefined, 0, 'look', () => {
    ask().then(
      value => {
        got = { value };
      },
      error => {
        got = { error };
      },
    );
  });
  await sim.runTo(sim.now + withinMs, () => got !== undefined);
  if (got === undefined) throw new Error(`no answer in ${withinMs} virtual ms`);
  if ('error' in got) throw got.error;
  return got.value;
}

/** What clients ask for, and what they were told. */
class Operations<L extends Life> {
  readonly counts: Record<Told, number> = { ok: 0, failed: 0, unknown: 0 };
  readonly #sim: Simulation<L>;
  readonly #run: ScenarioRun<L>;
  readonly #open = new Map<Operation, SimProcess<L>>();
  /** What waits for a point, by that. */
  readonly #armed = new Map<string, { readonly operation: Operation; left: number }[]>();

  constructor(sim: Simulation<L>, run: ScenarioRun<L>) {
    this.#sim = sim;
    this.#run = run;
  }

  plan(operation: Operation): void {
    const { when } = operation;
    if (when === undefined) return this.#begin(operation, operation.atMs - this.#sim.now);
    const armed = this.#armed.get(when.point) ?? [];
    this.#armed.set(when.point, armed);
    armed.push({ operation, left: when.nth });
  }

  /** It begins when the turn that made the mark is over. */
  reached({ name }: SimProcess<L>, point: string): void {
    const armed = this.#armed.get(point);
    if (armed === undefined) return;
    for (const each of armed) {
      const { operation } = each;
      if (this.#sim.now < operation.atMs || --each.left > 0) continue;
      this.#begin(operation.on === '*' ? { ...operation, on: name } : operation, 0);
    }
    this.#armed.set(
      point,
      armed.filter(({ left }) => left > 0),
    );
  }

  forget(): void {
    this.#armed.clear();
  }

  #begin(operation: Operation, delayMs: Millis): void {
    this.#sim.plan(undefined, delayMs, `operation ${operation.id}`, () => {
      const target = this.#sim.processes.get(operation.on);
      // The client finds nobody there: it has not even asked.
      if (target === undefined || target.life === undefined) return;
      this.#run.begun(operation);
      this.#open.set(operation, target);
      this.#sim.plan(target, 0, operation.name, () => this.#perform(operation, target.life as L));
    });
  }

  #perform(operation: Operation, life: L): void {
    this.#run.perform(operation, life).then(
      () => this.#end(operation, 'ok'),
      (error: unknown) => {
        if (!(error instanceof TroupeError)) this.#sim.violation(`operation ${operation.id} ended ${textOf(error)}`);
        this.#end(operation, error instanceof TroupeError ? error.outcome : 'unknown');
      },
    );
  }

  #end(operation: Operation, told: Told): void {
    const target = this.#open.get(operation);
    if (target === undefined) return;
    this.#open.delete(operation);
    this.counts[told]++;
    this.#run.told(operation, told);
    this.#sim.note(operation.on, `operation ${operation.id} ${told}`);
    this.#sim.mark(target, `told ${told}`);
    this.#sim.mark(target, `${operation.name} ${told}`);
  }

  lost(target: SimProcess<L>): void {
    for (const [operation, at] of this.#open) if (at === target) this.#end(operation, 'unknown');
  }
}
