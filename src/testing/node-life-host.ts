// One life of a node on a simulated network: the same host, gateway, links, membership and ring as in production, on whatever world,
// disk and transport it is given. The test kit and the simulator make their nodes here.

import { createHmac } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { Cluster } from '../runtime/cluster/cluster.ts';
import type { HandoffHooks } from '../runtime/cluster/handoff-hooks.ts';
import type { RingMemory } from '../runtime/cluster/ring-memory.ts';
import type { ActorType } from '../runtime/define-actor.ts';
import { type EpochMemory, raiseEpochs } from '../runtime/epochs.ts';
import type { Gateway } from '../runtime/gateway/gateway.ts';
import { type NodeTableData, withoutRing } from '../runtime/gateway/node-table.ts';
import { Peers } from '../runtime/links/peers.ts';
import type { WireTransport } from '../runtime/links/wire.ts';
import type { GossipOptions } from '../runtime/membership/gossip-types.ts';
import { type PartitionTable, spread } from '../runtime/placement.ts';
import type { BaseRef } from '../runtime/refs.ts';
import { relocateAcross } from '../runtime/relocate-across.ts';
import type { Relocation } from '../runtime/relocate-here.ts';
import { type LeaseWords, leaseWords } from '../runtime/replicas/lease-guard.ts';
import { type Member, type MemberOptions, makeMember } from '../runtime/thread-host.ts';
import type { Clock, World } from '../runtime/world.ts';
import type { Engine } from '../storage/engine.ts';
import { MemoryFabric } from './memory-fabric.ts';

export interface Threads {
  readonly count: number;
  /** What may wait on the way from one to another. */
  readonly linkBytes: number;
  world(thread: number): World;
  /** On the disk of the node. `gate`: what happens there happens through it, and not at all when its thread has died. */
  engine(gate: (fn: () => void) => () => void): Engine;
}

export interface NodeLifeOptions {
  readonly name: string;
  readonly types: readonly ActorType<any>[];
  readonly partitions: number;
  readonly world: World;
  readonly engine: Engine;
  readonly transport: WireTransport;
  readonly epochs: EpochMemory;
  /** Resolves when no later life begins below that limit. */
  readonly storeEpochs?: (limit: number) => Promise<void>;
  readonly incarnation: number;
  /** The other nodes of the cluster, by name. */
  readonly others: readonly string[];
  readonly memory: RingMemory;
  readonly autoJoin: boolean;
  /** How many nodes keep each partition. Default 1. */
  readonly replicas?: number | undefined;
  readonly gossip?: Partial<GossipOptions> | undefined;
  /** Host threads beside the calling one; each sees the world in its own way. Default none. */
  readonly threads?: Threads | undefined;
  readonly handoffs: (cluster: Cluster, gateway: Gateway) => HandoffHooks;
  emit(name: string, payload: unknown): void;
}

const secret = 'the secret of a simulated cluster';
export const addressOf = (name: string): string => `${name}:7001`;

/** As long as the first pause of a thread pool. */
const threadBackoffMs = 50;

interface Mortal {
  readonly world: World;
  gate(fn: () => void): () => void;
  end(): void;
  /** For so long nothing of it happens; then all of it, in order. */
  hang(ms: number): void;
}

/** A world in which nothing that was planned happens any more, once it has ended. */
function mortal(world: World): Mortal {
  let isOver = false;
  let late: (() => void)[] | undefined;
  const unlessOver = (fn: () => void) => (): void => {
    if (isOver) return;
    if (late === undefined) fn();
    else late.push(fn);
  };
  const goOn = (): void => {
    const all = late ?? [];
    late = undefined;
    for (const fn of all) unlessOver(fn)();
  };
  const { clock } = world;
  const own: Clock = {
    now: () => clock.now(),
    mono: () => clock.mono(),
    timer: (delayMs, fn) => clock.timer(delayMs, unlessOver(fn)),
    soon: fn => clock.soon(unlessOver(fn)),
    micro: fn => clock.micro(unlessOver(fn)),
  };
  return {
    world: { ...world, clock: own },
    gate: unlessOver,
    end: () => {
      isOver = true;
    },
    hang: ms => {
      if (late !== undefined) return;
      late = [];
      clock.timer(ms, goOn);
    },
  };
}

