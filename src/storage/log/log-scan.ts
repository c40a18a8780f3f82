// Reading a log segment: its frames one after the other, up to the first that cannot be believed. The format is in log-frame.ts.
// Hot: a restart and every flush read each record so. Nothing is allocated for a frame that is whole; its numbers are in the README.
//
//     scanFrames ─▶ where each frame is       opsOf, lsnAt, shardAt ...: what it says       scanSegment: the same as objects
//
// Invariant: a scan visits a prefix of the groups that were written, whole and unchanged, and never throws.

import { type Crc32, crc32 } from '../crc32.ts';
import { readU16, readU32, readU56 } from '../little-endian.ts';
import { recordHeaderBytes, view } from '../record.ts';
import {
  align,
  alignment,
  frameHeaderBytes,
  kinds,
  type LogGroup,
  type LogOp,
  opHeaderBytes,
  readU48,
  segmentHeaderBytes,
  segmentSeed,
  types,
} from './log-frame.ts';

/** Key and record are views of the segment: copy what is kept. */
export interface ScannedOp extends LogOp {
  /** Where the record lies in the segment; -1 for a deletion. */
  readonly recordAt: number;
}

export interface ScannedGroup extends LogGroup {
  readonly ops: readonly ScannedOp[];
}

export interface ScanOptions {
  readonly segment: number;
  readonly crc: Crc32;
  /** shardSeed() of the shard with this number; undefined when it was dropped: its groups are passed over unchecked. */
  seedOf(shard: number): number | undefined;
}

export interface ScanEnd {
  /**
   * sealed: everything that was ever written here is there. open: a frame at `end` cannot be believed, and nothing here
   * says that it was ever on the disk (unused space or a torn tail; a later segment may know better). hole: it was.
   */
  readonly state: 'sealed' | 'open' | 'hole';
  /** Behind the last frame that is believed; where the seal is, or has to go. */
  readonly end: number;
  /** Frames of groups that are believed, those of dropped shards included. */
  readonly groups: number;
  /** The highest lsn of a believed frame, 0 without any. */
  readonly lsnMax: number;
  /** The highest `durable` of any valid frame, also of those behind `end`. 0: none says that earlier segments are on the disk. */
  readonly durableMax: number;
  /** There are valid frames behind `end`. */
  readonly more: boolean;
  /** Why the frame at `end` is not believed; empty when sealed. */
  readonly reason: string;
}

/** A frame that is whole; its records are not looked at yet. */
export interface Frame extends ScannedGroup {
  readonly kind: 'group' | 'seal';
  readonly durable: number;
  readonly end: number;
}

/** Up to here our own CRC is faster than a view and a call into zlib; both give the same. */
const ownCrcMax = 192;

/** Reads the frames of a segment, its header included in `bytes` but not looked at, until the first that cannot be believed. */
export function scanFrames(
  bytes: Uint8Array,
  { segment, crc, seedOf }: ScanOptions,
  visit: (at: number) => void,
): ScanEnd {
  const seed = segmentSeed(crc, segment);
  let at = segmentHeaderBytes;
  let groups = 0;
  let lsnMax = 0;
  let durableMax = 0;
  for (;;) {
    let trouble = frameTrouble(bytes, at, seed, crc);
    const isGroup = trouble === undefined && bytes[at + 35] === kinds.group;
    const shard = isGroup ? shardAt(bytes, at) : 0;
    // There is no shard 0: its frame is a mark.
    const shardSeed = shard !== 0 ? seedOf(shard) : undefined;
    if (shardSeed !== undefined) trouble = recordTrouble(bytes, at, shardSeed, crc);
    if (trouble !== undefined) {
      const later = lookBehind(bytes, at, seed, crc);
      durableMax = Math.max(durableMax, later.durableMax);
      const state = durableMax > at ? 'hole' : 'open';
      return { state, end: at, groups, lsnMax, durableMax, more: later.more, reason: trouble };
    }
    durableMax = Math.max(durableMax, readU32(bytes, at + 12));
    if (!isGroup) return { state: 'sealed', end: at, groups, lsnMax, durableMax, more: false, reason: '' };
    if (shardSeed !== undefined) visit(at);
    if (shard !== 0) groups++;
    lsnMax = Math.max(lsnMax, lsnAt(bytes, at));
    at += readU32(bytes, at + 8);
  }
}

