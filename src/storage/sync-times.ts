// How long the disk took to sync: counts by upper bound, as a Prometheus histogram wants them. Pure: it is told the time.
//
// Invariant: counts only rise, and add up to `count`.

/** Milliseconds: from a disk with a battery, by way of one that is busy, to one that is about to be given up. */
const boundsMs: readonly number[] = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 1_000, 5_000];

export interface SyncTimesReport {
  readonly boundsMs: readonly number[];
  /** Of each bound, how many took no longer than it and longer than the one before; the last: longer than all. */
  readonly counts: readonly number[];
  readonly count: number;
  readonly sumMs: number;
}

export class SyncTimes {
  readonly #counts: number[] = new Array(boundsMs.length + 1).fill(0);
  #count = 0;
  #sumMs = 0;

  record(ms: number): void {
    let at = 0;
    while (at < boundsMs.length && ms > (boundsMs[at] as number)) at++;
    this.#counts[at] = (this.#counts[at] as number) + 1;
    this.#count++;
    this.#sumMs += ms;
  }

  report(): SyncTimesReport {
    return { boundsMs, counts: [...this.#counts], count: this.#count, sumMs: this.#sumMs };
  }
}
