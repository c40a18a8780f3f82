// Hot path: bench/codec watches it. Bytes to values, straight from the memory of a link. A message holds no part of that
// memory afterwards: bytes are copied, text is made.
//
// The intuition: one recursive walk with a position. It believes nothing: every length is compared with what is left,
// every announced element with a budget of one byte each, every level with the deepest allowed. So even without a scan
// before it, the worst a damaged message can do is BAD_MESSAGE; the scan (wire-scan.ts) adds that nothing is allocated
// until the whole message has been found sound.
//
// Invariant: `at` never passes `end`; keys of the wire become own properties, whatever their names.

import type { TroupeError } from '../errors.ts';
import { argumentsMax, depthMax, elementsMax } from '../limits.ts';
import { KeyCache } from './key-cache.ts';
import { textOf } from './short-text.ts';
import {
  badMessage,
  checkBigint,
  checkDate,
  checkRef,
  checkTyped,
  copyBytes,
  readBigint,
  readDate,
  readRef,
  readTyped,
  tooLarge,
} from './wire-ext.ts';
import * as wire from './wire-format.ts';

/** Where decoded arguments are put: three without an array, the others in `rest`. One object, reused. */
export interface Arguments {
  argc: number;
  a0: unknown;
  a1: unknown;
  a2: unknown;
  rest: unknown[] | null;
}

export type DecodeRef = (type: string, key: string) => unknown;

const nothing = new Uint8Array(0);
export class Reader {
  /** What decodeRef threw last: such an error is not about the bytes. */
  refError: unknown = undefined;
  private readonly decodeRef: DecodeRef;
  private readonly keys = new KeyCache();
  private bytes: Uint8Array = nothing;
  private view: DataView = new DataView(nothing.buffer);
  private at = 0;
  private end = 0;
  private bytesLong = 0;
  /** Elements this message may still announce. */
  private budget = 0;

  constructor(decodeRef: DecodeRef) {
    this.decodeRef = decodeRef;
  }

  /** Exactly one value in [start, end). Trusted ones may have as many elements as they like, one a byte at most. */
  readValue(bytes: Uint8Array, view: DataView, start: number, end: number, trusted: boolean): unknown {
    this.begin(bytes, view, start, end, trusted ? end - start : elementsMax);
    try {
      const value = this.read(depthMax);
      this.finish();
      return value;
    } finally {
      this.bytes = nothing; // a large state should not live on here
    }
  }

  readArguments(bytes: Uint8Array, view: DataView, start: number, end: number, out: Arguments): void {
    this.begin(bytes, view, start, end, elementsMax);
    const token = this.next();
    const argc = token >= 0x90 && token < 0xa0 ? token & 0x0f : token === wire.array16 ? this.uint16() : -1;
    if (argc < 0) throw this.bad('arguments that are not an array');
    if (argc > argumentsMax) throw tooLarge(`${argc} arguments, more than ${argumentsMax}`);
    out.argc = argc;
    out.a0 = argc > 0 ? this.read(depthMax) : undefined;
    out.a1 = argc > 1 ? this.read(depthMax) : undefined;
    out.a2 = argc > 2 ? this.read(depthMax) : undefined;
    out.rest = null;
    if (argc > 3) {
      const rest: unknown[] = [];
      for (let i = 3; i < argc; i++) rest.push(this.read(depthMax));
      out.rest = rest;
    }
    this.finish();
  }

  private begin(bytes: Uint8Array, view: DataView, start: number, end: number, elements: number): void {
    if (end > bytes.length) throw this.bad(`${end - bytes.length} bytes too few`);
    this.bytes = bytes;
    this.view = view;
    this.at = start;
    this.end = end;
    this.bytesLong = end - start;
    this.budget = Math.min(end - start, elements);
  }

  private finish(): void {
    if (this.at !== this.end) throw this.bad('bytes after its end');
  }

