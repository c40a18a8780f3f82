// A ring of bytes between exactly one writing and one reading thread. The writer lays a frame down, and only then moves
// the tail; the reader hands the frame out, and only then moves the head. Each owns one of the two and caches the other,
// so that a frame costs the writer one atomic store, and a whole drain costs the reader one load and one store.
//
//   cells  0 tail (the writer's line)   32 head, 33 waiting (the reader's line)   64 status, capacity, salt   96 data
//
//   data   | 8-byte header | payload, padded to 8 | header | payload | ...      header: length and kind, check word
//          0        head ^                      tail ^            capacity ^........slack........|
//
// Positions count bytes for ever and wrap at 2^32; `position & mask` is the offset. A frame is never split at the end of
// the ring: it runs on into the slack, which is one window long. Its positions go on as if it had wrapped, so the bytes
// at the start of the ring that it would have covered are simply not used this time round. The usual way is a marker that fills
// the end of the ring: one more state, one more branch on either side, and up to a frame of room wasted each time round.
//
// Invariants: what lies in [head, tail) is whole (a writer that dies leaves a published frame or no trace); bytes outside
// belong to the writer alone; no frame is handed out twice or out of order; a reader that meets anything else closes the ring.
//
// The check word mixes position, length, a salt per ring and a digest of the payload: all of it up to 64 bytes, both ends
// beyond. Publish-last already rules torn frames out; the check is there for our own mistakes (a second writer, a stray store,
// a reader gone astray), which hit headers and frame ends. Measured, writing and reading one frame on one core: 32 bytes take 35 ns
// without a digest and 52 with it; 1 KiB takes 40 ns without, 68 with both ends, and 500 with every word.
//
// Hot path: begin, end and drain allocate nothing. Watched by test/runtime/ring-speed.ts.

import { TroupeError } from '../errors.ts';
import { ringBytesMax, ringWindowShare } from '../limits.ts';
import type { MemoryPort } from './memory-port.ts';

export const tailCell = 0;
export const headCell = 32;
/** 1 while the writer found no room and wants to be told. */
export const waitingCell = 33;
export const statusCell = 64;
const capacityCell = 65;
const saltCell = 66;
export const dataCell = 96;

export const headerBytes = 8;
/** In front of the first piece of a large frame: its whole length. */
export const leadBytes = 4;
export const statusBroken = 1;

// The kind of a frame sits above its length.
export const kindShift = 28;
export const lengthMask: number = (1 << kindShift) - 1;
/** Of a frame in one piece it is 0, so that its word is its length. */
export const firstPiece = 1;
export const middlePiece = 2;
export const lastPiece = 3;

export interface RingShape {
  /** A power of two. */
  readonly capacity: number;
  /** Odd, different for every ring and generation: frames of another ring do not pass the check. */
  readonly salt: number;
}

/** Wakes the thread at the other end; see ring-set.ts. */
export interface Waker {
  ring(): void;
}

export function windowOf(capacity: number): number {
  return capacity / ringWindowShare;
}

export function makeRing({ capacity, salt }: RingShape): SharedArrayBuffer {
  if (!(capacity >= 32) || capacity > ringBytesMax || (capacity & (capacity - 1)) !== 0) {
    throw new TroupeError('BAD_OPTION', `a ring has a power of two of bytes, 32 to ${ringBytesMax}, not ${capacity}`);
  }
  const memory = new SharedArrayBuffer(dataCell * 4 + capacity + windowOf(capacity) + headerBytes);
  const cells = new Int32Array(memory);
  cells[capacityCell] = capacity;
  cells[saltCell] = salt | 1;
  return memory;
}

export function shapeOf(memory: SharedArrayBuffer): RingShape {
  const cells = new Int32Array(memory);
  return { capacity: cells[capacityCell] as number, salt: cells[saltCell] as number };
}

/** What a frame takes in the ring. */
export function frameBytes(length: number): number {
  return headerBytes + ((length + 7) & ~7);
}

export function checkOf(port: MemoryPort, at: number, word: number, position: number, salt: number): number {
  return Math.imul(port.digest(at, word & lengthMask) ^ word, 0x9e3779b1) ^ position ^ salt;
}

export function broken(message: string, details: Record<string, unknown> = {}): TroupeError {
  return new TroupeError('CORRUPT', message, { details, outcome: 'unknown' });
}

export function tooLarge(bytes: number, bytesMax: number): TroupeError {
  return new TroupeError('TOO_LARGE', `a frame of ${bytes} bytes where ${bytesMax} were promised`, {
    details: { bytes, bytesMax },
  });
}
