// Which partition an actor changes hands with. Pure.

import type { Host } from '../host.ts';
import type { HostedType } from '../hosted-type.ts';
import { partitionOf } from '../partition.ts';

/** In h/<partition>: what lies here is to be cleared away (leftovers.ts). No actor is called so. */
export const leftKey: Uint8Array = Uint8Array.of(0);

/** Undefined for one that the ring does not place: it stays on its node. A keeper of records is called by its partition. */
export function ringPartition({ spec, host }: HostedType, key: string): number | undefined {
  if (spec.placement !== 'ring' || key.charCodeAt(0) === 0) return undefined;
  return spec.ownsShards ? Number(key) : partitionOf(key, host.partitions);
}

/** Undefined also for one of a type that this node does not have. `unit`: type/key. */
export function ringPartitionOf(host: Host, unit: string): number | undefined {
  const { hosted, key } = host.split(unit);
  return hosted === undefined ? undefined : ringPartition(hosted, key);
}

/** Does that shard belong to it? Names: a/p, r/p, h/p, kv/<store>/p. */
export function isShardOf(shard: string, partition: number): boolean {
  return partitionOfShard(shard) === partition;
}

export function partitionOfShard(shard: string): number | undefined {
  const [, partition] = /^(?:[arh]|kv\/[a-z0-9._-]+)\/(\d+)$/.exec(shard) ?? [];
  return partition === undefined ? undefined : Number(partition);
}
