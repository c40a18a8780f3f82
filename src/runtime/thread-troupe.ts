// All hosts of one process as one thing: the calling thread's host, the pool of host threads, and what joins them. With
// `threads: 0` it is a single host that is alone. An edge; node.ts puts names, files and stores around it.
//
//   a thread dies ─▶ overseer: everybody hears, partitions go to other host threads, if any ─▶ fresh rings everywhere ─▶ next life after a
//   back-off ─▶ hello ─▶ overseer: joined

import { TroupeError } from '../errors.ts';
import type { Engine, EngineOptions } from '../storage/engine.ts';
import { openEngine } from '../storage/open-engine.ts';
import type { Actor } from './actor.ts';
import type { ActorType } from './define-actor.ts';
import { type EpochMemory, Epochs } from './epochs.ts';
import type { Gateway, GatewayEdges } from './gateway/gateway.ts';
import type { NodeTableData } from './gateway/node-table.ts';
import { Host } from './host.ts';
import { checkActorKey } from './ids.ts';
import { tableBytes } from './overseer.ts';
import { spread } from './placement.ts';
import { Rebalancer } from './rebalance/rebalancer.ts';
import { type AnyRef, BaseRef, KEY, type Ref, TYPE } from './refs.ts';
import { relocateAcross } from './relocate-across.ts';
import { type Relocation, relocateHere } from './relocate-here.ts';
import { type LeaseWords, leaseWords } from './replicas/lease-guard.ts';
import { LocalRouter } from './router.ts';
import { describeHost, epochAt, type Member, makeMember, ringFabric } from './thread-host.ts';
import { Jobs } from './thread-jobs.ts';
import { ThreadPool } from './thread-pool.ts';
import { createFabric, type FabricMemory, type PeerRings, replacePeer } from './thread-port.ts';
import { endAll } from './thread-stop.ts';
import type { FromThread, ThreadTask } from './thread-task.ts';
import type { Cancel, World } from './world.ts';

export interface TroupeOptions {
  readonly node: string;
  readonly threads: number;
  readonly partitions: number;
  readonly epochs: EpochMemory;
  readonly engine: EngineOptions;
  readonly types: readonly ActorType[];
  readonly world: World;
  readonly heapMb: number | undefined;
  readonly residentsMax: number | undefined;
  readonly relocateTurnMs?: number | undefined;
  /** Slots go from busy threads to idle ones by themselves. */
  readonly rebalance?: boolean | undefined;
  /** Makes it a node among others; `nodes`: who owns what at first. */
  readonly gateway?: (GatewayEdges & { readonly nodes: NodeTableData }) | undefined;
  emit(name: string, payload: unknown): void;
}

export interface Location {
  readonly node: string;
  readonly thread: number;
  /** Epoch of the activation; 0 while the actor sleeps. */
  readonly epoch: number;
}

export class Troupe {
  readonly host: Host;
  /** Undefined: the host is alone. */
  readonly rebalancer: Rebalancer | undefined;
  private readonly options: TroupeOptions;
  private readonly engine: Engine;
  private readonly member: Member | undefined;
  private readonly fabric: FabricMemory | undefined;
  private readonly leases: LeaseWords | undefined;
  private pool: ThreadPool | undefined;
  private readonly lives: number[];
  private readonly replacing = new Map<number, { waiting: Set<number>; done: () => void }>();
  readonly jobs: Jobs = new Jobs();
  /** Host threads that have been given their task and have not died since. */
  private readonly running = new Set<number>();
  private readonly cancelPauses = new Set<Cancel>();
  private stopped = false;

  constructor(options: TroupeOptions) {
    this.options = options;
    const threads = options.threads + 1;
    this.lives = new Array<number>(threads).fill(0);
    for (const type of options.types) {
      if (options.threads > 0 && type.url === '')
        throw new TroupeError('BAD_OPTION', `actor type '${type.type}' has no module url; threads cannot import it`);
    }
    this.engine = openEngine({
      ...options.engine,
      writers: threads,
      runJob: (module, name, argument, lane) => this.jobs.run(module.href, name, argument, {}, lane),
    });
    const events = { emit: (name: string, payload: unknown): void => this.emit(name, payload) };
    if (options.threads === 0 && options.gateway === undefined) {
      this.host = new Host({
        node: options.node,
        thread: 0,
        world: options.world,
        epochs: new Epochs(options.epochs),
        events,
        types: options.types,
        partitions: options.partitions,
        engine: this.engine,
        residentsMax: options.residentsMax,
        router: host => new LocalRouter(host),
      });
      this.rebalancer = undefined;
      return;
    }
    this.fabric = createFabric({ threads });
    this.leases = options.gateway?.replicas && leaseWords(options.partitions);
    this.member = makeMember({
      node: options.node,
      thread: 0,
      life: 0,
      lives: this.lives,
      threads,
      partitions: options.partitions,
      table: spread(options.partitions, options.threads === 0 ? [0] : this.hostThreads()),
      fabric: ringFabric(this.fabric),
      epochs: options.epochs,
      types: options.types,
      engine: this.engine,
      world: options.world,
      events,
      residentsMax: options.residentsMax,
      relocateTurnMs: options.relocateTurnMs,
      nodes: options.gateway?.nodes,
      leases: this.leases,
      gateway: options.gateway,
      onBroken: (peer, error) => options.world.log.error({ err: error, peer }, 'a ring is broken'),
    });
    this.host = this.member.host;
    this.rebalancer = new Rebalancer(this.member.router);
    const { gateway } = this;
    gateway?.on('locate', (_from, { type, key, isGuest }) =>
      this.locateHere(String(type), String(key), isGuest === true),
    );
    gateway?.on('relocate', (_from, { type, key, to }) =>
      this.relocate(this.host.refByName(String(type), String(key)), String(to)),
    );
  }

