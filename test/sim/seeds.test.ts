// Seeds that have found something once find nothing now.

import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { before } from '../../src/testing/sim/node-scenarios.ts';
import { runSeed } from '../../src/testing/sim/runner.ts';
import { type AnyScenario, scenarios } from '../../src/testing/sim/scenarios.ts';

const text = readFileSync(new URL('./seeds.txt', import.meta.url), 'utf8');
const newer = text.indexOf('# With scenes');
const rows = [...text.matchAll(/^([\w-]+) +(\d+) +(.+)$/gm)].map(
  ({ index, 1: scenario = '', 2: seed, 3: why = '' }) => [scenario, Number(seed), why, index < newer] as const,
);

it('are read, all of them', () => {
  expect(newer).toBeGreaterThan(0);
  expect(rows.length).toBe(text.match(/^[^\s#]/gm)?.length);
});

it.each(rows)('%s %i: %s', { timeout: 60_000 }, async (name, seed, _why, isOld) => {
  const scenario = (isOld ? before.get(name) : undefined) ?? (scenarios.get(name) as AnyScenario);
  expect((await runSeed(scenario, seed)).violations).toEqual([]);
});
