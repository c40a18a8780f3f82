// The first scenario: nodes that are alone, each with actors that keep sets and reminders on a disk of its own. What it proves
// is what a single node promises: nothing acknowledged is lost or doubled, also not by a second try, what is told is true, epochs
// only rise.

import { TroupeError } from '../../errors.ts';
import { Actor } from '../../runtime/actor.ts';
import { type ActorType, defineActor } from '../../runtime/define-actor.ts';
import { chunksPerReserve, Epochs, epochMemory } from '../../runtime/epochs.ts';
import { Host } from '../../runtime/host.ts';
import { call, type Ref } from '../../runtime/refs.ts';
import { LocalRouter } from '../../runtime/router.ts';
import { type Draw, whole } from './draws.ts';
import { diskFaults, type Fault, type FaultKind, planFaults } from './faults.ts';
import { AckedOracle, ActivationOracle, type Told } from './oracles.ts';
import type { Life, Program, SimProcess, SimWorld } from './process.ts';
import type { Operation, Scenario, ScenarioRun, SimPlan } from './runner.ts';
import type { Simulation } from './simulation.ts';

/** A set of ids, in the order in which they came. */
export class IdSet extends Actor<string[]> {
  override initial(): string[] {
    return [];
  }
  /** The epoch under which it was added. */
  add(id: string): number {
    this.state.push(id);
    return this.self.epoch;
  }
  async remind(name: string, inMs: number): Promise<number> {
    await this.self.remind(name, inMs);
    return this.self.epoch;
  }
  override onReminder(name: string): void {
    if (!this.state.includes(name)) this.state.push(name);
  }
  all(): string[] {
    return [...this.state];
  }
}

const reads = { all: 'read' } as const;
const CommittedT: ActorType<IdSet> = defineActor(import.meta.url, IdSet, {
  type: 'sim-committed',
  persist: 'snapshot',
  turns: reads,
});
const FlushedT: ActorType<IdSet> = defineActor(import.meta.url, IdSet, {
  type: 'sim-flushed',
  persist: 'snapshot',
  durability: 'flushed',
  turns: reads,
});
const types = [CommittedT, FlushedT];

interface HostLife extends Life {
  readonly host: Host;
}

const safetyMs = 4_000;
const reminderMsMax = 1_500;
const partitions = 16;
const keys = ['a', 'b', 'c'];
const points = ['write pending', 'told ok', 'told unknown', 'told failed', 'remind ok'];
/** Some operations come at one of a few moments, so that turns follow each other closely. */
const rushes = 12;
/** Above the faults that are drawn by their kind. */
const fullId = 1_000;

function plan(draw: Draw): SimPlan {
  const processes = Array.from({ length: 1 + whole(draw('processes'), 3) }, (_, index) => `n${index + 1}`);
  const operations = Array.from({ length: 40 + whole(draw('operations'), 120) }, (_, id): Operation => {
    const of = (what: string): number => draw('operation', id, what);
    return {
      id,
      atMs: of('rush') < 0.4 ? (whole(of('at'), rushes) * safetyMs) / rushes : Math.floor(of('at') * safetyMs),
      on: processes[whole(of('on'), processes.length)] as string,
      name: of('name') < 0.75 ? 'add' : 'remind',
      key: `${of('type') < 0.5 ? 'sim-committed' : 'sim-flushed'}/${keys[whole(of('key'), keys.length)]}`,
      value: 1 + whole(of('value'), reminderMsMax),
    };
  });
  // Operations that are tried several times under one id, in half of the runs.
  const tries = draw('tries') < 0.5 ? 0 : 30;
  for (let id = operations.length, left = tries; left > 0; id++, left--) {
    const of = (what: string): number => draw('try', left, what);
    const value = whole(of('value'), tries / 3);
    operations.push({
      id,
      atMs: Math.floor(of('at') * safetyMs),
      on: processes[value % processes.length] as string,
      name: 'once',
      key: `${value % 2 === 0 ? 'sim-committed' : 'sim-flushed'}/${keys[value % keys.length]}`,
      value,
    });
  }
  const kinds: FaultKind[] = ['crash', 'power', 'stop', 'suspend', ...diskFaults];
  return {
    processes,
    operations,
    faults: [...planFaults({ draw, kinds, processes, points, safetyMs }), ...fullWhileItFlushes(draw, processes)],
    safetyMs,
    livenessMs: 30_000,
  };
}

/** In some runs: what was committed and is not flushed yet is acknowledged later than what is refused meanwhile. */
function fullWhileItFlushes(draw: Draw, processes: readonly string[]): Fault[] {
  if (draw('full while it flushes') < 0.7) return [];
  return processes.flatMap((on, index): Fault[] => {
    const of = (what: string): number => draw('full while it flushes', on, what);
    const atMs = Math.floor(of('at') * safetyMs * 0.7);
    const fault = { on, other: on, draw: 0.5 + of('how slow') / 2 };
    return [
      { ...fault, id: fullId + 2 * index, kind: 'lag', when: { atMs }, forMs: safetyMs * 0.3 },
      {
        ...fault,
        id: fullId + 2 * index + 1,
        kind: 'full',
        when: { point: 'write pending', nth: 1 + whole(of('nth'), 12), fromMs: atMs },
        forMs: 1 + whole(of('for'), 100),
      },
    ];
  });
}

