// Explores one scenario of a copy of the sources, as a process of its own: node child.ts COPY SCENARIO SEEDS. Says each seed before it
// runs, so that whoever watches knows which one a process died of; a failing seed ends it.

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Scenario, SeedResult } from '../../../src/testing/sim/runner.ts';

const [copy, scenario, seeds] = process.argv.slice(2) as [string, string, string];
const load = (file: string) => import(pathToFileURL(join(copy, 'src/testing/sim', file)).href);
const { runSeed } = (await load('runner.ts')) as {
  runSeed(scenario: Scenario, seed: number): Promise<SeedResult>;
};
const { scenarios } = (await load('scenarios.ts')) as { scenarios: ReadonlyMap<string, Scenario> };
const wanted = scenarios.get(scenario) as Scenario;

for (let seed = 1; seed <= Number(seeds); seed++) {
  process.stdout.write(`${JSON.stringify({ seed })}\n`);
  const [violation] = (await runSeed(wanted, seed)).violations;
  if (violation === undefined) continue;
  process.stdout.write(`${JSON.stringify({ seed, violation })}\n`);
  break;
}
