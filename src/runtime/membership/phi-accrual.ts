// How suspicious is this silence? A number that rises with the time since the last heartbeat, measured in the mean distance of
// heartbeats: phi = (silence / mean) / ln 10, the exponential form that Cassandra runs (not the paper's normal distribution).
//
//      x   x  x   x            silence            phi 8 = silence of 18.42 x mean: one in 10^8 that it still comes
//      |---|--|---|-------------------------|
//
// Invariant: only a strictly larger (incarnation, heartbeat) counts as heard; the caller compares. Counting repeats was
// scylla#2861: the mean shrank and healthy nodes were convicted. A silence that was an outage is no sample, or the next
// outage would take twice as long to notice.

import { phiSamplesMax } from '../../limits.ts';
import type { Millis } from '../world.ts';

export const phiThresholdDefault = 8;

/** Of a silence where something was to be heard every `meanMs`. */
export const phiOf = (silenceMs: Millis, meanMs: Millis): number => Math.max(0, silenceMs) / meanMs / Math.LN10;

export class PhiWindow {
  readonly #samples: number[];
  #next = 0;
  #sum: number;
  #lastAt: Millis;

  /** The first interval is a guess, twice what is expected: a newcomer is not convicted by its first late heartbeat. */
  constructor(firstIntervalMs: Millis, now: Millis) {
    this.#samples = [firstIntervalMs];
    this.#sum = firstIntervalMs;
    this.#lastAt = now;
  }

  get lastAt(): Millis {
    return this.#lastAt;
  }

  get meanMs(): Millis {
    return this.#sum / this.#samples.length;
  }

  /** A heartbeat newer than all before it. An interval above `ignoredAboveMs` was an outage and is not a sample. */
  heard(now: Millis, ignoredAboveMs: Millis): void {
    const interval = now - this.#lastAt;
    this.#lastAt = now;
    if (interval <= 0 || interval > ignoredAboveMs) return;
    if (this.#samples.length < phiSamplesMax) {
      this.#samples.push(interval);
      this.#sum += interval;
      return;
    }
    this.#sum += interval - (this.#samples[this.#next] as number);
    this.#samples[this.#next] = interval;
    this.#next = (this.#next + 1) % phiSamplesMax;
  }

  /** `meanMsMin`: heartbeats are known to come no oftener, whatever the window has seen. */
  phi(now: Millis, meanMsMin: Millis = 0): number {
    return phiOf(now - this.#lastAt, Math.max(this.meanMs, meanMsMin));
  }

  /** The listener itself stood still for so long: that part of the silence proves nothing. */
  forgive(pauseMs: Millis, now: Millis): void {
    this.#lastAt = Math.min(now, this.#lastAt + pauseMs);
  }
}

/** Whether this node may convict at all: not in the round in which it woke from a pause, nor in the one after. */
export class PauseGuard {
  readonly #roundMs: Millis;
  readonly #pauseMsMax: Millis;
  #lastAt: Millis;
  #rounds = 0;

  constructor(roundMs: Millis, pauseMsMax: Millis, now: Millis) {
    this.#roundMs = roundMs;
    this.#pauseMsMax = pauseMsMax;
    this.#lastAt = now;
  }

  /** Once a round. How much of the time since the last one was a pause; and whether a verdict of now may be trusted. */
  round(now: Millis): { pausedMs: Millis; trusted: boolean } {
    const late = now - this.#lastAt - this.#roundMs;
    this.#lastAt = now;
    if (late > this.#pauseMsMax) {
      this.#rounds = 1;
      return { pausedMs: late, trusted: false };
    }
    const trusted = this.#rounds === 0;
    if (!trusted) this.#rounds--;
    return { pausedMs: 0, trusted };
  }
}
