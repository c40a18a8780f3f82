// A few of the mistakes are made and found; all of them: npm run sim:mutants, results in bench/results/sim-mutants.md.

import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { mutate } from '../../mutate.ts';
import { find } from './runner.ts';
import { type Mutant, mutants } from './table.ts';

const few: readonly [name: string, says: string][] = [
  ['an answer leaves before its write is durable', 'was acknowledged and is lost'],
  ['what a broken stream was given is not sent again', 'no rest'],
  ['what was held is never released at the old owner', ''],
  ['a later heartbeat does not refute a verdict', 'member-down'],
];

it.each(few)('found: %s', { timeout: 60_000 }, async (name, says) => {
  const mutant = mutants.find(each => each.name === name) as Mutant;
  const { seed, why } = await find(mutant.scenario, mutant, { seeds: 20 });
  expect(seed).toBeLessThanOrEqual(20);
  expect(why).toContain(says);
});

it('in a copy without a mistake nothing is found', { timeout: 60_000 }, async () => {
  expect(await find('counters', undefined, { seeds: 5 })).toMatchObject({ seed: undefined, why: undefined });
});

it('every mistake can be made: its text is there once', () => {
  for (const mutant of mutants)
    mutate(readFileSync(new URL(`../../../src/${mutant.file}`, import.meta.url), 'utf8'), mutant);
  expect(new Set(mutants.map(({ name }) => name)).size).toBe(mutants.length);
  expect(mutants.length).toBeGreaterThanOrEqual(25);
});
