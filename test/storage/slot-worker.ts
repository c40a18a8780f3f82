// Takes slots and gives them back as fast as it can; notes in shared memory whose each is, and whether it was somebody's already.

import { parentPort, workerData } from 'node:worker_threads';
import { SegmentSlot } from '../../src/storage/segment-slot.ts';

const { memory, owners, thread } = workerData as {
  memory: SharedArrayBuffer[];
  owners: SharedArrayBuffer;
  thread: number;
};
const slots = memory.map(each => new SegmentSlot(each));
const owner = new Int32Array(owners);
let taken = 0;
let doubled = 0;
const until = performance.now() + 700;
while (performance.now() < until) {
  for (const [index, slot] of slots.entries()) {
    slot.free();
    if (!slot.take(taken, { thread, number: thread }, 0)) continue;
    taken++;
    if (Atomics.compareExchange(owner, index, 0, thread) !== 0) doubled++;
    if (slot.log.thread !== thread) doubled++;
    Atomics.store(owner, index, 0);
    slot.seal();
    slot.flushed();
  }
}
parentPort?.postMessage({ taken, doubled });
