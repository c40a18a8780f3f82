// What few actors need, made the first time one does: control work, stash, timers, children, senders that wait, open turns, the
// gate of a persisted one, a move under way. activation.ts holds it.

import type { TroupeError } from '../errors.ts';
import type { Activation } from './activation.ts';
import type { Actor, TimerId } from './actor.ts';
import type { Answered } from './answered.ts';
import type { Call } from './call.ts';
import type { Gate } from './gate.ts';
import type { PackedTimer } from './moves.ts';
import type { RestartGuard } from './supervision.ts';
import type { ActorTimer } from './timers.ts';

/** A message set aside: stashed, or put back in front. */
export interface Parked {
  readonly head: number;
  readonly a0: unknown;
  readonly a1: unknown;
  readonly meta: Call | null;
}

export interface Extras {
  epoch: number;
  /** Of a child. */
  place: number;
  /** Undroppable: stop, timers, departures. Each is a turn before user messages. */
  control: Work[];
  /** Messages put back by unstashAll() or shipped by a move: they go before the mailbox. */
  front: Parked[];
  stash: Parked[];
  timers: Map<TimerId, ActorTimer> | null;
  nextTimer: number;
  /** Timers made by onActivate() so far: a move finds each again by its place among them. */
  madeTimers: number;
  children: Activation[] | null;
  guard: RestartGuard | null;
  gate: Gate | null;
  abort: AbortController | null;
  /** Senders waiting for a slot of an overflow: 'wait' mailbox. */
  waiters: Waiter[];
  /** The host's count of lapsed asks when those in this mailbox were last thrown out. */
  lapsedAt: number;
  /** Asks the mailbox takes while they expire in it; 0: as many as it holds (mailbox-bound.ts). */
  bound: number;
  /** Turns open right now that are 'read' or 'interleave'. */
  overlapping: number;
  /** Those of them that are 'read': an exclusive turn waits for these. */
  reading: number;
  /** Exclusive turns open inside the open exclusive turn: re-entered by its own call chain. */
  nested: number;
  /** Calls the open turns have made and not heard of. */
  waits: Call | null;
  /** What a move waits for: called when no turn is open and nothing is awaited. */
  onQuiet: (() => void) | null;
  watches: number;
  /** onDeactivate('moved') has run; a move that fails after it must run onActivate() again. */
  leftForMove: boolean;
  shippedTimers: readonly PackedTimer[] | null;
  /** Operations done once: call(ref, { opId }). */
  answered: Answered | null;
  /** Threads that were asked to pause because this mailbox is full. */
  paused: Set<number> | null;
}

export interface Waiter {
  readonly message: Parked;
  readonly admit: () => void;
  readonly refuse: (error: TroupeError) => void;
}

/** One piece of control work. `run` is a turn, of that mode: it may return a promise. */
export interface Work {
  readonly mode: number;
  readonly name: string;
  readonly run: (actor: Actor) => unknown;
}

export function newExtras(epoch: number, place: number): Extras {
  return {
    epoch,
    place,
    control: [],
    front: [],
    stash: [],
    timers: null,
    nextTimer: 1,
    madeTimers: 0,
    children: null,
    guard: null,
    gate: null,
    abort: null,
    waiters: [],
    lapsedAt: 0,
    bound: 0,
    overlapping: 0,
    reading: 0,
    nested: 0,
    waits: null,
    onQuiet: null,
    watches: 0,
    leftForMove: false,
    shippedTimers: null,
    paused: null,
    answered: null,
  };
}
