// Hot path: bench/codec watches it. Messages into a link. A frame is encoded where the link will publish it; only one that
// is larger than the link's window gets memory of its own.
//
// The intuition: the link is asked for a little more room than the message could need, and takes back what was not used.
// Numbers, text and bytes say how much they need; for objects it is a guess, tried again with more.
//
// Invariant: a frame is sent whole or not at all, and the frame that names a target comes before the first that uses it.

import { TroupeError, type WireError } from '../errors.ts';
import { errorCharsMax, frameBytesMax, senderBytesMax, traceCharsMax } from '../limits.ts';
import type { Codec } from './codec.ts';
import {
  bareHeaderBytes,
  type Envelope,
  frameAsk,
  frameControl,
  frameError,
  frameReply,
  frameTell,
  u53Bytes,
  writeBind,
  writeHeader,
} from './frame-header.ts';
import type { LinkWriter } from './link.ts';
import { TargetTable } from './target-table.ts';
import { notFit, tooLarge } from './wire-ext.ts';

/** Room asked of the link for what is not known without a walk; four times as much when it was too little. */
const objectRoom = 512;
const roomGrowth = 8;

/** One for each link. Every `encode…` returns false when the link is full, and then nothing was sent. */
export class FrameWriter {
  /** The slot of the last target: keep it and hand it in as `hint` next time. */
  slot = -1;
  /** Length of the last message. */
  bytes = 0;
  /** The most the arguments of a tell or an ask may take: what its target's mailbox holds. Set before each. */
  bytesMax: number = frameBytesMax;
  private readonly link: LinkWriter;
  private readonly codec: Codec;
  readonly targets: TargetTable = new TargetTable();
  private writing = false;

  constructor(link: LinkWriter, codec: Codec) {
    this.link = link;
    this.codec = codec;
  }

  encodeTell(
    type: string,
    key: string,
    hint: number,
    method: number,
    argc: number,
    a0: unknown,
    a1: unknown,
    a2: unknown,
    rest: readonly unknown[] | null,
    envelope: Envelope | null,
  ): boolean {
    if (!this.intern(type, key, hint)) return false;
    return this.transmit(frameTell, method, this.slot, 0, envelope, argc, a0, a1, a2, rest);
  }

  encodeAsk(
    type: string,
    key: string,
    hint: number,
    method: number,
    callId: number,
    argc: number,
    a0: unknown,
    a1: unknown,
    a2: unknown,
    rest: readonly unknown[] | null,
    envelope: Envelope | null,
  ): boolean {
    if (!this.intern(type, key, hint)) return false;
    return this.transmit(frameAsk, method, this.slot, callId, envelope, argc, a0, a1, a2, rest);
  }

  encodeReply(callId: number, value: unknown): boolean {
    return this.transmit(
      frameReply,
      0,
      0,
      callId,
      null,
      value === undefined ? 0 : 1,
      value,
      undefined,
      undefined,
      null,
    );
  }

  /** Details that cannot be sent, and the end of a very long message, stay behind: an error must always get through. */
  encodeError(callId: number, error: WireError): boolean {
    try {
      return this.transmit(frameError, 0, 0, callId, null, 1, error, undefined, undefined, null);
    } catch {
      return this.transmit(frameError, 0, 0, callId, null, 1, bareError(error), undefined, undefined, null);
    }
  }

  encodeControl(name: string, payload: unknown): boolean {
    return this.transmit(frameControl, 0, 0, 0, null, 2, name, payload, undefined, null);
  }

  /** Sets `slot`; tells the other side when it does not know the address yet. */
  private intern(type: string, key: string, hint: number): boolean {
    const slot = this.targets.slotOf(type, key, hint);
    this.slot = slot;
    return slot >= 0 || this.bind(~slot, type, key);
  }

  private bind(slot: number, type: string, key: string): boolean {
    const link = this.link;
    const room = Math.min(bareHeaderBytes + 1 + (type.length + key.length) * 3, link.windowMax);
    const at = this.open(room);
    if (at < 0) return false;
    const end = writeBind(slot, type, key, link.bytes, link.view, at, at + room);
    this.close(end < 0 ? 0 : end - at);
    if (end < 0) throw tooLarge(`an address longer than a frame of ${link.windowMax} bytes`);
    this.targets.bind(slot, type, key);
    this.slot = slot;
    return true;
  }

