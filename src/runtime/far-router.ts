// The router of a host that is one of several: who owns an actor, and how a message gets there. What comes the other way is
// in far-arrivals.ts.
//
// Intuition: nearly all actors live where the partition table says and have never moved: for them a message is one lookup
// and one frame. Those that have moved, or are moving, are known to the relocation route (relocation-route.ts), and while
// one is in motion every message to it goes through the route's machines, which keep its order.
//
//   tell/ask ─▶ where(ref) ─┬─ here, in motion ─▶ route.step({ send })
//                           ├─ there ───────────▶ frame to that thread (or its queue when the link is full)
//                           └─ in doubt ────────▶ route.step({ send }): resolved by the directory first
//
// Invariants: everything for one peer leaves in one order (a full link queues all of it); an ask ends exactly once, here;
// a frame for an actor this host does not own is sent on, never dropped.

import { quickError, TroupeError, toWireError } from '../errors.ts';
import type { Activation } from './activation.ts';
import { type Asker, type Call, ended } from './call.ts';
import { chainOf } from './deadlock.ts';
import { FarArrivals } from './far-arrivals.ts';
import { FarDeaths } from './far-deaths.ts';
import type { FarMessage, FarMoves } from './far-moves.ts';
import { FarOutcomes } from './far-outcomes.ts';
import { FarPeer } from './far-peer.ts';
import { FarPlaces } from './far-places.ts';
import { FarQueries } from './far-queries.ts';
import { OutgoingAsk, OutgoingTell } from './far-send.ts';
import { FarWatches } from './far-watches.ts';
import type { FarLinks, FarWire } from './far-wire.ts';
import type { Gateway } from './gateway/gateway.ts';
import { NodeTable } from './gateway/node-table.ts';
import { Awake } from './handoff/awake.ts';
import { Hands } from './handoff/hands.ts';
import { HeldPartitions } from './handoff/held.ts';
import type { Host } from './host.ts';
import type { HostedType } from './hosted-type.ts';
import { PendingCalls } from './pending-calls.ts';
import type { PartitionTable } from './placement.ts';
import type { Shifts } from './rebalance/shifts.ts';
import { ACT, type BaseRef, FAR, KEY, TYPE } from './refs.ts';
import type { Router } from './router.ts';

/** No thread: the relocation route must be asked. */
export const inDoubt = -2;

/** Handles a control message by name; what it returns answers a query. */
export type ControlHandler = (from: number, payload: any) => unknown;

export interface FarRouterOptions {
  readonly table: PartitionTable;
  readonly threads: number;
  /** How often this thread has been restarted. */
  readonly life: number;
  readonly links: FarLinks;
  readonly wire: (router: FarRouter) => FarWire;
  readonly moves: (router: FarRouter) => FarMoves;
  /** Of a node among others: who owns what; and the thread that speaks for it. */
  readonly nodes?: NodeTable | undefined;
  readonly gateway?: ((router: FarRouter) => Gateway) | undefined;
}

export class FarRouter implements Router {
  readonly host: Host;
  readonly wire: FarWire;
  readonly moves: FarMoves;
  readonly arrivals: FarArrivals;
  readonly deaths: FarDeaths;
  readonly outcomes: FarOutcomes;
  readonly pending: PendingCalls;
  readonly peers: (FarPeer | undefined)[] = [];
  /** How many deaths the table has seen. */
  tableVersion = 0;
  /** Rises whenever an actor may live elsewhere than before: refs look up again. */
  version = 1;
  private readonly handlers = new Map<string, ControlHandler>();
  readonly threads: number;
  readonly queries: FarQueries;
  readonly places: FarPlaces;
  readonly gateway: Gateway | null;
  /** Partitions that change hands; `holding`: is there one? */
  readonly held: HeldPartitions;
  readonly hands: Hands;
  readonly awakeIn: Awake;
  /** Slots that change threads: only on thread 0, and only if there are others. */
  shifts: Shifts | null = null;
  holding = false;

