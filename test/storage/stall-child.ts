// A process one of whose threads is kept by the disk. What ends it is what ends a node: nothing is given here to do it.

import { Worker } from 'node:worker_threads';
import { TroupeStore } from '../../src/storage/troupe-store.ts';

const dir = process.argv[2] as string;
const store = new TroupeStore({ dir, writers: 2, segmentBytes: 1 << 20, stall: { tellMs: 200, failMs: 700 } });
await store.ready();
store.upkeep?.onTrouble(({ what, code }) => process.stdout.write(`${what} ${code}\n`));
const worker = new Worker(new URL('./stall-worker.ts', import.meta.url), {
  workerData: { dir, memory: store.memory, thread: 1 },
});
worker.on('message', message => process.stdout.write(`${message}\n`));
