// What is in a run, counted while its entries pass by in order.

import { type EntryHead, keyOf, placeBytesMax, type RunAbout, type RunShard, shardOf } from './run-format.ts';

type Mutable<T> = { -readonly [Name in keyof T]: T[Name] };

const nothing = new Uint8Array(0);

export class RunTotals {
  records = 0;
  deletes = 0;
  readonly #shards: Mutable<RunShard>[] = [];
  readonly #epochs: ReadonlyMap<number, number>;
  /** A copy: places may be views of something large, or of what is used again. */
  #last: Uint8Array = new Uint8Array(256);
  #lastBytes = 0;

  /** `epochs`: the highest epoch of a shard, where it is known to be higher than those of its records. */
  constructor(epochs: ReadonlyMap<number, number> = new Map()) {
    this.#epochs = epochs;
  }

  get entries(): number {
    return this.records + this.deletes;
  }

  add(place: Uint8Array, { lsn, deleted }: EntryHead): void {
    const shard = this.#shard(shardOf(place), place, lsn);
    if (lsn < shard.minLsn) shard.minLsn = lsn;
    if (lsn > shard.maxLsn) shard.maxLsn = lsn;
    if (place.length > this.#last.length) this.#last = new Uint8Array(placeBytesMax);
    this.#last.set(place);
    this.#lastBytes = place.length;
    if (deleted) {
      shard.deletes++;
      this.deletes++;
    } else {
      shard.records++;
      this.records++;
    }
  }

  about(id: number): RunAbout {
    this.#endShard();
    const shards = [...this.#shards];
    const known = new Set(shards.map(({ number }) => number));
    for (const [number, maxEpoch] of this.#epochs) if (!known.has(number)) shards.push({ ...empty(number), maxEpoch });
    shards.sort((a, b) => a.number - b.number);
    const held = this.#shards;
    return {
      id,
      records: this.records,
      deletes: this.deletes,
      minLsn: Math.min(...held.map(({ minLsn }) => minLsn)),
      maxLsn: Math.max(...held.map(({ maxLsn }) => maxLsn)),
      shards,
    };
  }

  /** Entries come in order, so it is the last one or a new one. */
  #shard(number: number, place: Uint8Array, lsn: number): Mutable<RunShard> {
    const last = this.#shards.at(-1);
    if (last?.number === number) return last;
    this.#endShard();
    const maxEpoch = this.#epochs.get(number) ?? 0;
    const shard = { ...empty(number), minLsn: lsn, maxLsn: lsn, maxEpoch, firstKey: new Uint8Array(keyOf(place)) };
    this.#shards.push(shard);
    return shard;
  }

  #endShard(): void {
    const last = this.#shards.at(-1);
    if (last) last.lastKey = this.#last.slice(4, this.#lastBytes);
  }
}

function empty(number: number): Mutable<RunShard> {
  return { number, records: 0, deletes: 0, minLsn: 0, maxLsn: 0, maxEpoch: 0, firstKey: nothing, lastKey: nothing };
}
