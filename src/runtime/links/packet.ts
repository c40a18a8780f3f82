// The framing of a link between processes: a packet carries all frames of one turn of the event loop, or a piece of a large one.
//
//     0        4     5      6       8        12       16
//     ├ length ┼ kind┼ zero ┼ guard ┼ crc 32 ┼ number ┼ body ...        little-endian; number: of a data packet, modulo 2^32
//       of the body          of the   of number
//                            6 before and body
//
// The guard is there so that a length with a flipped bit is noticed before we wait for as many bytes; the CRC finds the rest. One CRC
// a packet instead of one a frame, because the call costs 200 ns and a small frame 100.
//
// Invariant: a packet is handed out whole and once, after its check; nothing is allocated for more than bodyMax bytes.

import { packetBodyBytesMax } from '../../limits.ts';

export const packetHeaderBytes = 16;

/** Before the session; it never sees one. */
export const kindGreeting = 1;
export const kindFrames = 2;
export const kindFirst = 3;
export const kindMiddle = 4;
export const kindLast = 5;
export const kindAck = 6;
export const kindBeat = 7;
/** The session is over; empty. */
export const kindGoodbye = 8;

/** zlib.crc32, or anything that computes the same. */
export type Crc32 = (bytes: Uint8Array) => number;

/** Why a stream cannot go on: after a bad header nobody knows where the next packet begins. */
export type PacketTrouble = 'bad-header' | 'too-long' | 'bad-check';

export type OnPacket = (
  kind: number,
  number: number,
  bytes: Uint8Array,
  view: DataView,
  start: number,
  end: number,
) => void;

/** Fills in the header of a packet whose body lies behind it. */
export function sealPacket(packet: Uint8Array, kind: number, number: number, crc32: Crc32): void {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  const length = packet.length - packetHeaderBytes;
  view.setUint32(0, length, true);
  view.setUint8(4, kind);
  view.setUint8(5, 0);
  view.setUint16(6, guardOf(length, kind), true);
  view.setUint32(12, number >>> 0, true);
  view.setUint32(8, crc32(packet.subarray(12)), true);
}

export function packetOf(kind: number, body: Uint8Array, crc32: Crc32): Uint8Array {
  const packet = new Uint8Array(packetHeaderBytes + body.length);
  packet.set(body, packetHeaderBytes);
  sealPacket(packet, kind, 0, crc32);
  return packet;
}

function guardOf(length: number, kind: number): number {
  let mixed = Math.imul(length ^ (kind << 24) ^ 0x5bd1e995, 0x9e3779b1);
  mixed ^= mixed >>> 15;
  return (Math.imul(mixed, 0x85ebca6b) >>> 16) & 0xffff;
}

/** An acknowledgement, header and all. */
export const ackBytes: number = packetHeaderBytes + 16;

/** In a packet each frame has its length before it and is padded to 8. */
export const frameHeaderBytes = 8;
export const stepOf = (bytes: number): number => (frameHeaderBytes + bytes + 7) & ~7;

/** Both as one piece; undefined when the second does not follow the first in the same memory. */
export function joined(first: Uint8Array, second: Uint8Array): Uint8Array | undefined {
  const { buffer, byteOffset, length } = first;
  if (buffer !== second.buffer || byteOffset + length !== second.byteOffset) return undefined;
  return new Uint8Array(buffer, byteOffset, length + second.length);
}

/** The frames of a packet of ours, copied. */
export function framesIn(packet: Uint8Array): Uint8Array[] {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  const frames: Uint8Array[] = [];
  for (let at = packetHeaderBytes; at < packet.length; ) {
    const bytes = view.getUint32(at, true);
    frames.push(packet.slice(at + frameHeaderBytes, at + frameHeaderBytes + bytes));
    at += stepOf(bytes);
  }
  return frames;
}

export class PacketReader {
  /** Grows when the other side has proved who it is. */
  bodyMax: number = packetBodyBytesMax;
  trouble: PacketTrouble | undefined;
  private readonly crc32: Crc32;
  private readonly onPacket: OnPacket;
  /** The beginning of a packet whose rest has not arrived. */
  private part: Uint8Array = new Uint8Array(1_024);
  private partBytes = 0;
  private stopped = false;

  constructor(crc32: Crc32, onPacket: OnPacket) {
    this.crc32 = crc32;
    this.onPacket = onPacket;
  }

  /** A packet has begun and is not complete: who lets us wait for long is closed. */
  get midway(): boolean {
    return this.partBytes > 0;
  }

  /** Nothing more is handed out, not even from the bytes that are being read. */
  stop(): void {
    this.stopped = true;
  }

  /** False: the stream cannot go on, `trouble` says why (nothing when it was stopped). */
  push(bytes: Uint8Array): boolean {
    let at = 0;
    while (this.partBytes > 0 && at < bytes.length && this.going) at += this.fill(bytes, at);
    if (at >= bytes.length || !this.going) return this.going;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    while (at + packetHeaderBytes <= bytes.length && this.going) {
      const length = this.lengthAt(view, at);
      if (length < 0) return false;
      const end = at + packetHeaderBytes + length;
      if (end > bytes.length) break;
      if (!this.give(bytes, view, at, end)) return false;
      at = end;
    }
    if (at < bytes.length && this.going) this.fill(bytes, at);
    return this.going;
  }

  private get going(): boolean {
    return this.trouble === undefined && !this.stopped;
  }

  /** Takes what belongs to the packet that has begun. Answers with how many bytes that was. */
  private fill(bytes: Uint8Array, at: number): number {
    let taken = this.take(bytes, at, packetHeaderBytes);
    if (this.partBytes < packetHeaderBytes) return taken;
    const view = new DataView(this.part.buffer);
    const length = this.lengthAt(view, 0);
    if (length < 0) return taken;
    const whole = packetHeaderBytes + length;
    if (this.part.length < whole) {
      const larger = new Uint8Array(Math.min(packetHeaderBytes + this.bodyMax, Math.max(whole, this.part.length * 2)));
      larger.set(this.part.subarray(0, this.partBytes));
      this.part = larger;
    }
    taken += this.take(bytes, at + taken, whole);
    if (this.partBytes < whole) return taken;
    this.partBytes = 0;
    this.give(this.part, new DataView(this.part.buffer), 0, whole);
    return taken;
  }

  private take(bytes: Uint8Array, at: number, until: number): number {
    const count = Math.min(until - this.partBytes, bytes.length - at);
    if (count <= 0) return 0;
    this.part.set(bytes.subarray(at, at + count), this.partBytes);
    this.partBytes += count;
    return count;
  }

  private lengthAt(view: DataView, at: number): number {
    const length = view.getUint32(at, true);
    const kind = view.getUint8(at + 4);
    if (view.getUint8(at + 5) !== 0 || view.getUint16(at + 6, true) !== guardOf(length, kind))
      return this.fail('bad-header');
    return length > this.bodyMax ? this.fail('too-long') : length;
  }

  private give(bytes: Uint8Array, view: DataView, at: number, end: number): boolean {
    if (this.crc32(bytes.subarray(at + 12, end)) !== view.getUint32(at + 8, true)) {
      this.fail('bad-check');
      return false;
    }
    this.onPacket(view.getUint8(at + 4), view.getUint32(at + 12, true), bytes, view, at + packetHeaderBytes, end);
    return this.going;
  }

  private fail(trouble: PacketTrouble): -1 {
    this.trouble ??= trouble;
    this.partBytes = 0;
    return -1;
  }
}
