// The test kit: people test their own actors with it, and so do we. One host on virtual time, memory for a disk, and every
// message and every state passed through the codec, so that what could not cross a thread fails here first.

import { TroupeError } from '../errors.ts';
import type { Activation } from '../runtime/activation.ts';
import type { Actor } from '../runtime/actor.ts';
import type { Call } from '../runtime/call.ts';
import type { ActorType } from '../runtime/define-actor.ts';
import { Epochs, epochMemory, epochsPerChunk } from '../runtime/epochs.ts';
import { dead, frozen } from '../runtime/flags.ts';
import { Host } from '../runtime/host.ts';
import type { HostObserver } from '../runtime/host-types.ts';
import { argumentsOf } from '../runtime/messages.ts';
import { type CallShipping, freeze, install, leave, packNow, retire, run, thaw } from '../runtime/moves.ts';
import { checkOptionNames } from '../runtime/option-names.ts';
import { type BaseRef, KEY, type Ref, TYPE } from '../runtime/refs.ts';
import { LocalRouter } from '../runtime/router.ts';
import { show } from '../runtime/show.ts';
import type { Log } from '../runtime/world.ts';
import type { MemoryStore } from '../storage/memory-store.ts';
import { type ClusterKit, createCluster } from './cluster-kit-host.ts';
import { Probe } from './probe.ts';
import { type VirtualClock, virtualWorld } from './virtual-world.ts';

export interface TestKitOptions {
  /** Same seed, same run. Default 1. */
  readonly seed?: number;
  readonly actors: readonly ActorType<any>[];
  /** Pass every message, reply and state through the codec. Default true. */
  readonly serialize?: boolean;
  readonly logger?: Log;
  /** Slices of work without rest before settle() calls them endless. Default 250,000: two actors that answer each other for ever. */
  readonly slicesMax?: number;
  /** Actors awake before the least valuable are put to sleep, as for startNode. */
  readonly residentsMax?: number;
  /** The disk of an earlier kit, closed or crashed: this one starts where that one ended, as a process does. */
  readonly disk?: MemoryStore;
}

export interface RecordedEffect {
  readonly kind: string;
  readonly at: number;
  readonly [detail: string]: unknown;
}

export interface RecordedEvent {
  readonly name: string;
  readonly payload: any;
}

export interface TestKit extends AsyncDisposable {
  readonly clock: VirtualClock;
  readonly seed: number;
  /** Everything node.on() would have heard. */
  readonly events: readonly RecordedEvent[];
  ref<A extends Actor<any>>(type: ActorType<A>, key: string): Ref<A>;
  /** Takes the place of an actor: its messages wait for the test. */
  probe<A extends Actor<any>>(type: ActorType<A>, key: string): Probe;
  /** What an actor has caused, oldest first: tell, ask, timer, spawn, persist, append, remind, publish, watch, stop. */
  effects(id: string): readonly RecordedEffect[];
  /** Resolves when nothing more can happen without time passing. Rejects when a probe saw a disallowed message. */
  settle(): Promise<void>;
  /** The actor's thread dies: memory is gone, what was stored is not; pending asks end UNKNOWN_OUTCOME. */
  crash(id: string): Promise<void>;
  /** Moves the actor "elsewhere" through the real freeze, pack, install. Rejects with the reason when it cannot move. */
  relocate(id: string): Promise<{ epoch: number; shipped: number }>;
  /** The state of an awake actor, as a copy; undefined when it sleeps. */
  state(id: string): unknown;
  isAwake(id: string): boolean;
  /** So many whole nodes that can host the same actors, on a simulated network and a clock of their own; close them after use. */
  cluster(nodes: number): Promise<ClusterKit>;
  /** The thread as node.describe() shows it. */
  describe(): Record<string, unknown>;
  /** The memory disk: crash(), powerLoss(), faults. */
  readonly disk: MemoryStore;
  /** Ends every actor in good order, as far as their turns can end. Its disk can be given to another kit. */
  close(): Promise<void>;
}

/** A second or so of work. */
const slicesMaxDefault = 250_000;

const partitions = 64;
const optionNames: readonly (keyof TestKitOptions)[] = [
  ...(['seed', 'actors', 'serialize', 'logger', 'slicesMax', 'residentsMax', 'disk'] as const),
];

