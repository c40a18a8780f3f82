// The values that are neither plain data nor bytes: dates, big integers, typed arrays, refs. For each, how it is told
// from its look-alikes, how it is written, how its bytes are checked, and how it is read, side by side.
//
// A `write…` gets the range it may fill and returns the offset after the value, or `notFit`. A `check…` and a `read…`
// get the payload of an extension, whose length has been checked against the range before.

import { TroupeError } from '../errors.ts';
import { keyBytesMax } from '../limits.ts';
import * as wire from './wire-format.ts';

/** What a writer returns instead of an offset: no room, or a value that cannot be sent (codec-refusal.ts says which). */
export const notFit = -1;
export const refused = -2;

export const badMessage = (what: string, at: number): TroupeError =>
  new TroupeError('BAD_MESSAGE', `the message has ${what}, at byte ${at}`);
export const tooLarge = (what: string): TroupeError => new TroupeError('TOO_LARGE', `the message has ${what}`);

const encoder = new TextEncoder();
/** A byte order mark is text like any other. Bytes that are not UTF-8 become U+FFFD. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

export function writeExtHeader(bytes: Uint8Array, view: DataView, at: number, length: number, type: number): number {
  if (length < 0x100) {
    bytes[at] = wire.ext8;
    bytes[at + 1] = length;
    bytes[at + 2] = type;
    return at + 3;
  }
  bytes[at] = wire.ext32;
  view.setUint32(at + 1, length);
  bytes[at + 5] = type;
  return at + wire.extHeaderBytesMax;
}

// --- Text. TextEncoder and TextDecoder take memory that threads share, and cost 20 to 40 ns up to 1 KiB. ----------------

/** Up to here a loop over the characters is quicker than a call into the engine. */
export const shortTextMax = 31;

/** Writes text at `at`; `notFit` when it does not end before `limit`. Lone surrogates become U+FFFD. */
export function writeText(text: string, bytes: Uint8Array, at: number, limit: number): number {
  const length = text.length;
  if (length <= shortTextMax && at + length <= limit && writeAscii(text, bytes, at)) return at + length;
  const { read, written } = encoder.encodeInto(text, bytes.subarray(at, limit));
  return read === length ? at + written : notFit;
}

/** One byte a character, as long as all are ASCII. */
export function writeAscii(text: string, bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0x80) return false;
    bytes[at + i] = unit;
  }
  return true;
}

export function readText(bytes: Uint8Array, at: number, end: number): string {
  return decoder.decode(bytes.subarray(at, end));
}

// --- Dates: the timestamp of the specification, seconds and nanoseconds. -----------------------------------------------

const secondsOf64 = 0x4_0000_0000;
/** An invalid Date has no time; a nanosecond count that cannot be stands for it. */
const noTime = 0xffff_ffff;

export const isDate = (value: object): value is Date => Object.getPrototypeOf(value) === Date.prototype;

export function writeDate(date: Date, bytes: Uint8Array, view: DataView, at: number, limit: number): number {
  if (at + 15 > limit) return notFit;
  const ms = date.getTime();
  const seconds = Math.floor(ms / 1_000);
  const nanos = (ms - seconds * 1_000) * 1_000_000;
  if (seconds >= 0 && seconds < secondsOf64) {
    const high = Math.floor(seconds / 0x1_0000_0000);
    if (nanos === 0 && high === 0) {
      bytes[at] = wire.fixext4;
      bytes[at + 1] = wire.extTimestamp;
      view.setUint32(at + 2, seconds);
      return at + 6;
    }
    bytes[at] = wire.fixext8;
    bytes[at + 1] = wire.extTimestamp;
    view.setUint32(at + 2, nanos * 4 + high);
    view.setUint32(at + 6, seconds % 0x1_0000_0000);
    return at + 10;
  }
  bytes[at] = wire.ext8;
  bytes[at + 1] = 12;
  bytes[at + 2] = wire.extTimestamp;
  const valid = !Number.isNaN(ms);
  view.setUint32(at + 3, valid ? nanos : noTime);
  view.setBigInt64(at + 7, valid ? BigInt(seconds) : 0n);
  return at + 15;
}

