// A stored record: what an engine writes for one key, with the checksum that tells whether it may be believed.
//
//     0      4        5        12              14
//     | crc  | format | epoch  | version bytes | version | value |
//     | u32  | u8     | u56    | u16           |         |       |      little endian
//
// The checksum covers shard name, the record from `format` on, and the key. So a record that was written to the wrong
// place (another key, another shard) is as damaged as one with a flipped bit, although all its bytes are fine.
//
// Invariant: decodeRecord never throws and never returns bytes whose checksum does not match.

import { newBytes } from './byte-pieces.ts';
import type { Crc32 } from './crc32.ts';
import type { StoredRecord } from './engine.ts';
import { readU16, readU32, readU56, writeU16, writeU32, writeU56 } from './little-endian.ts';

export const recordHeaderBytes = 14;
/** The length of a version is two bytes on disk. */
export const versionBytesMax = 0xffff;

const format = 1;
const nothing = new Uint8Array(0);

export type DecodedRecord =
  | { readonly type: 'ok'; readonly record: StoredRecord }
  | { readonly type: 'corrupt'; readonly reason: string };

/** The part of the checksum that is the same for all records of a shard. */
export function shardSeed(crc: Crc32, name: string): number {
  return crc(Uint8Array.from(name, letter => letter.charCodeAt(0)));
}

/** The version must not exceed versionBytesMax and the epoch must be a safe integer: the caller has checked. */
export function encodeRecord(
  crc: Crc32,
  seed: number,
  key: Uint8Array,
  epoch: number,
  version: Uint8Array,
  value: Uint8Array,
  rest: Uint8Array = nothing,
): Uint8Array {
  const restAt = recordHeaderBytes + version.length + value.length;
  const bytes = newBytes(restAt + rest.length);
  bytes.set(version, recordHeaderBytes);
  bytes.set(value, recordHeaderBytes + version.length);
  if (rest.length > 0) bytes.set(rest, restAt);
  bytes[4] = format;
  writeU56(bytes, 5, epoch);
  writeU16(bytes, 12, version.length);
  writeU32(bytes, 0, checksum(crc, seed, key, bytes));
  return bytes;
}

/**
 * The record holds views of `bytes`, which must not change afterwards; the key is copied. All of them are plain: a Buffer's
 * slice() is no copy, and whoever is handed a Uint8Array relies on one.
 */
export function decodeRecord(crc: Crc32, seed: number, key: Uint8Array, bytes: Uint8Array): DecodedRecord {
  if (bytes.length < recordHeaderBytes) return { type: 'corrupt', reason: `only ${bytes.length} bytes long` };
  if (checksum(crc, seed, key, bytes) !== readU32(bytes, 0)) return { type: 'corrupt', reason: 'the checksum differs' };
  return decodeChecked(key, bytes);
}

/** The same for bytes whose checksum is known to be right. */
export function decodeChecked(key: Uint8Array, bytes: Uint8Array): DecodedRecord {
  // From here on the bytes are what some version of us wrote; which one is the question.
  if (bytes[4] !== format) return { type: 'corrupt', reason: `format ${bytes[4]} is not known` };
  const valueAt = recordHeaderBytes + readU16(bytes, 12);
  if (valueAt > bytes.length) return { type: 'corrupt', reason: 'the version is longer than the record' };
  const version = valueAt === recordHeaderBytes ? nothing : view(bytes, recordHeaderBytes, valueAt);
  const value = view(bytes, valueAt, bytes.length);
  return { type: 'ok', record: { key: new Uint8Array(key), epoch: epochOf(bytes), version, value } };
}

/** The epoch of an encoded record that is long enough, believed or not. */
export function epochOf(bytes: Uint8Array): number {
  return readU56(bytes, 5);
}

/** A plain view, also of a Buffer. */
export function view(bytes: Uint8Array, from: number, to: number): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset + from, to - from);
}

function checksum(crc: Crc32, seed: number, key: Uint8Array, bytes: Uint8Array): number {
  return crc(key, crc(bytes.subarray(4), seed));
}
