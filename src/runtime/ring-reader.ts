// The reading end of a shared ring: the picture and the invariants are in shared-ring.ts. The bytes of a frame are handed out where
// they lie, in shared memory: TextDecoder, Buffer's slices, msgpackr and its native part all take them there at the speed of
// private memory (tried on Node 24, msgpackr 2.1.3), so copying each drain into a private buffer first would only cost. What a
// decoder keeps it has to copy: msgpackr needs `copyBuffers: true`, or binary values would be views of a ring that moves on.
//
// Invariant: the head moves only over frames that have been handed out, and a frame is handed out only after it passed its check.
//
// Hot path: a drain costs one load, one store and one load of a shared cell, whatever the number of frames, and allocates
// nothing but the private buffer of a frame in pieces. Watched by test/runtime/ring-speed.ts.

import type { TroupeError } from '../errors.ts';
import { frameBytesMax } from '../limits.ts';
import type { OnFrame } from './link.ts';
import { AtomicsPort, type MemoryPort } from './memory-port.ts';
import {
  broken,
  checkOf,
  dataCell,
  firstPiece,
  frameBytes,
  headCell,
  headerBytes,
  kindShift,
  lastPiece,
  leadBytes,
  lengthMask,
  type RingShape,
  shapeOf,
  statusBroken,
  statusCell,
  tailCell,
  type Waker,
  waitingCell,
  windowOf,
} from './shared-ring.ts';

export class RingReader {
  /** Set when a frame did not pass: nothing more is handed out. */
  error: TroupeError | null = null;
  readonly from: number;

  private readonly port: MemoryPort;
  private readonly capacity: number;
  private readonly salt: number;
  private readonly writer: Waker;
  private head: number;
  /** How far the writer had got when we last looked. */
  private tail: number;
  /** The head as the writer may see it. */
  private released: number;
  /** A large frame that is being put together. */
  private whole: Uint8Array | null = null;
  private wholeAt = 0;
  /** Only when a dead reader's ring is searched: pieces whose beginning it had already taken. */
  private readonly midway: boolean;
  orphans = 0;
  frames = 0;

  constructor(port: MemoryPort, shape: RingShape, writer: Waker, from: number, midway = false) {
    this.port = port;
    this.capacity = shape.capacity;
    this.salt = shape.salt;
    this.writer = writer;
    this.from = from;
    this.midway = midway;
    this.head = port.load(headCell);
    this.tail = this.head;
    this.released = this.head;
  }

  /**
   * Hands out up to `max` frames (a piece counts as one), or a window of bytes if that is less, and gives their room back.
   * Returns how many; 0 means that nothing is there.
   */
  drain(max: number, onFrame: OnFrame): number {
    if (this.head === this.tail) {
      if (this.error !== null) return 0;
      this.tail = this.port.load(tailCell);
      if (this.head === this.tail) return 0;
    }
    let count = 0;
    try {
      while (count < max && this.head !== this.tail && this.within() && this.take(onFrame)) count++;
    } finally {
      if (this.released !== this.head) this.release(); // also when a handler threw: its frame is not handed out again
    }
    return count;
  }

  /** Is there something to drain? For a thread that is about to sleep. */
  ready(): boolean {
    return this.error === null && (this.head !== this.tail || this.port.load(tailCell) !== this.head);
  }

  /** A drain of large frames ends early: the writer needs the room, and the thread its event loop. */
  private within(): boolean {
    return ((this.head - this.released) | 0) < windowOf(this.capacity);
  }

  private take(onFrame: OnFrame): boolean {
    const port = this.port;
    const head = this.head;
    const at = dataCell * 4 + (head & (this.capacity - 1)) + headerBytes;
    const cell = (at >> 2) - 2;
    const word = port.peek(cell);
    const length = word & lengthMask;
    const step = frameBytes(length);
    if (length > windowOf(this.capacity) || step > ((this.tail - head) | 0)) return this.fail(word);
    if (port.peek(cell + 1) !== checkOf(port, at, word, head, this.salt)) return this.fail(word);
    this.head = (head + step) | 0;
    this.frames++;
    if (word === length) onFrame(this.from, port.bytes, port.view, at, at + length);
    else if (!this.takePiece(word >> kindShift, at, length, onFrame)) return this.fail(word);
    return true;
  }

  private takePiece(kind: number, at: number, length: number, onFrame: OnFrame): boolean {
    let from = at;
    if (kind === firstPiece) {
      const total = this.port.peek(at >> 2);
      if (this.whole !== null || total > frameBytesMax || total <= length - leadBytes) return false;
      this.whole = new Uint8Array(total);
      this.wholeAt = 0;
      from = at + leadBytes;
    }
    const whole = this.whole;
    if (whole === null) {
      this.orphans++;
      return this.midway;
    }
    const count = at + length - from;
    if (this.wholeAt + count > whole.length) return false;
    this.port.copyOut(from, whole, this.wholeAt, count);
    this.wholeAt += count;
    if ((kind === lastPiece) !== (this.wholeAt === whole.length)) return false;
    if (kind !== lastPiece) return true;
    this.whole = null;
    onFrame(this.from, whole, new DataView(whole.buffer), 0, whole.length);
    return true;
  }

  /** Gives the room of what was handed out back, and tells a writer that waits once a whole window is free. */
  private release(): void {
    this.released = this.head;
    this.port.store(headCell, this.head);
    if (this.port.load(waitingCell) === 0) return;
    const free = this.capacity - ((this.tail - this.head) | 0);
    if (free < frameBytes(windowOf(this.capacity))) return;
    this.port.store(waitingCell, 0);
    this.writer.ring();
  }

  /** The ring is closed, not repaired: after a bad header nobody knows where the next frame starts. */
  private fail(word: number): false {
    this.error = broken('a frame of the ring did not pass its check', { from: this.from, position: this.head, word });
    this.tail = this.head;
    this.whole = null;
    this.port.store(statusCell, statusBroken);
    this.port.store(waitingCell, 0);
    this.writer.ring();
    return false;
  }
}

/**
 * The frames a dead reader had not given back, oldest first, copied; the ring itself is left as it is. Call it when the
 * writer has moved on to a fresh ring. The dead reader may have handled up to one drain of them already.
 */
export function unread(memory: SharedArrayBuffer): {
  frames: Uint8Array[];
  orphans: number;
  error: TroupeError | null;
} {
  const frames: Uint8Array[] = [];
  const copy = new SharedArrayBuffer(memory.byteLength);
  new Uint8Array(copy).set(new Uint8Array(memory));
  const reader = new RingReader(new AtomicsPort(copy), shapeOf(copy), { ring() {} }, -1, true);
  const keep: OnFrame = (_from, bytes, _view, start, end) => frames.push(bytes.slice(start, end));
  while (reader.drain(Number.MAX_SAFE_INTEGER, keep) > 0);
  return { frames, orphans: reader.orphans, error: reader.error };
}
