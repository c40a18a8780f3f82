// What a run holds, byte for byte. A run is a sorted table in one LMDB file that is written once and never changed:
//
//     place [shard u32 BE][key]  ->  | check u32 | lsn u48 | kind u8 | record ... |        little endian
//     place [ff ff ff ff]        ->  what the run says of itself: the last key of the file, see RunAbout
//
// A record carries a checksum of its own over shard, key and value (record.ts). What surrounds it here decides which of two
// versions is the newer one, and whether a key is deleted: `check` covers that, and the place. A flipped bit there would
// not damage a record but choose the wrong one.
//
// Invariant: decodeEntry never throws, and what it calls ok is what encodeEntry was given for that place.

import { Packr } from 'msgpackr';
import { TroupeError } from '../../errors.ts';
import { recordKeyBytesMax, runRecordBytesMax } from '../../limits.ts';
import { crc32 } from '../crc32.ts';
import { readU32, readU56, writeU32, writeU56 } from '../little-endian.ts';
import { view } from '../record.ts';

export const runFormat = 1;
export const entryHeadBytes = 11;
export const placeBytesMax: number = 4 + recordKeyBytesMax;
/** The last number that a shard can have is below this. */
export const shardNumbersEnd = 0xffff_ffff;

/** One version of one key, or (without a record) its deletion. */
export interface RunEntry {
  readonly place: Uint8Array;
  readonly lsn: number;
  /** As record.ts encodes it. */
  readonly record: Uint8Array | undefined;
  /** What encodeEntry() makes of it, where that is known: the entry was read from another run. */
  readonly encoded?: Uint8Array;
}

/** What a run holds of one shard. */
export interface RunShard {
  readonly number: number;
  readonly records: number;
  readonly deletes: number;
  readonly minLsn: number;
  readonly maxLsn: number;
  /** The highest epoch of any group of a segment that it was made from, as far as groups speak for their shard; else 0. */
  readonly maxEpoch: number;
  /** Keys without the number of the shard. Empty when there are no entries, and only the epoch is told. */
  readonly firstKey: Uint8Array;
  readonly lastKey: Uint8Array;
}

/** What a run says of itself, in its own file. */
export interface RunAbout {
  readonly id: number;
  readonly records: number;
  readonly deletes: number;
  readonly minLsn: number;
  readonly maxLsn: number;
  /** By number. */
  readonly shards: readonly RunShard[];
}

/** What the manifest says of a run. Plain data. */
export interface RunInfo extends RunAbout {
  /** The name of the file, without its directory. */
  readonly file: string;
  readonly bytes: number;
  /** CRC-32 of the whole file. */
  readonly crc: number;
}

/** An entry without its place and its record. */
export interface EntryHead {
  readonly lsn: number;
  readonly deleted: boolean;
}

export type DecodedEntry =
  | { readonly type: 'ok'; readonly lsn: number; readonly record: Uint8Array | undefined }
  | { readonly type: 'corrupt'; readonly reason: string };

const kinds = { record: 0, deleted: 1 } as const;

// Places.

export function placeOf(shard: number, key: Uint8Array): Uint8Array {
  const place = new Uint8Array(4 + key.length);
  writePlace(place, shard, key);
  return place;
}

/** Returns its length. Into a place that is used again and again: reads make no garbage. */
export function writePlace(into: Uint8Array, shard: number, key: Uint8Array): number {
  into[0] = shard >>> 24;
  into[1] = shard >>> 16;
  into[2] = shard >>> 8;
  into[3] = shard;
  into.set(key, 4);
  return 4 + key.length;
}

export function shardOf(place: Uint8Array): number {
  const [a, b, c, d] = place as unknown as [number, number, number, number];
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}

export function keyOf(place: Uint8Array): Uint8Array {
  return view(place, 4, place.length);
}

/** The place behind every entry, where a run speaks of itself. */
export const aboutPlace: Uint8Array = placeOf(shardNumbersEnd, new Uint8Array(0));

// Entries.

export function entryBytes({ record }: RunEntry): number {
  return entryHeadBytes + (record?.length ?? 0);
}

