// Every interleaving of small cases of the shared ring, its bell and its parking protocol, and the proof that the search would
// notice: each mutant in ring-mutants.ts has to be caught. TROUPE_MODEL=full searches six frames of two producers at every
// access (1.5 million states, half a minute); without it the cases are smaller and take a few seconds.

import { describe, expect, test } from 'vitest';
import { checkRings, type ModelConfig } from './ring-model.ts';
import { loadKit, mutants } from './ring-mutants.ts';
import type { RingKit } from './ring-programs.ts';

// Rings of 32 bytes: four units, the window one unit. Frames of 0 bytes take one unit, others two; three of them do not fit at
// once, so that producers wait, and frames run into the slack. Positions begin 16 below 2^31 and change sign on the way.
const capacity = 32;
const start = 0x7fff_fff0;

const cases: Record<string, ModelConfig> = {
  'one producer that has to wait, and either of the two may die': {
    capacity,
    start,
    frames: [[4, 0, 8, 4]],
    mortal: [0, 1],
    stirs: 1,
  },
  'a large frame at the end': { capacity, start, frames: [[4, 20]] },
  'large frames in pieces among small ones': { capacity, start, frames: [[20, 4]] },
  'two producers, one of them may die': { capacity, start, frames: [[4, 0], [8]], mortal: [1] },
  'two producers that wait for room, one frame a poll': {
    capacity,
    start,
    frames: [
      [4, 8, 4],
      [8, 0],
    ],
    pollMax: 1,
    everyAccess: false,
  },
};

const six = [
  [4, 0, 8],
  [8, 4, 4],
];
const five = [
  [4, 0, 8],
  [8, 4],
];
const fullCases: Record<string, ModelConfig> = {
  'two producers, three frames each': { capacity, start, frames: six },
  'two producers, five frames, anyone may die': {
    capacity,
    start,
    frames: five,
    mortal: [0, 1, 2],
    stirs: 1,
    everyAccess: false,
  },
};

/** The first case in which the ring goes wrong; the small ones without deaths first, since they find most mistakes at once. */
function firstViolation(kit: RingKit): string | null {
  const small = [
    [4, 0, 8, 4],
    [4, 20],
    [20, 4],
  ].map(frames => ({ capacity, start, frames: [frames] }));
  for (const config of [...small, ...Object.values(cases)]) {
    const { violation } = checkRings(kit, config);
    if (violation !== null) return violation;
  }
  return null;
}

describe('in every interleaving no frame is lost, torn, doubled or reordered, and nobody sleeps through one', async () => {
  const kit = await loadKit();
  const full = process.env.TROUPE_MODEL === 'full';
  for (const [name, config] of Object.entries(full ? { ...cases, ...fullCases } : cases)) {
    test(name, { timeout: full ? 240_000 : 60_000 }, () => {
      const { states, violation, trace } = checkRings(kit, config);
      expect(violation, trace.slice(-80).join('\n')).toBe(null);
      expect(states).toBeGreaterThan(1_000); // a search that ends at once has proved nothing
    });
  }
});

describe('the checker can fail: it finds', () => {
  for (const mutant of mutants) {
    test(mutant.mistake, { timeout: 60_000 }, async () => {
      expect(firstViolation(await loadKit(mutant))).not.toBe(null);
    });
  }
});
