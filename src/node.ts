// startNode(): wires runtime, storage and components into one member. What a user holds is a Node: refs, stores, where
// things are, what is going on, and a way to stop that loses nothing.

import { channel } from 'node:diagnostics_channel';
import { statfs } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { EventEmitter } from 'eventemitter3';
import {
  type CompactorDoor,
  type CompactorRef,
  compactorDoor,
  compactorKey,
  nothingToKeepUp,
} from './actors/compactor.ts';
import { CompactorT } from './actors/compactor-actor.ts';
import { planPurge } from './actors/purge-plan.ts';
import type { Store } from './actors/store.ts';
import type { StoreOptionsInput } from './actors/store-options.ts';
import { StoreRegistry } from './actors/store-registry.ts';
import { StoresT, storesKey } from './actors/stores-actor.ts';
import { systemTypes } from './actors/system-types.ts';
import { VnodeT } from './actors/vnode-actor.ts';
import { type Answer, accepted } from './actors/vnode-messages.ts';
import { TroupeError } from './errors.ts';
import { compactorRunMs, diskFreeLowWater } from './limits.ts';
import { makeCluster, refuseAlone } from './node-cluster.ts';
import type { NodeEvents } from './node-events.ts';
import { aboutDir, type Home, openHome } from './node-home-host.ts';
import {
  type CheckedOptions,
  checkBackup,
  checkNodeOptions,
  checkStop,
  type NodeOptions,
  partitionsDefault,
} from './options.ts';
import type { Actor } from './runtime/actor.ts';
import type { Cluster } from './runtime/cluster/cluster.ts';
import type { ClusterView } from './runtime/cluster/cluster-view.ts';
import type { ActorType } from './runtime/define-actor.ts';
import {
  chunksPerReserve,
  type EpochMemory,
  epochMemory,
  nextReserve,
  raiseEpochs,
  reserved,
  reserveRunsLow,
} from './runtime/epochs.ts';
import { withoutRing } from './runtime/gateway/node-table.ts';
import { isHostThread } from './runtime/host-thread.ts';
import { realRandom, realWorld } from './runtime/real-world.ts';
import { noRebalancer, type RebalancerDoor } from './runtime/rebalance/rebalancer.ts';
import { type AnyRef, call, type Ref } from './runtime/refs.ts';
import type { Relocation } from './runtime/relocate-here.ts';
import type { JobOptions } from './runtime/thread-jobs.ts';
import { type Location, Troupe } from './runtime/thread-troupe.ts';
import { type BackupOptions, type BackupResult, makeBackup } from './storage/backup/backup-store.ts';
import { kindOf } from './storage/backup/restore-store.ts';
import { DiskWatch } from './storage/disk-watch.ts';
import type { EngineKind, EngineOptions } from './storage/engine.ts';
import type { EngineUpkeep, Trouble } from './storage/upkeep.ts';

/** How often the reserve of epochs and the free space are looked at. */
const upkeepEveryMs = 200;

export async function startNode(options: NodeOptions = {}): Promise<Node> {
  if (isHostThread())
    throw new TroupeError(
      'BAD_OPTION',
      'startNode() was called on a host thread of a node: the module that calls it also defines an actor, and threads import it for that. Put actors into a module of their own',
    );
  const checked = placed(checkNodeOptions(options, availableParallelism()), options.engine);
  const home =
    checked.dataDir === undefined
      ? undefined
      : await openHome(checked.dataDir, checked).catch(error => {
          throw aboutDir(checked.dataDir, error);
        });
  try {
    if (home !== undefined && checked.cluster === undefined) refuseAlone(home.file);
    const node = new Node(checked, home);
    await node.start();
    return node;
  } catch (error) {
    await home?.close();
    throw aboutDir(checked.dataDir, error);
  }
}

