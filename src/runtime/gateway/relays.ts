// Messages that pass through a gateway: from a thread of its process to another node, or the other way round.
//
//     thread 2 ──ask 17──▶ gateway ──its own ask 903──▶ n2          the answer to 903 is the answer to 17
//     thread 2 ──tell───▶ gateway ──tell─────────────▶ n2          no room: it waits, and thread 2 is told to pause for that actor
//
// The intuition: to whoever sends it on, a message that passes is one of its own. An ask is made anew, with the asker's deadline,
// chain, trace and operation, so that whatever can be known of its outcome is known here and passed back as it is.
//
// Invariant: 'failed' stays 'failed' and 'unknown' stays 'unknown'; messages of one sender to one actor leave in the order in which
// they came; what was told to be on its way is in a mailbox, on a link, waiting here, or a dead letter.

import { quickError, TroupeError } from '../../errors.ts';
import { asksPerThreadMax } from '../../limits.ts';
import type { Activation } from '../activation.ts';
import { type Asker, Call, type CallExtra, ended, waiting } from '../call.ts';
import { graceMsOf, offer } from '../delivery.ts';
import type { FarMessage } from '../far-moves.ts';
import type { FarRouter } from '../far-router.ts';
import { sendOrWait } from '../far-send.ts';
import type { FarPlace } from '../far-wire.ts';
import type { Frame } from '../frame.ts';
import { ringPartition } from '../handoff/ring-partition.ts';
import { reminderMethod } from '../hosted-type.ts';
import { unitsIn } from '../mailbox.ts';
import { argumentsOf } from '../messages.ts';
import { type BaseRef, KEY, TYPE } from '../refs.ts';
import { unitsOf } from '../weight.ts';
import type { Gateway } from './gateway.ts';
import { type OnWait, sentBack } from './homes.ts';

/** A message of somebody for whom this node, or the one after it, is the home. */
const unmarked = -1;
/** From one who was the home of the actor when he sent it, and is not any more. */
const outdated = -2;

/** What an ask brings along besides its message. */
export interface Passing {
  readonly remainingMs: number;
  readonly chain: readonly string[] | null;
  readonly extra: CallExtra | null;
}

/**
 * What its home sends to a guest is there before it gives the partition away (handing.ts, #flushGuests), or is lost with its link: by the new home
 * it would come behind what its sender has sent there since.
 */
function lateFromHome(ref: BaseRef): TroupeError {
  const why = `the partition of ${ref.toString()} has gone to another node since this message was sent on to it; it was not run`;
  return quickError('FENCED', why, { retryable: true });
}

export class Relays {
  readonly #router: FarRouter;
  /** Asks under way, by where they came from and their number there. */
  readonly #asks = new Map<number, Map<number, Call>>();
  /** By actor, by sender: how many of its tells wait here. */
  readonly #held = new Map<string, Map<number, number>>();
  passed = 0;

  constructor(router: FarRouter) {
    this.#router = router;
  }

  /** What a message is marked with counts only from whom it may come: the home of the actor, or the node that gives it back. */
  markOf({ from, epoch, target }: Frame<FarPlace>): number {
    const { hosted, key } = target as FarPlace;
    const gateway = this.#router.gateway as Gateway;
    if (epoch < sentBack) return unmarked;
    if (epoch > sentBack) return gateway.isHome(from, hosted, key) ? epoch : outdated;
    return gateway.homes.nodeOf(`${hosted.name}/${key}`) === gateway.nameOf(from) ? epoch : unmarked;
  }

