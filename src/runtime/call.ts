// One message that wants an outcome: an ask, made here or arrived from another thread. It sits in the `meta` slot of the
// mailbox, on the deadline wheel, and (while its asker's turn is open) in the asker's list of what it waits for.
//
// Intuition: exactly one of three things ends a call: the handler's answer, its deadline, its receiver's death. `end` lets
// the first through and makes the others no-ops, so nothing is ever answered twice.
//
//   waiting ──handler starts──▶ started ──answer──▶ ended
//      └── deadline: DEADLINE (never started, definitely not done)
//                                  └── deadline: UNKNOWN_OUTCOME (started, no answer)

import type { Activation } from './activation.ts';
import type { TurnToken } from './host-types.ts';
import type { BaseRef } from './refs.ts';
import type { WheelEntry } from './timer-wheel.ts';

export type CallState = 'waiting' | 'started' | 'ended';

export const waiting = 0;
export const started = 1;
export const ended = 2;

export class Call implements WheelEntry {
  // The deadline wheel's fields (timer-wheel.ts).
  at = 0;
  wheelPrev: WheelEntry | null = null;
  wheelNext: WheelEntry | null = null;
  wheelSlot = -1;

  state: number = waiting;
  resolve: (value: any) => void;
  reject: (error: unknown) => void;
  /** Whom it was addressed to; null for calls that arrived. */
  to: BaseRef | null = null;
  /** The receiver on this thread; null while it is on another. */
  act: Activation | null = null;
  /** The actor whose turn made this ask, if one did, and the next call that turn waits for. */
  from: Activation | null = null;
  turn: TurnToken | null = null;
  parent: Call | null = null;
  /** Asks above this one in its chain. */
  depth = 0;
  nextWaiting: Call | null = null;
  prevWaiting: Call | null = null;
  /** Addresses of the exclusive turns above, when the ask came from another thread. */
  chain: readonly string[] | null = null;
  method = 0;
  /** Where the ask came from (arrived calls), or went to (calls sent away); -1 when it never left this thread. */
  peer = -1;
  id = 0;
  /** True for calls that arrived from another thread: their outcome leaves as a frame. */
  readonly arrived: boolean;
  /** Detaches the AbortSignal, names the operation, carries the trace: rare, so kept off the common shape. */
  extra: CallExtra | null = null;
  sentAt = 0;

  constructor(resolve: (value: any) => void, reject: (error: unknown) => void, arrived: boolean) {
    this.resolve = resolve;
    this.reject = reject;
    this.arrived = arrived;
  }
}

/** Where the outcome of an ask goes: the peer it came from, and its number there. */
export interface Asker {
  readonly peer: number;
  readonly id: number;
}

export interface CallExtra {
  detach?: (() => void) | undefined;
  opId?: string | undefined;
  trace?: string | undefined;
  /** When it was made, if somebody listens on the diagnostics channel. */
  madeAt?: number | undefined;
  /** An aborted or expired call that was sent away waits this long for the receiver's verdict. */
  verdict?: boolean;
  /** The signal that has aborted it, while it waits for that verdict. */
  aborted?: AbortSignal;
  stashed?: { head: number; a0: unknown; a1: unknown } | undefined;
}

/** Puts a call in the list of what its asker's turn waits for. */
export function linkWaiting(from: Activation, call: Call): void {
  call.from = from;
  const more = from.more();
  call.nextWaiting = more.waits;
  if (more.waits !== null) more.waits.prevWaiting = call;
  more.waits = call;
}

export function unlinkWaiting(call: Call): void {
  const from = call.from;
  if (from === null) return;
  if (call.prevWaiting !== null) call.prevWaiting.nextWaiting = call.nextWaiting;
  else if (from.extras?.waits === call) from.extras.waits = call.nextWaiting;
  if (call.nextWaiting !== null) call.nextWaiting.prevWaiting = call.prevWaiting;
  call.prevWaiting = null;
  call.nextWaiting = null;
}
