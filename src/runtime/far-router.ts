// The router of a host that is one of several: who owns an actor, how a message gets there, and how an answer finds back.
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
import type { Activation } from './activation.ts';
import { Call, ended, started, waiting } from './call.ts';
import { chainOf } from './deadlock.ts';
import { offer, overflow } from './delivery.ts';
import type { FarMessage, FarMoves } from './far-moves.ts';
import { FarPeer } from './far-peer.ts';
import type { FarPlace, FarWire } from './far-wire.ts';
import { dead, moving } from './flags.ts';
import type { Host } from './host.ts';
import type { HostedType } from './hosted-type.ts';
import { argumentsOf } from './messages.ts';
import { PendingCalls } from './pending-calls.ts';
import { homeOf, type PartitionTable, threadOfChild } from './placement.ts';
import { ACT, type BaseRef, FAR, KEY, TYPE } from './refs.ts';
import type { Router } from './router.ts';
import { unitsOf } from './weight.ts';

/** No thread: the relocation route must be asked. */
export const inDoubt = -2;

/** Handles a control message by name; what it returns answers a query. */
export type ControlHandler = (from: number, payload: any) => unknown;

export class FarRouter implements Router {
  readonly host: Host;
  readonly wire: FarWire;
  readonly moves: FarMoves;
  readonly pending: PendingCalls;
  readonly peers: (FarPeer | undefined)[] = [];
  table: PartitionTable;
  /** Rises whenever an actor may live elsewhere than before: refs look up again. */
  version = 1;
  private readonly handlers = new Map<string, ControlHandler>();
  private readonly threads: number;
  private queries = 0;
  private readonly asked = new Map<
    number,
    { peer: number; done: (value: unknown) => void; failed: (error: unknown) => void }
  >();

