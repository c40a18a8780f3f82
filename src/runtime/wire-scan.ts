// Hot path: bench/codec watches it. Looks over a message of an untrusted sender, or a record from a disk, before anything
// is made of it.
//
// The intuition: msgpack announces lengths and counts before the data, so a few bytes can promise gigabytes, nest a
// million levels, or name extensions whose decoders do more than decode (research/reliability.md S5, S7, S8). The scan
// walks the bytes once with a stack of numbers, allocates nothing, and believes nothing that the remaining bytes cannot
// hold. Frames between our own threads skip it.
//
// Invariant: when it returns, the range is exactly one value of wire-format.ts: readable, with no bytes after it.

import { depthMax, elementsMax, frameBytesMax } from '../limits.ts';
import { badMessage, checkBigint, checkDate, checkRef, checkTyped, tooLarge } from './wire-ext.ts';
import * as wire from './wire-format.ts';

/** What a scan saw, for choosing how to decode. One object, reused: read it before the next scan. */
export interface WireTraits {
  /** Nothing but null, undefined, booleans, numbers, bigints, text, arrays and plain objects. */
  plain: boolean;
  /** Texts that are not keys, and keys. */
  texts: number;
  keys: number;
}

/**
 * Throws TroupeError BAD_MESSAGE, or TOO_LARGE for a sound one beyond a limit. `levels`: the containers that may nest,
 * one more for the arguments of a frame than for a value.
 */
export function scanWire(
  bytes: Uint8Array,
  view: DataView,
  start: number,
  end: number,
  levels: number = depthMax,
): Readonly<WireTraits> {
  if (end - start > frameBytesMax) throw tooLarge(`${end - start} bytes, more than ${frameBytesMax}`);
  scan.run(bytes, view, start, end, Math.min(levels, depthMax + 1));
  return scan.traits;
}

// What a token announces. After the tokens that are complete (fixint) or carry their length (fixmap, fixarray, fixstr)
// come the 32 from 0xc0, looked up in two tables: what follows, and how many bytes its length takes (or a scalar has).
const never = 0;
const scalar = 1;
const text = 2;
const blob = 3; // up to here: no value inside
const array = 4;
const map = 5;
const ext = 6;
const fixext = 7;
const whatOf = new Uint8Array([
  ...[scalar, never, scalar, scalar, blob, blob, blob, ext, ext, ext, scalar, scalar, scalar, scalar, scalar, scalar],
  ...[scalar, scalar, scalar, scalar, fixext, fixext, fixext, fixext, fixext, text, text, text, array, array, map, map],
]);
const widthOf = new Uint8Array([
  ...[0, 0, 0, 0, 1, 2, 4, 1, 2, 4, 4, 8, 1, 2, 4, 8],
  ...[1, 2, 4, 8, 1, 2, 4, 8, 16, 1, 2, 4, 2, 4, 2, 4],
]);

// What the next value in a container is: an item; by turns a key and a value, the keys text; by turns, keys of any kind.
const items = 0;
const properties = 1;
const entries = 2;

// A key as long as `__proto__` that begins like it. msgpackr would rename it.
const protoBytes = 9;
const underscore = 0x5f;

class Scan {
  readonly traits: WireTraits = { plain: true, texts: 0, keys: 0 };
  /** The containers around the current one: values still to come, their kind, where the extension around it ends. */
  private readonly pendingAt = new Float64Array(depthMax + 2);
  private readonly kindAt = new Uint8Array(depthMax + 2);
  private readonly extEndAt = new Float64Array(depthMax + 2);