  constructor(host: Host, options: FarRouterOptions) {
    this.host = host;
    this.threads = options.threads;
    this.places = new FarPlaces(this, options.table, options.nodes);
    this.pending = new PendingCalls(options.life);
    this.wire = options.wire(this);
    this.arrivals = new FarArrivals(this);
    this.deaths = new FarDeaths(this);
    this.outcomes = new FarOutcomes(this);
    this.moves = options.moves(this);
    const { clock } = host.world;
    const peer = {
      wire: this.wire,
      links: options.links,
      soon: (fn: () => void) => clock.soon(fn),
      now: () => host.now(),
    };
    for (let thread = 0; thread < options.threads; thread++) {
      this.peers[thread] = thread === host.thread ? undefined : new FarPeer(thread, peer);
    }
    this.on('publish', (from, published) => this.held.topics.heard(from, published));
    this.on('reminder', (_from, stored) => host.reminders.take(stored, true));
    this.on('reminded', (_from, stored) => host.reminders.done(stored));
    this.on('reminders-back', (_from, unit) => host.reminders.giveBack(unit));
    this.on('started', (_from, id) => this.outcomes.onStarted(id));
    this.on('verdict', (from, id) => this.arrivals.verdict(from, id));
    this.on('pause', (from, unit) => this.peers[from]?.pause(unit));
    this.on('resume', (from, unit) => this.peers[from]?.resume(unit));
    this.on('away', (_from, { unit, isAway }) => this.places.setAway(unit, isAway));
    this.on('nodes', (_from, data) => this.places.setNodes(new NodeTable(data)));
    this.on('table', (from, version) => this.arrivals.heardTable(from, version));
    this.queries = new FarQueries(this);
    new FarWatches(this);
    this.awakeIn = new Awake(this);
    this.held = new HeldPartitions(this);
    this.hands = new Hands(this);
    this.gateway = options.gateway?.(this) ?? null;
  }

  handlerOf(name: string): ControlHandler | undefined {
    return this.handlers.get(name);
  }

  on(name: string, handler: ControlHandler): void {
    this.handlers.set(name, handler);
  }

  // Where things are.

  where(hosted: HostedType, key: string): number {
    return this.places.where(hosted, key);
  }

  owns(hosted: HostedType, key: string): boolean {
    if (this.holding && this.held.of(hosted, key) !== undefined) return false;
    return this.places.ownsWhenOpen(hosted, key);
  }

  woke(act: Activation): void {
    this.awakeIn.woke(act);
  }

  isFar(ref: BaseRef): boolean {
    const far = ref[FAR];
    return far !== null && far.version === this.version && far.thread !== this.host.thread;
  }

  /** One whose owner has died is placed again when somebody asks for it, most likely where the table says. */
  ownerOf(hosted: HostedType, key: string): number {
    const thread = this.where(hosted, key);
    return thread === inDoubt ? this.places.homeOf(hosted, key) : thread;
  }

  nameOf(peer: number): string {
    return this.peers[peer]?.label ?? `thread ${peer}`;
  }

  threadOf(hosted: HostedType, key: string): number {
    const owner = this.ownerOf(hosted, key);
    return owner < this.threads ? owner : 0;
  }

  /** The thread a ref's actor is on, looked up again only when something may have changed. */
  threadFor(ref: BaseRef): number {
    const far = ref[FAR];
    if (far !== null && far.version === this.version) return far.thread;
    const act = ref[ACT];
    const thread = ref[KEY] === '' && act !== null ? this.host.thread : this.where(ref[TYPE], ref[KEY]);
    if (thread !== inDoubt) {
      // What a move between the threads of this node has come to means nothing to another: there it would be the word of the actor's home.
      const epoch = this.moves.any && thread < this.threads ? this.moves.epochOf(ref.toString()) : -1;
      ref[FAR] = { thread, version: this.version, slot: far?.slot ?? -1, epoch };
    }
    return thread;
  }

  // Sending.

