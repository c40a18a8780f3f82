// Hot path: running messages. A slice takes messages of one actor until it is empty, blocked, or has had its share.
// Nothing is allocated for a tell whose handler returns a plain value; a handler that returns a promise opens a turn.
//
// Rules kept here (DESIGN section 2):
//  - exclusive: one message at a time, awaits included. `read` turns overlap reads, `interleave` overlaps anything.
//  - strict arrival order: a message that may not start yet holds up those behind it, so a sender's order is never broken.
//  - a value that is not thenable is never awaited.
//  - what a handler throws goes to its asker and to supervision; it never leaves the slice.

import type { Activation, Extras, Parked, Work } from './activation.ts';
import type { Actor } from './actor.ts';
import { type Call, ended, started, waiting } from './call.ts';
import { admitWaiters } from './delivery.ts';
import { blocked, busy, dead, freezing, fronted, frozen, gated, starting, stashing, stopping } from './flags.ts';
import type { Host } from './host.ts';
import type { TurnToken } from './host-types.ts';
import type { Mailbox } from './mailbox.ts';
import { loosened } from './mailbox-bound.ts';
import { boxedArguments } from './refs.ts';
import { sliceMessages } from './scheduler.ts';
import { conflict, exclusiveMode, interleaveMode, readMode } from './turn-modes.ts';

/** After a turn with any of these set there is more to do than to answer. */
const unusual: number = stashing | stopping | gated | blocked | freezing | fronted;
/** And with any of these the slice ends. */
const halting: number = blocked | freezing | fronted;

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}

/**
 * One slice of one actor: its control work first, then messages, until the mailbox is empty, the share is used up, or the
 * actor is blocked. One function on purpose: split in two it was some 7 % slower for actors that get one message at a time.
 */
export function runSlice(host: Host, act: Activation): void {
  if ((act.flags & blocked) !== 0) return;
  if (act.extras !== null && !runFront(host, act, act.extras)) return;
  const box = act.box;
  if (box === null || box.count === 0) return;
  const { hosted } = act;
  const { table, asyncs, simple, careful, persists } = hosted;
  const { scheduler } = host;
  const actor = act.actor as Actor;
  const share = Math.min(scheduler.left, sliceMessages);
  let left = share;
  let lapsed = 0;
  let call: Call | null = null;
  let head = 0;
  let a0: unknown;
  let a1: unknown;
  host.current = act;
  host.mode = exclusiveMode;
  if (persists) host.carefully(1);
  try {
    do {
      if (!simple) {
        const mode = hosted.modes[(box.peekHead() >>> 2) & 255] as number;
        if (!mayStart(act, mode)) break;
        host.mode = mode;
      }
      box.shift();
      left--;
      head = box.head;
      a0 = box.a0;
      a1 = box.a1;
      call = box.meta as Call | null;
      if (call !== null) {
        if (call.state !== waiting) {
          lapsed++;
          continue;
        }
        call.state = started;
      }
      // Compared first: a store of a pointer costs more than a load.
      if (host.call !== call) host.call = call;
      const method = (head >>> 2) & 255;
      const fn = table[method] as (...args: unknown[]) => unknown;
      let result: unknown;
      if (asyncs[method] === 1) result = host.inTurn(act, call, fn, actor, head, a0, a1);
      else
        switch (head & boxedArguments) {
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
      const token = host.running;
      if (token !== null) host.running = null;
      if (result !== undefined && isThenable(result)) {
        openTurn(host, act, host.mode, call, { head, a0, a1, meta: call }, result, token);
        if ((act.flags & halting) !== 0) break;
        continue;
      }
      if (token !== null) token.open = false;
      if (careful || (act.flags & unusual) !== 0) {
        const mayHaveChanged = hosted.modes[method] !== readMode;
        afterTurn(host, act, { head, a0, a1, meta: call }, call, result, mayHaveChanged, token);
        if ((act.flags & halting) !== 0 || act.box !== box) break;
      } else if (call !== null) host.answer(call, result);
    } while (box.count !== 0 && left !== 0);
  } catch (error) {
    closeToken(host);
    host.failures.turnFailed(act, { head, a0, a1, meta: call }, call, error);
  }
  if (persists) host.carefully(-1);
  host.current = null;
  if (host.call !== null) host.call = null;
  act.usedTick = host.tick;
  hosted.handled += share - left;
  scheduler.left -= share - left;
  if (scheduler.left <= 0) scheduler.look();
  if (act.box !== box) return;
  if (act.extras !== null) makeRoom(host, act, act.extras, box, share - left - lapsed);
  // An empty mailbox stays for the moment (host.ts, boxes): the next message is often on its way already.
  if (box.count === 0 || (act.flags & blocked) !== 0) return;
  if (simple || mayStart(act, hosted.modes[(box.peekHead() >>> 2) & 255] as number)) act.ready();
}

/** The synchronous part of a turn has thrown: nothing of it is open. */
export function closeToken(host: Host): void {
  if (host.running !== null) host.running.open = false;
  host.running = null;
}

/** The mailbox has shrunk: those who wait for a slot, here and on other threads, hear of it. */
function makeRoom(host: Host, act: Activation, extras: Extras, box: Mailbox, served: number): void {
  if (extras.waiters.length !== 0) admitWaiters(act);
  const { capacity, bytes } = act.hosted.spec;
  extras.bound = loosened(extras.bound, served, box.count === 0, capacity);
  const most = extras.bound === 0 ? capacity : extras.bound;
  if (extras.paused !== null && box.count * 2 <= most && box.bytes * 2 <= bytes) host.router.drained(act);
  if (extras.onQuiet !== null && box.count === 0) host.checkQuiet(act);
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

/** Control work and messages put back in front. False when the slice must end here. */
function runFront(host: Host, act: Activation, extras: Extras): boolean {
  while (extras.control.length !== 0) {
    const at = extras.control.findIndex(work => mayStart(act, work.mode));
    if (at < 0) {
      // Beside an open exclusive turn nothing that might overlap it waits for control work; else it would never have its turn.
      if (!act.hosted.exclusiveOpen(act)) return false;
      break;
    }
    runWork(host, act, extras.control.splice(at, 1)[0] as Work);
    if ((act.flags & blocked) !== 0) return false;
  }
  if ((act.flags & freezing) !== 0) {
    if (extras.onQuiet !== null) host.checkQuiet(act);
    return false;
  }
  act.flags &= ~fronted;
  while (extras.front.length !== 0) {
    const parked = extras.front[0] as Parked;
    const mode = act.hosted.modes[(parked.head >>> 2) & 255] as number;
    if (!mayStart(act, mode)) return false;
    extras.front.shift();
    runMessage(host, act, parked);
    if ((act.flags & blocked) !== 0) return false;
  }
  return true;
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

/** Control work is an exclusive turn of its own. */
function runWork(host: Host, act: Activation, work: Work): void {
  if (act.hosted.persists) host.carefully(1);
  runOneWork(host, act, work);
  if (act.hosted.persists) host.carefully(-1);
}

function runOneWork(host: Host, act: Activation, work: Work): void {
  const token = host.token(act, act.actor, work.mode);
  try {
    const result = host.inContext(token, work.run);
    if (isThenable(result)) openTurn(host, act, work.mode, null, null, result, token);
    else {
      token.open = false;
      afterTurn(host, act, null, null, undefined, work.mode !== readMode, token);
    }
  } catch (error) {
    token.open = false;
    host.failures.turnFailed(act, null, null, error);
  }
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
  if (message !== null) act.hosted.asyncs[(message.head >>> 2) & 255] = 1;
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
