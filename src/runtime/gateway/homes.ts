// Moves between nodes, decided at home: the gateway of the node whose partition the actor belongs to.
//
//   home H            old node S                   new node T
//   moving ──pack────▶ frozen, mailbox sent back
//     │  ◀─packed─────
//     │ ──put──────────────────────────────────────▶ durable, installed
//     │  ◀─ok───────────────────────────────────────
//   entry: T, durable        ◀── the single commit point
//     │ ──run──────────────────────────────────────▶ runs     then what was held: first what S sent back, then what came since
//     │ ──drop──▶ gone
//
// The intuition: every message to the actor passes H, wherever it lives. So H can hold them while it moves, and each sender's
// order is the order of one way: sender ─▶ H ─▶ the actor. A move changes what is behind H, never the way to it.
//
// What fails before the entry is durable leaves it where it was: thaw, cancel. After that it is at T. S and T do nothing by themselves;
// one that lost its link asks H when it is back ('guest-where'), and H says what the entry says.
//
// Invariants: one node is named at any time, on disk; what came while it moved is held, bounded, or refused; H sends an actor's
// messages nowhere but to the node in its entry.

import { TroupeError } from '../../errors.ts';
import { answersMax, guestHeldMax, guestMovesMax, guestStepMs, waitersPerMailboxMax } from '../../limits.ts';
import { ended } from '../call.ts';
import type { FarMessage } from '../far-moves.ts';
import type { FarRouter } from '../far-router.ts';
import { sendOrWait } from '../far-send.ts';
import { ringPartitionOf } from '../handoff/ring-partition.ts';
import { inTime } from '../in-time.ts';
import { argumentsOf } from '../messages.ts';
import { type BaseRef, FAR } from '../refs.ts';
import type { Relocation } from '../relocate-here.ts';
import type { Unit } from '../relocation-messages.ts';
import { AwayTable } from './away.ts';
import type { Gateway } from './gateway.ts';
import type { Guests } from './guests.ts';

interface Moving {
  /** Sent back by the old node: before everything that is held. */
  readonly back: FarMessage[];
  readonly held: FarMessage[];
  /** Resolves when the move is over. */
  readonly over: Promise<void>;
  readonly end: () => void;
}

type Verdict = 'run' | 'drop' | 'thaw' | 'cancel';

/** Told when a tell waits here: until then its sender had better send no more. */
export type OnWait = (until: Promise<void>) => void;

/** How a message was marked: for this node as the home, sent back by a node that gives the actor away; above 0, from its home. */
export const sentBack = 0;

export class Homes {
  readonly #router: FarRouter;
  readonly #gateway: Gateway;
  readonly #guests: Guests;
  readonly #away: AwayTable;
  readonly #moving = new Map<Unit, Moving>();
  #counts = { started: 0, committed: 0, aborted: 0, held: 0 };
  /** By what the members say. */
  isDown: (node: string) => boolean = () => false;

