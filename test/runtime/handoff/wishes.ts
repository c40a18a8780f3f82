// Partitions that tests want to have moved: wished for without a plan, done by the same code.

import { partitionOf } from '../../../src/runtime/partition.ts';
import type { ClusterKit } from '../../../src/testing/cluster-kit-host.ts';

/** Hands one partition from its owner to `to`; resolves when the owner's ring says so. Moves time. */
export async function hand(kit: ClusterKit, partition: number, to: string, withinMs = 20_000): Promise<void> {
  const ring = kit.nodes.find(each => each.isUp)?.cluster.effectiveRing();
  const from = ring?.owners[partition] as string;
  const { cluster, gateway } = kit.node(from);
  const hooks = gateway.handoffs.attach({
    handOn: (at, node, turn) => cluster.handOn(at, node, turn),
    ringStored: () => cluster.ringStored(),
    isUp: name => cluster.isUp(name),
    effectiveRing: () => {
      const now = cluster.effectiveRing();
      if (now === undefined || now.owners[partition] !== from) return now;
      return { ...now, next: [...now.next.filter(each => each.partition !== partition), { partition, from, to }] };
    },
  });
  hooks.ringChanged();
  for (let passed = 0; passed < withinMs && kit.node(from).isUp; passed++) {
    if (cluster.effectiveRing()?.owners[partition] === to) break;
    await kit.clock.advance(1);
  }
  gateway.handoffs.attach(cluster);
  if (kit.node(from).isUp && cluster.effectiveRing()?.owners[partition] !== to)
    throw new Error(`partition ${partition} was not handed to ${to}: ${JSON.stringify(gateway.handoffs.describe())}`);
}

export function partitionOfKey(kit: ClusterKit, key: string): number {
  return partitionOf(key, kit.partitions);
}
