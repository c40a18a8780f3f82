// The scenario of who is in the cluster, who is alive and who owns what: the machine of gossip and the ring, over links over the
// network, while processes die, stand still, are cut off, stopped, removed and marked down by hand.

import { Gossip } from '../../runtime/membership/gossip.ts';
import { type Effect, gossipDefaults, type Input, type MemberView } from '../../runtime/membership/gossip-types.ts';
import { ringHash } from '../../runtime/ownership/ring.ts';
import type { Millis } from '../../runtime/world.ts';
import { type Draw, hashOf, whole } from './draws.ts';
import { type Fault, type FaultKind, networkFaults, planFaults } from './faults.ts';
import { waysOf } from './links.ts';
import { groupsOf, View, Wellbeing } from './member-oracle.ts';
import { SimPeers } from './peers.ts';
import type { Life, Program, SimProcess, SimWorld } from './process.ts';
import { type Members, RingKeeper } from './ring-keeper.ts';
import type { Operation, Scenario, ScenarioRun, SimPlan } from './runner.ts';
import type { Simulation } from './simulation.ts';

interface MemberLife extends Life {
  readonly world: SimWorld;
  readonly incarnation: number;
  readonly gossip: Gossip;
  readonly peers: SimPeers;
  readonly keeper: RingKeeper;
  tell(input: Input): void;
}

const safetyMs = 120_000;
const livenessMs = 300_000;
const sampleMs = 500;
/** A silence becomes a verdict after some 20 s, and a report holds 40 s. */
const wellMs = 40_000;
/** A process that is gone is down for everybody in good company after this. */
const noticedMs = 60_000;
/** What an operator asks for is known to all within reach after this. */
const toldMs = 20_000;
/** How long a machine that has ended waits for its next life. */
const restartMs = 3_000;
const ringTurnMs = 2_000;
/** Above the faults that are drawn by their kind. */
const wakesId = 1_000;
const points = ['attached', 'detached', 'member-suspect', 'member-down', 'member-removed', 'app-changed', 'ring'];

function plan(draw: Draw): SimPlan {
  const processes = Array.from({ length: 5 + whole(draw('processes'), 5) }, (_, index) => `n${index + 1}`);
  const operations = Array.from({ length: whole(draw('operations'), 5) }, (_, id): Operation => {
    const of = (what: string): number => draw('operation', id, what);
    const on = processes[whole(of('on'), processes.length)] as string;
    const others = processes.filter(name => name !== on);
    return {
      id,
      atMs: 15_000 + Math.floor(of('at') * (safetyMs - noticedMs - 20_000)),
      on,
      name: ['kill', 'stop', 'remove', 'mark-down'][whole(of('name'), 4)] as string,
      key: others[whole(of('other'), others.length)] as string,
      value: 0,
    };
  });
  const kinds: FaultKind[] = ['crash', 'power', 'stop', 'suspend', 'wall', ...networkFaults];
  const faults = planFaults({ draw, kinds, processes, points, safetyMs, longestMs: 60_000 });
  return { processes, operations, faults: [...faults, ...wakesAlone(draw, processes)], safetyMs, livenessMs };
}

/**
 * In some runs: one stands still for long, as a machine whose lid is shut, and reaches nobody for the first moments in which it runs again; of
 * some nothing waits by then that others had said meanwhile.
 */
function wakesAlone(draw: Draw, processes: readonly string[]): Fault[] {
  if (draw('wakes alone') < 0.7) return [];
  const of = (what: string): number => draw('wakes alone', what);
  const on = processes[whole(of('on'), processes.length)] as string;
  const [atMs, forMs] = [wellMs + whole(of('at'), 25_000), 12_000 + whole(of('for'), 25_000)];
  const awakeMs = 1_000 + whole(of('alone'), 6_000);
  const from = of('all the time') < 0.6 ? atMs : atMs + forMs - 1;
  const fault = { on, other: on, draw: 0 };
  return [
    { ...fault, id: wakesId, kind: 'stop', when: { atMs }, forMs },
    { ...fault, id: wakesId + 1, kind: 'alone', when: { atMs: from }, forMs: atMs + forMs + awakeMs - from },
  ];
}

class MembershipRun implements ScenarioRun<MemberLife> {
  readonly #sim: Simulation<MemberLife>;
  readonly #names: readonly string[];
  readonly #corrupts: boolean;
  readonly #wellbeing = new Wellbeing(wellMs);
  readonly #removed = new Set<string>();
  /** What each claim came to, by what it was made of. */
  readonly #claims = new Map<string, { readonly by: string; readonly owners: string }>();

  constructor(sim: Simulation<MemberLife>, { processes }: SimPlan) {
    this.#sim = sim;
    this.#names = processes;
    const ways = waysOf(sim.draw);
    this.#corrupts = ways.corrupt > 0;
    for (const from of processes) for (const to of processes) if (from !== to) sim.network.set(from, to, ways);
    this.#sample();
  }

