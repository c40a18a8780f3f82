// Hot path: bench/codec watches it. What travels on a link: one message to an actor, one answer, or one word between
// hosts. The header is laid out by hand and written straight into the link's window; the arguments follow in msgpack.
//
//    0         1         2         3         4                                     8
//   +---------+---------+---------+---------+---------+---------+---------+---------+
//   | version | kind    | flags   | method  | slot of the target (u32)              |
//   +---------+---------+---------+---------+---------------------------------------+
//   | call id (u53)                 ask, reply, error                               |
//   | epoch of the owner (u53)      flag 16                                         |
//   | time left, 1/16 ms (u32)      flag 1                                          |
//   | sequence (u53), sender        flag 8     sender: u8 bytes, text               |
//   | trace                         flag 4     u8 bytes, text                       |
//   | chain                         flag 2     u8 count, each: u16 bytes, text      |
//   | payload                       one msgpack array up to the end of the frame    |
//   +-------------------------------------------------------------------------------+
//
//   payload of tell, ask: the arguments; of reply: the answer, or nothing when it is undefined; of error: a WireError;
//   of control: name and payload. `bind` carries u8 bytes, type, key instead. Numbers are little-endian, u53 is two u32.
//   Flag 128 is kept for a CRC32 over frames on a socket; between threads the ring has its own.
//
// The intuition: most frames are tells to an actor this link has spoken to before, so those are eight bytes and the
// arguments. Everything else is behind a flag or a kind, and costs a test of one byte when it is not there.
//
// Invariant: readHeader() understands whatever writeHeader() wrote; on any other bytes it throws BAD_MESSAGE.

import { TroupeError } from '../errors.ts';
import { chainDepthMax, senderBytesMax, traceCharsMax } from '../limits.ts';
import type { Arguments } from './codec.ts';
import { KeyCache } from './key-cache.ts';
import { textOf } from './short-text.ts';
import { badMessage, notFit, tooLarge, writeText } from './wire-ext.ts';

export const frameVersion = 1;

export const frameTell = 1;
export const frameAsk = 2;
export const frameReply = 3;
export const frameError = 4;
export const frameBind = 5;
export const frameControl = 6;

const asksSomething = (kind: number): boolean => kind === frameAsk || kind === frameReply || kind === frameError;

const hasTimeLeft = 1;
const hasChain = 2;
const hasTrace = 4;
const hasSender = 8;
const hasEpoch = 16;
const knownFlags = hasTimeLeft | hasChain | hasTrace | hasSender | hasEpoch;

/** The part every frame has. */
export const fixedBytes = 8;
export const u53Bytes = 8;
const flagsAt = 2;
const ticksPerMs = 16;
/** 3 days and 2 hours. A longer deadline arrives as this one. */
const ticksMax = 0xffff_ffff;

/** What a message may carry besides its arguments. One object, reused by who sends. */
export class Envelope {
  /** Infinity: no deadline. */
  remainingMs: number = Number.POSITIVE_INFINITY;
  /** Addresses of the turns above an ask, nearest first; for finding deadlocks. */
  chain: readonly string[] | null = null;
  /** W3C traceparent. */
  trace: string | null = null;
  /** Who sent it, and the how-manieth of that sender for this target it is; for dropping duplicates after a move. */
  sender: string | null = null;
  sequence = 0;
  /** Epoch of the owner it is meant for; -1: whoever owns it. */
  epoch = -1;
}

/** A tell or an ask that has arrived. Each reader has one and fills it anew: take what is needed during the call. */
export class Frame<T> extends Envelope implements Arguments {
  from = -1;
  kind = 0;
  method = 0;
  /** 0 for a tell. */
  callId = 0;
  target: T | undefined = undefined;
  argc = 0;
  a0: unknown = undefined;
  a1: unknown = undefined;
  a2: unknown = undefined;
  rest: unknown[] | null = null;
}

/** Most bytes a header takes without an envelope. */
export const bareHeaderBytes: number = fixedBytes + u53Bytes;

// --- Writing: the end offset, or notFit. ----------------------------------------------------------------------------

