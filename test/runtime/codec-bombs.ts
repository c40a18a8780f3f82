// Run by codec-hostile.test.ts in a process with a small heap: messages of up to 4 MB that promise much more than they
// hold. Being alive at the end is most of the test; a heap that is exhausted cannot be caught.

import { TroupeError } from '../../src/errors.ts';
import type { Arguments } from '../../src/runtime/codec.ts';
import { FrameReader, frameReply } from '../../src/runtime/frame.ts';
import { dice, fromHex, mutate, sampleCodec, seed } from './codec-samples.ts';

declare const gc: () => void;

const codec = sampleCodec();
const repeat = (pattern: string, times: number): Uint8Array => {
  const one = fromHex(pattern);
  const bytes = new Uint8Array(one.length * times);
  for (let i = 0; i < times; i++) bytes.set(one, i * one.length);
  return bytes;
};

const bombs = [
  repeat('dd01ffffff', 3),
  repeat('dd01ffffff', 100),
  repeat('dd000fffff', 800_000),
  repeat('dd00080000', 800_000),
  repeat('dc ffff', 1_000_000),
  repeat('91 dcffff', 1_000_000),
  repeat('dfffffffff', 800_000),
  repeat('df0007ffff', 800_000),
  repeat('c6ffffffff', 1),
  repeat('dbffffffff', 800_000),
  repeat('c9ffffffff05', 600_000),
  repeat('91', 1_000_000),
  repeat('81 a161', 1_000_000),
  repeat('c9000fffff02 df0007ffff', 300_000),
];

let sound = 0;
function attempt(read: () => unknown): void {
  try {
    read();
    sound++;
  } catch (error) {
    if (!(error instanceof TroupeError) || (error.code !== 'BAD_MESSAGE' && error.code !== 'TOO_LARGE')) throw error;
  }
}

const ignore = (): void => undefined;
const reader = new FrameReader(codec, (type, key) => ({ type, key }), {
  onTell: ignore,
  onAsk: ignore,
  onReply: ignore,
  onError: ignore,
  onControl: ignore,
  onRefused: ignore,
});

gc();
const before = process.memoryUsage().heapUsed;
for (const bomb of bombs) {
  attempt(() => codec.decode(bomb));
  attempt(() => codec.decode(bomb, true));
  const view = new DataView(bomb.buffer);
  const out: Arguments = { argc: 0, a0: null, a1: null, a2: null, rest: null };
  attempt(() => codec.decodeArgs(bomb, view, 0, bomb.length, out));
  const frame = new Uint8Array(16 + bomb.length);
  frame.set([1, frameReply]);
  frame.set(bomb, 16);
  attempt(() => reader.read(0, frame, new DataView(frame.buffer), 0, frame.length));
}
gc();
const growth = process.memoryUsage().heapUsed - before;

// One large sound message, damaged: how much more than its size is alive or garbage right after it was refused or read.
const large = codec.encode(
  Array.from({ length: 1_000 }, (_, i) => ({
    id: i,
    name: `user-${i}`,
    tags: ['a', 'b'],
    at: new Map([[i, 'x'.repeat(40)]]),
  })),
);
const roll = dice(seed);
let worst = 0;
for (let run = 0; run < 30; run++) {
  const mutant = mutate(large, roll);
  gc();
  const start = process.memoryUsage().heapUsed;
  let value: unknown;
  try {
    value = codec.decode(mutant, run % 2 === 0);
  } catch (error) {
    if (!(error instanceof TroupeError)) throw error;
  }
  worst = Math.max(worst, (process.memoryUsage().heapUsed - start) / Math.max(mutant.length, 65_536));
  if (value === bombs) throw new Error('unreachable');
}

process.stdout.write(JSON.stringify({ bombs: bombs.length, sound, growth, worst }));
