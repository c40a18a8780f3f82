// The compactor of a node: what a user sees of the upkeep and tells it, and what is gone from the disk when it has run.

import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Node, Store } from '../../src/index.ts';
import { code, newDir, startedNode, until } from '../bad-days/folders.ts';

const value = new Uint8Array(1_000).fill(7);

async function fill(store: Store, mark: string, count: number, options = {}): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, n) => store.put(`${mark}${n}`, value, options)));
}

async function keysOf(store: Store): Promise<number> {
  let keys = 0;
  for await (const _ of store.scan()) keys++;
  return keys;
}

const runBytes = (dir: string): number => {
  const runs = join(dir, 'troupe', 'runs');
  return readdirSync(runs).reduce((sum, file) => sum + statSync(join(runs, file)).size, 0);
};

/** Files of runs that were merged away go when nobody reads them any more. */
const nothingUnneeded = (node: Node): Promise<void> =>
  until(async () => (await node.compactor.status()).unneeded === 0);

const statusIn = async (node: Node) => ((await node.describe()) as { compactor: object }).compactor;

describe.each([0, 2])('the compactor of a node with %i host threads', threads => {
  it('flushes and merges what all threads have written, and says what it is at', async () => {
    const dataDir = newDir();
    const node = await startedNode({ dataDir, threads });
    const store = await node.store('s');
    expect(await node.compactor.status()).toMatchObject({ state: 'idle', runs: 0, waiting: 0, trouble: null });
    for (const mark of ['a', 'b']) {
      await fill(store, mark, 500);
      await node.compactor.run();
    }
    const status = await node.compactor.status();
    expect(status).toMatchObject({ state: 'idle', waiting: 0, jobs: [], bytesPerSecond: null, damaged: [] });
    expect(status.runs).toBeGreaterThanOrEqual(1);
    expect(status.bytes).toBeGreaterThan(1_000_000);
    await node.compactor.run({ all: true });
    expect(await node.compactor.status()).toMatchObject({ runs: 1, backlog: 0 });
    await nothingUnneeded(node);
    expect(await statusIn(node)).toEqual(await node.compactor.status());
    expect(await keysOf(store)).toBe(1_000);
    // Everything was flushed: the next life finds nothing in the log but the vnodes' own records.
    await node.stop();
    const again = await startedNode({ dataDir, threads });
    expect(await keysOf(await again.store('s'))).toBe(1_000);
  });

  it('is paused and goes on, and takes a budget', async () => {
    const node = await startedNode({ dataDir: newDir(), threads });
    await fill(await node.store('s'), 'a', 10);
    await node.compactor.pause();
    expect((await node.compactor.status()).state).toBe('paused');
    expect(await code(node.compactor.run())).toBe('BAD_OPTION');
    await node.compactor.resume();
    await node.compactor.run();
    await node.compactor.setBudget({ bytesPerSecond: 1 << 20 });
    expect(await node.compactor.status()).toMatchObject({ bytesPerSecond: 1 << 20 });
    for (const bytesPerSecond of [0, -1, Number.NaN, 'much' as unknown as number])
      expect(await code(node.compactor.setBudget({ bytesPerSecond }))).toBe('BAD_OPTION');
    for (const none of [5, null, undefined, {}, { bytes: 1 << 20 }])
      expect(await code(node.compactor.setBudget(none as never))).toBe('BAD_OPTION');
    for (const none of [5, null, { al: true }, { all: 1 }])
      expect(await code(node.compactor.run(none as never))).toBe('BAD_OPTION');
    await node.compactor.setBudget({ bytesPerSecond: null });
    expect(await node.compactor.status()).toMatchObject({ bytesPerSecond: null });
  });

  it('removes what was deleted or has expired, of stores with one replica, and the keys live on', async () => {
    const dataDir = newDir();
    const node = await startedNode({ dataDir, threads, tombstoneGraceMs: 0 });
    const store = await node.store('s');
    await fill(store, 'kept', 100);
    await fill(store, 'expires', 300, { ttlMs: 1 });
    await fill(store, 'deleted', 300);
    const before = (await store.get('deleted7')).context;
    await Promise.all(Array.from({ length: 300 }, (_, n) => store.delete(`deleted${n}`)));
    await node.compactor.run();
    await nothingUnneeded(node);
    const bytes = runBytes(dataDir);
    expect(await store.inspect('deleted7')).toBeDefined();
    await node.compactor.run({ all: true });
    expect(await node.compactor.status()).toMatchObject({ runs: 1, purged: 600, trouble: null });
    await nothingUnneeded(node);
    expect(runBytes(dataDir)).toBeLessThan(bytes / 2);
    expect(await keysOf(store)).toBe(100);
    // Written by somebody else meanwhile: the one who knew the old value has not seen the new one, which stays.
    await store.put('deleted7', 'new');
    await store.put('deleted7', 'mine', { context: before });
    expect(new Set((await store.get('deleted7')).values)).toEqual(new Set(['new', 'mine']));
    expect((await store.get('expires7')).found).toBe(false);
    await store.put('kept7', 'again', { context: (await store.get('kept7')).context });
    await node.compactor.run({ all: true });
    await node.stop();
    const again = await startedNode({ dataDir, threads });
    const reopened = await again.store('s');
    expect(new Set((await reopened.get('deleted7')).values)).toEqual(new Set(['new', 'mine']));
    expect((await reopened.get('kept7')).values).toEqual(['again']);
    expect(await keysOf(reopened)).toBe(101);
  });

  it('keeps the dead for the time of grace, an hour by default', async () => {
    const node = await startedNode({ dataDir: newDir(), threads });
    const store = await node.store('s');
    await fill(store, 'a', 50);
    await Promise.all(Array.from({ length: 50 }, (_, n) => store.delete(`a${n}`)));
    await node.compactor.run({ all: true });
    expect(await node.compactor.status()).toMatchObject({ runs: 1, purged: 0 });
  });

  it('does not hold the node up when it stops in the middle', async () => {
    const dataDir = newDir();
    const node = await startedNode({ dataDir, threads });
    await fill(await node.store('s'), 'a', 2_000);
    await node.compactor.run();
    await node.compactor.setBudget({ bytesPerSecond: 1 << 20 });
    const running = code(node.compactor.run({ all: true }));
    await until(async () => (await node.compactor.status()).jobs.length > 0);
    const since = performance.now();
    await node.stop();
    expect(performance.now() - since).toBeLessThan(3_000);
    expect(await running).toBe('STOPPED');
    expect(readdirSync(join(dataDir, 'troupe', 'runs')).filter(file => file.endsWith('.mdb'))).toHaveLength(
      threads === 0 ? 1 : threads,
    );
  });
});

describe('a node whose engine has nothing to keep up', () => {
  it('says so, and all else is done at once', async () => {
    const node = await startedNode({ threads: 1 });
    expect(await node.compactor.status()).toMatchObject({ state: 'none', runs: 0 });
    await node.compactor.pause();
    await node.compactor.run({ all: true });
    await node.compactor.resume();
    expect(await statusIn(node)).toMatchObject({ state: 'none' });
  });
});

describe('the option tombstoneGraceMs', () => {
  it.each([-1, 1.5, '7', Number.POSITIVE_INFINITY])('is not %s', async bad => {
    expect(await code(startedNode({ tombstoneGraceMs: bad as number }))).toBe('BAD_OPTION');
  });
});
