// Reading a log segment: its frames one after the other, up to the first that cannot be believed. The format is in log-frame.ts.
//
// Invariant: scanSegment visits a prefix of the groups that were written, whole and unchanged, and never throws.

import type { Crc32 } from '../crc32.ts';
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

/** Reads the frames of a segment, its header included in `bytes` but not looked at, until the first that cannot be believed. */
export function scanSegment(
  bytes: Uint8Array,
  { segment, crc, seedOf }: ScanOptions,
  visit: (group: ScannedGroup, at: number) => void,
): ScanEnd {
  const seed = segmentSeed(crc, segment);
  let at = segmentHeaderBytes;
  let groups = 0;
  let lsnMax = 0;
  let durableMax = 0;
  const ended = (state: ScanEnd['state'], more: boolean, reason: string): ScanEnd => {
    return { state, end: at, groups, lsnMax, durableMax, more, reason };
  };
  for (;;) {
    const frame = readFrame(bytes, at, seed, crc);
    const shardSeed = typeof frame === 'string' || frame.kind === 'seal' ? undefined : seedOf(frame.shard);
    const trouble = typeof frame === 'string' ? frame : recordTrouble(bytes, frame, shardSeed, crc);
    if (typeof frame === 'string' || trouble !== undefined) {
      const later = lookBehind(bytes, at, seed, crc);
      durableMax = Math.max(durableMax, later.durableMax);
      return ended(durableMax > at ? 'hole' : 'open', later.more, trouble as string);
    }
    durableMax = Math.max(durableMax, frame.durable);
    if (frame.kind === 'seal') return ended('sealed', false, '');
    if (shardSeed !== undefined) visit(frame, at);
    groups++;
    lsnMax = Math.max(lsnMax, frame.lsn);
    at = frame.end;
  }
}

/** The frame at `at`, or why there is none. */
export function readFrame(bytes: Uint8Array, at: number, seed: number, crc: Crc32): Frame | string {
  if (at + frameHeaderBytes > bytes.length) return 'the file ends';
  const length = readU32(bytes, at + 8);
  const end = at + length;
  if (length < frameHeaderBytes || length % alignment !== 0) return 'no frame';
  let sum = crc(view(bytes, at + 8, at + frameHeaderBytes), seed);
  if (sum !== readU32(bytes, at + 4)) return 'the checksum of the head differs';
  if (end > bytes.length) return 'the frame is longer than the file';
  const kind = bytes[at + 35] === kinds.group ? 'group' : bytes[at + 35] === kinds.seal ? 'seal' : undefined;
  if (kind === undefined) return 'a frame of an unknown kind';
  const count = readU16(bytes, at + 33);
  const ops: ScannedOp[] = [];
  let summed = at + frameHeaderBytes;
  let to = summed;
  for (let index = 0; index < count; index++) {
    if (to + opHeaderBytes > end) return 'its operations do not fit into the frame';
    const type = bytes[to];
    const keyAt = to + opHeaderBytes;
    const recordAt = keyAt + readU16(bytes, to + 1);
    const recordBytes = readU32(bytes, to + 3);
    to = recordAt + recordBytes;
    if (to > end) return 'its operations do not fit into the frame';
    if (type === types.put && recordBytes >= recordHeaderBytes) {
      sum = crc(view(bytes, summed, recordAt + 4), sum);
      summed = to;
      ops.push({ key: view(bytes, keyAt, recordAt), record: view(bytes, recordAt, to), recordAt });
    } else if (type === types.delete && recordBytes === 0) {
      ops.push({ key: view(bytes, keyAt, recordAt), record: undefined, recordAt: -1 });
    } else return 'an operation is neither put nor delete';
  }
  if (summed < to) sum = crc(view(bytes, summed, to), sum);
  if (align(to) !== end) return 'its operations do not fill the frame';
  for (; to < end; to++) if (bytes[to] !== 0) return 'its padding is not zero';
  if (sum !== readU32(bytes, at)) return 'the checksum of the frame differs';
  return {
    kind,
    durable: readU32(bytes, at + 12),
    end,
    lsn: readU48(bytes, at + 16),
    shard: readU32(bytes, at + 22),
    epoch: readU56(bytes, at + 26),
    ops,
  };
}

/** The operations of frames that are known to be whole, without looking at their checksums. Places are offsets in `bytes`. */
export function eachOp(
  bytes: Uint8Array,
  from: number,
  end: number,
  visit: (shard: number, at: number, keyAt: number, keyEnd: number, lsn: number) => void,
): void {
  for (let at = from; at < end; at += readU32(bytes, at + 8)) {
    const lsn = readU48(bytes, at + 16);
    const shard = readU32(bytes, at + 22);
    let op = at + frameHeaderBytes;
    for (let left = readU16(bytes, at + 33); left > 0; left--) {
      const keyAt = op + opHeaderBytes;
      const keyEnd = keyAt + readU16(bytes, op + 1);
      visit(shard, op, keyAt, keyEnd, lsn);
      op = keyEnd + readU32(bytes, op + 3);
    }
  }
}

/** Where the frames of the groups below `lsn` end, and the highest lsn of them. They are known to be whole, and rise. */
export function endBelow(bytes: Uint8Array, end: number, lsn: number): { end: number; lsnMax: number } {
  let at = segmentHeaderBytes;
  let lsnMax = 0;
  for (; at < end; at += readU32(bytes, at + 8)) {
    const next = readU48(bytes, at + 16);
    if (next >= lsn) break;
    lsnMax = next;
  }
  return { end: at, lsnMax };
}

/** Why a record of the frame is not what was written. Records of a dropped shard have no seed, and no readers. */
function recordTrouble(bytes: Uint8Array, { ops }: Frame, seed: number | undefined, crc: Crc32): string | undefined {
  if (seed === undefined) return undefined;
  for (const { key, record, recordAt } of ops) {
    if (record === undefined) continue;
    const sum = crc(key, crc(view(bytes, recordAt + 4, recordAt + record.length), seed));
    if (sum !== readU32(record, 0)) return 'the checksum of a record differs';
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
    const frame = readFrame(bytes, at, seed, crc);
    if (typeof frame === 'string') continue;
    more = true;
    durableMax = Math.max(durableMax, frame.durable);
    // On to the next frame: what its records hold is not ours to read.
    at = frame.end - alignment;
  }
  return { durableMax, more };
}
