// The records of a partition, on the thread that looks after them: read page by page while others write, with the keys that are
// written meanwhile; and on the other side stored, or cleared away.
//
// Shards a/p and r/p also hold what belongs to actors that the ring does not place (local, pinned), and on a node that is not the
// partition's own to its guests there. Those stay: so these two are gone through record by record. kv/<store>/p and h/p are whole.
//
// Invariant: what was read, and then the present state of every key of dirty(), is what is there.

import { TroupeError } from '../../errors.ts';
import { handoffDirtyMax, handoffPageBytes, handoffPageRecords } from '../../limits.ts';
import type { Ack, Shard, StoredRecord, WriteOp } from '../../storage/engine.ts';
import { keyAfter, nameOf } from '../../storage/key.ts';
import { equal, ownerOfRecord, ownerOfReminder } from '../actor-records.ts';
import type { Host } from '../host.ts';
import { md5 } from '../md5.ts';
import type { RecordCopy } from '../moving-records.ts';
import { isShardOf, leftKey } from './ring-partition.ts';

/** Records of one shard, and keys that are not there any more. */
export type Part = readonly [shard: string, records: readonly RecordCopy[], gone: readonly Uint8Array[]];

export type Change = readonly [shard: string, key: Uint8Array];

export interface Page {
  readonly part: Part;
  readonly records: number;
  readonly bytes: number;
  /** Where the next page begins; null: this was the last. */
  readonly next: Uint8Array | null;
  /** Of what is in it, where that was asked for. */
  readonly digest: Uint8Array | null;
}

/** What a page covers: from the first key (null: from the beginning) to the last (null: to the end), which is not in it. */
export interface Span {
  readonly shard: string;
  readonly from: Uint8Array | null;
  readonly to: Uint8Array | null;
}

export interface Storing {
  /** Of the only part: what else is in there goes. */
  readonly span?: Span | undefined;
  /** Default 'committed'. */
  readonly ack?: Ack | undefined;
}

/** What a page is asked for: its records; only how many there are; or its records and their digest. */
export type Asked = 'records' | 'count' | 'digest';

interface Watching {
  stop: () => void;
  changes: Map<string, Change>;
  overflow: boolean;
}

export class HandsRecords {
  readonly #host: Host;
  /** A shard is all in one place. */
  readonly #isOnePlace: boolean;
  readonly #watching = new Map<number, Watching>();
  /** What this thread stores for a partition it takes in, it stores under one epoch. */
  readonly #epochs = new Map<number, number>();
  /** Guests of this node that belong to it: what is here of them is newer than what their old node may have left lying over there. */
  readonly #kept = new Map<number, ReadonlySet<string>>();

  /** `threads`: of this node. */
  constructor(host: Host, threads: number) {
    this.#host = host;
    this.#isOnePlace = host.engine.shared || threads === 1;
  }

  // Giving.

