// One host with its links to the others: built the same way on the calling thread and on every host thread. An edge.

import { crc32 } from 'node:zlib';
import type { TroupeError } from '../errors.ts';
import type { Engine } from '../storage/engine.ts';
import type { ActorType } from './define-actor.ts';
import { type EpochMemory, Epochs } from './epochs.ts';
import { FarMoves, hostOf } from './far-moves.ts';
import { FarRouter } from './far-router.ts';
import { type FarLinks, FarWire } from './far-wire.ts';
import { Gateway, type GatewayEdges } from './gateway/gateway.ts';
import { NodeLinks } from './gateway/node-links.ts';
import { NodeTable, type NodeTableData } from './gateway/node-table.ts';
import { Host } from './host.ts';
import type { HostEvents } from './host-types.ts';
import { Overseer, tableOf } from './overseer.ts';
import type { PartitionTable } from './placement.ts';
import { Shifts } from './rebalance/shifts.ts';
import { SlotLoads } from './rebalance/slot-loads.ts';
import type { ToDirectory } from './relocation-messages.ts';
import { Copies } from './replicas/copies.ts';
import { LeaseGuard, type LeaseWords } from './replicas/lease-guard.ts';
import { LedEngine } from './replicas/led-engine.ts';
import { type FabricMemory, type PeerRings, ThreadPort, type ThreadPortHooks } from './thread-port.ts';
import type { Clock, World } from './world.ts';

/** What joins the threads of a process: rings in shared memory, or whatever passes for them where all threads are one. */
export interface Fabric {
  port(thread: number, hooks: ThreadPortHooks): MemberPort;
  /** Ms to add to the clock of a thread so that all read the same. */
  clockShift(clock: Clock): number;
}

/** As ThreadPort. */
export interface MemberPort extends FarLinks {
  start(): void;
  stop(): void;
  ref(): void;
  drainRemainder(peer: number): number;
  replace(peer: number, rings: PeerRings): void;
  describe(): object;
}

export function ringFabric(memory: FabricMemory): Fabric {
  return {
    port: (thread, hooks) => new ThreadPort(memory, thread, hooks),
    // Each thread's monotonic clock has a zero of its own; hrtime has one for the process.
    clockShift: clock => (memory.threads === 1 ? 0 : Number(process.hrtime.bigint()) / 1e6 - clock.mono()),
  };
}

export interface MemberOptions {
  readonly node: string;
  readonly thread: number;
  readonly life: number;
  readonly lives: readonly number[];
  readonly threads: number;
  readonly partitions: number;
  readonly table: PartitionTable;
  readonly fabric: Fabric;
  readonly epochs: EpochMemory;
  readonly types: readonly ActorType[];
  readonly engine: Engine;
  readonly world: World;
  readonly events: HostEvents;
  readonly residentsMax: number | undefined;
  readonly relocateTurnMs: number | undefined;
  /** Of a node among others: who owns what. */
  readonly nodes?: NodeTableData | undefined;
  /** On the thread that speaks for such a node. */
  readonly gateway?: GatewayEdges | undefined;
  /** Shared by the threads of a node whose partitions are kept by several nodes. */
  readonly leases?: LeaseWords | undefined;
  readonly onBroken: (peer: number, error: TroupeError) => void;
}

export interface Member {
  readonly host: Host;
  readonly router: FarRouter;
  readonly port: MemberPort;
  /** Thread 0 only. */
  readonly overseer: Overseer | undefined;
  /** Goes on with the fresh rings of a thread, once its predecessor is known here to be dead. */
  replaceRings(rings: PeerRings, done: () => void): void;
}

