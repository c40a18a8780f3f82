// What every link keeps, whatever it is made of: frames arrive whole, in order, each once; a full link says so and keeps what
// it took; who was refused is told when there is room. Run for the memory link and the shared ring in ring-link.test.ts, over the
// simulated network in links/peer-link.test.ts, and over TCP, TLS and Unix sockets in links/socket-links.test.ts.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TroupeError } from '../../src/errors.ts';
import { frameBytesMax } from '../../src/limits.ts';
import type { LinkWriter, OnFrame } from '../../src/runtime/link.ts';

export interface LinkPair {
  readonly writer: LinkWriter;
  /** The reading end takes no frames until released. */
  hold(): void;
  release(): void;
  /** Returns when nothing moves any more: frames handed out, waiting senders told. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

export interface LinkContractOptions {
  readonly open: (onFrame: OnFrame) => Promise<LinkPair>;
  /** What the link holds before it refuses, about; frames of three times this are sent. */
  readonly bytesMax: number;
  /** Runs of the random test; every run sends 120 frames. */
  readonly runs?: number;
}

/** A frame that says which one it is, in every byte. */
export function frameOf(number: number, length: number): Uint8Array {
  const frame = new Uint8Array(length);
  for (let i = 0; i < length; i++) frame[i] = (number * 31 + i * 7 + (i >> 8)) & 0xff;
  return frame;
}

interface Open extends LinkPair {
  readonly got: Uint8Array[];
}