  program(): Program<MemberLife> {
    return async world => {
      const { name, clock, files, random, life } = world;
      const stored = textOf(files.get('incarnation'));
      const incarnation = Math.max(Number(stored ?? 0) + 1, Math.floor(clock.now() / 1_000));
      files.set('incarnation', bytesOf(String(incarnation)));
      const keeper = new RingKeeper({ name, first: this.#names[0] as string, stored: textOf(files.get('ring')) });
      const gossip = new Gossip(
        {
          cluster: 'sim',
          name,
          incarnation,
          address: `${name}:1`,
          seeds: this.#names.slice(0, 2).map(seed => `${seed}:1`),
          random: () => random.u32(),
          app: keeper.app,
        },
        clock.mono(),
      );
      const view = new View({
        by: name,
        wellbeing: this.#wellbeing,
        quarantineMs: gossipDefaults.quarantineMs,
        isRemoved: member => this.#removed.has(member),
      });
      const tell = (input: Input): void => {
        for (const effect of gossip.step(input, clock.mono())) this.#carryOut(effect, made, view);
      };
      const peers = await SimPeers.start({
        world,
        life,
        names: this.#names,
        bytesMax: 131_072,
        giveUpMs: 10_000,
        corrupts: this.#corrupts,
        onFrame: ({ peer }, frame) => tell({ type: 'heard', message: JSON.parse(textOf(frame) as string), via: peer }),
        onAttached: ({ peer }) => tell({ type: 'link-up', name: peer }),
        onDetached: ({ peer }) => tell({ type: 'link-down', name: peer }),
        onTrouble: what => this.#sim.violation(what),
      });
      const made: MemberLife = { world, incarnation, gossip, peers, keeper, tell };
      const tick = (): void => {
        tell({ type: 'tick' });
        if (gossip.halted === undefined) clock.timer(Math.max(1, gossip.nextAt - clock.mono()), tick);
      };
      clock.timer(random.float() * gossipDefaults.roundMs, tick);
      clock.timer(ringTurnMs, () => this.#ringTurn(made));
      return made;
    };
  }

  #carryOut(effect: Effect, life: MemberLife, view: View): void {
    const { world, peers, keeper } = life;
    if (effect.type === 'send') {
      const { via, name, address } = effect.to;
      const to = (via as string | undefined) ?? name ?? (address as string).split(':')[0];
      // Without a link, or with a full one, it is lost: gossip says it again.
      peers.link(to as string)?.send(bytesOf(JSON.stringify(effect.message)));
      return;
    }
    const { event } = effect;
    world.mark(event.name);
    if (event.name === 'member-down' || event.name === 'member-suspect') this.#look();
    const wrong = view.saw(event, this.#sim.now, world.clock.mono());
    if (wrong !== undefined) this.#sim.violation(wrong);
    if (event.name === 'halted') this.#restart(life);
    if (event.name === 'app-changed' && event.app !== undefined && keeper.heard(event.member, event.app))
      this.#holds(life);
  }

  /** A machine that has ended ends its process. */
  #restart({ world }: MemberLife): void {
    const target = this.#process(world.name);
    this.#wellbeing.disturbed(world.name, this.#sim.now);
    this.#sim.plan(undefined, restartMs, 'restart', () => {
      if (target.lives !== world.life) return;
      target.crash('its machine has ended');
      target.start();
    });
  }

  #ringTurn(life: MemberLife): void {
    const { world, gossip, keeper } = life;
    if (gossip.halted !== undefined) return;
    world.clock.timer(ringTurnMs, () => this.#ringTurn(life));
    const of = (status: string): Set<string> =>
      new Set(gossip.members(world.clock.mono()).flatMap(row => (row.status === status ? [row.name] : [])));
    const members: Members = { up: of('up'), removed: of('removed') };
    if (keeper.turn(members)) this.#holds(life);
  }

