// A link to another process: frames over whatever stream there is at the moment, and over the next one when that breaks.
//
//     begin/end/send ─▶ open packet ──turn ends, or it is full──▶ unacknowledged ──▶ stream ──▶ receiver ──▶ onFrame
//                                                                     ▲  forgotten when acknowledged      └ held while it has paused
//                                                                     └── sent again after attach()
//
// The two ends share a session: packets are numbered from 1 in each direction. attach() says how far the other end has got, so
// what had arrived is forgotten and the rest is sent again; the receiver takes the next number only, so nothing is lost or doubled
// however often the stream breaks. When the session ends, what was written and not acknowledged may or may not have arrived
// ('unknown'), and the rest never left ('unsent').
//
// Credit: the receiver says up to which byte of the session it will take data: what it has handed out, and a window. The sender
// refuses beyond that, and beyond what it is willing to keep. So a reader that has paused costs one window on either side.
//
// Hot path: begin and end write into the open packet and allocate nothing; a packet is one small object and a view of its slab.

import { TroupeError } from '../../errors.ts';
import {
  frameBytesMax,
  packetBytes,
  peerLinkBytesDefault,
  peerSlabBytes,
  peerWindowBytesMax,
  ringWindowShare,
  writableWaitersMax,
} from '../../limits.ts';
import type { LinkWriter } from '../link.ts';
import { tooLarge } from '../shared-ring.ts';
import {
  ackBytes,
  type Crc32,
  frameHeaderBytes,
  joined,
  kindAck,
  kindBeat,
  kindFirst,
  kindFrames,
  kindLast,
  kindMiddle,
  packetHeaderBytes,
  packetOf,
  sealPacket,
  stepOf,
} from './packet.ts';
import { Inbox, type Progress } from './peer-inbox.ts';
import type { LinkStream, PeerLinkOptions } from './peer-link-options.ts';
import { type Packet, type Remains, remainsOf } from './remains.ts';

export class PeerLink implements LinkWriter {
  bytes: Uint8Array;
  view: DataView;
  readonly windowMax: number;

  private readonly crc32: Crc32;
  private readonly soon: (fn: () => void) => void;
  private readonly bytesMax: number;
  private readonly slabBytes: number;
  private readonly inbox: Inbox;
  private stream: LinkStream | undefined;
  private choked = false;
  /** After finish(). */
  isEnded = false;
  /** Unacknowledged packets, oldest first; its first one has the number acked + 1. */
  private packets: Packet[] = [];
  private acked = 0;
  private ackedBytes = 0;
  /** How many of `packets` this stream has been given. */
  private given = 0;
  private sealedBytes = 0;
  private granted = 0;
  /** The open packet: from where in the slab, and how far. */
  private start = 0;
  private fillAt = packetHeaderBytes;
  private window = -1;
  private rest: Uint8Array | null = null;
  private restAt = 0;
  private scheduled = false;
  private waiters: (() => void)[] = [];
  private frames = 0;
  private sentBytes = 0;
  private refused = 0;
  private pieces = 0;
  private resent = 0;
  private readonly turn = (): void => this.flush();
  private readonly later: ((fn: () => void) => void) | undefined;
  private ackPlanned = false;
  private readonly ackTurn = (): void => {
    this.ackPlanned = false;
    this.pump(this.ack());
  };

  constructor(options: PeerLinkOptions) {
    this.crc32 = options.crc32;
    this.soon = fn => options.soon(fn);
    this.bytesMax = options.bytesMax ?? peerLinkBytesDefault;
    this.windowMax = Math.min(peerWindowBytesMax, this.bytesMax / ringWindowShare);
    this.slabBytes = Math.min(peerSlabBytes, 4 * (this.windowMax + 64));
    this.bytes = new Uint8Array(this.slabBytes);
    this.view = new DataView(this.bytes.buffer);
    this.inbox = new Inbox(options.from, options.onFrame, this.bytesMax);
    this.later = options.later?.bind(options);
  }

  begin(bytesMax: number): number {
    if (bytesMax > this.windowMax) throw tooLarge(bytesMax, this.windowMax);
    if (!this.admits(bytesMax)) return -1;
    this.makePlace(stepOf(bytesMax));
    this.window = bytesMax;
    return this.fillAt + frameHeaderBytes;
  }

  end(bytes: number): void {
    if (bytes > this.window) throw tooLarge(bytes, this.window);
    this.window = -1;
    if (bytes > 0) this.publish(bytes);
  }

  send(frame: Uint8Array): boolean {
    if (frame.length > frameBytesMax) throw tooLarge(frame.length, frameBytesMax);
    this.window = -1;
    if (!this.admits(Math.min(frame.length, this.windowMax))) return false;
    if (frame.length <= this.windowMax) {
      this.makePlace(stepOf(frame.length));
      this.bytes.set(frame, this.fillAt + frameHeaderBytes);
      this.publish(frame.length);
      return true;
    }
    this.frames++;
    this.sentBytes += frame.length;
    this.pieces++;
    this.seal();
    this.rest = frame.slice();
    this.restAt = 0;
    this.pushRest();
    this.schedule();
    return true;
  }