export function linkContract(name: string, { open, bytesMax, runs = 30 }: LinkContractOptions): void {
  const opened = async (): Promise<Open> => {
    const got: Uint8Array[] = [];
    const pair = await open((_from, bytes, view, start, end) => {
      if (end > start) expect(view.getUint8(start)).toBe(bytes[start]); // both look at the same frame
      got.push(bytes.slice(start, end));
    });
    return Object.assign(pair, { got });
  };

  /** Sends in place when it fits, by copy otherwise; false when refused. */
  const give = (writer: LinkWriter, frame: Uint8Array, inPlace: boolean): boolean => {
    if (!inPlace || frame.length === 0 || frame.length > writer.windowMax) return writer.send(frame);
    const at = writer.begin(frame.length);
    if (at < 0) return false;
    expect(at % 8).toBe(0);
    writer.bytes.set(frame, at);
    writer.end(frame.length);
    return true;
  };

  /** Sends until refused, frames of this length, numbered from `first`. Returns those the link took. */
  const fill = (writer: LinkWriter, length: number, first = 0): Uint8Array[] => {
    const taken: Uint8Array[] = [];
    for (;;) {
      const frame = frameOf(first + taken.length, length);
      if (!give(writer, frame, taken.length % 2 === 0)) return taken;
      taken.push(frame);
      if (taken.length * length > bytesMax * 64 + 1e6) throw new Error('the link never refuses');
    }
  };

  describe(`${name} keeps the link contract`, () => {
    test('frames of every size arrive whole, in order and once', async () => {
      const { writer, got, settle, close } = await opened();
      const window = writer.windowMax;
      const sizes = [
        0,
        1,
        7,
        8,
        9,
        63,
        64,
        65,
        window - 1,
        window,
        window + 1,
        2 * window + 3,
        bytesMax,
        3 * bytesMax,
        1,
        0,
      ];
      for (const [i, size] of sizes.entries()) {
        expect(writer.send(frameOf(i, size))).toBe(true);
        await settle();
      }
      expect(got.map(frame => frame.length)).toEqual(sizes);
      for (const [i, size] of sizes.entries()) expect(got[i]).toEqual(frameOf(i, size));
      await close();
    });

    test('a frame encoded in place is as long as what was used of its window', async () => {
      const { writer, got, settle, close } = await opened();
      const at = writer.begin(writer.windowMax);
      writer.bytes.set(frameOf(1, 13), at);
      writer.view.setUint16(at, 0x1234);
      writer.end(13);
      await settle();
      const expected = frameOf(1, 13);
      expected.set([0x12, 0x34]);
      expect(got).toEqual([expected]);
      await close();
    });

    test('a window that is given back, or replaced by another, leaves no trace', async () => {
      const { writer, got, settle, close } = await opened();
      writer.bytes.fill(9, writer.begin(100), 100);
      writer.end(0);
      writer.begin(50);
      const at = writer.begin(8);
      writer.bytes.set(frameOf(3, 8), at);
      writer.end(8);
      writer.begin(16);
      expect(writer.send(frameOf(4, 5))).toBe(true);
      await settle();
      expect(got).toEqual([frameOf(3, 8), frameOf(4, 5)]);
      await close();
    });

    test('what was never promised is refused with TOO_LARGE and sends nothing', async () => {
      const { writer, got, settle, close } = await opened();
      const code = (act: () => unknown) => {
        try {
          act();
          return 'no error';
        } catch (error) {
          return error instanceof TroupeError ? error.code : error;
        }
      };
      expect(code(() => writer.begin(writer.windowMax + 1))).toBe('TOO_LARGE');
      expect(code(() => writer.send(new Uint8Array(frameBytesMax + 1)))).toBe('TOO_LARGE');
      expect(code(() => writer.end(1))).toBe('TOO_LARGE');
      writer.begin(8);
      expect(code(() => writer.end(9))).toBe('TOO_LARGE');
      await settle();
      expect(got).toEqual([]);
      await close();
    });

    test('a full link refuses, keeps what it took, and tells a waiting sender once when there is room', async () => {
      const { writer, got, hold, release, settle, close } = await opened();
      hold();
      const taken = fill(writer, 100);
      expect(taken.length).toBeGreaterThan(2);
      expect(writer.begin(100)).toBe(-1);
      const refused = writer.stats().refused;
      expect(refused).toBeGreaterThanOrEqual(2);
      let told = 0;
      writer.onWritable(() => told++);
      writer.onWritable(() => told++);
      await settle();
      expect([told, got.length]).toEqual([0, 0]);
      release();
      await settle();
      expect(told).toBe(2);
      expect(got).toEqual(taken);
      expect(writer.send(frameOf(9, 100))).toBe(true);
      await settle();
      expect([told, got.length]).toEqual([2, taken.length + 1]);
      await close();
    });

    test('who asks to be told although there is room is told as well', async () => {
      const { writer, settle, close } = await opened();
      let told = 0;
      writer.onWritable(() => told++);
      await settle();
      expect(told).toBe(1);
      await close();
    });

    test('the sender may reuse its bytes as soon as send has returned, even of a frame in pieces', async () => {
      const { writer, got, hold, release, settle, close } = await opened();
      hold();
      const small = frameOf(1, 40);
      const large = frameOf(2, 3 * bytesMax);
      expect(writer.send(small)).toBe(true);
      expect(writer.send(large)).toBe(true);
      small.fill(0xff);
      large.fill(0xff);
      release();
      await settle();
      expect(got).toEqual([frameOf(1, 40), frameOf(2, 3 * bytesMax)]);
      await close();
    });

    test('nothing overtakes a large frame, and it is one frame to the counters', async () => {
      const { writer, got, hold, release, settle, close } = await opened();
      hold();
      const first = fill(writer, 64);
      await settle();
      release();
      await settle();
      hold();
      expect(writer.send(frameOf(500, 3 * bytesMax))).toBe(true);
      const later = fill(writer, 64, 600); // on a ring none: the pieces have the right of way
      release();
      await settle();
      expect(writer.send(frameOf(700, 8))).toBe(true);
      await settle();
      expect(got).toEqual([...first, frameOf(500, 3 * bytesMax), ...later, frameOf(700, 8)]);
      const { frames, bytes, pieces } = writer.stats();
      expect({ frames, pieces }).toEqual({ frames: got.length, pieces: 1 });
      expect(bytes).toBe(got.reduce((sum, frame) => sum + frame.length, 0));
      await close();
    });

    test('a sender that waits for room each time loses and doubles nothing', async () => {
      const { writer, got, settle, close } = await opened();
      const count = 3_000;
      let sent = 0;
      const go = () => {
        while (sent < count) {
          if (!give(writer, frameOf(sent, 40 + (sent % 50)), sent % 3 > 0)) return writer.onWritable(go);
          sent++;
        }
      };
      go();
      await settle();
      expect(got.length).toBe(count);
      for (let i = 0; i < count; i++)
        if (Buffer.compare(got[i] as Uint8Array, frameOf(i, 40 + (i % 50))) !== 0) expect(i).toBe(-1);
      await close();
    });

    test('random sizes, random pauses of the reader: what arrives is what was taken', async () => {
      const window = bytesMax / 4;
      const size = fc.oneof(
        { weight: 6, arbitrary: fc.integer({ min: 0, max: 96 }) },
        { weight: 2, arbitrary: fc.integer({ min: 0, max: window }) },
        { weight: 1, arbitrary: fc.integer({ min: window - 9, max: window + 9 }) },
        { weight: 1, arbitrary: fc.integer({ min: window, max: 3 * bytesMax }) },
      );
      const act = fc.record({
        size,
        inPlace: fc.boolean(),
        pause: fc.constantFrom('none', 'none', 'hold', 'release', 'settle'),
      });
      const { writer, got, hold, release, settle, close } = await opened();
      await fc.assert(
        fc.asyncProperty(fc.array(act, { minLength: 120, maxLength: 120 }), async acts => {
          got.length = 0;
          const taken: Uint8Array[] = [];
          for (const [i, { size, inPlace, pause }] of acts.entries()) {
            if (pause === 'hold') hold();
            else if (pause === 'release') release();
            else if (pause === 'settle') await settle();
            const frame = frameOf(i, size);
            if (give(writer, frame, inPlace)) taken.push(frame);
          }
          release();
          await settle();
          if (got.length !== taken.length) return false;
          return got.every((frame, i) => Buffer.compare(frame, taken[i] as Uint8Array) === 0);
        }),
        { seed: 20_260_101, numRuns: runs },
      );
      await close();
    });
  });
}
