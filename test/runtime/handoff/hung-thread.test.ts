// A thread that does not answer while a partition stands still: the partition goes on where it was, whatever the step, and is handed on
// when the thread is back.

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FarRouter } from '../../../src/runtime/far-router.ts';
import { ClusterKit, type KitNode } from '../../../src/testing/cluster-kit-host.ts';
import { TravellerT } from '../cluster/traveller.ts';
import { hand, partitionOfKey } from './wishes.ts';

let kit: ClusterKit;
const node = (name: string): KitNode => kit.node(name);

beforeEach(async () => {
  kit = new ClusterKit(2, { actors: [TravellerT], seed: 7 });
  await kit.start();
});
afterEach(() => kit.close());

/** The first of these is not answered. */
function hang(at: KitNode, word: string): void {
  const router = at.host.router as FarRouter;
  const query = router.query.bind(router);
  router.query = (thread, name, payload) => {
    if (name !== word) return query(thread, name, payload);
    router.query = query;
    return new Promise(() => undefined);
  };
}

const steps = [
  'part-watch',
  'part-page',
  'part-hold',
  'part-flush',
  'part-still',
  'part-freeze',
  'part-dirty',
  'part-read',
];

describe.each(steps)("a thread that hangs at '%s'", word => {
  it('lets the partition serve again, and it is handed on later', async () => {
    const key = Array.from({ length: 100 }, (_, i) => `k${i}`).find(
      each => node('n1').cluster.preference(each, 1)[0] === 'n1',
    ) as string;
    const [n1, n2] = [node('n1'), node('n2')];
    for (let i = 0; i < 3; i++) await kit.run(n1.ref(TravellerT, key).hear(i));
    hang(n1, word);
    await hand(kit, partitionOfKey(kit, key), 'n2', 60_000);
    const stays = n1.events.filter(({ name }) => name === 'partition-stays').map(({ payload }) => payload);
    expect(stays).toMatchObject([{ reason: expect.stringContaining(`'${word}'`) }]);
    expect(await kit.run(n2.ref(TravellerT, key).all())).toEqual([0, 1, 2]);
  });
});