/** The same, with the groups as objects. */
export function scanSegment(
  bytes: Uint8Array,
  options: ScanOptions,
  visit: (group: ScannedGroup, at: number) => void,
): ScanEnd {
  return scanFrames(bytes, options, at => visit(frameAt(bytes, at), at));
}

/** The frame at `at`, or why there is none. */
export function readFrame(bytes: Uint8Array, at: number, seed: number, crc: Crc32): Frame | string {
  return frameTrouble(bytes, at, seed, crc) ?? frameAt(bytes, at);
}

// What a frame says that is known to be whole.

export function lsnAt(bytes: Uint8Array, frame: number): number {
  return readU48(bytes, frame + 16);
}

export function shardAt(bytes: Uint8Array, frame: number): number {
  return readU32(bytes, frame + 22);
}

export function epochAt(bytes: Uint8Array, frame: number): number {
  return readU56(bytes, frame + 26);
}

/** The operations of one frame: where each begins, and its key. */
export function opsOf(
  bytes: Uint8Array,
  frame: number,
  visit: (at: number, keyAt: number, keyEnd: number) => void,
): void {
  let at = frame + frameHeaderBytes;
  for (let left = readU16(bytes, frame + 33); left > 0; left--) {
    const keyAt = at + opHeaderBytes;
    const keyEnd = keyAt + readU16(bytes, at + 1);
    visit(at, keyAt, keyEnd);
    at = keyEnd + readU32(bytes, at + 3);
  }
}

export function isDelete(bytes: Uint8Array, op: number): boolean {
  return bytes[op] === types.delete;
}

/** The operations of frames that are known to be whole, without looking at their checksums. Places are offsets in `bytes`. */
export function eachOp(
  bytes: Uint8Array,
  from: number,
  end: number,
  visit: (shard: number, at: number, keyAt: number, keyEnd: number, lsn: number) => void,
): void {
  for (let frame = from; frame < end; frame += readU32(bytes, frame + 8)) {
    const lsn = lsnAt(bytes, frame);
    const shard = shardAt(bytes, frame);
    opsOf(bytes, frame, (at, keyAt, keyEnd) => visit(shard, at, keyAt, keyEnd, lsn));
  }
}

/** Where the frames of the groups below `lsn` end, and the highest lsn of them. They are known to be whole, and rise. */
export function endBelow(bytes: Uint8Array, end: number, lsn: number): { end: number; lsnMax: number } {
  let at = segmentHeaderBytes;
  let lsnMax = 0;
  for (; at < end; at += readU32(bytes, at + 8)) {
    const next = lsnAt(bytes, at);
    if (next >= lsn) break;
    lsnMax = next;
  }
  return { end: at, lsnMax };
}

// Whether to believe one.

