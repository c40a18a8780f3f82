// The scenario of whole nodes: actors that are spoken to from everywhere while they and their partitions change hands, nodes die,
// stand still and are cut off, and disks refuse. In `threads` each node has several of them, which take turns.
//
//     seed ─▶ plan: talk, moves, wishes about partitions, faults ─▶ heal ─▶ rest: one ring, no work left, all reachable ─▶ judge
//
// What it proves: nothing acknowledged is lost, nothing is doubled, each sender's order holds, one owner at a time under rising
// epochs, watches are told once, reminders come, and nothing is left behind. Its oracles: node-oracle.ts, node-copies.ts, node-alike.ts.

import type { Cluster } from '../../runtime/cluster/cluster.ts';
import type { HandoffHooks } from '../../runtime/cluster/handoff-hooks.ts';
import type { ActorType } from '../../runtime/define-actor.ts';
import { chunksPerReserve, epochMemory } from '../../runtime/epochs.ts';
import type { Gateway } from '../../runtime/gateway/gateway.ts';
import { hasMissed } from '../../runtime/ownership/holdings.ts';
import { type Ring, ringHash } from '../../runtime/ownership/ring.ts';
import { partitionOf } from '../../runtime/partition.ts';
import { call } from '../../runtime/refs.ts';
import { NodeLife } from '../node-life-host.ts';
import { type Line, MemoryT, MortalT, SleeperT, WatcherT, witness } from './node-actors.ts';
import { ActRules } from './node-acts.ts';
import { unlikeIn } from './node-alike.ts';
import { SimCopies } from './node-copies.ts';
import { unlikeStored } from './node-disks.ts';
import { NodeFiles } from './node-files.ts';
import { leftIn, recordsLeftIn } from './node-leftovers.ts';
import { heardIn, listenIn } from './node-marks.ts';
import { LedgerOracle, WatchOracle } from './node-oracle.ts';
import { ledgers, type NodeRules, partitions, reminderMsMax, wayOf } from './node-plan.ts';
import { excuseOf, type NodeView, storedView, unservedOf, viewOf, wishedOwner } from './node-served.ts';
import { keyIn, type NodesLife, NodeTalk, refOf, typeOf } from './node-talk.ts';
import { threadsOf } from './node-threads.ts';
import { WellOracle } from './node-well.ts';
import type { Program, SimProcess, SimWorld } from './process.ts';
import type { Operation, ScenarioRun, SimPlan } from './runner.ts';
import type { Simulation } from './simulation.ts';
import { ThreadDeaths } from './thread-deaths.ts';

const types: readonly ActorType<any>[] = [...ledgers, MortalT, WatcherT];
const [reachMs, quickRoundMs] = [2_000, 250] as const;
/** Whatever has been reminded of, and was tried again, has come by then. */
const quietMs: number = reminderMsMax + 6_000;
/** Whoever starts anew asks again after a second where the actor of a reminder lives, as long as nobody can say. */
const reawakeMs = 5_000;
const units = (key: string): string[] => ledgers.map(({ type }) => `${type}/${key}`);

export class NodesRun implements ScenarioRun<NodesLife> {
  readonly #sim: Simulation<NodesLife>;
  readonly #plan: SimPlan;
  readonly #rules: NodeRules;
  readonly #acts = new ActRules();
  #healsAtMs = 0;
  readonly #oracle: LedgerOracle;
  readonly #watches: WatchOracle;
  readonly #copies: SimCopies;
  /** Where threads hang, or others take over, more may have to wait. */
  readonly #well: WellOracle | undefined;
  readonly #wishes = new Map<number, string>();
  /** Operations that have not ended; and when the last one did. */
  readonly #open = new Set<Operation>();
  #endedAt = 0;
  #startedAt = 0;
  /** Where an operation ran last, by its line: that node has acknowledged it. */
  readonly #talk: NodeTalk;
  readonly #ranIn = new Map<string, SimProcess<NodesLife>>();
  readonly #keys: readonly string[];
  readonly #deaths: ThreadDeaths;
  /** Partitions that a node was given a copy of and never became the owner of: '<node> <partition>'. */
  readonly #copied = new Set<string>();
  /** Actors that a node was given: '<node> <unit>'. */
  readonly #put = new Set<string>();
  /** Waits for a last word that ended without it. */
  #late = 0;

