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

import { fromWireError, TroupeError, toWireError, type WireError } from '../errors.ts';
import { type Call, ended } from './call.ts';
import { chainOf } from './deadlock.ts';
import { FarArrivals } from './far-arrivals.ts';
import type { FarMessage, FarMoves } from './far-moves.ts';
import { FarPeer, type Outgoing } from './far-peer.ts';
import { OutgoingAsk, OutgoingTell } from './far-send.ts';
import type { FarLinks, FarWire } from './far-wire.ts';
import type { Host } from './host.ts';
import type { HostedType } from './hosted-type.ts';
import { PendingCalls } from './pending-calls.ts';
import { homeOf, type PartitionTable, threadOfChild } from './placement.ts';
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
}

export class FarRouter implements Router {
  readonly host: Host;
  readonly wire: FarWire;
  readonly moves: FarMoves;
  readonly arrivals: FarArrivals;
  readonly pending: PendingCalls;
  readonly peers: (FarPeer | undefined)[] = [];
  table: PartitionTable;
  /** How many deaths the table has seen. */
  tableVersion = 0;
  /** Rises whenever an actor may live elsewhere than before: refs look up again. */
  version = 1;
  private readonly handlers = new Map<string, ControlHandler>();
  private readonly threads: number;
  private queries = 0;
  private stopped = false;
  private readonly asked = new Map<
    number,
    { peer: number; done: (value: unknown) => void; failed: (error: unknown) => void }
  >();
  /** Messages that had not left for a thread when it died, to actors of which the directory has still to speak. */
  private unsent: Outgoing[] = [];

  constructor(host: Host, options: FarRouterOptions) {
    this.host = host;
    this.table = options.table;
    this.threads = options.threads;
    this.pending = new PendingCalls(options.life);
    this.wire = options.wire(this);
    this.arrivals = new FarArrivals(this);
    this.moves = options.moves(this);
    const peer = { wire: this.wire, links: options.links, soon: (fn: () => void) => host.world.clock.soon(fn) };
    for (let thread = 0; thread < options.threads; thread++) {
      this.peers[thread] = thread === host.thread ? undefined : new FarPeer(thread, peer);
    }
    this.on('publish', (from, { topic, value }) => host.topics.deliver(topic, value, from));
    this.on('watch', (_from, { id, thread }) => this.watched(id, thread));
    this.on('departed', (_from, { id, reason }) => host.watches.fire(id, reason));
    this.on('started', (_from, id) => this.onStarted(id));
    this.on('verdict', (from, id) => this.arrivals.verdict(from, id));
    this.on('pause', (from, unit) => this.peers[from]?.pause(unit));
    this.on('resume', (from, unit) => this.peers[from]?.resume(unit));
    this.on('table', (from, version) => this.arrivals.heardTable(from, version));
    this.on('query', (from, { id, name, payload }) => this.onQuery(from, id, name, payload));
    this.on('reply', (_from, { id, value, error }) => this.onReply(id, value, error));
  }

  on(name: string, handler: ControlHandler): void {
    this.handlers.set(name, handler);
  }

  // Where things are.

  where(hosted: HostedType, key: string): number {
    const child = threadOfChild(key);
    if (child >= 0) return child;
    if (this.moves.any) {
      const moved = this.moves.threadOf(`${hosted.name}/${key}`);
      if (moved !== undefined) return moved;
    }
    return this.homeOf(hosted, key);
  }

  private homeOf(hosted: HostedType, key: string): number {
    return homeOf(hosted.spec, key, this.table, this.host.thread, this.threads);
  }

  owns(hosted: HostedType, key: string): boolean {
    return (
      this.where(hosted, key) === this.host.thread && !(this.moves.any && this.moves.inMotion(`${hosted.name}/${key}`))
    );
  }

  isFar(ref: BaseRef): boolean {
    const far = ref[FAR];
    return far !== null && far.version === this.version && far.thread !== this.host.thread;
  }

