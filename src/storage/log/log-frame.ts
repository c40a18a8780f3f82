// The bytes of a log segment: a header, then frames, one for each group. Hot; its numbers are in the README.
//
//     0          4096
//     | header   | frame | frame | ... | seal | what an earlier life of this file left behind, or zeros
//
//     header  'TRPL' | format u16 | segment id u48 | previous id u48 | log name, length u8 and ascii | zeros | crc u32
//     frame   crc u32 | head crc u32 | length u32 | durable u32 | lsn u48 | shard u32 | epoch u56 | count u16 | kind u8
//             | ops | zeros up to a multiple of 8
//     op      type u8 | key bytes u16 | record bytes u32 | key | record                            (little endian)
//
// Files are written over again and again, so behind the last frame lies anything, valid frames of other segments included:
// the checksum of a frame begins with the segment's id. It leaves out the records from their fifth byte on, because their
// own checksum (record.ts), of which it holds the four bytes, covers the rest: nothing is summed twice. It goes on from that
// of the head, which is there on its own so that a search for frames need not walk through whatever looks like one.
//
// `durable` tells a torn tail from damage. It says up to where this segment was known to be on the disk when the frame was
// written, and is 0 while the segment before it was not known to be there as a whole. So a frame that cannot be believed
// was either never on the disk (a crash: cut it off, nobody was told 'flushed'), or a later frame knows better: a hole.
//
// Written here, and read in log-scan.ts.

import { TroupeError } from '../../errors.ts';
import type { Crc32 } from '../crc32.ts';
import { readU16, readU32, writeU16, writeU32, writeU56 } from '../little-endian.ts';

/** A deletion has no record. */
export interface LogOp {
  readonly key: Uint8Array;
  readonly record: Uint8Array | undefined;
}

export interface LogGroup {
  readonly lsn: number;
  readonly shard: number;
  readonly epoch: number;
  readonly ops: readonly LogOp[];
}

/** What a frame says of the segment around it. */
export interface FrameStamp {
  /** segmentSeed() of its segment. */
  readonly seed: number;
  readonly durable: number;
}

export interface SegmentHeader {
  readonly id: number;
  /** The segment of this log before this one, 0 for the first of a life. */
  readonly previous: number;
  readonly log: string;
}

export type ReadHeader =
  | { readonly type: 'ok'; readonly header: SegmentHeader }
  | { readonly type: 'newer'; readonly format: number }
  | { readonly type: 'none'; readonly reason: string };

export const logFormat = 1;
export const segmentHeaderBytes = 4_096;
export const logNameCharsMax = 32;
/** Kept free at the end of each segment. */
export const sealBytes = 40;
export const markBytes = 40;
/** A segment ends here: positions are kept in 31 bits. */
export const segmentBytesMax: number = 2 ** 31 - 8;

export const frameHeaderBytes = 36;
export const opHeaderBytes = 7;
/** Frames begin at multiples of this, so that looking for one behind damage is quick. */
export const alignment = 8;
const opsMax = 0xffff;
export const kinds = { group: 1, seal: 2 } as const;
export const types = { put: 1, delete: 2 } as const;
const magic = [0x54, 0x52, 0x50, 0x4c] as const;
const nameAt = 18;
const headerCrcAt: number = segmentHeaderBytes - 4;
const noRecords = new Int32Array(0);
const two32: number = 2 ** 32;

// Writing.

/** Where the checksums of a segment's frames begin. */
export function segmentSeed(crc: Crc32, segment: number): number {
  const bytes = new Uint8Array(6);
  writeU48(bytes, 0, segment);
  return crc(bytes);
}

export function encodeHeader(crc: Crc32, { id, previous, log }: SegmentHeader): Uint8Array {
  const bytes = new Uint8Array(segmentHeaderBytes);
  bytes.set(magic);
  writeU16(bytes, 4, logFormat);
  writeU48(bytes, 6, id);
  writeU48(bytes, 12, previous);
  bytes[nameAt] = log.length;
  for (let index = 0; index < log.length; index++) bytes[nameAt + 1 + index] = log.charCodeAt(index);
  writeU32(bytes, headerCrcAt, crc(bytes.subarray(0, headerCrcAt)));
  return bytes;
}

/** What a group takes in a segment. */
export function frameBytes({ ops }: LogGroup): number {
  if (ops.length > opsMax) throw tooManyOps(ops.length);
  let bytes = frameHeaderBytes;
  for (let index = 0; index < ops.length; index++) {
    const { key, record } = ops[index] as LogOp;
    bytes += opHeaderBytes + key.length + (record === undefined ? 0 : record.length);
  }
  return align(bytes);
}

