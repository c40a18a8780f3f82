// The engine of the stores: a commit log, its segments in shared memory as memtables, and sorted runs below.
//
//     commit ─▶ group-commit.ts ─▶ append to this thread's log ─▶ [sync, if 'flushed' was asked] ─▶ index of the segment ─▶ settle
//     get    ─▶ the segments that no run has yet ─▶ the runs whose filters say maybe ─▶ of all versions the one with the highest lsn
//     scan   ─▶ the same as ordered streams, merged (newest.ts)
//
// A shard is written by one thread at a time, its vnode's, and read by all: segments are in memory that all threads share, runs are
// files. So nothing moves when a vnode moves, and a thread that dies leaves what it had committed. Flushing and merging is somebody
// else's work (upkeep-store.ts, one a node); all there is to do here is to look at the manifest again when its generation has turned.
//
// Invariant: what is read was committed, and of each key the version with the highest lsn. Segments are looked at before runs: one
// that is given up meanwhile is in a run that the manifest names already.

import { join } from 'node:path';
import { TroupeError } from '../errors.ts';
import { diskFreeLowWater, importRecordsMax, segmentAgeMs } from '../limits.ts';
import { ChunkReader, ChunkWriter } from './chunk.ts';
import type { Crc32 } from './crc32.ts';
import type { Ack, Engine, EngineOptions, EngineStats, Shard, ShardChunk, StoredRecord } from './engine.ts';
import { GroupCommit, type Verdict } from './group-commit.ts';
import { checkShardName } from './key.ts';
import { freeBytes } from './lmdb-env-store.ts';
import { killProcess } from './lmdb-store.ts';
import type { LogFiles } from './log/log-files-store.ts';
import type { LogOp } from './log/log-frame.ts';
import type { PendingGroup } from './pending-writes.ts';
import { quickCrc } from './quick-crc-store.ts';
import { encodeRecord, epochOf } from './record.ts';
import { diskFull, fenced } from './refusals.ts';
import { watchSeals } from './seal-watch-store.ts';
import { type Found, type Medium, ShardHandle } from './shard-handle.ts';
import type { SharedDisk, SharedDiskMemory } from './shared-disk.ts';
import { type StallLimits, StallWatch, stallLimits } from './stall-watch-store.ts';
import { openTroupeDisk } from './troupe-disk-store.ts';
import { TroupeLog } from './troupe-log-store.ts';
import type { TroupePlace } from './troupe-place.ts';
import { TroupeReads } from './troupe-reads-store.ts';
import { TroupeRuns } from './troupe-runs-store.ts';
import type { Upkeep } from './upkeep-store.ts';

export interface TroupeStoreOptions extends Omit<EngineOptions, 'kind'> {
  readonly dir: string;
  /** Free bytes on the disk of the directory. Default statfs. */
  readonly free?: () => number;
  readonly segmentBytes?: number;
  /** The disk below the log. */
  readonly files?: LogFiles;
  readonly stall?: StallLimits;
  /** When a segment is handed over although it is not full. */
  readonly segmentAgeMs?: number;
}

type TroupeShard = ShardHandle<TroupePlace>;
type Group = PendingGroup<TroupeShard>;

export class TroupeStore implements Engine, Medium<TroupePlace> {
  readonly kind = 'troupe';
  readonly shared = true;
  readonly crc: Crc32 = quickCrc;
  readonly commits: GroupCommit<TroupeShard>;
  /** What other threads need to open the same directory. */
  readonly memory: SharedDiskMemory;
  readonly #disk: SharedDisk;
  readonly #log: TroupeLog;
  readonly #runs: TroupeRuns;
  readonly #reads: TroupeReads;
  readonly upkeep: Upkeep | undefined;
  readonly #unwatch: () => void;
  readonly #stalls: StallWatch;
  readonly #free: () => number;
  readonly #lowWater: number;
  readonly #handles = new Map<string, TroupeShard>();
  readonly #ready: Promise<void>;
  #corrupt = 0;
  #failed = false;
  #closed: Promise<void> | undefined;

