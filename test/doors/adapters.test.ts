// The adapters, driven the way Keyv 5, Keyv 6 and unstorage drive theirs.

import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { type KeyvStore, keyvStore } from '../../src/doors/keyv.ts';
import { type UnstorageDriver, unstorageDriver } from '../../src/doors/unstorage.ts';
import { type Store, startNode } from '../../src/index.ts';

const node = await startNode({ threads: 0 });
afterAll(() => node.stop());
let stores = 0;
const freshStore = (): Promise<Store> => node.store(`adapter-${stores++}`, { siblings: false });

async function all<T>(from: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of from) items.push(item);
  return items;
}

describe('either adapter', () => {
  it('refuses a store that keeps siblings: each set() would add one', async () => {
    const siblings = await node.store('with-siblings');
    expect(() => keyvStore(siblings)).toThrow(/siblings: false/);
    expect(() => unstorageDriver(siblings)).toThrow(/siblings: false/);
  });

  it.each([[null], [undefined], [{}], ['cache']])('refuses what is no store: %j', none => {
    const refused = expect.objectContaining({
      code: 'BAD_OPTION',
      message: expect.stringMatching(/needs a store, as/),
    });
    expect(() => keyvStore(none as never)).toThrow(refused);
    expect(() => unstorageDriver(none as never)).toThrow(refused);
  });
});

describe('keyvStore', () => {
  let store: Store;
  let keyv: KeyvStore;
  beforeEach(async () => {
    store = await freshStore();
    keyv = keyvStore(store);
  });

  it('gives back what was set, and undefined for what was not', async () => {
    expect(await keyv.set('keyv:a', '{"value":1}')).toBe(true);
    expect(await keyv.get('keyv:a')).toBe('{"value":1}');
    expect(await keyv.get('keyv:b')).toBeUndefined();
    expect(await keyv.getMany(['keyv:b', 'keyv:a'])).toEqual([undefined, '{"value":1}']);
    expect([await keyv.has('keyv:a'), await keyv.has('keyv:b')]).toEqual([true, false]);
  });

  it('keeps one value a key however often it is set', async () => {
    for (let i = 0; i < 150; i++) await keyv.set('a', `${i}`);
    expect((await store.get('a')).values).toEqual(['149']);
  });

  it('says whether there was something to delete', async () => {
    await keyv.set('a', 'x');
    expect([await keyv.delete('a'), await keyv.delete('a'), await keyv.get('a')]).toEqual([true, false, undefined]);
  });

  it('hands a time to live to the store: relative, in ms, none for 0, gone at once when it is over', async () => {
    const expiry = async (key: string): Promise<number | undefined> =>
      (await store.inspect(key)).preference[0]?.siblings[0]?.expiresAt;
    const before = Date.now();
    await keyv.set('a', 'x', 60_000.4);
    expect(await expiry('a')).toBeGreaterThanOrEqual(before + 60_001);
    expect(await expiry('a')).toBeLessThanOrEqual(Date.now() + 60_001);
    await keyv.set('b', 'x', 0);
    await keyv.set('c', 'x', Number.POSITIVE_INFINITY);
    expect([await expiry('b'), await expiry('c')]).toEqual([0, 0]);
    await keyv.set('b', 'y', -1);
    expect(await keyv.has('b')).toBe(false);
  });

  it('clears its namespace only, as Keyv 5 sets it, and everything without one', async () => {
    for (const key of ['a:1', 'a:2', 'ab:1', 'b:1']) await keyv.set(key, key);
    keyv.namespace = 'a';
    await keyv.clear();
    expect(await all(keyv.iterator())).toEqual([
      ['ab:1', 'ab:1'],
      ['b:1', 'b:1'],
    ]);
    keyv.namespace = undefined;
    await keyv.clear();
    expect(await all(keyv.iterator())).toEqual([]);
  });

  it('clears more keys than it deletes at once', async () => {
    for (let i = 0; i < 200; i++) await keyv.set(`many:${i}`, 'x');
    await keyv.clear();
    expect(await all(store.scan())).toEqual([]);
  });

  it('iterates over a namespace with whole keys', async () => {
    for (const key of ['a:1', 'a:2', 'b:1']) await keyv.set(key, key);
    expect(await all(keyv.iterator('a'))).toEqual([
      ['a:1', 'a:1'],
      ['a:2', 'a:2'],
    ]);
  });

  it('has the traits by which Keyv 5 and 6 take it for what it is', () => {
    // Keyv 5 offers an iterator for dialects it knows; it reads opts.url too.
    expect(keyv.opts).toEqual({ url: '', dialect: 'redis' });
    // Keyv 6 bridges an adapter with async get, set, delete and clear; it must not promise namespaces of its own.
    for (const method of ['get', 'set', 'delete', 'clear', 'has'] as const)
      expect([method, keyv[method].constructor.name]).toEqual([method, 'AsyncFunction']);
    expect('namespace' in keyv).toBe(false);
    expect(keyv.on('error', () => undefined)).toBe(keyv);
  });
});

