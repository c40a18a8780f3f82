// The order of a sender over several moves in a row, when owners in between are gone.

import { afterEach, beforeEach, expect, it } from 'vitest';
import { tell } from '../../../src/runtime/refs.ts';
import { ClusterKit, type KitNode } from '../../../src/testing/cluster-kit-host.ts';
import { LogT } from '../gateway/actors.ts';
import { hand, partitionOfKey } from './wishes.ts';

let kit: ClusterKit;
const node = (name: string): KitNode => kit.node(name);

beforeEach(async () => {
  kit = new ClusterKit(4, { actors: [LogT], seed: 7 });
  await kit.start();
});
afterEach(() => kit.close());

it('a last word that its owner cannot pass on any more goes by the one before him, where something may be on its way', async () => {
  const key = Array.from({ length: 100 }, (_, i) => `k${i}`).find(
    each => node('n1').cluster.preference(each, 1)[0] === 'n1',
  ) as string;
  const partition = partitionOfKey(kit, key);
  const speaks = (word: string): unknown => tell(node('n4').ref(LogT, key)).hear(word);
  for (const [from, to] of [['n4', 'n1'] as const, ['n1', 'n4'] as const]) kit.network.block(from, to);
  speaks('first');
  await hand(kit, partition, 'n2');
  await kit.clock.advance(50);
  await hand(kit, partition, 'n3');
  await kit.clock.advance(50);
  speaks('second');
  await kit.crash('n2');
  await kit.restart('n2');
  await kit.clock.advance(1_000);
  for (const [from, to] of [['n4', 'n1'] as const, ['n1', 'n4'] as const]) kit.network.free(from, to);
  await kit.clock.advance(2_000);
  expect(await kit.run(node('n3').ref(LogT, key).all())).toEqual(['first', 'second']);
  expect(node('n3').gateway.lastWords.describe()).toMatchObject({ late: 0 });
});
