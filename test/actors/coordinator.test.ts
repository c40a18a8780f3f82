import { describe, expect, it } from 'vitest';
import type { Store } from '../../src/actors/store.ts';
import type { StoreOptionsInput } from '../../src/actors/store-options.ts';
import { TroupeError } from '../../src/errors.ts';
import { partitionOf } from '../../src/runtime/partition.ts';
import { cluster, quiet, type TestNode } from './cluster.ts';

function three(options?: StoreOptionsInput) {
  const all = cluster(['n1', 'n2', 'n3']);
  const [n1, n2, n3] = all.nodes as [TestNode, TestNode, TestNode];
  return { ...all, n1, n2, n3, carts: all.store('carts', options) };
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

/** Clock and values of each replica. */
async function held(store: Store, key = 'k'): Promise<unknown[][]> {
  const { preference } = await store.inspect(key);
  return preference.map(({ values }) => values);
}

const clocks = async (store: Store) => (await store.inspect('k')).preference.map(({ clock }) => clock);

describe('a put with three replicas', () => {
  it('is named once, by the vnode that stores it first, and reaches all (W9)', async () => {
    const { carts, n1, n2 } = three();
    expect(await carts.put('k', 'v')).toMatchObject({ wanted: 2, coordinator: 'n1' });
    await quiet();
    expect(await held(carts)).toEqual([['v'], ['v'], ['v']]);
    const [one, two] = await clocks(carts);
    expect(two).toEqual(one);
    expect(Object.values(one as object)).toEqual([1]);
    expect([n1.asked[0], n2.asked[0]]).toEqual(['put', 'merge']);
  });

  it('succeeds with one replica gone, and not with two (A-36)', async () => {
    const { carts, n2, n3, clock } = three();
    n3.door = 'gone';
    expect(await carts.put('k', 'v1')).toMatchObject({ acks: 2, wanted: 2 });
    n2.door = 'gone';
    const failing = refusal(carts.put('k', 'v2', { deadlineMs: 500 }));
    await quiet();
    clock.advance(500);
    const error = await failing;
    expect(error).toMatchObject({ code: 'QUORUM', outcome: 'unknown', details: { option: 'w', needed: 2, got: 1 } });
    expect(clock.waiting).toBe(0);
  });

  it('fails at once when too many refuse, without waiting for the deadline', async () => {
    const { carts, n2, n3 } = three();
    n2.door = 'refuses';
    n3.door = 'refuses';
    expect(await refusal(carts.put('k', 'v'))).toMatchObject({
      code: 'QUORUM',
      outcome: 'unknown',
      details: { got: 1 },
    });
  });

  it('is coordinated by the next replica when the first definitely refuses', async () => {
    const { carts, n1, n2 } = three();
    n1.disk.diskFull = true;
    expect(await carts.put('k', 'v')).toMatchObject({ coordinator: 'n2', acks: 2 });
    await quiet();
    expect(await held(carts)).toEqual([[], ['v'], ['v']]);
    expect(n2.asked).toEqual(['put', 'inspect']);
  });

  it('is not coordinated twice when the first may have written', async () => {
    const { carts, n1, n2 } = three();
    n1.door = 'gone';
    const lost = new TroupeError('UNKNOWN_OUTCOME', 'no answer');
    n1.doorTo = () => ({ put: () => Promise.reject(lost) }) as never;
    expect(await refusal(carts.put('k', 'v'))).toBe(lost);
    expect(n2.asked).toEqual([]);
  });

  it('that is refused for what it says is refused by the first replica for all', async () => {
    const { carts, n2 } = three();
    await carts.put('k', 'v');
    await quiet();
    n2.asked.length = 0;
    expect(await refusal(carts.put('k', 'w', { ifNoneMatch: true }))).toMatchObject({
      code: 'EXISTS',
      outcome: 'failed',
    });
    expect(n2.asked).toEqual([]);
  });

  it('with w above the nodes there are fails before anything is written (A-15)', async () => {
    const two = cluster(['n1', 'n2']);
    const carts = two.store('carts', { n: 3, w: 3 });
    expect(await refusal(carts.put('k', 'v'))).toMatchObject({
      code: 'QUORUM',
      outcome: 'failed',
      details: { needed: 3, available: 2 },
    });
    expect(two.nodes.flatMap(node => node.asked)).toEqual([]);
    expect(await carts.put('k', 'v', { w: 2 })).toMatchObject({ acks: 2, wanted: 2 });
  });

  it('r and w may be overridden a request (A-33, A-44)', async () => {
    const { carts, n3 } = three();
    n3.door = 'refuses';
    expect(await carts.put('k', 'v', { w: 1 })).toMatchObject({ wanted: 1 });
    expect(await refusal(carts.put('k', 'v', { w: 3 }))).toMatchObject({ code: 'QUORUM' });
    expect(await carts.get('k', { r: 1 })).toMatchObject({ found: true });
    expect(await refusal(carts.get('k', { r: 3 }))).toMatchObject({ code: 'QUORUM', outcome: 'failed' });
  });
});

describe('a get from three replicas', () => {
  async function behind(options?: StoreOptionsInput) {
    const all = three(options);
    const { context } = await all.carts.put('k', 'old', { w: 3 });
    all.n3.door = 'gone';
    await all.carts.put('k', 'new', { context });
    all.n3.door = 'open';
    return all;
  }

  it('returns the newest, and repairs the replica that was behind (A-120)', async () => {
    const { carts } = await behind();
    expect(await carts.get('k', { r: 3 })).toMatchObject({ values: ['new'], replies: 3, repaired: 1 });
    await quiet();
    expect(await held(carts)).toEqual([['new'], ['new'], ['new']]);
    expect(await carts.get('k', { r: 3 })).toMatchObject({ repaired: 0 });
  });

  it('hears slow replicas before it repairs, and repairs them too (A-128)', async () => {
    const { carts } = await behind();
    await carts.get('k');
    await quiet();
    expect((await held(carts))[2]).toEqual(['new']);
  });

  it('what a slow replica knew reaches the others by the repair', async () => {
    const { carts, n1, n2, n3 } = three();
    n1.disk.diskFull = true;
    n2.disk.diskFull = true;
    await carts.put('k', 'only here', { w: 1 });
    n1.disk.diskFull = false;
    n2.disk.diskFull = false;
    n3.door = 'slow';
    expect(await carts.get('k')).toMatchObject({ found: false, replies: 2, repaired: 0 });
    n3.door = 'open';
    await quiet();
    expect(await held(carts)).toEqual([['only here'], ['only here'], ['only here']]);
  });

  it("repairs nothing with readRepair: 'none'", async () => {
    const { carts } = await behind({ readRepair: 'none' });
    expect(await carts.get('k', { r: 3 })).toMatchObject({ values: ['new'], repaired: 0 });
    await quiet();
    expect((await held(carts))[2]).toEqual(['old']);
  });

  it("with readRepair: 'blocking' has repaired r replicas before it answers (A-129)", async () => {
    const { carts } = await behind({ readRepair: 'blocking' });
    expect(await carts.get('k', { r: 3 })).toMatchObject({ values: ['new'], repaired: 1 });
    expect((await held(carts))[2]).toEqual(['new']);
  });

  it('concurrent values come together, and all replicas get both (A-61, A-123)', async () => {
    const { carts, n1, n2, n3 } = three();
    n2.door = 'gone';
    n3.door = 'gone';
    await carts.put('k', 'book', { w: 1 });
    n1.disk.diskFull = true;
    n2.door = 'open';
    n3.door = 'open';
    await carts.put('k', 'pen');
    n1.disk.diskFull = false;
    const got = await carts.get('k', { r: 3 });
    expect(got.values).toHaveLength(2);
    await quiet();
    expect((await held(carts)).map(values => values.length)).toEqual([2, 2, 2]);
    await carts.put('k', 'both', { context: got.context });
    await quiet();
    expect(await held(carts)).toEqual([['both'], ['both'], ['both']]);
  });

  it('a repair that fails does not fail the read (A-127)', async () => {
    const { carts, n3 } = await behind();
    n3.disk.diskFull = true;
    expect(await carts.get('k', { r: 3 })).toMatchObject({ values: ['new'] });
    await quiet();
    expect((await held(carts))[2]).toEqual(['old']);
  });

  it('never raises counters (A-133)', async () => {
    const { carts } = await behind();
    const before = (await clocks(carts))[0];
    for (let i = 0; i < 20; i++) await carts.get('k', { r: 3 });
    await quiet();
    expect(await clocks(carts)).toEqual([before, before, before]);
  });

  it('fails when too few answer, at the deadline or before', async () => {
    const { carts, n2, n3, clock } = three();
    await carts.put('k', 'v');
    n2.door = 'refuses';
    n3.door = 'gone';
    const failing = refusal(carts.get('k', { deadlineMs: 100 }));
    await quiet();
    clock.advance(100);
    expect(await failing).toMatchObject({
      code: 'QUORUM',
      outcome: 'failed',
      details: { option: 'r', needed: 2, got: 1 },
    });
    n3.door = 'refuses';
    expect(await refusal(carts.get('k'))).toMatchObject({ code: 'QUORUM' });
  });

  it('one damaged replica is not one answer, and never a wrong one', async () => {
    const { carts, n1 } = three();
    await carts.put('k', 'v', { w: 3 });
    const partition = partitionOf('k', 8);
    expect(n1.disk.flipBit(`kv/carts/${partition}`, Uint8Array.of(1, 107), 200)).toBe(true);
    expect(await carts.get('k')).toMatchObject({ values: ['v'], replies: 2 });
    expect(await refusal(carts.get('k', { r: 3 }))).toMatchObject({
      code: 'QUORUM',
      details: { failed: { n1: 'CORRUPT' } },
    });
  });
});

describe('a delete with three replicas', () => {
  it('without a context deletes what r replicas hold, not only what the first does', async () => {
    const { carts, n1 } = three({ readRepair: 'none' });
    n1.disk.diskFull = true;
    await carts.put('k', 'v');
    n1.disk.diskFull = false;
    expect(await held(carts)).toEqual([[], ['v'], ['v']]);
    await carts.delete('k');
    await quiet();
    expect(await held(carts)).toEqual([[], [], []]);
    expect(await carts.get('k', { r: 3 })).toMatchObject({ found: false, tombstone: true });
  });

  it('reaches a replica that was away through the next read, and the value stays deleted (A-195)', async () => {
    const { carts, n3 } = three();
    await carts.put('k', 'v', { w: 3 });
    n3.door = 'gone';
    await carts.delete('k');
    n3.door = 'open';
    await carts.get('k', { r: 3 });
    await quiet();
    expect(await held(carts)).toEqual([[], [], []]);
  });
});
