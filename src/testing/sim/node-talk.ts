// What the nodes of the scenario say to their actors, and what becomes of it: told to the oracle (node-oracle.ts).

import { TroupeError } from '../../errors.ts';
import type { HandoffHooks } from '../../runtime/cluster/handoff-hooks.ts';
import type { ActorType } from '../../runtime/define-actor.ts';
import { partitionOf } from '../../runtime/partition.ts';
import { call, type Ref, tell } from '../../runtime/refs.ts';
import type { Engine } from '../../storage/engine.ts';
import type { NodeLife } from '../node-life-host.ts';
import { whole } from './draws.ts';
import {
  answerOf,
  type Ledger,
  MemoryT,
  MortalT,
  reminderSender,
  SnapshotT,
  type Watcher,
  WatcherT,
} from './node-actors.ts';
import { disksWith } from './node-disks.ts';
import type { LedgerOracle, Outcome, Said, WatchOracle } from './node-oracle.ts';
import { cancelledMs, ledgers, type NodeRules, partitions, threadDies, threadHangs } from './node-plan.ts';
import type { Life, SimProcess, SimWorld } from './process.ts';
import type { Operation, SimPlan } from './runner.ts';
import type { Simulation } from './simulation.ts';
import { ownersThreadDies, ownersThreadHangs } from './thread-tales.ts';

export interface NodesLife extends Life {
  readonly node: NodeLife;
  readonly world: SimWorld;
  readonly engine: Engine;
  readonly hooks: HandoffHooks;
}

export interface TalkSeams {
  readonly sim: Simulation<NodesLife>;
  readonly plan: SimPlan;
  readonly oracle: LedgerOracle;
  readonly watches: WatchOracle;
  /** By word: where it ran last. */
  readonly ranIn: ReadonlyMap<string, SimProcess<NodesLife>>;
  readonly rules: NodeRules;
}

const retryMs = 50;
/** No ask takes so long where nothing breaks; of one whose turns wait for others, and may be many, with slow ways between them. */
const [patientMs, patientThroughMs] = [2_000, 10_000] as const;
const triesMax = 4;
const throughs: readonly ActorType<any>[] = ledgers.filter(type => type !== SnapshotT);

export class NodeTalk {
  readonly #seams: TalkSeams;

  constructor(seams: TalkSeams) {
    this.#seams = seams;
  }

  /** `by`: the life of the node that does it. */
  perform(operation: Operation, by: string, life: NodesLife): Promise<unknown> {
    const { key, value, name } = operation;
    switch (name) {
      case 'tell':
        return this.#tell(this.#seams.oracle.says(key, by, 'tell'), life, value);
      case 'ask':
        return this.#ask(this.#seams.oracle.says(key, by, 'ask'), operation, life);
      case 'once':
        return this.#once(this.#seams.oracle.says(key, by, 'once'), operation, life);
      case 'through':
        return this.#through(operation, by, life);
      case 'move':
        return this.#move(operation, life);
      case threadDies:
        return life.node.threadDies(1 + (value % Math.max(1, life.node.members.length - 1)));
      case threadHangs:
        return Promise.resolve(
          life.node.threadHangs(1 + (operation.id % Math.max(1, life.node.members.length - 1)), value),
        );
      case ownersThreadDies:
      case ownersThreadHangs:
        return this.#ownersThread(operation, life);
      case 'to thread':
      case 'slot':
        return this.#betweenThreads(operation, life);
      case 'remind':
        return this.#remind(operation, life);
      case 'cancel':
        return this.#cancel(operation, life);
      case 'watch':
        return this.#watch(operation, by, life);
      case 'end soon':
        return this.#endSoon(keyIn(key), value, life);
      default:
        return this.#end(keyIn(key), life);
    }
  }

