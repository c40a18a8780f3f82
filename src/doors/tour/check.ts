// What the tour believes only after it has looked: each record it reads is compared with what was written, and everything
// that differs is counted, with the first few named.
//
// Invariant: a tally is clean only if every record it was shown was there, once, and equal to what was written; and it was
// shown as many as it should have been.

import { isDeepStrictEqual } from 'node:util';

export interface Tally {
  /** Records looked at. */
  checked: number;
  missing: number;
  different: number;
  /** Keys with more than one value: a write that was done twice, or two of them. */
  doubled: number;
  /** Keys nobody wrote. */
  invented: number;
  /** The first few troubles, in words. */
  readonly examples: string[];
}

/** Troubles named in full; the rest are only counted. */
const examplesMax = 3;

export function emptyTally(): Tally {
  return { checked: 0, missing: 0, different: 0, doubled: 0, invented: 0, examples: [] };
}

/** One record as it was read: no value means that there is none. */
export function check(tally: Tally, key: string, expected: unknown, values: readonly unknown[]): void {
  tally.checked++;
  const [value] = values;
  if (values.length === 0) {
    tally.missing++;
    example(tally, `${key} is missing`);
  } else if (values.length > 1) {
    tally.doubled++;
    example(tally, `${key} has ${values.length} values`);
  } else if (!isDeepStrictEqual(value, expected)) {
    tally.different++;
    example(tally, `${key} is ${JSON.stringify(value)}, written was ${JSON.stringify(expected)}`);
  }
}

export function invented(tally: Tally, key: unknown): void {
  tally.checked++;
  tally.invented++;
  example(tally, `${String(key)} was never written`);
}

/** Records that are not what they should be. */
export function badOf({ missing, different, doubled, invented: unknown }: Tally): number {
  return missing + different + doubled + unknown;
}

/** What is wrong, in words; empty when nothing is. `wanted`: how many records had to be looked at. */
export function troublesOf(what: string, tally: Tally, wanted: number): string[] {
  const { checked, missing, different, doubled, invented: unknown, examples } = tally;
  const troubles: string[] = [];
  if (checked !== wanted) troubles.push(`${what}: ${checked} records instead of ${wanted}`);
  if (badOf(tally) > 0) {
    const counts = `${missing} missing, ${different} different, ${doubled} doubled, ${unknown} never written`;
    troubles.push(`${what}: ${counts} of ${checked} (${examples.join('; ')})`);
  }
  return troubles;
}

function example(tally: Tally, text: string): void {
  if (tally.examples.length < examplesMax) tally.examples.push(text);
}