/** The directory as it is called from anywhere: the process may go elsewhere. It is opened with the engine that wrote it. */
function placed(checked: CheckedOptions, asked: EngineKind | undefined): CheckedOptions {
  if (checked.dataDir === undefined) return checked;
  const dataDir = resolve(checked.dataDir);
  return { ...checked, dataDir, engine: asked ?? kindOf(dataDir) };
}

function generatedName(): string {
  return `n-${Buffer.from(realRandom().bytes(4)).toString('hex')}`;
}

/** The same events for who does not hold the node: diagnostics channels 'troupe:relocated', 'troupe:dead-letter' ... */
function diagnose(name: string, payload: unknown): void {
  const events = channel(`troupe:${name}`);
  if (events.hasSubscribers) events.publish(payload);
}

export class Node extends EventEmitter<NodeEvents> implements AsyncDisposable {
  readonly name: string;
  /** What goes on behind the writers of this node's disk. */
  readonly compactor: CompactorDoor;
  private readonly options: CheckedOptions;
  private readonly home: Home | undefined;
  private readonly epochs: EpochMemory;
  private readonly troupe: Troupe;
  private readonly stores: StoreRegistry;
  private readonly disk: DiskWatch | undefined;
  private upkeep: NodeJS.Timeout | undefined;
  private backingUp: Promise<unknown> | undefined;
  private readonly leaving = new AbortController();
  private stopping: Promise<void> | undefined;
  private joined: Cluster | undefined;

  constructor(options: CheckedOptions, home: Home | undefined) {
    super();
    this.options = options;
    this.home = home;
    this.name = home?.file.content.name ?? options.name ?? generatedName();
    const partitions = home?.file.content.partitions ?? options.partitions ?? partitionsDefault;
    if (home !== undefined) this.disk = new DiskWatch(options.diskFreeLowWater ?? diskFreeLowWater);
    this.epochs = epochMemory(Math.max(1, home?.file.content.epochChunkLimit ?? 1));
    const engine: EngineOptions = {
      kind: options.engine,
      ...(options.dataDir === undefined ? {} : { dir: options.dataDir }),
      ...(options.diskFreeLowWater === undefined ? {} : { freeLowWater: options.diskFreeLowWater }),
    };
    this.troupe = new Troupe({
      node: this.name,
      threads: options.threads,
      partitions,
      epochs: this.epochs,
      engine,
      types: [...systemTypes, ...options.actors],
      world: realWorld({ threads: options.threads, log: options.logger }),
      heapMb: options.threadHeapMb,
      residentsMax: options.residentsMax,
      rebalance: options.rebalance,
      emit: (name, payload) => this.announce(name, payload),
      gateway: options.cluster && {
        nodes: withoutRing(this.name, partitions),
        onBroken: (node, error) => this.joined?.onBroken(node, error),
        replicas:
          options.cluster.replicas > 1 ? { replicas: options.cluster.replicas, epochs: this.epochs } : undefined,
        raiseEpochs: above => raiseEpochs(this.epochs, above, limit => this.raiseLimit(limit)),
      },
    });
    const { host } = this.troupe;
    this.stores = new StoreRegistry({
      node: this.name,
      partitions,
      clock: host.world.clock,
      codec: host.codec,
      engine: host.engine,
      // Where several nodes keep a partition only its vnode knows whether they have agreed to what lies here.
      isAlone: host.lease === null,
      isHere: ref => this.troupe.isHere(ref),
      ref: (type, key) => this.troupe.ref(type, key),
    });
    const compactor = this.ref(CompactorT, compactorKey);
    const patient = call(compactor, { deadlineMs: compactorRunMs });
    this.compactor = compactorDoor(compactor as CompactorRef, patient as CompactorRef);
  }

  /** Called by startNode. */
  async start(): Promise<void> {
    if (this.home !== undefined) {
      await this.home.file.bump();
      await this.home.file.update({ epochChunkLimit: this.epochs.base + chunksPerReserve });
    }
    this.engineUpkeep?.onTrouble(trouble => this.onTrouble(trouble));
    await this.troupe.start();
    await this.joinOthers();
    this.engineUpkeep?.purgeBy(shards => this.planPurge(shards));
    if (this.home === undefined) return;
    this.upkeep = setInterval(() => {
      void this.reserve();
      void this.lookAtDisk();
    }, upkeepEveryMs);
    this.upkeep.unref();
  }

