// Which shards a merge may purge, and from where on: asked by the engine's upkeep when it has chosen the runs of a merge.
//
// Invariant: a shard is named only if its store keeps one replica and its vnode has answered with a floor (purge.ts). Whoever does not
// answer keeps everything.

import { purgeAsksMax } from '../limits.ts';
import { crc32 } from '../storage/crc32.ts';
import { shardSeed } from '../storage/record.ts';
import type { Purge } from '../storage/upkeep.ts';
import { longDead, type PurgeRules, type PurgeShard, purgeModule } from './purge.ts';
import type { StoreOptions } from './store-options.ts';

export interface PurgeHome {
  readonly graceMs: number;
  /** Wall clock. */
  now(): number;
  stores(): Promise<readonly (readonly [name: string, options: Pick<StoreOptions, 'n'>])[]>;
  /** Asks a vnode to write new keys under a new actor; its epoch. Rejects when it will not. */
  floor(partition: number, store: string): Promise<number>;
}

interface Candidate {
  readonly number: number;
  readonly name: string;
  readonly store: string;
  readonly partition: number;
}

export async function planPurge(
  home: PurgeHome,
  shards: readonly (readonly [number, string])[],
): Promise<Purge | undefined> {
  const alone = new Set((await home.stores()).filter(([, { n }]) => n === 1).map(([name]) => name));
  const candidates = shards.flatMap(([number, name]) => {
    const shard = shardNamed(number, name);
    return shard !== undefined && alone.has(shard.store) ? [shard] : [];
  });
  const may: PurgeShard[] = [];
  for (let at = 0; at < candidates.length; at += purgeAsksMax) {
    const asked = candidates.slice(at, at + purgeAsksMax).map(each => ask(home, each));
    may.push(...(await Promise.all(asked)).filter(shard => shard !== undefined));
  }
  if (may.length === 0) return undefined;
  const argument: PurgeRules = { now: home.now(), graceMs: home.graceMs, shards: may };
  return { module: purgeModule, name: longDead.name, argument };
}

async function ask(home: PurgeHome, { number, name, store, partition }: Candidate): Promise<PurgeShard | undefined> {
  const floor = await home.floor(partition, store).catch(() => undefined);
  return floor === undefined ? undefined : { number, floor, seed: shardSeed(crc32, name) };
}

/** See shardNameOf() in vnode-shard.ts. */
function shardNamed(number: number, name: string): Candidate | undefined {
  const [, store, partition] = /^kv\/([a-z0-9._-]+)\/(\d+)$/.exec(name) ?? [];
  if (store === undefined || partition === undefined) return undefined;
  return { number, name, store, partition: Number(partition) };
}