export class NodeLife {
  /** Of the thread that speaks for the node. */
  readonly member: Member;
  /** Of all of its threads, by number. */
  readonly members: Member[];
  readonly cluster: Cluster;
  readonly #options: NodeLifeOptions;
  readonly #leases: LeaseWords | undefined;
  readonly #fabric: MemoryFabric;
  /** By thread: how often it has been started anew. */
  readonly #lives: number[];
  /** By thread: its life. */
  readonly #mortals = new Map<number, Mortal>();
  /** Those whose next life has not begun yet. */
  readonly #dead = new Set<number>();
  /** By thread that has died: who has not taken the links to its next life yet. */
  readonly #replacing = new Map<number, { readonly waiting: Set<number>; readonly done: () => void }>();

  constructor(options: NodeLifeOptions) {
    this.#options = options;
    const { name, partitions, world, epochs, incarnation, emit, replicas = 1 } = options;
    this.#leases = replicas > 1 ? leaseWords(partitions) : undefined;
    const count = 1 + (options.threads?.count ?? 0);
    const hostThreads = Array.from({ length: count - 1 }, (_, at) => at + 1);
    this.#lives = new Array<number>(count).fill(0);
    this.#fabric = new MemoryFabric(count, options.threads?.linkBytes ?? 0);
    const table = spread(partitions, count === 1 ? [0] : hostThreads);
    const nodes = withoutRing(name, partitions);
    this.member = makeMember({
      ...{ ...this.#shared(), thread: 0, life: 0, lives: [...this.#lives], table: table.slice(), nodes, world },
      gateway: {
        replicas: replicas > 1 ? { replicas, epochs } : undefined,
        onBroken: (node, error) => this.cluster.onBroken(node, error),
        raiseEpochs: above => raiseEpochs(epochs, above, options.storeEpochs ?? (async () => undefined)),
      },
    });
    this.members = [this.member, ...hostThreads.map(thread => this.#thread(thread, table.slice(), nodes))];
    this.cluster = new Cluster(this.gateway, {
      cluster: 'kit',
      name,
      incarnation,
      partitions,
      zone: '',
      rack: '',
      weight: 1,
      join: options.others.map(addressOf),
      autoJoin: options.autoJoin,
      memory: options.memory,
      gossip: options.gossip ?? {},
      world,
      handoffs: own => options.handoffs(own, this.gateway),
      emit,
      peers: handlers =>
        new Peers({
          ...handlers,
          name,
          incarnation,
          partitions,
          cluster: 'kit',
          listen: addressOf(name),
          advertise: undefined,
          peerVia: {},
          secret,
          insecure: true,
          world,
          transport: options.transport,
          crc32,
          hmac: (key, data) => createHmac('sha256', key).update(data).digest(),
        }),
    });
  }

  get gateway(): Gateway {
    return this.member.router.gateway as Gateway;
  }

  /** Its lease for that partition, which others keep, too, lasts at this moment: turns may begin. */
  mayRun(partition: number): boolean {
    const [words, { clock }] = [this.#leases, this.#options.world];
    if (words === undefined) return false;
    const [until, wallUntil] = [words[partition + 1] as number, words[words.length / 2 + partition + 1] as number];
    return Number.isFinite(until) && clock.mono() <= until && clock.now() <= wallUntil;
  }

  #shared(): Omit<MemberOptions, 'thread' | 'life' | 'lives' | 'table' | 'nodes' | 'world'> {
    const { name, partitions, epochs, types, engine, emit } = this.#options;
    return {
      ...{ node: name, threads: this.#lives.length, partitions, fabric: this.#fabric, epochs, types, engine },
      ...{ residentsMax: undefined, relocateTurnMs: undefined, leases: this.#leases },
      events: { emit },
      onBroken: (_peer, error) => {
        throw error;
      },
    };
  }

  #thread(thread: number, table: PartitionTable, nodes: NodeTableData): Member {
    const { world: worldOf, engine: engineOf } = this.#options.threads as Threads;
    const own = mortal(worldOf(thread));
    this.#mortals.set(thread, own);
    const { world } = own;
    const lives = [...this.#lives];
    const engine = engineOf(own.gate);
    return makeMember({ ...this.#shared(), engine, thread, life: lives[thread] as number, lives, table, nodes, world });
  }

  /**
   * One of its host threads dies, and another life of it begins a while later: as Troupe does it (thread-troupe.ts). Resolves when the next one
   * has begun. What it had handed in to the store, and was not committed, is lost.
   */
  async threadDies(thread: number): Promise<void> {
    const { members, member, gateway } = this;
    const dead = members[thread];
    if (dead === undefined || thread === 0 || this.#dead.has(thread)) return;
    this.#dead.add(thread);
    this.#mortals.get(thread)?.end();
    this.#fabric.die(thread);
    dead.host.halt();
    for (const other of [...this.#replacing.keys()]) this.#ringsTaken(other, thread);
    member.port.drainRemainder(thread);
    member.overseer?.threadDied(thread, this.#lives[thread] as number);
    await this.#replaceRings(thread);
    await new Promise<void>(again => this.#options.world.clock.timer(threadBackoffMs, again));
    this.#lives[thread] = (this.#lives[thread] as number) + 1;
    const next = this.#thread(thread, member.router.places.table.slice(), gateway.nodes.data());
    members[thread] = next;
    this.#dead.delete(thread);
    next.port.start();
    member.overseer?.threadJoined(thread, this.#lives[thread] as number);
  }

  /** Resolves when all that live have them; of one that dies meanwhile nobody waits for it. */
  #replaceRings(of: number): Promise<void> {
    const alive = this.members.filter(({ host }) => !this.#dead.has(host.thread));
    const rings = { peer: of, generation: 0, toPeer: [], fromPeer: [] };
    return new Promise(done => {
      this.#replacing.set(of, { waiting: new Set(alive.map(({ host }) => host.thread)), done });
      for (const { host, replaceRings } of alive) replaceRings(rings, () => this.#ringsTaken(of, host.thread));
    });
  }

  #ringsTaken(of: number, by: number): void {
    const entry = this.#replacing.get(of);
    entry?.waiting.delete(by);
    if (entry?.waiting.size !== 0) return;
    this.#replacing.delete(of);
    entry.done();
  }

  /** One of its host threads does nothing for so long, as one whose handler blocks the loop. */
  threadHangs(thread: number, ms: number): void {
    this.#mortals.get(thread)?.hang(ms);
  }

  /** Nothing of it goes on. */
  halt(): void {
    for (const { host, port } of this.members) {
      host.halt();
      port.stop();
    }
  }

  /** On how many of its threads that actor is awake. */
  awake(type: string, key: string): number {
    return this.members.filter(({ host }) => host.byName.get(type)?.live.has(key) === true).length;
  }

  /** Listens, and joins the others. */
  async open(): Promise<void> {
    const { host } = this.member;
    const { member, members, gateway } = this;
    for (const { port } of members) port.start();
    gateway.load();
    for (const { host } of members.slice(1)) member.overseer?.welcome(host.thread);
    gateway.on('relocate', (_from, { type, key, to }) =>
      this.relocate(host.byName.get(String(type))?.source as ActorType, String(key), String(to)),
    );
    if (members.length === 1)
      host.reminders.load(Array.from({ length: this.#options.partitions }, (_, partition) => partition));
    await this.cluster.start();
  }

  /** Moves an actor to another node, as node.relocate() does. */
  relocate(type: ActorType<any>, key: string, to: string): Promise<Relocation> {
    const { member } = this;
    const threads = this.members.length - 1;
    const at = { node: this.#options.name, threads, member, lives: this.#lives, epoch: async () => 0 };
    return relocateAcross(at, this.gateway, member.host.ref(type, key) as unknown as BaseRef, to);
  }
}