export function writeHeader(
  kind: number,
  method: number,
  slot: number,
  callId: number,
  envelope: Envelope | null,
  bytes: Uint8Array,
  view: DataView,
  at: number,
  limit: number,
): number {
  if (at + bareHeaderBytes > limit) return notFit;
  bytes[at] = frameVersion;
  bytes[at + 1] = kind;
  bytes[at + flagsAt] = 0;
  bytes[at + 3] = method;
  view.setUint32(at + 4, slot, true);
  let end = at + fixedBytes;
  if (asksSomething(kind)) end = writeU53(callId, view, end);
  return envelope === null ? end : writeEnvelope(envelope, bytes, view, at, end, limit);
}

function writeEnvelope(
  envelope: Envelope,
  bytes: Uint8Array,
  view: DataView,
  frame: number,
  at: number,
  limit: number,
): number {
  if (at + u53Bytes + 4 + u53Bytes > limit) return notFit;
  let flags = 0;
  let end = at;
  if (envelope.epoch >= 0) {
    flags |= hasEpoch;
    end = writeU53(envelope.epoch, view, end);
  }
  if (envelope.remainingMs !== Number.POSITIVE_INFINITY) {
    flags |= hasTimeLeft;
    // Rounded up: what has time left must not arrive as expired.
    const ticks = Math.ceil(envelope.remainingMs * ticksPerMs);
    view.setUint32(end, Math.max(0, Math.min(ticks, ticksMax)), true);
    end += 4;
  }
  if (envelope.sender !== null) {
    flags |= hasSender;
    end = writeU53(envelope.sequence, view, end);
    end = writeText8(envelope.sender, 'a sender', senderBytesMax, bytes, end, limit);
  }
  if (envelope.trace !== null && end >= 0) {
    flags |= hasTrace;
    end = writeText8(envelope.trace, 'a trace', traceCharsMax, bytes, end, limit);
  }
  if (envelope.chain !== null && end >= 0) {
    flags |= hasChain;
    end = writeChain(envelope.chain, bytes, view, end, limit);
  }
  bytes[frame + flagsAt] = flags;
  return end;
}

function writeChain(chain: readonly string[], bytes: Uint8Array, view: DataView, at: number, limit: number): number {
  if (chain.length > chainDepthMax) throw tooLarge(`a chain of ${chain.length} asks, more than ${chainDepthMax}`);
  if (at >= limit) return notFit;
  bytes[at] = chain.length;
  let end = at + 1;
  for (const address of chain) {
    const start = end + 2;
    if (start > limit) return notFit;
    end = writeText(address, bytes, start, limit);
    if (end < 0) return end;
    if (end - start > 0xffff) throw tooLarge('an address above 65,535 bytes in its chain');
    view.setUint16(start - 2, end - start, true);
  }
  return end;
}

function writeText8(text: string, what: string, max: number, bytes: Uint8Array, at: number, limit: number): number {
  if (at >= limit) return notFit;
  const end = writeText(text, bytes, at + 1, limit);
  if (end < 0) return end;
  const length = end - at - 1;
  if (length > max) throw new TroupeError('BAD_MESSAGE', `${what} is ${length} bytes long, more than ${max}`);
  bytes[at] = length;
  return end;
}

function writeU53(value: number, view: DataView, at: number): number {
  const low = value >>> 0;
  view.setUint32(at, low, true);
  view.setUint32(at + 4, low === value ? 0 : (value - low) / 0x1_0000_0000, true);
  return at + u53Bytes;
}

/** The whole frame that gives an address its slot. */
export function writeBind(
  slot: number,
  type: string,
  key: string,
  bytes: Uint8Array,
  view: DataView,
  at: number,
  limit: number,
): number {
  const start = writeHeader(frameBind, 0, slot, 0, null, bytes, view, at, limit);
  if (start < 0) return notFit;
  const typeEnd = writeText8(type, 'an actor type', 0xff, bytes, start, limit);
  return typeEnd < 0 ? notFit : writeText(key, bytes, typeEnd, limit);
}

// --- Reading --------------------------------------------------------------------------------------------------------

