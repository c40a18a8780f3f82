// What a store is on disk: it is there again after a restart, with whatever number of threads, and it is what it was made as.

import { describe, expect, it } from 'vitest';
import type { StoreOptions } from '../../src/index.ts';
import { collect, ending, newDir, startedNode } from './nodes.ts';

describe('a store on a disk', () => {
  it('has all of 10,000 keys again, in order, whoever opens it', { timeout: 60_000 }, async () => {
    const dataDir = newDir();
    const names = Array.from({ length: 10_000 }, (_, n) => `k${String(n).padStart(5, '0')}`);
    const first = await startedNode({ dataDir, threads: 2 });
    const before = await first.store('s');
    for (let from = 0; from < names.length; from += 1_000)
      await Promise.all(names.slice(from, from + 1_000).map((name, n) => before.put(name, { n: from + n })));
    const digest = await before.digest();
    expect(digest.reduce((sum, { keys }) => sum + keys, 0)).toBe(names.length);
    await first.stop();
    for (const threads of [0, 2]) {
      const node = await startedNode({ dataDir, threads });
      const store = await node.store('s');
      expect(await store.digest()).toEqual(digest);
      const items = await collect(store.scan());
      expect(items.map(({ key }) => key)).toEqual(names);
      expect(items.every(({ values }, n) => (values[0] as { n: number }).n === n && values.length === 1)).toBe(true);
      expect((await store.get('k07777')).value).toEqual({ n: 7_777 });
      await node.stop();
    }
  });

  it('keeps siblings, tombstones, expiry, and contexts that clients still hold', async () => {
    const dataDir = newDir();
    const first = await startedNode({ dataDir, threads: 0 });
    const before = await first.store('s');
    const { context: early } = await before.put('siblings', 'a');
    await before.put('siblings', 'b');
    const { context: gone } = await before.put('gone', 1);
    await before.delete('gone', { context: gone });
    await before.put('short', 1, { ttlMs: 1 });
    await before.put('long', 1, { ttlMs: 86_400_000 });
    await before.put('once', 'v', { opId: 'r-1' });
    await first.stop();

    const node = await startedNode({ dataDir, threads: 2 });
    const store = await node.store('s');
    expect((await store.get('siblings')).values).toEqual(['b', 'a']);
    await store.put('siblings', 'c', { context: early });
    expect((await store.get('siblings')).values).toEqual(['c', 'b']);
    expect(await store.get('gone')).toMatchObject({ found: false, tombstone: true });
    expect(await store.get('short')).toMatchObject({ found: false, tombstone: true });
    expect((await store.get('long')).values).toEqual([1]);
    await store.put('once', 'v', { opId: 'r-1' });
    expect((await store.get('once')).values).toEqual(['v']);
  });

  it('never gives one name to two writes, whatever happens between them (A-95)', async () => {
    const dataDir = newDir();
    const names = new Map<string, unknown>();
    for (let life = 0; life < 4; life++) {
      const node = await startedNode({ dataDir, threads: life % 2 });
      const store = await node.store('s');
      for (let n = 0; n < 5; n++) {
        await store.put('k', `${life}:${n}`);
        for (const { siblings } of (await store.inspect('k')).preference)
          for (const { dot, value } of siblings) {
            expect(names.get(dot) ?? value).toBe(value);
            names.set(dot, value);
          }
      }
      await node.stop();
    }
    expect(names.size).toBe(20);
  });

  it('is what it was made as: other options are refused with both, before and after a restart (A-45)', async () => {
    const dataDir = newDir();
    const made: StoreOptions = { n: 1, siblings: false, valueBytesMax: 1_000, readRepair: 'none', quorum: 'strict' };
    for (const threads of [0, 2]) {
      const node = await startedNode({ dataDir, threads });
      const store = await node.store('s', made);
      for (const [option, wanted] of Object.entries({
        siblings: true,
        valueBytesMax: 2_000,
        readRepair: 'blocking',
        quorum: 'sloppy',
        n: 2,
      })) {
        const refusal = await ending(node.store('s', { [option]: wanted }));
        expect(refusal).toMatchObject({
          code: 'BAD_OPTION',
          outcome: 'failed',
          message: expect.stringMatching(/cannot be changed; asked for/),
          details: { option, has: made[option as keyof StoreOptions], wanted },
        });
      }
      expect(await node.store('s')).toBe(store);
      expect((await node.store('s', { lww: true, mode: 'ap' })).options).toEqual(store.options);
      expect(store.options).toMatchObject(made);
      await node.stop();
    }
  });
});

describe('making a store', () => {
  it.each<[string, object, string, RegExp]>([
    ["mode 'ca' (A-64)", { mode: 'ca' }, 'mode', /cannot exist: networks do partition/],
    ["mode 'cp', for now", { mode: 'cp' }, 'mode', /is not in this version/],
    ['a mode that is none', { mode: 'yes' }, 'mode', /must be 'ap'/],
    ['n of 0', { n: 0 }, 'n', /whole number from 1 to 16/],
    ['n of 17', { n: 17 }, 'n', /whole number from 1 to 16/],
    ['r above n', { n: 1, r: 2 }, 'r', /from 1 to n = 1/],
    ['w as text (A-39)', { w: 'abc' }, 'w', /whole number/],
    ['siblings and lww at once (A-46)', { siblings: true, lww: true }, 'lww', /contradict each other/],
    ['a quorum that is none', { quorum: 'lax' }, 'quorum', /one of sloppy, strict/],
    ['a read repair that is none', { readRepair: 'later' }, 'readRepair', /one of background, blocking, none/],
    ['values larger than a record may be', { valueBytesMax: 8 << 20 }, 'valueBytesMax', /whole number from 1 to/],
    ['an option that is none', { replicas: 3 }, 'replicas', /it has n, r, w, mode/],
  ])('with %s is refused by name, and makes nothing', async (_, options, option, message) => {
    const node = await startedNode({ threads: 0 });
    const refusal = await ending(node.store('s', options as StoreOptions));
    expect(refusal).toMatchObject({ code: 'BAD_OPTION', message, details: { option } });
    expect((await node.describe()).stores).toEqual([]);
    expect((await node.store('s')).options.n).toBe(1);
  });

  it.each(['', 'A', 'a/b', '../x', 'ключ', 'x'.repeat(33), '-a', ' ', '__proto__'])(
    'under the name %j is refused',
    async name => {
      const node = await startedNode({ threads: 0 });
      expect(await ending(node.store(name))).toMatchObject({ code: 'BAD_OPTION', details: { option: 'name' } });
    },
  );

  it('ten times at once makes one', async () => {
    const node = await startedNode({ threads: 2 });
    const all = await Promise.all(Array.from({ length: 10 }, () => node.store('s')));
    expect(new Set(all).size).toBe(1);
    const differing = await Promise.all(
      [1_000, 2_000, 1_000].map(valueBytesMax => ending(node.store('t', { valueBytesMax }))),
    );
    expect(differing.map(each => (each as { code?: string }).code ?? 'made')).toEqual(['made', 'BAD_OPTION', 'made']);
  });

  it('of three replicas on a node that is alone: a request that needs two of them says so before it writes (A-15)', async () => {
    const node = await startedNode({ threads: 0 });
    const store = await node.store('s', { n: 3, w: 2, r: 2 });
    for (const request of [store.put('k', 1), store.get('k')])
      expect(await ending(request)).toMatchObject({ code: 'QUORUM', outcome: 'failed', details: { needed: 2 } });
    await store.put('k', 1, { w: 1 });
    expect((await store.get('k', { r: 1 })).values).toEqual([1]);
  });
});
