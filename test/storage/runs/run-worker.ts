// A thread that reads a run until it is told to stand still, with a cursor and a snapshot open, and says so.
// It stands still because lmdb-js aborts the whole process (napi_throw) when a thread is terminated within a call of its own.

import { parentPort, workerData } from 'node:worker_threads';
import type { RunInfo } from '../../../src/storage/runs/run-format.ts';
import { RunStore } from '../../../src/storage/runs/run-store.ts';

const { dir, info } = workerData as { dir: string; info: RunInfo };
const run = new RunStore(dir, info);

let isHeld = false;
parentPort?.on('message', () => {
  isHeld = true;
});

function read(): void {
  let count = 0;
  for (const _ of run.entries()) count++;
  if (count !== 2_000) throw new Error(`${count} entries`);
  run.get(1, Buffer.from('k3'));
  if (!isHeld) return void setImmediate(read);
  open.next();
  parentPort?.postMessage('held');
}

// Whoever terminates this thread finds a cursor and a snapshot. Held: a walk that is forgotten is closed when the collector finds it, by a
// call of lmdb-js, in whatever moment.
const open = run.walk(2);

read();
parentPort?.postMessage('reading');