  onWritable(fn: () => void): void {
    if (this.waiters.length >= writableWaitersMax)
      throw new TroupeError('OVERLOADED', `${writableWaitersMax} callers already wait for room on this link`);
    this.waiters.push(fn);
    this.schedule();
  }

  stats(): { frames: number; bytes: number; refused: number; pieces: number } {
    return { frames: this.frames, bytes: this.sentBytes, refused: this.refused, pieces: this.pieces };
  }

  /** Bytes of the session that the other end has read (32 bits), and those it has not. */
  get readAt(): number {
    return this.ackedBytes | 0;
  }
  get unread(): number {
    return this.sealedBytes - this.ackedBytes + (this.fillAt - this.start - packetHeaderBytes);
  }

  /** Where this end is, for the other end's attach(). */
  progress(): Progress {
    return this.inbox.progress();
  }

  /** Goes on over a new stream. `peer`: how far the other end has got. False: that cannot be, the sessions differ. */
  attach(stream: LinkStream, peer: Progress): boolean {
    if (this.isEnded || !this.acknowledge(peer)) return false;
    this.stream = stream;
    this.choked = false;
    for (const { written } of this.packets) if (written) this.resent++;
    this.given = 0;
    this.schedule();
    return true;
  }

  /** Less than has been acknowledged already: the word of a connection that was overtaken by another. */
  isBehind(peer: Progress): boolean {
    return peer.received < this.acked;
  }

  /** All that was sent has been acknowledged. */
  get isQuiet(): boolean {
    return this.packets.length === 0 && this.rest === null && this.fillAt === this.start + packetHeaderBytes;
  }

  /** The stream has broken. What it was given is kept. */
  detach(): void {
    this.stream = undefined;
    this.choked = false;
  }

  /** The stream takes more again. */
  writable(): void {
    this.choked = false;
    this.pump();
  }

  /** A packet of this session has come. False: no sane peer sends that; close the connection. */
  onPacket(kind: number, number: number, bytes: Uint8Array, view: DataView, start: number, end: number): boolean {
    if (this.isEnded) return false;
    if (kind === kindBeat) return end === start;
    if (kind === kindAck) return this.onAck(view, start, end);
    try {
      return this.inbox.onPacket(kind, number, bytes, view, start, end);
    } finally {
      this.schedule(); // an acknowledgement is due, also when a handler threw
    }
  }

  /** Something must be heard of us even when there is nothing to say. */
  beat(): void {
    this.stream?.write(packetOf(kindBeat, new Uint8Array(0), this.crc32));
  }

  /** The reader keeps up no more: frames are held, and no more is granted. */
  pause(): void {
    this.inbox.pause();
  }

  resume(): void {
    try {
      this.inbox.resume();
    } finally {
      this.schedule();
    }
  }

  /** The session is over: the other process has another life, or this one gives up. Everything is refused from now on. */
  finish(): Remains {
    this.seal();
    this.isEnded = true;
    this.stream = undefined;
    const remains = remainsOf(this.packets, this.rest);
    this.rest = null;
    this.packets = [];
    this.given = 0;
    this.waiters = [];
    return remains;
  }

  describe(): object {
    return {
      attached: this.stream !== undefined,
      ended: this.isEnded,
      unackedPackets: this.packets.length,
      unackedBytes: this.sealedBytes - this.ackedBytes,
      credit: this.granted - this.sealedBytes,
      resent: this.resent,
      waiting: this.waiters.length,
      ...this.stats(),
      ...this.inbox.describe(),
    };
  }

  private admits(bytes: number): boolean {
    if (!this.isEnded && this.rest === null && this.hasRoom(stepOf(bytes))) return true;
    this.refused++;
    return false;
  }

  /** Room for a packet of its own with so many bytes in it, behind what is there. */
  private hasRoom(need: number): boolean {
    const used = this.sealedBytes + (this.fillAt - this.start) + packetHeaderBytes;
    return used + need <= Math.min(this.granted, this.ackedBytes + this.bytesMax);
  }

  /** A frame of so many bytes fits behind the open packet, or a new slab is begun. */
  private makePlace(step: number): void {
    if (this.fillAt + step <= this.slabBytes) return;
    this.seal();
    if (this.fillAt + step > this.slabBytes) this.beginSlab();
  }

  private beginSlab(): void {
    this.bytes = new Uint8Array(this.slabBytes);
    this.view = new DataView(this.bytes.buffer);
    this.start = 0;
    this.fillAt = packetHeaderBytes;
  }

  private publish(bytes: number): void {
    this.frames++;
    this.sentBytes += bytes;
    this.view.setUint32(this.fillAt, bytes, true);
    this.view.setUint32(this.fillAt + 4, 0, true);
    this.fillAt += stepOf(bytes);
    if (this.fillAt - this.start < packetBytes) return this.schedule();
    this.seal();
    this.pump();
  }