/** Writes the value of an entry and returns its length. Throws TOO_LARGE. */
export function encodeEntry(into: Uint8Array, { place, lsn, record, encoded }: RunEntry): number {
  if (encoded !== undefined) {
    into.set(encoded);
    return encoded.length;
  }
  encodeHead(into, place, { lsn, deleted: record === undefined });
  if (!record) return entryHeadBytes;
  checkRecordBytes(record.length);
  into.set(record, entryHeadBytes);
  return entryHeadBytes + record.length;
}

/** What stands before the record. */
export function encodeHead(into: Uint8Array, place: Uint8Array, { lsn, deleted }: EntryHead): void {
  writeU56(into, 4, lsn);
  into[10] = deleted ? kinds.deleted : kinds.record;
  writeU32(into, 0, check(place, into));
}

/** Throws TOO_LARGE. */
export function checkRecordBytes(bytes: number): void {
  if (bytes > runRecordBytesMax) throw tooLarge(bytes);
}

/** The record is a view of `bytes`. */
export function decodeEntry(place: Uint8Array, bytes: Uint8Array): DecodedEntry {
  if (bytes.length < entryHeadBytes) return { type: 'corrupt', reason: `its entry has only ${bytes.length} bytes` };
  if (check(place, bytes) !== readU32(bytes, 0))
    return { type: 'corrupt', reason: 'the checksum of its entry differs' };
  const kind = bytes[10] as number;
  const lsn = readLsn(bytes);
  if (kind === kinds.record) return { type: 'ok', lsn, record: view(bytes, entryHeadBytes, bytes.length) };
  if (kind === kinds.deleted && bytes.length === entryHeadBytes) return { type: 'ok', lsn, record: undefined };
  return { type: 'corrupt', reason: `its entry is of kind ${kind} and has ${bytes.length} bytes` };
}

/** Over a few dozen bytes: our own CRC is faster there than the call into zlib. */
function check(place: Uint8Array, bytes: Uint8Array): number {
  return crc32(place, crc32(bytes, 0, 4, entryHeadBytes));
}

/** Six bytes; the seventh is the kind. */
function readLsn(bytes: Uint8Array): number {
  return readU56(bytes, 4) - (bytes[10] as number) * 2 ** 48;
}

function tooLarge(bytes: number): TroupeError {
  return new TroupeError('TOO_LARGE', `A record has ${bytes} bytes; ${runRecordBytesMax} are allowed in a run.`, {
    details: { bytes, bytesMax: runRecordBytesMax },
  });
}

// What a run says of itself, and what the manifest says of it.

const packr = new Packr({ useRecords: false });

export function encodeAbout(about: RunAbout): Uint8Array {
  return new Uint8Array(packr.pack({ format: runFormat, ...about }));
}

/** Throws BAD_OPTION when a newer version wrote it. */
export function decodeAbout(bytes: Uint8Array, file: string): RunAbout {
  const { format, ...about } = packr.unpack(bytes) as RunAbout & { format: number };
  if (format === runFormat) return { ...about, shards: about.shards.map(ownBytes) };
  throw new TroupeError(
    'BAD_OPTION',
    `The run ${file} has format ${format}, this version knows ${runFormat}. Use the newer version that wrote it.`,
    { details: { file, format, known: runFormat } },
  );
}

export function encodeInfo(info: RunInfo): Uint8Array {
  return encodeAbout(info);
}

export function decodeInfo(bytes: Uint8Array, where: string): RunInfo {
  return decodeAbout(bytes, where) as RunInfo;
}

/** msgpackr hands out Buffers, whose slice() is no copy. */
function ownBytes(shard: RunShard): RunShard {
  return { ...shard, firstKey: new Uint8Array(shard.firstKey), lastKey: new Uint8Array(shard.lastKey) };
}

// Names of files.

export function runFile(id: number): string {
  return `run-${id}.mdb`;
}

/** The filter of a run, beside it. */
export function filterFile(file: string): string {
  return `${file}.bloom`;
}

/** LMDB makes it beside what it opens, also for reading only. */
export function lockFile(file: string): string {
  return `${file}-lock`;
}

/** The run that a file of a directory of runs belongs to; undefined for what is none of ours. */
export function runOfFile(name: string): number | undefined {
  const id = /^run-(\d{1,16})\.mdb(\.bloom|-lock)?$/.exec(name)?.[1];
  return id === undefined ? undefined : Number(id);
}
