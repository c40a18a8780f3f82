import { describe, expect, it } from 'vitest';
import type { Key, PutOptions, ScanItem, Store } from '../../src/actors/store.ts';
import type { StoreOptionsInput } from '../../src/actors/store-options.ts';
import { decodeValue, encodeValue } from '../../src/actors/store-value.ts';
import { TroupeError } from '../../src/errors.ts';
import { partitionOf } from '../../src/runtime/partition.ts';
import { cluster, firstActor, quiet } from './cluster.ts';
import { bytes, text } from './records.ts';

function single(options?: StoreOptionsInput) {
  const all = cluster(['n1']);
  return { ...all, node: all.nodes[0] as NonNullable<(typeof all.nodes)[0]>, carts: all.store('carts', options) };
}

async function refusal(promise: Promise<unknown>): Promise<TroupeError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof TroupeError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

async function keysOf(items: AsyncIterable<ScanItem>): Promise<Key[]> {
  const keys: Key[] = [];
  for await (const { key } of items) keys.push(key);
  return keys;
}

describe('a store with one replica', () => {
  it('puts, gets and deletes, with the results of the API', async () => {
    const { carts } = single();
    const put = await carts.put('cart:1', { items: ['book'] });
    expect(put).toEqual({ context: expect.any(String), acks: 1, wanted: 1, coordinator: 'n1', hinted: 0 });
    const got = await carts.get('cart:1');
    expect(got).toEqual({
      found: true,
      value: { items: ['book'] },
      values: [{ items: ['book'] }],
      context: put.context,
      tombstone: false,
      repaired: 0,
      replies: 1,
    });
    const deleted = await carts.delete('cart:1', { context: got.context });
    expect(deleted).toMatchObject({ acks: 1, wanted: 1, coordinator: 'n1', hinted: 0 });
    const after = await carts.get('cart:1');
    expect(after).toMatchObject({ found: false, value: undefined, values: [], tombstone: true });
    await carts.put('cart:1', 'again', { context: after.context });
    expect(await carts.get('cart:1')).toMatchObject({ found: true, value: 'again', tombstone: false });
  });

  it('says what is not there, and gives a context for it', async () => {
    const { carts } = single();
    const got = await carts.get('nothing');
    expect(got).toMatchObject({ found: false, value: undefined, values: [], tombstone: false, replies: 1 });
    await carts.put('nothing', 1, { context: got.context });
    await carts.put('nothing', 2, { context: got.context });
    expect((await carts.get('nothing')).values).toEqual([2, 1]);
  });

  it('asks one vnode once, with the default deadline unless one is given', async () => {
    const { carts, node, deadlines, clock } = single();
    await carts.put('k', 1);
    await carts.get('k', { deadlineMs: 50 });
    expect(node.asked).toEqual(['put', 'get']);
    expect(deadlines).toEqual([undefined, 50]);
    expect(clock.waiting).toBe(0);
  });

  it.each<[string, unknown]>([
    ['text', 'ключ'],
    ['nothing', null],
    ['a number', -0.5],
    ['a large integer', 2n ** 60n],
    ['a date', new Date(5)],
    ['a map', new Map([['a', 1]])],
    ['a list', [1, [2, 'three'], { four: 4 }]],
    ['an object with bytes in it', { raw: bytes(1, 2, 3) }],
    ['an object with awkward names', JSON.parse('{"constructor": 1, "__proto__": {"x": 1}}')],
  ])('brings back %s', async (_, value) => {
    const { carts } = single();
    await carts.put('k', value);
    expect((await carts.get('k')).value).toEqual(value);
    expect(({} as { x?: number }).x).toBeUndefined();
  });

  it('brings back bytes as bytes of the reader, all 256 of them, also from a Buffer', async () => {
    const { carts } = single();
    const all = Uint8Array.from({ length: 256 }, (_, i) => i);
    await carts.put('k', Buffer.from(all));
    const { value } = await carts.get('k');
    expect((value as Uint8Array).constructor).toBe(Uint8Array);
    expect(value).toEqual(all);
    (value as Uint8Array).fill(0);
    expect((await carts.get('k')).value).toEqual(all);
  });

  it('gives bytes away as a copy, also when the disk handed over a Buffer', () => {
    const codec = { encode: () => bytes(), decode: () => undefined };
    const stored = Buffer.from(encodeValue(codec, bytes(1, 2), 10));
    const value = decodeValue(codec, stored) as Uint8Array;
    stored.fill(9);
    expect(value.constructor).toBe(Uint8Array);
    expect(value).toEqual(bytes(1, 2));
    expect(() => decodeValue(codec, bytes(7, 1))).toThrow(/begins with byte 7/);
  });

  it('takes a value of valueBytesMax and refuses one byte more (A-48)', async () => {
    const { carts, node } = single({ valueBytesMax: 100 });
    await carts.put('k', new Uint8Array(100));
    await carts.put('text', 'x'.repeat(95));
    const error = await refusal(carts.put('k', new Uint8Array(101)));
    expect(error).toMatchObject({ code: 'TOO_LARGE', outcome: 'failed', details: { bytesMax: 100 } });
    expect(await refusal(carts.put('k', 'x'.repeat(100)))).toMatchObject({
      code: 'TOO_LARGE',
      details: { bytesMax: 100 },
    });
    expect(node.asked).toEqual(['put', 'put']);
  });

  it('refuses what no msgpack carries, and keeps what was there', async () => {
    const { carts } = single();
    await carts.put('k', 1);
    expect(await refusal(carts.put('k', () => 1))).toMatchObject({ code: 'BAD_MESSAGE' });
    expect((await carts.get('k')).value).toBe(1);
  });

  it('keeps concurrent values until a context covers them (A-84, A-80)', async () => {
    const { carts } = single();
    await carts.put('k', 'book');
    const pen = await carts.put('k', 'pen');
    expect((await carts.get('k')).values).toEqual(['pen', 'book']);
    await carts.put('k', 'two pens', { context: pen.context });
    expect((await carts.get('k')).values).toEqual(['two pens', 'book']);
    await carts.put('k', 'all', { context: (await carts.get('k')).context });
    expect((await carts.get('k')).values).toEqual(['all']);
  });

  it('with siblings: false keeps the last writer', async () => {
    const { carts } = single({ siblings: false });
    await carts.put('k', 'first');
    await carts.put('k', 'second');
    expect((await carts.get('k')).values).toEqual(['second']);
  });

  it('a retried put with the same opId is one value (A-83)', async () => {
    const { carts } = single();
    const first = await carts.put('k', 'v', { opId: 'r-1' });
    expect(await carts.put('k', 'v', { opId: 'r-1' })).toEqual(first);
    expect((await carts.get('k')).values).toEqual(['v']);
  });

  it('ifNoneMatch writes once, and says EXISTS afterwards', async () => {
    const { carts } = single();
    await carts.put('k', 'first', { ifNoneMatch: true });
    expect(await refusal(carts.put('k', 'second', { ifNoneMatch: true }))).toMatchObject({
      code: 'EXISTS',
      outcome: 'failed',
    });
    expect((await carts.get('k')).values).toEqual(['first']);
  });

  it('a value with a time to live is gone when it is over, for get and for scan', async () => {
    const { carts, clock } = single();
    await carts.put('k', 'v', { ttlMs: 100 });
    clock.advance(99);
    expect(await carts.get('k')).toMatchObject({ found: true, value: 'v' });
    clock.advance(1);
    expect(await carts.get('k')).toMatchObject({ found: false, tombstone: true });
    expect(await keysOf(carts.scan())).toEqual([]);
  });

  it('passes on what its vnode refuses', async () => {
    const { carts, node } = single();
    await carts.put('k', 'v');
    node.disk.diskFull = true;
    expect(await refusal(carts.put('l', 'v'))).toMatchObject({ code: 'DISK_FULL', outcome: 'failed', retryable: true });
    node.disk.diskFull = false;
    node.door = 'refuses';
    expect(await refusal(carts.get('k'))).toMatchObject({ code: 'OVERLOADED' });
  });

  it('a damaged record is CORRUPT and never a value, or nothing', async () => {
    const { carts, node } = single();
    await carts.put('k', 'v');
    expect(node.disk.flipBit(`kv/carts/${partitionOf('k', 8)}`, bytes(1, ...text('k')), 200)).toBe(true);
    expect(await refusal(carts.get('k'))).toMatchObject({ code: 'CORRUPT' });
    expect(await refusal(carts.put('k', 'w'))).toMatchObject({ code: 'CORRUPT' });
  });
});

