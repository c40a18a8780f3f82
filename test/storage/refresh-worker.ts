// Commits one record on another thread, and says so through shared memory: the one who waits for it does not turn its loop.

import { workerData } from 'node:worker_threads';
import { openEngine } from '../../src/storage/open-engine.ts';

const { dir, done, key, value } = workerData as {
  dir: string;
  done: Int32Array;
  key: Uint8Array;
  value: Uint8Array;
};
const engine = openEngine({ kind: 'lmdb', dir, freeLowWater: 0 });
await engine
  .shard('a/1')
  .commit({ epoch: 2, fence: 'record', ops: [{ type: 'put', key, version: new Uint8Array(0), value }] }, 'committed');
Atomics.store(done, 0, 1);
Atomics.notify(done, 0);
await engine.close();
