// A put that needs no set of siblings: this vnode is the only replica, and the key has no value, or one that goes. That is nearly
// every put there is, and it is written straight as bytes. Hot; bench/store watches it.
//
//     no record, no context                      ─▶ counter 1, this value
//     one value, of the actor that writes now    ─▶ counter + 1, this value      when the old one goes: the writer has seen just that
//                                                                                one; or says nothing, and it is dead, or last writer wins
//     anything else                              ─▶ undefined: vnode.ts decides
//
// Invariant: record and context are, byte for byte, what vnode.put(), encodeSet() and encodeContext() make of the same request
// (test/actors/plain-put.test.ts holds the two side by side). A record that is not exactly as expected is left to them.

import { counterMax } from '../limits.ts';
import { crc32 } from '../storage/crc32.ts';
import { contextVersion, type Place } from './context.ts';
import type { ActorId } from './dvv.ts';
import { compareStamps, type Stamp, send } from './hlc.ts';
import { ByteWriter } from './strict-bytes.ts';
import { hasExpiry, isTombstone, type RecordBytes, recordFormat } from './version-codec.ts';
import type { StoreRules } from './vnode.ts';

export interface PlainRequest {
  readonly value: Uint8Array;
  /** As it came; null: the writer says nothing of what he has seen. */
  readonly context: Uint8Array | null;
  /** 0: never. */
  readonly ttlMs: number;
}

export interface PlainTurn {
  readonly writer: PlainWriter;
  readonly place: Place;
  /** Wall clock. */
  readonly now: number;
  /** The newest stamp this vnode gave or saw. */
  readonly stamp: Stamp;
  readonly rules: Pick<StoreRules, 'siblings' | 'valueBytesMax'>;
}

export interface PlainWritten {
  readonly version: Uint8Array;
  /** What stands before the value in the record. */
  readonly head: Uint8Array;
  readonly counter: number;
  readonly stamp: Stamp;
}

/** The actor that writes, with what its records begin with. */
export interface PlainWriter {
  readonly actor: ActorId;
  /** Format, one actor, its id. */
  readonly begin: Uint8Array;
}

const stampBytes = 6;
const bytes = new ByteWriter();

export function plainWriter(actor: ActorId): PlainWriter {
  bytes.byte(recordFormat);
  bytes.varint(1);
  bytes.ascii(actor);
  return { actor, begin: bytes.done() };
}

/** Is that actor the only one whom the clock of a stored record names? */
export function isBy(version: Uint8Array, { begin }: PlainWriter): boolean {
  if (version.length < begin.length) return false;
  for (let index = begin.length - 1; index >= 0; index--) if (version[index] !== begin[index]) return false;
  return true;
}

/** `turn.writer` is the actor of `current`, if that is there. */
export function plainPut(
  current: RecordBytes | undefined,
  { value, context, ttlMs }: PlainRequest,
  turn: PlainTurn,
): PlainWritten | undefined {
  const { writer, now, rules } = turn;
  if (value.length > rules.valueBytesMax) return undefined;
  let counter = 1;
  let { stamp } = turn;
  if (current === undefined) {
    if (context !== null) return undefined;
  } else {
    const before = soleCounter(current.version, writer.begin.length);
    if (before === 0 || !readSole(current.value)) return undefined;
    if (compareStamps(stamp, sole) < 0) stamp = { ms: sole.ms, tick: sole.tick };
    if (context === null ? rules.siblings && !isDead(now) : !hasSeen(context, before, stamp, turn)) return undefined;
    counter = before + 1;
  }
  const made = send(stamp, now);
  const expiresAt = ttlMs === 0 ? 0 : Math.floor(now) + ttlMs;
  bytes.raw(writer.begin);
  bytes.varint(counter);
  bytes.byte(1);
  bytes.byte(0);
  const version = bytes.done();
  bytes.byte(recordFormat);
  bytes.byte(expiresAt === 0 ? 0 : hasExpiry);
  bytes.fixed(made.ms, stampBytes);
  bytes.varint(made.tick);
  if (expiresAt !== 0) bytes.fixed(expiresAt, stampBytes);
  bytes.varint(value.length);
  return { version, head: bytes.done(), counter, stamp: made };
}

