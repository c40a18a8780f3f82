// after() and every(): timers that live with the activation and run as its turns. A timer whose work is a method name is
// data and travels with a move as its remaining time; one that holds a closure cannot, unless onActivate() made it, in
// which case the new activation's onActivate() makes it again and it takes over the remaining time (see moves.ts).

import { TroupeError } from '../errors.ts';
import { timerMsMax } from '../limits.ts';
import type { Activation } from './activation.ts';
import type { Actor, TimerId, TimerWork } from './actor.ts';
import { dead, starting } from './flags.ts';
import { show } from './show.ts';
import type { WheelEntry } from './timer-wheel.ts';
import { exclusiveMode } from './turn-modes.ts';
import type { Millis } from './world.ts';

/** Timers one activation may hold: past it something leaks. */
const timersPerActorMax = 10_000;

export class ActorTimer implements WheelEntry {
  at = 0;
  wheelPrev: WheelEntry | null = null;
  wheelNext: WheelEntry | null = null;
  wheelSlot = -1;
  readonly act: Activation;
  readonly id: TimerId;
  readonly everyMs: Millis;
  readonly work: TimerWork;
  /** What a named method is called with: behaviours only. */
  readonly args: readonly unknown[];
  /** Its place among the timers that onActivate() has made, which the next activation makes again; -1: made by a turn. */
  readonly made: number;
  /** Fired, its turn not run yet: an `every` that is late is not queued twice. */
  pending = false;
  /** Set while its actor is frozen for a move. */
  remainingMs = 0;

  constructor(act: Activation, id: TimerId, everyMs: Millis, work: TimerWork, args: readonly unknown[], made: number) {
    this.act = act;
    this.id = id;
    this.everyMs = everyMs;
    this.work = work;
    this.args = args;
    this.made = made;
  }
}

export function startTimer(
  act: Activation,
  ms: Millis,
  everyMs: Millis,
  work: TimerWork,
  args: readonly unknown[] = [],
): TimerId {
  if (typeof ms !== 'number' || !(ms >= 0 && ms <= timerMsMax))
    throw new TroupeError('BAD_OPTION', `a timer of ${act.id} needs a delay of 0 to ${timerMsMax} ms, not ${show(ms)}`);
  if (typeof work !== 'function' && act.hosted.methodCode(String(work)) === undefined) {
    throw new TroupeError('NO_METHOD', `${act.id} has no method '${String(work)}' for a timer to call`);
  }
  const more = act.more();
  more.timers ??= new Map();
  if (more.timers.size >= timersPerActorMax)
    throw new TroupeError('OVERLOADED', `${act.id} holds ${timersPerActorMax} timers, the most it may`);
  const timer = new ActorTimer(
    act,
    more.nextTimer++,
    everyMs,
    nameOf(act, work),
    args,
    (act.flags & starting) === 0 ? -1 : more.madeTimers++,
  );
  more.timers.set(timer.id, timer);
  const host = act.hosted.host;
  host.arm(timer, host.now() + ms);
  host.observer?.effect(act, 'timer', { ms, everyMs, work: typeof timer.work === 'string' ? timer.work : 'closure' });
  return timer.id;
}

/** A method of the class handed over as a function is the same as its name, and a name can travel. */
function nameOf(act: Activation, work: TimerWork): TimerWork {
  if (typeof work === 'string') return work;
  const method = act.hosted.methods.find(each => each.fn === work);
  return method === undefined ? work : method.name;
}

export function cancelTimer(act: Activation, id: TimerId): void {
  const timer = act.extras?.timers?.get(id);
  if (timer === undefined) return;
  act.hosted.host.disarm(timer);
  act.extras?.timers?.delete(id);
}

export function cancelAllTimers(act: Activation): void {
  for (const timer of act.extras?.timers?.values() ?? []) act.hosted.host.disarm(timer);
  if (act.extras === null) return;
  act.extras.timers = null;
  act.extras.madeTimers = 0;
}

/** The wheel says a timer is due: its work becomes a turn. */
export function fireTimer(timer: ActorTimer, now: Millis): void {
  const act = timer.act;
  if ((act.flags & dead) !== 0) return;
  const host = act.hosted.host;
  if (timer.everyMs > 0) host.arm(timer, Math.max(timer.at + timer.everyMs, now + timer.everyMs / 2));
  if (timer.pending) return;
  timer.pending = true;
  const run = (actor: Actor): unknown => {
    timer.pending = false;
    // Cancelled between firing and its turn: a cancelled timer must not be seen to run.
    if (act.extras?.timers?.has(timer.id) !== true) return undefined;
    if (timer.everyMs === 0) act.extras.timers.delete(timer.id);
    return typeof timer.work === 'function' ? timer.work() : method?.fn.apply(actor, [...timer.args]);
  };
  const code = typeof timer.work === 'string' ? (act.hosted.methodCode(timer.work) ?? -1) : -1;
  const method = act.hosted.methods[code];
  act.work('timer', run, act.hosted.modes[code] ?? exclusiveMode);
}
