// Partitions whose messages wait on this thread while they change hands: held where they are sent, so that nothing is on its way.
//
//     leaves:   open ──hold──▶ leaving ──freeze──▶ frozen ──release──▶ open: what was held goes where the partition is by then
//     arrives:  open ──hold──▶ settling ────────────────release──▶ open
//
// The intuition: each sender's messages to an actor take one way, and each is in order by itself. Where the way changes, what was
// sent by the old one has to be there before anything takes the new one. So senders keep their messages back until that is known.
// What comes by the rightful way meanwhile (from a thread that has not heard yet; on the new owner, from the old one) passes.
//
// Invariants: of one sender, what is held leaves in order and behind what it sent before; bounded by handoffHeldMax, then OVERLOADED.

import { TroupeError } from '../../errors.ts';
import { handoffHeldMax } from '../../limits.ts';
import type { Activation } from '../activation.ts';
import { ended } from '../call.ts';
import type { FarMessage } from '../far-moves.ts';
import type { FarRouter } from '../far-router.ts';
import { sendOrWait, tellSurely } from '../far-send.ts';
import { moving } from '../flags.ts';
import type { HostedType } from '../hosted-type.ts';
import { argumentsOf } from '../messages.ts';
import { groupName, inGroup, isSlot, isUnitIn, slotGroup } from '../rebalance/slot-group.ts';
import { SlotTopics } from '../rebalance/slot-topics.ts';
import { type BaseRef, KEY, TYPE } from '../refs.ts';
import { ringPartition } from './ring-partition.ts';

export type Stage = 'leaving' | 'frozen' | 'settling';

interface Kept {
  readonly ref: BaseRef;
  readonly message: FarMessage;
}

/** A message that waits, or something to be done when all before it have left. */
type Entry = Kept | (() => void);

export interface Held {
  readonly partition: number;
  stage: Stage;
  entries: Entry[];
  /** Frozen, it has held back what may have to run if it is not frozen after all. */
  hasLate: boolean;
  /** Let through by another thread, to one that is not awake any more: where it is from more may wait, so it leaves as from a mailbox. */
  late: (Kept & { readonly from: number })[];
  /** What had waited for a mailbox of the owner before is in front: others may have sent it, before they knew of that one. */
  hasOlder: boolean;
  /** Resolves when it is over. */
  readonly over: Promise<void>;
  readonly end: () => void;
}

export class HeldPartitions {
  readonly #router: FarRouter;
  readonly #held = new Map<number, Held>();
  /** Of a slot that changes threads: one at a time. */
  slot: Held | undefined;
  readonly topics: SlotTopics;
  held = 0;

  constructor(router: FarRouter) {
    this.#router = router;
    this.topics = new SlotTopics(router);
  }

  /** Looked at before each message to another thread: nearly always false. */
  get any(): boolean {
    return this.#held.size !== 0;
  }

  get(partition: number): Held | undefined {
    return this.#held.get(partition);
  }

