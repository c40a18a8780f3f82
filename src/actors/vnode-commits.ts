// The writes of a vnode on their way to the disk: how long one takes now, and who asks too late.
//
// Invariant: what is refused here was not begun.

import { quickError } from '../errors.ts';
import type { Ack, WriteOp } from '../storage/engine.ts';
import type { VnodeShard } from './vnode-shard.ts';

export interface CommitTimes {
  /** Monotonic ms. Left out: no write is too late. */
  mono?(): number;
  /** How many of them whoever asks right now still waits. */
  leftMs?(): number;
}

export class VnodeCommits {
  private readonly times: CommitTimes;
  private underWay = 0;
  /** What the last commit took, from here and back: what the next one will take while others are under way. */
  private lastMs = 0;

  constructor(times: CommitTimes) {
    this.times = times;
  }

  /** Hands in one operation. Resolves to `answer` once it is durable, or to what `refused` makes of the reason why it is not. */
  commit<T, R>(shard: VnodeShard, op: WriteOp, ack: Ack, answer: T, refused: (why: unknown) => R): Promise<T | R> {
    const since = this.times.mono?.();
    this.underWay++;
    const settled = (): void => {
      this.underWay--;
      if (since !== undefined) this.lastMs = (this.times.mono?.() ?? since) - since;
    };
    return shard.commit(op, ack).then(
      () => {
        settled();
        return answer;
      },
      (why: unknown) => {
        settled();
        return refused(why);
      },
    );
  }

  /**
   * A write whose asker will be gone before the disk has got to it is refused while that can still be said for certain. What
   * waits for the disk has been begun, and is written whether anybody hears of it or not: a flood of writes with little time
   * would otherwise keep the disk busy for nobody.
   */
  refuseLate(): void {
    const leftMs = this.underWay === 0 ? undefined : this.times.leftMs?.();
    if (leftMs === undefined || this.lastMs * 2 <= leftMs) return;
    const commitMs = this.lastMs;
    throw quickError('OVERLOADED', `a write takes ${commitMs.toFixed(0)} ms, half of ${leftMs.toFixed(0)} ms or more`, {
      details: { commitMs, leftMs },
    });
  }
}
