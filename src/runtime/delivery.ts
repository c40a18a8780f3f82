// Getting a message into a mailbox, and what can go wrong on the way: a cycle of waiting turns, a full mailbox, a deadline,
// an abort. The other half of host.ts, which calls these.
//
// Invariant: whatever happens here, a call ends exactly once, and a tell is either in a mailbox, in the sender's hands
// (an exception, a waiting promise) or a dead letter.

import { quickError, TroupeError } from '../errors.ts';
import { reminderGraceMs, timerMsMax, verdictGraceMs, waitersPerMailboxMax } from '../limits.ts';
import type { Activation } from './activation.ts';
import type { Actor } from './actor.ts';
import { Answered } from './answered.ts';
import { type Call, ended, started, waiting } from './call.ts';
import { settleCycle } from './chains.ts';
import type { Extras, Parked } from './extras.ts';
import { blocked, crowded, exclusive, freezing, fronted, gated, moving, queued, stashing, stopping } from './flags.ts';
import type { Host } from './host.ts';
import { reminderMethod } from './hosted-type.ts';
import { isTight, tightened } from './mailbox-bound.ts';
import { argumentsOf } from './messages.ts';
import { type BaseRef, boxedArguments, type CallOptions } from './refs.ts';
import type { LeaseGuard } from './replicas/lease-guard.ts';
import { show } from './show.ts';
import { afterTurn, closeToken, isThenable, openTurn } from './turns.ts';

/** What stands between an actor and a turn right now. */
const notIdle = blocked | queued | moving | freezing | exclusive;

/** An awake actor with nothing waiting and nothing special about it. */
export function canRunNow(act: Activation, code: number): boolean {
  if ((act.flags & notIdle) !== 0 || (act.box !== null && act.box.count !== 0)) return false;
  if (act.extras !== null && isEngaged(act.extras)) return false;
  const { careful, asyncs } = act.hosted;
  return !careful && asyncs[code >>> 2] === 0;
}

function isEngaged({ control, front, waiters, overlapping }: Extras): boolean {
  return control.length + front.length + waiters.length + overlapping !== 0;
}

/** Hot path: an ask whose turn runs inside it. Only what does not end with a plain value becomes a Call. */
export function askNow(
  host: Host,
  ref: BaseRef,
  act: Activation,
  code: number,
  a0: unknown,
  a1: unknown,
): Promise<unknown> {
  const hosted = act.hosted;
  const method = code >>> 2;
  const fn = hosted.table[method] as (...args: unknown[]) => unknown;
  const actor = act.actor as Actor;
  let result: unknown;
  hosted.handled++;
  act.usedTick = host.tick;
  host.current = act;
  if (host.call !== null) host.call = null;
  host.mode = hosted.modes[method] as number;
  try {
    switch (code & boxedArguments) {
      case 0:
        result = fn.call(actor);
        break;
      case 1:
        result = fn.call(actor, a0);
        break;
      case 2:
        result = fn.call(actor, a0, a1);
        break;
      default:
        result = fn.apply(actor, a0 as unknown[]);
    }
  } catch (error) {
    closeToken(host);
    host.current = null;
    const remote = host.failures.asRemote(act, error);
    host.failures.turnFailed(act, null, null, error);
    return Promise.reject(remote);
  }
  const token = host.running;
  if (token !== null) host.running = null;
  host.current = null;
  const thenable = result !== undefined && isThenable(result);
  if (token !== null && !thenable) token.open = false;
  if (!thenable && (act.flags & (stashing | stopping | gated | fronted)) === 0) return Promise.resolve(result);
  const promise = new Promise(host.capture);
  const call = host.newCall(ref, code);
  call.state = started;
  call.act = act;
  const message: Parked = { head: code, a0, a1, meta: call };
  const mode = hosted.modes[method] as number;
  if (thenable) openTurn(host, act, mode, call, message, result as PromiseLike<unknown>, token);
  else afterTurn(host, act, message, call, result, true, token);
  return promise;
}

/** A second try of an operation gets the answer of the first, now or when it is there. */
function isRetry(host: Host, act: Activation, call: Call, opId: string): boolean {
  const more = act.more();
  more.answered ??= new Answered();
  const found = more.answered.begin(opId);
  if (found === undefined) return false;
  if (found.done) answerAgain(host, act, call, found.value);
  else {
    found.joined.push(call);
    // Its operation may be done at any time: from now on nobody may say of it that it was not run.
    call.state = started;
  }
  return true;
}

function answerAgain(host: Host, act: Activation, call: Call, value: unknown): void {
  const { lease, persistence } = host;
  const { persists } = act.hosted;
  const say = lease === null ? undefined : (kept: unknown): void => sayLeased(host, lease, act, call, kept);
  if (say !== undefined && call.state === waiting) call.state = started;
  // First behind what is being stored: it may yet be refused.
  if (persists) persistence.answerBehind(act, call, value, say);
  else if (say === undefined) host.answer(call, value);
  else say(value);
}