  constructor(router: FarRouter, gateway: Gateway, guests: Guests) {
    this.#router = router;
    this.#gateway = gateway;
    this.#guests = guests;
    const { host } = router;
    this.#away = new AwayTable(host.engine, host.codec, host.partitions, () => {
      host.epochs.renew();
      return host.epochs.next();
    });
  }

  /** What the last life has stored; told to the threads before anything is sent. */
  load(): void {
    this.#away.load();
    for (const unit of this.#away.units()) this.#tellThreads(unit);
  }

  get any(): boolean {
    return this.#away.size + this.#moving.size !== 0;
  }

  /** Does every message to it go through take()? */
  has(unit: Unit): boolean {
    return this.#away.get(unit) !== undefined || this.#moving.has(unit);
  }

  /** The node of an entry; undefined: it lives by the rule. */
  nodeOf(unit: Unit): string | undefined {
    return this.#away.get(unit)?.node;
  }

  /** What `guest-where` is answered. Undefined: ask again when the move is over. */
  where(unit: Unit): string | undefined {
    return this.#moving.has(unit) ? undefined : (this.#away.get(unit)?.node ?? this.#byRing(unit));
  }

  /** Without an entry: here, if we are its home. */
  #byRing(unit: Unit): string | undefined {
    const { nodes } = this.#gateway;
    const { hosted, key } = this.#router.host.split(unit);
    const node = hosted === undefined ? 0 : nodes.nodeOf(hosted.spec, key);
    // Another is its home: what its entry says is there.
    return node === 0 ? this.#self : undefined;
  }

  isMoving(unit: Unit): boolean {
    return this.#moving.has(unit);
  }

  // Partitions that change hands, and take their entries along.

  #isOf(unit: Unit, partition: number): boolean {
    return ringPartitionOf(this.#router.host, unit) === partition;
  }

  /** Those of which an actor is elsewhere, or was. */
  partitions(): Set<number> {
    const all = this.#away.units().map(unit => ringPartitionOf(this.#router.host, unit));
    return new Set(all.filter(partition => partition !== undefined));
  }

  /** Its actors that are elsewhere, and where. */
  awayIn(partition: number): [unit: Unit, node: string][] {
    const units = this.#away.units().filter(unit => this.#isOf(unit, partition));
    return units.map(unit => [unit, this.#away.get(unit)?.node ?? this.#self]);
  }

  /** One of its actors that is on the move, if any. */
  movingIn(partition: number): Unit | undefined {
    return [...this.#moving.keys()].find(unit => this.#isOf(unit, partition));
  }

  /** Entries that say no more than the ring does go: they would mean something else on another node. */
  async forgetReturned(partition: number): Promise<void> {
    for (const [unit, node] of this.awayIn(partition))
      if (node === this.#self) {
        await this.#away.remove(unit);
        this.#tellThreads(unit);
      }
  }

  /** It is not given after all: those that had come back are on this thread still, whatever the table says. */
  stay(partition: number): void {
    for (const unit of this.#away.recall(unit => this.#isOf(unit, partition))) this.#tellThreads(unit);
  }

  /** It is another node's now. */
  leave(partition: number): void {
    this.#away.recall(unit => this.#isOf(unit, partition));
    for (const [unit] of this.awayIn(partition)) {
      this.#away.forget(unit);
      this.#tellThreads(unit);
    }
  }

  /** It is ours now. Throws CORRUPT. */
  enter(partition: number): void {
    this.#away.load(partition);
    for (const [unit] of this.awayIn(partition)) this.#tellThreads(unit);
  }

  get #self(): string {
    return this.#router.host.node;
  }

  // Messages.

  /** False: it lives here, and is not on the move. Throws OVERLOADED for a tell that cannot be taken. */
  take(unit: Unit, message: FarMessage, mark: number, onWait?: OnWait): boolean {
    if (message.call?.state === ended) return true;
    const moving = this.#moving.get(unit);
    if (moving !== undefined) {
      this.#hold(unit, moving, message, mark, onWait);
      return true;
    }
    const entry = this.#away.get(unit);
    if (entry === undefined || entry.node === this.#self) return false;
    this.#send(unit, entry.node, message, entry.epoch, onWait);
    return true;
  }

  #hold(unit: Unit, { back, held, over }: Moving, message: FarMessage, mark: number, onWait?: OnWait): void {
    if (mark === sentBack && back.length < this.#backMax(unit)) back.push(message);
    else if (held.length < guestHeldMax) held.push(message);
    else {
      const why = `${unit} is on the move, and ${guestHeldMax} messages wait for it; this one was not sent`;
      throw new TroupeError('OVERLOADED', why);
    }
    this.#counts.held++;
    // The other half is for what is on its way until the senders have heard of it.
    if (held.length > guestHeldMax / 2) onWait?.(over);
  }

  /** What can have waited for it where it was: its mailbox, those who waited for a slot in it, and retries of what is in there. */
  #backMax(unit: Unit): number {
    const capacity = this.#router.host.split(unit).hosted?.spec.capacity ?? 0;
    return capacity + waitersPerMailboxMax + answersMax;
  }

  #send(unit: Unit, node: string, message: FarMessage, mark: number, onWait?: OnWait): void {
    const router = this.#router;
    const number = this.#gateway.numberOfName(node);
    const ref = this.#refOf(unit);
    ref[FAR] = { thread: number, version: router.version, slot: -1, epoch: mark };
    const { code, a0, a1, call } = message;
    if (call !== null) {
      router.askAt(number, ref, call, code, a0, a1);
      return;
    }
    const sent = sendOrWait(router, number, ref, code, a0, a1);
    if (sent !== undefined) onWait?.(sent);
  }

  #refOf(unit: Unit): BaseRef {
    return this.#router.host.refById(unit);
  }

  /** Sends one on after all; what cannot be is told. */
  #release(unit: Unit, message: FarMessage): void {
    const { host } = this.#router;
    try {
      if (this.take(unit, message, -1)) return;
      const { code, a0, a1, call } = message;
      const ref = this.#refOf(unit);
      const act = call === null ? host.find(ref) : null;
      // Its sender was told that it is on its way: it is taken even beyond the bound.
      if (act !== null) this.#router.arrivals.deliver(act, host.thread, code, a0, a1, null, true);
      else if (call === null) host.tell(ref, code, a0, a1);
      else host.redispatch(ref, call, code, a0, a1);
    } catch (error) {
      this.refuse(unit, message, error);
    }
  }

  refuse(unit: Unit, { code, a0, a1, call }: FarMessage, error: unknown): void {
    const { host } = this.#router;
    const { hosted } = host.split(unit);
    if (call !== null) host.fail(call, error);
    else
      host.deadLetter(
        unit,
        hosted?.nameOf((code >>> 2) & 255) ?? '?',
        argumentsOf(code, a0, a1),
        (error as Error).message,
      );
  }

  // Moves.

  /**
   * `ready`: brings an actor that lives here to this thread. Rejects, the actor going on where it was, with BAD_OPTION (it cannot move),
   * OVERLOADED (a move is under way, a node cannot be reached), DEADLINE (its turn takes too long), DISK_FULL.
   */
  async relocate(unit: Unit, to: string, ready: () => Promise<void>): Promise<Relocation> {
    if (this.#moving.has(unit)) throw new TroupeError('OVERLOADED', `${unit} is on the move already; try again later`);
    const { host } = this.#router;
    const entry = this.#away.get(unit);
    const from = entry?.node ?? this.#self;
    if (from === to) {
      const epoch = from === this.#self ? this.#guests.epochOf(unit) : await this.#ask(from, 'guest-epoch', { unit });
      return { epoch: epoch as number, pausedMs: 0, shipped: 0, forwarded: 0 };
    }
    if (this.#moving.size >= guestMovesMax)
      throw new TroupeError(
        'OVERLOADED',
        `${guestMovesMax} actors of this node move between nodes already; try again later`,
      );
    this.#refuseLeaving(unit);
    if (entry === undefined) await ready();
    this.#refuseLeaving(unit);
    if (this.#moving.has(unit)) throw new TroupeError('OVERLOADED', `${unit} is on the move already; try again later`);
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    const moving: Moving = { back: [], held: [], over, end };
    this.#moving.set(unit, moving);
    if (from !== this.#self) this.#keepBack(unit, from);
    this.#tellThreads(unit);
    this.#counts.started++;
    host.events.emit('relocating', { id: unit, from, to });
    const since = host.now();
    const number = (entry?.epoch ?? 0) + 1;
    let epoch: number;
    try {
      const bytes = await this.#pack(unit, from, moving);
      epoch = await this.#put(unit, to, bytes);
      await this.#away.set(unit, { node: to, epoch: number });
    } catch (error) {
      this.#verdict(unit, from, 'thaw');
      this.#verdict(unit, to, 'cancel');
      this.#counts.aborted++;
      this.#end(unit, moving);
      host.events.emit('relocation-aborted', { id: unit, from, to, reason: (error as Error).message });
      throw error;
    }
    // It is at `to`, whatever happens from here on.
    this.#verdict(unit, to, 'run');
    // Before it is dropped, and who watches it with it.
    this.#guard(unit, () => this.#gateway.watches.moved(unit, to));
    this.#verdict(unit, from, 'drop');
    this.#counts.committed++;
    this.#end(unit, moving);
    host.events.emit('relocated', { id: unit, epoch, from, to });
    return { epoch, pausedMs: host.now() - since, shipped: moving.back.length, forwarded: moving.held.length };
  }

  /** That node is about to leave for good: whoever of ours lives there comes home. How many are there still. */
  async recall(node: string): Promise<number> {
    const there = (): Unit[] => this.#away.units().filter(unit => this.#away.get(unit)?.node === node);
    // What cannot be moved now is tried again when that node asks again.
    for (const unit of there()) await this.relocate(unit, this.#self, async () => undefined).catch(() => undefined);
    return there().length;
  }

  #refuseLeaving(unit: Unit): void {
    const partition = ringPartitionOf(this.#router.host, unit);
    if (partition !== undefined) this.#gateway.handoffs.refuseMove(unit, partition);
  }

  /** A word that cannot be said is asked for: what is decided does not depend on it. */
  #guard(unit: Unit, step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#router.host.world.log.warn({ err: error, unit }, 'a word about a move between nodes could not be said');
    }
  }

  /** What waits here for room in its mailbox has not left: it is held with the rest, before all that comes from now on. */
  #keepBack(unit: Unit, from: string): void {
    const peer = this.#router.peers[this.#gateway.numberOfName(from)];
    this.#router.host.outside(() => {
      for (const message of peer?.takeWaiting(unit) ?? []) message.again();
    });
  }

  #end(unit: Unit, { back, held, end }: Moving): void {
    this.#moving.delete(unit);
    end();
    this.#router.version++;
    this.#tellThreads(unit);
    this.#router.host.outside(() => {
      for (const message of [...back, ...held]) this.#release(unit, message);
    });
  }

  async #pack(unit: Unit, from: string, moving: Moving): Promise<Uint8Array> {
    // Not given up on while its session lasts: what it sends back may be on the way, and must come before what is held.
    if (from !== this.#self)
      return (await this.#gateway.asked(this.#gateway.numberOfName(from), 'guest-pack', { unit })) as Uint8Array;
    return this.#guests.pack(unit, this.#self, message => {
      // An ask of a thread of ours is made anew here, as those that come later are.
      if (message.call?.arrived === true) this.#gateway.sendOn(this.#router.host.thread, this.#refOf(unit), message);
      else moving.back.push(message);
    });
  }

  async #put(unit: Unit, to: string, bytes: Uint8Array): Promise<number> {
    if (to === this.#self) return this.#guests.put(unit, bytes);
    return (await this.#ask(to, 'guest-put', { unit, bytes })) as number;
  }

  #verdict(unit: Unit, node: string, verdict: Verdict): void {
    this.#guard(unit, () => this.#say(unit, node, verdict));
  }

  #say(unit: Unit, node: string, verdict: Verdict): void {
    if (node !== this.#self) this.#gateway.say(this.#gateway.numberOfName(node), 'guest-verdict', { unit, verdict });
    else if (verdict === 'run') this.#guests.run(unit, false);
    else if (verdict === 'drop') this.#guests.drop(unit);
    else if (verdict === 'thaw') this.#guests.thaw(unit, false);
    else this.#guests.cancel(unit);
  }

  /** The answer of a node, or the reason why there is none in time. */
  #ask(node: string, word: string, payload: object): Promise<unknown> {
    const asked = this.#gateway.asked(this.#gateway.numberOfName(node), word, payload);
    const why = `node ${node} did not answer '${word}' within ${guestStepMs} ms`;
    return inTime(this.#router.host.world.clock, guestStepMs, asked, () => new TroupeError('DEADLINE', why));
  }

  /** Whether the other threads have to send it here although the table says otherwise. */
  #tellThreads(unit: Unit): void {
    this.#router.places.setAway(unit, this.has(unit));
    this.#router.broadcast('away', { unit, isAway: this.has(unit) });
  }

  /** For a thread that has just come up. */
  tellThread(thread: number): void {
    for (const unit of new Set([...this.#away.units(), ...this.#moving.keys()]))
      this.#router.control(thread, 'away', { unit, isAway: true });
  }

  describe(): object {
    return { away: this.#away.size, moving: [...this.#moving.keys()], ...this.#counts };
  }
}
