// Finds a cycle of waiting turns the moment an ask would close it. Pure: it only follows pointers.
//
// Intuition: an open turn waits for the calls it has made. A call that has begun waits for the turn that serves it; one
// that has not waits for every open turn of its receiver that its own mode may not overlap. If those lead back to the turn
// that asks, the ask can never be answered. An ask from another thread brings the addresses above it along (`chain`), so a
// cycle across threads is found when it comes back to where it began.
//
// It follows turns, not actors: an actor with `read` or `interleave` methods has several, and that one of them waits does
// not mean that the others do. A turn that has ended waits for nothing, though a promise it never awaited may be open.
// Limits: an ask that its turn does not await counts as awaited, the runtime cannot tell; and two chains on different
// threads that cross (neither contains the other) are not seen here. They end by deadline.

import type { Activation } from './activation.ts';
import { type Call, waiting } from './call.ts';
import type { TurnToken } from './host-types.ts';
import { KEY, TYPE } from './refs.ts';
import { conflict } from './turn-modes.ts';
import { modeInFront } from './turns.ts';

/** Visits at most this many calls; a fan-out beyond it is left to the deadline. */
const visitsMax = 256;

export interface Cycle {
  /** Addresses, asker first and last. */
  readonly ids: string[];
  /** A call in it that could run, but for the arrival order of its receiver. */
  readonly heldUp: Call | null;
}

/**
 * The cycle that this ask would close; undefined when there is none. `mode` is how the message would run at the receiver, or
 * that of what stands in front of it there.
 */
export function findCycle(asking: TurnToken, receiver: Activation, mode: number): Cycle | undefined {
  const path: Activation[] = [];
  let heldUp: Call | null = null;
  const seen = new Set<Call>();

  /** Does a message of this mode that waits at `at` wait for the asking turn? */
  const waitsAt = (at: Activation, its: number): boolean => {
    if (at === asking.act && conflict(its, asking.mode)) return true;
    return anyOf(at, turn => conflict(its, turn.mode));
  };
  /** Does one of these turns of `at` wait for the asking turn? */
  const anyOf = (at: Activation, isMeant: (turn: TurnToken) => boolean): boolean => {
    path.push(at);
    for (let call: Call | null = at.waits; call !== null; call = call.nextWaiting)
      if (call.turn !== null && isOpen(call.turn) && isMeant(call.turn) && leadsBack(call)) return true;
    path.pop();
    return false;
  };
  const leadsBack = (call: Call): boolean => {
    const next = call.act ?? resident(call);
    if (next === undefined || seen.has(call) || seen.size >= visitsMax) return false;
    seen.add(call);
    if (call.state === waiting) {
      if (waitsAt(next, next.hosted.modes[(call.method >>> 2) & 255] as number)) return true;
      const line = modeInFront(next);
      if (line < 0 || !waitsAt(next, line)) return false;
      heldUp = call;
      return true;
    }
    return asking.call === call || anyOf(next, turn => turn.call === call);
  };

  if (!waitsAt(receiver, mode)) return undefined;
  return { ids: [asking.act.id, ...path.map(each => each.id), asking.act.id], heldUp };
}

/** A turn of a life that a restart has ended holds nobody up. */
function isOpen(turn: TurnToken): boolean {
  return turn.open && turn.actor === turn.act.actor;
}

/** Whom a call woke that is still on its way: its receiver may ask back while it starts. */
function resident(call: Call): Activation | undefined {
  return call.to === null || call.peer >= 0 ? undefined : call.to[TYPE].live.get(call.to[KEY]);
}

/** The addresses of the turns above a turn: what travels with an ask to another thread. Nearest first. */
export function chainOf(from: Activation | null, parent: Call | null): string[] {
  const ids: string[] = [];
  if (from !== null) ids.push(from.id);
  for (let call = parent; call !== null; call = call.parent) {
    if (call.from !== null) ids.push(call.from.id);
    if (call.chain !== null) ids.push(...call.chain);
  }
  return ids;
}
