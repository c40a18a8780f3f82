// What the shared ring and a thread's port promise beyond the link contract: damage is found, nobody starves, threads sleep and wake,
// and the frames of a dead thread can be had. Two or three ports in one thread over real shared memory, polled by hand.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TroupeError } from '../../src/errors.ts';
import {
  pollBudgetMs,
  pollWindowMs,
  ringFramesPerLook,
  ringFramesPerTurn,
  writableWaitersMax,
} from '../../src/limits.ts';
import type { LinkWriter } from '../../src/runtime/link.ts';
import { unread } from '../../src/runtime/ring-reader.ts';
import { dataCell, headCell, headerBytes, makeRing, tailCell } from '../../src/runtime/shared-ring.ts';
import { createFabric, type FabricMemory, replacePeer, ThreadPort } from '../../src/runtime/thread-port.ts';
import { frameOf } from './link-contract.ts';

const seed = 20_260_102;
const dataBytes = dataCell * 4;
const unitsOf = (length: number) => headerBytes + ((length + 7) & ~7);

/** A port with everything it was told, a clock that stands still, and turns that wait to be taken. */
class Seat {
  now = 0;
  readonly turns: (() => void)[] = [];
  readonly got: { from: number; frame: Uint8Array }[] = [];
  readonly broken: { peer: number; error: TroupeError }[] = [];
  readonly stuck: number[] = [];
  onFrame: (frame: Uint8Array) => void = () => {};
  readonly port: ThreadPort;

  constructor(fabric: FabricMemory, self: number) {
    this.port = new ThreadPort(fabric, self, {
      onFrame: (from, bytes, _view, start, end) => {
        const frame = bytes.slice(start, end);
        this.got.push({ from, frame });
        this.onFrame(frame);
      },
      onBroken: (peer, error) => this.broken.push({ peer, error }),
      onPeerStuck: peer => this.stuck.push(peer),
      soon: fn => void this.turns.push(fn),
      mono: () => this.now,
    });
  }

  frames(): Uint8Array[] {
    return this.got.map(({ frame }) => frame);
  }

  poll(framesMax = Number.MAX_SAFE_INTEGER): number {
    return this.port.poll(framesMax);
  }

  /** Takes one turn of the loop, if one is waiting. */
  turn(): boolean {
    const turn = this.turns.shift();
    turn?.();
    return turn !== undefined;
  }

  /** Lets the event loop run until the loop wants a turn; the bell arrives by way of real tasks. */
  async awake(): Promise<void> {
    for (let i = 0; this.turns.length === 0 && i < 10_000; i++) await new Promise(resolve => setImmediate(resolve));
    expect(this.turns.length).toBe(1);
  }
}

function pair(ringBytes = 4_096): {
  fabric: FabricMemory;
  sender: Seat;
  receiver: Seat;
  to: LinkWriter;
  ring: SharedArrayBuffer;
} {
  const fabric = createFabric({ threads: 2, ringBytes });
  const sender = new Seat(fabric, 0);
  const receiver = new Seat(fabric, 1);
  return { fabric, sender, receiver, to: sender.port.writer(1), ring: fabric.rings[1] as SharedArrayBuffer };
}

function fill(to: LinkWriter, length: number): number {
  let count = 0;
  while (to.send(frameOf(count, length))) count++;
  return count;
}