  tell(ref: BaseRef, code: number, a0: unknown, a1: unknown): Promise<void> | undefined {
    const held = this.holding ? this.held.of(ref[TYPE], ref[KEY]) : undefined;
    if (held !== undefined) return this.held.take(held, ref, { code, a0, a1, call: null });
    if (this.places.anyAway && this.gateway?.take(ref, { code, a0, a1, call: null }) === true) return undefined;
    const thread = this.threadFor(ref);
    const peer = this.peers[thread];
    if (peer === undefined || this.isInMotionHere(ref)) return this.moves.tell(ref, code, a0, a1);
    if (peer.ready && !peer.isPaused(ref) && this.writeTell(thread, ref, code, a0, a1)) return undefined;
    if (ref[TYPE].spec.overflow !== 'wait') throw peer.overloaded(ref);
    const message = new OutgoingTell(this, thread, ref, code, a0, a1);
    if (!peer.waitForRoom(ref, message)) throw peer.overloaded(ref);
    return message.sent;
  }

  writeTell(thread: number, ref: BaseRef, code: number, a0: unknown, a1: unknown): boolean {
    const { wire } = this;
    if (!wire.tell(thread, ref, code, a0, a1)) return false;
    const { capacity, bytes } = ref[TYPE].spec;
    (this.peers[thread] as FarPeer).sentTo(ref, wire.slot, wire.bytes, capacity, bytes);
    return true;
  }

  ask(ref: BaseRef, call: Call, code: number, a0: unknown, a1: unknown): void {
    const held = this.holding ? this.held.of(ref[TYPE], ref[KEY]) : undefined;
    if (held !== undefined) {
      this.held.take(held, ref, { code, a0, a1, call });
      return;
    }
    if (this.places.anyAway && this.gateway?.take(ref, { code, a0, a1, call }) === true) return;
    this.askAt(this.threadFor(ref), ref, call, code, a0, a1);
  }

  askAt(thread: number, ref: BaseRef, call: Call, code: number, a0: unknown, a1: unknown): void {
    const peer = this.peers[thread];
    if (peer === undefined || this.isInMotionHere(ref)) {
      this.moves.ask(ref, call, code, a0, a1);
      return;
    }
    const paused = peer.isPaused(ref);
    const refuses = ref[TYPE].spec.overflow === 'reject';
    if (peer.gone || (refuses && (paused || peer.crowded || peer.isTooLate(call.at)))) {
      this.host.fail(call, peer.overloaded(ref, quickError));
      return;
    }
    call.peer = thread;
    if (!this.pending.add(call)) {
      this.host.fail(call, new TroupeError('OVERLOADED', `${this.pending.size} asks still wait for an answer`));
      return;
    }
    if (peer.ready && !paused && this.writeAsk(thread, ref, call, code, a0, a1)) return;
    if (!peer.waitForRoom(ref, new OutgoingAsk(this, thread, ref, call, code, a0, a1)))
      this.host.fail(call, peer.overloaded(ref, quickError));
  }

  /** True when nothing is left to do: it has been sent, or it has ended. */
  writeAsk(thread: number, ref: BaseRef, call: Call, code: number, a0: unknown, a1: unknown): boolean {
    if (call.state === ended) return true;
    const { wire } = this;
    try {
      if (!wire.ask(thread, ref, code, a0, a1, call, this.remaining(call), this.chainTo(thread, call))) return false;
    } catch (error) {
      this.host.fail(call, error);
      return true;
    }
    this.pending.markSent(call);
    const { overflow, capacity, bytes } = ref[TYPE].spec;
    if (overflow === 'wait') (this.peers[thread] as FarPeer).sentTo(ref, wire.slot, wire.bytes, capacity, bytes);
    return true;
  }

  goesBack(ref: BaseRef, message: FarMessage): boolean {
    return this.holding && this.held.goesBack(ref, message);
  }

  isInMotionHere(ref: BaseRef): boolean {
    return this.moves.any && this.moves.inMotion(ref.toString());
  }

  remaining(call: Call): number {
    return call.at === 0 ? Number.POSITIVE_INFINITY : Math.max(0, call.at - this.host.now());
  }

  chainFor(call: Call): string[] | null {
    if (call.from === null && call.parent === null && call.chain === null) return null;
    return chainOf(call.from, call.parent).concat(call.chain ?? []);
  }

  /** Other nodes are told of those turns only that have the same address there. */
  private chainTo(thread: number, call: Call): readonly string[] | null {
    const chain = this.chainFor(call);
    return thread < this.threads || this.gateway === null ? chain : this.gateway.abroad(chain);
  }

