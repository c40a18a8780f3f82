// A run as its readers see it: one sorted table in a file that never changes. Any number of threads read it at once, each
// through a RunStore of its own. Hot: get() and mayHold() are on every read of the store.
//
//     mayHold ──> shard held at all? key between the first and the last? filter?        no file is touched
//     get     ──> opens the file the first time (0.2 ms), then 1 to 2 us
//     walk    ──> a cursor, closed when the walk ends, is broken off, forgotten, or when the run is closed
//
//     lazy ── get, walk ──> open ── retire(), once no walk is left ──> closed
//                            └──────────── close() ────────────────────┘
//
// Invariants: what get() and walk() hand out belongs to the caller, and its entry's checksum was right; the record's own
// checksum is the caller's to check, who knows the name of the shard. A filter that is damaged or gone is not asked, so it
// never says no. A closed run touches nothing any more, and an open walk of it says STOPPED.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { TroupeError } from '../../errors.ts';
import { type Bloom, type BloomHash, bloomFromBytes, bloomHash } from '../bloom.ts';
import { newBytes } from '../byte-pieces.ts';
import { compareKeys, showKey } from '../key.ts';
import { openForReading, type RunEnv, runCorrupt } from './run-env-store.ts';
import {
  aboutPlace,
  type DecodedEntry,
  decodeAbout,
  decodeEntry,
  filterFile,
  keyOf,
  placeBytesMax,
  placeOf,
  type RunAbout,
  type RunEntry,
  type RunInfo,
  type RunShard,
  writePlace,
} from './run-format.ts';
import { RunCursor, RunWalk } from './run-walk-store.ts';

/** The newest this run knows of a key. Without a record: it was deleted. */
export interface RunFound {
  readonly lsn: number;
  readonly record: Uint8Array | undefined;
}

const nothing = new Uint8Array(0);

export interface RunRecord extends RunFound {
  readonly key: Uint8Array;
}

export class RunStore {
  readonly info: RunInfo;
  readonly path: string;
  readonly #shards: ReadonlyMap<number, RunShard>;
  readonly #cursors = new Set<RunCursor>();
  readonly #place = new Uint8Array(placeBytesMax);
  readonly #hash: BloomHash = new Uint32Array(2);
  /** Made once, for getBinaryFast. */
  #with: { readonly transaction: RunEnv['snapshot'] } | undefined;
  #env: RunEnv | undefined;
  #filter: Bloom | string | undefined;
  #retired = false;
  #closed = false;

  readonly #onDoubt: () => void;

  /** Nothing is opened yet. `onDoubt`: the filter turns out to be damaged, or gone; every read looks into the file. */
  constructor(dir: string, info: RunInfo, onDoubt: () => void = () => {}) {
    this.info = info;
    this.#onDoubt = onDoubt;
    this.path = join(dir, info.file);
    this.#shards = new Map(info.shards.filter(held).map(shard => [shard.number, shard]));
  }

