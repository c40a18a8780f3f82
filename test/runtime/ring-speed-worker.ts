// The other end of ring-speed.ts: answers every frame whose first word is not 0, and drops the rest.

import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { type FabricMemory, ThreadPort } from '../../src/runtime/thread-port.ts';

export type Job = [name: string, run: () => Promise<number>];

/** A hand-written header of 24 bytes, the rest of the frame is left as it is up to 64 bytes and filled beyond. */
export function encode(view: DataView, at: number, bytes: number, answer: number): void {
  view.setInt32(at, answer, true);
  view.setInt32(at + 4, bytes, true);
  view.setFloat64(at + 8, 1.5, true);
  view.setFloat64(at + 16, 2.5, true);
  for (let i = 24; i + 8 <= bytes; i += 8) view.setFloat64(at + i, i, true);
}

export function quantile(values: number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length * q)] as number;
}

export function median(values: number[]): number {
  return quantile(values, 0.5);
}

if (!isMainThread) {
  const port = new ThreadPort(workerData as FabricMemory, 1, {
    onFrame: (from, _bytes, view, start) => {
      const answer = view.getInt32(start, true);
      if (view.getFloat64(start + 8, true) + view.getInt32(start + 4, true) < 0) throw new Error('not a frame of ours');
      if (answer === 0) return;
      const writer = port.writer(from);
      encode(writer.view, writer.begin(32), 32, 1);
      writer.end(32);
    },
    soon: fn => void setImmediate(fn),
    mono: () => performance.now(),
  });
  port.ref();
  port.start();
  parentPort?.postMessage('ready');
}