  /** One whose owner has died is placed again when somebody asks for it, most likely where the table says. */
  ownerOf(hosted: HostedType, key: string): number {
    const thread = this.where(hosted, key);
    return thread === inDoubt ? this.homeOf(hosted, key) : thread;
  }

  /** The thread a ref's actor is on, looked up again only when something may have changed. */
  private threadFor(ref: BaseRef): number {
    const far = ref[FAR];
    if (far !== null && far.version === this.version) return far.thread;
    const act = ref[ACT];
    const thread = ref[KEY] === '' && act !== null ? this.host.thread : this.where(ref[TYPE], ref[KEY]);
    if (thread !== inDoubt) {
      const epoch = this.moves.any ? this.moves.epochOf(ref.toString()) : -1;
      ref[FAR] = { thread, version: this.version, slot: far?.slot ?? -1, epoch };
    }
    return thread;
  }

  // Sending.

  tell(ref: BaseRef, code: number, a0: unknown, a1: unknown): Promise<void> | undefined {
    const thread = this.threadFor(ref);
    const peer = this.peers[thread];
    if (peer === undefined || this.isInMotionHere(ref)) {
      this.moves.send(ref.toString(), { code, a0, a1, call: null });
      return undefined;
    }
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
    const thread = this.threadFor(ref);
    const peer = this.peers[thread];
    if (peer === undefined || this.isInMotionHere(ref)) {
      this.moves.send(ref.toString(), { code, a0, a1, call });
      return;
    }
    const paused = peer.isPaused(ref);
    if (peer.gone || (paused && ref[TYPE].spec.overflow === 'reject')) {
      this.host.fail(call, peer.overloaded(ref));
      return;
    }
    call.peer = thread;
    if (!this.pending.add(call)) {
      this.host.fail(call, new TroupeError('OVERLOADED', `${this.pending.size} asks still wait for an answer`));
      return;
    }
    if (peer.ready && !paused && this.writeAsk(thread, ref, call, code, a0, a1)) return;
    if (!peer.waitForRoom(ref, new OutgoingAsk(this, thread, ref, call, code, a0, a1)))
      this.host.fail(call, peer.overloaded(ref));
  }

  /** True when nothing is left to do: it has been sent, or it has ended. */
  writeAsk(thread: number, ref: BaseRef, call: Call, code: number, a0: unknown, a1: unknown): boolean {
    if (call.state === ended) return true;
    const { wire } = this;
    try {
      if (!wire.ask(thread, ref, code, a0, a1, call, this.remaining(call), this.chainFor(call))) return false;
    } catch (error) {
      this.host.fail(call, error);
      return true;
    }
    this.pending.markSent(call);
    const { overflow, capacity, bytes } = ref[TYPE].spec;
    if (overflow === 'wait') (this.peers[thread] as FarPeer).sentTo(ref, wire.slot, wire.bytes, capacity, bytes);
    return true;
  }

  private isInMotionHere(ref: BaseRef): boolean {
    return this.moves.any && this.moves.inMotion(ref.toString());
  }

  remaining(call: Call): number {
    return call.at === 0 ? Number.POSITIVE_INFINITY : Math.max(0, call.at - this.host.now());
  }

  chainFor(call: Call): string[] | null {
    if (call.from === null && call.parent === null && call.chain === null) return null;
    return chainOf(call.from, call.parent).concat(call.chain ?? []);
  }

  /** What came here goes on to where its actor is; the answer to an ask goes straight to its asker. */
  forward(ref: BaseRef, message: FarMessage): void {
    if (message.call?.state === ended) return;
    const thread = this.threadFor(ref);
    const peer = this.peers[thread];
    if (peer === undefined || peer.gone) {
      throw new TroupeError('OVERLOADED', `${ref.toString()} cannot be reached for a moment; its thread has died`);
    }
    this.control(thread, 'forwarded', { unit: ref.toString(), epoch: -1, ...this.moves.calls.exportMessage(message) });
    if (message.call?.arrived === true) this.arrivals.silence(message.call);
  }

