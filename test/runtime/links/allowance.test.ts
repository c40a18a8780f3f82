// So much at once, so much a second, for each key apart.

import { expect, it } from 'vitest';
import { Allowance } from '../../../src/runtime/links/allowance.ts';
import { seededRandom } from '../../../src/testing/virtual-world.ts';

it('an allowance is used up at once, comes back with time, and never beyond what it was', () => {
  const allowance = new Allowance({ atOnce: 3, perSecond: 2, keysMax: 10 });
  const takes = (count: number, now: number): boolean[] =>
    Array.from({ length: count }, () => allowance.take('a', now));
  expect(takes(4, 0)).toEqual([true, true, true, false]);
  expect(takes(1, 499)).toEqual([false]);
  expect(takes(2, 500)).toEqual([true, false]);
  expect(takes(4, 60_000)).toEqual([true, true, true, false]);
  expect([allowance.left('a', 60_250), allowance.left('b', 0)]).toEqual([0.5, 3]);
  expect(allowance.take('b', 60_250)).toBe(true);
});

it('an allowance never gives more than its rate, whatever the moments', () => {
  const random = seededRandom(3);
  for (let run = 0; run < 200; run++) {
    const allowance = new Allowance({ atOnce: 5, perSecond: 10, keysMax: 10 });
    const given: number[] = [];
    for (let now = 0; now < 5_000; now += random.u32() % 100) if (allowance.take('a', now)) given.push(now);
    for (const [i, from] of given.entries())
      for (const [j, to] of given.entries())
        if (j >= i) expect(j - i + 1).toBeLessThanOrEqual(5 + ((to - from) / 1_000) * 10 + 1e-6);
  }
});

it('an allowance remembers so many keys, those that were used last', () => {
  const allowance = new Allowance({ atOnce: 1, perSecond: 0, keysMax: 2 });
  expect(['a', 'b', 'a', 'c', 'a', 'b'].map(key => allowance.take(key, 0))).toEqual([
    true,
    true,
    false,
    true, // b is forgotten
    false,
    true,
  ]);
});
