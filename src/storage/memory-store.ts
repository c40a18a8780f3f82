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
// Invariant: `undo` holds, newest last, how to take back each thing that is committed and not flushed.

import { crc32 as fastCrc32 } from 'node:zlib';
import type { TroupeError } from '../errors.ts';
import { ChunkReader, ChunkWriter } from './chunk.ts';
import type { Crc32 } from './crc32.ts';
import type { Ack, Engine, EngineStats, Shard, ShardChunk, StoredRecord } from './engine.ts';
import { GroupCommit, type Verdict } from './group-commit.ts';
import { checkShardName, type KeyName, nameOf } from './key.ts';
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
  /** Several threads look at it, as at one directory: those of a simulated process. Default false. */
  readonly shared?: boolean | undefined;
}

/** Everything a store holds, by shard; the next store on the same simulated disk begins with it. */
export type MemoryImage = ReadonlyMap<
  string,
  { readonly records: readonly (readonly [string, Uint8Array])[]; readonly fence: number }
>;

interface Place {
  records: OrderedMap<Uint8Array>;
  /** The highest epoch a group with a shard fence carried. */
  fence: number;
  /** Written to, and not dropped since. */
  used: boolean;
}

/** What was there before: of one record, or of a shard. */
type Undo =
  | { readonly at: Place; readonly name: KeyName; readonly before: Uint8Array | undefined }
  | { readonly at: Place; readonly name: undefined; readonly before: Partial<Place> };

type MemoryShard = ShardHandle<Place>;
type Group = PendingGroup<MemoryShard>;

export class MemoryStore implements Engine, Medium<Place> {
  readonly kind = 'memory';
  readonly shared: boolean;
  readonly crc: Crc32;
  readonly commits: GroupCommit<MemoryShard>;
  /** While true, groups that store anything are refused with DISK_FULL. */
  diskFull = false;
  /** When set, the next commit fails with it, and the store is done for: onFatal. */
  broken: Error | undefined;
  /** ... but what it was to write is written. */
  breaksLate = false;
  readonly #flushSoon: (fn: () => void) => void;
  readonly #shards = new Map<string, MemoryShard>();
  #undo: Undo[] = [];
  /** How long `undo` was after each group: a power loss keeps whole groups. */
  #marks: number[] = [];
  /** Counts crashes: what was under way before one must not go on after it. */
  #life = 0;
  #held: (() => void)[] | undefined;
  #flushing: Promise<void> | undefined;
  #corrupt = 0;
  #closed: Promise<void> | undefined;

  constructor(options: MemoryStoreOptions = {}) {
    const soon = options.soon ?? queueMicrotask;
    this.#flushSoon = options.flushSoon ?? soon;
    this.crc = options.crc ?? fastCrc32;
    this.shared = options.shared ?? false;
    this.commits = new GroupCommit<MemoryShard>({
      soon,
      apply: batch => this.#apply(batch),
      flush: () => this.#flush(),
      pendingOf: shard => shard.writes,
      onFatal: options.onFatal ?? (() => {}),
    });
    for (const [name, { records, fence }] of options.image ?? []) {
      const { at } = this.#handle(name);
      for (const [key, bytes] of records) at.records.set(key, bytes.slice());
      Object.assign(at, { fence, used: true });
    }
  }

  shard(name: string): Shard {
    return this.#handle(name);
  }

