// How long syncs took, by upper bound.

import { expect, it } from 'vitest';
import { SyncTimes } from '../../src/storage/sync-times.ts';

it('counts a sync where no smaller bound holds it, the slowest behind the last bound', () => {
  const times = new SyncTimes();
  const { boundsMs } = times.report();
  expect([...boundsMs].sort((a, b) => a - b)).toEqual(boundsMs);
  for (const bound of boundsMs) {
    times.record(bound);
    times.record(bound + 0.001);
  }
  const last = boundsMs.length;
  expect(times.report()).toMatchObject({
    counts: [1, ...boundsMs.slice(1).map(() => 2), 1],
    count: 2 * last,
    sumMs: expect.closeTo(
      boundsMs.reduce((sum, bound) => sum + 2 * bound + 0.001, 0),
      6,
    ),
  });
  times.record(0);
  times.record(1e9);
  const { counts } = times.report();
  expect([counts[0], counts[last], counts.reduce((sum, count) => sum + count)]).toEqual([2, 2, 2 * last + 2]);
});