/**
 * Writes a group at `at` and returns where its frame ends. Where its records lie goes to `records`, one place an op, from
 * `recordsFrom` on; -1 for a deletion.
 */
export function writeFrame(
  into: Uint8Array,
  at: number,
  group: LogGroup,
  stamp: FrameStamp,
  crc: Crc32,
  records: Int32Array,
  recordsFrom: number,
): number {
  const { ops } = group;
  const end = at + frameBytes(group);
  let sum = writeHead(into, at, end, stamp, group, ops.length, kinds.group, crc);
  let summed = at + frameHeaderBytes;
  let to = summed;
  for (let index = 0; index < ops.length; index++) {
    const { key, record } = ops[index] as LogOp;
    into[to] = record === undefined ? types.delete : types.put;
    writeU16(into, to + 1, key.length);
    writeU32(into, to + 3, record === undefined ? 0 : record.length);
    into.set(key, to + opHeaderBytes);
    to += opHeaderBytes + key.length;
    records[recordsFrom + index] = record === undefined ? -1 : to;
    if (record === undefined) continue;
    into.set(record, to);
    sum = crc(into.subarray(summed, to + 4), sum);
    to += record.length;
    summed = to;
  }
  if (summed < to) sum = crc(into.subarray(summed, to), sum);
  writeU32(into, at, sum);
  while (to < end) into[to++] = 0;
  return end;
}

/** Says that nothing comes behind it in this segment. Returns where it ends. */
export function writeSeal(into: Uint8Array, at: number, lsn: number, stamp: FrameStamp, crc: Crc32): number {
  const end = at + sealBytes;
  writeU32(into, at, writeHead(into, at, end, stamp, { lsn, shard: 0, epoch: 0 }, 0, kinds.seal, crc));
  into.fill(0, at + frameHeaderBytes, end);
  return end;
}

/** Says how far the segment was on the disk, when no group comes to say it: a group of shard 0, which there is not, without operations. */
export function writeMark(into: Uint8Array, at: number, lsn: number, stamp: FrameStamp, crc: Crc32): number {
  return writeFrame(into, at, { lsn, shard: 0, epoch: 0, ops: [] }, stamp, crc, noRecords, 0);
}

/** Returns the checksum so far. */
function writeHead(
  into: Uint8Array,
  at: number,
  end: number,
  { seed, durable }: FrameStamp,
  { lsn, shard, epoch }: Omit<LogGroup, 'ops'>,
  count: number,
  kind: number,
  crc: Crc32,
): number {
  writeU32(into, at + 8, end - at);
  writeU32(into, at + 12, durable);
  writeU48(into, at + 16, lsn);
  writeU32(into, at + 22, shard);
  writeU56(into, at + 26, epoch);
  writeU16(into, at + 33, count);
  into[at + 35] = kind;
  const sum = crc(into.subarray(at + 8, at + frameHeaderBytes), seed);
  writeU32(into, at + 4, sum);
  return sum;
}

// Reading.

/** The length of the record at `recordAt`, which is that of a key of `keyBytes`: it stands before the key. */
export function recordBytesAt(bytes: Uint8Array, recordAt: number, keyBytes: number): number {
  return readU32(bytes, recordAt - keyBytes - 4);
}

export function readHeader(bytes: Uint8Array, crc: Crc32): ReadHeader {
  const none = (reason: string): ReadHeader => ({ type: 'none', reason });
  if (bytes.length < segmentHeaderBytes) return none(`only ${bytes.length} bytes long`);
  if (magic.some((byte, index) => bytes[index] !== byte)) return none('no header');
  if (crc(bytes.subarray(0, headerCrcAt)) !== readU32(bytes, headerCrcAt)) return none('the checksum differs');
  const format = readU16(bytes, 4);
  if (format > logFormat) return { type: 'newer', format };
  const name = bytes.subarray(nameAt + 1, nameAt + 1 + (bytes[nameAt] as number));
  const header = { id: readU48(bytes, 6), previous: readU48(bytes, 12), log: String.fromCharCode(...name) };
  return { type: 'ok', header };
}

export function align(bytes: number): number {
  return Math.ceil(bytes / alignment) * alignment;
}

export function readU48(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at) + readU16(bytes, at + 4) * two32;
}

function writeU48(bytes: Uint8Array, at: number, value: number): void {
  writeU32(bytes, at, value >>> 0);
  writeU16(bytes, at + 4, Math.floor(value / two32));
}

function tooManyOps(count: number): TroupeError {
  return new TroupeError('TOO_LARGE', `A group has ${count} operations; ${opsMax} are allowed.`, {
    details: { count, countMax: opsMax },
  });
}