  /** The actor lives elsewhere from now on: what has been waiting for its mailbox is sent after it. */
  moved(unit: string): void {
    for (const peer of this.peers)
      for (const message of peer?.takeWaiting(unit) ?? []) this.host.outside(() => message.again());
  }

  answer(call: Call, value: unknown): void {
    this.arrivals.answer(call, value);
  }

  refuse(call: Call, error: unknown): void {
    const wire = toWireError(error);
    this.toPeer(call.peer, () => this.wire.refuse(call.peer, call.id, wire));
  }

  started(call: Call): void {
    this.control(call.peer, 'started', call.id);
  }

  verdict(call: Call): void {
    if (this.pending.wasSent(call)) this.control(call.peer, 'verdict', call.id);
    else
      this.host.fail(
        call,
        new TroupeError(
          'DEADLINE',
          `given up before it was sent to ${call.to?.toString() ?? 'its actor'}; it was not run`,
        ),
      );
  }

  forget(call: Call): void {
    this.pending.forget(call);
  }

  broadcast(name: string, payload: unknown): void {
    for (const peer of this.peers) if (peer !== undefined) this.control(peer.thread, name, payload);
  }

  control(thread: number, name: string, payload: unknown): void {
    if (thread === this.host.thread) {
      this.host.world.clock.micro(() => this.onControl(thread, name, payload));
      return;
    }
    this.toPeer(thread, () => this.wire.control(thread, name, payload));
  }

  /** A control message that wants an answer. Rejects when the peer is dead or dies; the caller bounds the wait. */
  query(thread: number, name: string, payload: unknown): Promise<any> {
    return new Promise((done, failed) => {
      if (this.stopped) {
        failed(new TroupeError('STOPPED', `node ${this.host.node} has stopped`));
        return;
      }
      if (this.peers[thread]?.gone === true) {
        failed(new TroupeError('OVERLOADED', `thread ${thread} has died and is being replaced`));
        return;
      }
      const id = ++this.queries;
      this.asked.set(id, { peer: thread, done, failed });
      this.control(thread, 'query', { id, name, payload });
    });
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
    if (this.moves.any) this.moves.onEnded(act);
  }

  onAnswer(id: number, value: unknown): void {
    const call = this.pending.take(id);
    if (call !== undefined) this.host.answer(call, value);
  }

  onRefused(id: number, error: WireError): void {
    const call = this.pending.take(id);
    if (call !== undefined) this.host.fail(call, fromWireError(error));
  }

  private onStarted(id: number): void {
    const call = this.pending.at(id);
    if (call === undefined) return;
    this.host.fail(
      call,
      new TroupeError(
        'UNKNOWN_OUTCOME',
        `${call.to?.toString() ?? 'the actor'} had begun its turn but gave no answer within the deadline`,
      ),
    );
  }

  /** Another thread watches an actor that is, or was, here. */
  private watched(id: string, thread: number): void {
    const slash = id.indexOf('/');
    const hosted = this.host.byName.get(id.slice(0, slash));
    if (hosted === undefined) return;
    const owner = this.ownerOf(hosted, id.slice(slash + 1));
    if (owner !== this.host.thread) this.control(owner, 'watch', { id, thread });
    else if (thread === this.host.thread) return;
    else this.host.watches.report(id, thread);
  }

  onControl(from: number, name: string, payload: unknown): void {
    const handler = this.handlers.get(name);
    if (handler === undefined)
      throw new TroupeError('BAD_MESSAGE', `thread ${from} sent an unknown control message '${name}'`);
    handler(from, payload);
  }