export function makeMember(options: MemberOptions): Member {
  let router: FarRouter | undefined;
  let overseer: Overseer | undefined;
  let turn: (() => void) | undefined;
  const sharedClockShift = options.fabric.clockShift(options.world.clock);
  const port = options.fabric.port(options.thread, {
    onFrame: (from, bytes, view, start, end) => (router as FarRouter).wire.receive(from, bytes, view, start, end),
    onBroken: options.onBroken,
    // The loop was planned by whoever sent something: what it reads must not pass for that one's doing.
    soon: loop => {
      turn ??= () => host.outside(loop);
      options.world.clock.soon(turn);
    },
    onUnread: (peer, ring) => (router as FarRouter).wire.lost(peer, ring),
    mono: () => options.world.clock.mono(),
  });
  const { threads, gateway } = options;
  const nodeLinks = gateway === undefined ? undefined : new NodeLinks(port, threads, options.world.clock);
  const links = nodeLinks ?? port;
  const { leases } = options;
  const sharedNow = (): number => options.world.clock.mono() + sharedClockShift;
  const engine = leases === undefined ? options.engine : new LedEngine(options.engine);
  const host = new Host({
    node: options.node,
    thread: options.thread,
    world: options.world,
    epochs: new Epochs(options.epochs),
    events: options.events,
    types: options.types,
    partitions: options.partitions,
    engine,
    leased: leases !== undefined,
    residentsMax: options.residentsMax,
    router: own => {
      router = new FarRouter(own, {
        table: options.table,
        threads: options.threads,
        life: options.life,
        links,
        nodes: options.nodes === undefined ? undefined : new NodeTable(options.nodes),
        gateway:
          nodeLinks === undefined
            ? undefined
            : made =>
                new Gateway({
                  router: made,
                  links: nodeLinks,
                  threads,
                  nodes: options.nodes as NodeTableData,
                  leases: leases && { words: leases, clockShift: sharedClockShift },
                  ...(gateway as GatewayEdges),
                }),
        wire: made => new FarWire(made, links, sharedNow, options.threads),
        moves: made =>
          new FarMoves(made, {
            self: hostOf(options.thread, options.life),
            directory: hostOf(0, 0),
            checksum: bytes => crc32(bytes),
            toDirectory: (from: number, message: ToDirectory) => overseer?.heard(from, message),
            ...(options.relocateTurnMs === undefined ? {} : { relocateTurnMs: options.relocateTurnMs }),
          }),
      });
      return router;
    },
  });
  const made = router as unknown as FarRouter;
  made.moves.lives.push(...options.lives);
  if (engine instanceof LedEngine) {
    new Copies(made, engine);
    host.lease = new LeaseGuard(host, leases as LeaseWords, { mono: sharedNow, wall: () => options.world.clock.now() });
  }
  if (options.thread === 0) {
    overseer = new Overseer(made, options.threads, options.relocateTurnMs);
    if (options.threads > 1) made.shifts = new Shifts(made, overseer);
  }
  const loads = new SlotLoads(options.partitions);
  if (options.threads > 1) host.scheduler.onSpent = loads.ran;
  made.on('load', () => loads.take());
  // A thread that comes back knows nothing of the others before it has been welcomed.
  if (options.life > 0) for (const peer of made.peers) if (peer !== undefined && peer.thread !== 0) peer.gone = true;
  const fresh = new Map<number, () => void>();
  const replaceRings = (rings: PeerRings, done: () => void): void => {
    fresh.set(rings.peer, () => {
      port.replace(rings.peer, rings);
      made.wire.forget(rings.peer);
      done();
    });
    replaceIfGone(rings.peer);
  };
  // The word of the death and the rings come by two ways. Frames of the next life must not meet what is kept of the last.
  const replaceIfGone = (thread: number): void => {
    if (made.peers[thread]?.gone !== true) return;
    const replace = fresh.get(thread);
    fresh.delete(thread);
    replace?.();
  };
  made.on('welcome', (_from, { table, version, lives, gone }) => {
    for (const [thread, life] of lives.entries()) made.moves.lives[thread] = life;
    made.deaths.welcome(tableOf(table), version, gone);
    const own = partitionsOf(host, made.places.table);
    // At a start of the node it is also looked what guests have left.
    if (options.engine.shared && options.life > 0) made.deaths.loadReminders(own);
    else if (options.engine.shared) host.reminders.load(own);
  });
  made.on('peer-died', (_from, { thread, table, version }) => {
    port.drainRemainder(thread);
    made.deaths.peerDied(thread, tableOf(table), version);
    replaceIfGone(thread);
  });
  made.on('peer-joined', (_from, { thread, life }) => {
    made.moves.lives[thread] = life;
    made.peers[thread]?.revive();
    made.deaths.joined(thread);
  });
  made.on('describe', () => describeHost(made, port));
  made.on('locate', (_from, { type, key }) => epochAt(host, type, key));
  return { host, router: made, port, overseer, replaceRings };
}

function partitionsOf(host: Host, table: PartitionTable): number[] {
  return [...table.keys()].filter(partition => table[partition] === host.thread);
}

/** The epoch of an actor awake here, 0 while it sleeps. */
export function epochAt(host: Host, type: string, key: string): number {
  return host.byName.get(type)?.live.get(key)?.epochNumber ?? 0;
}

export function describeHost(router: FarRouter | undefined, port: MemberPort | undefined, host?: Host): object {
  const own = router?.host ?? (host as Host);
  return {
    ...own.describe(),
    ...(router === undefined ? {} : { router: router.describe() }),
    ...(port === undefined ? {} : { links: port.describe() }),
  };
}
