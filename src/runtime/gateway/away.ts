// Where the actors of this node's partitions live that have been moved to other nodes: one entry each, kept on disk. Pure but for
// the engine it is given.
//
//     (no entry)  at home, as the ring says        { node: n2 }  on n2        { node: this }  came back
//
// Invariant: an entry changes only after the change is durable; so after any crash exactly one node is named.
//
// Writes carry an epoch of this node, as all others do that touch the shard: the number of an entry says how often its actor has
// moved, and is below whatever came here with the partition.

import type { Engine, Shard } from '../../storage/engine.ts';
import type { Codec } from '../codec.ts';
import { leftKey } from '../handoff/ring-partition.ts';
import { partitionOf } from '../partition.ts';
import type { Unit } from '../relocation-messages.ts';

export interface Entry {
  readonly node: string;
  /** Rises with each move. */
  readonly epoch: number;
}

const shardPrefix = 'h/';
const text = new TextEncoder();

export class AwayTable {
  readonly #engine: Engine;
  readonly #codec: Codec;
  readonly #partitions: number;
  readonly #epoch: () => number;
  readonly #entries = new Map<Unit, Entry>();
  readonly #removed = new Map<Unit, Entry>();

  constructor(engine: Engine, codec: Codec, partitions: number, epoch: () => number) {
    this.#engine = engine;
    this.#codec = codec;
    this.#partitions = partitions;
    this.#epoch = epoch;
  }

  /** What the last life has stored, or of a partition what came with it. Throws CORRUPT. */
  load(partition?: number): void {
    for (const name of this.#engine.shards()) {
      if (partition === undefined ? !name.startsWith(shardPrefix) : name !== `${shardPrefix}${partition}`) continue;
      for (const { key, value } of this.#engine.shard(name).scan()) {
        if (key.length === 1 && key[0] === leftKey[0]) continue;
        const [unit, node, epoch] = this.#codec.decode(value) as [Unit, string, number];
        this.#entries.set(unit, { node, epoch });
      }
    }
  }

  get size(): number {
    return this.#entries.size;
  }

  get(unit: Unit): Entry | undefined {
    return this.#entries.get(unit);
  }

  units(): Unit[] {
    return [...this.#entries.keys()];
  }

  /** Resolves when it is durable, and holds from then on. Rejects with DISK_FULL and the like: then nothing has changed. */
  async set(unit: Unit, entry: Entry): Promise<void> {
    const value = this.#codec.encode([unit, entry.node, entry.epoch]);
    const put = { type: 'put', key: text.encode(unit), version: new Uint8Array(0), value } as const;
    await this.#shardOf(unit).commit({ epoch: this.#epoch(), fence: 'record', ops: [put] }, 'flushed');
    this.#entries.set(unit, entry);
    this.#removed.delete(unit);
  }

  /** It lives where the ring says, and nothing else is known of it. */
  async remove(unit: Unit): Promise<void> {
    const entry = this.#entries.get(unit);
    if (entry === undefined) return;
    const gone = { type: 'delete', key: text.encode(unit) } as const;
    await this.#shardOf(unit).commit({ epoch: this.#epoch(), fence: 'record', ops: [gone] }, 'flushed');
    // Its partition may have gone while this was stored: then nothing is to be recalled when it comes again.
    if (this.#entries.delete(unit)) this.#removed.set(unit, entry);
  }

  /** Those of them that were removed are as before, for this life: a later one finds none of their actors awake. */
  recall(which: (unit: Unit) => boolean): Unit[] {
    const units = [...this.#removed.keys()].filter(which);
    for (const unit of units) {
      this.#entries.set(unit, this.#removed.get(unit) as Entry);
      this.#removed.delete(unit);
    }
    return units;
  }

  /** Its partition is another node's, and what is stored of it goes with that. */
  forget(unit: Unit): void {
    this.#entries.delete(unit);
  }

  #shardOf(unit: Unit): Shard {
    const key = unit.slice(unit.indexOf('/') + 1);
    return this.#engine.shard(`${shardPrefix}${partitionOf(key, this.#partitions)}`);
  }
}