  ask(asker: Asker, ref: BaseRef, code: number, a0: unknown, a1: unknown, passing: Passing, mark = unmarked): void {
    const { host } = this.#router;
    const { peer: from, id } = asker;
    const over = (): void => {
      const open = this.#asks.get(from);
      if (open?.get(id) === call) open.delete(id);
    };
    const call = new Call(
      value => {
        over();
        if (code >>> 2 === reminderMethod) host.reminders.ran(ref[TYPE].name, ref[KEY], a0 as string);
        this.#router.answer(asker, value);
      },
      error => {
        over();
        this.#router.refuse(asker, error);
      },
      false,
    );
    call.method = code;
    call.to = ref;
    call.chain = passing.chain;
    call.extra = passing.extra;
    this.passed++;
    let open = this.#asks.get(from);
    if (open === undefined) {
      open = new Map();
      this.#asks.set(from, open);
    }
    open.set(id, call);
    host.outstanding++;
    if (host.outstanding > asksPerThreadMax) {
      host.fail(call, quickError('OVERLOADED', `${asksPerThreadMax} asks are open on the gateway of ${host.node}`));
    } else if (passing.remainingMs <= 0) {
      host.fail(call, quickError('DEADLINE', `the deadline passed on the way to ${ref.toString()}; it was not run`));
    } else {
      host.expect(call, passing.remainingMs);
      this.#route(from, ref, { code, a0, a1, call }, mark);
    }
  }

  /** Never throws: what cannot go on is a dead letter. */
  tell(from: number, ref: BaseRef, code: number, a0: unknown, a1: unknown, mark: number = unmarked): void {
    this.passed++;
    try {
      this.#pass(from, ref, code, a0, a1, mark);
    } catch (error) {
      const method = ref[TYPE].nameOf((code >>> 2) & 255);
      this.#router.host.deadLetter(ref.toString(), method, argumentsOf(code, a0, a1), (error as Error).message);
    }
  }

  /** An ask goes on as one of our own. */
  #route(from: number, ref: BaseRef, message: FarMessage, mark: number): void {
    const { host } = this.#router;
    const call = message.call as Call;
    const { code, a0, a1 } = message;
    try {
      if (this.#detained(from, ref, message, mark)) return;
      if (mark > 0) {
        const act = this.#guest(ref);
        // It was measured when it was written: an estimate above the whole mailbox is only an estimate.
        const units = Math.min(unitsOf(code, a0, a1), unitsIn(act.hosted.spec.bytes));
        offer(host, act, call, code | (units << 10), a0, a1);
      } else if (!this.#atHome(ref, message, mark)) host.redispatch(ref, call, code, a0, a1);
    } catch (error) {
      host.fail(call, error);
    }
  }

  /** The actor that its home says is here. */
  #guest(ref: BaseRef): Activation {
    const act = (this.#router.gateway as Gateway).guests.find(ref.toString());
    if (act !== null) return act;
    throw new TroupeError('OVERLOADED', `${ref.toString()} is on its way to or from ${this.#router.host.node}`);
  }

  /** True: it is of ours, and moves or lives elsewhere; it has been taken. */
  #atHome(ref: BaseRef, message: FarMessage, mark: number, onWait?: OnWait): boolean {
    const homes = (this.#router.gateway as Gateway).homes;
    return homes.any && homes.take(ref.toString(), message, mark, onWait);
  }

  /** Its partition is changing hands: it waits, or takes the way that is right meanwhile. */
  #detained(from: number, ref: BaseRef, message: FarMessage, mark: number, onWait?: OnWait): boolean {
    const router = this.#router;
    const { lastWords, homes } = router.gateway as Gateway;
    if (mark === outdated) throw lateFromHome(ref);
    if (mark >= sentBack || !(router.holding || lastWords.any)) return false;
    const partition = ringPartition(ref[TYPE], ref[KEY]);
    if (partition !== undefined && lastWords.detain(partition, from, ref, message, onWait)) return true;
    const held = router.held.of(ref[TYPE], ref[KEY]);
    if (held === undefined) return false;
    if (held.stage !== 'settling' || from < router.threads) {
      const until = router.held.take(held, ref, message);
      if (until !== undefined) onWait?.(until);
    } else if (!homes.take(ref.toString(), message, mark, onWait)) {
      const sent = router.held.pass(ref, message, from);
      if (sent !== undefined) onWait?.(sent);
    }
    return true;
  }

