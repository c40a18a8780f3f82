// Whole nodes on a simulated network and virtual time: the same gateway, links, membership and ring as in production, with memory
// for disks. What `kit.cluster(n)` gives to people who test their actors, and what we test clusters with.
//
//     node = host of one thread + gateway ── Peers ── VirtualNetwork ── Peers ── gateway + host
//     crash ─▶ memory and connections are gone, its disk is not ─▶ restart ─▶ the next life on the same disk
//
// Nothing reaches another node without time: `run(promise)` moves time until it has settled.

import { TroupeError } from '../errors.ts';
import type { Actor } from '../runtime/actor.ts';
import type { Cluster } from '../runtime/cluster/cluster.ts';
import type { HandoffHooks } from '../runtime/cluster/handoff-hooks.ts';
import type { RingMemory } from '../runtime/cluster/ring-memory.ts';
import type { ActorType } from '../runtime/define-actor.ts';
import { chunkAfter, type EpochMemory, epochMemory } from '../runtime/epochs.ts';
import type { Gateway } from '../runtime/gateway/gateway.ts';
import type { Host } from '../runtime/host.ts';
import type { MemberView } from '../runtime/membership/gossip-types.ts';
import type { RingState } from '../runtime/ownership/holdings.ts';
import type { Ref } from '../runtime/refs.ts';
import type { Relocation } from '../runtime/relocate-here.ts';
import type { Log } from '../runtime/world.ts';
import { MemoryStore } from '../storage/memory-store.ts';
import type { RecordedEvent } from './kit.ts';
import { NodeLife } from './node-life-host.ts';
import { type Faults, VirtualNetwork } from './virtual-network.ts';
import { seededRandom, type VirtualClock, type VirtualWorld, virtualWorld } from './virtual-world.ts';

export interface ClusterKitOptions {
  readonly seed?: number;
  readonly actors: readonly ActorType<any>[];
  readonly partitions?: number;
  readonly logger?: Log;
  /** What every way between two nodes meets: latency, jitter, loss of connections. */
  readonly faults?: Partial<Faults>;
  /** As the option of a node. Default true. */
  readonly autoJoin?: boolean;
  /** As the option of a node. Default 1. */
  readonly replicas?: number;
  /** In place of what moves the data of partitions: for tests of the ring. */
  readonly handoffs?: (cluster: Cluster, node: string) => HandoffHooks;
}

const partitionsDefault = 64;
/** How long turns may go on when a node is stopped. */
const drainMs = 1_000;

/** One node, over all its lives. */
export class KitNode {
  readonly name: string;
  /** Everything node.on() would have heard, in all lives. */
  readonly events: RecordedEvent[] = [];
  readonly #kit: ClusterKit;
  /** Its disk: diskFull, hold(), flipBit() ... It outlives the node. */
  readonly disk: MemoryStore;
  #epochs: EpochMemory | undefined;
  #state: RingState | undefined;
  #vote: RingMemory['vote'];
  #incarnation = 0;
  #life: NodeLife | undefined;

  constructor(name: string, kit: ClusterKit) {
    this.name = name;
    this.#kit = kit;
    this.disk = new MemoryStore({ soon: fn => kit.clock.soon(fn) });
  }

  get isUp(): boolean {
    return this.#life !== undefined;
  }

  get host(): Host {
    return this.#alive().member.host;
  }

  get gateway(): Gateway {
    return this.#alive().gateway;
  }

  get cluster(): Cluster {
    return this.#alive().cluster;
  }

  #alive(): NodeLife {
    if (this.#life === undefined) throw new TroupeError('STOPPED', `node ${this.name} is down: restart it first`);
    return this.#life;
  }

  ref<A extends Actor<any>>(type: ActorType<A>, key: string): Ref<A> {
    return this.host.ref(type, key);
  }

  /** Moves an actor to another node, as node.relocate() does. */
  relocate(type: ActorType<any>, key: string, to: string): Promise<Relocation> {
    return this.#alive().relocate(type, key, to);
  }

  members(): MemberView[] {
    return this.cluster.members();
  }

  /** Is that actor awake on this node? */
  runs(type: ActorType<any>, key: string): boolean {
    return this.#life?.member.host.byName.get(type.type)?.live.has(key) === true;
  }

