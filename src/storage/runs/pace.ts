// How fast a merge may go. Pure: whoever watches the writers decides on a pace, and the job rests as the throttle says.
//
//     runs:  0 ────────── runsMax/2 ─────────── runsMax ──────────▶
//            a segment waits: hold │ share        │ full, whatever else there is
//            writers busy:    share │ share        │ full
//            nobody writes:   full  │ full         │ full
//
// A merge makes reads cheaper some time later; a flush makes room for writes now. So a merge gives way, until there are so many runs
// that giving way costs more than it saves. That keeps their number bounded.
//
// Invariant: over any stretch of work and rest, a merge has worked for no more than its share, and moved no more than its bytes.

import { mergeChunkMs, mergeCpuShare, runsMax } from '../../limits.ts';

/** As fast as it can; for a part of the time; not at all. */
export type Pace = 'full' | 'share' | 'hold';

export interface PaceFacts {
  readonly runs: number;
  /** A segment waits for its flush, or is being flushed. */
  readonly flushing: boolean;
  /** Somebody writes. */
  readonly busy: boolean;
}

export function paceOf({ runs, flushing, busy }: PaceFacts): Pace {
  if (runs > runsMax) return 'full';
  if (flushing && runs <= runsMax / 2) return 'hold';
  return flushing || busy ? 'share' : 'full';
}

/** Fed with the time and the bytes moved so far; says how long to rest. */
export class Throttle {
  /** Since when this stretch goes on, and what had been moved then. */
  #since: number;
  #from = 0;
  /** Ms of work of this stretch; undefined while it is not over. */
  #worked: number | undefined;

  constructor(now: number) {
    this.#since = now;
  }

  /** Ms to rest from now on; 0: go on working. To be asked again after the rest, or when something has changed. */
  restMs(now: number, bytes: number, pace: Pace, bytesPerSecond: number): number {
    if (this.#worked === undefined) {
      if (now - this.#since < mergeChunkMs) return 0;
      this.#worked = now - this.#since;
    }
    if (pace === 'hold') return Number.POSITIVE_INFINITY;
    const forCpu = pace === 'share' ? this.#worked / mergeCpuShare : 0;
    const forBytes = ((bytes - this.#from) / bytesPerSecond) * 1_000;
    const left = this.#since + Math.max(forCpu, forBytes) - now;
    if (left > 0) return left;
    this.#since = now;
    this.#from = bytes;
    this.#worked = undefined;
    return 0;
  }
}
