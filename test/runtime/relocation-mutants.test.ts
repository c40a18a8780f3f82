// Each of these mistakes must be found. The unchanged copy must pass, so that what is found is the mistake.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { Cores } from './relocation-cores.ts';
import { explore } from './relocation-explore.ts';
import { cases, play } from './relocation-matrix.ts';
import { load, mutants } from './relocation-mutants.ts';
import { Sim } from './relocation-sim.ts';

const folder = mkdtempSync(join(tmpdir(), 'relocation-mutants-'));
afterAll(() => rmSync(folder, { recursive: true }));

const fewSeeds = 90;
const manySeeds = 1_500;

/** What the oracles (or an assertion of the core itself) say about a set of cores; undefined when they find nothing. */
function findMistake(cores: Cores, seeds: number): string | undefined {
  const explored = (from: number, to: number): string | undefined => {
    for (let seed = from; seed < to; seed++) {
      const found = messageOf(() => new Sim(explore(seed, cores)).run());
      if (found !== undefined) return found;
    }
    return undefined;
  };
  const played = (): string | undefined => {
    for (const it of cases) {
      const found = messageOf(() => {
        const result = play(it, 0, cores);
        if (!it.ends.includes(result)) throw new Error(`'${it.name}' ended ${result}`);
      });
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return explored(0, fewSeeds) ?? played() ?? explored(fewSeeds, seeds);
}

function messageOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

test('a copy of the cores without any change is found to be right', async () => {
  expect(findMistake(await load(join(folder, 'none'), undefined), 200)).toBeUndefined();
});

test('at least ten mistakes are tried', () => expect(mutants.length).toBeGreaterThanOrEqual(10));

test.each(mutants.map((mutant, index) => ({ ...mutant, index })))('caught: $name', async ({ index, ...mutant }) => {
  const cores = await load(join(folder, String(index)), mutant);
  expect(findMistake(cores, manySeeds)).toBeDefined();
});