  constructor(
    host: Host,
    wire: (router: FarRouter) => FarWire,
    options: { table: PartitionTable; threads: number; moves: (router: FarRouter) => FarMoves },
  ) {
    this.host = host;
    this.table = options.table;
    this.threads = options.threads;
    this.pending = new PendingCalls();
    this.wire = wire(this);
    this.moves = options.moves(this);
    for (let thread = 0; thread < options.threads; thread++) {
      this.peers[thread] = thread === host.thread ? undefined : new FarPeer(thread, this.wire);
    }
    this.on('publish', (_from, { topic, value }) => host.topics.deliver(topic, value));
    this.on('watch', (_from, { id, thread }) => host.watches.report(id, thread));
    this.on('departed', (_from, { id, reason }) => host.watches.fire(id, reason));
    this.on('started', (_from, id) => this.onStarted(id));
    this.on('verdict', (from, id) => this.onVerdict(from, id));
    this.on('pause', (from, unit) => this.peers[from]?.pause(unit));
    this.on('resume', (from, unit) => this.peers[from]?.resume(unit));
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

  ownerOf(hosted: HostedType, key: string): number {
    return this.where(hosted, key);
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
    const waits = ref[TYPE].spec.overflow === 'wait';
    if (peer.ready && !peer.isPaused(ref) && this.wire.tell(thread, ref, code, a0, a1)) return undefined;
    if (!waits) throw peer.overloaded(ref);
    return peer.whenRoom(ref, () => this.wire.tell(thread, ref, code, a0, a1));
  }

  ask(ref: BaseRef, call: Call, code: number, a0: unknown, a1: unknown): void {
    const thread = this.threadFor(ref);
    const peer = this.peers[thread];
    if (peer === undefined || this.isInMotionHere(ref)) {
      this.moves.send(ref.toString(), { code, a0, a1, call });
      return;
    }
    if (peer.isPaused(ref) && ref[TYPE].spec.overflow === 'reject') {
      this.host.fail(call, peer.overloaded(ref));
      return;
    }
    call.peer = thread;
    call.id = this.pending.add(call);
    const send = (): boolean => {
      if (call.state === ended) return true;
      try {
        return this.wire.ask(thread, ref, code, a0, a1, call, this.remaining(call), this.chainFor(call));
      } catch (error) {
        this.host.fail(call, error);
        return true;
      }
    };
    if (peer.ready && !peer.isPaused(ref) && send()) return;
    if (peer.isPaused(ref)) {
      peer.whenRoom(ref, send).catch(error => this.host.fail(call, error));
      return;
    }
    if (!peer.queue(send)) this.host.fail(call, peer.overloaded(ref));
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

  answer(call: Call, value: unknown): void {
    this.toPeer(call.peer, () => {
      try {
        return this.wire.answer(call.peer, call.id, value);
      } catch (error) {
        return this.wire.refuse(call.peer, call.id, toWireError(error));
      }
    });
  }

  refuse(call: Call, error: unknown): void {
    const wire = toWireError(error);
    this.toPeer(call.peer, () => this.wire.refuse(call.peer, call.id, wire));
  }

  started(call: Call): void {
    this.control(call.peer, 'started', call.id);
  }

  verdict(call: Call): void {
    this.control(call.peer, 'verdict', call.id);
  }

  forget(call: Call): void {
    this.pending.take(call.id);
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

  /** A control message that wants an answer. Rejects when the peer dies; the caller bounds the wait. */
  query(thread: number, name: string, payload: unknown): Promise<any> {
    return new Promise((done, failed) => {
      const id = ++this.queries;
      this.asked.set(id, { peer: thread, done, failed });
      this.control(thread, 'query', { id, name, payload });
    });
  }

  /** Replies and control are never refused: they queue behind what the link cannot take yet. */
  private toPeer(thread: number, write: () => boolean): void {
    const peer = this.peers[thread];
    if (peer === undefined || peer.gone) return;
    if (peer.ready && write()) return;
    peer.queueAlways(write);
  }

  // Receiving. `place` is what the wire keeps for an interned target: type, key, and the activation it last found.

  /** A message for an actor that should live here. */
  arrive(
    from: number,
    place: FarPlace,
    epoch: number,
    code: number,
    a0: unknown,
    a1: unknown,
    call: Call | null,
  ): void {
    let act = place.act;
    if (act === null || (act.flags & dead) !== 0) {
      act = this.resident(place.hosted, place.key);
      place.act = act;
    }
    if (act === null || (act.flags & moving) !== 0) {
      this.arriveSlow(from, place, epoch, { code, a0, a1, call });
      return;
    }
    this.deliver(act, from, code, a0, a1, call, false);
  }

  private resident(hosted: HostedType, key: string): Activation | null {
    return hosted.live.get(key) ?? (key.charCodeAt(0) === 0 ? this.child(hosted, key) : null);
  }

  private child(hosted: HostedType, key: string): Activation | null {
    try {
      return this.host.find(new hosted.stubs.Ref(key));
    } catch {
      return null;
    }
  }

  private arriveSlow(from: number, { hosted, key }: FarPlace, epoch: number, message: FarMessage): void {
    const unit = `${hosted.name}/${key}`;
    const { code, a0, a1, call } = message;
    try {
      if (this.moves.any && (this.moves.knows(unit) || this.moves.inMotion(unit))) {
        this.moves.arrived(from, unit, epoch, message);
        return;
      }
      const ref = new hosted.stubs.Ref(key);
      const act = this.host.find(ref);
      if (act !== null) this.deliver(act, from, code, a0, a1, call, false);
      else if (call === null) void this.tell(ref, code, a0, a1);
      else this.forwardAsk(ref, call, code, a0, a1);
    } catch (error) {
      if (call !== null) this.host.fail(call, error);
      else this.host.deadLetter(unit, hosted.nameOf((code >>> 2) & 255), argumentsOf(code, a0, a1), String(error));
    }
  }

  /** An ask that came to the wrong thread (the table has just changed) goes on; its answer goes straight to its asker. */
  private forwardAsk(ref: BaseRef, call: Call, code: number, a0: unknown, a1: unknown): void {
    const thread = this.threadFor(ref);
    this.control(thread, 'forwarded', {
      unit: ref.toString(),
      epoch: -1,
      ...this.moves.exportMessage({ code, a0, a1, call }),
    });
    call.state = ended;
    this.host.disarm(call);
  }

  /** Into the mailbox. What came over a link was granted credit already: it is taken even beyond the bound, and the sender is paused. */
  deliver(
    act: Activation,
    from: number,
    code: number,
    a0: unknown,
    a1: unknown,
    call: Call | null,
    accepted: boolean,
  ): void {
    const head = code | (unitsOf(code, a0, a1) << 10);
    if (call !== null && call.chain !== null) {
      offer(this.host, act, call, head, a0, a1);
      return;
    }
    if (call !== null) call.act = act;
    const box = act.box ?? act.openBox();
    if (!box.push(head, a0, a1, call)) {
      if (call !== null && !accepted && act.hosted.spec.overflow === 'reject') {
        overflow(this.host, act, head, a0, a1, call);
        return;
      }
      box.force(head, a0, a1, call);
      if (from !== this.host.thread) this.pauseSender(act, from);
    }
    act.ready();
  }

  private pauseSender(act: Activation, from: number): void {
    const more = act.more();
    more.paused ??= new Set();
    if (more.paused.has(from)) return;
    more.paused.add(from);
    this.control(from, 'pause', act.id);
  }

  /** The mailbox has room again. */
  drained(act: Activation): void {
    const paused = act.extras?.paused;
    if (paused == null) return;
    for (const thread of paused) this.control(thread, 'resume', act.id);
    if (act.extras !== null) act.extras.paused = null;
  }

  ended(act: Activation): void {
    this.drained(act);
  }

  onAnswer(id: number, value: unknown): void {
    const call = this.pending.take(id);
    if (call !== undefined) this.host.answer(call, value);
  }

  onRefused(id: number, error: WireError): void {
    const call = this.pending.take(id);
    if (call !== undefined) this.host.fail(call, fromWireError(error));
  }

  /** A new call that arrived from a peer; its deadline runs here too, so that a definite answer can be given. */
  arrivedCall(from: number, id: number, remainingMs: number, chain: readonly string[] | null): Call {
    const call = new Call(nothing, nothing, true);
    call.peer = from;
    call.id = id;
    call.chain = chain;
    if (remainingMs !== Number.POSITIVE_INFINITY) this.host.arm(call, this.host.now() + remainingMs);
    return call;
  }

  private onStarted(id: number): void {
    const call = this.pending.take(id);
    if (call === undefined) return;
    this.host.fail(
      call,
      new TroupeError(
        'UNKNOWN_OUTCOME',
        `${call.to?.toString() ?? 'the actor'} had begun its turn but gave no answer within the deadline`,
      ),
    );
  }

  /** The asker has given up: say whether the turn ever began, and do not begin it any more. */
  private onVerdict(from: number, id: number): void {
    const call = this.host.arrivedCall(from, id);
    if (call === undefined) return;
    if (call.state === waiting)
      this.host.fail(
        call,
        new TroupeError('DEADLINE', `given up before its turn in ${call.act?.id ?? 'the actor'}; it was not run`),
      );
    else if (call.state === started) this.started(call);
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

  // A thread has died.

  /** Ends what can no longer be answered. `table` is the partition table from now on. */
  peerDied(thread: number, table: PartitionTable): void {
    const lost: Call[] = [];
    for (const call of this.pending.all()) if (call.to !== null && this.threadFor(call.to) === thread) lost.push(call);
    const lived = (id: string): boolean => {
      const slash = id.indexOf('/');
      const hosted = this.host.byName.get(id.slice(0, slash));
      return hosted !== undefined && this.where(hosted, id.slice(slash + 1)) === thread;
    };
    this.host.watches.threadLost(lived, thread);
    for (const call of lost) this.loseCall(call, thread);
    for (const [id, asked] of this.asked) {
      if (asked.peer !== thread) continue;
      this.asked.delete(id);
      asked.failed(new TroupeError('UNKNOWN_OUTCOME', `thread ${thread} died before it answered`));
    }
    this.peers[thread]?.die();
    this.wire.forget(thread);
    this.table = table;
    this.version++;
  }

  loseCall(call: Call, thread: number): void {
    this.pending.take(call.id);
    this.host.fail(
      call,
      new TroupeError(
        'UNKNOWN_OUTCOME',
        `${call.to?.toString() ?? 'the actor'} was on thread ${thread}, which died; the message may have run`,
        { details: { thread } },
      ),
    );
  }

  describe(): object {
    return {
      thread: this.host.thread,
      version: this.version,
      pending: this.pending.size,
      peers: this.peers.flatMap(peer => (peer === undefined ? [] : [peer.describe()])),
      moves: this.moves.describe(),
    };
  }
}

function nothing(): void {
  // An arrived call answers with a frame.
}