  /** Resolves when all that was written before is settled: from then on changes are told. */
  async watch(partition: number): Promise<void> {
    this.unwatch(partition);
    const watching: Watching = { stop: () => undefined, changes: new Map(), overflow: false };
    watching.stop = this.#host.engine.watch((shard, key) => {
      if (!isShardOf(shard, partition)) return;
      if (watching.changes.size >= handoffDirtyMax) watching.overflow = true;
      else watching.changes.set(`${shard} ${nameOf(key)}`, [shard, key]);
    });
    this.#watching.set(partition, watching);
    await this.#host.engine.sync('committed');
  }

  unwatch(partition: number): void {
    this.#watching.get(partition)?.stop();
    this.#watching.delete(partition);
  }

  shards(partition: number): string[] {
    return this.#host.engine.shards().filter(name => isShardOf(name, partition));
  }

  /** Throws CORRUPT: what is damaged is not given away as if it were whole. */
  page(name: string, from: Uint8Array | null, asked: Asked): Page {
    this.#host.engine.refresh(name);
    const records: RecordCopy[] = [];
    let [looked, count, bytes] = [0, 0, 0];
    let next: Uint8Array | null = null;
    for (const record of this.#host.engine.shard(name).scan(from === null ? {} : { from })) {
      if (++looked > handoffPageRecords || bytes >= handoffPageBytes) {
        next = record.key;
        break;
      }
      if (!this.travels(name, record.key)) continue;
      count++;
      bytes += sizeOf(record);
      if (asked !== 'count') records.push([record.key, record.version, record.value]);
    }
    const digest = asked === 'digest' ? digestOf(records) : null;
    return { part: [name, records, []], records: count, bytes, next, digest };
  }

  /** Keys written since the last call, when it is known what became of those writes. Null: too many to remember. */
  async dirty(partition: number): Promise<Change[] | null> {
    const watching = this.#watching.get(partition);
    if (watching === undefined) throw new TroupeError('STOPPED', `partition ${partition} is not being copied here`);
    if (watching.overflow) return null;
    const { changes } = watching;
    watching.changes = new Map();
    // One that is read before may yet be refused, of which nobody is told: the other node would keep what has never been.
    if (changes.size > 0) await this.#host.engine.sync('committed');
    return [...changes.values()];
  }

  /** Their present state: of as many, from the first on, as make a page. */
  read(changes: readonly Change[]): { parts: Part[]; read: number; bytes: number } {
    const parts = new Map<string, { records: RecordCopy[]; gone: Uint8Array[] }>();
    let [read, bytes] = [0, 0];
    for (const [name, key] of changes) {
      if (read >= handoffPageRecords || bytes >= handoffPageBytes) break;
      read++;
      if (!this.travels(name, key)) continue;
      let part = parts.get(name);
      if (part === undefined) {
        this.#host.engine.refresh(name);
        part = { records: [], gone: [] };
        parts.set(name, part);
      }
      const record = this.#host.engine.shard(name).get(key);
      bytes += record === undefined ? key.length : sizeOf(record);
      if (record === undefined) part.gone.push(key);
      else part.records.push([record.key, record.version, record.value]);
    }
    return { parts: [...parts].map(([name, { records, gone }]): Part => [name, records, gone]), read, bytes };
  }

  /** Does it belong to the partition, and not to this node? */
  travels(name: string, key: Uint8Array): boolean {
    // The mark of leftovers.ts is this node's own.
    if (name.startsWith('h/')) return key.length !== leftKey.length || key[0] !== leftKey[0];
    const owner = ownerIn(name, key);
    if (owner === undefined) return true;
    const hosted = this.#host.byName.get(owner[0]);
    return hosted === undefined || hosted.spec.placement === 'ring';
  }

  // Taking.

  /**
   * What lies here of an earlier try goes, but for stores, which are compared (where threads have disks of their own they go, too). `keep`: guests of ours.
   * From now on store() may be called. Answers with the shards that were left.
   */
  async clean(partition: number, keep: readonly string[]): Promise<string[]> {
    this.#host.epochs.renew();
    this.#epochs.set(partition, this.#host.epochs.next());
    this.#kept.set(partition, new Set(keep));
    await this.clear(partition, keep, this.#isOnePlace ? 'actors' : 'all');
    return this.#isOnePlace ? this.shards(partition).filter(isBulk) : [];
  }

  /**
   * A copy is kept here for its owner: store() may be called from now on. Each time above what other threads have stored, which looked after
   * it before it changed threads.
   */
  keep(partition: number): void {
    this.#host.epochs.renew();
    this.#epochs.set(partition, this.#host.epochs.next());
  }

  /** Is exactly that here? */
  same({ shard, from, to }: Span, digest: Uint8Array): boolean {
    return equal(digestOf([...this.#within(shard, from, to)]), digest);
  }

  *#within(name: string, from: Uint8Array | null, to: Uint8Array | null): Iterable<RecordCopy> {
    this.#host.engine.refresh(name);
    const range = { ...(from === null ? {} : { from }), ...(to === null ? {} : { to }) };
    for (const { key, version, value } of this.#host.engine.shard(name).scan(range))
      if (this.travels(name, key)) yield [key, version, value];
  }

  async drop(shard: string): Promise<void> {
    if (isBulk(shard)) await this.#host.engine.drop(shard);
  }

  async store(partition: number, parts: readonly Part[], { span, ack = 'committed' }: Storing = {}): Promise<void> {
    const epoch = this.#epochs.get(partition);
    if (epoch === undefined) throw new TroupeError('STOPPED', `partition ${partition} is not being taken in here`);
    await Promise.all(
      parts.map(([name, records, gone]) => {
        if (!isShardOf(name, partition))
          throw new TroupeError('BAD_MESSAGE', `${name} is no shard of partition ${partition}`);
        const kept = this.#kept.get(partition);
        const isWanted = ({ key }: WriteOp): boolean => kept?.has(ownerIn(name, key)?.join('/') ?? '') !== true;
        const puts = records.map(([key, version, value]): WriteOp => ({ type: 'put', key, version, value }));
        const ops = [...puts, ...gone.map((key): WriteOp => ({ type: 'delete', key }))].filter(isWanted);
        if (span !== undefined) ops.push(...this.#strangers(span, records));
        if (ops.length === 0) return undefined;
        // Entries of h/ count their moves by themselves: any epoch of ours would be above theirs.
        const group = name.startsWith('h/') ? { epoch: 0, fence: 'record' as const } : { epoch, fence: fenceOf(name) };
        return this.#host.engine.shard(name).commit({ ...group, ops }, ack);
      }),
    );
  }

  #strangers({ shard, from, to }: Span, records: readonly RecordCopy[]): WriteOp[] {
    const known = new Set(records.map(([key]) => nameOf(key)));
    const gone: WriteOp[] = [];
    for (const [key] of this.#within(shard, from, to)) if (!known.has(nameOf(key))) gone.push({ type: 'delete', key });
    return gone;
  }

  /** Removes what belongs to the partition, but for what `keep` names: of actors, of stores, or all of it. */
  async clear(partition: number, keep: readonly string[], what: 'actors' | 'stores' | 'all'): Promise<void> {
    const { engine } = this.#host;
    const kept = new Set(keep);
    // What was read of it at a start is history: it may have come, or been cancelled, where the partition was.
    if (what !== 'stores') this.#host.reminders.suspend(partition, kept);
    this.#host.epochs.renew();
    const epoch = this.#host.epochs.next();
    // The mark that it is to be cleared goes last, with its shard.
    const isLast = (name: string): number => Number(name.startsWith('h/'));
    for (const name of this.shards(partition).sort((a, b) => isLast(a) - isLast(b))) {
      if (what !== 'all' && isBulk(name) !== (what === 'stores')) continue;
      if (isWhole(name)) await engine.drop(name);
      else await this.#clearOwned(engine.shard(name), epoch, kept);
    }
  }

  async #clearOwned(shard: Shard, epoch: number, kept: ReadonlySet<string>): Promise<void> {
    for (let from: Uint8Array | null = null; ; ) {
      const ops: WriteOp[] = [];
      let last: Uint8Array | null = null;
      const range = { limit: handoffPageRecords, onCorrupt: () => undefined };
      for (const { key } of shard.scan(from === null ? range : { ...range, from })) {
        last = key;
        const owner = ownerIn(shard.name, key);
        const isKept = owner !== undefined && kept.has(`${owner[0]}/${owner[1]}`);
        if (!isKept && this.travels(shard.name, key)) ops.push({ type: 'delete', key });
      }
      if (ops.length > 0) await shard.commit({ epoch, fence: 'record', ops }, 'committed');
      if (last === null) return;
      from = keyAfter(last);
    }
  }

  /** All that was stored survives the power. */
  settle(): Promise<void> {
    return this.#host.engine.sync('flushed');
  }

  taken(partition: number): void {
    this.#kept.delete(partition);
    this.#epochs.delete(partition);
  }
}

/** What each thread is to store. `keeperOf`: where a record of that actor is looked after. */
export function splitParts(
  parts: readonly Part[],
  keeperOf: (shard: string, owner: string | undefined) => number,
): Map<number, Part[]> {
  const all = new Map<number, Part[]>();
  for (const [name, records, gone] of parts) {
    const split = new Map<number, { records: RecordCopy[]; gone: Uint8Array[] }>();
    const of = (key: Uint8Array): { records: RecordCopy[]; gone: Uint8Array[] } => {
      const thread = keeperOf(name, ownerIn(name, key)?.join('/'));
      const own = split.get(thread) ?? { records: [], gone: [] };
      split.set(thread, own);
      return own;
    };
    for (const record of records) of(record[0]).records.push(record);
    for (const key of gone) of(key).gone.push(key);
    for (const [thread, own] of split) all.set(thread, [...(all.get(thread) ?? []), [name, own.records, own.gone]]);
  }
  return all;
}

/** Holds nothing but the partition's own. */
function isWhole(shard: string): boolean {
  return !shard.startsWith('a/') && !shard.startsWith('r/');
}

function isBulk(shard: string): boolean {
  return shard.startsWith('kv/');
}

/** 128 bits over keys, versions, values and their lengths. */
function digestOf(records: readonly RecordCopy[]): Uint8Array {
  let length = 0;
  for (const fields of records) for (const field of fields) length += 4 + field.length;
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const fields of records)
    for (const field of fields) {
      view.setUint32(at, field.length);
      bytes.set(field, at + 4);
      at += 4 + field.length;
    }
  return md5(bytes);
}

function fenceOf(shard: string): 'shard' | 'record' {
  return isWhole(shard) ? 'shard' : 'record';
}

function ownerIn(shard: string, key: Uint8Array): readonly [type: string, key: string] | undefined {
  return shard.startsWith('a/') ? ownerOfRecord(key) : shard.startsWith('r/') ? ownerOfReminder(key) : undefined;
}

function sizeOf({ key, version, value }: StoredRecord): number {
  return key.length + version.length + value.length;
}
