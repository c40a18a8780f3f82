// What a thread sees of another one's commits: at the latest after refresh(), even in the middle of a turn of the event loop.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { openEngine } from '../../src/storage/open-engine.ts';

test('refresh() shows what another thread has committed since this turn of the event loop began', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'troupe-refresh-'));
  const engine = openEngine({ kind: 'lmdb', dir, freeLowWater: 0 });
  const [key, value] = [new Uint8Array([1]), new Uint8Array([7])];
  const shard = engine.shard('a/1');
  const before = new Uint8Array([1, 2, 3]);
  await shard.commit(
    { epoch: 1, fence: 'record', ops: [{ type: 'put', key, version: new Uint8Array(0), value: before }] },
    'committed',
  );
  const done = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(new URL('./refresh-worker.ts', import.meta.url), { workerData: { dir, done, key, value } });
  const ended = new Promise(resolve => worker.once('exit', resolve));
  await new Promise(resolve => worker.once('online', resolve));
  // One turn from here to the last read: the first one fixes what this thread sees.
  expect(Array.from(shard.get(key)?.value ?? [])).toStrictEqual([1, 2, 3]);
  expect(Atomics.wait(done, 0, 0, 15_000)).not.toBe('timed-out');
  expect(Array.from(shard.get(key)?.value ?? [])).toStrictEqual([1, 2, 3]);
  engine.refresh();
  expect(Array.from(shard.get(key)?.value ?? [])).toStrictEqual([7]);
  await ended;
  await engine.close();
  await rm(dir, { recursive: true, force: true });
});