  /** The open packet is complete, if there is anything in it. */
  private seal(): void {
    if (this.fillAt === this.start + packetHeaderBytes) return;
    this.append(kindFrames, this.bytes.subarray(this.start, this.fillAt), undefined);
    this.start = this.fillAt;
    this.fillAt += packetHeaderBytes;
  }

  private append(kind: number, bytes: Uint8Array, whole: Uint8Array | undefined): void {
    sealPacket(bytes, kind, this.acked + this.packets.length + 1, this.crc32);
    this.sealedBytes += bytes.length;
    this.packets.push({ kind, bytes, upTo: this.sealedBytes, whole, written: false });
  }

  /** As many pieces as there is credit for. */
  private pushRest(): void {
    const { rest } = this;
    if (rest === null) return;
    while (this.restAt < rest.length) {
      const lead = this.restAt === 0 ? 8 : 0;
      const count = Math.min(this.windowMax - 8, rest.length - this.restAt);
      if (!this.hasRoom(lead + count)) return;
      const bytes = new Uint8Array(packetHeaderBytes + lead + count);
      if (lead > 0) new DataView(bytes.buffer).setUint32(packetHeaderBytes, rest.length, true);
      bytes.set(rest.subarray(this.restAt, this.restAt + count), packetHeaderBytes + lead);
      this.restAt += count;
      const last = this.restAt === rest.length;
      this.append(lead > 0 ? kindFirst : last ? kindLast : kindMiddle, bytes, last ? rest : undefined);
    }
    this.rest = null;
  }

  private schedule(): void {
    if (this.scheduled || this.isEnded) return;
    this.scheduled = true;
    this.soon(this.turn);
  }

  /** The end of a turn: what was sent in it leaves together, and with it how far we have read. */
  private flush(): void {
    this.scheduled = false;
    if (this.isEnded) return;
    this.pushRest();
    if (this.rest === null) this.seal();
    this.pump(this.ackOfTurn());
    if (this.waiters.length === 0 || this.rest !== null || !this.hasRoom(stepOf(this.windowMax))) return;
    const waiters = this.waiters;
    this.waiters = [];
    for (const fn of waiters) fn();
  }

  /** One that goes with data costs nothing; alone it wakes the other end for nothing. */
  private ackOfTurn(): Uint8Array | undefined {
    if (!this.inbox.ackDue) return undefined;
    const withData = !this.choked && this.given < this.packets.length;
    if (withData || this.later === undefined || this.inbox.isAckUrgent) return this.ack();
    if (this.ackPlanned) return undefined;
    this.ackPlanned = true;
    this.later(this.ackTurn);
    return undefined;
  }

  /** If one is due. In the slab between two packets, itself none: nobody numbers it, keeps it or sends it again. */
  private ack(): Uint8Array | undefined {
    if (this.stream === undefined || !this.inbox.ackDue) return undefined;
    this.seal();
    if (this.start + ackBytes > this.slabBytes) this.beginSlab();
    const ack = this.inbox.writeAck(this.bytes, this.view, this.start, this.crc32);
    this.start += ackBytes;
    this.fillAt += ackBytes;
    return ack;
  }

  /** `tail` leaves in one piece with the packet before it. */
  private pump(tail?: Uint8Array): void {
    let ack = tail;
    while (this.stream !== undefined && !this.choked && this.given < this.packets.length) {
      const packet = this.packets[this.given++] as Packet;
      packet.written = true;
      const both = ack && joined(packet.bytes, ack);
      if (both !== undefined) ack = undefined;
      if (!this.stream.write(both ?? packet.bytes)) this.choked = true;
    }
    if (ack !== undefined) this.stream?.write(ack);
  }

  private onAck(view: DataView, start: number, end: number): boolean {
    if (end - start !== 16) return false;
    const behind = (view.getUint32(start, true) - this.acked) | 0;
    if (behind < 0) return true; // an older word than the one at the beginning of this stream
    return this.acknowledge({ received: this.acked + behind, granted: view.getFloat64(start + 8, true) });
  }

  /** Only what was written can have arrived, and credit is never taken back. */
  private acknowledge({ received, granted }: Progress): boolean {
    const count = received - this.acked;
    if (!Number.isSafeInteger(granted) || !Number.isInteger(count) || count < 0 || count > this.packets.length)
      return false;
    if (count > 0 && this.packets[count - 1]?.written !== true) return false;
    if (granted < this.granted) return granted >= 0;
    this.granted = granted;
    if (count > 0) {
      this.ackedBytes = (this.packets[count - 1] as Packet).upTo;
      this.packets.splice(0, count);
      this.acked = received;
      this.given = Math.max(0, this.given - count);
    }
    if (this.waiters.length > 0 || this.rest !== null) this.schedule();
    return true;
  }
}