  /** `levels`: how many more containers may be opened from here. */
  private read(levels: number): unknown {
    const token = this.next();
    if (token < 0x80) return token;
    if (token < 0x90) return this.readPlain(token & 0x0f, levels);
    if (token < 0xa0) return this.readArray(token & 0x0f, levels);
    if (token < 0xc0) return this.readString(token & 0x1f);
    if (token >= 0xe0) return token - 0x100;
    switch (token) {
      case wire.nil:
        return null;
      case wire.no:
        return false;
      case wire.yes:
        return true;
      case wire.uint8:
        return this.bytes[this.take(1)];
      case wire.uint16:
        return this.uint16();
      case wire.uint32:
        return this.uint32();
      case wire.int8:
        return this.view.getInt8(this.take(1));
      case wire.int16:
        return this.view.getInt16(this.take(2));
      case wire.int32:
        return this.view.getInt32(this.take(4));
      case wire.float32:
        return this.view.getFloat32(this.take(4));
      case wire.float64:
        return this.view.getFloat64(this.take(8));
      case wire.uint64:
        return this.view.getBigUint64(this.take(8));
      case wire.int64:
        return this.view.getBigInt64(this.take(8));
      case wire.str8:
        return this.readString(this.uint8());
      case wire.str16:
        return this.readString(this.uint16());
      case wire.str32:
        return this.readString(this.uint32());
      case wire.bin8:
        return this.readBytes(this.uint8());
      case wire.bin16:
        return this.readBytes(this.uint16());
      case wire.bin32:
        return this.readBytes(this.uint32());
      case wire.array16:
        return this.readArray(this.uint16(), levels);
      case wire.array32:
        return this.readArray(this.uint32(), levels);
      case wire.map16:
        return this.readPlain(this.uint16(), levels);
      case wire.map32:
        return this.readPlain(this.uint32(), levels);
      case wire.fixext1:
        return this.readExt(1, levels);
      case wire.fixext2:
        return this.readExt(2, levels);
      case wire.fixext4:
        return this.readExt(4, levels);
      case wire.fixext8:
        return this.readExt(8, levels);
      case wire.fixext16:
        return this.readExt(16, levels);
      case wire.ext8:
        return this.readExt(this.uint8(), levels);
      case wire.ext16:
        return this.readExt(this.uint16(), levels);
      case wire.ext32:
        return this.readExt(this.uint32(), levels);
      default:
        throw this.bad('a byte that begins no value');
    }
  }

  private readArray(count: number, levels: number): unknown[] {
    this.open(count, levels);
    const items = new Array<unknown>(count);
    for (let i = 0; i < count; i++) items[i] = this.read(levels - 1);
    return items;
  }

  private readPlain(count: number, levels: number): Record<string, unknown> {
    this.open(count * 2, levels);
    const object: Record<string, unknown> = {};
    for (let i = 0; i < count; i++) {
      const key = this.readKey();
      const value = this.read(levels - 1);
      if (key === '__proto__') define(object, key, value);
      else object[key] = value;
    }
    return object;
  }

  private readKey(): string {
    const token = this.next();
    if (token >= 0xa0 && token < 0xc0) {
      const length = token & 0x1f;
      const start = this.take(length);
      return (
        this.keys.find(this.bytes, start, length) ??
        this.keys.keep(textOf(this.bytes, start, length), this.bytes, start)
      );
    }
    if (token === wire.str8) return this.readString(this.uint8());
    if (token === wire.str16) return this.readString(this.uint16());
    if (token === wire.str32) return this.readString(this.uint32());
    throw this.bad('a key that is not text');
  }

  private readString(length: number): string {
    return textOf(this.bytes, this.take(length), length);
  }

  private readBytes(length: number): Uint8Array {
    const start = this.take(length);
    return copyBytes(this.bytes, start, start + length);
  }

