// What the tests of runs share: entries made of short texts, segments, a directory, and a model.

import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from '../../../src/storage/crc32.ts';
import {
  encodeHeader,
  frameBytes,
  type LogGroup,
  segmentHeaderBytes,
  segmentSeed,
  writeFrame,
  writeSeal,
} from '../../../src/storage/log/log-frame.ts';
import { decodeRecord, encodeRecord, shardSeed } from '../../../src/storage/record.ts';
import { keyOf, placeOf, type RunEntry, type RunInfo, shardOf } from '../../../src/storage/runs/run-format.ts';
import { type RunWriterOptions, writeRun } from '../../../src/storage/runs/run-writer-store.ts';
import { bytes } from '../conformance.ts';

export const none = new Uint8Array(0);
export const plenty = (): number => 1e12;

export function makeDir(): string {
  const dir = join(mkdtempSync(join(tmpdir(), 'troupe-runs-')), 'runs');
  mkdirSync(dir);
  return dir;
}

export const seedOf = (shard: number): number => shardSeed(crc32, `s/${shard}`);

export function recordOf(shard: number, key: Uint8Array, value: string, epoch = 1): Uint8Array {
  return encodeRecord(crc32, seedOf(shard), key, epoch, bytes('v'), bytes(value));
}

/** Without a value: a deletion. */
export function entry(shard: number, key: string, lsn: number, value?: string, epoch = 1): RunEntry {
  const name = bytes(key);
  return {
    place: placeOf(shard, name),
    lsn,
    record: value === undefined ? undefined : recordOf(shard, name, value, epoch),
  };
}

/** What a reader can tell: throws when the record is not what was encoded for this place. */
export function valueIn(shard: number, key: Uint8Array, record: Uint8Array | undefined): string | undefined {
  if (record === undefined) return undefined;
  const decoded = decodeRecord(crc32, seedOf(shard), key, record);
  if (decoded.type === 'corrupt') throw new Error(`record: ${decoded.reason}`);
  return new TextDecoder().decode(decoded.record.value);
}

/** [shard, key, lsn, value] */
export type Row = [number, string, number, string | undefined];

export function rowOf({ place, lsn, record }: RunEntry): Row {
  const [shard, key] = [shardOf(place), keyOf(place)];
  return [shard, Buffer.from(key).toString('latin1'), lsn, valueIn(shard, key, record)];
}

export function inOrder(entries: Iterable<RunEntry>): RunEntry[] {
  return [...entries].sort((a, b) => Buffer.compare(a.place, b.place));
}

export async function write(
  dir: string,
  id: number,
  entries: readonly RunEntry[],
  more: Partial<RunWriterOptions> = {},
): Promise<RunInfo> {
  const size = entries.reduce((sum, { place, record }) => sum + place.length + (record?.length ?? 0), 0);
  const options = { dir, id, entriesMax: entries.length, bytes: size, free: plenty, ...more };
  return (await writeRun(inOrder(entries), options)) as RunInfo;
}

/** A sealed segment with these groups. */
export function writeSegment(path: string, id: number, groups: readonly LogGroup[]): void {
  const size = groups.reduce((sum, group) => sum + frameBytes(group), segmentHeaderBytes + 64);
  const segment = new Uint8Array(size + 1_000);
  const stamp = { seed: segmentSeed(crc32, id), durable: 0 };
  segment.set(encodeHeader(crc32, { id, previous: 0, log: 't' }));
  let at = segmentHeaderBytes;
  for (const group of groups) at = writeFrame(segment, at, group, stamp, crc32, new Int32Array(group.ops.length), 0);
  writeSeal(segment, at, groups.at(-1)?.lsn ?? 0, stamp, crc32);
  writeFileSync(path, segment);
}