export const checkDate = (length: number): boolean => length === 4 || length === 8 || length === 12;

export function readDate(view: DataView, at: number, length: number): Date {
  if (length === 4) return new Date(view.getUint32(at) * 1_000);
  if (length === 8) {
    const head = view.getUint32(at);
    const seconds = (head & 3) * 0x1_0000_0000 + view.getUint32(at + 4);
    return new Date(seconds * 1_000 + Math.floor((head >>> 2) / 1_000_000));
  }
  const nanos = view.getUint32(at);
  if (nanos === noTime) return new Date(Number.NaN);
  return new Date(Number(view.getBigInt64(at + 4)) * 1_000 + Math.floor(nanos / 1_000_000));
}

// --- Big integers. Numbers are never written as int64 or uint64, so those two always come back as bigint. ----------------

const int64Min = -(1n << 63n);
const uint64Max = (1n << 64n) - 1n;
const hexDigitsOfWord = 8;

export function writeBigint(value: bigint, bytes: Uint8Array, view: DataView, at: number, limit: number): number {
  if (value >= int64Min && value <= uint64Max) {
    if (at + 9 > limit) return notFit;
    if (value < 0n) {
      bytes[at] = wire.int64;
      view.setBigInt64(at + 1, value);
    } else {
      bytes[at] = wire.uint64;
      view.setBigUint64(at + 1, value);
    }
    return at + 9;
  }
  const digits = (value < 0n ? -value : value).toString(16);
  const words = Math.ceil(digits.length / hexDigitsOfWord);
  const length = 1 + words * 4;
  if (at + wire.extHeaderBytesMax + length > limit) return notFit;
  const start = writeExtHeader(bytes, view, at, length, wire.extBigint);
  const hex = digits.padStart(words * hexDigitsOfWord, '0');
  bytes[start] = value < 0n ? 1 : 0;
  for (let i = 0; i < words; i++) {
    const word = hex.slice(i * hexDigitsOfWord, (i + 1) * hexDigitsOfWord);
    view.setUint32(start + 1 + i * 4, Number.parseInt(word, 16));
  }
  return start + length;
}

export const checkBigint = (bytes: Uint8Array, at: number, length: number): boolean =>
  length > 1 && length % 4 === 1 && (bytes[at] as number) <= 1;

export function readBigint(bytes: Uint8Array, view: DataView, at: number, length: number): bigint {
  const words: string[] = [];
  for (let i = at + 1; i < at + length; i += 4)
    words.push(view.getUint32(i).toString(16).padStart(hexDigitsOfWord, '0'));
  const magnitude = BigInt(`0x${words.join('')}`);
  return bytes[at] === 1 ? -magnitude : magnitude;
}

// --- Bytes: msgpack bin. They are copied in and copied out. -------------------------------------------------------------
//
// Where one side is shared memory, `set` and `slice` copy byte by byte unless both sides are aligned alike: 450 ns for
// 1 KiB. Buffer.copy is a memmove, 70 ns, but only when it copies a part of its source; for all of it, it calls `set`.

/** Below this the loop inside `set` is quicker than the call. */
const smallCopyBytes = 64;

/** Copies all of `source` to `at` of `target`. */
export function putBytes(source: Uint8Array, target: Uint8Array, at: number): void {
  const length = source.length;
  if (length <= smallCopyBytes) {
    target.set(source, at);
    return;
  }
  moveBytes(source, 0, length - 1, target, at);
  target[at + length - 1] = source[length - 1] as number;
}

/** A private copy, never a view and never a Buffer. */
export function copyBytes(source: Uint8Array, start: number, end: number): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(end - start);
  if (end - start <= smallCopyBytes) copy.set(source.subarray(start, end));
  else moveBytes(source, start, end, copy, 0);
  return copy;
}