/** Why there is no whole frame at `at`. Its records are another matter: recordTrouble. */
function frameTrouble(bytes: Uint8Array, at: number, seed: number, crc: Crc32): string | undefined {
  if (at + frameHeaderBytes > bytes.length) return 'the file ends';
  const length = readU32(bytes, at + 8);
  const end = at + length;
  if (length < frameHeaderBytes || length % alignment !== 0) return 'no frame';
  let sum = sumOf(crc, bytes, at + 8, at + frameHeaderBytes, seed);
  if (sum !== readU32(bytes, at + 4)) return 'the checksum of the head differs';
  if (end > bytes.length) return 'the frame is longer than the file';
  const kind = bytes[at + 35];
  if (kind !== kinds.group && kind !== kinds.seal) return 'a frame of an unknown kind';
  let summed = at + frameHeaderBytes;
  let to = summed;
  for (let left = readU16(bytes, at + 33); left > 0; left--) {
    if (to + opHeaderBytes > end) return 'its operations do not fit into the frame';
    const type = bytes[to];
    const recordAt = to + opHeaderBytes + readU16(bytes, to + 1);
    const recordBytes = readU32(bytes, to + 3);
    to = recordAt + recordBytes;
    if (to > end) return 'its operations do not fit into the frame';
    if (type === types.put && recordBytes >= recordHeaderBytes) {
      sum = sumOf(crc, bytes, summed, recordAt + 4, sum);
      summed = to;
    } else if (type !== types.delete || recordBytes !== 0) return 'an operation is neither put nor delete';
  }
  if (summed < to) sum = sumOf(crc, bytes, summed, to, sum);
  if (align(to) !== end) return 'its operations do not fill the frame';
  for (; to < end; to++) if (bytes[to] !== 0) return 'its padding is not zero';
  if (sum !== readU32(bytes, at)) return 'the checksum of the frame differs';
  return undefined;
}

/** Why a record of a whole frame is not what was written. Records of a dropped shard have no seed, and no readers. */
function recordTrouble(bytes: Uint8Array, frame: number, seed: number, crc: Crc32): string | undefined {
  let at = frame + frameHeaderBytes;
  for (let left = readU16(bytes, frame + 33); left > 0; left--) {
    const keyAt = at + opHeaderBytes;
    const recordAt = keyAt + readU16(bytes, at + 1);
    const end = recordAt + readU32(bytes, at + 3);
    if (!isDelete(bytes, at)) {
      const sum = sumOf(crc, bytes, keyAt, recordAt, sumOf(crc, bytes, recordAt + 4, end, seed));
      if (sum !== readU32(bytes, recordAt)) return 'the checksum of a record differs';
    }
    at = end;
  }
  return undefined;
}

/** What the valid frames behind a bad one say. Where they begin is not known, except that it is a multiple of the alignment. */
function lookBehind(bytes: Uint8Array, bad: number, seed: number, crc: Crc32): { durableMax: number; more: boolean } {
  let durableMax = 0;
  let more = false;
  for (let at = bad + alignment; at + frameHeaderBytes <= bytes.length; at += alignment) {
    const length = readU32(bytes, at + 8);
    if (length < frameHeaderBytes || length > bytes.length - at || readU32(bytes, at + 12) > at) continue;
    if (frameTrouble(bytes, at, seed, crc) !== undefined) continue;
    more = true;
    durableMax = Math.max(durableMax, readU32(bytes, at + 12));
    // On to the next frame: what its records hold is not ours to read.
    at += length - alignment;
  }
  return { durableMax, more };
}

/** A whole frame as an object. */
export function frameAt(bytes: Uint8Array, at: number): Frame {
  const ops: ScannedOp[] = [];
  opsOf(bytes, at, (op, keyAt, recordAt) => {
    const key = view(bytes, keyAt, recordAt);
    if (isDelete(bytes, op)) ops.push({ key, record: undefined, recordAt: -1 });
    else ops.push({ key, record: view(bytes, recordAt, recordAt + readU32(bytes, op + 3)), recordAt });
  });
  return {
    kind: bytes[at + 35] === kinds.group ? 'group' : 'seal',
    durable: readU32(bytes, at + 12),
    end: at + readU32(bytes, at + 8),
    lsn: lsnAt(bytes, at),
    shard: shardAt(bytes, at),
    epoch: epochAt(bytes, at),
    ops,
  };
}

function sumOf(crc: Crc32, bytes: Uint8Array, from: number, to: number, seed: number): number {
  return to - from <= ownCrcMax ? crc32(bytes, seed, from, to) : crc(view(bytes, from, to), seed);
}
