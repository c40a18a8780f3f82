// Hot path: bench/codec watches it. Values to bytes, straight into the memory of a link; nothing is allocated for numbers,
// booleans, text up to 31 characters, arrays and plain objects of these.
//
// The intuition: one recursive walk that returns the offset after the value, or a negative number: `notFit` (try again
// with more room) or `refused` (codec-refusal.ts walks again, slowly, to say where and why). All state travels as
// arguments, so a getter that sends a message while its object is being written does no harm.
//
// Invariant: nothing is written at or beyond `limit`; what is written decodes to the same value, or nothing is.

import { types } from 'node:util';
import { depthMax } from '../limits.ts';
import {
  elementKindOf,
  isDate,
  isDetached,
  notFit,
  putBytes,
  refused,
  shortTextMax,
  writeAscii,
  writeBigint,
  writeDate,
  writeRef,
  writeText,
  writeTyped,
} from './wire-ext.ts';
import * as wire from './wire-format.ts';

/** What the writer must know of refs. */
export interface RefWriting {
  isRef(value: object): boolean;
  encodeRef(value: object): readonly [type: string, key: string];
}

/** Keys of an object that fit its one-byte header. */
const shortMapMax = 15;

export class Writer {
  private readonly refs: RefWriting;

  constructor(refs: RefWriting) {
    this.refs = refs;
  }

  write(value: unknown, bytes: Uint8Array, view: DataView, at: number, limit: number, depth: number): number {
    switch (typeof value) {
      case 'number':
        return writeNumber(value, bytes, view, at, limit);
      case 'string':
        return writeString(value, bytes, view, at, limit);
      case 'object':
        if (value === null) return writeToken(wire.nil, bytes, at, limit);
        return this.writeObject(value, bytes, view, at, limit, depth);
      case 'boolean':
        return writeToken(value ? wire.yes : wire.no, bytes, at, limit);
      case 'undefined':
        return writeUndefined(bytes, at, limit);
      case 'bigint':
        return writeBigint(value, bytes, view, at, limit);
      case 'function':
        return this.refs.isRef(value) ? writeRef(this.refs.encodeRef(value), bytes, view, at, limit) : refused;
      default:
        return refused;
    }
  }

  private writeObject(
    value: object,
    bytes: Uint8Array,
    view: DataView,
    at: number,
    limit: number,
    depth: number,
  ): number {
    if (Array.isArray(value)) {
      if (depth >= depthMax || !isPlainArray(value)) return refused;
      return this.writeArray(value, bytes, view, at, limit, depth + 1);
    }
    if (this.refs.isRef(value)) return writeRef(this.refs.encodeRef(value), bytes, view, at, limit);
    if (isPlainObject(value)) {
      if (depth >= depthMax) return refused;
      return this.writePlain(value as Record<string, unknown>, bytes, view, at, limit, depth + 1);
    }
    return this.writeOther(value, bytes, view, at, limit, depth);
  }

  private writeArray(
    items: readonly unknown[],
    bytes: Uint8Array,
    view: DataView,
    at: number,
    limit: number,
    depth: number,
  ): number {
    const count = items.length;
    let end = writeArrayHeader(count, bytes, view, at, limit);
    for (let i = 0; i < count && end >= 0; i++) end = this.write(items[i], bytes, view, end, limit, depth);
    return end;
  }

  /**
   * Own enumerable properties, in order. `for in` is 3 x quicker than keys(), but does not say how many there are: the
   * header is for 15 at most, and makes room for a longer one when a sixteenth comes.
   */
  private writePlain(
    object: Record<string, unknown>,
    bytes: Uint8Array,
    view: DataView,
    at: number,
    limit: number,
    depth: number,
  ): number {
    if (at >= limit) return notFit;
    if (inheritsKeys()) return this.writeEntries(Object.entries(object), bytes, view, at, limit, depth);
    let end = at + 1;
    let count = 0;
    for (const key in object) {
      if (count === shortMapMax) {
        if (end + 4 > limit) return notFit;
        bytes.copyWithin(at + 5, at + 1, end);
        end += 4;
      }
      count++;
      end = writeString(key, bytes, view, end, limit);
      if (end < 0) return end;
      end = this.write(object[key], bytes, view, end, limit, depth);
      if (end < 0) return end;
    }
    if (count <= shortMapMax) {
      bytes[at] = 0x80 | count;
    } else {
      bytes[at] = wire.map32;
      view.setUint32(at + 1, count);
    }
    return end;
  }

