// The order of a sender who is not heard for a while, while his partition goes to another node, back, and there again.

import { afterEach, expect, it } from 'vitest';
import { tell } from '../../../src/runtime/refs.ts';
import { ClusterKit, type KitNode } from '../../../src/testing/cluster-kit-host.ts';
import { LogT } from '../gateway/actors.ts';
import { hand, partitionOfKey } from './wishes.ts';

const kit = new ClusterKit(4, { actors: [LogT], seed: 7 });
const node = (name: string): KitNode => kit.node(name);
afterEach(() => kit.close());

it('a word that waits for an earlier one lets go what came before it, and not what came after', async () => {
  await kit.start();
  let key = 'k0';
  for (let i = 0; node('n2').cluster.preference(key, 1)[0] !== 'n2'; i++) key = `k${i}`;
  const speaks = (word: string): unknown => tell(node('n4').ref(LogT, key)).hear(word);
  const goesTo = async (name: string): Promise<void> => {
    await hand(kit, partitionOfKey(kit, key), name);
    await kit.clock.advance(50);
  };
  for (const to of ['n2', 'n3']) kit.network.block('n4', to);
  await goesTo('n3');
  speaks('to n3');
  await goesTo('n2');
  speaks('to n2');
  await goesTo('n3');
  speaks('to n3 again');
  kit.network.free('n4', 'n3');
  await kit.clock.advance(100);
  kit.network.free('n4', 'n2');
  await kit.clock.advance(2_000);
  expect(await kit.run(node('n3').ref(LogT, key).all())).toEqual(['to n3', 'to n2', 'to n3 again']);
  expect(node('n3').gateway.lastWords.describe()).toMatchObject({ settling: [], late: 0 });
});
