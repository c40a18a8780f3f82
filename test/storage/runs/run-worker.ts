// A thread that reads a run for ever, and says when it has begun.

import { parentPort, workerData } from 'node:worker_threads';
import type { RunInfo } from '../../../src/storage/runs/run-format.ts';
import { RunStore } from '../../../src/storage/runs/run-store.ts';

const { dir, info } = workerData as { dir: string; info: RunInfo };
const run = new RunStore(dir, info);

function read(): void {
  let count = 0;
  for (const _ of run.entries()) count++;
  if (count !== 2_000) throw new Error(`${count} entries`);
  run.get(1, Buffer.from('k3'));
  // Left open: whoever terminates this thread finds a cursor and a snapshot.
  run.walk(2).next();
  setImmediate(read);
}

read();
parentPort?.postMessage('reading');
