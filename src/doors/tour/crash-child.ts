// The process that is killed: it loads cities into a store, and says of each record that it was acknowledged, at once and
// before it does anything else with the fact. It never ends by itself.
//
// Invariant: a number that has been written to the pipe is a record whose put() has resolved.

import { writeSync } from 'node:fs';
import { startNode } from '../../index.ts';
import { cityOf, keyOf, readCities, sampleOf } from './cities.ts';

export interface CrashTask {
  readonly dataDir: string;
  readonly threads: number;
  readonly cities: string;
  readonly sample: boolean;
  readonly store: string;
  /** The first number to write. */
  readonly from: number;
  readonly window: number;
}

const task = JSON.parse(process.argv[2] ?? '') as CrashTask;
const all = readCities(task.cities);
const cities = task.sample ? sampleOf(all) : all;
const node = await startNode({ dataDir: task.dataDir, threads: task.threads });
const store = await node.store(task.store);
const pause = new Int32Array(new SharedArrayBuffer(4));
let next = task.from;

async function lane(): Promise<void> {
  for (;;) {
    const n = next++;
    await store.put(keyOf(cities, n), cityOf(cities, n));
    promise(n);
  }
}

/** Straight into the pipe: what a dying process still has in a buffer of its own nobody will ever see. */
function promise(n: number): void {
  let left = Buffer.from(`${n}\n`);
  while (left.length > 0) {
    try {
      left = left.subarray(writeSync(1, left));
    } catch (error) {
      // The pipe is full. Waiting here holds up this process until its reader has caught up, which is what we want.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(pause, 0, 0, 1);
    }
  }
}

await Promise.all(Array.from({ length: task.window }, lane));
