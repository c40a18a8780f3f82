// The flush: a sealed log segment becomes a run. For a thread of the jobs pool; it reads the segment's file itself, so neither
// the memtables nor the thread that commits are touched.
//
//     segment ── scan: every checksum ──> newest version of each key ──> sort ──> run
//
// Invariant: it returns only when the run is durable and holds the newest version of every key of the segment (of shards that
// were not dropped); else it throws and leaves nothing. It changes neither the segment nor the manifest.

import { readFileSync } from 'node:fs';
import { crc32 as zlibCrc32 } from 'node:zlib';
import { TroupeError } from '../../errors.ts';
import { type Crc32, crc32 as ownCrc32 } from '../crc32.ts';
import type { KeyName } from '../key.ts';
import { type ScannedGroup, scanSegment } from '../log/log-scan.ts';
import { JobControl } from './job-control.ts';
import { placeOf, type RunEntry, type RunInfo } from './run-format.ts';
import { writeRun } from './run-writer-store.ts';

/** Plain data: it crosses a thread. */
export interface FlushArgument {
  readonly segmentPath: string;
  readonly segment: number;
  /** The bytes of the file as they were written, in shared memory: read instead of a file that is damaged. */
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

interface Newest {
  readonly key: Uint8Array;
  readonly lsn: number;
  readonly record: Uint8Array | undefined;
}

/** Entries between two looks at the control word. */
const lookEvery = 1_024;

/** zlib's is faster by the byte and slower by the call. */
const crc: Crc32 = (bytes, seed) => (bytes.length <= 128 ? ownCrc32(bytes, seed) : zlibCrc32(bytes, seed));

export async function flushSegment(argument: FlushArgument): Promise<FlushResult> {
  const { segmentPath, segment, dir, runId, seeds, reserve, cut = false } = argument;
  const control = new JobControl(argument.control);
  const look = (): void => control.reached(0);
  look();
  // A copy: what is shared is not what every function of Node takes.
  const bytes = argument.image === undefined ? readFileSync(segmentPath) : Buffer.from(argument.image);
  const seedOf = new Map(seeds);
  const newest = new NewestOfKeys(bytes);
  const scanned = scanSegment(bytes, { segment, crc, seedOf: shard => seedOf.get(shard) }, group => newest.add(group));
  if (scanned.state !== 'sealed' && !(cut && scanned.state === 'open'))
    throw damaged(segmentPath, scanned.end, scanned.reason);
  look();
  const run = await writeRun(newest.inOrder(look), {
    dir,
    id: runId,
    entriesMax: newest.count,
    bytes: newest.bytes,
    epochs: newest.epochs,
    reserve,
    each: look,
  });
  return { run, fences: [...newest.epochs], groups: scanned.groups, lsnMax: scanned.lsnMax };
}

/**
 * Keys as strings with a character a byte: a Map finds them, and sort() without a function of ours compares them several times
 * as fast as one that looks at bytes.
 */
class NewestOfKeys {
  readonly epochs = new Map<number, number>();
  bytes = 0;
  count = 0;
  readonly #segment: Buffer;
  readonly #shards = new Map<number, Map<KeyName, Newest>>();

  constructor(segment: Buffer) {
    this.#segment = segment;
  }

  /** Groups of one log come by rising lsn, operations of a group in order: the last one wins. */
  add({ lsn, shard, epoch, ops }: ScannedGroup): void {
    this.epochs.set(shard, Math.max(this.epochs.get(shard) ?? 0, epoch));
    let newest = this.#shards.get(shard);
    if (newest === undefined) {
      newest = new Map();
      this.#shards.set(shard, newest);
    }
    const before = newest.size;
    for (const { key, record } of ops) {
      const at = key.byteOffset - this.#segment.byteOffset;
      newest.set(this.#segment.toString('latin1', at, at + key.length), { key, lsn, record });
      this.bytes += 4 + key.length + (record?.length ?? 0);
    }
    this.count += newest.size - before;
  }

  /** `look` is called now and then, and may throw to break it off. */
  *inOrder(look: () => void): Generator<RunEntry> {
    let count = 0;
    for (const [shard, newest] of [...this.#shards].sort(([a], [b]) => a - b)) {
      for (const name of [...newest.keys()].sort()) {
        if (++count % lookEvery === 0) look();
        const { key, lsn, record } = newest.get(name) as Newest;
        yield { place: placeOf(shard, key), lsn, record };
      }
    }
  }
}

function damaged(path: string, at: number, reason: string): TroupeError {
  return new TroupeError('CORRUPT', `The log segment ${path} is damaged at ${at}: ${reason}.`, {
    details: { file: path, at, reason },
  });
}
