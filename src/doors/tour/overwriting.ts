// One node's share of the cities, read and overwritten without a pause while something else goes on: each record has one writer.
//
//     get ──as I left it?──▶ put, version + 1, with the context of that get ──acknowledged──▶ that version is what must be found
//                                                                           └─no answer──▶ that one or the one before, until it is read
//
// Invariant: of each record, `allowed` holds what may be found: one version, or two after a put of which nobody knows.

import { isDeepStrictEqual } from 'node:util';
import { type Store, TroupeError } from '../../index.ts';
import { Histogram } from '../../runtime/histogram.ts';
import { check, emptyTally, troublesOf } from './check.ts';
import { type City, cityAt, keyOf } from './cities.ts';

/** What may be found of record n: one of these versions. */
export type Allowed = [n: number, ...versions: number[]];

export interface Overwritten {
  readonly reads: number;
  /** Acknowledged. */
  readonly writes: number;
  /** By code: gets and puts that were refused for certain. */
  readonly refused: Record<string, number>;
  /** Puts without an answer: there, or not. */
  readonly unknown: number;
  /** Of the puts, in microseconds, packed. */
  readonly putUs: number[];
  readonly problems: string[];
  /** Of all that has been overwritten, this time or before. */
  readonly versions: Allowed[];
}

/** Under way at once: a client that is busy, not one that tries how much it takes. */
const lanes = 16;
/** A request may wait while a partition stands still on a busy machine. */
const patienceMs = 30_000;
/** After a refusal. */
const retryMs = 20;

type Outcome<T> = { readonly value: T } | 'refused' | 'unknown';

export class Overwriting {
  readonly #name: string;
  readonly #cities: readonly City[];
  readonly #allowed = new Map<number, readonly number[]>();
  #goesOn = false;
  #count = noCounts();
  #putUs = new Histogram();
  #tally = emptyTally();

  constructor(name: string, cities: readonly City[]) {
    this.#name = name;
    this.#cities = cities;
  }

  hush(): void {
    this.#goesOn = false;
  }

  /** These records, again and again, until hush(). Each is in one lane: nobody else writes it meanwhile. */
  async run(store: Pick<Store, 'get' | 'put'>, numbers: readonly number[]): Promise<Overwritten> {
    this.#goesOn = true;
    [this.#count, this.#putUs, this.#tally] = [noCounts(), new Histogram(), emptyTally()];
    const lane = async (first: number): Promise<void> => {
      for (let at = first; this.#goesOn; at = at + lanes < numbers.length ? at + lanes : first)
        await this.#overwrite(store, numbers[at] as number);
    };
    await Promise.all(Array.from({ length: Math.min(lanes, numbers.length) }, (_, first) => lane(first)));
    const what = `what ${this.#name} read while it overwrote`;
    const problems = troublesOf(what, this.#tally, this.#tally.checked);
    const versions = [...this.#allowed].map(([n, allowed]): Allowed => [n, ...allowed]);
    return { ...this.#count, putUs: this.#putUs.pack(), problems, versions };
  }

  async #overwrite(store: Pick<Store, 'get' | 'put'>, n: number): Promise<void> {
    const cities = this.#cities;
    const key = keyOf(cities, n);
    const deadlineMs = patienceMs;
    const seen = await this.#outcomeOf(store.get(key, { deadlineMs }));
    if (typeof seen === 'string') return;
    const { values, context } = seen.value;
    const allowed = this.#allowed.get(n) ?? [0];
    const version = whichOf(cities, n, allowed, values[0]) ?? (allowed[0] as number);
    this.#count.reads++;
    check(this.#tally, key, cityAt(cities, n, version), values);
    const sentAt = performance.now();
    const put = await this.#outcomeOf(store.put(key, cityAt(cities, n, version + 1), { context, deadlineMs }));
    if (put === 'unknown') this.#count.unknown++;
    this.#allowed.set(n, put === 'unknown' ? [version, version + 1] : [put === 'refused' ? version : version + 1]);
    if (typeof put === 'string') return;
    this.#count.writes++;
    this.#putUs.record((performance.now() - sentAt) * 1_000);
  }

  async #outcomeOf<T>(request: Promise<T>): Promise<Outcome<T>> {
    try {
      return { value: await request };
    } catch (error) {
      if (!(error instanceof TroupeError)) throw error;
      if (error.outcome === 'failed') this.#count.refused[error.code] = (this.#count.refused[error.code] ?? 0) + 1;
      await new Promise(resolve => setTimeout(resolve, retryMs));
      return error.outcome === 'unknown' ? 'unknown' : 'refused';
    }
  }
}

function noCounts(): { reads: number; writes: number; refused: Record<string, number>; unknown: number } {
  return { reads: 0, writes: 0, refused: {}, unknown: 0 };
}

/** The version that this value is, of those it may be. */
export function whichOf(
  cities: readonly City[],
  n: number,
  allowed: readonly number[],
  value: unknown,
): number | undefined {
  return allowed.find(version => isDeepStrictEqual(value, cityAt(cities, n, version)));
}