describe('what a request must not say', () => {
  const cases: [string, (store: Store) => Promise<unknown>, string, string?][] = [
    ['an empty key', s => s.put('', 1), 'BAD_OPTION', 'key'],
    ['no key', s => s.get(undefined as never), 'BAD_OPTION', 'key'],
    ['a key of 1,025 bytes', s => s.get('x'.repeat(1_025)), 'TOO_LARGE', 'key'],
    ['half a character', s => s.delete('\ud800'), 'BAD_OPTION', 'key'],
    ['w = 0', s => s.put('k', 1, { w: 0 }), 'BAD_OPTION', 'w'],
    ['w above n', s => s.put('k', 1, { w: 2 }), 'BAD_OPTION', 'w'],
    ['r above n', s => s.get('k', { r: 2 }), 'BAD_OPTION', 'r'],
    ['r as text', s => s.get('k', { r: '1' as never }), 'BAD_OPTION', 'r'],
    ['an unknown ack', s => s.put('k', 1, { ack: 'maybe' as never }), 'BAD_OPTION', 'ack'],
    ['a negative deadline', s => s.put('k', 1, { deadlineMs: -1 }), 'BAD_OPTION', 'deadlineMs'],
    ['a ttl of 0', s => s.put('k', 1, { ttlMs: 0 }), 'BAD_OPTION', 'ttlMs'],
    ['a ttl of a thousand years', s => s.put('k', 1, { ttlMs: 1e14 }), 'BAD_OPTION', 'ttlMs'],
    ['ifNoneMatch as text', s => s.put('k', 1, { ifNoneMatch: 'yes' as never }), 'BAD_OPTION', 'ifNoneMatch'],
    ['an opId with spaces', s => s.put('k', 1, { opId: 'a b' }), 'BAD_OPTION', 'opId'],
    ['an opId of 65 characters', s => s.delete('k', { opId: 'x'.repeat(65) }), 'BAD_OPTION', 'opId'],
    ['an option that is not there', s => s.put('k', 1, { n: 3 } as PutOptions), 'BAD_OPTION', 'n'],
    ['ttlMs on a delete', s => s.delete('k', { ttlMs: 5 } as never), 'BAD_OPTION', 'ttlMs'],
    ['a garbage context', s => s.put('k', 1, { context: 'garbage' }), 'BAD_CONTEXT'],
    ['a context that is no text', s => s.delete('k', { context: 7 as never }), 'BAD_CONTEXT'],
    ['a limit below 0', s => keysOf(s.scan({ limit: -1 })), 'BAD_OPTION', 'limit'],
    ['a prefix that is no key', s => keysOf(s.scan({ prefix: 7 as never })), 'BAD_OPTION', 'prefix'],
  ];

  it.each(cases)('%s', async (_, request, code, option) => {
    const { carts } = single();
    const before = await carts.put('k', 'kept');
    const error = await refusal(request(carts));
    expect(error).toMatchObject({ code, outcome: 'failed', ...(option === undefined ? {} : { details: { option } }) });
    expect(await carts.get('k')).toMatchObject({ value: 'kept', context: before.context });
  });

  it('the context of another key or store, or one that was changed (A-86, S15)', async () => {
    const all = single();
    const { context } = await all.carts.put('k', 1);
    await all.carts.put('l', 1);
    expect((await refusal(all.carts.put('l', 2, { context }))).message).toContain('another key');
    expect((await refusal(all.store('orders').put('k', 2, { context }))).message).toContain('another store');
    const changed = `${context.slice(0, 20)}${context[20] === 'A' ? 'B' : 'A'}${context.slice(21)}`;
    expect(await refusal(all.carts.put('k', 2, { context: changed }))).toMatchObject({ code: 'BAD_CONTEXT' });
    expect((await all.carts.get('k')).values).toEqual([1]);
  });
});

