// Hot path: running messages. A slice takes messages of one actor until it is empty, blocked, or has had its share.
// Nothing is allocated for a tell whose handler returns a plain value; a handler that returns a promise opens a turn (turns.ts).
// bench/local watches it.
//
// Most slices are of an actor that got one message: it woke, and is idle again. What such a message costs is then what a slice
// costs, so there is a short way through for it (runSlice), and the loop for everything else (runLong).

import type { Activation } from './activation.ts';
import type { Actor } from './actor.ts';
import { type Call, started, waiting } from './call.ts';
import { admitWaiters } from './delivery.ts';
import type { Extras, Parked, Work } from './extras.ts';
import { blocked, freezing, fronted, furnished, gated, stashing, stopping } from './flags.ts';
import type { Host } from './host.ts';
import type { Mailbox } from './mailbox.ts';
import { loosened } from './mailbox-bound.ts';
import { boxedArguments } from './refs.ts';
import { sliceMessages } from './scheduler.ts';
import { exclusiveMode, readMode } from './turn-modes.ts';
import { afterTurn, closeToken, isThenable, mayStart, openTurn, runMessage } from './turns.ts';

// Constants of this module are folded into the machine code; an imported one costs a load and two checks each time.

/** With any of these set a slice goes the long way. */
const particular: number = blocked | furnished;
/** The only mode of what goes the short way. */
const shortMode: number = exclusiveMode;
const argumentBits: number = boxedArguments;
/** After a turn with any of these set there is more to do than to answer. */
const unusual: number = stashing | stopping | gated | blocked | freezing | fronted;
/** And with any of these the slice ends. */
const halting: number = blocked | freezing | fronted;

/** What runs slices. `leased`: not those of actors that this node may not speak for any more. */
export function slicer(host: Host, leased: boolean): (act: Activation) => void {
  if (!leased) return act => runSlice(host, act);
  return act => {
    if (host.lease?.parks(act) !== true) runSlice(host, act);
  };
}

/**
 * One slice of one actor. The short way: one message in the mailbox, a method that needs nothing around it (HostedType.quick),
 * an actor without extras. `host.current` is left as it is for the next slice to overwrite, and cleared when the scheduler
 * rests: of two pointer stores a slice that saves one.
 */
export function runSlice(host: Host, act: Activation): void {
  const { box, hosted } = act;
  if (box === null || !box.sole || (act.flags & particular) !== 0) {
    runLong(host, act);
    return;
  }
  const { head, a0, a1 } = box;
  const call = box.meta as Call | null;
  const fn = hosted.quick[(head >>> 2) & 255] as ((...args: unknown[]) => unknown) | null;
  if (fn === null || (call !== null && call.state !== waiting)) {
    runLong(host, act);
    return;
  }
  box.takeFront();
  const actor = act.actor as Actor;
  host.current = act;
  host.mode = shortMode;
  if (call !== null) call.state = started;
  // Compared first: a store of a pointer costs more than a load.
  if (call !== null || host.call !== null) host.call = call;
  hosted.handled++;
  try {
    const result = invoke(fn, actor, head, a0, a1);
    if (result !== undefined || call !== null || host.running !== null || (act.flags & unusual) !== 0)
      endOfTurn(host, act, head, a0, a1, call, result);
  } catch (error) {
    turnThrew(host, act, head, a0, a1, call, error);
  }
  const { scheduler } = host;
  if (--scheduler.left <= 0) scheduler.look();
  if (act.box !== box) return;
  if ((act.flags & furnished) !== 0) makeRoom(host, act, act.extras as Extras, box, 1);
  if (box.count !== 0) act.ready();
}

function invoke(fn: (...args: unknown[]) => unknown, actor: Actor, head: number, a0: unknown, a1: unknown): unknown {
  switch (head & argumentBits) {
    case 0:
      return fn.call(actor);
    case 1:
      return fn.call(actor, a0);
    case 2:
      return fn.call(actor, a0, a1);
    default:
      return fn.apply(actor, a0 as unknown[]);
  }
}

/** What the short way leaves to do when something has come of its turn: an answer, a promise, a token, a flag. */
function endOfTurn(
  host: Host,
  act: Activation,
  head: number,
  a0: unknown,
  a1: unknown,
  call: Call | null,
  result: unknown,
): void {
  const token = host.running;
  host.running = null;
  if (result !== undefined && isThenable(result)) {
    openTurn(host, act, exclusiveMode, call, { head, a0, a1, meta: call }, result, token);
    return;
  }
  if (token !== null) token.open = false;
  if ((act.flags & unusual) !== 0) afterTurn(host, act, { head, a0, a1, meta: call }, call, result, true, token);
  else if (call !== null) host.answer(call, result);
}

function turnThrew(
  host: Host,
  act: Activation,
  head: number,
  a0: unknown,
  a1: unknown,
  call: Call | null,
  error: unknown,
): void {
  closeToken(host);
  host.failures.turnFailed(act, { head, a0, a1, meta: call }, call, error);
}

/** Control work first, then messages, until the mailbox is empty, the share is used up, or the actor is blocked. */
function runLong(host: Host, act: Activation): void {
  host.current = null;
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
      else result = invoke(fn, actor, head, a0, a1);
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
    turnThrew(host, act, head, a0, a1, call, error);
  }
  if (persists) host.carefully(-1);
  host.current = null;
  if (host.call !== null) host.call = null;
  hosted.handled += share - left;
  scheduler.left -= share - left;
  if (scheduler.left <= 0) scheduler.look();
  if (act.box !== box) return;
  if (act.extras !== null) makeRoom(host, act, act.extras, box, share - left - lapsed);
  // An empty mailbox stays for the moment (host.ts, boxes): the next message is often on its way already.
  if (box.count === 0 || (act.flags & blocked) !== 0) return;
  if (simple || mayStart(act, hosted.modes[(box.peekHead() >>> 2) & 255] as number)) act.ready();
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
