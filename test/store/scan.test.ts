// Scans through a real node: all partitions in the order of the keys, while others write.

import { describe, expect, it } from 'vitest';
import type { Key, Store } from '../../src/actors/store.ts';
import { scanTurnKeys } from '../../src/limits.ts';
import { collect, kinds, sharedNode } from './nodes.ts';

const names = Array.from({ length: 1_000 }, (_, n) => `cart:${String(n).padStart(4, '0')}`);
const bytes = (...all: number[]): Uint8Array => Uint8Array.from(all);

async function keysOf(store: Store, options: { prefix?: Key; limit?: number } = {}): Promise<Key[]> {
  return (await collect(store.scan(options))).map(({ key }) => key);
}

describe.each(kinds)('a scan of a store %s', (_, threads, onDisk) => {
  const shop = sharedNode(threads, onDisk);
  const filled = async (): Promise<Store> => {
    const store = await shop.store();
    await Promise.all(names.map((name, n) => store.put(name, n)));
    return store;
  };

  it('meets every key once, in the order of its bytes, with values and a context that can be used', async () => {
    const store = await filled();
    await store.put('cart:0500', 'sibling');
    const items = await collect(store.scan());
    expect(items.map(({ key }) => key)).toEqual(names);
    expect(items.map(({ values }) => values)).toEqual(names.map((_name, n) => (n === 500 ? ['sibling', 500] : [n])));
    await store.put('cart:0500', 'merged', { context: items[500]?.context });
    expect((await store.get('cart:0500')).values).toEqual(['merged']);
  });

  it('orders text as UTF-8 and not as JavaScript does, and text before bytes', async () => {
    const store = await shop.store();
    const keys = ['\u{1F600}', '\uffff', 'b', 'a', 'ab', 'é', 'Z', bytes(97), bytes(0), bytes(255)];
    await Promise.all(keys.map(key => store.put(key, 1)));
    const ordered = ['Z', 'a', 'ab', 'b', 'é', '\uffff', '\u{1F600}', bytes(0), bytes(97), bytes(255)];
    expect(await keysOf(store)).toEqual(ordered);
    expect(await keysOf(store, { prefix: bytes() })).toEqual(ordered.slice(-3));
    expect(await keysOf(store, { prefix: '' })).toEqual(ordered.slice(0, -3));
  });

  it('keeps to a prefix and a limit', async () => {
    const store = await filled();
    expect(await keysOf(store, { prefix: 'cart:07' })).toEqual(names.slice(700, 800));
    expect(await keysOf(store, { prefix: 'cart:07', limit: 3 })).toEqual(names.slice(700, 703));
    expect(await keysOf(store, { prefix: 'cart:0777' })).toEqual(['cart:0777']);
    expect(await keysOf(store, { limit: 1 })).toEqual([names[0]]);
    expect(await keysOf(store, { limit: 0 })).toEqual([]);
    expect(await keysOf(store, { limit: 5_000 })).toEqual(names);
    expect(await keysOf(store, { prefix: 'cart;' })).toEqual([]);
    expect(await keysOf(store, { prefix: bytes(99) })).toEqual([]);
  });

  it('leaves out what is deleted or expired', async () => {
    const store = await filled();
    const gone = names.filter((_name, n) => n % 3 === 0);
    await Promise.all(gone.map(name => store.delete(name)));
    expect(await keysOf(store)).toEqual(names.filter((_name, n) => n % 3 !== 0));
  });

  it('meets every key that stays exactly once, in order, while others are put, changed and deleted before and behind it', async () => {
    const store = await filled();
    const met: Key[] = [];
    let scanning = true;
    const writer = async (offset: number): Promise<void> => {
      for (let n = offset; scanning; n = (n + 7) % 1_000) {
        const name = names[n] as string;
        const { context } = await store.get(name);
        await store.put(name, 'changed', { context });
        await store.put(`${name}+`, 'came');
        if (n % 2 === 0) await store.delete(`${name}+`);
      }
    };
    const writers = [writer(0), writer(333), writer(666)];
    for await (const { key, values } of store.scan()) {
      met.push(key);
      expect(values).toHaveLength(1);
      if (met.length % 50 === 0) await new Promise(resolve => setImmediate(resolve));
    }
    scanning = false;
    await Promise.all(writers);
    expect(met.filter(key => !String(key).endsWith('+'))).toEqual(names);
    expect(met).toEqual([...new Set(met)].sort());
  });

  it('can be left at any point, and several may run at once', async () => {
    const store = await filled();
    for await (const { key } of store.scan()) if (key === names[10]) break;
    const all = await Promise.all([keysOf(store), keysOf(store, { prefix: 'cart:00' }), keysOf(store, { limit: 10 })]);
    expect(all).toEqual([names, names.slice(0, 100), names.slice(0, 10)]);
  });

  it('lets others have a turn of the event loop all the way', async () => {
    const store = await filled();
    let turns = 0;
    let [longest, since] = [0, 0];
    let isOver = false;
    const turn = (): void => {
      turns++;
      since = 0;
      if (!isOver) setImmediate(turn);
    };
    setImmediate(turn);
    for await (const _ of store.scan()) longest = Math.max(longest, ++since);
    isOver = true;
    expect(longest).toBeLessThanOrEqual(2 * scanTurnKeys);
    expect(turns).toBeGreaterThanOrEqual(names.length / scanTurnKeys - 1);
  });

  it('of an empty store ends at once', async () => {
    expect(await keysOf(await shop.store())).toEqual([]);
  });
});
