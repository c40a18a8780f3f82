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
const goesTo = async (name: string): Promise<void> => {
  await hand(kit, partitionOfKey(kit, key), name);
  await kit.clock.advance(50);
};

beforeEach(async () => {
  kit = new ClusterKit(4, { actors: [LogT], seed: 7 });
  await kit.start();
  for (let i = 0; ; i++) {
    key = `k${i}`;
    if (node('n1').cluster.preference(key, 1)[0] === 'n1') break;
  }
  for (const [from, to] of ways) kit.network.block(from, to);
  speaks('first');
  await goesTo('n2');
});
afterEach(() => kit.close());

async function keepsOrder(owner: string): Promise<void> {
  await kit.clock.advance(1_000);
  for (const [from, to] of ways) kit.network.free(from, to);
  await kit.clock.advance(2_000);
  expect(await kit.run(node(owner).ref(LogT, key).all())).toEqual(['first', 'second']);
  expect(node(owner).gateway.lastWords.describe()).toMatchObject({ settling: [], late: 0 });
}

it('its word finds the owner in between, who waits for it, although the first one passes it to the last', async () => {
  await goesTo('n3');
  speaks('second');
  await keepsOrder('n3');
  expect(node('n2').gateway.lastWords.describe()).toMatchObject({ settling: [], late: 0 });
});

it('its word goes by the first owner when the one in between is gone', async () => {
  await goesTo('n3');
  speaks('second');
  await kit.crash('n2');
  await kit.restart('n2');
  await keepsOrder('n3');
});

it('what it has said to the first owner is first, too, when that is the last one again', async () => {
  const speaksLate = (): void => {
    const { running } = node('n2').gateway.handoffs.describe() as { running: { phase: string }[] };
    if (running[0]?.phase === 'frozen') speaks('second');
    else kit.clock.timer(1, speaksLate);
  };
  speaksLate();
  await goesTo('n1');
  await keepsOrder('n1');
});
