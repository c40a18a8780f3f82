// A Bloom filter: a set of keys that may say "perhaps" where it should say no, but never says no to a key it was given.
// With it, a read that looks for one key in many runs opens next to none of those that do not hold it (Bloom, 1970).
//
//     key ──> two hashes a, b ──> bits a, a+b, a+2b, ... (mod m): set when added, asked for when looked up
//
// Two hashes do for all k of them (Kirsch and Mitzenmacher, 2006): measured at 1 % that makes no difference one can see.
// The same key in another shard is another key, so the number of the shard is hashed with it.
//
// Invariants: mayHold() of a key that was added is true. fromBytes() never returns a filter whose bytes are not what toBytes()
// made with the same seed: a damaged filter could say no to a key that is there.
//
// A read asks every run's filter: hash once with bloomHash(), then ask each with mayHoldHash(). Nothing is allocated there.

import { TroupeError } from '../errors.ts';
import type { Crc32 } from './crc32.ts';
import { readU16, readU32, readU56, writeU16, writeU32, writeU56 } from './little-endian.ts';

/** Indices are 32 bits wide. 4 billion bits are 440 million keys at 1 %. */
const bitsMax = 2 ** 32 - 1;
/** Beyond it, more hashes only cost time. */
const hashesMax = 30;

/** Two 32-bit hashes of a key. Whoever asks often keeps one and has it filled again. */
export type BloomHash = Uint32Array;

const format = 1;
//   | 'TRPB' | format u16 | hashes u16 | bits u56 | keys u56 | the bits ... | crc u32 |
const magic = 0x42505254;
const headerBytes = 22;
const crcBytes = 4;

export type BloomRead =
  | { readonly type: 'ok'; readonly bloom: Bloom }
  | { readonly type: 'damaged'; readonly reason: string };

/** A filter for so many keys, that takes a key it was not given for one of its own at this rate (0.01: one of a hundred). */
export function bloomFor(keys: number, rate: number): Bloom {
  if (!(rate > 0 && rate < 1))
    throw new TroupeError('BAD_OPTION', `A filter errs at a rate between 0 and 1, not ${rate}.`);
  const ideal = Math.ceil((keys * Math.log(1 / rate)) / Math.LN2 ** 2);
  const bits = Math.min(Math.max(ideal, 1), bitsMax);
  const hashes = Math.min(Math.max(Math.round((bits / Math.max(keys, 1)) * Math.LN2), 1), hashesMax);
  return new Bloom(bits, hashes);
}

export class Bloom {
  /** m in the literature. */
  readonly bits: number;
  /** k in the literature. */
  readonly hashes: number;
  /** Keys added so far; one that was added twice counts twice. */
  keys = 0;
  readonly #bytes: Uint8Array;
  readonly #hash: BloomHash = new Uint32Array(2);

  /** `bytes`: the bits of a filter of the same shape, which are used in place. */
  constructor(bits: number, hashes: number, bytes: Uint8Array = new Uint8Array(Math.ceil(bits / 8))) {
    this.bits = bits;
    this.hashes = hashes;
    this.#bytes = bytes;
  }

  /** The key begins at `from`. */
  add(shard: number, key: Uint8Array, from = 0): void {
    bloomHash(shard, key, this.#hash, from);
    const { bits } = this;
    const bytes = this.#bytes;
    const step = this.#hash[1] as number;
    let place = this.#hash[0] as number;
    for (let index = 0; index < this.hashes; index++) {
      const bit = place % bits;
      bytes[bit >>> 3] = (bytes[bit >>> 3] as number) | (1 << (bit & 7));
      place = (place + step) >>> 0;
    }
    this.keys++;
  }

  /** False: the key was certainly never added. */
  mayHold(shard: number, key: Uint8Array): boolean {
    bloomHash(shard, key, this.#hash);
    return this.mayHoldHash(this.#hash);
  }

  /** The same for a key that bloomHash() has been given. */
  mayHoldHash(hash: BloomHash): boolean {
    const { bits, hashes } = this;
    const bytes = this.#bytes;
    const step = hash[1] as number;
    let place = hash[0] as number;
    for (let index = 0; index < hashes; index++) {
      const bit = place % bits;
      if (((bytes[bit >>> 3] as number) & (1 << (bit & 7))) === 0) return false;
      place = (place + step) >>> 0;
    }
    return true;
  }

  /** `seed` says whose filter it is: bytes that were made with another one are not accepted. */
  toBytes(crc: Crc32, seed: number): Uint8Array {
    const bytes = new Uint8Array(headerBytes + this.#bytes.length + crcBytes);
    writeU32(bytes, 0, magic);
    writeU16(bytes, 4, format);
    writeU16(bytes, 6, this.hashes);
    writeU56(bytes, 8, this.bits);
    writeU56(bytes, 15, this.keys);
    bytes.set(this.#bytes, headerBytes);
    const end = bytes.length - crcBytes;
    writeU32(bytes, end, crc(bytes.subarray(0, end), seed));
    return bytes;
  }
}

/** The filter uses the bytes in place; they must not change any more. */
export function bloomFromBytes(bytes: Uint8Array, crc: Crc32, seed: number): BloomRead {
  const damaged = (reason: string): BloomRead => ({ type: 'damaged', reason });
  if (bytes.length < headerBytes + crcBytes) return damaged(`only ${bytes.length} bytes long`);
  const end = bytes.length - crcBytes;
  if (crc(bytes.subarray(0, end), seed) !== readU32(bytes, end)) return damaged('the checksum differs');
  // From here on the bytes are what some version of us wrote.
  if (readU32(bytes, 0) !== magic) return damaged('it is no filter');
  if (readU16(bytes, 4) !== format) return damaged(`format ${readU16(bytes, 4)} is not known`);
  const bits = readU56(bytes, 8);
  if (bits < 1 || Math.ceil(bits / 8) !== end - headerBytes) return damaged(`${bits} bits do not fit it`);
  const bloom = new Bloom(bits, readU16(bytes, 6), bytes.subarray(headerBytes, end));
  bloom.keys = readU56(bytes, 15);
  return { type: 'ok', bloom };
}

/**
 * Two lanes of multiply and shift over four bytes at a time, mixed with each other at the end. It is part of the format of
 * the filters on disk. The second hash is odd: a step of zero would set a single bit k times.
 */
export function bloomHash(shard: number, key: Uint8Array, into: BloomHash, from = 0): void {
  const length = key.length - from;
  let a = lane(0x9e3779b9 ^ shard, length, 0x85ebca6b);
  let b = lane(0x165667b1 ^ length, shard, 0x27d4eb2f);
  let at = from;
  for (const whole = from + (length & ~3); at < whole; at += 4) {
    const word = readU16(key, at) | (readU16(key, at + 2) << 16);
    a = lane(a, word, 0x85ebca6b);
    b = lane(b, word, 0x27d4eb2f);
  }
  for (; at < key.length; at++) {
    a = lane(a, key[at] as number, 0x85ebca6b);
    b = lane(b, key[at] as number, 0x27d4eb2f);
  }
  a = Math.imul(a ^ (a >>> 16), 0x85ebca6b) ^ Math.imul(b ^ (b >>> 13), 0xc2b2ae35);
  b = Math.imul(b ^ (b >>> 16), 0x85ebca6b) ^ Math.imul(a ^ (a >>> 13), 0xc2b2ae35);
  into[0] = a;
  into[1] = b | 1;
}

/** One to one in the word, and in the state: what differs goes on differing. */
function lane(state: number, word: number, factor: number): number {
  const mixed = Math.imul(state ^ word, factor);
  return mixed ^ (mixed >>> 15);
}