  private async joinOthers(): Promise<void> {
    const { gateway, host } = this.troupe;
    const { cluster: options } = this.options;
    if (gateway === undefined || options === undefined) return;
    const { name, home } = this;
    const emit = (event: string, payload: unknown): void => this.announce(event, payload);
    const own = {
      name,
      partitions: host.partitions,
      options,
      file: home?.file,
      world: host.world,
      emit,
      rebalancer: this.rebalancer,
    };
    try {
      this.joined = await makeCluster(gateway, own);
      await this.joined.start();
    } catch (error) {
      await this.troupe.stop(0);
      throw error;
    }
  }

  /** The other nodes, and the ring. Throws BAD_OPTION for a node that does not listen. */
  get cluster(): ClusterView {
    if (this.joined !== undefined) return this.joined;
    const why = `node ${this.name} is in no cluster: start it with 'listen', and 'join' unless it is the first`;
    throw new TroupeError('BAD_OPTION', why, { details: { option: 'listen' } });
  }

  /** Moves slots of actors from busy threads of this node to idle ones. */
  get rebalancer(): RebalancerDoor {
    return this.troupe.rebalancer ?? noRebalancer(this.troupe.host.partitions);
  }

  private get engineUpkeep(): EngineUpkeep | undefined {
    return this.troupe.host.engine.upkeep;
  }

  private onTrouble(trouble: Trouble): void {
    this.options.logger?.warn(trouble, 'the upkeep of the disk is in trouble: it is tried again, or waits');
    this.announce('upkeep-trouble', trouble);
  }

  /** What the merge of these shards may leave out: see purge.ts. */
  private planPurge(shards: readonly (readonly [number, string])[]): ReturnType<typeof planPurge> {
    const { host } = this.troupe;
    return planPurge(
      {
        graceMs: this.options.tombstoneGraceMs,
        now: () => host.world.clock.now(),
        stores: () => this.ref(StoresT, storesKey).list(),
        floor: async (partition, store) => {
          const vnode = this.ref(VnodeT, String(partition));
          // Of a partition that is only just coming here, or has just left.
          if (!this.troupe.isHere(vnode)) throw new TroupeError('FENCED', `partition ${partition} is not this node's`);
          return accepted((await vnode.floor(store)) as Answer<number>);
        },
      },
      shards,
    );
  }

  private async reserve(): Promise<void> {
    if (!reserveRunsLow(this.epochs)) return;
    try {
      const limit = nextReserve(this.epochs);
      await this.raiseLimit(limit);
      reserved(this.epochs, limit);
    } catch (error) {
      this.options.logger?.error({ err: error }, 'the reserve of epochs could not be extended');
    }
  }

  private async raiseLimit(limit: number): Promise<void> {
    await this.home?.file.raiseEpochLimit(limit);
  }

  private announce(name: string, payload: unknown): void {
    this.emit(name as 'disk-low', payload as never);
    diagnose(name, payload);
  }

  private async lookAtDisk(): Promise<void> {
    const { disk } = this;
    if (disk === undefined) return;
    // A disk that cannot be asked will be heard of by whoever writes to it.
    const found = await statfs(this.options.dataDir as string).catch(() => undefined);
    if (found === undefined || !disk.sees(found.bavail * found.bsize)) return;
    const { freeBytes, lowWater } = disk.describe();
    this.options.logger?.warn(
      { freeBytes, lowWater },
      'the disk is nearly full; writes are refused until there is room',
    );
    this.announce('disk-low', { freeBytes });
  }

  /** Resolves when the node can serve, among others by their ring. Rejects with BAD_OPTION when all of `join` refuse it; waits while nobody answers. */
  async ready(): Promise<void> {
    if (this.stopping !== undefined) throw new TroupeError('STOPPED', `node ${this.name} is stopping`);
    await this.joined?.ready();
  }