  private writeOther(
    value: object,
    bytes: Uint8Array,
    view: DataView,
    at: number,
    limit: number,
    depth: number,
  ): number {
    if (ArrayBuffer.isView(value)) {
      const plain = isBytes(value);
      const kind = plain ? 0 : elementKindOf(value);
      if (kind === undefined || isDetached(value)) return refused;
      return plain ? writeBytes(value, bytes, view, at, limit) : writeTyped(value, kind, bytes, view, at, limit);
    }
    if (types.isProxy(value)) return refused;
    if (isDate(value)) return writeDate(value, bytes, view, at, limit);
    if (depth >= depthMax) return refused;
    if (isMap(value)) {
      const end = this.writeEntries([...value], bytes, view, at + wire.extHeaderBytesMax, limit, depth + 1);
      return closeExt(wire.extMap, bytes, view, at, end);
    }
    if (isSet(value)) {
      const end = this.writeArray([...value], bytes, view, at + wire.extHeaderBytesMax, limit, depth + 1);
      return closeExt(wire.extSet, bytes, view, at, end);
    }
    return refused;
  }

  private writeEntries(
    entries: readonly (readonly [unknown, unknown])[],
    bytes: Uint8Array,
    view: DataView,
    at: number,
    limit: number,
    depth: number,
  ): number {
    if (at + 5 > limit) return notFit;
    bytes[at] = wire.map32;
    view.setUint32(at + 1, entries.length);
    let end = at + 5;
    for (const [key, item] of entries) {
      end = this.write(key, bytes, view, end, limit, depth);
      if (end < 0) return end;
      end = this.write(item, bytes, view, end, limit, depth);
      if (end < 0) return end;
    }
    return end;
  }
}

// --- What may be sent. Exported for codec-refusal.ts, which must agree. -------------------------------------------------

/** An array and nothing more; one from another realm (a vm context) too: its prototype is an array itself. */
export function isPlainArray(value: readonly unknown[]): boolean {
  const prototype = Object.getPrototypeOf(value);
  return (prototype === Array.prototype || Array.isArray(prototype)) && !types.isProxy(value);
}

/** `{}`, or without a prototype, or of another realm; no class, however it hides its constructor. */
export function isPlainObject(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null && !isForeignObjectPrototype(prototype)) return false;
  return !types.isProxy(value);
}

const isForeignObjectPrototype = (prototype: object): boolean =>
  Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf');

export const isBytes = (value: object): value is Uint8Array => {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Uint8Array.prototype || prototype === Buffer.prototype;
};

export const isMap = (value: object): value is Map<unknown, unknown> => Object.getPrototypeOf(value) === Map.prototype;
export const isSet = (value: object): value is Set<unknown> => Object.getPrototypeOf(value) === Set.prototype;

/** Somebody gave Object.prototype an enumerable property: `for in` would send it with every object. */
function inheritsKeys(): boolean {
  for (const _key in nothing) return true;
  return false;
}
const nothing = {};

// --- Leaves -----------------------------------------------------------------------------------------------------------

function writeToken(token: number, bytes: Uint8Array, at: number, limit: number): number {
  if (at >= limit) return notFit;
  bytes[at] = token;
  return at + 1;
}

function writeUndefined(bytes: Uint8Array, at: number, limit: number): number {
  if (at + 3 > limit) return notFit;
  bytes[at] = wire.fixext1;
  bytes[at + 1] = wire.extUndefined;
  bytes[at + 2] = 0;
  return at + 3;
}

