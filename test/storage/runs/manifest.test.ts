// The manifest: edits are whole, durable, and never lost between threads.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Lmdb, openLmdb } from '../../../src/storage/lmdb-env-store.ts';
import type { LoggedSegment } from '../../../src/storage/log/log-names.ts';
import { encodeValue, headKey } from '../../../src/storage/runs/manifest-format.ts';
import { type ManifestStore, openManifest } from '../../../src/storage/runs/manifest-store.ts';
import type { RunInfo } from '../../../src/storage/runs/run-format.ts';
import { outcome } from '../conformance.ts';
import { none } from './run-kit.ts';

let dir: string;
const onFatal = (why: Error): void => {
  throw why;
};
const open = (owner = 'node-1', more: object = {}): Promise<ManifestStore> =>
  openManifest({ dir, owner, onFatal, ...more });

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'troupe-manifest-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const run = (id: number, shard = 1, maxEpoch = 0): RunInfo => {
  const range = { minLsn: id, maxLsn: id + 5, records: 3, deletes: 1 };
  const shards = [{ ...range, number: shard, maxEpoch, firstKey: Uint8Array.of(1, 2), lastKey: none }];
  return { id, file: `run-${id}.mdb`, bytes: 1_000, crc: 77, ...range, shards };
};

interface Step {
  readonly add?: number;
  readonly remove?: number;
  readonly flushed?: number;
  readonly forget?: number;
  readonly logged?: number;
  readonly shard?: string;
  readonly drop?: string;
  readonly reopen?: true;
}