describe('scan', () => {
  const names = Array.from({ length: 1_000 }, (_, i) => `cart:${String(i).padStart(4, '0')}`);

  async function filled() {
    const all = single();
    await Promise.all(names.map((name, i) => all.carts.put(name, i)));
    return all;
  }

  it('walks over all partitions in the order of the keys, with values and contexts', async () => {
    const { carts } = await filled();
    const items: ScanItem[] = [];
    for await (const item of carts.scan()) items.push(item);
    expect(items.map(item => item.key)).toEqual(names);
    expect(items.map(item => item.values)).toEqual(names.map((_, i) => [i]));
    await carts.put('cart:0007', 'new', { context: (items[7] as ScanItem).context });
    expect((await carts.get('cart:0007')).values).toEqual(['new']);
  });

  it('keeps to a prefix and a limit, and shows text before bytes, each as what it was', async () => {
    const { carts } = single();
    for (const key of ['b', 'a', '\u{1F600}', '\uffff', bytes(0), bytes(97), 'ab']) await carts.put(key, 1);
    expect(await keysOf(carts.scan())).toEqual(['a', 'ab', 'b', '\uffff', '\u{1F600}', bytes(0), bytes(97)]);
    expect(await keysOf(carts.scan({ prefix: 'a' }))).toEqual(['a', 'ab']);
    expect(await keysOf(carts.scan({ prefix: bytes() }))).toEqual([bytes(0), bytes(97)]);
    expect(await keysOf(carts.scan({ limit: 2 }))).toEqual(['a', 'ab']);
    expect(await keysOf(carts.scan({ limit: 0 }))).toEqual([]);
    expect(await keysOf(carts.scan({ prefix: 'nothing' }))).toEqual([]);
  });

  it('leaves out what is deleted, and shows siblings together', async () => {
    const { carts } = single();
    for (const key of ['a', 'b', 'b', 'c']) await carts.put(key, key);
    await carts.delete('a');
    const items: ScanItem[] = [];
    for await (const item of carts.scan()) items.push(item);
    expect(items.map(({ key, values }) => [key, values.length])).toEqual([
      ['b', 2],
      ['c', 1],
    ]);
  });

  it('meets each key that stays exactly once, in order, while others come and go', async () => {
    const { carts } = await filled();
    const seen: Key[] = [];
    for await (const { key } of carts.scan()) {
      seen.push(key);
      if (seen.length % 10 === 0) {
        await carts.put(`cart:${String(seen.length).padStart(4, '0')}x`, 'came');
        await carts.put(key, 'rewritten');
        if (seen.length % 100 === 0) await carts.delete('cart:0999x');
      }
    }
    expect(seen.filter(key => names.includes(key as string))).toEqual(names);
    expect(seen).toEqual([...new Set(seen)].sort());
  });

  it('asks for the next page when the first key of a page is taken, and no sooner', async () => {
    const { routing, nodes, store } = cluster(['n1'], 1);
    expect(routing.partitions).toBe(1);
    const carts = store('carts');
    await Promise.all(names.map(name => carts.put(name, 1)));
    const asked = nodes[0]?.asked as string[];
    asked.length = 0;
    const walk = carts.scan();
    await walk.next();
    await quiet();
    expect(asked).toEqual(['scan', 'scan']);
    await walk.next();
    await quiet();
    expect(asked).toEqual(['scan', 'scan']);
    await walk.return();
  });

  it('asks no more of the vnodes than a small limit needs', async () => {
    const { carts, node } = await filled();
    node.asked.length = 0;
    expect(await keysOf(carts.scan({ limit: 5 }))).toEqual(names.slice(0, 5));
    expect(node.asked.length).toBeLessThanOrEqual(2 * 8);
  });

  it('stops with the error of a page', async () => {
    const { carts, node } = await filled();
    const shard = `kv/carts/${partitionOf('cart:0500', 8)}`;
    expect(node.disk.flipBit(shard, bytes(1, ...text('cart:0500')), 200)).toBe(true);
    expect(await refusal(keysOf(carts.scan()))).toMatchObject({ code: 'CORRUPT' });
  });
});