function sayLeased(host: Host, lease: LeaseGuard, act: Activation, call: Call, value: unknown): void {
  const answer = (): void => host.answer(call, value);
  const say = (): void => {
    // It may be of an earlier life, which died before anybody else had it.
    const kept = act.hosted.persists ? host.persistence.kept(act) : undefined;
    if (kept === undefined) answer();
    else kept.then(answer, error => host.fail(call, error));
  };
  const why = `${act.id} has ended here before its node could speak for it again; try it again`;
  const drop = (): void => host.fail(call, new TroupeError('UNKNOWN_OUTCOME', why));
  lease.say({ act, say, drop, isOver: () => call.state === ended });
}

/** Puts a call in an actor's mailbox, unless it would close a cycle, re-enters its own chain, or does not fit. */
export function offer(host: Host, act: Activation, call: Call, head: number, a0: unknown, a1: unknown): void {
  call.act = act;
  if (call.extra?.opId !== undefined && isRetry(host, act, call, call.extra.opId)) return;
  if (settleCycle(host, act, call, head, a0, a1)) return;
  if (refusesMore(act) || !act.offer(head, a0, a1, call)) overflow(host, act, head, a0, a1, call);
}

/** A tell whose sender was told that it is on its way: taken even beyond the bound, and behind asks that wait for room. */
export function takeSurely(host: Host, act: Activation, message: Parked): void {
  const { head, a0, a1 } = message;
  const waiters = act.extras?.waiters ?? [];
  if (waiters.length === 0) {
    (act.box ?? act.openBox()).force(head, a0, a1, null);
    act.ready();
    return;
  }
  const code = head & 1023;
  const refuse = (error: TroupeError): void =>
    host.deadLetter(act.id, act.hosted.nameOf(code >>> 2), argumentsOf(code, a0, a1), error.message);
  waiters.push({ message, admit: () => undefined, refuse });
}

/** Do asks expire in this mailbox, so that it takes fewer than it could hold? */
export function refusesMore(act: Activation): boolean {
  return act.extras !== null && isTight(act.extras.bound, act.box?.count ?? 0);
}

/** An ask has expired before its turn. */
function notInTime(act: Activation): void {
  const { capacity, overflow: policy } = act.hosted.spec;
  if (policy !== 'reject') return;
  const more = act.more();
  more.bound = tightened(more.bound, act.box?.count ?? 0, capacity);
}

/** The mailbox is full: refuse now, or let the sender wait for a slot. */
export function overflow(
  host: Host,
  act: Activation,
  head: number,
  a0: unknown,
  a1: unknown,
  call: Call | null,
): Promise<void> | undefined {
  const spec = act.hosted.spec;
  const units = head >>> 10;
  const box = act.box ?? act.openBox();
  const refuse = (error: TroupeError): undefined => {
    if (call === null) throw error;
    host.fail(call, error);
    return undefined;
  };
  if (!box.fits(units)) {
    return refuse(
      new TroupeError(
        'TOO_LARGE',
        `a message of about ${units * 64} bytes to ${act.id} is larger than its whole mailbox (${spec.bytes} bytes)`,
        { details: { bytes: units * 64, limit: spec.bytes } },
      ),
    );
  }
  if (throwOutLapsed(host, act) && (act.flags & crowded) === 0 && !refusesMore(act) && box.push(head, a0, a1, call)) {
    act.ready();
    return undefined;
  }
  const waiters = act.extras?.waiters.length ?? 0;
  if (spec.overflow === 'reject' || waiters >= waitersPerMailboxMax) {
    const { count } = box;
    const why = `the mailbox of ${act.id} is full (${count} of ${spec.capacity} messages); it was not sent`;
    const details = { messages: count, capacity: spec.capacity, waiters };
    // One that is thrown shows its stack: where a tell was refused is worth knowing.
    if (call === null) throw new TroupeError('OVERLOADED', why, { details });
    return refuse(quickError('OVERLOADED', why, { details }));
  }
  const message: Parked = { head, a0, a1, meta: call };
  act.flags |= crowded;
  if (call !== null) {
    act.more().waiters.push({ message, admit: () => undefined, refuse: error => host.fail(call, error) });
    return undefined;
  }
  return new Promise((admit, reject) => act.more().waiters.push({ message, admit, refuse: reject }));
}

/** Makes the room that asks take whose deadline has passed. True when there may have been some. */
function throwOutLapsed(host: Host, act: Activation): boolean {
  const more = act.more();
  // A look costs as much as there are messages. Under a flood asks lapse all the time, and one look for each would be all
  // that this thread does.
  if (host.lapsed - more.lapsedAt < Math.max(1, (act.box?.count ?? 0) / 8)) return false;
  more.lapsedAt = host.lapsed;
  const isOver = (call: Call | null): boolean => call !== null && call.state === ended;
  act.box?.dropDead(call => isOver(call as Call));
  more.waiters = more.waiters.filter(({ message }) => !isOver(message.meta));
  admitWaiters(act);
  return true;
}

export function admitWaiters(act: Activation): void {
  const waiters = act.extras?.waiters;
  if (waiters === undefined) return;
  let admitted = 0;
  for (const waiter of waiters) {
    const { head, a0, a1, meta } = waiter.message;
    if (meta !== null && meta.state === ended) {
      admitted++;
      continue;
    }
    const box = act.box ?? act.openBox();
    if (!box.push(head, a0, a1, meta)) break;
    admitted++;
    waiter.admit();
  }
  if (admitted > 0) waiters.splice(0, admitted);
  if (waiters.length === 0) act.flags &= ~crowded;
}