describe('damage', () => {
  test('a flipped bit in a header or at either end of a frame closes the ring before the frame is handed out', () => {
    const flip = fc.record({ victim: fc.nat(), where: fc.nat(), bit: fc.nat(7) });
    const sizes = fc.array(fc.integer({ min: 0, max: 200 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(sizes, flip, (lengths, { victim, where, bit }) => {
        const { sender, receiver, to, ring } = pair();
        for (const [i, length] of lengths.entries()) to.send(frameOf(i, length));
        const index = victim % lengths.length;
        const length = lengths[index] as number;
        const start = dataBytes + lengths.slice(0, index).reduce((sum, n) => sum + unitsOf(n), 0);
        // Of a frame above 64 bytes, the digest covers the header, 32 bytes after it and the last 32.
        const covered = length <= 64 ? headerBytes + length : headerBytes + 60;
        let at = where % covered;
        if (length > 64 && at >= headerBytes + 32) at = headerBytes + length - 1 - (at - headerBytes - 32);
        const bytes = new Uint8Array(ring);
        bytes[start + at] = (bytes[start + at] as number) ^ (1 << bit);
        receiver.poll();
        receiver.poll();
        sender.poll();
        expect(receiver.frames()).toEqual(lengths.slice(0, index).map((n, i) => frameOf(i, n)));
        expect(receiver.broken.map(({ peer, error }) => [peer, error.code])).toEqual([[0, 'CORRUPT']]);
      }),
      { seed, numRuns: 300 },
    );
  });

  test('garbage in the place of frames is not handed out', () => {
    const words = fc.array(fc.integer(), { minLength: 64, maxLength: 64 });
    const tail = fc.integer({ min: 1, max: 31 });
    fc.assert(
      fc.property(words, tail, (garbage, units) => {
        const { receiver, ring } = pair();
        const cells = new Int32Array(ring);
        cells.set(garbage, dataCell);
        cells[tailCell] = units * 8;
        receiver.poll();
        expect(receiver.got).toEqual([]);
        expect(receiver.broken.length).toBe(1);
      }),
      { seed, numRuns: 300 },
    );
  });

  test('a frame of another ring does not pass, even at the same place', () => {
    const a = pair();
    const fabric = createFabric({ threads: 3, ringBytes: 4_096 });
    const other = new Seat(fabric, 2);
    a.to.send(frameOf(1, 40));
    new Uint8Array(fabric.rings[1 * 3 + 2] as SharedArrayBuffer, dataBytes).set(new Uint8Array(a.ring, dataBytes));
    new Int32Array(fabric.rings[1 * 3 + 2] as SharedArrayBuffer)[tailCell] = unitsOf(40);
    other.poll();
    expect(other.got).toEqual([]);
    expect(other.broken.map(({ peer }) => peer)).toEqual([1]);
  });

  test('the writer of a closed ring is told, refuses from then on and lets its thread sleep', async () => {
    const { sender, receiver, to, ring } = pair();
    fill(to, 100);
    new Uint8Array(ring)[dataBytes + 20] = 77;
    let told = 0;
    to.onWritable(() => told++);
    receiver.poll();
    sender.poll();
    sender.poll();
    expect(sender.broken.map(({ peer, error }) => [peer, error.code])).toEqual([[1, 'CORRUPT']]);
    expect([to.begin(8), to.send(frameOf(1, 1)), told]).toEqual([-1, false, 0]);
    sender.port.start();
    sender.now += pollWindowMs * 2;
    expect(sender.turn()).toBe(true);
    expect(sender.turns.length).toBe(0);
  });

  test('a writer that finds the ring closed only when it is full is told as well', () => {
    const { sender, receiver, to, ring } = pair();
    to.send(frameOf(1, 100));
    new Uint8Array(ring)[dataBytes + 20] = 77;
    receiver.poll();
    fill(to, 100);
    sender.poll();
    expect(sender.broken.map(({ peer, error }) => [peer, error.code])).toEqual([[1, 'CORRUPT']]);
  });

  test('a handler that throws has had its frame: the next poll goes on behind it, and its room is free again', () => {
    const { receiver, to } = pair();
    const count = fill(to, 100);
    receiver.onFrame = frame => {
      if (frame[0] === frameOf(3, 1)[0]) throw new Error('handler');
    };
    expect(() => receiver.poll()).toThrow('handler');
    while (receiver.poll() > 0);
    expect(receiver.frames()).toEqual(Array.from({ length: count }, (_, i) => frameOf(i, 100)));
    expect(fill(to, 100)).toBe(count);
  });
});

describe('positions', () => {
  test.each([0x7fff_ffe8, -64, 0x7fff_ff80])('frames go on across the wrap of 32-bit positions, from %i', start => {
    const fabric = createFabric({ threads: 2, ringBytes: 256 });
    const cells = new Int32Array(fabric.rings[1] as SharedArrayBuffer);
    cells[tailCell] = cells[headCell] = start;
    const to = new Seat(fabric, 0).port.writer(1);
    const receiver = new Seat(fabric, 1);
    for (let i = 0; i < 200; i++) {
      expect(to.send(frameOf(i, i % 64))).toBe(true);
      receiver.poll();
    }
    expect(receiver.frames()).toEqual(Array.from({ length: 200 }, (_, i) => frameOf(i, i % 64)));
    expect(receiver.broken).toEqual([]);
  });

  test('a ring is a power of two of bytes within bounds, a fabric has a bounded number of threads', () => {
    for (const capacity of [0, 24, 48, 1_000, 1 << 29, Number.NaN]) {
      expect(() => makeRing({ capacity, salt: 1 })).toThrow(TroupeError);
    }
    for (const threads of [0, 65, 1.5]) expect(() => createFabric({ threads })).toThrow(TroupeError);
    const { sender } = pair();
    expect(() => sender.port.writer(0)).toThrow(TroupeError);
    expect(() => sender.port.writer(2)).toThrow(TroupeError);
  });
});

describe('a poll', () => {
  test('takes a bounded number of frames from each peer, so that a flood does not starve another', () => {
    const fabric = createFabric({ threads: 3, ringBytes: 65_536 });
    const receiver = new Seat(fabric, 0);
    expect(fill(new Seat(fabric, 1).port.writer(0), 8)).toBeGreaterThan(4 * ringFramesPerTurn);
    const quiet = new Seat(fabric, 2).port.writer(0);
    for (let i = 0; i < 4; i++) {
      quiet.send(frameOf(i, 3));
      receiver.got.length = 0;
      receiver.poll();
      expect(receiver.got.filter(({ from }) => from === 1).length).toBe(ringFramesPerTurn);
      expect(receiver.got.filter(({ from }) => from === 2).length).toBe(1);
    }
  });

  test('ends when its time is up, and the next one begins with the next peer', () => {
    const fabric = createFabric({ threads: 3, ringBytes: 65_536 });
    const receiver = new Seat(fabric, 0);
    for (const peer of [1, 2]) fill(new Seat(fabric, peer).port.writer(0), 8);
    receiver.onFrame = () => {
      receiver.now += pollBudgetMs / 10;
    };
    receiver.poll();
    expect(receiver.got.map(({ from }) => from)).toEqual(new Array(ringFramesPerLook).fill(1));
    receiver.got.length = 0;
    receiver.poll();
    expect(receiver.got.map(({ from }) => from)).toEqual(new Array(ringFramesPerLook).fill(2));
  });

  test('from a handler does nothing, so that frames keep their order', () => {
    const { receiver, to } = pair();
    for (let i = 0; i < 5; i++) to.send(frameOf(i, 20));
    const nested: number[] = [];
    receiver.onFrame = () => nested.push(receiver.poll());
    expect(receiver.poll()).toBe(5);
    expect(nested).toEqual([0, 0, 0, 0, 0]);
    expect(receiver.frames()).toEqual([0, 1, 2, 3, 4].map(i => frameOf(i, 20)));
  });

  test('hands out at most a window of bytes from each ring, so that large frames do not hold the thread', () => {
    const { receiver, to } = pair(65_536);
    const count = fill(to, 4_000);
    expect(receiver.poll()).toBe(5); // the fifth one passes a quarter of 64 KiB
    while (receiver.poll() > 0);
    expect(receiver.got.length).toBe(count);
  });
});

describe('sleep', () => {
  test('a thread polls for a while after its last frame, then parks, and a frame wakes it', async () => {
    const { sender, receiver, to } = pair();
    receiver.port.start();
    to.send(frameOf(0, 10));
    expect(receiver.turn()).toBe(true);
    receiver.now += pollWindowMs * 0.9;
    expect(receiver.turn()).toBe(true); // within the window of the frame
    receiver.now += pollWindowMs;
    expect(receiver.turn()).toBe(true);
    expect(receiver.turns.length).toBe(0);
    expect(receiver.port.describe()).toMatchObject({ parked: true, parks: 1 });
    for (let i = 1; i < 4; i++) {
      to.send(frameOf(i, 10));
      await receiver.awake();
      receiver.now += pollWindowMs * 3; // the frame itself is what keeps it polling now
      receiver.turn();
      expect(receiver.got.length).toBe(i + 1);
      receiver.now += pollWindowMs * 3;
      while (receiver.turn());
      expect(receiver.port.describe()).toMatchObject({ parked: true });
    }
    expect(sender.turns.length).toBe(0);
  });

  test('a frame that comes while the thread goes to sleep keeps it awake', () => {
    const { receiver, to } = pair();
    receiver.port.start();
    receiver.now += pollWindowMs * 2;
    const turn = receiver.turns.shift() as () => void;
    // The last look at the clock comes just before parking.
    const late = pollWindowMs * 2;
    Object.defineProperty(receiver, 'now', {
      get: () => {
        if (to.stats().frames === 0) to.send(frameOf(1, 8));
        return late;
      },
    });
    turn();
    expect(receiver.got.length + receiver.turns.length).toBeGreaterThan(0);
    while (receiver.got.length === 0 && receiver.turn());
    expect(receiver.got.length).toBe(1);
  });

  test('a parked thread that sends something polls for the answer', () => {
    const { sender, to } = pair();
    sender.port.start();
    sender.now += pollWindowMs * 2;
    sender.turn();
    expect(sender.turns.length).toBe(0);
    to.send(frameOf(0, 10));
    expect(sender.turns.length).toBe(1);
    sender.turn();
    expect(sender.turns.length).toBe(1); // still within the window of what it sent
    sender.now += pollWindowMs * 2;
    sender.turn();
    expect(sender.turns.length).toBe(0);
  });

  test('a sender that waits for room sleeps and is woken when there is some', async () => {
    const { sender, receiver, to } = pair();
    sender.port.start();
    fill(to, 100);
    let told = 0;
    to.onWritable(() => told++);
    sender.now += pollWindowMs * 2;
    while (sender.turn()) sender.now += pollWindowMs * 2;
    expect(sender.port.describe()).toMatchObject({ parked: true });
    receiver.poll(1); // a frame is not enough to wake anybody
    await new Promise(resolve => setImmediate(resolve));
    expect([told, sender.turns.length]).toEqual([0, 0]);
    receiver.poll();
    await sender.awake();
    sender.turn();
    expect(told).toBe(1);
  });

  test('the number of callers that wait for room is bounded', () => {
    const { to } = pair();
    fill(to, 100);
    for (let i = 0; i < writableWaitersMax; i++) to.onWritable(() => {});
    expect(() => to.onWritable(() => {})).toThrow(expect.objectContaining({ code: 'OVERLOADED' }));
  });

  test('a parked main thread lets its process end, unless it was told to stay', async () => {
    const home = new URL('../../src/runtime/thread-port.ts', import.meta.url).href;
    const script = (stay: boolean) => `
      import { createFabric, ThreadPort } from ${JSON.stringify(home)};
      const port = new ThreadPort(createFabric({ threads: 2 }), 0, {
        onFrame() {}, soon: fn => void setImmediate(fn), mono: () => performance.now(),
      });
      port.start();
      ${stay ? 'port.ref();' : ''}
      // This timer does not keep the process alive itself: it goes off only if something else does.
      setTimeout(() => { console.log('alive'); port.unref(); }, 60).unref();
    `;
    const run = (stay: boolean) => promisify(execFile)(process.execPath, ['--input-type=module', '-e', script(stay)]);
    const [left, stayed] = await Promise.all([run(false), run(true)]);
    expect([left.stdout, stayed.stdout]).toEqual(['', 'alive\n']);
  });

  test('a peer that takes nothing for too long is reported, one that is slow is not', () => {
    const { sender, receiver, to } = pair();
    const watch = (now: number) => {
      sender.now = now;
      sender.port.watch(1_000);
      return sender.stuck.length;
    };
    expect(watch(0)).toBe(0);
    fill(to, 100);
    expect(watch(500)).toBe(0);
    receiver.poll(1);
    expect(watch(1_400)).toBe(0); // it has moved
    expect(watch(1_600)).toBe(0);
    expect(watch(2_500)).toBe(0);
    expect(watch(2_600)).toBe(1);
    receiver.poll();
    expect(watch(9_999)).toBe(1);
  });
});

describe('the death of a thread', () => {
  test('what it had published is handed out before anything of its successor', () => {
    const { fabric, sender, receiver, to } = pair();
    for (let i = 0; i < 10; i++) to.send(frameOf(i, 50));
    const rings = replacePeer(fabric, 0); // thread 0 has died
    const heir = new Seat(fabric, 0);
    heir.port.writer(1).send(frameOf(100, 50));
    receiver.port.replace(0, rings);
    receiver.poll();
    expect(receiver.frames()).toEqual([...Array.from({ length: 10 }, (_, i) => frameOf(i, 50)), frameOf(100, 50)]);
    to.send(frameOf(11, 50)); // a zombie writes into a ring nobody reads
    sender.poll();
    receiver.poll();
    expect(receiver.got.length).toBe(11);
    expect(rings.generation).toBe(1);
  });

  test('a frame of which it had sent only some pieces is not handed out', () => {
    const { fabric, receiver, to } = pair();
    to.send(frameOf(1, 30));
    to.send(frameOf(2, 20_000)); // more than the ring holds: the last pieces wait in the sender
    expect(receiver.poll()).toBeGreaterThan(0);
    receiver.port.replace(0, replacePeer(fabric, 0));
    new Seat(fabric, 0).port.writer(1).send(frameOf(3, 30));
    receiver.poll();
    expect(receiver.frames()).toEqual([frameOf(1, 30), frameOf(3, 30)]);
    expect(receiver.broken).toEqual([]);
  });

  test('who waits for room in its ring goes on in the ring of its successor', () => {
    const { fabric, sender, to } = pair();
    const count = fill(to, 100);
    let told = 0;
    to.onWritable(() => told++);
    sender.poll();
    expect(told).toBe(0);
    const rings = replacePeer(fabric, 1); // the receiver has died
    sender.port.replace(1, rings);
    sender.poll();
    expect(told).toBe(1);
    to.send(frameOf(7, 60));
    const heir = new Seat(fabric, 1);
    heir.poll();
    expect(heir.frames()).toEqual([frameOf(7, 60)]);
    expect(to.stats().frames).toBe(count + 1);
  });

  test('what it had not taken can be had from its ring, pieces put together, and the ring stays as it is', () => {
    const { ring, receiver, to } = pair();
    for (let i = 0; i < 20; i++) to.send(frameOf(i, 100));
    receiver.poll(5);
    for (let turn = 0; turn < 2; turn++) {
      const { frames, orphans, error } = unread(ring);
      expect(frames).toEqual(Array.from({ length: 15 }, (_, i) => frameOf(i + 5, 100)));
      expect([orphans, error]).toEqual([0, null]);
    }
    while (receiver.poll() > 0);
    to.send(frameOf(50, 2_500)); // three pieces in a ring of 4 KiB
    to.send(frameOf(51, 9));
    expect(unread(ring).frames).toEqual([frameOf(50, 2_500), frameOf(51, 9)]);
    receiver.poll(1);
    const rest = unread(ring); // the reader died with the first piece: the others say nothing by themselves
    expect([rest.frames, rest.orphans, rest.error]).toEqual([[frameOf(51, 9)], 2, null]);
  });

  test('everybody is woken when a thread is replaced, even past a bell that was left half rung', async () => {
    const { fabric, receiver, to } = pair();
    receiver.port.start();
    receiver.now += pollWindowMs * 2;
    receiver.turn();
    expect(receiver.turns.length).toBe(0);
    // As if the sender had died between its compare-and-swap of the bell and the notify.
    const bells = new Int32Array(fabric.bells);
    const cell = bells.indexOf(1);
    expect(cell).toBeGreaterThanOrEqual(0);
    Atomics.store(bells, cell, 0);
    to.send(frameOf(1, 1));
    await new Promise(resolve => setImmediate(resolve));
    expect(receiver.turns.length).toBe(0);
    replacePeer(fabric, 0);
    await receiver.awake();
    receiver.turn();
    expect(receiver.got.length).toBe(1);
  });
});