/** Fills all of the frame but its target and its payload; returns where the payload begins. `slot` is left to slotOf(). */
export function readHeader(
  frame: Frame<unknown>,
  bytes: Uint8Array,
  view: DataView,
  start: number,
  end: number,
): number {
  if (end - start < fixedBytes) throw badMessage(`${end - start} bytes, less than a header`, start);
  if (bytes[start] !== frameVersion) throw badMessage(`version ${bytes[start]}, not ${frameVersion}`, start);
  const kind = bytes[start + 1] as number;
  const flags = bytes[start + flagsAt] as number;
  if (kind < frameTell || kind > frameControl) throw badMessage(`kind ${kind}, which is none`, start + 1);
  if ((flags & ~knownFlags) !== 0) throw badMessage(`flags ${flags}, some of which mean nothing`, start + flagsAt);
  frame.kind = kind;
  frame.method = bytes[start + 3] as number;
  let at = start + fixedBytes;
  if (asksSomething(kind)) {
    if (at + u53Bytes > end) throw cut(at);
    frame.callId = readU53(view, at);
    at += u53Bytes;
  } else {
    frame.callId = 0;
  }
  if (flags === 0) return clearEnvelope(frame, at);
  return readEnvelope(frame, flags, bytes, view, at, end);
}

export const slotOf = (view: DataView, start: number): number => view.getUint32(start + 4, true);

function clearEnvelope(envelope: Envelope, at: number): number {
  envelope.remainingMs = Number.POSITIVE_INFINITY;
  envelope.chain = null;
  envelope.trace = null;
  envelope.sender = null;
  envelope.sequence = 0;
  envelope.epoch = -1;
  return at;
}

function readEnvelope(
  envelope: Envelope,
  flags: number,
  bytes: Uint8Array,
  view: DataView,
  start: number,
  end: number,
): number {
  let at = clearEnvelope(envelope, start);
  if ((flags & hasEpoch) !== 0) {
    if (at + u53Bytes > end) throw cut(at);
    envelope.epoch = readU53(view, at);
    at += u53Bytes;
  }
  if ((flags & hasTimeLeft) !== 0) {
    if (at + 4 > end) throw cut(at);
    envelope.remainingMs = view.getUint32(at, true) / ticksPerMs;
    at += 4;
  }
  if ((flags & hasSender) !== 0) {
    if (at + u53Bytes > end) throw cut(at);
    envelope.sequence = readU53(view, at);
    at += u53Bytes;
    envelope.sender = readText8(bytes, at, end);
    at += 1 + (bytes[at] as number);
  }
  if ((flags & hasTrace) !== 0) {
    envelope.trace = readText8(bytes, at, end);
    if ((bytes[at] as number) > traceCharsMax) throw badMessage(`a trace of ${bytes[at]} bytes`, at);
    at += 1 + (bytes[at] as number);
  }
  if ((flags & hasChain) !== 0) {
    if (at >= end) throw cut(at);
    const count = bytes[at++] as number;
    if (count > chainDepthMax) throw badMessage(`a chain of ${count} asks, more than ${chainDepthMax}`, at);
    const chain: string[] = [];
    for (let i = 0; i < count; i++) {
      if (at + 2 > end) throw cut(at);
      const length = view.getUint16(at, true);
      at += 2;
      if (length > end - at) throw cut(at);
      chain.push(textAt(bytes, at, length));
      at += length;
    }
    envelope.chain = chain;
  }
  return at;
}

export function readBind(bytes: Uint8Array, at: number, end: number): [type: string, key: string] {
  const type = readText8(bytes, at, end);
  const keyAt = at + 1 + (bytes[at] as number);
  return [type, textOf(bytes, keyAt, end - keyAt)];
}

function readText8(bytes: Uint8Array, at: number, end: number): string {
  if (at >= end || (bytes[at] as number) > end - at - 1) throw cut(at);
  return textAt(bytes, at + 1, bytes[at] as number);
}

/** Few senders and addresses fill most frames of a moment. */
const names = new KeyCache();

const textAt = (bytes: Uint8Array, at: number, length: number): string =>
  names.find(bytes, at, length) ?? names.keep(textOf(bytes, at, length), bytes, at);

function readU53(view: DataView, at: number): number {
  const high = view.getUint32(at + 4, true);
  if (high === 0) return view.getUint32(at, true);
  if (high > 0x1f_ffff) throw badMessage('a number above 2^53', at);
  return high * 0x1_0000_0000 + view.getUint32(at, true);
}

const cut = (at: number): TroupeError => badMessage('an end within its header', at);
