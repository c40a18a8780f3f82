// Keys of the store as bytes: one byte that says what the key is, then its bytes. The string 'a' and the byte 97 are
// different keys, and a scan gives each back as what it was.
//
//     1 | UTF-8 of a string        2 | bytes        0 | the vnode's own records, which no scan of keys shows
//
// Intuition: keys are ordered as bytes, everywhere. JavaScript orders strings by UTF-16 units, which disagrees beyond the
// basic plane ('\u{1F600}' sorts before '\uFFFD'), so runs, ranges and replicas would not agree with a sorted array.
//
// Invariant: encodeKey is one to one: a lone surrogate, which UTF-8 would replace, is refused.

import { TroupeError } from '../errors.ts';
import { keyBytesMax } from '../limits.ts';
import { badOption } from './store-options.ts';

export type Key = string | Uint8Array;

const ownTag = 0;
const textTag = 1;
const bytesTag = 2;

const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** Where a vnode keeps what it must know of itself: before all keys. */
export const ownKey: Uint8Array = Uint8Array.of(ownTag);
const firstKey = Uint8Array.of(textTag);

export function encodeKey(key: unknown): Uint8Array {
  return tagged(key, 'key', 1);
}

export function decodeKey(encoded: Uint8Array): Key {
  const body = encoded.subarray(1);
  return encoded[0] === textTag ? fromUtf8.decode(body) : new Uint8Array(body);
}

export interface KeyRange {
  readonly from: Uint8Array;
  /** Exclusive; undefined: to the end. */
  readonly to: Uint8Array | undefined;
}

/** The keys that begin with a prefix and are of its kind; without one, all keys: strings first, then bytes. */
export function prefixRange(prefix?: Key): KeyRange {
  if (prefix === undefined) return { from: firstKey, to: undefined };
  const from = tagged(prefix, 'prefix', 0);
  return { from, to: upperBound(from) };
}

/** The first byte string after all that begin with `prefix`; undefined when none comes after (all bytes are 255). */
export function upperBound(prefix: Uint8Array): Uint8Array | undefined {
  let end = prefix.length;
  while (end > 0 && prefix[end - 1] === 255) end--;
  if (end === 0) return undefined;
  const bound = prefix.slice(0, end);
  bound[end - 1] = (bound[end - 1] as number) + 1;
  return bound;
}

function tagged(key: unknown, what: string, bytesMin: number): Uint8Array {
  if (typeof key === 'string') return asciiKey(key) ?? withTag(textTag, textBytes(key, what), what, bytesMin);
  if (key instanceof Uint8Array) return withTag(bytesTag, key, what, bytesMin);
  throw badOption(what, `a ${what} is a string or bytes; got ${key === null ? 'null' : typeof key}`);
}

/** The common case, four times as quick as TextEncoder: short, not empty, and every character is its own byte. */
function asciiKey(text: string): Uint8Array | undefined {
  const { length } = text;
  if (length === 0 || length > keyBytesMax) return undefined;
  const encoded = new Uint8Array(1 + length);
  encoded[0] = textTag;
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0x80) return undefined;
    encoded[i + 1] = code;
  }
  return encoded;
}

function withTag(tag: number, body: Uint8Array, what: string, bytesMin: number): Uint8Array {
  if (body.length < bytesMin) throw badOption(what, `a ${what} must not be empty`);
  if (body.length > keyBytesMax) {
    const message = `the ${what} has ${body.length} bytes; the most is ${keyBytesMax}`;
    throw new TroupeError('TOO_LARGE', message, {
      details: { option: what, bytes: body.length, bytesMax: keyBytesMax },
    });
  }
  const encoded = new Uint8Array(1 + body.length);
  encoded[0] = tag;
  encoded.set(body, 1);
  return encoded;
}

function textBytes(text: string, what: string): Uint8Array {
  if (text.length > keyBytesMax) {
    // Not encoded first: the text may be a gigabyte.
    const message = `the ${what} has ${text.length} characters; the most is ${keyBytesMax} bytes`;
    throw new TroupeError('TOO_LARGE', message, { details: { option: what, bytesMax: keyBytesMax } });
  }
  if (!text.isWellFormed()) throw badOption(what, `the ${what} holds half a surrogate pair, which is no character`);
  return utf8.encode(text);
}