  run(bytes: Uint8Array, view: DataView, start: number, end: number, levels: number): void {
    let texts = 0;
    let keys = 0;
    let plain = true;
    let budget = Math.min(end - start, elementsMax);
    let at = start;
    // The value is the one item of an imaginary container at level 0.
    let level = 0;
    let pending = 1;
    let kind = items;
    let extEnd = 0;
    for (;;) {
      while (pending === 0) {
        if (extEnd !== 0 && at !== extEnd) throw badMessage('a container of another length than announced', at);
        if (level === 0) {
          if (at !== end) throw badMessage('bytes after its end', at);
          this.traits.plain = plain;
          this.traits.texts = texts;
          this.traits.keys = keys;
          return;
        }
        level--;
        pending = this.pendingAt[level] as number;
        kind = this.kindAt[level] as number;
        extEnd = this.extEndAt[level] as number;
      }
      if (at >= end) throw badMessage('an end before its last value', at);
      const isKey = kind === properties && (pending & 1) === 0;
      pending--;

      const token = bytes[at++] as number;
      let what = scalar;
      let length = 0;
      if (token >= 0x80 && token < 0xe0) {
        if (token < 0x90) {
          what = map;
          length = token & 0x0f;
        } else if (token < 0xa0) {
          what = array;
          length = token & 0x0f;
        } else if (token < 0xc0) {
          what = text;
          length = token & 0x1f;
        } else {
          what = whatOf[token - 0xc0] as number;
          const width = widthOf[token - 0xc0] as number;
          if (what === scalar || what === fixext) {
            length = width;
          } else if (what !== never) {
            if (width > end - at) throw badMessage('an end before its last value', at);
            length = width === 1 ? (bytes[at] as number) : width === 2 ? view.getUint16(at) : view.getUint32(at);
            at += width;
          }
        }
      }
      if (isKey && what !== text) throw badMessage('a key that is not text', at);

      if (what <= blob) {
        if (what === never) throw badMessage('a byte that begins no value', at);
        if (length > end - at) throw badMessage('a length beyond its end', at);
        if (isKey) {
          keys++;
          if (length === protoBytes && bytes[at] === underscore) plain = false;
        } else if (what === text) texts++;
        else if (what === blob) plain = false;
        at += length;
        continue;
      }

      let opened = what === map ? properties : items;
      let openedExtEnd = 0;
      if (what === ext || what === fixext) {
        if (length >= end - at) throw badMessage('a length beyond its end', at);
        const type = bytes[at++] as number;
        if (type !== wire.extMap && type !== wire.extSet) {
          if (!isSound(type, bytes, at, length)) throw badMessage(`extension ${type} of ${length} bytes`, at);
          if (type !== wire.extUndefined) plain = false;
          at += length;
          continue;
        }
        plain = false;
        openedExtEnd = at + length;
        opened = type === wire.extMap ? entries : items;
        if (length === 0) throw badMessage(`extension ${type} of no bytes`, at);
        const inner = bytes[at++] as number;
        const [fixed, wide] = type === wire.extMap ? [0x80, wire.map16] : [0x90, wire.array16];
        if (inner >= fixed && inner < fixed + 0x10) length = inner & 0x0f;
        else {
          const width = inner === wide ? 2 : inner === wide + 1 ? 4 : 0;
          if (width === 0 || width > end - at) throw badMessage(`extension ${type} without its container`, at);
          length = width === 2 ? view.getUint16(at) : view.getUint32(at);
          at += width;
        }
      }

      // A container opens. Each element takes at least a byte, so no sound message has more of them than bytes.
      if (level >= levels) throw badMessage(`more than ${levels} levels`, at);
      const elements = opened === items ? length : length * 2;
      budget -= elements;
      if (budget < 0) {
        throw end - start > elementsMax
          ? tooLarge(`more than ${elementsMax} elements`)
          : badMessage('more elements than bytes', at);
      }
      this.pendingAt[level] = pending;
      this.kindAt[level] = kind;
      this.extEndAt[level] = extEnd;
      level++;
      pending = elements;
      kind = opened;
      extEnd = openedExtEnd;
    }
  }
}

function isSound(type: number, bytes: Uint8Array, at: number, length: number): boolean {
  switch (type) {
    case wire.extUndefined:
      return length === 1;
    case wire.extTimestamp:
      return checkDate(length);
    case wire.extRef:
      return checkRef(bytes, at, length);
    case wire.extBigint:
      return checkBigint(bytes, at, length);
    case wire.extTyped:
      return checkTyped(bytes, at, length);
    default:
      return false;
  }
}

/** One, reused: it calls nothing that could scan in between. */
const scan = new Scan();
