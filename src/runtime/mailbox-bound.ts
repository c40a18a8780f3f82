// How many asks a mailbox takes when they expire in it faster than they are served. Pure.
//
// The trap: first in, first out, with deadlines. When messages come faster than they can be served, the mailbox is full, and
// if it holds more than a deadline's worth of work, every message waits until its deadline is nearly over. What is served then
// is what somebody has just given up: all work, no answers. Refusing earlier is the way out, but how early depends on how
// long a turn takes and how long askers wait, which nobody has written down.
//
//     bound   capacity ──┐
//                        └──┐   an ask expires although no more than the bound were waiting: half
//                           └──┐     ╱╲   ╱╲      each turn served: a little more
//                              └────╱  ╲ ╱  ╲───  ran empty: twice as many
//
// So the bound finds its place as TCP finds its window: just short enough that what is taken is answered in time.
//
// Invariant: 0 (no bound but the type's) or between boundMin and the capacity. Only asks heed it: a tell has no deadline.

/** Below this a thread would run out of work while its callers hear that there is room again. */
const boundMin = 8;
/** Turns served for one more place. */
const turnsPerPlace = 8;

/** No more asks now? */
export function isTight(bound: number, waiting: number): boolean {
  return bound !== 0 && waiting >= bound;
}

/** An ask has expired in a mailbox where so many messages wait. */
export function tightened(bound: number, waiting: number, capacity: number): number {
  const now = bound === 0 ? capacity : bound;
  // More than the bound: they were taken under an earlier, larger one, and have nothing to say about this one.
  if (waiting > now) return bound;
  return Math.min(now, Math.max(boundMin, now / 2));
}

/** So many turns were served; `empty`: nothing is left. */
export function loosened(bound: number, served: number, empty: boolean, capacity: number): number {
  if (bound === 0) return 0;
  const next = empty ? bound * 2 : bound + served / turnsPerPlace;
  return next >= capacity ? 0 : next;
}