function moveBytes(source: Uint8Array, start: number, end: number, target: Uint8Array, at: number): void {
  Buffer.prototype.copy.call(source, target, at, start, end);
}

// --- Typed arrays. Bytes themselves (Uint8Array, Buffer) are msgpack bin and not here. -----------------------------------

type TypedArray = { readonly buffer: ArrayBufferLike; readonly byteOffset: number; readonly byteLength: number };
type TypedArrayClass = { new (buffer: ArrayBuffer): TypedArray; readonly prototype: object };

/** Float16Array is missing before Node 24, and then such an array cannot come from here either. */
declare const Float16Array: unknown;
const typedArrayClasses: readonly unknown[] = [
  Int8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
  typeof Float16Array === 'undefined' ? undefined : Float16Array,
];
const elementKinds = new Map<unknown, number>(
  typedArrayClasses.flatMap((each, kind): [unknown, number][] =>
    each === undefined ? [] : [[(each as TypedArrayClass).prototype, kind]],
  ),
);

/** The element kind of a typed array that is not bytes; undefined for DataViews and for classes that extend one. */
export const elementKindOf = (value: object): number | undefined => elementKinds.get(Object.getPrototypeOf(value));

/** Array buffers that were transferred away read as empty: sending one would lose its content without a word. */
export const isDetached = (value: TypedArray): boolean =>
  value.byteLength === 0 && (value.buffer as ArrayBuffer).detached === true;

export function writeTyped(
  array: TypedArray,
  kind: number,
  bytes: Uint8Array,
  view: DataView,
  at: number,
  limit: number,
): number {
  const length = 1 + array.byteLength;
  if (at + wire.extHeaderBytesMax + length > limit) return notFit;
  const start = writeExtHeader(bytes, view, at, length, wire.extTyped);
  bytes[start] = kind;
  putBytes(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), bytes, start + 1);
  return start + length;
}

export function checkTyped(bytes: Uint8Array, at: number, length: number): boolean {
  const elementBytes = length === 0 ? undefined : wire.typedArrayElementBytes[bytes[at] as number];
  return (
    elementBytes !== undefined &&
    (length - 1) % elementBytes === 0 &&
    typedArrayClasses[bytes[at] as number] !== undefined
  );
}

export function readTyped(bytes: Uint8Array, at: number, length: number): unknown {
  const TypedArray = typedArrayClasses[bytes[at] as number] as TypedArrayClass;
  return new TypedArray(copyBytes(bytes, at + 1, at + length).buffer);
}

// --- Refs: the address of an actor. ------------------------------------------------------------------------------------

const refTypeBytesMax = 0xff;

/** `refused` when the type or the key is longer than an address may be. */
export function writeRef(
  [type, key]: readonly [type: string, key: string],
  bytes: Uint8Array,
  view: DataView,
  at: number,
  limit: number,
): number {
  // Room for the longest header first; the payload then moves to where the real one ends.
  const payload = at + wire.extHeaderBytesMax;
  if (payload >= limit) return notFit;
  const typeEnd = writeText(type, bytes, payload + 1, limit);
  if (typeEnd === notFit) return notFit;
  if (typeEnd - payload - 1 > refTypeBytesMax) return refused;
  const end = writeText(key, bytes, typeEnd, limit);
  if (end === notFit) return notFit;
  if (end - typeEnd > keyBytesMax) return refused;
  bytes[payload] = typeEnd - payload - 1;
  const start = writeExtHeader(bytes, view, at, end - payload, wire.extRef);
  if (start !== payload) bytes.copyWithin(start, payload, end);
  return start + end - payload;
}

export const checkRef = (bytes: Uint8Array, at: number, length: number): boolean =>
  length >= 1 && 1 + (bytes[at] as number) <= length && length - 1 - (bytes[at] as number) <= keyBytesMax;

export function readRef(bytes: Uint8Array, at: number, length: number): [type: string, key: string] {
  const typeEnd = at + 1 + (bytes[at] as number);
  return [readText(bytes, at + 1, typeEnd), readText(bytes, typeEnd, at + length)];
}
