// The reference engine: everything in memory, with the same lines, fences and checksums as the engines on a disk, and
// with the faults a disk has, on demand.
//
//     handed in ──soon──> committed ──soon──> flushed
//     crash() keeps       committed and flushed
//     powerLoss() keeps                       flushed
//
// It is deterministic: it knows no clock, and everything that happens later happens through `soon`. The simulator and the
// test kit run on it; so does a node without a data directory.
//
// Several threads of a simulated process have a store each on one disk (memory-disk.ts): they read what is committed, and of what is not yet
// only their own.

import { crc32 as fastCrc32 } from 'node:zlib';
import type { TroupeError } from '../errors.ts';
import { ChunkReader, ChunkWriter } from './chunk.ts';
import type { Crc32 } from './crc32.ts';
import type { Ack, Engine, EngineStats, Shard, ShardChunk, StoredRecord } from './engine.ts';
import { GroupCommit, type Verdict } from './group-commit.ts';
import { checkShardName, nameOf } from './key.ts';
import { MemoryDisk, type MemoryImage, type Place } from './memory-disk.ts';
import { OrderedMap } from './ordered-map.ts';
import type { PendingGroup } from './pending-writes.ts';
import { encodeRecord, epochOf } from './record.ts';
import { crashed, diskFull, fenced } from './refusals.ts';
import { type Found, type Medium, ShardHandle } from './shard-handle.ts';

export interface MemoryStoreOptions {
  /** Runs fn later in the same tick. Default queueMicrotask; the simulator passes its own. */
  readonly soon?: (fn: () => void) => void;
  /** The same when a flush has taken its time. Default: soon. */
  readonly flushSoon?: (fn: () => void) => void;
  readonly crc?: Crc32;
  readonly onFatal?: ((why: Error) => void) | undefined;
  /** What an earlier store has left: remains(). */
  readonly image?: MemoryImage | undefined;
  /** Another one on the same disk, of another thread. */
  readonly beside?: MemoryStore | undefined;
  /** Its thread may be over, or hang: then what it waits for does not happen, or later. Default: as it comes. */
  readonly gate?: (fn: () => void) => () => void;
  /** Several threads look at it, as at one directory: those of a simulated process. Default false. */
  readonly shared?: boolean | undefined;
}

type MemoryShard = ShardHandle<Place>;
type Group = PendingGroup<MemoryShard>;

export class MemoryStore implements Engine, Medium<Place> {
  readonly kind = 'memory';
  readonly shared: boolean;
  readonly crc: Crc32;
  readonly commits: GroupCommit<MemoryShard>;
  readonly #disk: MemoryDisk;
  readonly #gate: (fn: () => void) => () => void;
  readonly #shards = new Map<string, MemoryShard>();
  #corrupt = 0;
  #closed: Promise<void> | undefined;

  constructor(options: MemoryStoreOptions = {}) {
    const { soon = queueMicrotask, beside, gate = fn => fn } = options;
    this.#gate = gate;
    this.#disk = beside === undefined ? new MemoryDisk(options.flushSoon ?? soon, options.image) : beside.#disk;
    this.crc = options.crc ?? fastCrc32;
    this.shared = options.shared ?? false;
    this.commits = new GroupCommit<MemoryShard>({
      soon: fn => soon(gate(fn)),
      apply: batch => this.#apply(batch),
      flush: () => this.#flush(),
      pendingOf: shard => shard.writes,
      onFatal: options.onFatal ?? (() => {}),
    });
  }

  /** While true, groups that store anything are refused with DISK_FULL. */
  get diskFull(): boolean {
    return this.#disk.full;
  }
  set diskFull(full: boolean) {
    this.#disk.full = full;
  }

  /** When set, the next commit fails with it, and the store is done for: onFatal. */
  get broken(): Error | undefined {
    return this.#disk.broken;
  }
  set broken(why: Error | undefined) {
    this.#disk.broken = why;
  }

  /** ... but what it was to write is written. */
  set breaksLate(late: boolean) {
    this.#disk.breaksLate = late;
  }

  shard(name: string): Shard {
    return this.#handle(name);
  }