/** Epochs rise from one process to the next; a real node remembers how far it got. */
function chunkAfter(disk: MemoryStore): number {
  let highest = 0;
  for (const name of disk.shards()) for (const { epoch } of disk.shard(name).scan()) highest = Math.max(highest, epoch);
  return Math.floor(highest / epochsPerChunk) + 1;
}

export function createTestKit(options: TestKitOptions): TestKit {
  return new Kit(options);
}

class Kit implements TestKit {
  readonly clock: VirtualClock;
  readonly seed: number;
  readonly events: RecordedEvent[] = [];
  readonly disk: MemoryStore;
  private readonly host: Host;
  private readonly probes = new Map<string, Probe>();
  private readonly slicesMax: number;
  private readonly recorded = new Map<string, RecordedEffect[]>();

  private readonly options: TestKitOptions;

  constructor(options: TestKitOptions) {
    this.options = options;
    if (!Array.isArray(options?.actors))
      throw new TroupeError('BAD_OPTION', 'createTestKit({ actors: [...] }) needs the actor types under test');
    checkOptionNames('createTestKit()', options, optionNames);
    for (const type of options.actors)
      if (type?.kind !== 'troupe-actor-type')
        throw new TroupeError('BAD_OPTION', 'actors must be what defineActor or defineBehaviour returned');
    this.seed = options.seed ?? 1;
    this.slicesMax = options.slicesMax ?? slicesMaxDefault;
    const world = virtualWorld({ seed: this.seed, log: options.logger });
    this.clock = world.clock;
    this.clock.rest = () => this.rest();
    this.clock.stirs = fire => {
      const before = this.host.stirred;
      fire();
      return this.host.stirred !== before;
    };
    this.disk = options.disk ?? (world.storage.open({ kind: 'memory' }) as MemoryStore);
    this.host = new Host({
      node: 'test',
      thread: 0,
      world,
      router: host => new LocalRouter(host),
      epochs: new Epochs(epochMemory(chunkAfter(this.disk))),
      events: { emit: (name, payload) => this.events.push({ name, payload }) },
      types: options.actors,
      engine: this.disk,
      partitions,
      residentsMax: options.residentsMax,
      observer: this.observer(options.serialize ?? true),
    });
    if (options.disk !== undefined) this.host.reminders.load(Array.from({ length: partitions }, (_, p) => p));
  }

  cluster(nodes: number): Promise<ClusterKit> {
    const { actors, logger } = this.options;
    return createCluster(nodes, { actors, seed: this.seed, ...(logger === undefined ? {} : { logger }) });
  }

  private observer(serialize: boolean): HostObserver {
    return {
      clone: value =>
        serialize && (typeof value === 'object' || typeof value === 'function' || typeof value === 'symbol')
          ? this.host.codec.decode(this.host.codec.encode(value))
          : value,
      effect: (act, kind, detail) => {
        const list = this.recorded.get(act.id) ?? [];
        list.push({ kind, at: this.clock.mono(), ...detail });
        this.recorded.set(act.id, list);
      },
      intercept: (ref: BaseRef, call: Call | null, code: number, a0: unknown, a1: unknown) => {
        if (this.probes.size === 0) return false;
        const probe = this.probes.get(ref.toString());
        if (probe === undefined) return false;
        probe.take(ref[TYPE].nameOf((code >>> 2) & 255), argumentsOf(code, a0, a1), call);
        return true;
      },
      turnEnded: act => {
        // What is stored after each turn is encoded there, and undone if it cannot be.
        if (!serialize || act.actor === null || (act.hosted.persists && act.hosted.spec.saves === 'turn')) return;
        try {
          this.host.codec.encode(act.actor.state);
        } catch (error) {
          throw new TroupeError(
            'BAD_MESSAGE',
            `the state of ${act.id} would not survive a save or a move: ${(error as Error).message}`,
            { cause: error },
          );
        }
      },
    };
  }

  ref<A extends Actor<any>>(type: ActorType<A>, key: string): Ref<A> {
    return this.host.ref(type, key);
  }

  probe<A extends Actor<any>>(type: ActorType<A>, key: string): Probe {
    if (type?.kind !== 'troupe-actor-type')
      throw new TroupeError(
        'BAD_OPTION',
        `probe() needs what defineActor or defineBehaviour returned, not ${show(type)}`,
      );
    // A probed type need not be under test: its methods are all that is needed.
    if (!this.host.byName.has(type.type)) this.host.addType(type as ActorType);
    const id = `${type.type}/${key}`;
    const probe = this.probes.get(id) ?? new Probe(this.host, id);
    this.probes.set(id, probe);
    return probe;
  }

