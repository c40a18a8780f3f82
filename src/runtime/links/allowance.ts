// A token bucket for each of many keys: so much at once, and so much a second. For what strangers may make us do: wrong proofs
// an address, lines in the log.
//
// Invariant: at most keysMax buckets; the one that was used longest ago is forgotten, which is in the stranger's favour.

import type { Millis } from '../world.ts';

export interface AllowanceOptions {
  readonly atOnce: number;
  readonly perSecond: number;
  readonly keysMax: number;
}

export class Allowance {
  private readonly options: AllowanceOptions;
  /** Least recently used first. */
  private readonly buckets = new Map<string, { tokens: number; at: Millis }>();

  constructor(options: AllowanceOptions) {
    this.options = options;
  }

  /** One more for this key? False: not now. */
  take(key: string, now: Millis): boolean {
    const tokens = this.left(key, now);
    const { buckets } = this;
    buckets.delete(key);
    buckets.set(key, { tokens: tokens < 1 ? tokens : tokens - 1, at: now });
    if (buckets.size > this.options.keysMax) buckets.delete(buckets.keys().next().value as string);
    return tokens >= 1;
  }

  /** What this key has left, fractions included. */
  left(key: string, now: Millis): number {
    const { atOnce, perSecond } = this.options;
    const bucket = this.buckets.get(key);
    return bucket === undefined ? atOnce : Math.min(atOnce, bucket.tokens + ((now - bucket.at) / 1_000) * perSecond);
  }
}