  all(): Held[] {
    return [...this.#held.values()];
  }

  of(hosted: HostedType, key: string): Held | undefined {
    const partition = ringPartition(hosted, key);
    const held = partition === undefined ? undefined : this.#held.get(partition);
    if (held !== undefined || this.slot === undefined) return held;
    return slotGroup(this.#router, hosted, key) === this.slot.partition ? this.slot : undefined;
  }

  hold(partition: number, stage: Stage): Held {
    const known = this.#held.get(partition);
    if (known !== undefined) return known;
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    const held: Held = { partition, stage, entries: [], late: [], hasLate: false, hasOlder: false, over, end };
    this.#held.set(partition, held);
    if (isSlot(this.#router, partition)) this.slot = held;
    for (const act of this.awake(partition)) act.flags |= moving;
    this.#router.version++;
    this.#router.holding = true;
    // What waits for room has not left either: it is before all that comes from now on.
    this.#router.host.outside(() => {
      this.#sendWaiting(partition);
      // Nor what waits in front of one that is just being moved between threads.
      for (const message of this.#router.moves.takeWaitingOf(unit => this.#isOf(unit, partition))) message.again();
    });
    held.hasOlder = held.entries.length > 0;
    return held;
  }

  /** What waits for the mailbox of one of its actors goes whichever way is right by now. */
  #sendWaiting(partition: number): void {
    for (const peer of this.#router.peers)
      for (const message of peer?.takeWaitingOf(unit => this.#isOf(unit, partition)) ?? []) message.again();
  }

  #isOf(unit: string, partition: number): boolean {
    return isUnitIn(this.#router, partition, unit);
  }

  /** Actors of that partition that are awake on this thread. */
  awake(partition: number): Activation[] {
    return this.#router.awakeIn.of(partition);
  }

  /** A message of this thread's. A promise when its sender had better wait. Throws OVERLOADED. */
  take(held: Held, ref: BaseRef, message: FarMessage): Promise<void> | undefined {
    if (message.call?.state === ended) return undefined;
    const unit = ref.toString();
    if (held.stage !== 'settling' && this.#mustRun(held, ref, message)) {
      // Where nothing of it is, it is frozen at once: whether the actor still runs is known by its own thread. A guest of another
      // node does not know it: what went there now might be overtaken by the news that its home is another one.
      const thread = this.#router.threadFor(ref);
      const isElsewhere = thread !== this.#router.host.thread && thread < this.#router.threads;
      const isLate = held.stage === 'frozen' && (!isElsewhere || isSlot(this.#router, held.partition));
      held.hasLate ||= isLate;
      if (!isLate) {
        this.#letThrough(held, unit, { ref, message });
        return undefined;
      }
    }
    if (held.entries.length >= handoffHeldMax) throw this.#tooMany(held, ref);
    held.entries.push({ ref, message });
    this.held++;
    // The other half is for what is on its way until senders have heard of it.
    return held.entries.length > handoffHeldMax / 2 ? held.over : undefined;
  }

  #tooMany({ partition }: Held, ref: BaseRef): TroupeError {
    const why = `${groupName(this.#router, partition)} is changing hands, and ${handoffHeldMax} messages wait for it; this one, to ${ref.toString()}, was not sent`;
    return new TroupeError('OVERLOADED', why, { details: { partition } });
  }

  /** An actor of that partition waits for it, itself or by way of others: held back it would keep that one from coming to rest. */
  #mustRun({ partition }: Held, ref: BaseRef, { call }: FarMessage): boolean {
    const router = this.#router;
    if (call === null || (router.moves.any && router.moves.inMotion(ref.toString()))) return false;
    if (call.from !== null && inGroup(router, partition, call.from.hosted, call.from.key)) return true;
    return router.chainFor(call)?.some(above => this.#isOf(above, partition)) === true;
  }

  /** With all that waits for the same actor, or it would pass what its asker has told that one before. */
  #letThrough(held: Held, unit: string, last: Kept): void {
    const entries: Kept[] = [];
    held.entries = held.entries.filter(entry => {
      if (typeof entry === 'function' || entry.ref.toString() !== unit) return true;
      entries.push(entry);
      return false;
    });
    if (!entries.includes(last)) entries.push(last);
    const { host, gateway } = this.#router;
    for (const { ref, message } of entries)
      try {
        if (gateway?.take(ref, message) !== true) this.pass(ref, message, host.thread);
      } catch (error) {
        this.refuse(ref, message, error);
      }
  }

  /** It runs again, and so does what an actor of it waits for. */
  stir(partition: number): void {
    const held = this.#held.get(partition);
    if (held === undefined) return;
    held.stage = 'leaving';
    // Sent here by the table: it may live on the thread of the gateway, as one that has come back from another node.
    for (const { ref, message, from } of held.late.splice(0))
      try {
        void this.pass(ref, message, from);
      } catch (error) {
        this.refuse(ref, message, error);
      }
    if (!held.hasLate) return;
    held.hasLate = false;
    for (const entry of held.entries)
      if (typeof entry !== 'function' && this.#mustRun(held, entry.ref, entry.message) && held.entries.includes(entry))
        this.#letThrough(held, entry.ref.toString(), entry);
  }

  /** Runs when all that was held before it has left; at once when nothing is held. */
  behind(partition: number, then: () => void): void {
    const held = this.#held.get(partition);
    if (held === undefined) then();
    else held.entries.push(then);
  }

  /** What comes by the rightful way, for an actor that is here or on another thread of this node. */
  pass(ref: BaseRef, message: FarMessage, from: number): Promise<void> | undefined {
    const router = this.#router;
    const { code, a0, a1, call } = message;
    const thread = router.threadFor(ref);
    if (thread === router.host.thread) {
      this.deliver(ref, message, from);
      return undefined;
    }
    if (call === null) return sendOrWait(router, thread, ref, code, a0, a1);
    if (call.arrived) router.forward(from, ref, message);
    else router.askAt(thread, ref, call, code, a0, a1);
    return undefined;
  }

  /** It had been let through, or was sent before anything was held, and waited for a thread that has died: nothing that is held may pass it. */
  passes(ref: BaseRef, message: FarMessage): boolean {
    const { holding, gateway, host, peers } = this.#router;
    if (!holding || this.of(ref[TYPE], ref[KEY]) === undefined) return false;
    const thread = this.#router.threadFor(ref);
    const peer = peers[thread];
    // There is none that it could go to. Held, it would come behind what passes when there is one again.
    if (peer?.gone === true) {
      this.refuse(ref, message, peer.overloaded(ref));
      return true;
    }
    try {
      if (gateway?.take(ref, message) === true) return true;
      const isInDoubt = thread !== host.thread && peers[thread] === undefined;
      if (isInDoubt && message.call === null) tellSurely(this.#router, ref, message.code, message.a0, message.a1);
      else void this.pass(ref, message, host.thread);
    } catch (error) {
      this.refuse(ref, message, error);
    }
    return true;
  }

  /**
   * It waited in front of an actor that fell asleep here, its store being slow: it came before its partition was held, or was let through,
   * so nothing that is held may pass it.
   */
  goesBack(ref: BaseRef, message: FarMessage): boolean {
    if (this.of(ref[TYPE], ref[KEY]) === undefined || this.#router.places.takesOwnWay(ref.toString())) return false;
    this.deliver(ref, message, this.#router.host.thread);
    return true;
  }

  /** Into the mailbox of an actor of this thread, whatever its partition is about to do. */
  deliver(ref: BaseRef, message: FarMessage, from: number): void {
    const { host, arrivals } = this.#router;
    const { code, a0, a1, call } = message;
    const [hosted, key] = [ref[TYPE], ref[KEY]];
    const held = this.of(hosted, key);
    let act = hosted.live.get(key);
    if (act === undefined && held?.stage === 'frozen') {
      if (held.late.length < handoffHeldMax) held.late.push({ ref, message, from });
      else this.refuse(ref, message, this.#tooMany(held, ref));
      return;
    }
    act ??= host.activate(hosted, key);
    if (held !== undefined) act.flags |= moving;
    arrivals.deliver(act, from, code, a0, a1, call, call === null);
  }

  /** What has come for those of its actors that were asleep when it was frozen. */
  takeLate(partition: number): Kept[] {
    return this.#held.get(partition)?.late.splice(0) ?? [];
  }

  /** It is another node's, which does not wait for what was sent here before: that is not sent on. */
  drop(partition: number, error: TroupeError): void {
    const held = this.#held.get(partition);
    for (const entry of [...this.takeLate(partition), ...(held?.entries.splice(0) ?? [])])
      if (typeof entry === 'function') entry();
      else this.refuse(entry.ref, entry.message, error);
    // Nor what waits where its slot is just changing threads.
    if (this.slot !== undefined) this.#dropFrom(this.slot, partition, error);
  }

  #dropFrom(held: Held, partition: number, error: TroupeError): void {
    const isGone = (entry: Entry): boolean =>
      typeof entry !== 'function' && this.#isOf(entry.ref.toString(), partition);
    const gone = [...held.late, ...held.entries].filter(isGone) as Kept[];
    held.late = held.late.filter(entry => !isGone(entry));
    held.entries = held.entries.filter(entry => !isGone(entry));
    for (const { ref, message } of gone) this.refuse(ref, message, error);
  }

  /**
   * What was let through, and waits for room in front of the thread it has lived on until now: before all that is held, and behind what is on its
   * way to that thread, which sends it back.
   */
  keepWaiting(partition: number): void {
    const held = this.#held.get(partition);
    if (held === undefined) return;
    const waiting = this.#router.peers.flatMap(peer => peer?.takeWaitingOf(unit => this.#isOf(unit, partition)) ?? []);
    held.entries = [...waiting.map(message => () => message.again()), ...held.entries];
  }

  /** What others have sent waits for room in front of another thread, perhaps, and what they send now goes to the new owner. */
  dropWaiting(partition: number, why: string): void {
    const error = new TroupeError('FENCED', why, { retryable: true });
    const isOurs = (unit: string): boolean => this.#isOf(unit, partition);
    const { peers, moves } = this.#router;
    const waiting = peers.flatMap(peer => peer?.takeWaitingOf(isOurs) ?? []);
    for (const message of [...waiting, ...moves.takeWaitingOf(isOurs)]) message.fail(error);
  }

  /** It is known where the partition is: what was held leaves. */
  release(partition: number): void {
    const held = this.#held.get(partition);
    if (held === undefined) return;
    const router = this.#router;
    this.#held.delete(partition);
    if (this.slot === held) this.slot = undefined;
    router.holding = this.any;
    for (const act of this.awake(partition))
      if (!router.places.takesOwnWay(act.id) && this.of(act.hosted, act.key) === undefined) act.flags &= ~moving;
    router.version++;
    router.host.outside(() => {
      // Paused by the thread they have left: nothing there would ever resume it.
      this.#sendWaiting(partition);
      for (const entry of [...held.late, ...held.entries])
        if (typeof entry === 'function') entry();
        else this.send(entry.ref, entry.message);
    });
    held.end();
  }

  /** One that has waited goes on, whatever its receiver's policy: its sender was told that it is on its way. Never throws. */
  send(ref: BaseRef, message: FarMessage): void {
    const { host, gateway, arrivals } = this.#router;
    const { code, a0, a1, call } = message;
    if (call?.state === ended) return;
    try {
      if (call?.arrived === true) {
        arrivals.arriveSlow(host.thread, { hosted: ref[TYPE], key: ref[KEY], act: null, ref: null }, -1, message);
        return;
      }
      if (call !== null) {
        host.redispatch(ref, call, code, a0, a1);
        return;
      }
      // Its slot may be changing threads meanwhile: asks of the same sender wait there.
      const now = this.of(ref[TYPE], ref[KEY]);
      if (now !== undefined) {
        this.take(now, ref, message);
        return;
      }
      if (gateway?.take(ref, message) === true) return;
      const act = host.find(ref);
      // Its sender was told that it is on its way: it is taken even beyond the bound.
      if (act !== null) arrivals.deliver(act, host.thread, code, a0, a1, null, true);
      else tellSurely(this.#router, ref, code, a0, a1);
    } catch (error) {
      this.refuse(ref, message, error);
    }
  }

  refuse(ref: BaseRef, { code, a0, a1, call }: FarMessage, error: unknown): void {
    const { host } = this.#router;
    if (call !== null) host.fail(call, error);
    else {
      const method = ref[TYPE].nameOf((code >>> 2) & 255);
      host.deadLetter(ref.toString(), method, argumentsOf(code, a0, a1), (error as Error).message);
    }
  }

  describe(): object {
    const now = [...this.#held.values()].map(({ partition, stage, entries, late }) => ({
      partition,
      stage,
      waiting: entries.length + late.length,
    }));
    return { partitions: now, held: this.held };
  }
}