  /** It holds another ring: stored, told, and asked what a claim would make of it. */
  #holds({ world, keeper, tell }: MemberLife): void {
    world.mark('ring');
    world.files.set('ring', bytesOf(JSON.stringify(keeper.ring)));
    tell({ type: 'set', change: { app: keeper.app } });
    const { input, owners } = keeper.claimed(name => hashOf(0, [world.name, name]));
    const claim = { by: world.name, owners: owners.join(' ') };
    const other = this.#claims.get(input);
    this.#claims.set(input, claim);
    if (other !== undefined && other.owners !== claim.owners)
      this.#sim.violation(`${other.by} and ${claim.by} claim differently: ${other.owners} and ${claim.owners}`);
  }

  begun(): void {
    // The oracles are told by the machines.
  }

  told(): void {
    // As above.
  }

  async perform({ name, key }: Operation, life: MemberLife): Promise<void> {
    switch (name) {
      case 'kill':
        return this.#kill(this.#process(life.world.name));
      case 'stop':
        return life.tell({ type: 'stop' });
      case 'remove':
        return this.#remove(life, key);
      default:
        this.#wellbeing.disturbed(key, this.#sim.now);
        return life.tell({ type: 'mark-down', name: key });
    }
  }

  /** Everybody who was in reach of the one who was asked must know soon. */
  #remove(life: MemberLife, key: string): void {
    const by = life.world.name;
    const askedAt = this.#sim.now;
    const removed = rowOf(life, key);
    // Not one that has just woken up and has its connections yet to make.
    const wellAt = askedAt - 2 * sampleMs;
    this.#look();
    this.#removed.add(key);
    this.#wellbeing.disturbed(key, askedAt);
    life.tell({ type: 'remove', name: key });
    this.#sim.plan(undefined, toldMs, 'told?', () => {
      for (const name of this.#names) {
        const other = this.#process(name).life;
        const since = Math.max(...[name, by].map(each => this.#wellbeing.runsSince(each)));
        const isWell = Math.max(since, this.#wellbeing.togetherSince(by, name)) <= wellAt;
        if (removed === undefined || other === undefined || name === key || !isWell) continue;
        const row = rowOf(other, key);
        if (row?.incarnation === removed.incarnation && row.status !== 'removed' && other.gossip.halted === undefined)
          this.#sim.violation(`${name} says ${key} is ${row.status}, which was removed ${toldMs} ms ago by ${by}`);
      }
    });
  }

  /** It stays down until the heal, and whoever was in good company all the time must know. */
  #kill(target: SimProcess<MemberLife>): void {
    const killedAt = this.#sim.now;
    const { lives } = target;
    this.#sim.plan(undefined, 0, 'kill', () => target.crash('killed'));
    this.#sim.plan(undefined, noticedMs, 'noticed?', () => {
      if (target.lives !== lives || target.state !== 'down') return;
      const since = (name: string): Millis => this.#wellbeing.runsSince(name);
      const well = this.#names.filter(name => since(name) <= killedAt && this.#process(name).state === 'up');
      for (const name of well) {
        const company = well.filter(other => other !== name && this.#wellbeing.togetherSince(name, other) <= killedAt);
        const life = this.#process(name).life;
        if (company.length < 2 || life === undefined || life.gossip.halted !== undefined) continue;
        const row = rowOf(life, target.name);
        if (row?.status === 'up' || row?.status === 'suspect')
          this.#sim.violation(`${name} says ${target.name} is ${row.status}, which died ${noticedMs} ms ago`);
      }
    });
  }

  async rest(): Promise<string | undefined> {
    const lives: MemberLife[] = [];
    for (const name of this.#names) {
      const { life } = this.#process(name);
      if (life === undefined || life.gossip.halted !== undefined) return `${name} does not run`;
      lives.push(life);
    }
    const { ring } = (lives[0] as MemberLife).keeper;
    for (const { world, gossip, keeper } of lives) {
      const rows = gossip.members(world.clock.mono());
      if (rows.length !== lives.length) return `${world.name} knows ${rows.length} of ${lives.length} members`;
      for (const { name, status, incarnation } of rows) {
        const now = this.#process(name).life?.incarnation;
        if (status !== 'up' || incarnation !== now)
          return `${world.name} says ${name} is ${status} in life ${incarnation}, which is up in ${now}`;
      }
      if (ringHash(keeper.ring) !== ringHash(ring)) return `${world.name} holds another ring than ${this.#names[0]}`;
    }
    const valid = ring.members.filter(({ status }) => status === 'valid').map(({ name }) => name);
    if (valid.length !== lives.length || ring.members.length !== lives.length) return `in the ring: ${valid.join(' ')}`;
    return ring.next.length > 0 ? `${ring.next.length} transfers are left` : undefined;
  }

  async verdict(): Promise<readonly string[]> {
    const { owners } = (this.#process(this.#names[0] as string).life as MemberLife).keeper.ring;
    const counts = this.#names.map(name => owners.filter(owner => owner === name).length);
    const isEven = Math.max(...counts) - Math.min(...counts) <= 1;
    return isEven ? [] : [`the ring is uneven: ${owners.join(' ')}`];
  }

  #process(name: string): SimProcess<MemberLife> {
    return this.#sim.processes.get(name) as SimProcess<MemberLife>;
  }

  #sample(): void {
    this.#sim.plan(undefined, sampleMs, 'sample', () => {
      this.#sample();
      this.#look();
    });
  }

  /** Who runs, and who reaches whom. */
  #look(): void {
    const { network, now } = this.#sim;
    const running = new Map<string, MemberLife>();
    for (const name of this.#names) {
      const { state, life } = this.#process(name);
      if (state === 'up' && life !== undefined && life.gossip.halted === undefined) running.set(name, life);
    }
    const isFree = (a: string, b: string): boolean =>
      network.faultsOf(a, b) !== undefined && running.get(a)?.peers.isAttached(b) === true;
    const groups = groupsOf([...running.keys()], (a, b) => isFree(a, b) && isFree(b, a));
    this.#wellbeing.sample(this.#names, groups, now);
  }
}

const rowOf = ({ gossip, world }: MemberLife, name: string): MemberView | undefined =>
  gossip.members(world.clock.mono()).find(row => row.name === name);

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const bytesOf = (text: string): Uint8Array => encoder.encode(text);
const textOf = (bytes: Uint8Array | undefined): string | undefined => bytes && decoder.decode(bytes);

export const membership: Scenario<MemberLife> = {
  name: 'membership',
  plan,
  begin: (sim, plan) => new MembershipRun(sim, plan),
};