  private readExt(length: number, levels: number): unknown {
    const type = this.bytes[this.take(1)];
    const start = this.take(length);
    switch (type) {
      case wire.extUndefined:
        if (length === 1) return undefined;
        break;
      case wire.extTimestamp:
        if (checkDate(length)) return readDate(this.view, start, length);
        break;
      case wire.extBigint:
        if (checkBigint(this.bytes, start, length)) return readBigint(this.bytes, this.view, start, length);
        break;
      case wire.extTyped:
        if (checkTyped(this.bytes, start, length)) return readTyped(this.bytes, start, length);
        break;
      case wire.extRef:
        if (checkRef(this.bytes, start, length)) return this.refAt(start, length);
        break;
      case wire.extMap:
        this.at = start;
        return this.readMap(start + length, levels);
      case wire.extSet:
        this.at = start;
        return this.readSet(start + length, levels);
    }
    throw this.bad(`extension ${type} of ${length} bytes`);
  }

  private readMap(payloadEnd: number, levels: number): Map<unknown, unknown> {
    const token = this.next();
    const fixed = token >= 0x80 && token < 0x90;
    if (!fixed && token !== wire.map16 && token !== wire.map32) throw this.bad('a Map without entries');
    const count = fixed ? token & 0x0f : token === wire.map16 ? this.uint16() : this.uint32();
    this.open(count * 2, levels);
    const map = new Map<unknown, unknown>();
    for (let i = 0; i < count; i++) {
      const key = this.read(levels - 1);
      map.set(key, this.read(levels - 1));
    }
    if (this.at !== payloadEnd) throw this.bad('a Map of another length than announced');
    return map;
  }

  private readSet(payloadEnd: number, levels: number): Set<unknown> {
    const token = this.next();
    const fixed = token >= 0x90 && token < 0xa0;
    if (!fixed && token !== wire.array16 && token !== wire.array32) throw this.bad('a Set without items');
    const count = fixed ? token & 0x0f : token === wire.array16 ? this.uint16() : this.uint32();
    this.open(count, levels);
    const set = new Set<unknown>();
    for (let i = 0; i < count; i++) set.add(this.read(levels - 1));
    if (this.at !== payloadEnd) throw this.bad('a Set of another length than announced');
    return set;
  }

  /** The owner of refs may decode something itself, with this reader. */
  private refAt(start: number, length: number): unknown {
    const [type, key] = readRef(this.bytes, start, length);
    const { bytes, view, at, end, bytesLong, budget } = this;
    let ref: unknown;
    try {
      ref = this.decodeRef(type, key);
    } catch (error) {
      this.refError = error;
      throw error;
    }
    this.bytes = bytes;
    this.view = view;
    this.at = at;
    this.end = end;
    this.bytesLong = bytesLong;
    this.budget = budget;
    return ref;
  }

  private next(): number {
    const at = this.at;
    if (at >= this.end) throw this.bad('an end before its last value');
    this.at = at + 1;
    return this.bytes[at] as number;
  }

  /** Steps over `length` bytes and returns where they begin. */
  private take(length: number): number {
    const start = this.at;
    if (length > this.end - start) throw this.bad('a length beyond its end');
    this.at = start + length;
    return start;
  }

  private uint8(): number {
    return this.bytes[this.take(1)] as number;
  }

  private uint16(): number {
    return this.view.getUint16(this.take(2));
  }

  private uint32(): number {
    return this.view.getUint32(this.take(4));
  }

  /**
   * Each element takes at least a byte, so no sound message announces more of them, in all its containers together, than
   * it has bytes. What is made before the elements have been seen stays below eight times the message.
   */
  private open(elements: number, levels: number): void {
    if (levels <= 0) throw this.bad(`more than ${depthMax} levels`);
    this.budget -= elements;
    if (this.budget >= 0) return;
    throw this.bytesLong > elementsMax
      ? tooLarge(`more than ${elementsMax} elements`)
      : this.bad('more elements than bytes');
  }

  private bad(what: string): TroupeError {
    return badMessage(what, this.at);
  }
}

function define(object: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
}