  effects(id: string): readonly RecordedEffect[] {
    return this.recorded.get(id) ?? [];
  }

  async settle(): Promise<void> {
    await this.clock.still();
    await this.rest();
    const broken = [...this.probes.values()].flatMap(probe => probe.violations);
    if (broken.length > 0) throw new Error(broken.join('\n'));
  }

  /** Turns of the event loop until two in a row have moved nothing. */
  private async rest(): Promise<void> {
    const began = this.host.scheduler.slices;
    let quiet = 0;
    let before = -1;
    while (quiet < 2) {
      await this.clock.loopTurn();
      const now = this.host.scheduler.slices + this.disk.stats().groups;
      // What the disk still has to do goes through the clock; writes that a test holds back are at rest.
      quiet = now === before && this.host.scheduler.length === 0 && !this.clock.isBusy ? quiet + 1 : 0;
      before = now;
      if (this.host.scheduler.slices - began > this.slicesMax)
        throw new Error(
          `the actors did not come to rest within ${this.slicesMax} slices: do two of them answer each other for ever?`,
        );
    }
  }

  async crash(id: string): Promise<void> {
    const act = this.awake(id);
    if (act !== undefined) this.host.failures.crash(act);
    this.host.persistence.sleepers.forget(id);
    await this.rest();
  }

  async relocate(id: string): Promise<{ epoch: number; shipped: number }> {
    const act = this.awake(id) ?? this.wake(id);
    const kept: Call[] = [];
    const calls: CallShipping = { out: call => kept.push(call) - 1, in: shipped => kept[shipped as number] ?? null };
    await new Promise<void>(resolve => {
      freeze(this.host, act, resolve);
      void this.rest().then(resolve);
    });
    if ((act.flags & frozen) === 0) {
      thaw(this.host, act, this.host.epochs.next());
      throw new TroupeError(
        'DEADLINE',
        `${id} cannot move now: a turn is open, or a write not durable yet; let it finish first`,
      );
    }
    const epoch = this.host.epochs.next();
    try {
      await leave(this.host, act);
      const packed = packNow(this.host, act, calls);
      const shipped = this.host.codec.decode(this.host.codec.encode(packed)) as typeof packed;
      retire(this.host, act);
      run(this.host, install(this.host, shipped, epoch, calls));
      await this.rest();
      return { epoch, shipped: packed.messages.length };
    } catch (error) {
      if ((act.flags & dead) === 0) thaw(this.host, act, this.host.epochs.next());
      throw error;
    }
  }

  state(id: string): unknown {
    const actor = this.awake(id)?.actor;
    return actor === null || actor === undefined
      ? undefined
      : this.host.codec.decode(this.host.codec.encode(actor.state));
  }

  describe(): Record<string, unknown> {
    return this.host.describe() as Record<string, unknown>;
  }

  isAwake(id: string): boolean {
    return this.awake(id) !== undefined;
  }

  private awake(id: string): Activation | undefined {
    const [type, key] = partsOf(id);
    return this.host.byName.get(type)?.live.get(key);
  }

  private wake(id: string): Activation {
    const ref = this.host.refByName(...partsOf(id));
    const act = this.host.find(ref);
    if (act === null) throw new TroupeError('NO_ACTOR_TYPE', `there is no actor ${ref[TYPE].name}/${ref[KEY]}`);
    return act;
  }

  async close(): Promise<void> {
    this.disk.release();
    let stopped = false;
    const stopping = this.host.stop().then(() => {
      stopped = true;
    });
    await Promise.race([stopping, this.rest()]);
    // Time stands still, so what has not ended by now never will: a turn that waits for a probe, say.
    if (!stopped) this.host.halt();
    await this.disk.sync('committed');
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function partsOf(id: string): [type: string, key: string] {
  const slash = typeof id === 'string' ? id.indexOf('/') : -1;
  if (slash >= 1) return [id.slice(0, slash), id.slice(slash + 1)];
  throw new TroupeError('BAD_OPTION', `an actor is named 'type/key', such as 'cart/user-7'; got ${show(id)}`);
}