class CountersRun implements ScenarioRun<HostLife> {
  readonly #sim: Simulation<HostLife>;
  readonly #acked = new AckedOracle();
  readonly #activations = new ActivationOracle();
  /** Processes one of whose records rotted: what cannot be read there is no surprise. */
  readonly #rotten = new Set<string>();
  #restAt: number | undefined;

  constructor(sim: Simulation<HostLife>) {
    this.#sim = sim;
  }

  program(): Program<HostLife> {
    return world => startHost(world);
  }

  begun(operation: Operation): void {
    this.#acked.begin(setOf(operation), idOf(operation));
  }

  async perform(operation: Operation, life: HostLife): Promise<void> {
    const ref = refOf(life.host, operation.key);
    const id = idOf(operation);
    if (operation.name === 'once') {
      // What it answers may be the answer of an earlier life.
      await this.#unfenced(operation, call(ref, { opId: id }).add(id));
      return;
    }
    const asked = operation.name === 'add' ? ref.add(id) : ref.remind(id, operation.value);
    const epoch = await this.#unfenced(operation, asked);
    const target = this.#sim.processes.get(operation.on) as SimProcess<HostLife>;
    const set = setOf(operation);
    const wrong = [
      this.#activations.runs(set, epoch, `${operation.on}, life ${target.lives}`),
      this.#activations.accepted(set, epoch),
    ];
    for (const each of wrong) if (each !== undefined) this.#sim.violation(each);
  }

  /** Nobody else writes to its disk. */
  async #unfenced(operation: Operation, asked: Promise<number>): Promise<number> {
    return asked.catch((error: TroupeError) => {
      if (error.code === 'FENCED')
        this.#sim.violation(`${setOf(operation)}: ${idOf(operation)} was refused: ${error.message}`);
      throw error;
    });
  }

  told(operation: Operation, told: Told): void {
    // remind() is a write of its own, and says so: it stays when the turn that made it fails afterwards.
    const honest = operation.name === 'remind' && told === 'failed' ? 'unknown' : told;
    this.#acked.end(setOf(operation), idOf(operation), honest);
  }

  onLoss({ name }: SimProcess<HostLife>, kind: FaultKind): void {
    const isHere = (set: string): boolean => set.startsWith(`${name}:`);
    if (kind === 'power') return this.#acked.excuse(set => isHere(set) && set.includes('sim-committed'));
    if (kind === 'rot') this.#rotten.add(name);
    if (kind === 'wipe') this.#activations.excuse(isHere);
    this.#acked.excuse(isHere);
  }

  async rest(): Promise<string | undefined> {
    for (const { name, life } of this.#sim.processes.values()) if (life === undefined) return `${name} is not up`;
    // Every reminder has had its time, and a second try.
    this.#restAt ??= this.#sim.now + 2 * reminderMsMax + 10_000;
    return this.#sim.now < this.#restAt ? 'reminders may be due' : undefined;
  }

  async verdict(): Promise<readonly string[]> {
    const wrong: string[] = [];
    for (const set of this.#acked.sets()) {
      const [name, key] = set.split(':') as [string, string];
      const life = this.#sim.processes.get(name)?.life;
      if (life === undefined) continue;
      try {
        wrong.push(...this.#acked.check(set, await refOf(life.host, key).all()));
      } catch (error) {
        const isRot = error instanceof TroupeError && error.code === 'CORRUPT' && this.#rotten.has(name);
        if (!isRot) wrong.push(`${set} cannot be read: ${(error as Error).message}`);
      }
    }
    return wrong;
  }
}

const setOf = ({ on, key }: Operation): string => `${on}:${key}`;
/** Tries of one operation share its name. */
const idOf = ({ name, id, value }: Operation): string => `${name}-${name === 'once' ? value : id}`;

function refOf(host: Host, id: string): Ref<IdSet> {
  const [type, key] = id.split('/') as [string, string];
  return host.ref(type === 'sim-committed' ? CommittedT : FlushedT, key);
}

/** A host as a node without threads has it. How far epochs may have been used is stored before any is. */
function startHost(world: SimWorld): HostLife {
  const base = Number(new TextDecoder().decode(world.files.get('epochs') ?? new Uint8Array([0x31])));
  world.files.set('epochs', new TextEncoder().encode(String(base + chunksPerReserve)));
  const host = new Host({
    node: world.name,
    thread: 0,
    world,
    router: at => new LocalRouter(at),
    epochs: new Epochs(epochMemory(base)),
    events: { emit: name => world.mark(name) },
    types,
    engine: world.storage.open({ kind: 'memory' }),
    partitions,
  });
  host.reminders.load(Array.from({ length: partitions }, (_, partition) => partition));
  return { host };
}

export const counters: Scenario<HostLife> = { name: 'counters', plan, begin: sim => new CountersRun(sim) };
