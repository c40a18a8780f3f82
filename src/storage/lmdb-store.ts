// The engine over LMDB: plain transactions in one environment, shared by all threads of the process.
//
//     groups of a tick ──> group-commit.ts ──> lmdb-commit-store.ts: one transaction ──> verdicts
//     get, scan        ──> shard-handle.ts ──> find, walk: the snapshot of this tick
//
// It is right for small mutable state: each commit rewrites the pages it touches. Where shards are, and how they are
// replaced as a whole, is in lmdb-shards-store.ts.
//
// Invariant: after a commit has failed, or has not come back in time, LMDB is not called again, and everyone who waits is
// told, unless `onFatal` has ended the process before.

import { writeSync } from 'node:fs';
import { TroupeError } from '../errors.ts';
import { diskFreeLowWater, importRecordsMax } from '../limits.ts';
import type { Cut } from './backup/cut.ts';
import { cutLmdb } from './backup/cut-store.ts';
import { ChunkReader, ChunkWriter } from './chunk.ts';
import type { Crc32 } from './crc32.ts';
import type {
  Ack,
  Engine,
  EngineClock,
  EngineOptions,
  EngineStats,
  Shard,
  ShardChunk,
  StoredRecord,
} from './engine.ts';
import { absent } from './fence-chain.ts';
import { GroupCommit } from './group-commit.ts';
import { checkShardName } from './key.ts';
import { become, LmdbCommits, type LmdbShard, type Place } from './lmdb-commit-store.ts';
import { LmdbDisk } from './lmdb-disk-store.ts';
import { freeBytes, type Lmdb, lastVersion, openLmdb, processToken } from './lmdb-env-store.ts';
import { fenceKey, LmdbShards, recordKey } from './lmdb-shards-store.ts';
import { LmdbWalk, Pin } from './lmdb-walk-store.ts';
import { quickCrc } from './quick-crc-store.ts';
import { encodeRecord, epochOf, recordHeaderBytes } from './record.ts';
import { stopped } from './refusals.ts';
import { type Found, type Medium, ShardHandle } from './shard-handle.ts';

export interface LmdbStoreOptions extends Omit<EngineOptions, 'kind'> {
  readonly dir: string;
  readonly timer?: EngineClock['timer'];
  /** Free bytes on the disk of the directory. Default statfs. */
  readonly free?: () => number;
  readonly open?: (dir: string) => Lmdb;
}

export class LmdbStore implements Engine, Medium<Place> {
  readonly kind = 'lmdb';
  readonly shared = true;
  readonly crc: Crc32 = quickCrc;
  readonly commits: GroupCommit<LmdbShard>;
  readonly #db: Lmdb;
  readonly #disk: LmdbDisk;
  readonly #shards: LmdbShards;
  readonly #handles = new Map<string, LmdbShard>();
  /** Scans and exports that hold a snapshot. */
  readonly #pins = new Set<Pin>();
  /** Counts the snapshots LMDB has begun for us; the reads of one tick share one. */
  #snapshot = 0;
  #corrupt = 0;
  #failed = false;
  #closed: Promise<void> | undefined;

