// Several threads of a process on one directory of the troupe engine: what one commits the others see, also when it has died.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TroupeStore } from '../../src/storage/troupe-store.ts';
import { bytes, contents, group, outcome, put, text } from './conformance.ts';
import type { Ask } from './troupe-worker.ts';

let dir: string;
let store: TroupeStore;
const workers: Worker[] = [];

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'troupe-threads-'));
  store = new TroupeStore({ dir, writers: 3, segmentBytes: 1 << 20 });
  await store.ready();
});
afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.terminate();
  await store.close();
  rmSync(dir, { recursive: true, force: true });
});

function start(thread: number) {
  const workerData = { dir, memory: store.memory, thread };
  const worker = new Worker(new URL('./troupe-worker.ts', import.meta.url), { workerData });
  workers.push(worker);
  const ask = (what: Ask): Promise<unknown> =>
    new Promise((done, failed) => {
      worker.once('error', failed);
      worker.once('message', done);
      worker.postMessage(what);
    });
  return { worker, ask };
}

describe('threads on one directory', () => {
  it('see what another one has committed at once, single and in order, before and after it is in a run', async () => {
    const [one, two] = [start(1), start(2)];
    for (let round = 0; round < 4; round++) {
      const mark = String.fromCharCode(97 + round);
      expect(await one.ask({ do: 'put', shard: 'kv/a', epoch: 1, from: round, to: 300, mark })).toBe('ok');
      expect(text(store.shard('kv/a').get(bytes('k299')))).toBe(`${mark}299`);
      expect(await two.ask({ do: 'get', shard: 'kv/a', key: `k${round}` })).toBe(`${mark}${round}`);
      const wanted = Array.from({ length: 300 }, (_, n) => `${n < round ? String.fromCharCode(97 + n) : mark}${n}`);
      const inOrder = (values: string[]) => values.toSorted((a, b) => Number(a.slice(1)) - Number(b.slice(1)));
      expect(inOrder((await two.ask({ do: 'scan', shard: 'kv/a' })) as string[])).toEqual(wanted);
      expect(store.shard('kv/a').count()).toBe(300);
      if (round % 2 === 0) {
        expect(await one.ask({ do: 'seal' })).toBe('sealed');
        await store.settle();
        expect((store.describe() as { upkeep: { waiting: number } }).upkeep.waiting).toBe(0);
      }
    }
  });

  it('hand a shard to each other by writing under a higher epoch, and the lower one is refused on every thread', async () => {
    const [one, two] = [start(1), start(2)];
    expect(await one.ask({ do: 'put', shard: 'kv/a', epoch: 5, from: 0, to: 10, mark: 'x' })).toBe('ok');
    expect(await two.ask({ do: 'put', shard: 'kv/a', epoch: 4, from: 0, to: 1, mark: 'late' })).toBe('FENCED');
    expect(await two.ask({ do: 'put', shard: 'kv/a', epoch: 6, from: 5, to: 15, mark: 'y' })).toBe('ok');
    expect(await one.ask({ do: 'put', shard: 'kv/a', epoch: 5, from: 0, to: 1, mark: 'late' })).toBe('FENCED');
    // And back again: the newest version of each key is in three places by now.
    expect(await one.ask({ do: 'put', shard: 'kv/a', epoch: 7, from: 8, to: 12, mark: 'z' })).toBe('ok');
    const shown = contents(store.shard('kv/a')).map(line => line.split('=')[1]);
    const wanted = ['x0', 'x1', 'y10', 'y11', 'y12', 'y13', 'y14', 'x2', 'x3', 'x4', 'y5', 'y6', 'y7', 'y8', 'y9'];
    expect(shown).toEqual(wanted.map(each => (/^y(8|9|10|11)$/.test(each) ? `z${each.slice(1)}` : each)));
    await store.settle();
    expect(contents(store.shard('kv/a')).map(line => line.split('=')[1])).toEqual(shown);
  });

  it('lose nothing of what a thread had acknowledged when it is terminated under load', async () => {
    for (let round = 0; round < 3; round++) {
      const { worker } = start(1);
      const last = new Map<number, number>();
      worker.on('message', (n: number) => last.set(n % 3_000, n));
      worker.postMessage({ do: 'flood', shard: `kv/${round}` } satisfies Ask);
      while (last.size < 2_500) await new Promise(resolve => setImmediate(resolve));
      await worker.terminate();
      store.adopt(1);
      const shard = store.shard(`kv/${round}`);
      const found = (key: number) => Number(text(shard.get(bytes(`k${key}`)))?.replaceAll('.', ''));
      for (const [key, n] of last) expect(found(key)).toBeGreaterThanOrEqual(n);
      // Whoever takes the shard over writes on.
      expect(await outcome(shard.commit(group(2, [put('k0', 'mine')]), 'committed'))).toBe('ok');
      await store.settle();
      expect(text(shard.get(bytes('k0')))).toBe('mine');
      for (const [key, n] of last) if (key !== 0) expect(found(key)).toBeGreaterThanOrEqual(n);
    }
  });

  it('find all of it again when the process ends before any of that is in a run', async () => {
    await store.close();
    const never = { dir, writers: 3, segmentBytes: 1 << 20, runJob: () => Promise.reject(new Error('not now')) };
    store = new TroupeStore(never);
    await store.ready();
    const last = new Map<number, number>();
    for (let life = 0; life < 2; life++) {
      const { worker } = start(1);
      const before = last.size;
      worker.on('message', (n: number) => last.set((life << 20) + (n % 3_000), n));
      worker.postMessage({ do: 'flood', shard: `kv/${life}` } satisfies Ask);
      while (last.size < before + 500) await new Promise(resolve => setImmediate(resolve));
      await worker.terminate();
      store.adopt(1);
    }
    await store.close();
    store = new TroupeStore({ dir, writers: 3, segmentBytes: 1 << 20 });
    await store.ready();
    for (const [key, n] of last) {
      const record = store.shard(`kv/${key >> 20}`).get(bytes(`k${key & 0xfffff}`));
      expect(Number(text(record)?.replaceAll('.', ''))).toBeGreaterThanOrEqual(n);
    }
  });
});
