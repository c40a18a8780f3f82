// startNode(): wires runtime, storage and components into one member. What a user holds is a Node: refs, stores, where
// things are, what is going on, and a way to stop that loses nothing.

import { channel } from 'node:diagnostics_channel';
import { existsSync } from 'node:fs';
import { access, constants, mkdir, statfs } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, resolve } from 'node:path';
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
import { type CheckedOptions, checkNodeOptions, type NodeOptions, partitionsDefault } from './options.ts';
import type { Actor } from './runtime/actor.ts';
import type { ActorType } from './runtime/define-actor.ts';
import {
  chunksPerReserve,
  type EpochMemory,
  epochMemory,
  nextReserve,
  reserved,
  reserveRunsLow,
} from './runtime/epochs.ts';
import { isHostThread } from './runtime/host-thread.ts';
import { realRandom, realWorld } from './runtime/real-world.ts';
import { type AnyRef, call, type Ref } from './runtime/refs.ts';
import type { Relocation } from './runtime/relocate-here.ts';
import { show } from './runtime/show.ts';
import type { JobOptions } from './runtime/thread-jobs.ts';
import { type Location, Troupe } from './runtime/thread-troupe.ts';
import { type BackupOptions, type BackupResult, makeBackup } from './storage/backup/backup-store.ts';
import { kindOf } from './storage/backup/restore-store.ts';
import { acquireDirLock, type DirLock } from './storage/dir-lock.ts';
import { DiskWatch } from './storage/disk-watch.ts';
import type { EngineKind, EngineOptions } from './storage/engine.ts';
import { type NodeFile, openNodeFile } from './storage/node-file.ts';
import type { EngineUpkeep, Trouble } from './storage/upkeep.ts';

/** What node.on() tells. Payloads are plain data. */
export interface NodeEvents {
  relocating: (event: { id: string; epoch: number; from: number; to: number }) => void;
  relocated: (event: { id: string; epoch: number; from: number; to: number }) => void;
  'relocation-aborted': (event: { id: string; epoch: number; reason: string }) => void;
  'dead-letter': (event: { to: string; method: string; args: readonly unknown[]; why: string }) => void;
  'actor-failed': (event: { id: string; epoch: number; error: unknown; action: string }) => void;
  'thread-died': (event: { thread: number; error: string }) => void;
  'thread-restarted': (event: { thread: number; afterMs: number }) => void;
  'disk-low': (event: { freeBytes: number }) => void;
  /** A flush or a merge has failed and is tried again, a file is damaged, or the disk does not answer. Told once, until it is something else. */
  'upkeep-trouble': (event: Trouble) => void;
}

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
    const node = new Node(checked, home);
    await node.start();
    return node;
  } catch (error) {
    await home?.lock.release();
    throw aboutDir(checked.dataDir, error);
  }
}

/** The directory as it is called from anywhere: the process may go elsewhere. It is opened with the engine that wrote it. */
function placed(checked: CheckedOptions, asked: EngineKind | undefined): CheckedOptions {
  if (checked.dataDir === undefined) return checked;
  const dataDir = resolve(checked.dataDir);
  return { ...checked, dataDir, engine: asked ?? kindOf(dataDir) };
}

/** What a file system says no with, for which it is the directory that has to change. */
const unusable: ReadonlySet<string | undefined> = new Set(
  'EACCES EPERM EROFS ENOTDIR EEXIST EISDIR ENOENT ELOOP ENAMETOOLONG'.split(' '),
);

/** An error of the file system, as what can be done about it. */
function aboutDir(dir: string | undefined, error: unknown): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (error instanceof TroupeError || dir === undefined) return error;
  const details = { option: 'dataDir', errno: code };
  if (code === 'ENOSPC') return new TroupeError('DISK_FULL', `dataDir ${dir}: ${message}`, { cause: error, details });
  if (!unusable.has(code)) return error;
  return new TroupeError(
    'BAD_OPTION',
    `dataDir ${dir} cannot be used (${message}); let this process write there, or name another directory`,
    { cause: error, details },
  );
}

/** Of a disk that may only be read, a recursive mkdir says ENOENT: the nearest directory that is there says what holds it up. */
async function makeDir(dir: string): Promise<void> {
  try {
    await mkdir(dir, { recursive: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    let above = dirname(dir);
    while (!existsSync(above)) above = dirname(above);
    await access(above, constants.W_OK);
    throw error;
  }
}

interface Home {
  readonly lock: DirLock;
  readonly file: NodeFile;
}

async function openHome(dir: string, options: CheckedOptions): Promise<Home> {
  await makeDir(dir);
  const lock = await acquireDirLock(dir);
  try {
    const file = await openNodeFile(dir, { name: options.name, partitions: options.partitions });
    return { lock, file };
  } catch (error) {
    await lock.release();
    throw error;
  }
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
      emit: (name, payload) => this.announce(name, payload),
    });
    const { host } = this.troupe;
    this.stores = new StoreRegistry({
      node: this.name,
      partitions,
      clock: host.world.clock,
      codec: host.codec,
      engine: host.engine,
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
    this.engineUpkeep?.purgeBy(shards => this.planPurge(shards));
    if (this.home === undefined) return;
    this.upkeep = setInterval(() => {
      void this.reserve();
      void this.lookAtDisk();
    }, upkeepEveryMs);
    this.upkeep.unref();
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
        floor: async (partition, store) =>
          accepted((await this.ref(VnodeT, String(partition)).floor(store)) as Answer<number>),
      },
      shards,
    );
  }

  private async reserve(): Promise<void> {
    if (!reserveRunsLow(this.epochs)) return;
    try {
      await this.home?.file.update({ epochChunkLimit: nextReserve(this.epochs) });
      reserved(this.epochs);
    } catch (error) {
      this.options.logger?.error({ err: error }, 'the reserve of epochs could not be extended');
    }
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

  /** Resolves when the node can serve. */
  async ready(): Promise<void> {
    if (this.stopping !== undefined) throw new TroupeError('STOPPED', `node ${this.name} is stopping`);
  }

  /** A typed ref to a named actor; wherever it lives, it wakes with the first message. Throws NO_ACTOR_TYPE, BAD_MESSAGE. */
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
      ...(await this.troupe.describe()),
      stores: this.stores.describe(),
      writes: this.stores.admission.describe(),
    };
  }

  /** Lets running turns end, stores what must be stored, ends the threads. Safe to call twice. */
  stop(options: { drainMs?: number } = {}): Promise<void> {
    if (this.stopping === undefined) {
      const drainMs = options?.drainMs ?? 5_000;
      if (typeof drainMs !== 'number' || !(drainMs >= 0)) {
        const why = `drainMs must be a number of ms, 0 or more, not ${show(drainMs)}`;
        return Promise.reject(new TroupeError('BAD_OPTION', why, { details: { option: 'drainMs' } }));
      }
      this.stopping = this.shutDown(drainMs);
    }
    return this.stopping;
  }

  private async shutDown(drainMs: number): Promise<void> {
    clearInterval(this.upkeep);
    this.leaving.abort();
    // A backup ends at its next look; the directory stays ours until then.
    await Promise.all([this.troupe.stop(drainMs), this.backingUp]);
    await this.home?.lock.release();
    this.removeAllListeners();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