  constructor(options: LmdbStoreOptions) {
    const { dir, timer = realTimer, free = () => freeBytes(dir), freeLowWater: lowWater = diskFreeLowWater } = options;
    this.#db = (options.open ?? openLmdb)(dir);
    this.#db.addListener('begin-transaction', () => this.#snapshot++);
    this.#disk = new LmdbDisk(this.#db, { free, lowWater, timer });
    this.#shards = new LmdbShards(this.#disk, this.crc);
    const commits = new LmdbCommits(this.#disk, this.#shards);
    this.commits = new GroupCommit<LmdbShard>({
      soon: fn => setImmediate(fn),
      apply: batch => commits.apply(batch),
      pendingOf: shard => shard.writes,
      onFatal: why => this.#fail(why, options.onFatal ?? killProcess),
    });
    for (const number of this.#shards.garbage(processToken())) this.#purge(number);
  }

  shard(name: string): Shard {
    return this.#handle(name);
  }

  shards(): readonly string[] {
    this.commits.check();
    const waiting = [...this.#handles.values()].filter(({ writes }) => writes.groups.size > 0);
    return [...new Set([...this.#shards.names(), ...waiting.map(({ name }) => name)])].sort();
  }

  async drop(name: string): Promise<void> {
    checkShardName(name);
    await this.commits.job(async () => {
      this.#disk.needRoom(false, [0]);
      this.#purge(await this.#shards.repoint(name, 0));
    });
  }

  async *export(name: string): AsyncIterable<ShardChunk> {
    const shard = this.#handle(name);
    await this.commits.sync('committed');
    // Nothing else runs between the next two lines: the records and the fence are of one snapshot.
    const found = this.walk(shard, undefined, undefined);
    const fence = shard.at.number === 0 ? 0 : (this.#shards.readNumber(fenceKey(shard.at.number)) ?? 0);
    const writer = new ChunkWriter(this.crc, fence);
    for (const { key, bytes } of found) {
      const chunk = writer.add(shard.open(key, bytes));
      if (chunk) yield chunk;
    }
    yield writer.end();
  }

  async import(name: string, chunks: AsyncIterable<ShardChunk> | Iterable<ShardChunk>): Promise<void> {
    const shard = this.#handle(name);
    const reader = new ChunkReader(this.crc, name);
    const number = await this.#inTurn([0], () => this.#shards.beginImport(processToken()));
    try {
      for await (const chunk of chunks) await this.#load(shard, number, reader.read(chunk));
      const fence = reader.end();
      await this.#inTurn([0, 0, 0], async () => {
        const key = fenceKey(number);
        await this.#disk.settle([this.#db.put(key, this.#shards.encodeNumber(key, fence), fence)]);
        this.#purge(await this.#shards.repoint(name, number));
      });
    } catch (why) {
      await this.commits.job(() => this.#shards.abandonImport(number)).catch(() => {});
      this.#purge(number);
      throw why;
    }
  }

  sync(ack: Ack): Promise<void> {
    return this.commits.sync(ack);
  }

  watch(changed: (shard: string, key: Uint8Array) => void): () => void {
    return this.commits.watch(({ name }, key) => changed(name, key));
  }

  refresh(): void {
    if (!this.#failed && this.#closed === undefined) this.#db.resetReadTxn();
  }

  stats(): EngineStats {
    const { writes, bytes } = this.commits.pending;
    const { counts } = this.commits;
    return { kind: this.kind, pendingWrites: writes, pendingBytes: bytes, ...counts, corrupt: this.#corrupt };
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.commits.stop().catch(() => {});
    if (this.#failed) return;
    for (const pin of this.#pins) pin.end(stopped());
    await this.#db.close();
  }

  /** LMDB's memory cannot be trusted any more; until the process is gone, nothing of it is touched. */
  #fail(why: Error, onFatal: (why: Error) => void): void {
    this.#failed = true;
    for (const pin of this.#pins) pin.forsake(stopped());
    onFatal(why);
  }

  // What ShardHandle asks of us.

  find(shard: LmdbShard, key: Uint8Array): Uint8Array | undefined {
    return this.#inSnapshot(shard, number => {
      if (number === 0) return undefined;
      const bytes = this.#read(shard, key, number);
      return bytes && check(shard, key, bytes, lastVersion());
    });
  }

  walk(shard: LmdbShard, from: Uint8Array | undefined, to: Uint8Array | undefined): Iterable<Found> {
    return this.#inSnapshot<Iterable<Found>>(shard, number => {
      if (number === 0) return [];
      const range = { start: recordKey(number, from), end: to ? recordKey(number, to) : recordKey(number + 1) };
      const pin: Pin = new Pin(this.#db, range, () => this.#pins.delete(pin));
      this.#pins.add(pin);
      return new LmdbWalk(pin, {
        check: (key, bytes, stamp) => check(shard, key, bytes, stamp),
        unreadable: (key, why) => unreadable(shard, key, why),
      });
    });
  }

  countCommitted(shard: LmdbShard): number {
    return this.#inSnapshot(shard, number =>
      number === 0 ? 0 : this.#db.getKeysCount({ start: recordKey(number), end: recordKey(number + 1) }),
    );
  }

  /** All that LMDB holds for us, as of this moment, as it lies there: for a copy. The caller ends it. */
  image(): Pin {
    this.commits.check();
    this.#db.resetReadTxn();
    const pin: Pin = new Pin(this.#db, { start: new Uint8Array(1), end: recordKey(2 ** 32 - 1) }, () =>
      this.#pins.delete(pin),
    );
    this.#pins.add(pin);
    return pin;
  }

  cut(): Cut {
    return cutLmdb(this);
  }

  noteCorrupt(): void {
    this.#corrupt++;
  }

  /**
   * Reads a shard in one snapshot with its number: another thread may have replaced it since the last look. LMDB begins a
   * new snapshot at the first read of a tick and says so, which is when we look again.
   */
  #inSnapshot<T>(shard: LmdbShard, read: (number: number) => T): T {
    const { at } = shard;
    for (;;) {
      if (at.number === 0 || at.seenIn !== this.#snapshot) {
        become(at, this.#shards.locate(shard.name));
        at.seenIn = this.#snapshot;
      }
      const result = read(at.number);
      if (at.seenIn === this.#snapshot) return result;
    }
  }

  #read(shard: LmdbShard, key: Uint8Array, number: number): Uint8Array | undefined {
    try {
      // getBinaryFast would save a copy, and does not notice that another thread has changed the shard (lmdb-threads.test.ts).
      return this.#db.getBinary(recordKey(number, key));
    } catch (why) {
      throw unreadable(shard, key, why);
    }
  }

  #handle(name: string): LmdbShard {
    const known = this.#handles.get(name);
    if (known) return known;
    checkShardName(name);
    const shard: LmdbShard = new ShardHandle(name, this, { number: 0, seenIn: -1, fence: -1 });
    this.#handles.set(name, shard);
    return shard;
  }

  // Whole shards.

  async #load(shard: LmdbShard, number: number, records: readonly StoredRecord[]): Promise<void> {
    for (let at = 0; at < records.length; at += importRecordsMax) {
      const some = records.slice(at, at + importRecordsMax);
      const bytes = some.map(
        ({ key, version, value }) => key.length + recordHeaderBytes + version.length + value.length,
      );
      await this.#inTurn(bytes, () =>
        this.#disk.settle(
          some.map(({ key, epoch, version, value }) => {
            const record = encodeRecord(this.crc, shard.seed, key, epoch, version, value);
            return this.#db.put(recordKey(number, key), record, epoch);
          }),
        ),
      );
    }
  }

  /** A job that stores records of so many bytes. */
  async #inTurn<T>(recordBytes: readonly number[], run: () => Promise<T>): Promise<T> {
    let result: T | undefined;
    await this.commits.job(async () => {
      this.#disk.needRoom(true, recordBytes);
      result = await run();
    });
    return result as T;
  }

  /** Removes what nobody asks for any more, between the batches of those who do. What is not finished now is at the next start. */
  #purge(number: number): void {
    if (number === 0) return;
    let more = true;
    const step = async (): Promise<void> => {
      this.#disk.needRoom(false, [0]);
      more = await this.#shards.purge(number);
    };
    const run = async (): Promise<void> => {
      while (more) await this.commits.job(step);
    };
    run().catch(() => {});
  }
}

/** The bytes, if what LMDB compares as the fence is what the record says it is. Undefined for what is not a record. */
function check(shard: LmdbShard, key: Uint8Array, bytes: Uint8Array, stamp: number): Uint8Array | undefined {
  if (stamp === absent) return undefined;
  if (bytes.length >= recordHeaderBytes && epochOf(bytes) === stamp) return bytes;
  throw shard.corrupt(key, 'its fence differs from its epoch');
}

/** What LMDB throws at a page it cannot make sense of. */
function unreadable(shard: LmdbShard, key: Uint8Array, why: unknown): Error {
  if (why instanceof TroupeError) return why;
  return shard.corrupt(key, `LMDB says ${(why as Error).message}`);
}

function realTimer(delayMs: number, fn: () => void): () => void {
  const handle = setTimeout(fn, delayMs);
  return () => clearTimeout(handle);
}

/** Not exit(): it waits for LMDB, which may never return (research/pitfalls.md F8). */
export function killProcess(why: Error): void {
  writeSync(2, `troupe: the storage has failed, and the process with it: ${why.stack ?? why.message}\n`);
  process.kill(process.pid, 'SIGKILL');
}
