// Real threads over real shared memory: two workers flood each other and the main thread and are terminated at random, in the
// middle of whatever they do. What the model checker cannot see: the memory of the machine, V8's terminate, waitAsync.

import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { unread } from '../../src/runtime/ring-reader.ts';
import { createFabric, replacePeer, ThreadPort } from '../../src/runtime/thread-port.ts';
import { Ledger } from './ring-records.ts';
import type { WorkerInput, WorkerOrder, WorkerOutput } from './ring-threads-worker.ts';

const threads = 3;
const kills = 20;

/** Park and Miller; which worker dies when is the same in every run, where it is then is not. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

test('of workers that are killed at random everything published arrives, once, in order and whole', {
  timeout: 90_000,
}, async () => {
  const random = randomOf(20_260_103);
  const fabric = createFabric({ threads, ringBytes: 65_536 });
  const published = new SharedArrayBuffer(threads * threads * 4);
  const marks = new Int32Array(published);
  const lives = [0, 0, 0];
  const ledger = new Ledger();
  const port = new ThreadPort(fabric, 0, {
    onFrame: (from, bytes, view, start, end) => ledger.take(from, bytes, view, start, end),
    onBroken: (peer, error) => ledger.wrong.push(`the ring with ${peer} was closed: ${error.message}`),
    soon: fn => void setImmediate(fn),
    mono: () => performance.now(),
  });
  port.start();

  const outputOf = (worker: Worker, type: WorkerOutput['type']) =>
    new Promise<WorkerOutput>((resolve, reject) => {
      worker.once('error', reject);
      const listen = (output: WorkerOutput) => {
        if (output.type !== type) return;
        worker.off('message', listen);
        worker.off('error', reject);
        resolve(output);
      };
      worker.on('message', listen);
    });
  const start = async (self: number): Promise<Worker> => {
    for (let to = 0; to < threads; to++) marks[self * threads + to] = -1;
    const order: WorkerOrder = { fabric, self, life: lives[self] as number, published };
    const worker = new Worker(new URL('./ring-threads-worker.ts', import.meta.url), { workerData: order });
    await outputOf(worker, 'ready');
    return worker;
  };
  const ask = (worker: Worker, input: WorkerInput, type: WorkerOutput['type']) => {
    const output = outputOf(worker, type);
    worker.postMessage(input);
    return output;
  };

  let workerFrames = 0;
  const workers = [undefined, ...(await Promise.all([start(1), start(2)]))];
  for (let kill = 0; kill < kills; kill++) {
    const victim = 1 + (kill % 2);
    const survivor = 3 - victim;
    await new Promise(resolve => setTimeout(resolve, random() * 80));
    if (kill % 3 === 0) {
      const report = await ask(workers[victim] as Worker, { type: 'report' }, 'report');
      if (report.type === 'report') {
        ledger.wrong.push(...report.wrong);
        workerFrames += report.frames;
      }
    }
    await (workers[victim] as Worker).terminate();

    const toVictim = fabric.rings[survivor * threads + victim] as SharedArrayBuffer;
    const rings = replacePeer(fabric, victim);
    port.replace(victim, rings);
    const certain = marks[victim * threads] as number;
    expect(ledger.last(victim, lives[victim] as number)).toBeGreaterThanOrEqual(certain);

    // The frames the victim had not taken: intact, and in order.
    await ask(workers[survivor] as Worker, { type: 'replace', rings }, 'replaced');
    const left = unread(toVictim);
    const leftLedger = new Ledger();
    for (const frame of left.frames) leftLedger.take(survivor, frame, new DataView(frame.buffer), 0, frame.length);
    ledger.wrong.push(...leftLedger.wrong);
    expect(left.error).toBe(null);

    lives[victim] = (lives[victim] as number) + 1;
    workers[victim] = await start(victim);
    expect(ledger.wrong).toEqual([]);
  }
  port.stop();
  for (const worker of [1, 2]) {
    const report = await ask(workers[worker] as Worker, { type: 'report' }, 'report');
    if (report.type === 'report') {
      expect(report.wrong).toEqual([]);
      workerFrames += report.frames;
    }
    await (workers[worker] as Worker).terminate();
  }
  // Far below what any machine makes of it: only that the floods did flow.
  expect(ledger.frames).toBeGreaterThan(50_000);
  expect(workerFrames).toBeGreaterThan(1_000);
  if (process.env.TROUPE_TALK !== undefined) console.log({ main: ledger.frames, workers: workerFrames });
});