  /** What came here goes on to where its actor is; the answer to an ask goes straight to its asker. */
  forward(from: number, ref: BaseRef, message: FarMessage): void {
    if (message.call?.state === ended) return;
    const thread = this.threadFor(ref);
    if (thread >= this.threads) {
      this.gateway?.pass(from, ref, message);
      return;
    }
    const peer = this.peers[thread];
    if (peer === undefined || peer.gone) {
      throw new TroupeError('OVERLOADED', `${ref.toString()} cannot be reached for a moment; its thread has died`);
    }
    this.control(thread, 'forwarded', { unit: ref.toString(), epoch: -1, ...this.moves.calls.exportMessage(message) });
    if (message.call?.arrived === true) this.arrivals.silence(message.call);
  }

  answer(call: Asker, value: unknown): void {
    this.arrivals.answer(call, value);
  }

  refuse(call: Asker, error: unknown): void {
    const wire = toWireError(error);
    this.toPeer(call.peer, () => this.wire.refuse(call.peer, call.id, wire));
  }

  started(call: Call): void {
    this.control(call.peer, 'started', call.id);
  }

  verdict(call: Call, aborted: boolean): void {
    this.outcomes.verdict(call, aborted);
  }

  forget(call: Call): void {
    this.outcomes.forget(call);
  }

  broadcast(name: string, payload: unknown): void {
    for (let thread = 0; thread < this.threads; thread++)
      if (thread !== this.host.thread) this.control(thread, name, payload);
  }

  control(thread: number, name: string, payload: unknown): void {
    if (thread === this.host.thread) {
      this.host.world.clock.micro(() => this.onControl(thread, name, payload));
      return;
    }
    if (name === 'watch' && thread >= this.threads && this.peers[thread]?.gone !== false) {
      this.gateway?.watches.unlinked((payload as { id: string }).id);
      return;
    }
    this.toPeer(thread, () => this.wire.control(thread, name, payload));
  }

  query(thread: number, name: string, payload: unknown): Promise<any> {
    return this.queries.ask(thread, name, payload);
  }

  /** Replies and control are never refused: they queue behind what the link cannot take yet. */
  toPeer(thread: number, write: () => boolean): void {
    const peer = this.peers[thread];
    if (peer === undefined || peer.gone) return;
    if (peer.ready && write()) return;
    peer.queueAlways({
      write: () => {
        try {
          return write();
        } catch (error) {
          this.host.world.log.error({ err: error, thread }, 'a queued control message could not be sent');
          return true;
        }
      },
    });
  }

  // Receiving.

  drained(act: Parameters<Router['drained']>[0]): void {
    this.arrivals.drained(act);
  }

  ended(act: Parameters<Router['ended']>[0]): void {
    this.arrivals.drained(act);
    if (this.moves.any) this.moves.units.onEnded(act);
    this.gateway?.guests.onEnded(act);
  }

  onControl(from: number, name: string, payload: unknown): void {
    if (from >= this.threads) {
      this.gateway?.onControl(from, name, payload);
      return;
    }
    const handler = this.handlers.get(name);
    if (handler === undefined)
      throw new TroupeError('BAD_MESSAGE', `thread ${from} sent an unknown control message '${name}'`);
    const done = handler(from, payload);
    // What was to be answered had been asked as a query.
    if (done instanceof Promise)
      done.catch(error => this.host.world.log.warn({ err: error, name }, 'a word of a thread'));
  }

  /** Nobody will answer any more. */
  stop(): void {
    this.queries.stop();
    this.moves.stop();
    this.gateway?.timers.stop();
  }

  describe(): object {
    return {
      thread: this.host.thread,
      version: this.version,
      table: this.tableVersion,
      pending: this.pending.size,
      peers: this.peers.flatMap(peer => (peer === undefined ? [] : [peer.describe()])),
      arrivals: this.arrivals.describe(),
      ...(this.gateway === null ? {} : { gateway: this.gateway.describe() }),
      moves: this.moves.describe(),
      held: this.held.describe(),
    };
  }
}
