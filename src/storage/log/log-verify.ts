// What a person gets to see of a log: one plain object a segment and a frame, for `troupe log verify` and `troupe log dump`.
// Reads bytes, changes nothing, and goes on where recovery would refuse: whoever looks at damage wants to see all of it.
//
// Invariant: a log is shown as sound here exactly when readLogs takes it without a word.

import type { Crc32 } from '../crc32.ts';
import { showKey } from '../key.ts';
import { view } from '../record.ts';
import { type ReadHeader, readHeader, segmentHeaderBytes, segmentSeed } from './log-frame.ts';
import { type LoggedSegment, parseFile } from './log-names.ts';
import { type Frame, readFrame, type ScanEnd, scanSegment } from './log-scan.ts';
import { endsTooSoon, provenWhole } from './log-tail.ts';

export interface LogFile {
  readonly file: string;
  readonly bytes: Uint8Array;
}

export interface VerifyOptions {
  readonly crc: Crc32;
  /** shardSeed() by number; records of shards it does not know are not checked. */
  seedOf(shard: number): number | undefined;
  /** Segments the manifest remembers, by id, but for those that are in runs. */
  readonly logged?: ReadonlyMap<number, LoggedSegment> | undefined;
}

export interface SegmentReport {
  readonly file: string;
  readonly log: string;
  readonly id: number;
  readonly header: 'ok' | 'missing' | 'stale' | 'newer';
  /** sealed and torn are sound; dropped: behind a torn one, so recovery removes it; missing: the manifest alone knows of it. */
  readonly state: 'sealed' | 'torn' | 'hole' | 'missing' | 'dropped' | 'empty' | 'unreadable';
  readonly groups: number;
  readonly lsnMax: number;
  /** Where the believed frames end. */
  readonly end: number;
  readonly bytes: number;
  /** Why they end there; empty when sealed. */
  readonly reason: string;
}

export interface FrameReport {
  readonly file: string;
  readonly at: number;
  readonly bytes: number;
  /** mark: no group, it only says how far the segment was on the disk. */
  readonly kind: 'group' | 'seal' | 'mark';
  readonly lsn: number;
  readonly shard: number;
  readonly epoch: number;
  readonly durable: number;
  readonly ops: readonly OpReport[];
}

export interface OpReport {
  readonly type: 'put' | 'delete';
  readonly key: string;
  readonly recordAt: number;
  readonly recordBytes: number;
  readonly record: 'ok' | 'damaged' | 'unchecked' | 'none';
}

/** Whether a report means that a node would not start on it. */
export function isDamage({ state }: SegmentReport): boolean {
  return state === 'hole' || state === 'missing' || state === 'unreadable';
}

/** A report on each segment, log by log. Files that are no segments are passed over. */
export function* verifyLogs(files: Iterable<LogFile>, options: VerifyOptions): Generator<SegmentReport> {
  const seen = [];
  for (const { file, bytes } of files) {
    const name = parseFile(file);
    if (name?.kind !== 'log') continue;
    const scan = scanSegment(bytes, { segment: name.id, ...options }, () => {});
    seen.push({ ...name, scan, header: readHeader(bytes, options.crc), bytes: bytes.length });
  }
  seen.sort((a, b) => a.id - b.id);
  for (const [log, segments] of Map.groupBy(seen, ({ log }) => log)) {
    let torn = false;
    for (const [index, { file, id, scan, header, bytes }] of segments.entries()) {
      const later = segments.slice(index + 1);
      const isProven = (): boolean => endsTooSoon(id, scan, later, options.logged) || provenWhole(id, later);
      const state = stateOf(header, scan, torn, isProven);
      // Behind a hole everything is still there for whoever mends it.
      torn ||= scan.state === 'open' && state !== 'hole';
      const { groups, lsnMax, end, reason } = scan;
      yield { file, log, id, header: headerOf(header, id), state, groups, lsnMax, end, bytes, reason };
    }
  }
  const ids = new Set(seen.map(({ id }) => id));
  for (const [id, { file }] of options.logged ?? []) if (!ids.has(id)) yield missing(id, file);
}

/** Each valid frame of a segment. Where there is none, it goes on at the next that is: the step in `at` shows the gap. */
export function* dumpSegment({ file, bytes }: LogFile, { crc, seedOf }: VerifyOptions): Generator<FrameReport> {
  const id = parseFile(file)?.id;
  if (id === undefined) return;
  const seed = segmentSeed(crc, id);
  for (let at = segmentHeaderBytes; at < bytes.length; ) {
    const frame = readFrame(bytes, at, seed, crc);
    if (typeof frame === 'string') {
      at += 8;
      continue;
    }
    const { kind, lsn, shard, epoch, durable, end } = frame;
    const ops = opsOf(frame, seedOf(shard), crc);
    const shown = kind === 'group' && shard === 0 ? 'mark' : kind;
    yield { file, at, bytes: end - at, kind: shown, lsn, shard, epoch, durable, ops };
    if (kind === 'seal') return;
    at = end;
  }
}

function missing(id: number, file: string): SegmentReport {
  const reason = 'the manifest says that it was on the disk';
  const log = parseFile(file)?.log ?? '';
  return { file, log, id, header: 'missing', state: 'missing', groups: 0, lsnMax: 0, end: 0, bytes: 0, reason };
}

function stateOf(header: ReadHeader, scan: ScanEnd, torn: boolean, proven: () => boolean): SegmentReport['state'] {
  if (header.type === 'newer') return 'unreadable';
  const any = scan.groups > 0 || scan.more;
  if (torn) return any ? 'dropped' : 'empty';
  if (scan.state === 'sealed') return 'sealed';
  if (scan.state === 'hole' || proven()) return 'hole';
  return any ? 'torn' : 'empty';
}

function headerOf(read: ReadHeader, id: number): SegmentReport['header'] {
  if (read.type === 'none') return 'missing';
  if (read.type === 'newer') return 'newer';
  return read.header.id === id ? 'ok' : 'stale';
}

function opsOf({ ops }: Frame, seed: number | undefined, crc: Crc32): OpReport[] {
  return ops.map(({ key, record, recordAt }): OpReport => {
    const shown = showKey(key);
    if (!record) return { type: 'delete', key: shown, recordAt, recordBytes: 0, record: 'none' };
    const put = { type: 'put', key: shown, recordAt, recordBytes: record.length } as const;
    if (seed === undefined) return { ...put, record: 'unchecked' };
    const sum = crc(key, crc(view(record, 4, record.length), seed));
    const own = new DataView(record.buffer, record.byteOffset).getUint32(0, true);
    return { ...put, record: sum === own ? 'ok' : 'damaged' };
  });
}
