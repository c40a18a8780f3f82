// A thread whose disk keeps it: it commits until told to stall, and then its next write to the log never comes back.

import { parentPort, workerData } from 'node:worker_threads';
import { realFiles } from '../../src/storage/log/log-files-store.ts';
import type { SharedDiskMemory } from '../../src/storage/shared-disk.ts';
import { TroupeStore } from '../../src/storage/troupe-store.ts';
import { group, put } from './conformance.ts';

const { dir, memory, thread } = workerData as { dir: string; memory: SharedDiskMemory; thread: number };
const never = new Int32Array(new SharedArrayBuffer(4));
let stalls = false;

const files = {
  ...realFiles,
  pwrite: (fd: number, bytes: Uint8Array, at: number): void => {
    if (stalls) Atomics.wait(never, 0, 0);
    realFiles.pwrite(fd, bytes, at);
  },
};

const store = new TroupeStore({ dir, memory, thread, files });
await store.shard('kv/b').commit(group(1, [put('before', 'b')]), 'committed');
parentPort?.postMessage('committed');
stalls = true;
void store.shard('kv/b').commit(group(1, [put('never', 'n')]), 'committed');