  private transmit(
    kind: number,
    method: number,
    slot: number,
    callId: number,
    envelope: Envelope | null,
    argc: number,
    a0: unknown,
    a1: unknown,
    a2: unknown,
    rest: readonly unknown[] | null,
  ): boolean {
    const { link, codec } = this;
    let room = bareHeaderBytes + (envelope === null ? 0 : roomOfEnvelope(envelope));
    if (argc > 0) room += roomOf(a0);
    if (argc > 1) room += roomOf(a1);
    if (argc > 2) room += roomOf(a2);
    if (rest !== null) room += objectRoom;
    for (;;) {
      if (room > link.windowMax) room = link.windowMax;
      const at = this.open(room);
      if (at < 0) return false;
      let end = notFit;
      let used = 0;
      try {
        const limit = at + room;
        const body = writeHeader(kind, method, slot, callId, envelope, link.bytes, link.view, at, limit);
        // Set only when all of it is there: an argument that cannot be sent throws, and half a frame must not be published.
        if (body >= 0) end = codec.encodeArgs(argc, a0, a1, a2, rest, link.bytes, link.view, body, limit);
        if (end >= 0) {
          this.checkFits(end - body, kind);
          used = end - at;
          this.bytes = used;
        }
      } finally {
        this.close(used);
      }
      if (end >= 0) return true;
      if (room === link.windowMax) break;
      room *= roomGrowth;
    }
    return this.transmitApart(kind, method, slot, callId, envelope, argc, a0, a1, a2, rest);
  }

  /** A frame larger than a window: written in memory of its own, and handed to the link to cut up. */
  private transmitApart(
    kind: number,
    method: number,
    slot: number,
    callId: number,
    envelope: Envelope | null,
    argc: number,
    a0: unknown,
    a1: unknown,
    a2: unknown,
    rest: readonly unknown[] | null,
  ): boolean {
    for (let room = this.link.windowMax * roomGrowth; ; room *= roomGrowth) {
      if (room > frameBytesMax) room = frameBytesMax;
      const bytes = new Uint8Array(room);
      const view = new DataView(bytes.buffer);
      const body = writeHeader(kind, method, slot, callId, envelope, bytes, view, 0, room);
      const end = body < 0 ? notFit : this.codec.encodeArgs(argc, a0, a1, a2, rest, bytes, view, body, room);
      if (end >= 0) {
        this.checkFits(end - body, kind);
        this.bytes = end;
        return this.link.send(bytes.subarray(0, end));
      }
      if (room === frameBytesMax) throw tooLarge(`more than ${frameBytesMax} bytes`);
    }
  }

  /** A message larger than the whole mailbox it is for is refused here, where its sender can hear of it. */
  private checkFits(bytes: number, kind: number): void {
    if (bytes > this.bytesMax && (kind === frameTell || kind === frameAsk)) {
      throw tooLarge(`${bytes} bytes, more than the ${this.bytesMax} of the whole mailbox it is for`);
    }
  }

  private open(room: number): number {
    if (this.writing) {
      throw new TroupeError(
        'BAD_MESSAGE',
        'a getter in the arguments of a message sent another one to the same thread',
      );
    }
    const at = this.link.begin(room);
    this.writing = at >= 0;
    return at;
  }

  private close(bytes: number): void {
    this.writing = false;
    this.link.end(bytes);
  }
}

/** Enough for numbers, text and bytes; a guess for the rest. */
function roomOf(value: unknown): number {
  if (typeof value === 'string') return 5 + value.length * 3;
  if (typeof value !== 'object' || value === null) return typeof value === 'bigint' ? objectRoom : 16;
  return ArrayBuffer.isView(value) ? 16 + value.byteLength : objectRoom;
}

function roomOfEnvelope(envelope: Envelope): number {
  let room = 2 * u53Bytes + 4 + 3;
  if (envelope.sender !== null) room += senderBytesMax;
  if (envelope.trace !== null) room += traceCharsMax;
  if (envelope.chain !== null) for (const address of envelope.chain) room += 2 + address.length * 3;
  return room;
}

function bareError([code, message, details, outcome, retryable]: WireError): WireError {
  const plain = Object.entries(details).filter(
    ([, detail]) => typeof detail === 'number' || (typeof detail === 'string' && detail.length <= traceCharsMax),
  );
  return [code, message.slice(0, errorCharsMax), Object.fromEntries(plain), outcome, retryable];
}