  constructor(options: TroupeStoreOptions) {
    const { dir, thread = 0, free = () => freeBytes(dir), freeLowWater = diskFreeLowWater } = options;
    this.#free = free;
    this.#lowWater = freeLowWater;
    const onFatal = (why: Error): void => this.#fail(why, options.onFatal ?? killProcess);
    const opened = openTroupeDisk({ ...options, crc: quickCrc, onFatal });
    this.memory = opened.memory;
    this.#disk = opened.disk;
    this.upkeep = opened.upkeep;
    this.#runs = new TroupeRuns(join(dir, 'runs'), opened.manifest, this.#disk.words, thread);
    this.#log = new TroupeLog({
      dir: join(dir, 'log'),
      thread,
      disk: this.#disk,
      crc: quickCrc,
      files: options.files,
      note: logged => opened.manifest.edit({ logged }),
      roomToFlush: () => this.#roomToFlush(),
    });
    this.#reads = new TroupeReads(this.#disk, this.#log, this.#runs);
    this.commits = new GroupCommit<TroupeShard>({
      soon: fn => setImmediate(fn),
      apply: batch => this.#apply(batch),
      overlaps: () => this.#log.syncsElsewhere,
      flush: () => this.#log.sync(),
      pendingOf: shard => shard.writes,
      onFatal,
    });
    this.#unwatch = watchSeals({
      words: this.#disk.words,
      seal: () => this.commits.job(() => this.#log.seal()),
      rest: () => {
        this.#log.mark();
        this.#runs.refresh();
      },
      isOld: () => this.#log.ageMs >= (options.segmentAgeMs ?? segmentAgeMs),
    });
    const { upkeep } = this;
    this.#stalls = new StallWatch({
      words: this.#disk.words,
      thread,
      files: this.#log.files,
      limits: options.stall ?? stallLimits,
      tell: upkeep && ((stalled, ms) => upkeep.stalls(stalled, ms)),
      fail: why => {
        onFatal(why);
        this.#log.files.giveUp(why);
      },
    }).start();
    this.#ready = opened.ready.then(() => this.upkeep?.start());
    this.#ready.catch(() => {});
  }

  shard(name: string): Shard {
    return this.#handle(name);
  }

  shards(): readonly string[] {
    this.commits.check();
    const waiting = [...this.#handles.values()].filter(({ writes }) => writes.groups.size > 0);
    return [...new Set([...this.#runs.names(), ...waiting.map(({ name }) => name)])].sort();
  }

  async drop(name: string): Promise<void> {
    checkShardName(name);
    await this.commits.job(() => this.#runs.drop(name));
  }

  async *export(name: string): AsyncIterable<ShardChunk> {
    const shard = this.#handle(name);
    await this.commits.sync('committed');
    const found = this.walk(shard, undefined, undefined);
    const writer = new ChunkWriter(this.crc, this.#reads.look(shard).fence);
    for (const { key, bytes } of found) {
      const chunk = writer.add(shard.open(key, bytes));
      if (chunk) yield chunk;
    }
    yield writer.end();
  }

  /** The records go to the log under a number that nobody knows; the name is turned to it when all of them are there. */
  async import(name: string, chunks: AsyncIterable<ShardChunk> | Iterable<ShardChunk>): Promise<void> {
    this.commits.check();
    const shard = this.#handle(name);
    const reader = new ChunkReader(this.crc, name);
    const number = await this.#runs.reserve(name);
    try {
      for await (const chunk of chunks) await this.#load(shard, number, reader.read(chunk));
      const fence = reader.end();
      await this.commits.job(async () => {
        // A group without writes, for its epoch.
        await this.#append(number, fence, []);
        await this.#log.sync();
        this.#disk.words.raiseFence(number, fence);
        await this.#runs.point(name, number);
      });
    } catch (why) {
      await this.#runs.abandon(name, number).catch(() => {});
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
    // The memory is shared: what is committed is seen.
  }

  ready(): Promise<void> {
    return this.#ready;
  }

  /** Resolves when nothing waits to be flushed or merged. For tests, and before a copy is made. */
  async settle(): Promise<void> {
    await this.commits.job(() => this.#log.seal());
    await this.upkeep?.settle();
  }

  /** The log of a thread that has died: what it had committed goes on being read, and into a run. Thread 0 only. */
  adopt(thread: number): void {
    this.#disk.forget(thread);
    this.upkeep?.adopt(thread);
  }

  stats(): EngineStats {
    const { writes, bytes } = this.commits.pending;
    const { counts } = this.commits;
    return { kind: this.kind, pendingWrites: writes, pendingBytes: bytes, ...counts, corrupt: this.#corrupt };
  }

  describe(): Record<string, unknown> {
    return {
      log: this.#log.describe(),
      runs: this.#runs.describe(),
      ...(this.upkeep === undefined ? {} : { upkeep: this.upkeep.status() }),
    };
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#unwatch();
    await this.commits.stop().catch(() => {});
    await this.#ready.catch(() => {});
    if (this.#failed) return this.#stalls.stop();
    await this.#log.close();
    this.#stalls.stop();
    await this.upkeep?.stop();
    await this.#runs.close();
  }

  #fail(why: Error, onFatal: (why: Error) => void): void {
    if (this.#failed) return;
    this.#failed = true;
    onFatal(why);
  }

  // What ShardHandle asks of us.

  find(shard: TroupeShard, key: Uint8Array): Uint8Array | undefined {
    return this.#reads.find(shard, key);
  }

  walk(shard: TroupeShard, from: Uint8Array | undefined, to: Uint8Array | undefined): Iterable<Found> {
    return this.#reads.walk(shard, from, to);
  }

  get isChecked(): boolean {
    return this.#reads.isChecked;
  }

  countCommitted(shard: TroupeShard): number {
    let count = 0;
    for (const _ of this.walk(shard, undefined, undefined)) count++;
    return count;
  }

  noteCorrupt(): void {
    this.#corrupt++;
  }

  #handle(name: string): TroupeShard {
    const known = this.#handles.get(name);
    if (known) return known;
    checkShardName(name);
    const shard: TroupeShard = new ShardHandle(name, this, { number: 0, fence: 0, runs: [], seen: -1 });
    this.#handles.set(name, shard);
    return shard;
  }

  // Committing.

  async #apply(batch: readonly Group[]): Promise<Verdict[]> {
    const free = this.#free();
    const refused = new Map<TroupeShard, TroupeError>();
    const verdicts: Verdict[] = [];
    let written = 0;
    let flush = false;
    /** Everything staged is in the log, or none of it is: the disk was full. */
    const write = (): void => {
      try {
        this.#log.write();
      } catch (why) {
        if (!(why instanceof TroupeError) || why.code !== 'DISK_FULL') throw why;
        for (let index = written; index < verdicts.length; index++) verdicts[index] = why;
        for (const { owner } of batch.slice(written, verdicts.length)) refused.set(owner, why);
      }
      written = verdicts.length;
    };
    const isNew = batch.some(({ owner }) => this.#reads.look(owner).number === 0);
    const unnumbered = isNew ? await this.#number(batch) : undefined;
    for (const group of batch) {
      const { owner, fence, ack, writes } = group;
      if (fence === 'record') {
        // What it is compared with may be in this very batch.
        write();
        this.#log.publish();
      }
      let why = refused.get(owner) ?? (this.#reads.look(owner).number === 0 ? unnumbered : this.#refusal(group, free));
      if (why === undefined && !this.#log.fits(writes)) {
        write();
        why = refused.get(owner) ?? (await this.#log.next());
      }
      if (why === undefined) {
        flush ||= ack === 'flushed';
        this.#log.stage({ number: this.#reads.look(owner).number, epoch: this.#raise(group), ops: writes });
      } else refused.set(owner, why);
      verdicts.push(why ?? 'done');
    }
    write();
    // Readers on other threads see it once it is as durable as its writer wants it.
    if (flush) await this.#log.sync();
    this.#log.publish();
    return verdicts;
  }

  #refusal(group: Group, free: number): TroupeError | undefined {
    if (group.puts && this.#lowWater > 0 && free < this.#lowWater) return diskFull(free, this.#lowWater);
    const tooLarge = this.#log.tooLarge(group.writes);
    if (tooLarge !== undefined) return tooLarge;
    try {
      const seen = this.#fenceOf(group);
      return seen <= group.epoch ? undefined : fenced(group.owner.name, group.epoch, seen);
    } catch (why) {
      // A damaged record refuses who would write over it, and nobody else.
      if (why instanceof TroupeError && why.code === 'CORRUPT') return why;
      throw why;
    }
  }

  /** The highest epoch that the fence of this group has seen. */
  #fenceOf({ owner, epoch, fence, writes }: Group): number {
    const at = this.#reads.look(owner);
    if (fence === 'shard') return this.#disk.words.raiseFence(at.number, at.fence);
    let highest = 0;
    for (const { key } of writes) {
      const record = this.find(owner, key);
      if (record === undefined) continue;
      // Before it is believed, an epoch that fences is checked with the rest of its record: it may be the damage.
      if (epochOf(record) > epoch) owner.open(key, record);
      highest = Math.max(highest, epochOf(record));
    }
    return highest;
  }

  /** The epoch as the log is told: of a group with a record's fence it says nothing about the shard. */
  #raise({ owner, epoch, fence }: Group): number {
    if (fence === 'record') return 0;
    owner.at.fence = epoch;
    this.#disk.words.raiseFence(owner.at.number, epoch);
    return epoch;
  }

  /** Shards that are written to for the first time get their numbers, all at once. DISK_FULL: no room for that. */
  async #number(batch: readonly Group[]): Promise<TroupeError | undefined> {
    const names = batch.filter(({ owner }) => this.#reads.look(owner).number === 0).map(({ owner }) => owner.name);
    try {
      await this.#runs.add([...new Set(names)]);
      return undefined;
    } catch (why) {
      if (why instanceof TroupeError && why.code === 'DISK_FULL') return why;
      throw why;
    }
  }

  /** Room for the run of a segment, without which the log would only fill up. */
  #roomToFlush(): TroupeError | undefined {
    const wanted = this.#disk.segmentBytes;
    const free = this.#free();
    return this.#lowWater > 0 && free < wanted ? diskFull(free, wanted) : undefined;
  }

  async #load(shard: TroupeShard, number: number, records: readonly StoredRecord[]): Promise<void> {
    for (let at = 0; at < records.length; at += importRecordsMax) {
      const ops = records.slice(at, at + importRecordsMax).map(({ key, epoch, version, value }) => ({
        key,
        record: encodeRecord(this.crc, shard.seed, key, epoch, version, value),
      }));
      await this.commits.job(() => this.#append(number, 0, ops));
    }
  }

  async #append(number: number, epoch: number, ops: readonly LogOp[]): Promise<void> {
    const why = this.#roomToFlush() ?? (this.#log.fits(ops) ? undefined : await this.#log.next());
    if (why !== undefined) throw why;
    this.#log.stage({ number, epoch, ops });
    this.#log.publish();
  }
}