/** The shortest integer, or float64. Asks for the room of the longest, so it may say `notFit` 8 bytes too early. */
function writeNumber(value: number, bytes: Uint8Array, view: DataView, at: number, limit: number): number {
  if (at + 9 > limit) return notFit;
  if ((value | 0) === value && !Object.is(value, -0)) {
    if (value >= 0) return writeUint(value, bytes, at);
    if (value >= -0x20) {
      bytes[at] = value & 0xff;
      return at + 1;
    }
    if (value >= -0x80) {
      bytes[at] = wire.int8;
      bytes[at + 1] = value;
      return at + 2;
    }
    if (value >= -0x8000) {
      bytes[at] = wire.int16;
      bytes[at + 1] = value >> 8;
      bytes[at + 2] = value;
      return at + 3;
    }
    bytes[at] = wire.int32;
    view.setInt32(at + 1, value);
    return at + 5;
  }
  if (value > 0 && value >>> 0 === value) return writeUint(value, bytes, at);
  bytes[at] = wire.float64;
  view.setFloat64(at + 1, value);
  return at + 9;
}

function writeUint(value: number, bytes: Uint8Array, at: number): number {
  if (value < 0x80) {
    bytes[at] = value;
    return at + 1;
  }
  if (value < 0x100) {
    bytes[at] = wire.uint8;
    bytes[at + 1] = value;
    return at + 2;
  }
  if (value < 0x1_0000) {
    bytes[at] = wire.uint16;
    bytes[at + 1] = value >> 8;
    bytes[at + 2] = value;
    return at + 3;
  }
  bytes[at] = wire.uint32;
  bytes[at + 1] = value >>> 24;
  bytes[at + 2] = value >> 16;
  bytes[at + 3] = value >> 8;
  bytes[at + 4] = value;
  return at + 5;
}

export function writeString(text: string, bytes: Uint8Array, view: DataView, at: number, limit: number): number {
  const length = text.length;
  if (length <= shortTextMax) {
    if (at + 1 + length > limit) return notFit;
    if (writeAscii(text, bytes, at + 1)) {
      bytes[at] = 0xa0 | length;
      return at + 1 + length;
    }
  }
  return writeLongString(text, bytes, view, at, limit);
}

/** The header is chosen for the longest the text could be, so that it need not move once its length is known. */
function writeLongString(text: string, bytes: Uint8Array, view: DataView, at: number, limit: number): number {
  const bytesMax = text.length * 3;
  const header = bytesMax < 0x100 ? 2 : bytesMax < 0x1_0000 ? 3 : 5;
  const start = at + header;
  if (start + text.length > limit) return notFit;
  const end = writeText(text, bytes, start, limit);
  if (end < 0) return end;
  const length = end - start;
  if (header === 2) {
    bytes[at] = wire.str8;
    bytes[at + 1] = length;
  } else if (header === 3) {
    bytes[at] = wire.str16;
    view.setUint16(at + 1, length);
  } else {
    bytes[at] = wire.str32;
    view.setUint32(at + 1, length);
  }
  return end;
}

function writeBytes(value: Uint8Array, bytes: Uint8Array, view: DataView, at: number, limit: number): number {
  const length = value.length;
  if (at + 5 + length > limit) return notFit;
  let start = at;
  if (length < 0x100) {
    bytes[start++] = wire.bin8;
    bytes[start++] = length;
  } else if (length < 0x1_0000) {
    bytes[start] = wire.bin16;
    view.setUint16(start + 1, length);
    start += 3;
  } else {
    bytes[start] = wire.bin32;
    view.setUint32(start + 1, length);
    start += 5;
  }
  putBytes(value, bytes, start);
  return start + length;
}

export function writeArrayHeader(count: number, bytes: Uint8Array, view: DataView, at: number, limit: number): number {
  if (at + 5 > limit) return notFit;
  if (count < 0x10) {
    bytes[at] = 0x90 | count;
    return at + 1;
  }
  if (count < 0x1_0000) {
    bytes[at] = wire.array16;
    view.setUint16(at + 1, count);
    return at + 3;
  }
  bytes[at] = wire.array32;
  view.setUint32(at + 1, count);
  return at + 5;
}

/** Puts the header before a payload that was written behind the room for it. */
function closeExt(type: number, bytes: Uint8Array, view: DataView, at: number, end: number): number {
  if (end < 0) return end;
  bytes[at] = wire.ext32;
  view.setUint32(at + 1, end - at - wire.extHeaderBytesMax);
  bytes[at + 5] = type;
  return end;
}