  /** Rejects where it is refused at once. */
  async #endSoon(key: string, ms: number, { node }: NodesLife): Promise<void> {
    await tell(node.member.host.ref(MortalT, key)).endSoon(ms);
  }

  /** Resolves when its sender may go on: what then becomes of it nobody is told. */
  async #tell(said: Said, life: NodesLife, slowMs: number): Promise<void> {
    const ref = tell(refOf(life, said.unit)) as any;
    said.outcome = 'sent';
    try {
      await (slowMs > 0 ? ref.hearSlowly(said.by, said.number, slowMs) : ref.hear(said.by, said.number));
    } catch (error) {
      said.outcome = 'refused';
      throw error;
    }
  }

  #deadlineOf({ id }: Operation): number {
    const of = (what: string): number => this.#seams.sim.draw('deadline', id, what);
    return of('short') < 0.1 ? 10 + whole(of('ms'), 100) : 2_000 + whole(of('ms'), 10_000);
  }

  async #ask(said: Said, { id, value, ...rest }: Operation, life: NodesLife, opId?: string): Promise<void> {
    const deadlineMs = this.#deadlineOf({ ...rest, id, value });
    const ref = call(refOf(life, said.unit), opId === undefined ? { deadlineMs } : { deadlineMs, opId });
    try {
      const answer = await (value > 0 ? ref.hearSlowly(said.by, said.number, value) : ref.hear(said.by, said.number));
      if (answer !== answerOf(said.unit, [said.by, said.number]))
        this.#seams.sim.violation(`${said.unit}: ${said.by} ${said.number} was given the answer of another`);
      this.#become(said, 'ok');
    } catch (error) {
      if (deadlineMs >= (typeOf(said.unit) === SnapshotT ? patientThroughMs : patientMs))
        this.#patient(said, (error as TroupeError).code);
      // Once nobody knows, a later try that failed does not say that the first did.
      if (said.outcome !== 'unknown') this.#become(said, outcomeOf(error));
      throw error;
    }
  }

  /** Nothing broke: whatever it waited for has come to an end long ago. */
  #patient({ unit, by, number, what }: Said, code: string): void {
    if (!this.#seams.oracle.isCalm || !['DEADLINE', 'UNKNOWN_OUTCOME'].includes(code)) return;
    this.#seams.sim.violation(`${unit}: ${by} ${number} (${what}) ended ${code}, and nothing broke`);
  }

  #become(said: Said, outcome: Outcome): void {
    said.outcome = outcome;
    if (outcome === 'unknown') said.unknownAt = this.#seams.sim.now;
    if (outcome === 'ok') this.#acked(said);
    const ranIn = this.#seams.ranIn.get(`${said.unit} ${said.by} ${said.number}`);
    if (outcome !== 'ok' || ranIn === undefined) return;
    const isBusy = ranIn.life?.node.gateway.handoffs.isBusy === true;
    if (isBusy || said.number % 8 === 0) this.#seams.sim.mark(ranIn, isBusy ? 'acked while busy' : 'acked');
  }

  /** Whichever of them is lost for good a moment later, it is there. */
  #acked(said: Said): void {
    const { sim, rules } = this.#seams;
    const { replicas } = rules;
    const life = [...sim.processes.values()].find(each => each.life !== undefined)?.life;
    if (replicas === 1 || life === undefined || said.unit.startsWith(`${MemoryT.type}/`)) return;
    const disks = [...sim.processes.values()].map(({ disk }) => disk);
    const copies = disksWith(said, disks, life.node.member.host.codec);
    if (copies * 2 < replicas)
      sim.violation(`${said.unit}: ${said.by} ${said.number} was acknowledged, and is on ${copies} disks`);
  }

  async #once(said: Said, operation: Operation, life: NodesLife): Promise<void> {
    for (let tries = 1; ; tries++)
      try {
        return await this.#ask(said, operation, life, `${said.by}/${said.number}`);
      } catch (error) {
        if (tries === triesMax) throw error;
        said.isStray = true;
        // What becomes of the next try its node may not live to hear.
        if (said.outcome !== 'unknown') said.outcome = 'open';
        await new Promise<void>(done => life.world.clock.timer(retryMs, done));
      }
  }

  /** An actor of the same partition hears it, by one that asks it in its turn. */
  async #through({ key, id }: Operation, by: string, life: NodesLife): Promise<void> {
    const other = throughs[whole(this.#seams.sim.draw('through', id), throughs.length)] as ActorType<Ledger>;
    const said = this.#seams.oracle.says(`${other.type}/${keyIn(key)}`, `${by}>${key}`, 'through');
    // Whoever heard it in vain may have heard it: until the word is there that it has, it may come late.
    said.isStray = true;
    const ref = call(refOf(life, key), { deadlineMs: 16_000 });
    try {
      const outcome = await ref.through(refOf(life, said.unit), said.by, said.number, 8_000);
      said.isStray = outcome !== 'ok';
      if (outcome === 'unknown') this.#patient(said, 'UNKNOWN_OUTCOME');
      this.#become(said, outcome as Outcome);
    } catch (error) {
      said.outcome = 'unknown';
      throw error;
    }
  }

  /** Whichever node has its partition, as far as that one knows. */
  #homeOf(key: string, { node }: NodesLife): { owner: string; home: NodeLife | undefined; threads: number } {
    const owner = node.gateway.nodes.ownerOf(partitionOf(keyIn(key), partitions)) ?? '';
    const home = this.#seams.sim.processes.get(owner)?.life?.node;
    return { owner, home, threads: (home?.members.length ?? 1) - 1 };
  }

  async #ownersThread({ name, key, value }: Operation, life: NodesLife): Promise<void> {
    const { owner, home, threads } = this.#homeOf(key, life);
    const thread = 1 + (value % Math.max(1, threads));
    const { sim } = this.#seams;
    // As an event of that node: what runs there because of it does not run here.
    sim.plan(sim.processes.get(owner), 0, name, () => {
      if (name === ownersThreadHangs) home?.threadHangs(thread, value);
      else void home?.threadDies(thread);
    });
  }

  /** Of whichever node has its partition; none where that has only one thread. */
  async #betweenThreads({ name, key, value }: Operation, life: NodesLife): Promise<void> {
    const { node } = life;
    const partition = partitionOf(keyIn(key), partitions);
    const { owner, home, threads } = this.#homeOf(key, life);
    if (home === undefined || threads === 0) return;
    const work =
      name === 'slot'
        ? home.member.router.shifts?.move(partition, 1 + (value % threads))
        : // Thread 0 is one of them.
          home.relocate(typeOf(key), keyIn(key), `${owner}/${value % (threads + 1)}`);
    // Another node may not live to hear what becomes of it.
    if (home === node) await work;
    else work?.catch(() => undefined);
  }

  #move({ key, value }: Operation, { node }: NodesLife): Promise<unknown> {
    const to = this.#seams.plan.processes[value % this.#seams.plan.processes.length] as string;
    const type = key.startsWith(`${MortalT.type}/`) ? MortalT : typeOf(key);
    return node.relocate(type, keyIn(key), to);
  }

  async #remind({ key, value }: Operation, life: NodesLife): Promise<void> {
    const said = this.#seams.oracle.says(key, reminderSender, 'reminder');
    try {
      await call(refOf(life, key), { deadlineMs: 10_000 }).remindMe(said.number, value);
      said.outcome = 'ok';
    } catch (error) {
      said.outcome = outcomeOf(error);
      throw error;
    }
  }

  /** Reminds, and cancels that a while later: long before it would come. */
  async #cancel({ key, value }: Operation, life: NodesLife): Promise<void> {
    const said = this.#seams.oracle.says(key, reminderSender, 'reminder');
    said.outcome = 'unknown';
    const ref = call(refOf(life, key), { deadlineMs: 5_000 });
    const dueAt = this.#seams.sim.now + cancelledMs;
    await ref.remindMe(said.number, cancelledMs);
    await new Promise<void>(done => life.world.clock.timer(value, done));
    await ref.cancelIt(said.number);
    const sameClocks = this.#seams.plan.faults.every(({ kind }) => kind !== 'suspend');
    if (sameClocks && this.#seams.sim.now < dueAt) said.outcome = 'cancelled';
  }

  async #end(key: string, { node }: NodesLife): Promise<void> {
    const { sim, watches } = this.#seams;
    const from = sim.now;
    await call(node.member.host.ref(MortalT, key), { deadlineMs: 5_000 }).end();
    watches.ended(key, from, sim.now);
  }

  async #watch({ id, key, on }: Operation, by: string, { node }: NodesLife): Promise<void> {
    const { host } = node.member;
    const watch = `${by} watch ${id} of ${MortalT.type}/${keyIn(key)}`;
    // Who has just come may have heard of the ring, and have no link to that owner yet.
    const owner = node.gateway.nodes.ownerOf(partitionOf(keyIn(key), partitions)) ?? '';
    const isLinked = owner === on || node.gateway.linked(owner) !== undefined;
    this.#seams.watches.begins(watch, { key: keyIn(key), at: this.#seams.sim.now, isLinked });
    await (host.ref(WatcherT, `w@${on}`) as Ref<Watcher>).see(host.ref(MortalT, keyIn(key)), watch);
  }
}

export const typeOf = (unit: string): ActorType<Ledger> =>
  ledgers.find(({ type }) => unit.startsWith(`${type}/`)) as ActorType<Ledger>;

export const keyIn = (unit: string): string => unit.slice(unit.indexOf('/') + 1);

export const refOf = ({ node }: NodesLife, unit: string): Ref<Ledger> =>
  node.member.host.ref(typeOf(unit), keyIn(unit));

function outcomeOf(error: unknown): Outcome {
  return error instanceof TroupeError ? error.outcome : 'unknown';
}
