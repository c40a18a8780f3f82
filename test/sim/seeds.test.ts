// Seeds that have found something once find nothing now.

import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { runSeed } from '../../src/testing/sim/runner.ts';
import { type AnyScenario, scenarios } from '../../src/testing/sim/scenarios.ts';

const rows = [...readFileSync(new URL('./seeds.txt', import.meta.url), 'utf8').matchAll(/^([\w-]+) +(\d+) +(.+)$/gm)];

it('are read, all of them', () => {
  const text = readFileSync(new URL('./seeds.txt', import.meta.url), 'utf8');
  expect(rows.length).toBe(text.match(/^[^\s#]/gm)?.length);
});

it.each(rows.map(([, scenario = '', seed = '', why = '']) => [scenario, Number(seed), why] as const))(
  '%s %i: %s',
  { timeout: 60_000 },
  async (scenario, seed) => {
    expect((await runSeed(scenarios.get(scenario) as AnyScenario, seed)).violations).toEqual([]);
  },
);