  shards(): readonly string[] {
    this.commits.check();
    const pending = [...this.#shards.values()].filter(({ writes }) => writes.groups.size > 0).map(({ name }) => name);
    return [...new Set([...this.#disk.used(), ...pending])].sort();
  }

  drop(name: string): Promise<void> {
    const shard = this.#handle(name);
    return this.#job(() => this.#disk.replace(shard.at, { records: new OrderedMap(), fence: 0, used: false }));
  }

  async *export(name: string): AsyncIterable<ShardChunk> {
    const shard = this.#handle(name);
    await this.commits.sync('committed');
    const writer = new ChunkWriter(this.crc, shard.at.fence);
    for (const { key, bytes } of this.walk(shard, undefined, undefined)) {
      const chunk = writer.add(shard.open(key, bytes));
      if (chunk) yield chunk;
    }
    yield writer.end();
  }

  async import(name: string, chunks: AsyncIterable<ShardChunk> | Iterable<ShardChunk>): Promise<void> {
    this.commits.check();
    const shard = this.#handle(name);
    const reader = new ChunkReader(this.crc, name);
    const records = new OrderedMap<Uint8Array>();
    for await (const chunk of chunks) {
      for (const { key, epoch, version, value } of reader.read(chunk)) {
        records.set(nameOf(key), encodeRecord(this.crc, shard.seed, key, epoch, version, value));
      }
    }
    const fence = reader.end();
    return this.#job(() => {
      if (this.diskFull && records.size > 0) throw diskFull(0, 0);
      this.#disk.replace(shard.at, { records, fence, used: true });
    });
  }

  sync(ack: Ack): Promise<void> {
    return this.commits.sync(ack);
  }

  watch(changed: (shard: string, key: Uint8Array) => void): () => void {
    return this.commits.watch(({ name }, key) => changed(name, key));
  }

  refresh(): void {
    // One thread, one memory: there is nothing newer to see.
  }

  stats(): EngineStats {
    const { writes, bytes } = this.commits.pending;
    const { counts } = this.commits;
    return { kind: this.kind, pendingWrites: writes, pendingBytes: bytes, ...counts, corrupt: this.#corrupt };
  }

  close(): Promise<void> {
    this.#closed ??= this.commits.stop();
    return this.#closed;
  }

  // The faults.

  /** The process dies and starts again: what was not committed is gone, and whoever waited for it is told. */
  crash(): void {
    this.commits.crash();
    this.#disk.crash();
  }

  /** The machine loses power and starts again: what was not flushed is gone too. */
  powerLoss(): void {
    this.crash();
    this.#disk.losePower();
  }

  /**
   * What is on the disk when nothing more is done to it: all that was flushed, and of the groups committed since, oldest first,
   * the part `kept` (1: all, only the process has died). The store must not be used afterwards.
   */
  remains(kept: number): MemoryImage {
    return this.#disk.remains(kept);
  }

  /** That record as a loss of power would leave it, if nothing that is not flushed were kept. */
  flushed(name: string, key: Uint8Array): StoredRecord | undefined {
    const shard = this.#handle(name);
    const bytes = this.#disk.flushed(shard.at, key);
    return bytes && shard.open(key, bytes.slice());
  }

  /** The disk hangs: nothing commits until release(). */
  hold(): void {
    this.#disk.hold();
  }

  release(): void {
    this.#disk.release();
  }

  /** Turns one bit of a stored record around. False when there is no such record or bit. */
  flipBit(shard: string, key: Uint8Array, bit: number): boolean {
    const bytes = this.#disk.place(shard).records.get(nameOf(key));
    if (!bytes || bit >= bytes.length * 8) return false;
    bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
    return true;
  }

  // What ShardHandle asks of us.

  find({ at }: MemoryShard, key: Uint8Array): Uint8Array | undefined {
    // Copied: what leaves here belongs to the caller.
    return at.records.get(nameOf(key))?.slice();
  }

  walk({ at }: MemoryShard, from: Uint8Array | undefined, to: Uint8Array | undefined): Iterable<Found> {
    return copies(at.records.range(from && nameOf(from), to && nameOf(to)));
  }

  countCommitted({ at }: MemoryShard): number {
    return at.records.size;
  }

  noteCorrupt(): void {
    this.#corrupt++;
  }

  #handle(name: string): MemoryShard {
    const known = this.#shards.get(name);
    if (known) return known;
    checkShardName(name);
    const shard: MemoryShard = new ShardHandle(name, this, this.#disk.place(name));
    this.#shards.set(name, shard);
    return shard;
  }

  // Committing.

  async #apply(batch: readonly Group[]): Promise<Verdict[]> {
    const { life, breaksLate } = this.#disk;
    if (!breaksLate) await this.#free();
    // The crash has told everyone; nobody looks at these verdicts.
    if (life !== this.#disk.life) return batch.map(() => 'again');
    const refused = new Map<MemoryShard, TroupeError>();
    const verdicts = batch.map((group): Verdict => {
      const why = refused.get(group.owner) ?? this.#refusal(group);
      if (why) refused.set(group.owner, why);
      else this.#write(group);
      return why ?? 'done';
    });
    if (breaksLate) await this.#free();
    return verdicts;
  }

  #refusal(group: Group): TroupeError | undefined {
    if (this.diskFull && group.puts) return diskFull(0, 0);
    try {
      const seen = fenceOf(group);
      return seen <= group.epoch ? undefined : fenced(group.owner.name, group.epoch, seen);
    } catch (why) {
      // What fences is damaged: it refuses who would write over it, by what it is.
      return why as TroupeError;
    }
  }

  #write({ owner, epoch, fence, writes }: Group): void {
    this.#disk.write(owner.at, fence === 'shard' ? epoch : undefined, writes);
  }

  #job(change: () => void): Promise<void> {
    return this.commits.job(async () => {
      const { life } = this.#disk;
      await this.#free();
      if (life !== this.#disk.life) throw crashed();
      change();
    });
  }

  #flush(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#disk.flush().then(this.#gate(resolve), why => this.#gate(() => reject(why))());
    });
  }

  /** Resolves when the disk is not held. */
  #free(): Promise<void> {
    return new Promise(resolve => this.#disk.free(this.#gate(resolve)));
  }
}

/** The highest epoch that the fence of this group has seen. */
function fenceOf({ owner, epoch, fence, writes }: Group): number {
  if (fence === 'shard') return owner.at.fence;
  let highest = 0;
  for (const { name, key } of writes) {
    const record = owner.at.records.get(name);
    if (record === undefined) continue;
    if (epochOf(record) > epoch) owner.open(key, record);
    highest = Math.max(highest, epochOf(record));
  }
  return highest;
}

function* copies(entries: Iterable<{ readonly name: string; readonly value: Uint8Array }>): Generator<Found> {
  for (const { name, value } of entries) {
    const key = new Uint8Array(name.length);
    for (let at = 0; at < key.length; at++) key[at] = name.charCodeAt(at);
    yield { key, bytes: value.slice() };
  }
}