  #pass(from: number, ref: BaseRef, code: number, a0: unknown, a1: unknown, mark: number): void {
    const router = this.#router;
    const unit = ref.toString();
    const isHeldBack = (until: Promise<void>): void => this.#holdBack(from, unit, until);
    if (this.#detained(from, ref, { code, a0, a1, call: null }, mark, isHeldBack)) return;
    if (mark > 0) {
      router.arrivals.deliver(this.#guest(ref), from, code, a0, a1, null, false);
      return;
    }
    if (this.#atHome(ref, { code, a0, a1, call: null }, mark, isHeldBack)) return;
    const act = router.host.find(ref);
    if (act !== null) {
      router.arrivals.deliver(act, from, code, a0, a1, null, false);
      return;
    }
    const thread = router.threadFor(ref);
    const isInMotion = router.peers[thread] === undefined || router.isInMotionHere(ref);
    const sent = isInMotion
      ? router.moves.tellSurely(ref, code, a0, a1)
      : sendOrWait(router, thread, ref, code, a0, a1);
    if (sent !== undefined) isHeldBack(sent);
  }

  #holdBack(from: number, unit: string, until: Promise<void>): void {
    const gone = (): void => this.#letGo(from, unit);
    until.then(gone, gone);
    const by = this.#held.get(unit) ?? new Map<number, number>();
    this.#held.set(unit, by);
    const count = (by.get(from) ?? 0) + 1;
    by.set(from, count);
    if (count === 1) this.#router.control(from, 'pause', unit);
  }

  #letGo(from: number, unit: string): void {
    const by = this.#held.get(unit);
    const count = by?.get(from);
    if (by === undefined || count === undefined) return;
    if (count > 1) {
      by.set(from, count - 1);
      return;
    }
    by.delete(from);
    if (by.size === 0) this.#held.delete(unit);
    this.#router.control(from, 'resume', unit);
  }

  /** Its asker gives up: it is not begun any more, and whether it was is told. False: no such ask passes here. */
  abort(from: number, id: number): boolean {
    const call = this.#asks.get(from)?.get(id);
    if (call === undefined) return false;
    this.#giveUp(call);
    return true;
  }

  #giveUp(call: Call): void {
    const { host } = this.#router;
    if (call.state === ended || call.extra?.verdict === true) return;
    const details = { aborted: true };
    const where = call.to?.toString() ?? 'its actor';
    if (call.peer >= 0) {
      call.extra = { ...call.extra, verdict: true };
      this.#router.verdict(call, true);
      // A call that ends in verdict() is out of the wheel for good.
      if (call.state < ended) host.arm(call, host.now() + graceMsOf(call));
    } else if (call.state === waiting) {
      host.fail(call, quickError('DEADLINE', `aborted before its turn in ${where}; it was not run`, { details }));
    } else {
      const why = `aborted after its turn in ${where} had begun`;
      host.fail(call, new TroupeError('UNKNOWN_OUTCOME', why, { details }));
    }
  }

  /** Whoever asked is gone: what has not begun is not begun any more, and nobody hears of the rest. */
  forget(from: number): void {
    const open = this.#asks.get(from);
    this.#asks.delete(from);
    for (const call of [...(open?.values() ?? [])]) this.#giveUp(call);
    for (const [unit, by] of this.#held) if (by.delete(from) && by.size === 0) this.#held.delete(unit);
  }

  /** Is an ask under way that passes here, or does a tell wait here? */
  get isBusy(): boolean {
    return this.#held.size !== 0 || [...this.#asks.values()].some(open => open.size !== 0);
  }

  describe(): object {
    return {
      passed: this.passed,
      asks: [...this.#asks.values()].reduce((sum, open) => sum + open.size, 0),
      held: this.#held.size,
    };
  }
}
