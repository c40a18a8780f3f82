// The flush: a sealed log segment becomes a run. For a thread of the jobs pool; it reads the segment itself, in shared memory or from
// its file, so the thread that commits is not touched.
//
//     segment ── scan: every checksum ──> newest version of each key ──> sort ──> run
//
// Every checksum also when it comes from memory: they were made when the record was handed in, so what has changed there since is found
// here, and no run gives it a checksum that is right.
//
// Invariant: it returns only when the run is durable and holds the newest version of every key of the segment (of shards that
// were not dropped); else it throws and leaves nothing. It changes neither the segment nor the manifest.

import { readFileSync } from 'node:fs';
import { crc32 as zlibCrc32 } from 'node:zlib';
import { TroupeError } from '../../errors.ts';
import { type Crc32, crc32 as ownCrc32 } from '../crc32.ts';
import { scanFrames } from '../log/log-scan.ts';
import { JobControl } from './job-control.ts';
import type { RunInfo } from './run-format.ts';
import { writeRows } from './run-writer-store.ts';
import { SegmentRows } from './segment-rows.ts';

/** Plain data: it crosses a thread. */
export interface FlushArgument {
  readonly segmentPath: string;
  readonly segment: number;
  /** The bytes of the file as they were written, in shared memory: read instead of the file. */
  readonly image?: Uint8Array | undefined;
  /** The directory of runs. */
  readonly dir: string;
  /** From the manifest, never used before. */
  readonly runId: number;
  /** Number and shardSeed() of every shard there is: the groups of others are left out. */
  readonly seeds: readonly (readonly [number, number])[];
  /** Its thread died while it wrote: what is behind the last whole frame was told to nobody. */
  readonly cut?: boolean | undefined;
  /** Free bytes that must be left. Default half the low water. */
  readonly reserve?: number | undefined;
  /** JobControl.memory. */
  readonly control?: SharedArrayBuffer | undefined;
}

export interface FlushResult {
  /** Undefined: there was nothing to keep. */
  readonly run: RunInfo | undefined;
  /** The highest epoch of each shard that wrote into the segment, also when nothing of it is in the run. */
  readonly fences: readonly (readonly [number, number])[];
  readonly groups: number;
  readonly lsnMax: number;
}

/** zlib's is faster by the byte and slower by the call. */
const crc: Crc32 = (bytes, seed) => (bytes.length <= 128 ? ownCrc32(bytes, seed) : zlibCrc32(bytes, seed));

export async function flushSegment(argument: FlushArgument): Promise<FlushResult> {
  const { segmentPath, segment, dir, runId, seeds, reserve, cut = false } = argument;
  const control = new JobControl(argument.control);
  const look = (): void => control.reached(0);
  look();
  const bytes = argument.image ?? readFileSync(segmentPath);
  const seedOf = new Map(seeds);
  const rows = new SegmentRows(bytes);
  const scanned = scanFrames(bytes, { segment, crc, seedOf: shard => seedOf.get(shard) }, frame => rows.add(frame));
  if (scanned.state !== 'sealed' && !(cut && scanned.state === 'open'))
    throw damaged(segmentPath, scanned.end, scanned.reason);
  look();
  rows.settle();
  const run = await writeRows(rows, {
    dir,
    id: runId,
    entriesMax: rows.count,
    bytes: rows.bytes,
    epochs: rows.epochs,
    reserve,
    each: look,
  });
  return { run, fences: [...rows.epochs], groups: scanned.groups, lsnMax: scanned.lsnMax };
}

function damaged(path: string, at: number, reason: string): TroupeError {
  return new TroupeError('CORRUPT', `The log segment ${path} is damaged at ${at}: ${reason}.`, {
    details: { file: path, at, reason },
  });
}
