// Seeds that have found something. Each must stay silent, whatever its plan is by now.

import { describe, expect, it } from 'vitest';
import { counters } from '../../src/testing/sim/counters.ts';
import { runSeed } from '../../src/testing/sim/runner.ts';

describe('counters:', () => {
  it.each([
    [813, 'a refused write took along the answers of an earlier one that was committed and not flushed yet'],
    [2755, 'the same'],
    [1701, 'a copy of the disk from before a wipe came back without the epochs that go with it'],
    [3533, 'a process slept over the heal and died of what had happened before'],
  ])('seed %i: %s', async seed => {
    expect((await runSeed(counters, seed)).violations).toEqual([]);
  });
});
