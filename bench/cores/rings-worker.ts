// The far side of rings.ts: counts and sums what comes, and says so at the last frame of a run.

import { parentPort, workerData } from 'node:worker_threads';
import { type FabricMemory, ThreadPort } from '../../src/runtime/thread-port.ts';

export interface Tally {
  readonly frames: number;
  readonly sum: number;
}

let frames = 0;
let sum = 0;

/** One frame; at the last one of a run, all of them. */
function take(number: number, last: number, rest: number): Tally | undefined {
  if (rest !== 7.5) throw new Error('not a frame of ours');
  frames++;
  sum = (sum + number) >>> 0;
  if (last === 0) return undefined;
  const tally = { frames, sum };
  frames = 0;
  sum = 0;
  return tally;
}

function overRing(fabric: FabricMemory): void {
  const port = new ThreadPort(fabric, 1, {
    onFrame(from, _bytes, view, at) {
      const rest = view.getFloat64(at + 8, true) + view.getFloat64(at + 16, true) + view.getFloat64(at + 24, true);
      const tally = take(view.getUint32(at, true), view.getUint32(at + 4, true), rest);
      if (tally === undefined) return;
      const writer = port.writer(from);
      const to = writer.begin(8);
      writer.view.setUint32(to, tally.frames, true);
      writer.view.setUint32(to + 4, tally.sum, true);
      writer.end(8);
    },
    soon: fn => void setImmediate(fn),
    mono: () => performance.now(),
  });
  port.ref();
  port.start();
}

function overMessages(): void {
  parentPort?.on('message', ([number, last, ...rest]: [number, number, number, number, number]) => {
    const tally = take(number, last, rest[0] + rest[1] + rest[2]);
    if (tally !== undefined) parentPort?.postMessage(tally);
  });
}

if (parentPort) {
  if (workerData) overRing(workerData as FabricMemory);
  else overMessages();
  parentPort.postMessage('ready');
}