  constructor(sim: Simulation<NodesLife>, plan: SimPlan, rules: NodeRules) {
    [this.#rules, this.#sim, this.#plan] = [rules, sim, plan];
    [this.#oracle, this.#watches] = [new LedgerOracle(this.#acts), new WatchOracle(this.#acts)];
    [this.#copies, this.#deaths] = [new SimCopies(sim, partitions), new ThreadDeaths(sim)];
    if (rules.replicas === 1 && rules.threads === undefined) this.#well = new WellOracle(sim, plan.processes);
    this.#talk = new NodeTalk({ sim, plan, rules, oracle: this.#oracle, watches: this.#watches, ranIn: this.#ranIn });
    this.#keys = [...new Set(plan.operations.map(({ key }) => keyIn(key)))];
    for (const from of plan.processes)
      for (const to of plan.processes) if (from !== to) sim.network.set(from, to, wayOf(sim.draw, from, to));
    witness.heard = (unit, epoch, line, above) => this.#heard(unit, epoch, line, above);
    witness.highest = unit => this.#oracle.highest(unit);
    witness.departed = (watch, reason) => this.#wrong(this.#watches.departed(watch, reason, sim.now));
    witness.ends = key => this.#watches.ended(key, sim.now, sim.now);
    witness.pause = ms => new Promise(done => this.#sim.plan(this.#sim.running, ms, 'pause', done));
  }

  begins(nth: number, healsAtMs: number): void {
    this.#acts.begins(this.#plan, nth);
    this.#healsAtMs = healsAtMs;
  }

  #wrong(...what: (string | undefined)[]): void {
    for (const each of what) if (each !== undefined) this.#sim.violation(each);
  }

  #heard(unit: string, epoch: number, line: Line, above: number | undefined): void {
    const { running } = this.#sim;
    if (running === undefined) return this.#sim.violation(`${unit} ran on no node`);
    this.#sim.note(running.name, `${unit} under ${epoch} hears ${line.join(' ')}`);
    this.#ranIn.set(`${unit} ${line.join(' ')}`, running);
    if (above === undefined) this.#well?.runs(this.#oracle.saidOf(unit, line));
    const began = this.#rules.replicas > 1 ? above : undefined;
    this.#wrong(...this.#oracle.heard(unit, epoch, line, this.#lifeOf(running), began));
  }

  #lifeOf({ name, lives }: SimProcess<NodesLife>): string {
    return `${name}:${lives}`;
  }

  // A node.

  program(): Program<NodesLife> {
    return async world => {
      const { name, clock } = world;
      const self = this.#process(name);
      const files = new NodeFiles(world, self.disk);
      const base = Math.max(1, files.number('epochs'));
      files.keep('epochs', base + chunksPerReserve);
      const incarnation = Math.max(files.number('incarnation') + 1, Math.floor(clock.now() / 1_000));
      files.keep('incarnation', incarnation);
      const threads = threadsOf(this.#sim.draw, this.#rules, world, self.disk);
      const engine = world.storage.open({ kind: 'memory', writers: 1 + (threads?.count ?? 0) });
      let hooks: HandoffHooks | undefined;
      const node = new NodeLife({
        ...{ name, types, partitions, engine, incarnation, transport: world.wires },
        world: heardIn(world, what => this.#wrong(what)),
        // Or who comes late is no member.
        autoJoin: (this.#plan.late ?? []).length > 0,
        ...{ replicas: this.#rules.replicas, threads },
        // So that who is lost is missed while there is still time to see what becomes of it.
        gossip: this.#rules.replicas > 1 ? { roundMs: quickRoundMs } : undefined,
        epochs: epochMemory(base),
        storeEpochs: limit => files.keepAtLeast('epochs', limit),
        others: this.#plan.processes.filter(other => other !== name),
        memory: {
          ...{ state: files.read('ring'), vote: files.read('vote') },
          saveState: state => files.save('ring', state),
          saveVote: vote => files.save('vote', vote),
        },
        handoffs: (cluster, gateway) => {
          hooks = this.#attach(name, cluster, gateway);
          return hooks;
        },
        emit: (event, payload) => this.#emitted(world, event, payload),
      });
      if (this.#rules.replicas > 1) this.#copies.watch({ node, engine, world });
      listenIn(node.member.router, node.gateway, (point, peer, about, answer) => {
        world.mark(point, peer);
        if (this.#rules.replicas > 1 && !files.isOver) this.#copies.mark(name, point, about, answer);
        this.#deaths.reached(node, self, point, about);
        if (point === 'hears handoff-begin') this.#copied.add(`${name} ${about.partition}`);
        if (point === 'hears guest-put') this.#put.add(`${name} ${about.unit}`);
        // Of the one that is ready there is no word of its own: its answer is it.
        const other = point === 'handoff-ready done' ? this.#sim.processes.get(peer) : undefined;
        if (other !== undefined) this.#sim.mark(other, 'gave its ready', name);
      });
      const end = (): void => {
        if (files.isOver) return;
        files.isOver = true;
        this.#late += node.gateway.lastWords.late;
        node.halt();
      };
      const life: NodesLife = {
        ...{ node, world, engine },
        get hooks() {
          return hooks as HandoffHooks;
        },
        fatal: end,
        crashed: end,
      };
      await node.open();
      this.#startedAt = this.#sim.now;
      return life;
    };
  }

  /** Wishes take the place of what a claim wants. */
  #attach(name: string, cluster: Cluster, gateway: Gateway): HandoffHooks {
    const hooks = gateway.handoffs.attach({
      handOn: (partition, to, turn) => cluster.handOn(partition, to, turn),
      ringStored: () => cluster.ringStored(),
      isUp: other => cluster.isUp(other),
      effectiveRing: () => this.#wishedRing(cluster.effectiveRing()),
    });
    const after = hooks.after.bind(hooks);
    hooks.after = changes => {
      for (const change of changes) if (hasMissed(change)) this.#well?.missed(name, change.partition);
      after(changes);
    };
    return hooks;
  }

  #wishedRing(ring: Ring | undefined): Ring | undefined {
    if (ring === undefined) return undefined;
    const owner = (partition: number): string => ring.owners[partition] as string;
    const next = [...this.#wishes].flatMap(([partition, to]) =>
      owner(partition) === to ? [] : [{ partition, from: owner(partition), to }],
    );
    return { ...ring, next };
  }

  #emitted(world: SimWorld, event: string, payload: unknown): void {
    const { partition, to, reason = '' } = (payload ?? {}) as { partition?: number; to?: string; reason?: string };
    world.mark(event);
    if (event === 'partition-stays') this.#well?.stays(world.name, partition as number, to as string);
    if (event === 'partition-arrived') this.#copied.delete(`${world.name} ${partition}`);
    if (partition !== undefined) this.#sim.note(world.name, `${event} ${partition} ${reason}`);
    const isLong = event === 'partition-stays' && /within \d{4,} ms/.test(reason);
    if (this.#acts.calm && isLong) this.#sim.violation(`partition ${partition} stays, and nothing broke: ${reason}`);
  }

  #process(name: string): SimProcess<NodesLife> {
    return this.#sim.processes.get(name) as SimProcess<NodesLife>;
  }

  #lives(away: readonly string[] = []): NodesLife[] {
    return this.#without(away).flatMap(name => this.#process(name).life ?? []);
  }

  #without(away: readonly string[]): string[] {
    return this.#plan.processes.filter(name => !away.includes(name));
  }

  // What is asked for.

  begun(operation: Operation): void {
    this.#open.add(operation);
  }

  told(operation: Operation): void {
    this.#open.delete(operation);
    this.#endedAt = this.#sim.now;
  }

  perform(operation: Operation, life: NodesLife): Promise<unknown> {
    if (this.#deaths.takes(operation)) return Promise.resolve();
    if (operation.name.startsWith('hand')) return this.#hand(operation);
    return this.#talk.perform(operation, this.#lifeOf(this.#process(operation.on)), life);
  }

  async #hand({ name, key, value }: Operation): Promise<void> {
    const partition = partitionOf(keyIn(key), partitions);
    const wish = name === 'hand out' ? 'out' : name === 'hand back' ? 'back' : undefined;
    const one = wish && wishedOwner(wish, partition, this.#views([]));
    const to = one ?? (this.#plan.processes[value % this.#plan.processes.length] as string);
    this.#wishes.set(partition, to);
    this.#sim.note('sim', `partition ${partition} shall go to ${to}`);
    for (const { hooks } of this.#lives()) hooks.ringChanged();
  }

  // The end.

  async served(away: readonly string[]): Promise<string | undefined> {
    const waiting = this.#without(away).find(name => this.#process(name).life === undefined);
    if (waiting !== undefined) return `${waiting} is not up`;
    return unservedOf(partitions, this.#views(away), this.#excuses(away)) ?? this.#unreached(away);
  }

  #views(away: readonly string[]): NodeView[] {
    return this.#lives(away).map(({ world, node }) => viewOf(world.name, node));
  }

  #excuses(away: readonly string[]): (partition: number) => boolean {
    const views = this.#views(away);
    const lost = away.map(name => storedView(name, this.#process(name).disk));
    return partition => excuseOf(partition, views, lost) !== undefined;
  }

  /** Those that are to be served. */
  #keysWithout(away: readonly string[]): readonly string[] {
    if (away.length === 0) return this.#keys;
    const isExcused = this.#excuses(away);
    return this.#keys.filter(key => !isExcused(partitionOf(key, partitions)));
  }

  async rest(away: readonly string[]): Promise<string | undefined> {
    const why = this.#restless(away);
    if (why !== undefined) return why;
    // By the clock of whichever node has the actor by now.
    const stoodMs = Math.max(...[...this.#sim.processes.values()].map(each => each.stoodMs));
    const quietAt = Math.max(this.#endedAt, this.#healsAtMs) + quietMs + stoodMs;
    if (this.#sim.now < Math.max(quietAt, this.#startedAt + reawakeMs)) return 'reminders may be due';
    if (away.length > 0) return (await this.served(away)) ?? this.#unlike(away);
    return (await this.#unreached(away)) ?? this.#restless(away) ?? this.#unlike(away);
  }

  /** Asked last: all of the records are compared. */
  #unlike(away: readonly string[]): string | undefined {
    if (this.#rules.replicas === 1) return undefined;
    const isExcused = this.#excuses(away);
    return unlikeIn(this.#lives(away), at => away.length > 0 && isExcused(at));
  }

  async #unreached(away: readonly string[]): Promise<string | undefined> {
    for (const name of this.#without(away))
      for (const key of this.#keysWithout(away))
        for (const unit of units(key)) {
          const { life } = this.#process(name);
          if (life === undefined) return `${name} is not up`;
          const problem = await this.#reach(life, unit);
          if (problem !== undefined) return `${unit} cannot be reached from ${name}: ${problem}`;
        }
    return undefined;
  }

  #reach(life: NodesLife, unit: string): Promise<string | undefined> {
    return call(refOf(life, unit), { deadlineMs: reachMs })
      .all()
      .then(
        () => undefined,
        error => String((error as Error).message),
      );
  }

  #restless(away: readonly string[]): string | undefined {
    const keys = this.#keysWithout(away);
    const open = [...this.#open].filter(({ on, key }) => !away.includes(on) && keys.includes(keyIn(key))).length;
    if (open > 0) return `${open} operations have not ended`;
    // What they have in common, and have to give to each other, waits for those who are away.
    if (away.length > 0) return undefined;
    let hash: string | undefined;
    for (const name of this.#plan.processes) {
      const target = this.#process(name);
      const ring = target.life?.node.cluster.effectiveRing();
      if (target.life === undefined || ring === undefined) return `${name} has no ring`;
      hash ??= ringHash(ring);
      if (ringHash(ring) !== hash) return `${name} holds another ring than ${this.#plan.processes[0]}`;
      for (const [partition, to] of this.#wishes)
        if (ring.owners[partition] !== to)
          return `partition ${partition} is still ${ring.owners[partition]}'s, and shall be ${to}'s: ${this.#whyNot(partition)}`;
      const left = leftIn(target.life.node);
      if (left !== undefined) return `${name} keeps ${left}`;
    }
    return undefined;
  }

  #whyNot(partition: number): string {
    const rows = this.#lives().flatMap(({ hooks }) => hooks.status());
    const row = rows.find(each => each.partition === partition);
    const { running, taking } = (this.#process(row?.from ?? '')?.life?.node.gateway.describe() as any)?.handoffs ?? {};
    const busy = `gives ${JSON.stringify(running)}, takes ${JSON.stringify(taking)}`;
    return row === undefined ? 'nobody gives it away' : `${row.phase}, ${row.why}; ${row.from} ${busy}`;
  }

  async verdict(away: readonly string[]): Promise<readonly string[]> {
    const [wrong, lives]: [string[], NodesLife[]] = [[], this.#lives(away)];
    const first = lives[0] as NodesLife;
    for (const key of this.#keysWithout(away)) {
      if (away.length === 0) await call(first.node.member.host.ref(MortalT, key), { deadlineMs: reachMs }).end();
      for (const unit of units(key)) wrong.push(...(await this.#judge(lives, unit)));
    }
    if (away.length > 0) return this.#inOrder(wrong);
    await new Promise<void>(done => first.world.clock.timer(1_000, done));
    wrong.push(
      ...this.#watches.judge(watch =>
        this.#plan.processes.some(name => watch.startsWith(`${this.#lifeOf(this.#process(name))} `)),
      ),
    );
    const late = this.#waitsEnded();
    if (this.#acts.calm && late > 0) wrong.push(`${late} waits ended without a last word, and nothing broke`);
    if (!this.#acts.disksFail && this.#rules.replicas === 1)
      for (const life of this.#lives()) wrong.push(...this.#leftIn(life));
    return this.#inOrder(wrong);
  }

  /** Where something broke, what a try has left that came to nothing is excused. */
  #leftIn(life: NodesLife): string[] {
    const homeOf = (owner: string, unit: string): string | undefined =>
      this.#process(owner).life?.node.gateway.homes.where(unit);
    return recordsLeftIn(life, homeOf, {
      isPartition: (node, partition) => !this.#acts.calm && this.#copied.has(`${node} ${partition}`),
      isUnit: (node, owner, unit) => !this.#acts.calm && (owner === node || this.#put.has(`${node} ${unit}`)),
    });
  }

  #waitsEnded(): number {
    return this.#lives().reduce((late, { node }) => late + node.gateway.lastWords.late, this.#late);
  }

  /** Order is kept as long as links hold, or the word comes in time. */
  #inOrder(wrong: readonly string[]): readonly string[] {
    return this.#waitsEnded() === 0 ? wrong : wrong.filter(each => !/ after \d+$/.test(each));
  }

  async #judge(lives: readonly NodesLife[], unit: string): Promise<string[]> {
    const held = (await call(refOf(lives[0] as NodesLife, unit), { deadlineMs: reachMs }).all()) as Line[];
    const type = typeOf(unit);
    const runners = lives.flatMap(life => new Array(life.node.awake(type.type, keyIn(unit))).fill(life));
    const wrong = this.#oracle.judge(unit, type !== MemoryT, held);
    const isKnown = this.#rules.replicas === 1;
    for (const { world, node } of isKnown && type !== MemoryT ? runners : [])
      wrong.push(...unlikeStored(unit, held, this.#process(world.name).disk, node.member.host.codec));
    // Whoever sleeps soon may sleep before his answer is here.
    if (runners.length === 1 || (runners.length === 0 && type === SleeperT)) return wrong;
    return [`${unit} is awake on ${runners.map(({ world }) => world.name).join(' and ') || 'no node'}`, ...wrong];
  }
}
