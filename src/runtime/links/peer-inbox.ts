// The receiving half of a link between processes: takes the next number only, puts large frames together, holds what comes
// while the reader has paused, and says how much more may come.
//
// Invariant: packets are handed out in the order of their numbers, each once; at most bytesMax bytes are held, and a sender
// that goes beyond what it was granted is refused.

import { frameBytesMax, ringWindowShare } from '../../limits.ts';
import type { OnFrame } from '../link.ts';
import {
  ackBytes,
  type Crc32,
  frameHeaderBytes,
  kindAck,
  kindFirst,
  kindFrames,
  kindLast,
  kindMiddle,
  packetHeaderBytes,
  sealPacket,
  stepOf,
} from './packet.ts';

/** How far one end has got: said at the beginning of each connection, and by each acknowledgement. */
export interface Progress {
  /** Data packets that have arrived and been handed out. One that is held is not acknowledged: it dies with the session. */
  readonly received: number;
  /** Bytes of the session that may be sent. */
  readonly granted: number;
}

export class Inbox {
  ackDue = false;
  private readonly from: number;
  private readonly onFrame: OnFrame;
  private readonly bytesMax: number;
  private received = 0;
  private receivedBytes = 0;
  /** Packets and bytes that have been handed out. */
  private consumed = 0;
  private consumedBytes = 0;
  private ackedBytes = 0;
  private held: { kind: number; bytes: Uint8Array }[] = [];
  private paused = false;
  /** What is held is being handed out: a handler that pauses and goes on must not begin that anew. */
  private resuming = false;
  /** Bytes that the large frame which is arriving still lacks. */
  private missing = 0;
  private whole: Uint8Array | null = null;
  private wholeAt = 0;
  private duplicates = 0;

  constructor(from: number, onFrame: OnFrame, bytesMax: number) {
    this.from = from;
    this.onFrame = onFrame;
    this.bytesMax = bytesMax;
  }

  onPacket(kind: number, number: number, bytes: Uint8Array, view: DataView, start: number, end: number): boolean {
    const ahead = (number - this.received) | 0;
    if (ahead <= 0) {
      this.duplicates++;
      return true;
    }
    const size = packetHeaderBytes + end - start;
    if (ahead !== 1 || this.receivedBytes + size > this.consumedBytes + this.bytesMax) return false;
    if (!this.isSound(kind, view, start, end)) return false;
    this.received++;
    this.receivedBytes += size;
    if (this.paused || this.held.length > 0) this.held.push({ kind, bytes: bytes.slice(start, end) });
    else this.take(kind, bytes, view, start, end);
    return true;
  }

  progress(): Progress {
    return { received: this.consumed, granted: this.consumedBytes + this.bytesMax };
  }

  /** The other end will soon have to stop for want of it. */
  get isAckUrgent(): boolean {
    return (this.consumedBytes - this.ackedBytes) * ringWindowShare >= this.bytesMax;
  }

  writeAck(bytes: Uint8Array, view: DataView, at: number, crc32: Crc32): Uint8Array {
    this.ackDue = false;
    this.ackedBytes = this.consumedBytes;
    const ack = bytes.subarray(at, at + ackBytes);
    const { received, granted } = this.progress();
    view.setUint32(at + packetHeaderBytes, received >>> 0, true);
    view.setUint32(at + packetHeaderBytes + 4, 0, true);
    view.setFloat64(at + packetHeaderBytes + 8, granted, true);
    sealPacket(ack, kindAck, 0, crc32);
    return ack;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    if (this.resuming) return;
    this.resuming = true;
    let count = 0;
    let thrown: { error: unknown } | undefined;
    while (count < this.held.length && !this.paused) {
      const { kind, bytes } = this.held[count++] as { kind: number; bytes: Uint8Array };
      try {
        this.take(kind, bytes, new DataView(bytes.buffer), 0, bytes.length);
      } catch (error) {
        thrown ??= { error }; // nobody would come back for what is held behind it
      }
    }
    this.held.splice(0, count);
    this.resuming = false;
    if (thrown !== undefined) throw thrown.error;
  }

  describe(): object {
    const { received, duplicates, paused } = this;
    return { received, duplicates, paused, heldBytes: this.receivedBytes - this.consumedBytes };
  }

  /** Judged before anything of it is handed out, so that a lying packet has no effect at all. */
  private isSound(kind: number, view: DataView, start: number, end: number): boolean {
    const size = end - start;
    if (kind === kindFrames) {
      let at = start;
      while (at + frameHeaderBytes <= end) {
        const length = view.getUint32(at, true);
        if (length > size) return false;
        at += stepOf(length);
      }
      return at === end && size > 0 && this.missing === 0;
    }
    if (kind === kindFirst) {
      const total = size > 8 ? view.getUint32(start, true) : 0;
      if (this.missing !== 0 || total > frameBytesMax || total <= size - 8) return false;
      this.missing = total - (size - 8);
      return true;
    }
    if (size === 0 || (kind === kindLast ? size !== this.missing : kind !== kindMiddle || size >= this.missing))
      return false;
    this.missing -= size;
    return true;
  }

  private take(kind: number, bytes: Uint8Array, view: DataView, start: number, end: number): void {
    this.ackDue = true;
    this.consumed++;
    this.consumedBytes += packetHeaderBytes + end - start;
    if (kind !== kindFrames) return this.takePiece(kind, bytes, view, start, end);
    let thrown: { error: unknown } | undefined;
    for (let at = start; at < end; ) {
      const length = view.getUint32(at, true);
      const from = at + frameHeaderBytes;
      try {
        this.onFrame(this.from, bytes, view, from, from + length);
      } catch (error) {
        thrown ??= { error }; // the frames behind it are not lost with it
      }
      at += stepOf(length);
    }
    if (thrown !== undefined) throw thrown.error;
  }

  private takePiece(kind: number, bytes: Uint8Array, view: DataView, start: number, end: number): void {
    let from = start;
    if (kind === kindFirst) {
      this.whole = new Uint8Array(view.getUint32(start, true));
      this.wholeAt = 0;
      from += 8;
    }
    const whole = this.whole as Uint8Array;
    whole.set(bytes.subarray(from, end), this.wholeAt);
    this.wholeAt += end - from;
    if (kind !== kindLast) return;
    this.whole = null;
    this.onFrame(this.from, whole, new DataView(whole.buffer), 0, whole.length);
  }
}
