// The order of a sender who is not heard for a while, while his partition goes to another node, back, and there again.

import { afterEach, beforeEach, expect, it } from 'vitest';
import { tell } from '../../../src/runtime/refs.ts';
import { ClusterKit, type KitNode } from '../../../src/testing/cluster-kit-host.ts';
import { LogT } from '../gateway/actors.ts';
import { hand, partitionOfKey } from './wishes.ts';

let kit: ClusterKit;
let key: string;
const node = (name: string): KitNode => kit.node(name);
const speaks = (word: string): unknown => tell(node('n4').ref(LogT, key)).hear(word);
const goesTo = async (name: string): Promise<void> => {
  await hand(kit, partitionOfKey(kit, key), name);
  await kit.clock.advance(50);
};
const block = (from: string, to: string): void => kit.network.block(from, to);
const free = (from: string, to: string): void => kit.network.free(from, to);
const others = ['n1', 'n2', 'n3'];
/** n4 hears of nothing until then. */
const whileDeaf = async (happens: () => Promise<void>): Promise<void> => {
  for (const from of others) block(from, 'n4');
  await happens();
  for (const from of others) free(from, 'n4');
};
const keepsOrder = async (owner: string, words: string[]): Promise<void> => {
  await kit.clock.advance(2_000);
  expect(await kit.run(node(owner).ref(LogT, key).all())).toEqual(words);
  expect(node(owner).gateway.lastWords.describe()).toMatchObject({ settling: [], late: 0 });
};

beforeEach(async () => {
  kit = new ClusterKit(4, { actors: [LogT], seed: 7 });
  await kit.start();
  key = 'k0';
  for (let i = 0; node('n2').cluster.preference(key, 1)[0] !== 'n2'; i++) key = `k${i}`;
});
afterEach(() => kit.close());

it('a word that waits for an earlier one lets go what came before it, and not what came after', async () => {
  for (const to of ['n2', 'n3']) block('n4', to);
  await goesTo('n3');
  speaks('to n3');
  await goesTo('n2');
  speaks('to n2');
  await goesTo('n3');
  speaks('to n3 again');
  free('n4', 'n3');
  await kit.clock.advance(100);
  free('n4', 'n2');
  await keepsOrder('n3', ['to n3', 'to n2', 'to n3 again']);
});

it('what was sent before the first of those that are owed waits for none of them', async () => {
  for (const to of ['n2', 'n3']) block('n4', to);
  speaks('to n2');
  await goesTo('n3');
  speaks('to n3');
  await whileDeaf(async () => {
    for (const to of ['n2', 'n3', 'n2']) await goesTo(to);
    free('n4', 'n2');
    await kit.clock.advance(100);
  });
  await kit.clock.advance(100);
  speaks('to n2 again');
  free('n4', 'n3');
  await keepsOrder('n2', ['to n2', 'to n3', 'to n2 again']);
});

it('a word that is sent on to another owner is behind what it has let go', async () => {
  for (const to of ['n2', 'n3']) block('n4', to);
  speaks('to n2');
  await goesTo('n3');
  speaks('to n3');
  await goesTo('n2');
  speaks('to n2 again');
  await whileDeaf(async () => {
    for (const to of ['n3', 'n2']) await goesTo(to);
  });
  free('n4', 'n3');
  await kit.clock.advance(100);
  free('n4', 'n2');
  await keepsOrder('n2', ['to n2', 'to n3', 'to n2 again']);
});