describe('a manifest', () => {
  it('is after any edits, with and without closing in between, what the edits say', async () => {
    const step = fc.oneof(
      fc.record({ add: fc.nat(8) }),
      fc.record({ remove: fc.nat(8) }),
      fc.record({ flushed: fc.nat(4) }),
      fc.record({ forget: fc.nat(4) }),
      fc.record({ logged: fc.nat(4) }),
      fc.record({ shard: fc.constantFrom('a', 'b', 'c/1') }),
      fc.record({ drop: fc.constantFrom('a', 'b', 'c/1') }),
      fc.constant({ reopen: true }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 14 }), async steps => {
        let manifest = await open();
        const [runs, flushed, shards] = [new Map<number, RunInfo>(), new Set<number>(), new Map<string, number>()];
        const logged = new Map<number, LoggedSegment>();
        let next = 1;
        for (const what of steps as readonly Step[]) {
          if (what.add !== undefined) {
            const done = await outcome(manifest.edit({ add: [run(what.add)] }));
            expect(done === 'ok').toBe(!runs.has(what.add));
            runs.set(what.add, run(what.add));
          } else if (what.remove !== undefined) {
            const done = await outcome(manifest.edit({ remove: [what.remove] }));
            expect(done === 'ok').toBe(runs.delete(what.remove));
          } else if (what.flushed !== undefined) {
            await manifest.edit({ flushed: [what.flushed] });
            flushed.add(what.flushed);
            logged.delete(what.flushed);
          } else if (what.logged !== undefined) {
            const segment = { file: `t1.1-${what.logged}.log`, bytes: 5_000 + what.logged };
            await manifest.edit({ logged: new Map([[what.logged, segment]]) });
            if (!flushed.has(what.logged)) logged.set(what.logged, segment);
          } else if (what.forget !== undefined) {
            await manifest.edit({ forget: [what.forget] });
            flushed.delete(what.forget);
          } else if (what.shard !== undefined) {
            if (!shards.has(what.shard)) shards.set(what.shard, next++);
            expect(await manifest.addShard(what.shard)).toBe(shards.get(what.shard));
          } else if (what.drop !== undefined) {
            expect(await manifest.dropShard(what.drop)).toBe(shards.get(what.drop));
            shards.delete(what.drop);
          } else {
            await manifest.close();
            manifest = await open();
          }
          const state = manifest.state();
          expect(state.runs).toEqual([...runs.values()].sort((a, b) => a.id - b.id));
          expect(state.flushed).toEqual(flushed);
          expect(state.logged).toEqual(logged);
          expect(new Map([...state.shards].map(([name, { number }]) => [name, number]))).toEqual(shards);
          expect(new Map([...state.names].map(([number, name]) => [name, number]))).toEqual(shards);
          expect(manifest.state()).toBe(state);
        }
        await manifest.close();
        rmSync(join(dir, 'data.mdb'));
        rmSync(join(dir, 'lock.mdb'), { force: true });
      }),
      { seed: 20_260_807, numRuns: 25 },
    );
  });

  it('replaces runs by their merge, and segments by their run, in one edit or not at all', async () => {
    const manifest = await open();
    await manifest.edit({ add: [run(1), run(2)], flushed: [7] });
    await expect(manifest.edit({ add: [run(3)], remove: [1, 9], flushed: [8] })).rejects.toThrow(
      'run 9 is not in the manifest',
    );
    expect(manifest.state()).toMatchObject({ runs: [{ id: 1 }, { id: 2 }], flushed: new Set([7]) });
    const state = await manifest.edit({ add: [run(3)], remove: [1, 2], flushed: [8], forget: [7] });
    expect(state).toMatchObject({ runs: [{ id: 3 }], flushed: new Set([8]) });
    await manifest.close();
  });

  it('raises the fence of a shard with every run, never lowers it, and a dropped shard begins anew', async () => {
    const manifest = await open();
    const number = await manifest.addShard('s');
    const fence = () => manifest.state().shards.get('s')?.fence;
    await manifest.edit({ add: [run(1, number, 5)] });
    expect(fence()).toBe(5);
    await manifest.edit({ add: [run(2, number, 3)], fences: [[99, 8]] });
    expect(fence()).toBe(5);
    await manifest.edit({ fences: [[number, 9]] });
    expect(fence()).toBe(9);
    await manifest.dropShard('s');
    expect(manifest.shardNumber('s')).toBeUndefined();
    expect(await manifest.addShard('s')).toBe(number + 1);
    expect(fence()).toBe(0);
    await manifest.edit({ names: [['s', 40]], fences: [[number + 1, 3]] });
    expect(manifest.state().shards.get('s')).toEqual({ number: 40, fence: 0 });
    await manifest.close();
  });

  it.each([
    ['another node', 'node-2', 'BAD_OPTION', 'It was copied here'],
    ['nobody else', 'node-1', undefined, ''],
  ])('of %s is told apart', async (_, owner, code, message) => {
    await (await open()).close();
    const again = open(owner);
    if (code) await expect(again).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
    else await (await again).close();
  });

  it('of a newer version, or with a damaged value, is refused and left alone', async () => {
    await (await open()).close();
    const change = async (value: Uint8Array): Promise<void> => {
      const db: Lmdb = openLmdb(dir);
      await db.put(headKey, value, 2);
      await db.close();
    };
    await change(encodeValue(headKey, { format: 2, owner: 'node-1', next: {} }));
    await expect(open()).rejects.toMatchObject({ code: 'BAD_OPTION', message: expect.stringContaining('format 2') });
    const damaged = encodeValue(headKey, { format: 1, owner: 'node-1', next: {} });
    damaged[20] = (damaged[20] as number) ^ 1;
    await change(damaged);
    await expect(open()).rejects.toMatchObject({ code: 'CORRUPT' });
    await expect(open()).rejects.toMatchObject({ code: 'CORRUPT' });
  });

  it('says STOPPED after closing, and after a commit that failed; then it is fatal, and LMDB is left alone', async () => {
    const closed = await open();
    await closed.close();
    expect(await outcome(closed.addShard('s'))).toBe('STOPPED');
    const fatal: Error[] = [];
    let broken = false;
    const breaking = (at: string): Lmdb => {
      const db = openLmdb(at);
      const { ifVersion } = db;
      db.ifVersion = (...args) => (broken ? Promise.reject(new Error('MDB_PANIC')) : ifVersion.apply(db, args));
      return db;
    };
    const manifest = await open('node-1', { open: breaking, onFatal: (why: Error) => fatal.push(why) });
    broken = true;
    expect(await outcome(manifest.addShard('s'))).toBe('STOPPED');
    expect(fatal.map(({ message }) => message)).toEqual(['MDB_PANIC']);
    expect(() => manifest.state()).toThrow(expect.objectContaining({ code: 'STOPPED' }));
  });
});

describe('two threads and a manifest', () => {
  it('never give a number out twice, give a shard one number, and lose no edit', async () => {
    const threads = [0, 1].map(
      at => new Worker(new URL('./manifest-worker.ts', import.meta.url), { workerData: { dir, at, rounds: 40 } }),
    );
    const said = await Promise.all(
      threads.map(
        thread =>
          new Promise<{ ids: number[]; shards: [string, number][] }>((done, failed) => {
            thread.once('message', done);
            thread.once('error', failed);
          }),
      ),
    );
    const ids = said.flatMap(one => one.ids);
    expect(new Set(ids).size).toBe(80);
    expect(said[0]?.shards).toEqual(said[1]?.shards);
    const manifest = await open();
    const state = manifest.state();
    // Each thread added all of its runs and removed every second one.
    expect(state.runs.map(({ id }) => id)).toEqual(
      said.flatMap(one => one.ids.filter((_, at) => at % 2 === 1)).sort((a, b) => a - b),
    );
    expect([...state.shards].map(([name, { number }]) => [name, number])).toEqual(said[0]?.shards.toSorted());
    expect(state.flushed.size).toBe(80);
    await manifest.close();
    await Promise.all(threads.map(thread => thread.terminate()));
  });
});
