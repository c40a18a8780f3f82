// The order of a sender whose first message hangs on its way by the first owner, while its partition goes on and on.

import { afterEach, beforeEach, expect, it } from 'vitest';
import { tell } from '../../../src/runtime/refs.ts';
import { ClusterKit, type KitNode } from '../../../src/testing/cluster-kit-host.ts';
import { LogT } from '../gateway/actors.ts';
import { hand, partitionOfKey } from './wishes.ts';

let kit: ClusterKit;
let key: string;
const node = (name: string): KitNode => kit.node(name);
const speaks = (word: string): unknown => tell(node('n4').ref(LogT, key)).hear(word);
const ways = [['n4', 'n1'] as const, ['n1', 'n4'] as const];

beforeEach(async () => {
  kit = new ClusterKit(4, { actors: [LogT], seed: 7 });
  await kit.start();
  for (let i = 0; ; i++) {
    key = `k${i}`;
    if (node('n1').cluster.preference(key, 1)[0] === 'n1') break;
  }
  for (const [from, to] of ways) kit.network.block(from, to);
  speaks('first');
  for (const to of ['n2', 'n3']) {
    await hand(kit, partitionOfKey(kit, key), to);
    await kit.clock.advance(50);
  }
  speaks('second');
});
afterEach(() => kit.close());

async function keepsOrder(): Promise<void> {
  await kit.clock.advance(1_000);
  for (const [from, to] of ways) kit.network.free(from, to);
  await kit.clock.advance(2_000);
  expect(await kit.run(node('n3').ref(LogT, key).all())).toEqual(['first', 'second']);
  expect(node('n3').gateway.lastWords.describe()).toMatchObject({ settling: [], late: 0 });
}

it('its word finds the owner in between, who waits for it, although the first one passes it to the last', async () => {
  await keepsOrder();
  expect(node('n2').gateway.lastWords.describe()).toMatchObject({ settling: [], late: 0 });
});

it('its word goes by the first owner when the one in between is gone', async () => {
  await kit.crash('n2');
  await kit.restart('n2');
  await keepsOrder();
});