/** What the writer has seen then: his write, and all that this actor wrote to the key before. */
export function plainContext({ counter, stamp }: PlainWritten, { writer: { begin }, place }: PlainTurn): Uint8Array {
  bytes.byte(contextVersion);
  bytes.fixed(place.store, 4);
  bytes.fixed(place.key, 4);
  bytes.fixed(stamp.ms, stampBytes);
  bytes.varint(stamp.tick);
  // One actor and its id stand there as in a record.
  bytes.raw(begin, 1);
  bytes.varint(counter);
  bytes.byte(0);
  bytes.fixed(bytes.sum(crc32), 4);
  return bytes.done();
}

// Reading the record that is there: no allocation, and no message about what is wrong with it.

let at = 0;
const sole = { ms: 0, tick: 0, expiresAt: 0, tombstone: false };

/** How often the only actor of this clock has written, if his last write is the one that is current; else 0. */
function soleCounter(version: Uint8Array, from: number): number {
  at = from;
  const counter = readVarint(version);
  // One dot, no further down than the counter itself.
  if (counter < 1 || counter >= counterMax || version[at] !== 1 || version[at + 1] !== 0) return 0;
  return at + 2 === version.length ? counter : 0;
}

/** The only value of a record, as far as it decides anything. False: look closer. */
function readSole(value: Uint8Array): boolean {
  const flags = value[1];
  if (value[0] !== recordFormat || flags === undefined || (flags & ~(isTombstone | hasExpiry)) !== 0) return false;
  at = 2;
  sole.ms = readFixed(value, stampBytes);
  sole.tick = readVarint(value);
  sole.tombstone = (flags & isTombstone) !== 0;
  sole.expiresAt = (flags & hasExpiry) === 0 ? 0 : readFixed(value, stampBytes);
  const length = readVarint(value);
  if (sole.tick < 0 || length < 0 || at + length !== value.length) return false;
  if (sole.tombstone && (length > 0 || sole.expiresAt !== 0)) return false;
  return sole.expiresAt > 0 || (flags & hasExpiry) === 0;
}

/**
 * Does this context say just what plainContext() did of the value that is there? Of its stamp only that a stamp of ours is not earlier:
 * how far ahead of all clocks a context may be is not decided here.
 */
function hasSeen(context: Uint8Array, counter: number, known: Stamp, { writer, place }: PlainTurn): boolean {
  const end = context.length - 4;
  if (context[0] !== contextVersion || end < 15) return false;
  at = 1;
  if (readFixed(context, 4) !== place.store || readFixed(context, 4) !== place.key) return false;
  const ms = readFixed(context, stampBytes);
  const tick = readVarint(context);
  if (tick < 0 || compareStamps({ ms, tick }, known) > 0) return false;
  const { begin } = writer;
  for (let index = 1; index < begin.length; index++) if (context[at++] !== begin[index]) return false;
  if (readVarint(context) !== counter || context[at++] !== 0 || at !== end) return false;
  return readFixed(context, 4) === crc32(context, 0, 0, end);
}

/** It reads as deleted: who writes without having seen it need not keep it. */
function isDead(now: number): boolean {
  return sole.tombstone || (sole.expiresAt !== 0 && sole.expiresAt <= now);
}

function readFixed(from: Uint8Array, count: number): number {
  let value = 0;
  for (const end = at + count; at < end; at++) value = value * 256 + (from[at] as number);
  return value;
}

/** -1: not one, or not as we write it. */
function readVarint(from: Uint8Array): number {
  let value = 0;
  let scale = 1;
  for (let count = 0; count < 8 && at < from.length; count++) {
    const byte = from[at++] as number;
    value += (byte & 127) * scale;
    if (byte < 128) return (byte === 0 && count > 0) || !Number.isSafeInteger(value) ? -1 : value;
    scale *= 128;
  }
  return -1;
}
