// The engine of a thread whose node may have to have its writes agreed on: a write of a partition that it leads counts when it is
// durable here and a quorum has it (copies.ts), which is waited for at the same time. Everything else passes.

import type { Cut } from '../../storage/backup/cut.ts';
import type {
  Ack,
  Engine,
  EngineKind,
  EngineStats,
  ScanRange,
  Shard,
  ShardChunk,
  StoredRecord,
  WriteGroup,
} from '../../storage/engine.ts';
import type { EngineUpkeep } from '../../storage/upkeep.ts';
import { partitionOfShard } from '../handoff/ring-partition.ts';

/**
 * Of a write that is about to be handed in: gives what resolves when it counts, of what resolves when it is durable here. Undefined: nobody else
 * has to have it.
 */
export type Copying = (
  partition: number,
  shard: string,
  keys: readonly Uint8Array[],
) => ((stored: Promise<void>) => Promise<void>) | undefined;

export class LedEngine implements Engine {
  readonly raw: Engine;
  cut?: () => Cut;
  copying: Copying = () => undefined;
  /** Shard.kept() of a partition. */
  keeping: (partition: number) => Promise<void> | undefined = () => undefined;
  readonly #shards = new Map<string, LedShard>();

  constructor(raw: Engine) {
    this.raw = raw;
    if (raw.cut !== undefined) this.cut = () => (raw.cut as () => Cut)();
  }

  get kind(): EngineKind {
    return this.raw.kind;
  }

  get shared(): boolean {
    return this.raw.shared;
  }

  get upkeep(): EngineUpkeep | undefined {
    return this.raw.upkeep;
  }

  shard(name: string): Shard {
    const partition = partitionOfShard(name);
    if (partition === undefined) return this.raw.shard(name);
    let shard = this.#shards.get(name);
    if (shard === undefined) {
      shard = new LedShard(this, this.raw.shard(name), partition);
      this.#shards.set(name, shard);
    }
    return shard;
  }

  shards(): readonly string[] {
    return this.raw.shards();
  }
  drop(name: string): Promise<void> {
    return this.raw.drop(name);
  }
  export(name: string): AsyncIterable<ShardChunk> {
    return this.raw.export(name);
  }
  import(name: string, chunks: AsyncIterable<ShardChunk> | Iterable<ShardChunk>): Promise<void> {
    return this.raw.import(name, chunks);
  }
  sync(ack: Ack): Promise<void> {
    return this.raw.sync(ack);
  }
  watch(changed: (shard: string, key: Uint8Array) => void): () => void {
    return this.raw.watch(changed);
  }
  refresh(shard?: string): void {
    this.raw.refresh(shard);
  }
  adopt(thread: number): void {
    this.raw.adopt?.(thread);
  }
  describe(): Record<string, unknown> {
    return this.raw.describe?.() ?? {};
  }
  stats(): EngineStats {
    return this.raw.stats();
  }
  close(): Promise<void> {
    return this.raw.close();
  }
}

class LedShard implements Shard {
  readonly name: string;
  readonly #engine: LedEngine;
  readonly #raw: Shard;
  readonly #partition: number;

  constructor(engine: LedEngine, raw: Shard, partition: number) {
    this.name = raw.name;
    this.#engine = engine;
    this.#raw = raw;
    this.#partition = partition;
  }

  get(key: Uint8Array): StoredRecord | undefined {
    return this.#raw.get(key);
  }
  pending(key: Uint8Array): boolean {
    return this.#raw.pending(key);
  }
  scan(range?: ScanRange): Iterable<StoredRecord> {
    return this.#raw.scan(range);
  }
  count(): number {
    return this.#raw.count();
  }

  kept(): Promise<void> | undefined {
    return this.#engine.keeping(this.#partition);
  }

  commit(group: WriteGroup, ack: Ack, refused?: () => void): Promise<void> {
    const keys = group.ops.map(({ key }) => key);
    const copied = this.#engine.copying(this.#partition, this.name, keys);
    // What it counts as one of those that have it must be there after a loss of power, too.
    const stored = this.#raw.commit(group, copied === undefined ? ack : 'flushed');
    if (copied === undefined) return stored;
    if (refused !== undefined) stored.catch(refused);
    return copied(stored);
  }
}
