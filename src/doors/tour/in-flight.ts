// Many requests, a number of them under way at any moment, each timed. What a service does all day.

import { Histogram } from '../../runtime/histogram.ts';

export interface Flight {
  /** Work items 0 to count - 1. */
  readonly count: number;
  /** How many may be under way at once. */
  readonly window: number;
  readonly signal: AbortSignal;
  run(n: number): Promise<void>;
  /** After each one. */
  onDone?(done: number): void;
}

export interface Timing {
  readonly count: number;
  readonly tookMs: number;
  /** In microseconds. */
  readonly latency: Histogram;
}

/** Resolves when all are done. After the first failure, or an abort, nothing new begins; rejects once the rest has ended. */
export async function inFlight({ count, window, signal, run, onDone }: Flight): Promise<Timing> {
  const latency = new Histogram();
  const began = performance.now();
  let next = 0;
  let done = 0;
  let failure: { readonly error: unknown } | undefined;
  const lane = async (): Promise<void> => {
    while (next < count && failure === undefined && !signal.aborted) {
      const n = next++;
      const sentAt = performance.now();
      try {
        await run(n);
      } catch (error) {
        failure ??= { error };
        return;
      }
      latency.record((performance.now() - sentAt) * 1_000);
      onDone?.(++done);
    }
  };
  await Promise.all(Array.from({ length: Math.min(window, count) }, lane));
  signal.throwIfAborted();
  if (failure !== undefined) throw failure.error;
  return { count, tookMs: performance.now() - began, latency };
}

/** A timing as plain numbers: what the table and --json show. */
export interface Rate {
  readonly count: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export function rateOf({ count, tookMs, latency }: Timing): Rate {
  return { count, perSecond: Math.round((count / tookMs) * 1_000), ...percentiles(latency) };
}

export function percentiles(latencyUs: Histogram): { p50Ms: number; p99Ms: number } {
  return { p50Ms: latencyUs.quantile(0.5) / 1_000, p99Ms: latencyUs.quantile(0.99) / 1_000 };
}