/** How long it is waited for the word on whether it was begun. A reminder that may have come is said again: it is worth more patience. */
export function graceMsOf({ method }: Call): number {
  return ((method >>> 2) & 255) === reminderMethod ? reminderGraceMs : verdictGraceMs;
}

export function expire(host: Host, call: Call): void {
  if (call.state === ended) return;
  const what = call.act?.id ?? call.to?.toString() ?? 'the actor';
  if (call.state === waiting && call.act !== null) notInTime(call.act);
  if (call.arrived) {
    if (call.state === waiting)
      host.fail(
        call,
        quickError('DEADLINE', `the deadline passed while the message waited for its turn in ${what}; it was not run`),
      );
    else host.router.started(call);
    return;
  }
  if (call.peer >= 0) {
    if (call.extra?.verdict !== true) {
      call.extra = { ...call.extra, verdict: true };
      host.router.verdict(call, false);
      if (call.state !== ended) host.arm(call, host.now() + graceMsOf(call));
      return;
    }
    const { aborted } = call.extra;
    host.fail(
      call,
      aborted === undefined
        ? quickError(
            'UNKNOWN_OUTCOME',
            `no answer within the deadline from ${host.router.nameOf(call.peer)}; the message was sent and may have run`,
          )
        : abortError(
            'UNKNOWN_OUTCOME',
            `aborted; ${host.router.nameOf(call.peer)} does not say whether ${what} has run it`,
            aborted,
          ),
    );
    return;
  }
  if (call.state === started)
    host.fail(call, quickError('UNKNOWN_OUTCOME', `${what} had begun its turn but gave no answer within the deadline`));
  else
    host.fail(
      call,
      quickError('DEADLINE', `the deadline passed while the message waited for its turn in ${what}; it was not run`),
    );
}

const callNames = new Set(['deadlineMs', 'signal', 'opId']);

/** Why an ask with these options is not even sent. */
export function refuseOptions(ref: BaseRef, options: CallOptions, deadlineMs: unknown): TroupeError | undefined {
  const { signal, opId } = options;
  if (typeof options !== 'object')
    return new TroupeError('BAD_OPTION', `the options of call() are an object, not ${show(options)}`);
  for (const name in options) {
    if (!callNames.has(name))
      return new TroupeError('BAD_OPTION', `call() has no option '${name}'; it has ${[...callNames].join(', ')}`);
  }
  if (opId !== undefined && (typeof opId !== 'string' || !/^[\x20-\x7e]{1,64}$/.test(opId)))
    return new TroupeError('BAD_OPTION', `opId must be 1 to 64 printable ASCII characters, not ${show(opId)}`);
  if (signal !== undefined && !(signal instanceof AbortSignal))
    return new TroupeError('BAD_OPTION', `signal must be an AbortSignal, not ${show(signal)}`);
  if (deadlineMs === 0)
    return new TroupeError('DEADLINE', `the deadline of an ask to ${ref.toString()} had passed before it was sent`);
  const isTime = typeof deadlineMs === 'number' && deadlineMs > 0;
  if (isTime && (deadlineMs <= timerMsMax || deadlineMs === Number.POSITIVE_INFINITY)) return undefined;
  return new TroupeError(
    'BAD_OPTION',
    `deadlineMs must be a number of ms from 0 to ${timerMsMax}, or Infinity, not ${show(deadlineMs)}`,
  );
}

/** What an ask ends with that `signal` has aborted. */
function abortError(code: 'DEADLINE' | 'UNKNOWN_OUTCOME', message: string, signal: AbortSignal): TroupeError {
  return new TroupeError(code, message, { cause: signal.reason, details: { aborted: true } });
}

/** Aborted before its turn, or in it. */
export function abortedAsk(call: Call, hadBegun: boolean, signal: AbortSignal): TroupeError {
  const where = call.to?.toString() ?? 'the actor';
  return hadBegun
    ? abortError('UNKNOWN_OUTCOME', `aborted after its turn in ${where} had begun`, signal)
    : abortError('DEADLINE', `aborted before its turn in ${where}; it was not run`, signal);
}

export function follow(host: Host, call: Call, signal: AbortSignal): void {
  const aborted = (): void => {
    if (call.state === ended) return;
    if (call.state === waiting && call.peer < 0) host.fail(call, abortedAsk(call, false, signal));
    else if (call.peer >= 0 && call.extra?.verdict !== true) {
      call.extra = { ...call.extra, verdict: true, aborted: signal };
      host.router.verdict(call, true);
      if (call.state !== ended) host.arm(call, host.now() + graceMsOf(call));
    } else host.fail(call, abortedAsk(call, true, signal));
  };
  if (signal.aborted) {
    aborted();
    return;
  }
  signal.addEventListener('abort', aborted, { once: true });
  call.extra = { ...call.extra, detach: () => signal.removeEventListener('abort', aborted) };
}
