// What is in a run, counted while its entries pass by in order.

import { keyOf, type RunAbout, type RunEntry, type RunShard, shardOf } from './run-format.ts';

type Mutable<T> = { -readonly [Name in keyof T]: T[Name] };

const nothing = new Uint8Array(0);

export class RunTotals {
  records = 0;
  deletes = 0;
  readonly #shards: Mutable<RunShard>[] = [];
  readonly #epochs: ReadonlyMap<number, number>;
  #lastPlace: Uint8Array = nothing;

  /** `epochs`: the highest epoch of a shard, where it is known to be higher than those of its records. */
  constructor(epochs: ReadonlyMap<number, number> = new Map()) {
    this.#epochs = epochs;
  }

  get entries(): number {
    return this.records + this.deletes;
  }

  add({ place, lsn, record }: RunEntry): void {
    const shard = this.#shard(shardOf(place), place, lsn);
    shard.minLsn = Math.min(shard.minLsn, lsn);
    shard.maxLsn = Math.max(shard.maxLsn, lsn);
    this.#lastPlace = place;
    if (record === undefined) {
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
    // A copy: the place may be a view of something large.
    const shard = { ...empty(number), minLsn: lsn, maxLsn: lsn, maxEpoch, firstKey: new Uint8Array(keyOf(place)) };
    this.#shards.push(shard);
    return shard;
  }

  #endShard(): void {
    const last = this.#shards.at(-1);
    if (last) last.lastKey = new Uint8Array(keyOf(this.#lastPlace));
  }
}

function empty(number: number): Mutable<RunShard> {
  return { number, records: 0, deletes: 0, minLsn: 0, maxLsn: 0, maxEpoch: 0, firstKey: nothing, lastKey: nothing };
}
