// The hybrid logical clock: time that never runs backwards along a chain of messages, yet stays near the wall clock
// (Kulkarni et al., 2014). A stamp is (ms, tick): the largest wall time seen so far, and a counter for events within it.
//
// Intuition: take the wall clock when it is ahead of everything seen; otherwise keep the old ms and count ticks. So a
// write that was made after reading another carries the larger stamp, even when its machine's clock is behind.
//
// Invariant: send() and receive() return a stamp strictly above `last`, and receive() one strictly above `heard` too.

export interface Stamp {
  /** Wall time in ms since 1970, of whoever was furthest ahead. */
  readonly ms: number;
  /** Events within that ms. */
  readonly tick: number;
}

/** Below every stamp a clock gives. */
export const beginning: Stamp = Object.freeze({ ms: 0, tick: 0 });

/** Negative when a is earlier, 0 when equal. */
export function compareStamps(a: Stamp, b: Stamp): number {
  return a.ms !== b.ms ? a.ms - b.ms : a.tick - b.tick;
}

export function laterStamp(a: Stamp, b: Stamp): Stamp {
  return compareStamps(a, b) < 0 ? b : a;
}

/** The stamp of an event here and now, after `last`. */
export function send(last: Stamp, now: number): Stamp {
  const ms = Math.floor(now);
  return ms > last.ms ? { ms, tick: 0 } : { ms: last.ms, tick: last.tick + 1 };
}

/** The stamp of an event that knows of `heard` as well. */
export function receive(last: Stamp, heard: Stamp, now: number): Stamp {
  return send(laterStamp(last, heard), now);
}

/**
 * How far a stamp is ahead of this machine's clock, 0 when it is not. A stamp from the year 2100 would make a key
 * immutable for as long, so whoever takes stamps from outside refuses more than `clockAheadMsMax`.
 */
export function aheadMs(stamp: Stamp, now: number): number {
  return Math.max(0, stamp.ms - now);
}
