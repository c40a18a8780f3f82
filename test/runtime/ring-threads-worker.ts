// One thread of ring-threads.test.ts: floods the main thread and the other worker with numbered records, checks what it gets,
// writes down after each small record that it is published, and goes on with fresh rings when its peer has been replaced.

import { parentPort, workerData } from 'node:worker_threads';
import { type FabricMemory, type PeerRings, ThreadPort } from '../../src/runtime/thread-port.ts';
import { Ledger, lengthOf, sendRecord } from './ring-records.ts';

export interface WorkerOrder {
  readonly fabric: FabricMemory;
  readonly self: number;
  readonly life: number;
  /** For each pair from * threads + to: the number of the last record that is certainly published. */
  readonly published: SharedArrayBuffer;
}

export type WorkerInput = { readonly type: 'replace'; readonly rings: PeerRings } | { readonly type: 'report' };
export type WorkerOutput =
  | { readonly type: 'ready' }
  | { readonly type: 'replaced' }
  | { readonly type: 'report'; readonly frames: number; readonly wrong: readonly string[] };

const { fabric, self, life, published } = workerData as WorkerOrder;
const ledger = new Ledger();
const port = new ThreadPort(fabric, self, {
  onFrame: (from, bytes, view, start, end) => ledger.take(from, bytes, view, start, end),
  onBroken: (peer, error) => ledger.wrong.push(`the ring with ${peer} was closed: ${error.message}`),
  soon: fn => void setImmediate(fn),
  mono: () => performance.now(),
});
const marks = new Int32Array(published);
const next = new Map<number, number>();

/** A slice of the flood towards one peer; goes on in a later turn, or when there is room. */
function flood(to: number): void {
  const writer = port.writer(to);
  let number = next.get(to) ?? 0;
  for (let count = 0; count < 200; count++, number++) {
    if (!sendRecord(writer, self, life, number)) {
      next.set(to, number);
      writer.onWritable(() => flood(to));
      return;
    }
    // Pieces of a large record may still wait here; a small one that was taken is published, and everything before it.
    if (lengthOf(number) <= writer.windowMax) Atomics.store(marks, self * fabric.threads + to, number);
  }
  next.set(to, number);
  setImmediate(() => flood(to));
}

parentPort?.on('message', (input: WorkerInput) => {
  if (input.type === 'replace') {
    port.replace(input.rings.peer, input.rings);
    answer({ type: 'replaced' });
  } else answer({ type: 'report', frames: ledger.frames, wrong: ledger.wrong });
});

function answer(output: WorkerOutput): void {
  parentPort?.postMessage(output);
}

port.start();
for (let to = 0; to < fabric.threads; to++) if (to !== self) flood(to);
answer({ type: 'ready' });
