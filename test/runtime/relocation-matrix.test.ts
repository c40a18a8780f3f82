// The exhaustive matrix: 12 steps x 3 parties x 3 faults. See relocation-matrix.ts for the stage and what is expected.

import { expect, test } from 'vitest';
import { cores } from './relocation-cores.ts';
import { cases, play, playZombie, steps } from './relocation-matrix.ts';

/** Even seeds lose the spoilt message, odd ones repeat it; each orders everything else differently. */
const seeds = [0, 1, 2, 3, 4, 5];

test('there are 108 cases, each with a name of its own', () => {
  expect(cases).toHaveLength(108);
  expect(new Set(cases.map(({ name }) => name)).size).toBe(108);
});

test.each(cases)('$name', it => {
  for (const seed of seeds) expect(it.ends).toContain(play(it, seed, cores));
});

test.each(steps)('$name: a party that sleeps is taken for dead, and wakes up', step => {
  for (const seed of seeds) {
    for (const party of ['source', 'target'] as const) {
      expect(['moved', 'aborted', 'refused']).toContain(playZombie(step, party, seed, cores));
    }
  }
});
