// What the manifest holds: which shards there are, which runs make them up, which log segments are in runs already. One
// small LMDB environment a node, every value with a checksum (record.ts):
//
//     [h]         -> head: format, owner, the next number of each kind; its version is the generation
//     [n][name]   -> number and fence of a shard        [r][id u56] -> RunInfo        [s][id u56] -> a flushed segment
//     [l][id u56] -> a segment of a log whose file is on the disk, and which is not flushed
//
// Invariant: every change of anything raises the generation by one, in the same transaction.

import { Packr } from 'msgpackr';
import { TroupeError } from '../../errors.ts';
import { crc32 } from '../crc32.ts';
import { writeU56 } from '../little-endian.ts';
import type { LoggedSegment } from '../log/log-names.ts';
import { decodeRecord, encodeRecord, shardSeed } from '../record.ts';
import { corrupt } from '../refusals.ts';
import type { RunInfo } from './run-format.ts';

export const manifestFormat = 1;

/** What numbers are given out for; none is given twice. */
export type Counter = 'shard' | 'run' | 'segment';

export interface ManifestShard {
  readonly number: number;
  /** The highest epoch that is known to have written to it, as far as runs and edits have told. */
  readonly fence: number;
}

export interface ManifestState {
  readonly generation: number;
  readonly shards: ReadonlyMap<string, ManifestShard>;
  readonly names: ReadonlyMap<number, string>;
  /** By id: the oldest first. */
  readonly runs: readonly RunInfo[];
  /** Segments whose groups are all in runs, and whose file has not been reported as gone (`forget`). */
  readonly flushed: ReadonlySet<number>;
  /** By id: segments whose files have been on the disk and are not flushed. None of them may be missing. */
  readonly logged: ReadonlyMap<number, LoggedSegment>;
  readonly next: Readonly<Record<Counter, number>>;
}

export interface ManifestEdit {
  readonly add?: readonly RunInfo[];
  readonly remove?: readonly number[];
  /** They are no longer logged. */
  readonly flushed?: readonly number[];
  /** Left out of it: those that are flushed. Whoever tells of them may be late. */
  readonly logged?: ReadonlyMap<number, LoggedSegment>;
  /** Flushed segments whose files exist no more, or are written over. */
  readonly forget?: readonly number[];
  /** Raises fences: number of the shard, epoch. A run that is added raises them by itself. */
  readonly fences?: readonly (readonly [number, number])[];
  /** Points names at other shards, or (undefined) at none. */
  readonly names?: readonly (readonly [string, number | undefined])[];
  readonly next?: Partial<Record<Counter, number>>;
}

export interface ManifestHead {
  readonly format: number;
  readonly owner: string;
  readonly next: Readonly<Record<Counter, number>>;
}

/** What the keys of rows begin with. */
export type RowTag = 'n' | 'r' | 's' | 'l';

const packr = new Packr({ useRecords: false });
const nothing = new Uint8Array(0);
/** Stands for the manifest in messages; no shard can be called so. */
const manifest = '(manifest)';
const seed: number = shardSeed(crc32, manifest);

export const headKey: Uint8Array = Uint8Array.of(0x68);

export function nameKey(name: string): Uint8Array {
  return keyFor(
    'n',
    Uint8Array.from(name, letter => letter.charCodeAt(0)),
  );
}

export function runKey(id: number): Uint8Array {
  return keyFor('r', u56(id));
}

export function segmentKey(id: number): Uint8Array {
  return keyFor('s', u56(id));
}

export function loggedKey(id: number): Uint8Array {
  return keyFor('l', u56(id));
}

export function rangeOf(tag: RowTag): { readonly start: Uint8Array; readonly end: Uint8Array } {
  const byte = tag.charCodeAt(0);
  return { start: Uint8Array.of(byte), end: Uint8Array.of(byte + 1) };
}

/** The number or the name that a key ends with. */
export function nameIn(key: Uint8Array): string {
  return String.fromCharCode(...key.subarray(1));
}

export function numberIn(key: Uint8Array): number {
  return key.subarray(1).reduce((number, byte) => number * 256 + byte, 0);
}

export function encodeValue(key: Uint8Array, value: unknown): Uint8Array {
  return encodeRecord(crc32, seed, key, 0, nothing, new Uint8Array(packr.pack(value)));
}

/** Throws CORRUPT. */
export function decodeValue(key: Uint8Array, bytes: Uint8Array): unknown {
  const decoded = decodeRecord(crc32, seed, key, bytes);
  if (decoded.type === 'corrupt') throw corrupt(manifest, key, decoded.reason);
  return packr.unpack(decoded.record.value);
}

/** Bytes as record.ts would check them, for values that are encoded elsewhere. */
export function sealValue(key: Uint8Array, value: Uint8Array): Uint8Array {
  return encodeRecord(crc32, seed, key, 0, nothing, value);
}

export function openValue(key: Uint8Array, bytes: Uint8Array): Uint8Array {
  const decoded = decodeRecord(crc32, seed, key, bytes);
  if (decoded.type === 'corrupt') throw corrupt(manifest, key, decoded.reason);
  return decoded.record.value;
}

/** Throws BAD_OPTION: the manifest of another node, or of a newer version. Nothing has been touched then. */
export function checkHead({ format, owner }: ManifestHead, wanted: string, dir: string): void {
  if (format !== manifestFormat) {
    throw new TroupeError(
      'BAD_OPTION',
      `The manifest in ${dir} has format ${format}, this version knows ${manifestFormat}. Use the newer version that wrote it.`,
      { details: { dir, format, known: manifestFormat } },
    );
  }
  if (owner === wanted) return;
  throw new TroupeError(
    'BAD_OPTION',
    `The manifest in ${dir} belongs to ${owner}, and ${wanted} wants to use it. It was copied here: two nodes must not go on from one state.`,
    { details: { dir, owner, wanted } },
  );
}

function keyFor(tag: string, rest: Uint8Array): Uint8Array {
  const key = new Uint8Array(1 + rest.length);
  key[0] = tag.charCodeAt(0);
  key.set(rest, 1);
  return key;
}

/** Big endian, so that LMDB keeps them in order. */
function u56(number: number): Uint8Array {
  const bytes = new Uint8Array(7);
  writeU56(bytes, 0, number);
  return bytes.reverse();
}