  /** A listener of the user's may throw: that is no reason to stop what was going on. */
  private emit(name: string, payload: unknown): void {
    try {
      this.options.emit(name, payload);
    } catch (error) {
      this.options.world.log.error({ err: error, event: name }, 'a listener has thrown');
    }
  }

  private hostThreads(): number[] {
    return Array.from({ length: this.options.threads }, (_, index) => index + 1);
  }

  async start(): Promise<void> {
    await this.engine.ready?.().catch(async why => {
      await this.engine.close();
      throw why;
    });
    this.member?.port.start();
    if (this.options.threads === 0) {
      try {
        this.gateway?.load();
      } catch (error) {
        await this.stop(0);
        throw error;
      }
      this.host.reminders.load(Array.from({ length: this.options.partitions }, (_, partition) => partition));
      return;
    }
    const member = this.member as Member;
    this.pool = new ThreadPool(this.options.threads, this.options.heapMb, {
      onHello: () => undefined,
      onDeath: (thread, error) => void this.onDeath(thread, error),
      onMessage: (thread, message) => this.onMessage(thread, message),
    });
    const pool = this.pool;
    try {
      const starts = this.hostThreads().map(async thread => {
        await pool.start(this.taskFor(thread));
        this.running.add(thread);
      });
      await Promise.all(starts);
      this.gateway?.load();
      for (const thread of this.hostThreads()) member.overseer?.welcome(thread);
      if (this.options.rebalance === true) this.rebalancer?.resume();
    } catch (error) {
      // Those that did not come up have nothing to bring to an end, and would not answer.
      for (const peer of member.router.peers) if (peer !== undefined && !this.running.has(peer.thread)) peer.die();
      await this.stop(0);
      throw error;
    }
  }

  private taskFor(thread: number): Omit<ThreadTask, 'control'> {
    const { node, partitions, engine, types, epochs, residentsMax, relocateTurnMs, world } = this.options;
    const member = this.member as Member;
    return {
      thread,
      life: this.lives[thread] as number,
      threads: this.options.threads + 1,
      node,
      partitions,
      table: tableBytes(member.router.places.table),
      lives: this.lives,
      fabric: this.fabric as FabricMemory,
      epochs,
      types: types.map(({ url, type }) => ({ url, type })),
      engine: { ...engine, thread, memory: this.engine.memory },
      residentsMax,
      relocateTurnMs,
      logging: world.log !== undefined,
      nodes: this.gateway?.nodes.data(),
      leases: this.leases,
    };
  }

  // Deaths.

  private async onDeath(thread: number, error: Error): Promise<void> {
    if (this.stopped) return;
    const { world } = this.options;
    const { overseer, port } = this.member as Member;
    const pool = this.pool as ThreadPool;
    const diedAt = world.clock.mono();
    world.log.error({ err: error, thread }, 'a host thread died');
    this.running.delete(thread);
    this.ringsNeedNot(thread);
    port.drainRemainder(thread);
    this.engine.adopt?.(thread);
    overseer?.threadDied(thread, this.lives[thread] as number);
    this.emit('thread-died', { thread, error: error.message });
    await this.replaceRings(thread);
    for (;;) {
      await this.pause(pool.backoffMs(thread));
      if (this.stopped) return;
      this.lives[thread] = (this.lives[thread] as number) + 1;
      this.running.add(thread);
      try {
        await pool.start(this.taskFor(thread));
        break;
      } catch (cause) {
        this.running.delete(thread);
        this.ringsNeedNot(thread);
        world.log.error({ err: cause, thread }, 'a host thread could not be restarted; trying again');
      }
    }
    if (this.stopped) return;
    overseer?.threadJoined(thread, this.lives[thread] as number);
    this.emit('thread-restarted', { thread, afterMs: world.clock.mono() - diedAt });
  }

  private pause(ms: number): Promise<void> {
    return new Promise(resolve => {
      this.cancelPauses.add(this.options.world.clock.timer(ms, resolve));
    });
  }

  /** Every survivor takes the fresh rings before the next life may use them; so does one that is just starting. */
  private async replaceRings(thread: number): Promise<void> {
    const rings: PeerRings = replacePeer(this.fabric as FabricMemory, thread);
    (this.member as Member).replaceRings(rings, () => undefined);
    if (this.running.size === 0) return;
    await new Promise<void>(done => {
      this.replacing.set(thread, { waiting: new Set(this.running), done });
      for (const other of this.running) this.pool?.post(other, { type: 'rings', rings });
    });
  }

