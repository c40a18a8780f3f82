// The first half of the tour: the whole list into a store with durable acks, and, after a restart, every record back out of
// it and compared, once by key and once by a scan.

import type { Store } from '../../index.ts';
import { badOf, check, emptyTally, invented, type Tally, troublesOf } from './check.ts';
import { type City, cityAt, cityOf, keyOf, numberOf } from './cities.ts';
import { inFlight, type Rate, rateOf } from './in-flight.ts';
import { type Allowed, whichOf } from './overwriting.ts';
import { grouped, type View } from './view.ts';

/** Requests under way at once: enough for a group commit to be worth its sync, far below what a mailbox takes. */
export const windowOfPuts = 256;
/** Writes that wait for the platter: fewer at a time, as a careful client would. */
export const windowOfFlushed = 64;

export interface Part {
  readonly rate: Rate;
  /** Records that were not there, or not as written. */
  readonly bad: number;
  readonly problems: readonly string[];
}

export interface Work {
  readonly store: Store;
  readonly cities: readonly City[];
  readonly view: View;
  readonly signal: AbortSignal;
}

/** Every put resolves when its record survives the death of this process. */
export async function putAll({ store, cities, view, signal }: Work): Promise<Part> {
  const timing = await inFlight({
    count: cities.length,
    window: windowOfPuts,
    signal,
    run: async n => void (await store.put(keyOf(cities, n), cityOf(cities, n))),
    onDone: done => view.progress(done, cities.length),
  });
  return { rate: rateOf(timing), bad: 0, problems: [] };
}

/** The same list begun again under other keys, each put durable against the loss of power. */
export async function putFlushed({ store, cities, view, signal }: Work, count: number): Promise<Part> {
  const first = cities.length;
  const timing = await inFlight({
    count,
    window: windowOfFlushed,
    signal,
    run: async i =>
      void (await store.put(keyOf(cities, first + i), cityOf(cities, first + i), {
        ack: 'flushed',
        deadlineMs: 30_000,
      })),
    onDone: done => view.progress(done, count),
  });
  return { rate: rateOf(timing), bad: 0, problems: [] };
}

/**
 * Reads these records by key. `numbers` says which: n itself, or what a crash has left acknowledged; `versions` what may be found of those that
 * were overwritten.
 */
export async function checkByKey(
  work: Work,
  what: string,
  numbers: readonly number[],
  versions: readonly Allowed[] = [],
): Promise<Part> {
  const allowed = new Map(versions.map(([n, ...each]) => [n, each]));
  const { store, cities, view, signal } = work;
  const tally = emptyTally();
  const timing = await inFlight({
    count: numbers.length,
    window: windowOfPuts,
    signal,
    run: async i => {
      const n = numbers[i] as number;
      const key = keyOf(cities, n);
      const { values } = await store.get(key);
      const either = allowed.get(n) ?? [0];
      const version = whichOf(cities, n, either, values[0]) ?? (either[0] as number);
      check(tally, key, cityAt(cities, n, version), values);
    },
    onDone: done => view.progress(done, numbers.length),
  });
  return { rate: rateOf(timing), bad: badOf(tally), problems: troublesOf(what, tally, numbers.length) };
}

export interface Scanned extends Part {
  readonly found: number;
  /** Which of the numbers were met. */
  readonly met: ReadonlySet<number>;
}

/** Meets every record there is: none may be there twice, none that nobody wrote, and all must be what was written. */
export async function checkByScan(work: Work, what: string, expected: number): Promise<Scanned> {
  const { store, cities, view, signal } = work;
  const tally: Tally = emptyTally();
  const met = new Set<number>();
  const began = performance.now();
  for await (const { key, values } of store.scan()) {
    signal.throwIfAborted();
    const n = numberOf(cities, key);
    if (n === undefined || met.has(n)) invented(tally, key);
    else check(tally, String(key), cityOf(cities, n), values);
    if (n !== undefined) met.add(n);
    view.progress(Math.min(tally.checked, expected), expected);
  }
  const rate = { count: tally.checked, perSecond: perSecond(tally.checked, began), p50Ms: 0, p99Ms: 0 };
  return { rate, bad: badOf(tally), problems: troublesOf(what, tally, tally.checked), found: tally.checked, met };
}

export function allNumbers(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n);
}

/** What a scan must have met: exactly as many. */
export function wrongCount(what: string, found: number, wanted: number): string[] {
  return found === wanted ? [] : [`${what}: ${grouped(found)} records, written were ${grouped(wanted)}`];
}

function perSecond(count: number, began: number): number {
  return Math.round((count / Math.max(1, performance.now() - began)) * 1_000);
}