  async start(others: readonly string[]): Promise<void> {
    if (this.#life !== undefined) return;
    const { options, network, partitions } = this.#kit;
    const world = this.#kit.worldOf(this.name);
    const base = this.#epochs === undefined ? 1 : chunkAfter(this.#epochs);
    const epochs = epochMemory(base);
    this.#epochs = epochs;
    this.#incarnation++;
    const emit = (name: string, payload: unknown): void => {
      if (this.#life === life) this.events.push({ name, payload });
    };
    const refuse = (): void => {
      if (this.#life !== life) throw new TroupeError('STOPPED', `that life of ${this.name} is over`);
      if (this.disk.diskFull) throw new TroupeError('DISK_FULL', `the disk of ${this.name} is full`);
    };
    const life: NodeLife = new NodeLife({
      name: this.name,
      types: options.actors,
      partitions,
      world,
      engine: this.disk,
      transport: network.transport(this.name),
      epochs,
      incarnation: Math.floor(world.clock.now() / 1_000) + this.#incarnation,
      others,
      memory: {
        ...{ state: this.#state, vote: this.#vote },
        saveState: async state => {
          refuse();
          this.#state = state;
        },
        saveVote: async vote => {
          refuse();
          this.#vote = vote;
        },
      },
      autoJoin: options.autoJoin ?? true,
      replicas: options.replicas,
      handoffs: (own, gateway) => options.handoffs?.(own, this.name) ?? gateway.handoffs.attach(own),
      emit,
    });
    this.#life = life;
    await life.open();
  }

  /** Memory and connections are gone at once, as with kill -9. `silent`: as if the machine had lost its power, too. */
  crash(silent: boolean): void {
    if (this.#life === undefined) return;
    this.#kit.network.crash(this.name, { silent });
    this.#kit.retire(this.name);
    this.#life.member.host.halt();
    this.#life = undefined;
    this.disk.crash();
  }

  async stop(): Promise<void> {
    const life = this.#life;
    if (life === undefined) return;
    await life.member.host.drain(drainMs);
    life.member.host.halt();
    life.member.router.stop();
    await life.cluster.stop();
    this.#life = undefined;
  }
}

export class ClusterKit {
  readonly seed: number;
  readonly clock: VirtualClock;
  readonly network: VirtualNetwork;
  readonly nodes: readonly KitNode[];
  readonly options: ClusterKitOptions;
  readonly partitions: number;
  readonly #world: VirtualWorld;
  readonly #lives = new Map<string, { over: boolean }>();

  /** Use createCluster() or kit.cluster(). */
  constructor(count: number, options: ClusterKitOptions) {
    this.options = options;
    this.seed = options.seed ?? 1;
    this.partitions = options.partitions ?? partitionsDefault;
    this.#world = virtualWorld({ seed: this.seed, log: options.logger });
    this.clock = this.#world.clock;
    this.network = new VirtualNetwork({
      clock: this.clock,
      random: seededRandom(this.seed + 1),
      faults: options.faults ?? {},
    });
    this.nodes = Array.from({ length: count }, (_, index) => new KitNode(`n${index + 1}`, this));
    this.clock.rest = () => this.settle();
  }

  /** A world whose timers end with the life of the node. */
  worldOf(name: string): VirtualWorld {
    const life = { over: false };
    this.#lives.set(name, life);
    const { clock } = this;
    const own = Object.create(clock) as VirtualClock;
    const alive = (fn: () => void) => (): void => {
      if (!life.over) fn();
    };
    own.timer = (delayMs, fn) => clock.timer(delayMs, alive(fn));
    own.soon = fn => clock.soon(alive(fn));
    own.now = () => clock.now();
    own.mono = () => clock.mono();
    return { ...this.#world, clock: own };
  }

  retire(name: string): void {
    const life = this.#lives.get(name);
    if (life !== undefined) life.over = true;
  }

  node(name: string): KitNode {
    const node = this.nodes.find(each => each.name === name);
    if (node === undefined)
      throw new TroupeError(
        'BAD_OPTION',
        `no node '${name}'; there are ${this.nodes.map(each => each.name).join(', ')}`,
      );
    return node;
  }

  /** These nodes, or all, each joining through the others, until they have a ring. `through`: through those. */
  async start(
    names: readonly string[] = this.nodes.map(({ name }) => name),
    through: readonly string[] = names,
  ): Promise<void> {
    for (const name of names) await this.run(this.node(name).start(through.filter(each => each !== name)));
    await this.run(Promise.all(names.map(name => this.node(name).cluster.ready())), 60_000);
  }

  private startNode(name: string): Promise<void> {
    return this.node(name).start(this.nodes.filter(each => each.name !== name).map(each => each.name));
  }

  /** Moves time until this has settled. Rejects with DEADLINE when it has not within so many virtual ms. */
  async run<T>(work: Promise<T>, withinMs: number = 10_000): Promise<T> {
    let settled = false;
    const done = (): void => {
      settled = true;
    };
    work.then(done, done);
    await this.settle();
    for (let passed = 0; !settled && passed < withinMs; passed++) await this.clock.advance(1);
    if (!settled) throw new TroupeError('DEADLINE', `not settled within ${withinMs} virtual ms`);
    return work;
  }

  /** Everything that needs no time has happened. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 3; quiet = this.clock.isBusy ? 0 : quiet + 1) await this.clock.loopTurn();
  }

  /** Only nodes of the same group reach each other. */
  partition(groups: readonly (readonly string[])[]): void {
    for (const name of groups.flat()) this.node(name);
    this.network.partition(groups);
  }

  heal(): void {
    this.network.heal();
  }

  async crash(name: string, options: { silent?: boolean } = {}): Promise<void> {
    this.node(name).crash(options.silent ?? false);
    await this.settle();
  }

  /** The next life of a node that is down, on its disk; or the first of one that has not been started. */
  async restart(name: string): Promise<void> {
    await this.run(this.startNode(name));
  }

  async close(): Promise<void> {
    for (const node of this.nodes) if (node.isUp) await this.run(node.stop());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

export async function createCluster(nodes: number, options: ClusterKitOptions): Promise<ClusterKit> {
  if (!Number.isInteger(nodes) || nodes < 1 || nodes > 16)
    throw new TroupeError('BAD_OPTION', `a simulated cluster has 1 to 16 nodes, not ${nodes}`);
  const kit = new ClusterKit(nodes, options);
  await kit.start();
  return kit;
}