  /** False: it certainly has nothing of this key, neither a record nor a deletion. */
  mayHold(shard: number, key: Uint8Array): boolean {
    bloomHash(shard, key, this.#hash);
    return this.mayHoldHash(shard, key, this.#hash);
  }

  /** For those who ask many runs: bloomHash() of shard and key, made once. */
  mayHoldHash(shard: number, key: Uint8Array, hash: BloomHash): boolean {
    const range = this.#shards.get(shard);
    if (range === undefined) return false;
    if (compareKeys(key, range.firstKey) < 0 || compareKeys(key, range.lastKey) > 0) return false;
    const filter = this.#filter ?? this.#readFilter();
    return typeof filter === 'string' || filter.mayHoldHash(hash);
  }

  /** Undefined: it has nothing of this key. Does not ask the filter. Throws CORRUPT. */
  get(shard: number, key: Uint8Array): RunFound | undefined {
    const { db } = this.#env ?? this.#open();
    const place = this.#place.subarray(0, writePlace(this.#place, shard, key));
    let bytes: Uint8Array | undefined;
    try {
      const shared = db.getBinaryFast(place, this.#with as { readonly transaction: RunEnv['snapshot'] });
      // A copy of its own, and a plain one: what we were handed is overwritten by the next read.
      if (shared !== undefined) bytes = ownCopy(shared);
    } catch (why) {
      throw runCorrupt(this.path, `LMDB says ${(why as Error).message}`, why);
    }
    return bytes && this.#decode(place, bytes);
  }

  /**
   * The keys of a shard in order, from `from` (inclusive) to `to` (exclusive), deletions included. To be walked once; as long
   * as it goes on, the run stays open, unless it is closed. Throws CORRUPT when it comes to something damaged.
   */
  walk(shard: number, from?: Uint8Array, to?: Uint8Array): IterableIterator<RunRecord> {
    const range = this.#shards.get(shard);
    if (range === undefined) return [].values();
    const end = to ? placeOf(shard, to) : placeOf(shard + 1, nothing);
    const cursor = this.#cursor(placeOf(shard, from ?? nothing), end);
    return new RunWalk(cursor, ({ place, lsn, record }) => ({ key: keyOf(place), lsn, record }));
  }

  /** Everything, in the order of the places: what a merge reads. */
  entries(): IterableIterator<RunEntry> {
    return new RunWalk(this.#cursor(new Uint8Array(1), aboutPlace), entry => entry);
  }

  /** What the file says of itself. Throws CORRUPT; BAD_OPTION when a newer version wrote it. */
  about(): RunAbout {
    const { db } = this.#env ?? this.#open();
    const shared = db.getBinaryFast(aboutPlace, this.#with as { readonly transaction: RunEnv['snapshot'] });
    if (shared === undefined) throw runCorrupt(this.path, 'it says nothing of itself');
    return decodeAbout(
      new Uint8Array(shared.buffer as ArrayBuffer, shared.byteOffset, shared.length).slice(),
      this.info.file,
    );
  }

  /** The filter may have been made again: a damaged one is read once more when it is needed. */
  askFilterAgain(): void {
    if (typeof this.#filter === 'string') this.#filter = undefined;
  }

  /** Closes as soon as no walk needs it: for a run that a merge has replaced. Its file may be removed before. */
  retire(): void {
    this.#retired = true;
    if (this.#cursors.size === 0) this.close();
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const cursor of this.#cursors) cursor.end(closed(this.info.file));
    this.#env?.release();
    this.#env = undefined;
  }

  describe(): object {
    const { file, bytes, records, deletes } = this.info;
    const filter = typeof this.#filter === 'string' ? this.#filter : this.#filter ? 'ok' : 'not read yet';
    const state = this.#closed ? 'closed' : this.#retired ? 'retired' : this.#env ? 'open' : 'lazy';
    return { file, bytes, records, deletes, state, walks: this.#cursors.size, filter };
  }

  #open(): RunEnv {
    if (this.#closed) throw closed(this.info.file);
    const env = openForReading(this.path, this.info.bytes);
    this.#env = env;
    this.#with = { transaction: env.snapshot };
    return env;
  }

  #readFilter(): Bloom | string {
    this.#filter = readFilter(this.path, this.info.crc);
    if (typeof this.#filter === 'string') this.#onDoubt();
    return this.#filter;
  }

  #cursor(start: Uint8Array, end: Uint8Array): RunCursor {
    const { db, snapshot } = this.#env ?? this.#open();
    const cursor: RunCursor = new RunCursor(db.getRange({ start, end, transaction: snapshot }), {
      decode: (place, bytes) => this.#decode(place, bytes),
      unreadable: why => runCorrupt(this.path, `LMDB says ${(why as Error).message}`, why),
      ended: () => {
        this.#cursors.delete(cursor);
        if (this.#retired && this.#cursors.size === 0) this.close();
      },
    });
    this.#cursors.add(cursor);
    return cursor;
  }

  #decode(place: Uint8Array, bytes: Uint8Array): Extract<DecodedEntry, { type: 'ok' }> {
    const entry = decodeEntry(place, bytes);
    if (entry.type === 'ok') return entry;
    throw runCorrupt(this.path, `of ${showKey(place)}, ${entry.reason}`);
  }
}

function ownCopy(shared: Uint8Array): Uint8Array {
  const own = newBytes(shared.length);
  // lmdb-js hands out one large buffer again and again, and only says that it is shorter.
  own.set(new Uint8Array(shared.buffer as ArrayBuffer, shared.byteOffset, own.length));
  return own;
}

/** The filter of a run, or why there is none to be believed. */
export function readFilter(path: string, crc: number): Bloom | string {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(filterFile(path));
  } catch (why) {
    return (why as Error).message;
  }
  const read = bloomFromBytes(bytes, crc32, crc);
  return read.type === 'ok' ? read.bloom : read.reason;
}

function held({ records, deletes }: RunShard): boolean {
  return records + deletes > 0;
}

function closed(file: string): TroupeError {
  return new TroupeError('STOPPED', `The run ${file} is closed.`, { details: { file } });
}