  private onQuery(from: number, id: number, name: string, payload: unknown): void {
    const answer = (reply: object): void => this.control(from, 'reply', { id, ...reply });
    Promise.resolve()
      .then(() => {
        const handler = this.handlers.get(name);
        if (handler === undefined) throw new TroupeError('BAD_MESSAGE', `unknown query '${name}'`);
        return handler(from, payload);
      })
      .then(
        value => answer({ value }),
        error => answer({ error: toWireError(error) }),
      );
  }

  private onReply(id: number, value: unknown, error: WireError | undefined): void {
    const asked = this.asked.get(id);
    if (asked === undefined) return;
    this.asked.delete(id);
    if (error === undefined) asked.done(value);
    else asked.failed(fromWireError(error));
  }

  /** Nobody will answer any more. */
  stop(): void {
    this.stopped = true;
    for (const { failed } of this.asked.values())
      failed(new TroupeError('STOPPED', `node ${this.host.node} stopped before there was an answer`));
    this.asked.clear();
  }

  // A thread has died.

  /** Ends what can no longer be answered, and sends again what had not left. `table` is that of version `version`. */
  peerDied(thread: number, table: PartitionTable, version: number): void {
    const { host, peers } = this;
    // What wakes here now must have a higher epoch than it had there.
    host.epochs.renew();
    const lost: Call[] = [];
    for (const call of this.pending.all()) if (this.isLost(call, thread)) lost.push(call);
    host.watches.threadLost(id => this.livedOn(id, thread), thread);
    for (const call of lost) this.loseCall(call, thread);
    for (const [id, asked] of this.asked) {
      if (asked.peer !== thread) continue;
      this.asked.delete(id);
      asked.failed(new TroupeError('UNKNOWN_OUTCOME', `thread ${thread} died before it answered`));
    }
    const unsent = peers[thread]?.die() ?? [];
    this.arrivals.forget(thread);
    this.table = table;
    this.tableVersion = version;
    this.version++;
    this.broadcast('table', version);
    host.outside(() => {
      for (const message of unsent) {
        if (this.moves.knows(message.to)) this.unsent.push(message);
        else message.again();
      }
      this.arrivals.tableChanged();
    });
  }

  /** How things stand, for a thread that has just come up. */
  welcome(table: PartitionTable, version: number, gone: readonly number[]): void {
    this.table = table;
    this.tableVersion = version;
    this.version++;
    for (const peer of this.peers) {
      if (peer === undefined) continue;
      if (!gone.includes(peer.thread)) peer.revive();
      else if (!peer.gone) for (const message of peer.die()) message.again();
    }
  }

  private isLost(call: Call, thread: number): boolean {
    return call.to !== null && this.pending.wasSent(call) && this.threadFor(call.to) === thread;
  }

  private livedOn(id: string, thread: number): boolean {
    const slash = id.indexOf('/');
    const hosted = this.host.byName.get(id.slice(0, slash));
    return hosted !== undefined && this.where(hosted, id.slice(slash + 1)) === thread;
  }

  /** The directory's word about a death has been read: the units of that thread are placed anew from now on. */
  settleUnsent(): void {
    for (const message of this.unsent.splice(0)) this.host.outside(() => message.again());
  }

  private loseCall(call: Call, thread: number): void {
    const to = call.to?.toString() ?? 'the actor';
    // One that has moved may have taken the ask along just before, and answer it yet: its number stays taken.
    if (!this.moves.knows(to)) this.pending.drop(call);
    this.host.fail(
      call,
      new TroupeError('UNKNOWN_OUTCOME', `${to} was on thread ${thread}, which died; the message may have run`, {
        details: { thread },
      }),
    );
  }

  describe(): object {
    return {
      thread: this.host.thread,
      version: this.version,
      table: this.tableVersion,
      pending: this.pending.size,
      peers: this.peers.flatMap(peer => (peer === undefined ? [] : [peer.describe()])),
      arrivals: this.arrivals.describe(),
      moves: this.moves.describe(),
    };
  }
}
