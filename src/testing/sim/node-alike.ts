// Copies of partitions at rest: whoever counts as having all of a partition has it, record by record, and knows that he has.
//
// Intuition: a copy that is not what its owner has is noticed by nobody until its owner is lost. Here it is noticed in every seed.

import { equal } from '../../runtime/actor-records.ts';
import type { ReplicaRecord } from '../../runtime/replicas/replica-records.ts';
import type { StoredRecord } from '../../storage/engine.ts';
import { nameOf } from '../../storage/key.ts';
import type { NodeLife } from '../node-life-host.ts';
import { partitions } from './node-plan.ts';
import type { LedRow } from './node-served.ts';
import type { NodesLife } from './node-talk.ts';

interface Rows {
  readonly leading: readonly (LedRow & {
    readonly waiting: number;
    readonly followers: readonly {
      readonly name: string;
      readonly isFollowing: boolean;
      readonly behind: number | null;
    }[];
  })[];
  readonly following: readonly (ReplicaRecord & { readonly partition: number })[];
}

export const replicasOf = (node: NodeLife): Rows => (node.gateway.describe() as { replicas: Rows }).replicas;

/** Why not every copy is what its owner has, and counts as that: of the nodes that are there. `isExcused`: nobody can own that partition. */
export function unlikeIn(lives: readonly NodesLife[], isExcused: (partition: number) => boolean): string | undefined {
  const nodes = new Map(lives.map(({ world, node }) => [world.name, node]));
  for (let partition = 0; partition < partitions; partition++) {
    if (isExcused(partition)) continue;
    const owner = lives[0]?.node.gateway.nodes.ownerOf(partition) ?? '';
    const node = nodes.get(owner);
    const led = node && replicasOf(node).leading.find(row => row.partition === partition);
    if (node === undefined || led?.established !== true)
      return `partition ${partition} of ${owner} is not kept by others`;
    if (led.waiting > 0) return `writes of partition ${partition} wait for others`;
    for (const { name, isFollowing, behind } of led.followers) {
      const other = nodes.get(name);
      if (other === undefined) continue;
      if (!isFollowing || behind !== 0) return `${name} is behind ${owner} with partition ${partition}`;
      if (replicasOf(other).following.find(row => row.partition === partition)?.whole !== true)
        return `${owner} counts on the copy of partition ${partition} of ${name}, who does not take it for whole`;
      const unlike = differenceOf(contentOf(node, partition), contentOf(other, partition));
      if (unlike !== undefined) return `${name} has not what ${owner} has of partition ${partition}: ${unlike}`;
    }
  }
  return undefined;
}

/** By key and shard. */
function contentOf(node: NodeLife, partition: number): Map<string, StoredRecord> {
  const { records } = node.member.router.hands;
  const all = new Map<string, StoredRecord>();
  for (const shard of records.shards(partition))
    for (const record of node.member.host.engine.shard(shard).scan())
      if (records.travels(shard, record.key)) all.set(`${nameOf(record.key)} in ${shard}`, record);
  return all;
}

function differenceOf(a: ReadonlyMap<string, StoredRecord>, b: ReadonlyMap<string, StoredRecord>): string | undefined {
  for (const id of new Set([...a.keys(), ...b.keys()])) {
    const [one, other] = [a.get(id), b.get(id)];
    if (one === undefined || other === undefined) return `${id} is only with one of them`;
    if (!equal(one.value, other.value) || !equal(one.version, other.version)) return id;
  }
  return undefined;
}