  /** A typed ref to a named actor; wherever it lives, it wakes with the first message. Throws NO_ACTOR_TYPE; BAD_OPTION, TOO_LARGE: the key. */
  ref<A extends Actor<any>>(type: ActorType<A>, key: string): Ref<A> {
    return this.troupe.ref(type, key);
  }

  /** Where an actor lives. `epoch` is 0 while it sleeps. */
  locate(ref: AnyRef): Promise<Location> {
    return this.troupe.locate(ref);
  }

  /** Moves an actor to another thread, 'n1/2'; nothing sent to it meanwhile is lost, doubled or reordered. Rejects, unmoved, with the reason. */
  relocate(ref: AnyRef, to: string): Promise<Relocation> {
    return this.troupe.relocate(ref, to);
  }

  /** The store of this name; the first call fixes its options. Throws BAD_OPTION when they differ from the stored ones. */
  store(name: string, options: StoreOptionsInput = {}): Promise<Store> {
    return this.stores.open(name, options);
  }

  /** Runs fn so that the asks made in it, and in their turns, carry this W3C traceparent (this.self.traceparent). */
  traced<R>(traceparent: string, fn: () => R): R {
    return this.troupe.host.traced(traceparent, fn);
  }

  /** Runs an exported function of a module with one argument on the jobs pool: CPU work that would hold up an event loop. */
  job<T = unknown>(module: string | URL, name: string, argument: unknown, options: JobOptions = {}): Promise<T> {
    return this.troupe.jobs.run(String(module), name, argument, options) as Promise<T>;
  }

  /**
   * Writes a backup of everything the node stores, as of the moment of the call, into a directory of its own, while it serves.
   * Called again after it was broken off, it goes on. Throws BAD_OPTION, OVERLOADED (one is under way), CORRUPT, DISK_FULL, STOPPED.
   */
  async backup(dir: string, options: BackupOptions = {}): Promise<BackupResult> {
    const { home } = this;
    checkBackup(dir, options);
    await this.ready();
    if (home === undefined) throw new TroupeError('BAD_OPTION', 'a node without a dataDir has nothing to back up');
    if (this.backingUp !== undefined) throw new TroupeError('OVERLOADED', 'a backup is under way already');
    const made = makeBackup({
      ...options,
      dir,
      engine: this.troupe.host.engine,
      node: () => home.file.content,
      now: () => this.troupe.host.world.clock.now(),
      signal: this.leaving.signal,
    });
    this.backingUp = made.catch(() => undefined);
    try {
      return await made;
    } finally {
      this.backingUp = undefined;
    }
  }

  /** Everything a person or a test wants to see, as plain JSON. */
  async describe(): Promise<Record<string, unknown>> {
    await this.lookAtDisk();
    return {
      node: this.name,
      dataDir: this.options.dataDir ?? null,
      engine: this.options.engine,
      ...(this.disk === undefined ? {} : { disk: this.disk.describe() }),
      compactor: this.engineUpkeep?.status() ?? nothingToKeepUp,
      ...(this.joined === undefined ? {} : { cluster: this.joined.describe() }),
      ...(await this.troupe.describe()),
      stores: this.stores.describe(),
      writes: this.stores.admission.describe(),
    };
  }

  /** Lets running turns end, stores what must be stored, ends the threads. Safe to call twice. Rejects with BAD_OPTION, and goes on. */
  stop(options: { drainMs?: number } = {}): Promise<void> {
    try {
      this.stopping ??= this.shutDown(checkStop(options));
      return this.stopping;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  private async shutDown(drainMs: number): Promise<void> {
    clearInterval(this.upkeep);
    this.leaving.abort();
    // A backup ends at its next look; the directory stays ours until then.
    await Promise.all([this.troupe.stop(drainMs), this.backingUp]);
    await this.joined?.stop();
    await this.home?.close();
    this.removeAllListeners();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