describe('unstorageDriver', () => {
  let store: Store;
  let driver: UnstorageDriver;
  beforeEach(async () => {
    store = await freshStore();
    driver = unstorageDriver(store);
  });

  it('gives back items, null for those that are not there, and forgets removed ones', async () => {
    // As unstorage does: methods without their driver.
    const { setItem, getItem, hasItem, removeItem } = driver;
    expect([await getItem('s1:a'), await hasItem('s1:a')]).toEqual([null, false]);
    await setItem('s1:a', 'test_data');
    expect([await getItem('s1:a'), await hasItem('s1:a')]).toEqual(['test_data', true]);
    await removeItem('s1:a');
    await removeItem('s1:a');
    expect([await getItem('s1:a'), await hasItem('s1:a')]).toEqual([null, false]);
  });

  it('lists and clears by base', async () => {
    for (const key of ['s1:a', 's1:b:c', 's2:a']) await driver.setItem(key, key);
    expect(await driver.getKeys('s1:')).toEqual(['s1:a', 's1:b:c']);
    expect(await driver.getKeys()).toEqual(['s1:a', 's1:b:c', 's2:a']);
    await driver.clear('s1:');
    expect(await driver.getKeys('')).toEqual(['s2:a']);
    await driver.clear();
    expect(await driver.getKeys()).toEqual([]);
  });

  it('keeps bytes as bytes, and shows them as text to who asks for text', async () => {
    await driver.setItemRaw('raw', Buffer.from('grün'));
    expect(await driver.getItemRaw('raw')).toEqual(new TextEncoder().encode('grün'));
    expect(await driver.getItem('raw')).toBe('grün');
    await driver.setItemRaw('object', { a: [1] });
    expect([await driver.getItemRaw('object'), await driver.getItem('object')]).toEqual([{ a: [1] }, '{"a":[1]}']);
    expect(await driver.getItemRaw('absent')).toBe(null);
  });

  it('counts the time to live in seconds, from the call or from its options', async () => {
    const lives = async (key: string): Promise<number> => {
      const expiresAt = (await store.inspect(key)).preference[0]?.siblings[0]?.expiresAt ?? 0;
      return expiresAt === 0 ? 0 : Math.round((expiresAt - Date.now()) / 10_000) * 10;
    };
    const hourly = unstorageDriver(store, { ttl: 3_600 });
    await driver.setItem('a', 'x');
    await driver.setItem('b', 'x', { ttl: 600 });
    await hourly.setItem('c', 'x');
    await hourly.setItem('d', 'x', { ttl: 600 });
    await hourly.setItemRaw('e', 'x', { ttl: 0 });
    expect(await Promise.all(['a', 'b', 'c', 'd', 'e'].map(lives))).toEqual([0, 600, 3_600, 600, 0]);
  });

  it('shows the store it is built on', () => {
    expect([driver.name, driver.flags.ttl, driver.getInstance()]).toEqual(['troupe', true, store]);
  });
});
