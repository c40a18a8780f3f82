// The engine of a node: what stores keep goes to the log and its runs, everything else to LMDB.
//
//     kv/...                      many records, written by the one thread that owns the shard: log
//     a/... r/... and the rest    small mutable state, written by any thread, fenced record by record: LMDB
//
// A store that was made when LMDB was the only engine stays where it is.

import type { Cut } from './backup/cut.ts';
import { cutBoth } from './backup/cut-store.ts';
import type { Ack, Engine, EngineStats, Shard, ShardChunk } from './engine.ts';
import type { LmdbStore } from './lmdb-store.ts';
import type { SharedDiskMemory } from './shared-disk.ts';
import type { TroupeStore } from './troupe-store.ts';
import type { EngineUpkeep } from './upkeep.ts';

const ownedPrefix = 'kv/';

export class SplitStore implements Engine {
  readonly kind = 'troupe';
  readonly shared = true;
  readonly memory: SharedDiskMemory;
  readonly upkeep: EngineUpkeep | undefined;
  readonly #own: TroupeStore;
  readonly #small: LmdbStore;
  readonly #old: ReadonlySet<string>;

  constructor(own: TroupeStore, small: LmdbStore) {
    this.#own = own;
    this.#small = small;
    this.memory = own.memory;
    this.upkeep = own.upkeep;
    this.#old = new Set(small.shards().filter(name => name.startsWith(ownedPrefix)));
  }

  shard(name: string): Shard {
    return this.#of(name).shard(name);
  }

  shards(): readonly string[] {
    return [...new Set([...this.#small.shards(), ...this.#own.shards()])].sort();
  }

  drop(name: string): Promise<void> {
    return this.#of(name).drop(name);
  }

  export(name: string): AsyncIterable<ShardChunk> {
    return this.#of(name).export(name);
  }

  import(name: string, chunks: AsyncIterable<ShardChunk> | Iterable<ShardChunk>): Promise<void> {
    return this.#of(name).import(name, chunks);
  }

  async sync(ack: Ack): Promise<void> {
    await Promise.all([this.#own.sync(ack), this.#small.sync(ack)]);
  }

  watch(changed: (shard: string, key: Uint8Array) => void): () => void {
    const stops = [this.#own.watch(changed), this.#small.watch(changed)];
    return () => {
      for (const stop of stops) stop();
    };
  }

  refresh(shard?: string): void {
    if (shard === undefined || this.#of(shard) === this.#small) this.#small.refresh();
  }

  ready(): Promise<void> {
    return this.#own.ready();
  }

  cut(): Cut {
    const { upkeep } = this.#own;
    if (upkeep === undefined) throw new Error('only the first thread can make a cut');
    return cutBoth(upkeep, this.#small);
  }

  adopt(thread: number): void {
    this.#own.adopt(thread);
  }

  describe(): Record<string, unknown> {
    return this.#own.describe();
  }

  stats(): EngineStats {
    const own = this.#own.stats();
    const small = this.#small.stats();
    const sum = { ...own } as Record<string, unknown>;
    for (const [name, value] of Object.entries(small))
      if (typeof value === 'number') sum[name] = value + (own[name as keyof EngineStats] as number);
    return sum as unknown as EngineStats;
  }

  async close(): Promise<void> {
    await Promise.all([this.#own.close(), this.#small.close()]);
  }

  #of(name: string): TroupeStore | LmdbStore {
    return name.startsWith(ownedPrefix) && !this.#old.has(name) ? this.#own : this.#small;
  }
}
