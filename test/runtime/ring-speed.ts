// How fast a pair of threads is over its rings. Not a test (it takes a minute and two idle cores): node test/runtime/ring-speed.ts
// Prints medians of five: one-way frames a second with an unbatched sender, round trips while both poll and when both have parked.

import { Worker } from 'node:worker_threads';
import { createFabric, ThreadPort } from '../../src/runtime/thread-port.ts';
import { encode, type Job, median, quantile } from './ring-speed-worker.ts';

const ringBytes = Number(process.argv[2] ?? 1 << 20);
const runs = Number(process.argv[3] ?? 5);
const fabric = createFabric({ threads: 2, ringBytes });
const worker = new Worker(new URL('./ring-speed-worker.ts', import.meta.url), { workerData: fabric });
await new Promise(resolve => worker.once('message', resolve));

let onAnswer: () => void = () => {};
const port = new ThreadPort(fabric, 0, {
  onFrame: () => onAnswer(),
  soon: fn => void setImmediate(fn),
  mono: () => performance.now(),
});
port.start();
const writer = port.writer(1);

/** Frames a second, millions: from the first begin to the answer to the last frame. */
function tells(count: number, bytes: number): Promise<number> {
  return new Promise(resolve => {
    const started = performance.now();
    onAnswer = () => resolve(count / (performance.now() - started) / 1e3);
    let sent = 0;
    const slice = () => {
      for (let n = 0; n < 2_000 && sent < count; n++) {
        const at = writer.begin(bytes);
        if (at < 0) return writer.onWritable(slice);
        encode(writer.view, at, bytes, sent === count - 1 ? 1 : 0);
        writer.end(bytes);
        sent++;
      }
      if (sent < count) setImmediate(slice);
    };
    slice();
  });
}

/** Round trips, us each, `gapMs` apart. */
function asks(count: number, gapMs: number): Promise<number[]> {
  return new Promise(resolve => {
    const times: number[] = [];
    let started = 0;
    const ask = () => {
      started = performance.now();
      encode(writer.view, writer.begin(32), 32, 1);
      writer.end(32);
    };
    onAnswer = () => {
      times.push((performance.now() - started) * 1e3);
      if (times.length === count) resolve(times);
      else if (gapMs > 0) setTimeout(ask, gapMs);
      else ask();
    };
    ask();
  });
}

/** Thousand asks a second with so many in flight. */
function crowd(count: number, inFlight: number): Promise<number> {
  return new Promise(resolve => {
    const started = performance.now();
    let sent = 0;
    let answered = 0;
    const ask = () => {
      sent++;
      encode(writer.view, writer.begin(32), 32, 1);
      writer.end(32);
    };
    onAnswer = () => {
      answered++;
      if (sent < count) ask();
      else if (answered === count) resolve(count / (performance.now() - started));
    };
    while (sent < inFlight) ask();
  });
}

const jobs: Job[] = [
  ['tells of 24 B, million/s', () => tells(4e6, 24)],
  ['tells of 32 B, million/s', () => tells(4e6, 32)],
  ['tells of 40 B, million/s', () => tells(4e6, 40)],
  ['tells of 1 KiB, million/s', () => tells(4e5, 1024)],
  ['tells of 64 KiB, thousand/s', async () => 1e3 * (await tells(1e4, 65_536 * (ringBytes < 1 << 18 ? 0.25 : 1)))],
  ['64 in flight, thousand/s', () => crowd(4e5, 64)],
  ['1,024 in flight, thousand/s', () => crowd(4e5, 1_024)],
];
await tells(2e6, 32);
await asks(2e4, 0);
for (const [name, run] of jobs) {
  const figures: number[] = [];
  for (let i = 0; i < runs; i++) figures.push(await run());
  console.log(name.padEnd(34), median(figures).toFixed(2), ' ', figures.map(figure => figure.toFixed(1)).join(' '));
}
for (const [name, count, gapMs] of [
  ['ask alone, polling, us p50 / p99', 2e4, 0],
  ['ask alone, parked, us p50 / p99', 300, 2],
] as const) {
  const p50: number[] = [];
  const p99: number[] = [];
  for (let i = 0; i < runs; i++) {
    const times = await asks(count, gapMs);
    p50.push(quantile(times, 0.5));
    p99.push(quantile(times, 0.99));
  }
  console.log(
    name.padEnd(34),
    median(p50).toFixed(2),
    '/',
    median(p99).toFixed(2),
    ' ',
    p50.map(p => p.toFixed(2)).join(' '),
  );
}
console.log(JSON.stringify(port.describe()));
port.stop();
await worker.terminate();