describe('looking inside', () => {
  it('inspect shows the clock and everything a replica holds, and repairs nothing', async () => {
    const { carts } = single();
    const partition = partitionOf('k', 8);
    expect(await carts.inspect('k')).toEqual({
      partition,
      preference: [{ node: 'n1', kind: 'primary', clock: {}, values: [], siblings: [] }],
    });
    const { context } = await carts.put('k', 'old');
    await carts.delete('k', { context });
    await carts.put('k', 'new', { context });
    const actor = firstActor('n1', partition);
    expect(await carts.inspect('k')).toEqual({
      partition,
      preference: [
        {
          node: 'n1',
          kind: 'primary',
          clock: { [actor]: 3 },
          values: ['new'],
          siblings: [
            { dot: `${actor}#3`, value: 'new', tombstone: false, expiresAt: 0, stamp: { ms: 1_000_000, tick: 2 } },
            { dot: `${actor}#2`, value: undefined, tombstone: true, expiresAt: 0, stamp: { ms: 1_000_000, tick: 1 } },
          ],
        },
      ],
    });
  });

  it('digest has a row for each partition, and counts live keys', async () => {
    const { carts } = single();
    for (const key of ['a', 'b', 'c']) await carts.put(key, key);
    await carts.delete('b');
    const rows = await carts.digest();
    expect(rows.map(row => row.partition)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(rows.reduce((sum, row) => sum + row.keys, 0)).toBe(2);
    expect(rows.every(row => row.node === 'n1' && /^[0-9a-f]{32}$/.test(row.root))).toBe(true);
    const before = new Map(rows.map(row => [row.partition, row.root]));
    await carts.put('a', 'new');
    const changed = (await carts.digest()).filter(row => row.root !== before.get(row.partition));
    expect(changed.map(row => row.partition)).toEqual([partitionOf('a', 8)]);
  });
});
