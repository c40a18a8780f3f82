// Frames from this thread to another one: a ring in shared memory, against a postMessage each.

import { Worker } from 'node:worker_threads';
import { createFabric, ThreadPort } from '../../src/runtime/thread-port.ts';
import type { Contender, Done } from '../harness.ts';
import type { Tally } from './rings-worker.ts';

const frameBytes = 32;

/** One of the numbers of a frame is its own; the sum shows that each came once. */
const sumTo = (n: number): number => ((n * (n - 1)) / 2) >>> 0;

function confirmed(n: number, ms: number, { frames, sum }: Tally): Done {
  return { done: sum === sumTo(n) ? frames : 0, ms };
}

function ring(): Contender {
  let worker: Worker;
  let port: ThreadPort;
  let onTally: (tally: Tally) => void = () => {};
  return {
    name: 'troupe ring',
    async setup() {
      const fabric = createFabric({ threads: 2 });
      worker = new Worker(new URL('./rings-worker.ts', import.meta.url), { workerData: fabric });
      await new Promise(resolve => worker.once('message', resolve));
      port = new ThreadPort(fabric, 0, {
        onFrame: (_from, _bytes, view, start) =>
          onTally({ frames: view.getUint32(start, true), sum: view.getUint32(start + 4, true) }),
        soon: fn => void setImmediate(fn),
        mono: () => performance.now(),
      });
      port.start();
    },
    run(n) {
      const writer = port.writer(1);
      const began = performance.now();
      return new Promise(resolve => {
        onTally = tally => resolve(confirmed(n, performance.now() - began, tally));
        let sent = 0;
        const go = (): void => {
          while (sent < n) {
            const at = writer.begin(frameBytes);
            if (at < 0) {
              writer.onWritable(go);
              return;
            }
            const { view } = writer;
            view.setUint32(at, sent, true);
            view.setUint32(at + 4, sent === n - 1 ? 1 : 0, true);
            view.setFloat64(at + 8, 1.5, true);
            view.setFloat64(at + 16, 2.5, true);
            view.setFloat64(at + 24, 3.5, true);
            writer.end(frameBytes);
            sent++;
          }
        };
        go();
      });
    },
    async teardown() {
      port.stop();
      await worker.terminate();
    },
  };
}

function messages(): Contender {
  let worker: Worker;
  return {
    name: 'postMessage',
    async setup() {
      worker = new Worker(new URL('./rings-worker.ts', import.meta.url));
      await new Promise(resolve => worker.once('message', resolve));
    },
    async run(n) {
      const began = performance.now();
      const told = new Promise<Tally>(resolve => worker.once('message', resolve));
      for (let i = 0; i < n; i++) worker.postMessage([i, i === n - 1 ? 1 : 0, 1.5, 2.5, 3.5]);
      return confirmed(n, performance.now() - began, await told);
    },
    async teardown() {
      await worker.terminate();
    },
  };
}

export const rings = (): Contender[] => [ring(), messages()];
