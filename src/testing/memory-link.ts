// A link inside one thread: frames wait in a queue of bounded bytes and are handed over in a later turn of whatever `soon` is
// given. With the simulator's `soon` its order is part of the seed; with a queue of functions a test takes it turn by turn.
//
// It behaves like the shared ring where a user could tell the difference: the same refusals, the same rule that nothing
// overtakes a large frame, and bytes that are no longer there after the call (they are overwritten, so that a handler
// which keeps them is found in a test and not in production).
//
// Invariant: at most bytesMax bytes wait, or one frame that is larger than that and nothing behind it.

import { TroupeError } from '../errors.ts';
import { frameBytesMax, ringBytesDefault, ringWindowShare, writableWaitersMax } from '../limits.ts';
import type { LinkWriter, OnFrame } from '../runtime/link.ts';

export interface MemoryLinkOptions {
  /** What the reader is told about where its frames come from. */
  readonly from: number;
  readonly onFrame: OnFrame;
  /** Runs fn in a later turn. */
  soon(fn: () => void): void;
  /** Bytes that may wait. Default limits.ringBytesDefault. */
  readonly bytesMax?: number;
}

const headerBytes = 8; // as in the ring, so that both take the same number of frames
const spoilt = 0xdd;

export class MemoryLink implements LinkWriter {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly windowMax: number;

  private readonly from: number;
  private readonly onFrame: OnFrame;
  private readonly soon: (fn: () => void) => void;
  private readonly bytesMax: number;
  private queue: Uint8Array[] = [];
  private heldBytes = 0;
  private window = -1;
  private scheduled = false;
  private held = false;
  private closed = false;
  private muted = false;
  private waiters: (() => void)[] = [];
  private frames = 0;
  private sentBytes = 0;
  private refused = 0;
  private pieces = 0;

  constructor(options: MemoryLinkOptions) {
    this.from = options.from;
    this.onFrame = options.onFrame;
    this.soon = fn => options.soon(fn);
    this.bytesMax = options.bytesMax ?? ringBytesDefault;
    this.windowMax = this.bytesMax / ringWindowShare;
    this.bytes = new Uint8Array(headerBytes + this.windowMax);
    this.view = new DataView(this.bytes.buffer);
  }

  begin(bytesMax: number): number {
    if (bytesMax > this.windowMax) throw tooLarge(bytesMax, this.windowMax);
    if (!this.admits(bytesMax)) return -1;
    this.window = bytesMax;
    return headerBytes;
  }

  end(bytes: number): void {
    if (bytes > this.window) throw tooLarge(bytes, this.window);
    this.window = -1;
    if (bytes > 0) this.push(this.bytes.slice(0, headerBytes + bytes));
  }

  send(frame: Uint8Array): boolean {
    if (frame.length > frameBytesMax) throw tooLarge(frame.length, frameBytesMax);
    this.window = -1;
    if (!this.admits(Math.min(frame.length, this.windowMax))) return false;
    const copy = new Uint8Array(headerBytes + frame.length);
    copy.set(frame, headerBytes);
    if (frame.length > this.windowMax) this.pieces++;
    this.push(copy);
    return true;
  }

  onWritable(fn: () => void): void {
    if (this.muted) return;
    if (this.waiters.length >= writableWaitersMax) {
      throw new TroupeError('OVERLOADED', `${writableWaitersMax} callers already wait for room on this link`);
    }
    this.waiters.push(fn);
    this.schedule();
  }

  stats(): { frames: number; bytes: number; refused: number; pieces: number } {
    return { frames: this.frames, bytes: this.sentBytes, refused: this.refused, pieces: this.pieces };
  }

  /** How far the reading end has got: a 32-bit position, of which only the difference counts. */
  get readAt(): number {
    return (this.sentBytes + this.frames * headerBytes - this.heldBytes) | 0;
  }

  get unread(): number {
    return this.heldBytes;
  }

  /** The reading end takes nothing until it is released: a stuck or slow peer. */
  hold(): void {
    this.held = true;
  }

  release(): void {
    this.held = false;
    this.schedule();
  }

  /** Hands over all that waits, at once. How many frames that were. */
  drain(): number {
    let count = 0;
    for (; this.queue.length > 0 && !this.closed; count++) this.hand();
    return count;
  }

  /** The writing end dies: what it has sent can be read still. */
  mute(): void {
    this.muted = true;
    this.waiters = [];
  }

  /** Whoever waits for room waits on the link that takes the place of this one. */
  followBy(next: MemoryLink): void {
    for (const fn of this.waiters.splice(0)) next.onWritable(fn);
  }

  /** The reading end dies: what waits is gone (returned, in order), and everything sent later is refused. */
  close(): Uint8Array[] {
    const lost = this.queue.map(frame => frame.subarray(headerBytes));
    this.queue = [];
    this.heldBytes = 0;
    this.closed = true;
    return lost;
  }

  private admits(bytes: number): boolean {
    if (!this.closed && !this.muted && this.heldBytes + headerBytes + bytes <= this.bytesMax) return true;
    this.refused++;
    return false;
  }

  private push(frame: Uint8Array): void {
    this.queue.push(frame);
    this.heldBytes += frame.length;
    this.frames++;
    this.sentBytes += frame.length - headerBytes;
    this.schedule();
  }

  private schedule(): void {
    if (this.scheduled || this.closed) return;
    this.scheduled = true;
    this.soon(() => this.turn());
  }

  private hand(): void {
    const frame = this.queue.shift();
    if (frame === undefined) return;
    this.heldBytes -= frame.length;
    this.onFrame(this.from, frame, new DataView(frame.buffer), headerBytes, frame.length);
    frame.fill(spoilt);
  }

  /** Hands over what was there when the turn began, then tells whoever waits for room, once a quarter is free. */
  private turn(): void {
    this.scheduled = false;
    try {
      for (let count = this.held ? 0 : this.queue.length; count > 0 && !this.held && !this.closed; count--) this.hand();
    } finally {
      if (this.queue.length > 0 && !this.held) this.schedule();
    }
    if (this.closed || this.heldBytes + headerBytes + this.windowMax > this.bytesMax) return;
    const waiters = this.waiters;
    this.waiters = [];
    for (const fn of waiters) fn();
  }
}

function tooLarge(bytes: number, bytesMax: number): TroupeError {
  return new TroupeError('TOO_LARGE', `a frame of ${bytes} bytes where ${bytesMax} were promised`, {
    details: { bytes, bytesMax },
  });
}
