// Writes a run: entries in order into a fresh LMDB file, its filter beside it, both on the disk before anybody hears of them.
//
//     add, add, ... ──> a batch of 4 MiB ──> room? ──> one transaction, appended ──> to the disk
//     finish: what the run says of itself ──> close ──> fdatasync, checksum of the file ──> filter ──> sync the directory
//
// LMDB fills its pages one after the other when keys come in order, and never comes back to one: 1.37 times the bytes stored.
//
// Each batch goes to the disk at once: a whole run at its end, tens or hundreds of MiB, would keep the syncs of the log waiting for it.
//
// Invariants: when finish() has resolved, file and filter are durable, and hold exactly what was added. When it has not, or
// abort() was called, nothing is left of them. LMDB never meets a full disk, for it does not survive that
// (research/pitfalls.md F4): the room for a batch is looked at before it.

import { closeSync, fdatasyncSync, fsyncSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { diskFreeLowWater, runBatchBytesMax, runFilterRate } from '../../limits.ts';
import { type Bloom, bloomFor } from '../bloom.ts';
import { compareKeys, showKey } from '../key.ts';
import { freeBytes } from '../lmdb-env-store.ts';
import { diskFull, isDiskFull } from '../refusals.ts';
import { openForWriting, type RunDb, runCorrupt } from './run-env-store.ts';
import {
  aboutPlace,
  checkRecordBytes,
  encodeAbout,
  encodeEntry,
  entryBytes,
  entryHeadBytes,
  filterFile,
  lockFile,
  type RunEntry,
  type RunInfo,
  runFile,
  shardOf,
} from './run-format.ts';
import { RunTotals } from './run-totals.ts';
import type { RunRows } from './segment-rows.ts';

export interface RunWriterOptions {
  /** It exists. */
  readonly dir: string;
  /** Never used before. */
  readonly id: number;
  /** At most so many entries will come; the filter is made for them. */
  readonly entriesMax: number;
  /** About so many bytes of keys and records will come; it is asked at the beginning whether there is room for them. */
  readonly bytes: number;
  /** Free bytes that must be left at any time. Default half the low water: a flush gives room back, and goes on below it. */
  readonly reserve?: number | undefined;
  /** Free bytes on the disk. Default statfs. */
  readonly free?: (() => number) | undefined;
  /** Brings what was written of the file to the disk. Default fdatasync. */
  readonly sync?: ((file: number) => void) | undefined;
  /** The highest epochs of shards, where they are known to be higher than those of their records. */
  readonly epochs?: ReadonlyMap<number, number> | undefined;
  /** Called now and then while the file is summed up; may throw to break it off. */
  readonly each?: (() => void) | undefined;
}

const appended = { append: true } as const;
/** Far below what a batch has entries. */
const viewsMax = 1_024;
const pageBytes = 4_096;
/** A value this large has pages of its own. */
const ownPagesAbove = 2_000;
/** The file at its birth, and the branches a batch copies. */
const overheadBytes: number = 256 << 10;

/** What LMDB takes for an entry at worst: two of a good third of a page leave the rest of it empty. */
export function tableBytes(key: number, value: number): number {
  if (value > ownPagesAbove) return Math.ceil((value + 16) / pageBytes) * pageBytes + 2 * (key + 32);
  return 2 * (key + value + 16);
}

export class RunWriter {
  readonly path: string;
  readonly #options: RunWriterOptions;
  readonly #file: string;
  readonly #free: () => number;
  readonly #reserve: number;
  readonly #db: RunDb;
  readonly #bloom: Bloom;
  readonly #totals: RunTotals;
  #batch: RunEntry[] = [];
  #batchBytes = 0;
  #batchGrowth = 0;
  #last: Uint8Array | undefined;
  #value: Uint8Array = new Uint8Array(64 << 10);
  readonly #views = new Map<number, Uint8Array>();
  #ended = false;
  #fd: number | undefined;

  /** Throws DISK_FULL when there is no room for what is to come. */
  constructor(options: RunWriterOptions) {
    const { dir, id, bytes, entriesMax, epochs, reserve = diskFreeLowWater / 2, free = () => freeBytes(dir) } = options;
    this.#options = options;
    this.#file = runFile(id);
    this.path = join(dir, this.#file);
    this.#free = free;
    this.#reserve = reserve;
    // Most of the time a third of the pages is lost, not half: half is what each batch asks for.
    this.#needRoom(1.5 * bytes + (entriesMax * 10) / 8 + overheadBytes);
    this.#db = openForWriting(this.path, 3 * bytes + (64 << 20));
    this.#bloom = bloomFor(entriesMax, runFilterRate);
    this.#totals = new RunTotals(epochs);
  }

  /** Entries added so far. */
  get entries(): number {
    return this.#totals.entries;
  }

  /** In the order of their places, none twice. The bytes must stay as they are until finish() or abort(). Throws DISK_FULL. */
  add(entry: RunEntry): void {
    const { place } = entry;
    // LMDB says nothing when a key that is appended does not come last: it just does not store it.
    if (this.#last && compareKeys(this.#last, place) >= 0) throw this.#outOfOrder(place);
    this.#last = place;
    const bytes = entryBytes(entry);
    this.#batch.push(entry);
    this.#batchBytes += place.length + bytes;
    this.#batchGrowth += tableBytes(place.length, bytes);
    this.#totals.add(place, { lsn: entry.lsn, deleted: entry.record === undefined });
    this.#bloom.add(shardOf(place), place, 4);
    if (this.#batchBytes >= runBatchBytesMax) this.#write();
  }

  /** The same for many at once that nothing was allocated for. They are in order, none twice: what LMDB does not store is missed in finish(). */
  addRows(rows: RunRows, each: () => void = () => {}): void {
    this.#write();
    for (let from = 0; from < rows.count; ) {
      each();
      let to = from;
      let bytes = 0;
      let growth = overheadBytes;
      for (; to < rows.count && bytes < runBatchBytesMax; to++) {
        const place = rows.placeBytes(to);
        const record = rows.recordBytes(to);
        checkRecordBytes(record);
        bytes += place + entryHeadBytes + record;
        growth += tableBytes(place, entryHeadBytes + record);
      }
      this.#needRoom(growth);
      const first = from;
      this.#db.transactionSync(() => {
        for (let row = first; row < to; row++) this.#put(rows, row);
      });
      this.#drain();
      from = to;
    }
  }

  #put(rows: RunRows, row: number): void {
    const value = this.#room(entryHeadBytes + rows.recordBytes(row));
    const place = rows.place(row);
    rows.encode(row, place, value);
    this.#db.put(place, value, appended);
    this.#totals.add(place, rows.head(row));
    this.#bloom.add(shardOf(place), place, 4);
  }

  /** Undefined when nothing was added: then there is no file. Throws DISK_FULL, and what the disk says. */
  async finish(): Promise<RunInfo | undefined> {
    if (this.#totals.entries === 0) {
      await this.abort();
      return undefined;
    }
    try {
      this.#write();
      const about = this.#totals.about(this.#options.id);
      const aboutBytes = encodeAbout(about);
      this.#needRoom(tableBytes(4, aboutBytes.length) + overheadBytes);
      this.#db.transactionSync(() => {
        this.#db.put(aboutPlace, aboutBytes, appended);
      });
      const stored = this.#db.getStats().entryCount;
      if (stored !== this.#totals.entries + 1)
        throw runCorrupt(this.path, `LMDB has ${stored} keys of ${this.#totals.entries + 1}`);
      await this.#close();
      rmSync(lockFile(this.path), { force: true });
      const { crc, bytes } = await syncAndSum(this.path, this.#options.each);
      const info: RunInfo = { ...about, file: this.#file, bytes, crc };
      writeFilter(this.#options.dir, info, this.#bloom);
      syncDir(this.#options.dir);
      return info;
    } catch (why) {
      await this.abort();
      throw why;
    }
  }

  /** Nothing is left of it. */
  async abort(): Promise<void> {
    await this.#close();
    removeRunFiles(this.#options.dir, this.#file);
  }

  /** Room that was there a moment ago may be gone by now. */
  #drain(): void {
    const { sync = fdatasyncSync } = this.#options;
    this.#fd ??= openSync(this.path, 'r+');
    try {
      sync(this.#fd);
    } catch (why) {
      throw isDiskFull(why) ? diskFull(this.#free(), this.#reserve) : why;
    }
  }

  async #close(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#db.close();
    if (this.#fd !== undefined) closeSync(this.#fd);
  }

  #write(): void {
    if (this.#batch.length === 0) return;
    this.#needRoom(this.#batchGrowth + overheadBytes);
    const [db, batch] = [this.#db, this.#batch];
    db.transactionSync(() => {
      for (const entry of batch) db.put(entry.place, this.#encode(entry), appended);
    });
    this.#drain();
    this.#batch = [];
    this.#batchBytes = 0;
    this.#batchGrowth = 0;
  }

  /** In a buffer that is used again: lmdb-js asks for the address of each new one, which costs as much as the put. */
  #encode(entry: RunEntry): Uint8Array {
    const value = this.#room(entry.encoded?.length ?? entryBytes(entry));
    encodeEntry(value, entry);
    return value;
  }

  /** Views of one buffer, one a length: records of a store are often of a few lengths, and a view costs as much as its use. */
  #room(bytes: number): Uint8Array {
    if (bytes > this.#value.length) {
      this.#value = new Uint8Array(2 * bytes);
      this.#views.clear();
    }
    let view = this.#views.get(bytes);
    if (view === undefined) {
      if (this.#views.size >= viewsMax) this.#views.clear();
      view = this.#value.subarray(0, bytes);
      this.#views.set(bytes, view);
    }
    return view;
  }

  #needRoom(bytes: number): void {
    if (this.#reserve === 0) return;
    const free = this.#free();
    if (free - bytes < this.#reserve) throw diskFull(free, this.#reserve + bytes);
  }

  #outOfOrder(place: Uint8Array): Error {
    return new Error(`${showKey(place)} comes after ${showKey(this.#last as Uint8Array)}: a run is written in order`);
  }
}

/** A whole run at once. Whatever the entries throw, nothing is left of it. */
export function writeRun(entries: Iterable<RunEntry>, options: RunWriterOptions): Promise<RunInfo | undefined> {
  return written(options, writer => {
    for (const entry of entries) writer.add(entry);
  });
}

/** The same for rows. */
export function writeRows(rows: RunRows, options: RunWriterOptions): Promise<RunInfo | undefined> {
  return written(options, writer => writer.addRows(rows, options.each));
}

async function written(options: RunWriterOptions, fill: (writer: RunWriter) => void): Promise<RunInfo | undefined> {
  const writer = new RunWriter(options);
  try {
    fill(writer);
  } catch (why) {
    await writer.abort();
    throw why;
  }
  return writer.finish();
}

/** Removes a run, its filter and its lock file. Whoever has it open can go on reading it. */
export function removeRunFiles(dir: string, file: string): void {
  for (const name of [file, filterFile(file), lockFile(file)]) rmSync(join(dir, name), { force: true });
}

/** The filter's checksum continues from that of the run: it is believed for no other file than this one. */
export function writeFilter(dir: string, { file, crc }: RunInfo, bloom: Bloom): void {
  // A new file: a backup may have a link to the old one.
  rmSync(join(dir, filterFile(file)), { force: true });
  writeFileSync(join(dir, filterFile(file)), bloom.toBytes(crc32, crc), { flush: true });
}

const chunkBytes: number = 1 << 20;

/** Checksum and length of a whole file. `each` hears of every MiB how many bytes it has been so far, and may throw. */
export function sumFile(path: string, each: (bytes: number) => void = () => {}): { crc: number; bytes: number } {
  const file = openSync(path, 'r');
  try {
    const chunk = new Uint8Array(chunkBytes);
    let crc = 0;
    let bytes = 0;
    for (;;) {
      const read = readSync(file, chunk, 0, chunkBytes, bytes);
      if (read === 0) return { crc, bytes };
      crc = crc32(chunk.subarray(0, read), crc);
      bytes += read;
      each(bytes);
    }
  } finally {
    closeSync(file);
  }
}

/** The disk writes while we sum. */
async function syncAndSum(path: string, each?: () => void): Promise<{ crc: number; bytes: number }> {
  const handle = await open(path, 'r+');
  try {
    const synced = handle.datasync();
    synced.catch(() => {});
    const sum = sumFile(path, each);
    await synced;
    return sum;
  } finally {
    await handle.close();
  }
}

/** Names are durable only when their directory is. */
export function syncDir(dir: string): void {
  const handle = openSync(dir, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