  shards(): readonly string[] {
    this.commits.check();
    return [...this.#shards.values()]
      .filter(isUsed)
      .map(({ name }) => name)
      .sort();
  }

  drop(name: string): Promise<void> {
    const shard = this.#handle(name);
    return this.#job(() => this.#replace(shard, { records: new OrderedMap(), fence: 0, used: false }));
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
      this.#replace(shard, { records, fence, used: true });
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
    this.#life++;
    this.#flushing = undefined;
    this.commits.crash();
    this.release();
    this.#flushLater();
  }

  /** The machine loses power and starts again: what was not flushed is gone too. */
  powerLoss(): void {
    this.crash();
    this.#forget(0);
  }

  /**
   * What is on the disk when nothing more is done to it: all that was flushed, and of the groups committed since, oldest first,
   * the part `kept` (1: all, only the process has died). The store must not be used afterwards.
   */
  remains(kept: number): MemoryImage {
    const groups = Math.floor(kept * this.#marks.length + 1e-9);
    this.#forget(groups === 0 ? 0 : (this.#marks[groups - 1] as number));
    return new Map(
      [...this.#shards.values()]
        .filter(({ at }) => at.used)
        .map(({ name, at }) => {
          const records = [...at.records.range()].map(entry => [entry.name, entry.value.slice()] as const);
          return [name, { records, fence: at.fence }];
        }),
    );
  }

  /** That record as a loss of power would leave it, if nothing that is not flushed were kept. */
  flushed(name: string, key: Uint8Array): StoredRecord | undefined {
    const shard = this.#shards.get(name);
    if (shard === undefined) return undefined;
    const wanted = nameOf(key);
    const open = (bytes: Uint8Array | undefined): StoredRecord | undefined => bytes && shard.open(key, bytes.slice());
    // What the first change since the last flush has found there.
    for (const { at, name: changed, before } of this.#undo) {
      if (at !== shard.at) continue;
      if (changed === wanted) return open(before);
      if (changed === undefined && before.records !== undefined) return open(before.records.get(wanted));
    }
    return open(shard.at.records.get(wanted));
  }

  /** Takes back what is committed and not flushed, down to a length of `undo`. */
  #forget(length: number): void {
    for (const { at, name, before } of this.#undo.splice(length).reverse())
      if (name === undefined) Object.assign(at, before);
      else if (before === undefined) at.records.delete(name);
      else at.records.set(name, before);
    this.#marks = this.#marks.filter(mark => mark <= length);
  }

  /** The disk hangs: nothing commits until release(). */
  hold(): void {
    this.#held ??= [];
  }

  release(): void {
    const held = this.#held;
    this.#held = undefined;
    for (const go of held ?? []) go();
  }

  /** Turns one bit of a stored record around. False when there is no such record or bit. */
  flipBit(shard: string, key: Uint8Array, bit: number): boolean {
    const bytes = this.#shards.get(shard)?.at.records.get(nameOf(key));
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
    const shard: MemoryShard = new ShardHandle(name, this, { records: new OrderedMap(), fence: 0, used: false });
    this.#shards.set(name, shard);
    return shard;
  }

  // Committing.

  async #apply(batch: readonly Group[]): Promise<Verdict[]> {
    const life = this.#life;
    if (!this.breaksLate) await this.#disk();
    // The crash has told everyone; nobody looks at these verdicts.
    if (life !== this.#life) return batch.map(() => 'again');
    const refused = new Map<MemoryShard, TroupeError>();
    const verdicts = batch.map((group): Verdict => {
      const why = refused.get(group.owner) ?? this.#refusal(group);
      if (why) refused.set(group.owner, why);
      else this.#write(group);
      return why ?? 'done';
    });
    if (this.breaksLate) await this.#disk();
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
    const { at } = owner;
    const raised = fence === 'shard' && epoch > at.fence;
    if (raised || !at.used) this.#become(at, { fence: raised ? epoch : at.fence, used: true });
    const { records } = at;
    for (const { name, record } of writes) {
      const before = records.get(name);
      this.#undo.push({ at, name, before });
      if (record) records.set(name, record);
      else records.delete(name);
    }
    this.#marks.push(this.#undo.length);
    this.#flushLater();
  }

  #replace(shard: MemoryShard, place: Place): void {
    this.#become(shard.at, place);
    this.#marks.push(this.#undo.length);
    this.#flushLater();
  }

  #become(at: Place, next: Partial<Place>): void {
    const before = next.records === undefined ? { fence: at.fence, used: at.used } : { ...at };
    this.#undo.push({ at, name: undefined, before });
    Object.assign(at, next);
  }

  #job(change: () => void): Promise<void> {
    return this.commits.job(async () => {
      const life = this.#life;
      await this.#disk();
      if (life !== this.#life) throw crashed();
      change();
    });
  }

  /** Every disk writes back in the end; without it `undo` would grow for ever. */
  #flushLater(): void {
    this.#flush().catch(() => {});
  }

  /** One flush takes along whatever is committed until it happens. */
  #flush(): Promise<void> {
    this.#flushing ??= new Promise((resolve, reject) => {
      const life = this.#life;
      this.#flushSoon(() => {
        if (life !== this.#life) return reject(crashed());
        this.#flushing = undefined;
        this.#undo = [];
        this.#marks = [];
        resolve();
      });
    });
    return this.#flushing;
  }

  /** Resolves when the disk is not held. */
  #disk(): Promise<void> {
    if (this.broken) return Promise.reject(this.broken);
    return new Promise(resolve => (this.#held ? this.#held.push(resolve) : resolve()));
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

function isUsed({ at, writes }: MemoryShard): boolean {
  return at.used || writes.groups.size > 0;
}

function* copies(entries: Iterable<{ readonly name: string; readonly value: Uint8Array }>): Generator<Found> {
  for (const { name, value } of entries) {
    yield { key: Uint8Array.from(name, letter => letter.charCodeAt(0)), bytes: value.slice() };
  }
}