  /** That thread will not confirm fresh rings any more: it is dead, and will be given them when it starts. */
  private ringsNeedNot(dead: number): void {
    for (const peer of [...this.replacing.keys()]) this.ringsTaken(peer, dead);
  }

  private ringsTaken(peer: number, by: number): void {
    const entry = this.replacing.get(peer);
    entry?.waiting.delete(by);
    if (entry?.waiting.size !== 0) return;
    this.replacing.delete(peer);
    entry.done();
  }

  private onMessage(thread: number, message: FromThread): void {
    switch (message.type) {
      case 'replaced':
        this.ringsTaken(message.thread, thread);
        return;
      case 'event':
        this.emit(message.name, message.payload);
        return;
      case 'log':
        this.options.world.log[message.level]({ thread, ...message.fields }, message.message);
    }
  }

  // What a node offers.

  ref<A extends Actor<any>>(type: ActorType<A>, key: string): Ref<A> {
    checkActorKey(key);
    return this.host.ref(type, key);
  }

  async locate(ref: AnyRef): Promise<Location> {
    this.up();
    const own = this.own(ref);
    const [type, key] = [own[TYPE].name, own[KEY]];
    const peer = this.threadOf(own);
    if (peer <= this.options.threads) return this.locateHere(type, key);
    return this.gateway?.asked(peer, 'locate', {
      type,
      key,
      isGuest: this.gateway.isAway(own.toString()),
    }) as Promise<Location>;
  }

  /** Of an actor that this node owns, or that its home says is here. */
  private async locateHere(type: string, key: string, isGuest: boolean = false): Promise<Location> {
    const { host, member } = this;
    const { node, threads } = this.options;
    const hosted = host.byName.get(type);
    const peer = isGuest || hosted === undefined || member === undefined ? 0 : member.router.ownerOf(hosted, key);
    if (peer > threads) return member?.router.query(peer, 'locate', { type, key, isGuest: true });
    const epoch = peer > 0 ? await member?.router.query(peer, 'locate', { type, key }) : epochAt(host, type, key);
    return { node, thread: peer, epoch };
  }

  /** Does it live on this node, on whichever thread? */
  isHere(ref: AnyRef): boolean {
    const { gateway, member } = this;
    if (gateway === undefined || member === undefined) return true;
    const own = this.own(ref);
    const { router } = member;
    // While its partition changes hands nobody looks past it at its records.
    if (router.holding && router.held.of(own[TYPE], own[KEY]) !== undefined) return false;
    return router.threadFor(own) < router.threads;
  }

  get gateway(): Gateway | undefined {
    return this.member?.router.gateway ?? undefined;
  }

  private threadOf(ref: BaseRef): number {
    if (this.member === undefined) return 0;
    return this.member.router.ownerOf(ref[TYPE], ref[KEY]);
  }

  private own(ref: AnyRef): BaseRef {
    if (!(ref instanceof BaseRef) || ref[TYPE].host !== this.host)
      throw new TroupeError('BAD_MESSAGE', 'expected a ref made by this node');
    return ref;
  }

  async relocate(ref: AnyRef, to: string): Promise<Relocation> {
    this.up();
    const { member, lives, options } = this;
    const { node, threads } = options;
    const epoch = async (): Promise<number> => (await this.locate(ref)).epoch;
    const at = { node, threads, member, lives, epoch };
    const { gateway } = this;
    return gateway === undefined ? relocateHere(at, this.own(ref), to) : relocateAcross(at, gateway, this.own(ref), to);
  }

  async describe(): Promise<Record<string, unknown>> {
    if (this.member === undefined) return { threads: [describeHost(undefined, undefined, this.host)] };
    const { router, port, overseer } = this.member;
    const others = await Promise.all(
      this.hostThreads().map(thread =>
        router.peers[thread]?.gone === true
          ? { thread, dead: true }
          : router.query(thread, 'describe', null).catch(error => ({ thread, error: String(error) })),
      ),
    );
    return {
      threads: [describeHost(router, port), ...others],
      directory: overseer?.describe(),
      rebalancer: this.rebalancer?.describe(),
      restarts: this.pool?.restarts ?? 0,
    };
  }

  async stop(drainMs: number): Promise<void> {
    if (this.stopped) return;
    this.stopped = true;
    for (const cancel of this.cancelPauses) cancel();
    const { host, member, pool, jobs, engine } = this;
    const { world } = this.options;
    const rest = (): Promise<unknown> => this.rebalancer?.stop() ?? Promise.resolve();
    await endAll({ world, host, member, pool, threads: this.hostThreads(), jobs, engine, rest }, drainMs);
  }

  /** Throws STOPPED once stop() was called. */
  private up(): void {
    if (this.stopped) throw new TroupeError('STOPPED', `node ${this.options.node} has stopped, or is stopping`);
  }
}
