// Requests to a store through a real node (API.md section 3; the A- numbers are those of research/behaviours.md).

import { describe, expect, it } from 'vitest';
import type { PutOptions, Store } from '../../src/index.ts';
import { ending, kinds, sharedNode, until } from './nodes.ts';

const bytes = (...all: number[]): Uint8Array => Uint8Array.from(all);
const failed = (code: string, more: object = {}) => ({ code, outcome: 'failed', ...more });

describe.each(kinds)('a store %s', (_, threads, onDisk) => {
  const shop = sharedNode(threads, onDisk);

  describe('puts, gets and deletes', () => {
    it('with the results of the API (A-194)', async () => {
      const store = await shop.store();
      const put = await store.put('cart:1', { items: ['book'] });
      expect(put).toEqual({ context: expect.any(String), acks: 1, wanted: 1, coordinator: shop.node.name, hinted: 0 });
      const got = await store.get('cart:1');
      expect(got).toEqual({
        found: true,
        value: { items: ['book'] },
        values: [{ items: ['book'] }],
        context: put.context,
        tombstone: false,
        repaired: 0,
        replies: 1,
      });
      const deleted = await store.delete('cart:1', { context: got.context });
      expect(deleted).toEqual({ ...put, context: expect.any(String) });
      const gone = await store.get('cart:1');
      expect(gone).toMatchObject({ found: false, value: undefined, values: [], tombstone: true });
      await store.put('cart:1', 'again', { context: gone.context, ack: 'flushed' });
      expect(await store.get('cart:1')).toMatchObject({ found: true, values: ['again'], tombstone: false });
    });

    it('of what was never there', async () => {
      const store = await shop.store();
      expect(await store.get('nothing')).toMatchObject({ found: false, values: [], tombstone: false, replies: 1 });
      expect(await store.delete('nothing')).toMatchObject({ acks: 1 });
      expect(await store.get('nothing')).toMatchObject({ found: false });
    });

    it('each key of each store by itself', async () => {
      const [one, two] = [await shop.store(), await shop.store()];
      await one.put('k', 1);
      await two.put('k', 2);
      await two.delete('k');
      expect([(await one.get('k')).values, (await two.get('k')).values]).toEqual([[1], []]);
    });

    it('200 keys at once, and a key 200 times in a row', async () => {
      const store = await shop.store();
      const keys = Array.from({ length: 200 }, (_each, n) => `k${n}`);
      await Promise.all(keys.map((key, n) => store.put(key, n)));
      expect((await Promise.all(keys.map(key => store.get(key)))).map(({ value }) => value)).toEqual(
        keys.map((_k, n) => n),
      );
      let { context } = await store.put('counter', 0);
      for (let n = 1; n <= 200; n++) ({ context } = await store.put('counter', n, { context }));
      expect((await store.get('counter')).values).toEqual([200]);
    });
  });

  describe('keeps what is concurrent', () => {
    it('a blind put stands beside what it did not see (A-84), and a context replaces what it covers (A-78)', async () => {
      const store = await shop.store();
      const first = await store.put('k', 'v1');
      await store.put('k', 'v2');
      expect((await store.get('k')).values).toEqual(['v2', 'v1']);
      await store.put('k', 'v3', { context: first.context });
      const both = await store.get('k');
      expect(both.values).toEqual(['v3', 'v2']);
      await store.put('k', 'merged', { context: both.context });
      expect((await store.get('k')).values).toEqual(['merged']);
    });

    it('two clients that only know themselves make two siblings, not twelve (A-80)', async () => {
      const store = await shop.store();
      const contexts: (string | undefined)[] = [undefined, undefined];
      for (let round = 0; round < 6; round++) {
        for (const who of [0, 1]) {
          const { context } = await store.put(
            'k',
            `${who}:${round}`,
            who in contexts && contexts[who] ? { context: contexts[who] } : {},
          );
          contexts[who] = context;
        }
      }
      expect((await store.get('k')).values).toEqual(['1:5', '0:5']);
      const { preference } = await store.inspect('k');
      expect(Object.values(preference[0]?.clock ?? {})).toEqual([12]);
    });

    it('blind puts at the same moment are all there', async () => {
      const store = await shop.store();
      await Promise.all(Array.from({ length: 50 }, (_each, n) => store.put('k', n)));
      expect((await store.get('k')).values.toSorted((a, b) => Number(a) - Number(b))).toEqual(
        Array.from({ length: 50 }, (_each, n) => n),
      );
    });

    it('a delete beside a put it did not see leaves the value, and says that there is a tombstone (A-196)', async () => {
      const store = await shop.store();
      const { context } = await store.put('k', 'seen');
      await store.put('k', 'unseen');
      await store.delete('k', { context });
      expect(await store.get('k')).toMatchObject({ found: true, values: ['unseen'], tombstone: true });
      await store.delete('k');
      expect(await store.get('k')).toMatchObject({ found: false, values: [], tombstone: true });
    });

    it('up to 100 siblings; the next is refused, and what is there can still be resolved (A-87)', async () => {
      const store = await shop.store();
      await Promise.all(Array.from({ length: 100 }, (_each, n) => store.put('k', n)));
      expect(await ending(store.put('k', 'one too many'))).toMatchObject(failed('TOO_MANY_SIBLINGS'));
      const { values, context } = await store.get('k');
      expect(new Set(values).size).toBe(100);
      await store.put('k', 'resolved', { context });
      expect((await store.get('k')).values).toEqual(['resolved']);
    });

    it('one value where the store was made to keep the last writer (A-97)', async () => {
      const store = await shop.store({ siblings: false });
      for (let n = 0; n < 20; n++) await store.put('k', n);
      expect((await store.get('k')).values).toEqual([19]);
    });
  });

  describe('does a request once', () => {
    it('under one opId, however often it comes (A-83)', async () => {
      const store = await shop.store();
      const all = await Promise.all(Array.from({ length: 5 }, () => store.put('k', 'v', { opId: 'r-1' })));
      expect(new Set(all.map(({ context }) => context)).size).toBe(1);
      expect((await store.get('k')).values).toEqual(['v']);
      await store.put('k', 'v', { opId: 'r-2' });
      expect((await store.get('k')).values).toEqual(['v', 'v']);
    });

    it('also when the first was given up (A-83)', async () => {
      const store = await shop.store();
      const outcomes = new Set<string>();
      for (let n = 0; n < 20; n++) {
        const late = (await ending(store.put('k', 'v', { opId: 'r', deadlineMs: 0 }))) as { code?: string };
        outcomes.add(late.code ?? 'ok');
      }
      expect([...outcomes].every(code => ['ok', 'DEADLINE', 'UNKNOWN_OUTCOME'].includes(code))).toBe(true);
      await store.put('k', 'v', { opId: 'r' });
      expect((await store.get('k')).values).toEqual(['v']);
      await store.delete('k', { opId: 'd' });
      const { context } = await store.put('k', 'after');
      await store.delete('k', { opId: 'd' });
      // The deletion is the one from before: it does not cover what came later.
      expect(await store.get('k')).toMatchObject({ values: ['after'], context });
    });

    it('or not at all, if there is something already (ifNoneMatch)', async () => {
      const store = await shop.store();
      const all = await Promise.all(
        Array.from({ length: 10 }, (_each, n) => ending(store.put('k', n, { ifNoneMatch: true }))),
      );
      const refusals = all.filter(each => (each as { code?: string }).code === 'EXISTS');
      expect(refusals).toHaveLength(9);
      expect(refusals[0]).toMatchObject(failed('EXISTS', { retryable: false }));
      expect((await store.get('k')).values).toHaveLength(1);
      await store.delete('k');
      await store.put('k', 'free again', { ifNoneMatch: true });
      expect((await store.get('k')).values).toEqual(['free again']);
    });
  });

  describe('forgets what has a time to live', () => {
    it('for get, for scan, and for ifNoneMatch', async () => {
      const store = await shop.store();
      await store.put('short', 1, { ttlMs: 30 });
      await store.put('long', 2, { ttlMs: 86_400_000 });
      await until(async () => !(await store.get('short')).found);
      expect(await store.get('short')).toMatchObject({ values: [], tombstone: true });
      const keys: unknown[] = [];
      for await (const { key } of store.scan()) keys.push(key);
      expect(keys).toEqual(['long']);
      await store.put('short', 3, { ifNoneMatch: true });
      expect((await store.get('short')).values).toEqual([3]);
      const { preference } = await store.inspect('long');
      expect(preference[0]?.siblings[0]?.expiresAt).toBeGreaterThan(Date.now());
    });
  });

  describe('carries', () => {
    it.each<[string, unknown]>([
      ['text of any kind', 'ключ 日本 🎭 \u0000 \r\n'],
      ['null', null],
      ['numbers at their edges', [0, -0, 1.5, 2 ** 53, -(2 ** 31), Number.NaN, Infinity]],
      ['large integers', 2n ** 100n],
      ['dates, maps and sets', { at: new Date(5), map: new Map([['a', new Set([1])]]) }],
      ['nested lists and objects', { a: [{ b: [[[{ c: null }]]] }] }],
      ['awkward names', JSON.parse('{"__proto__": {"polluted": 1}, "constructor": 1, "toString": 2}')],
      ['bytes within', { raw: bytes(1, 2, 3), words: Uint16Array.of(1, 65_535) }],
      ['nothing at all', undefined],
    ])('%s', async (_name, value) => {
      const store = await shop.store();
      await store.put('k', value);
      const got = await store.get('k');
      expect([got.found, got.value]).toEqual([true, value]);
      expect(({} as { polluted?: number }).polluted).toBeUndefined();
    });

    it('bytes as bytes: all 256, none, a view of a larger buffer, a Buffer (A-48)', async () => {
      const store = await shop.store();
      const all = Uint8Array.from({ length: 256 }, (_each, n) => n);
      for (const [key, value] of Object.entries({
        all,
        none: bytes(),
        view: all.subarray(7, 9),
        buffer: Buffer.from(all),
      })) {
        await store.put(key, value);
        const got = (await store.get(key)).value as Uint8Array;
        expect(got.constructor).toBe(Uint8Array);
        expect(got).toEqual(Uint8Array.from(value));
      }
    });

    it('values up to the limit, and not one byte more (A-48)', async () => {
      const store = await shop.store();
      const most = Buffer.alloc(1 << 20, 7);
      await store.put('k', most);
      expect(most.equals((await store.get('k')).value as Uint8Array)).toBe(true);
      const tooLarge = failed('TOO_LARGE', { details: { bytesMax: 1 << 20 } });
      expect(await ending(store.put('k', new Uint8Array((1 << 20) + 1)))).toMatchObject(tooLarge);
      expect(await ending(store.put('k', 'x'.repeat(1 << 20)))).toMatchObject(tooLarge);
      expect((await store.get('k')).values).toHaveLength(1);
      // The siblings of one key are bounded together, too: a record must fit into an answer.
      const large = await shop.store({ valueBytesMax: 5 << 20 });
      await large.put('k', new Uint8Array(5 << 20).fill(1));
      expect(((await large.get('k')).value as Uint8Array).length).toBe(5 << 20);
      expect(await ending(large.put('k', new Uint8Array(5 << 20)))).toMatchObject(failed('TOO_MANY_SIBLINGS'));
      expect((await large.get('k')).values).toHaveLength(1);
      const small = await shop.store({ valueBytesMax: 10 });
      await small.put('k', bytes(1, 2, 3, 4, 5, 6, 7, 8, 9, 10));
      expect(await ending(small.put('k', new Uint8Array(11)))).toMatchObject(failed('TOO_LARGE'));
    });

    it('a value as it was when it was put', async () => {
      const store = await shop.store();
      const value = { list: [1], raw: bytes(1) };
      const put = store.put('k', value);
      value.list.push(2);
      value.raw[0] = 9;
      await put;
      const got = (await store.get('k')).value as typeof value;
      expect(got).toEqual({ list: [1], raw: bytes(1) });
      got.list.push(3);
      expect((await store.get('k')).value).toEqual({ list: [1], raw: bytes(1) });
    });
  });

  describe('takes as a key', () => {
    it('whatever is text or bytes and not longer than 1 KiB, each for itself, each listed once (A-50, S9, S14)', async () => {
      const store = await shop.store();
      const keys = [
        '__proto__',
        'constructor',
        'prototype',
        'hasOwnProperty',
        'a/b',
        '../../etc/passwd',
        '\u0000',
        'a\u0000b',
        'line\r\nbreak',
        ' ',
        'ключ',
        '日本',
        '🎭',
        '\uffff',
        'k'.repeat(1_024),
        'é'.repeat(512),
        bytes(0),
        bytes(97),
        bytes(255, 255),
        new Uint8Array(1_024).fill(255),
      ];
      await Promise.all(keys.map((key, n) => store.put(key, n)));
      const got = await Promise.all(keys.map(async key => (await store.get(key)).values));
      expect(got).toEqual(keys.map((_key, n) => [n]));
      const listed: unknown[] = [];
      for await (const { key, values } of store.scan()) listed.push([key, values]);
      expect(listed).toHaveLength(keys.length);
      for (const [n, key] of keys.entries()) expect(listed).toContainEqual([key, [n]]);
      expect((await store.get('a')).found).toBe(false);
    });
  });

  describe('refuses, and changes nothing', () => {
    const key = (request: (store: Store, key: never) => Promise<unknown>) => request;
    const everyRequest: [string, ReturnType<typeof key>][] = [
      ['put', (store, k) => store.put(k, 1)],
      ['get', (store, k) => store.get(k)],
      ['delete', (store, k) => store.delete(k)],
      ['inspect', (store, k) => store.inspect(k)],
    ];
    it.each(everyRequest)('a key that is none, in %s', async (_name, request) => {
      const store = await shop.store();
      for (const none of ['', bytes(), 'a\ud800', undefined, null, 7, {}, ['k']])
        expect(await ending(request(store, none as never))).toMatchObject(
          failed('BAD_OPTION', { details: { option: 'key' } }),
        );
      for (const long of ['x'.repeat(1_025), 'é'.repeat(513), new Uint8Array(1_025)])
        expect(await ending(request(store, long as never))).toMatchObject(failed('TOO_LARGE'));
      expect((await store.digest()).reduce((sum, { keys }) => sum + keys, 0)).toBe(0);
    });

    it.each<[string, (store: Store) => Promise<unknown>, string, string?]>([
      ['w of 0 (A-39)', s => s.put('k', 1, { w: 0 }), 'BAD_OPTION', 'w'],
      ['w above n', s => s.put('k', 1, { w: 2 }), 'BAD_OPTION', 'w'],
      ['r above n', s => s.get('k', { r: 2 }), 'BAD_OPTION', 'r'],
      ['r as text', s => s.get('k', { r: 'abc' as never }), 'BAD_OPTION', 'r'],
      ['another n for one request (A-44)', s => s.put('k', 1, { n: 3 } as PutOptions), 'BAD_OPTION', 'n'],
      ['an ack that is none', s => s.put('k', 1, { ack: 'maybe' as never }), 'BAD_OPTION', 'ack'],
      ['a deadline below 0', s => s.get('k', { deadlineMs: -1 }), 'BAD_OPTION', 'deadlineMs'],
      ['a deadline that is none', s => s.put('k', 1, { deadlineMs: Number.NaN }), 'BAD_OPTION', 'deadlineMs'],
      ['a time to live of 0', s => s.put('k', 1, { ttlMs: 0 }), 'BAD_OPTION', 'ttlMs'],
      ['a time to live of half a ms', s => s.put('k', 1, { ttlMs: 0.5 }), 'BAD_OPTION', 'ttlMs'],
      ['ifNoneMatch as text', s => s.put('k', 1, { ifNoneMatch: 'no' as never }), 'BAD_OPTION', 'ifNoneMatch'],
      ['an empty opId', s => s.put('k', 1, { opId: '' }), 'BAD_OPTION', 'opId'],
      ['an opId of a line break', s => s.put('k', 1, { opId: 'a\nb' }), 'BAD_OPTION', 'opId'],
      ['a misspelt option', s => s.put('k', 1, { ttl: 5 } as PutOptions), 'BAD_OPTION', 'ttl'],
      ['a limit below 0', s => s.scan({ limit: -1 }).next(), 'BAD_OPTION', 'limit'],
      ['half a limit', s => s.scan({ limit: 1.5 }).next(), 'BAD_OPTION', 'limit'],
      ['a misspelt option of a scan', s => s.scan({ foo: 1 } as never).next(), 'BAD_OPTION', 'foo'],
      ['no options of a put', s => s.put('k', 1, null as never), 'BAD_OPTION', 'options'],
      ['no options of a get', s => s.get('k', null as never), 'BAD_OPTION', 'options'],
      ['no options of a delete', s => s.delete('k', null as never), 'BAD_OPTION', 'options'],
      ['no options of a scan', s => s.scan(null as never).next(), 'BAD_OPTION', 'options'],
      ['a prefix that is no key', s => s.scan({ prefix: 7 as never }).next(), 'BAD_OPTION', 'prefix'],
      ['a function as value', s => s.put('k', () => 1), 'BAD_MESSAGE'],
      ['a circle as value', s => s.put('k', circle()), 'BAD_MESSAGE'],
      ['a context of garbage (A-86)', s => s.put('k', 1, { context: 'garbage' }), 'BAD_CONTEXT'],
      ['a context that is empty', s => s.delete('k', { context: '' }), 'BAD_CONTEXT'],
      ['a context that is no text', s => s.put('k', 1, { context: { k: 1 } as never }), 'BAD_CONTEXT'],
      ['a context without end', s => s.put('k', 1, { context: 'A'.repeat(1 << 20) }), 'BAD_CONTEXT'],
    ])('%s', async (_name, request, code, option) => {
      const store = await shop.store();
      const before = await store.put('k', 'kept');
      const refusal = await ending(request(store));
      expect(refusal).toMatchObject(failed(code, option === undefined ? {} : { details: { option } }));
      expect((refusal as Error).message).not.toBe('');
      expect(await store.get('k')).toMatchObject({ values: ['kept'], context: before.context });
    });

    it('a context of another key, of another store, or with one bit turned (A-86, S15)', async () => {
      const [store, other] = [await shop.store(), await shop.store()];
      const { context } = await store.put('k', 1);
      await store.put('l', 1);
      await other.put('k', 1);
      expect(await ending(store.put('l', 2, { context }))).toMatchObject(
        failed('BAD_CONTEXT', { message: expect.stringMatching(/another key/) }),
      );
      expect(await ending(other.put('k', 2, { context }))).toMatchObject(
        failed('BAD_CONTEXT', { message: expect.stringMatching(/another store/) }),
      );
      const raw = Buffer.from(context, 'base64url');
      for (let bit = 0; bit < raw.length * 8; bit += 5) {
        const bent = Buffer.from(raw);
        bent[bit >> 3] = (bent[bit >> 3] as number) ^ (1 << (bit & 7));
        expect(await ending(store.put('k', 2, { context: bent.toString('base64url') }))).toMatchObject(
          failed('BAD_CONTEXT'),
        );
      }
      expect((await store.get('k')).values).toEqual([1]);
    });
  });

  describe('shows', () => {
    it('what each replica holds, and repairs nothing (inspect)', async () => {
      const store = await shop.store();
      await store.put('k', 'a');
      await store.put('k', 'b');
      const before = await store.digest();
      const { partition, preference } = await store.inspect('k');
      expect(preference).toHaveLength(1);
      expect(preference[0]).toMatchObject({ node: shop.node.name, kind: 'primary', values: ['b', 'a'] });
      expect(Object.values(preference[0]?.clock ?? {})).toEqual([2]);
      expect(preference[0]?.siblings.map(({ value, tombstone, expiresAt }) => [value, tombstone, expiresAt])).toEqual([
        ['b', false, 0],
        ['a', false, 0],
      ]);
      expect(await store.digest()).toEqual(before);
      expect(before[partition]?.keys).toBe(1);
      expect((await store.inspect('nothing')).preference[0]).toMatchObject({ clock: {}, values: [], siblings: [] });
    });

    it('a digest a partition, which changes with every write and with nothing else', async () => {
      const store = await shop.store();
      const empty = await store.digest();
      expect(empty.map(({ partition }) => partition)).toEqual(Array.from({ length: 64 }, (_each, n) => n));
      await Promise.all(Array.from({ length: 50 }, (_each, n) => store.put(`k${n}`, n)));
      const full = await store.digest();
      expect(full.reduce((sum, { keys }) => sum + keys, 0)).toBe(50);
      const { partition } = await store.inspect('k7');
      await store.put('k7', 'new', { context: (await store.get('k7')).context });
      const after = await store.digest();
      const changed = after.filter(({ root }, at) => root !== full[at]?.root).map(each => each.partition);
      expect(changed).toEqual([partition]);
      await store.delete('k7');
      expect((await store.digest()).reduce((sum, { keys }) => sum + keys, 0)).toBe(49);
      expect(await store.digest()).toEqual(await store.digest());
    });
  });
});

function circle(): unknown {
  const made: { self?: unknown } = {};
  made.self = made;
  return made;
}
