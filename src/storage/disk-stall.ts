// How long something has stood still, as its watcher may believe it. Pure: it is told the time.
//
//     under way, no progress   ──look──▶ + what has passed since the last look      progress, or nothing under way ──▶ 0
//
// Time between two looks counts only as far as looks are apart when all is well. A process that was stopped for a minute (SIGSTOP, a
// sleeping laptop), or a thread that computes for a minute, did not look meanwhile, and knows nothing of the disk: that it took long is
// the watcher's fault then. A disk that really stands still is found a few looks later.

import { stallLookMs } from '../limits.ts';

/** A look that comes later than this was held up. */
const stepMsMax: number = 2 * stallLookMs;

export class DiskStall {
  ms = 0;
  private progress = 0;
  private lookedAt: number | undefined;

  /** `progress` is any number that changes when something is done. */
  look(underWay: boolean, progress: number, now: number): number {
    const step = Math.min(now - (this.lookedAt ?? now), stepMsMax);
    this.lookedAt = now;
    this.ms = underWay && progress === this.progress ? this.ms + step : 0;
    this.progress = progress;
    return this.ms;
  }
}
