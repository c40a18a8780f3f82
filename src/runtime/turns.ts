// Turns: which may start beside which, what a message does outside the fast loop (slice.ts), how a turn that returns a promise
// stays open, and what its end causes.
//
// Rules kept here (DESIGN section 2):
//  - exclusive: one message at a time, awaits included. `read` turns overlap reads, `interleave` overlaps anything.
//  - strict arrival order: a message that may not start yet holds up those behind it, so a sender's order is never broken.
//  - a value that is not thenable is never awaited.
//  - what a handler throws goes to its asker and to supervision; it never leaves the slice.

import type { Activation } from './activation.ts';
import type { Actor } from './actor.ts';
import { type Call, ended, started, waiting } from './call.ts';
import type { Parked } from './extras.ts';
import { busy, dead, frozen, starting, stashing, stopping } from './flags.ts';
import type { Host } from './host.ts';
import type { TurnToken } from './host-types.ts';
import { conflict, exclusiveMode, interleaveMode, readMode } from './turn-modes.ts';

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}

/** The synchronous part of a turn has thrown: nothing of it is open. */
export function closeToken(host: Host): void {
  if (host.running !== null) host.running.open = false;
  host.running = null;
}

/** May a turn of this mode start beside those that are open? */
export function mayStart(act: Activation, mode: number): boolean {
  if (mode === interleaveMode) return true;
  if (act.hosted.simple) return (act.flags & busy) === 0;
  if (act.hosted.exclusiveOpen(act)) return false;
  return mode === readMode || act.extras === null || act.extras.reading === 0;
}

/** Could a message of this mode start now, were it in front? */
export function startable(act: Activation, mode: number): boolean {
  if ((act.flags & (starting | frozen)) !== 0 || !mayStart(act, mode)) return false;
  // A turn in its synchronous part is not among the open ones yet; nor is one that another interrupts right now.
  const { host } = act.hosted;
  if (act === host.current && conflict(mode, host.mode)) return false;
  return !host.interrupted.some(turn => turn.act === act && conflict(mode, turn.mode));
}

/** The mode of what stands in front of the next message and may not start; -1 when nothing does. */
export function modeInFront(act: Activation): number {
  const { modes } = act.hosted;
  const { box, extras } = act;
  const first = box === null || box.count === 0 ? -1 : (modes[(box.peekHead() >>> 2) & 255] as number);
  if (first >= 0 && !startable(act, first)) return first;
  if (extras === null) return -1;
  if (extras.control.length !== 0 && !act.hosted.exclusiveOpen(act) && !startable(act, exclusiveMode))
    return exclusiveMode;
  const front = extras.front[0];
  const mode = front === undefined ? -1 : (modes[(front.head >>> 2) & 255] as number);
  return mode >= 0 && !startable(act, mode) ? mode : -1;
}

/** One message outside the fast loop: put back by unstash, shipped by a move, or re-entering its own chain. */
export function runMessage(host: Host, act: Activation, message: Parked): void {
  if (act.hosted.persists) host.carefully(1);
  runOne(host, act, message);
  if (act.hosted.persists) host.carefully(-1);
}

function runOne(host: Host, act: Activation, message: Parked): void {
  const call = message.meta;
  if (call !== null) {
    if (call.state === ended) return;
    call.state = started;
  }
  const hosted = act.hosted;
  const method = (message.head >>> 2) & 255;
  const mode = hosted.modes[method] as number;
  const before = host.interrupt();
  host.current = act;
  host.call = call;
  host.mode = mode;
  hosted.handled++;
  try {
    const fn = hosted.table[method] as (...args: unknown[]) => unknown;
    const result = host.inTurn(act, call, fn, act.actor as Actor, message.head, message.a0, message.a1);
    const token = host.running as TurnToken;
    host.running = null;
    if (isThenable(result)) openTurn(host, act, mode, call, message, result, token);
    else {
      token.open = false;
      afterTurn(host, act, message, call, result, mode !== readMode, token);
    }
  } catch (error) {
    closeToken(host);
    host.failures.turnFailed(act, message, call, error);
  }
  host.resume(before);
}

/** A handler returned a promise: the turn stays open until it settles. */
export function openTurn(
  host: Host,
  act: Activation,
  mode: number,
  call: Call | null,
  message: Parked | null,
  promise: PromiseLike<unknown>,
  token: TurnToken | null,
): void {
  // A method that returns promises without being declared async (compiled code, say) is carried along from now on.
  if (message !== null) act.hosted.carryAlong((message.head >>> 2) & 255);
  const { persists } = act.hosted;
  if (persists) {
    host.persistence.turnSuspended(act);
    host.carefully(1);
  }
  act.hosted.open(act, mode);
  const actor = act.actor;
  // Promise.resolve: a thenable of the user's own might throw from then(), or settle twice.
  Promise.resolve(promise).then(
    value => {
      if (token !== null) token.open = false;
      if (persists) host.carefully(-1);
      // A restart has replaced the actor meanwhile: this turn belongs to the past, only its asker still cares.
      if (act.actor !== actor) {
        if (call !== null) host.answer(call, value);
        return;
      }
      act.hosted.close(act, mode);
      if ((act.flags & dead) !== 0) {
        if (call !== null) host.answer(call, value);
        return;
      }
      const before = host.current;
      host.current = act;
      afterTurn(host, act, message, call, value, mode !== readMode, token);
      host.current = before;
      turnClosed(act);
    },
    error => {
      if (token !== null) token.open = false;
      if (persists) host.carefully(-1);
      if (act.actor !== actor || (act.flags & dead) !== 0) {
        if (act.actor === actor) act.hosted.close(act, mode);
        if (call !== null) host.fail(call, host.failures.asRemote(act, error));
        return;
      }
      act.hosted.close(act, mode);
      host.failures.turnFailed(act, message, call, error);
      turnClosed(act);
    },
  );
}

function turnClosed(act: Activation): void {
  const extras = act.extras;
  act.usedTick = act.hosted.host.tick;
  if (
    (act.box !== null && act.box.count !== 0) ||
    (extras !== null && (extras.control.length !== 0 || extras.front.length !== 0))
  )
    act.ready();
  if (extras?.onQuiet != null) act.hosted.host.checkQuiet(act);
}

/** What a finished turn may still have to do: stash its message, store its state, hold its reply, end its actor. */
export function afterTurn(
  host: Host,
  act: Activation,
  message: Parked | null,
  call: Call | null,
  result: unknown,
  mayHaveChanged: boolean,
  token: TurnToken | null,
): void {
  if (token?.stashed === true && message !== null) {
    act.flags &= ~stashing;
    if (call !== null) call.state = waiting;
    act.more().stash.push(message);
    call = null;
  }
  if (host.observer !== null) {
    try {
      host.observer.turnEnded(act);
    } catch (error) {
      host.failures.turnFailed(act, message, call, error);
      return;
    }
  }
  if (act.hosted.persists) host.persistence.turnEnded(act, call, result, mayHaveChanged);
  else if (call !== null) host.answer(call, result);
  if ((act.flags & stopping) !== 0) host.failures.stopAfterTurn(act);
}
