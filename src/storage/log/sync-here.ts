// Shall a log wait for its sync right here, with its thread standing still, or hand it to another thread and be told? Pure but for the
// clock it is given.
//
//     here ──slow on average──▶ elsewhere for restMs, which doubles ──▶ here
//       └──quick for syncsHereTrusted──▶ restMs is short again
//
// To be told by another thread takes two wake-ups: 60 to 200 us here, measured, where the disk itself took 50 to 90. So a quick disk is
// best waited for, as a write to the page cache is; and a slow one must not hold up what else the thread has to do. How quick it is
// can only be seen by waiting: what is handed over comes back when this thread has time to hear of it.
//
// Invariant: a disk that is slow for good is waited for only until the average says so, and that is tried again after restMs.

import { syncHereMs, syncHereRestMs, syncHereRestMsMax, syncsHereTrusted } from '../../limits.ts';

/** Each sync counts for so much of the average: one in a hundred may take ten times as long, as it does while a run is written. */
const weight = 1 / 64;

export class SyncHere {
  readonly #now: () => number;
  #averageMs = 0;
  #quick = 0;
  #restMs: number = syncHereRestMs;
  #until = Number.NEGATIVE_INFINITY;

  /** `now`: monotonic ms. */
  constructor(now: () => number) {
    this.#now = now;
  }

  get pays(): boolean {
    return this.#now() >= this.#until;
  }

  /** Runs the sync, and remembers how long it took. */
  run(sync: () => void): void {
    const began = this.#now();
    sync();
    const ended = this.#now();
    this.#averageMs += (ended - began - this.#averageMs) * weight;
    if (this.#averageMs <= syncHereMs) {
      if (++this.#quick >= syncsHereTrusted) this.#restMs = syncHereRestMs;
      return;
    }
    this.#until = ended + this.#restMs;
    this.#restMs = Math.min(this.#restMs * 2, syncHereRestMsMax);
    this.#averageMs = 0;
    this.#quick = 0;
  }
}
