// Partitions that tests want to have moved: wished for without a plan, done by the same code.

import type { Transfer } from '../../../src/runtime/ownership/ring.ts';
import { partitionOf } from '../../../src/runtime/partition.ts';
import type { ClusterKit } from '../../../src/testing/cluster-kit-host.ts';

/** Hands one partition from its owner to `to`; resolves when the owner's ring says so. Moves time. */
export function hand(kit: ClusterKit, partition: number, to: string, withinMs = 20_000): Promise<void> {
  return handAll(kit, [[partition, to]], withinMs);
}

/** Several at the same time, of any owners that are up. */
export async function handAll(
  kit: ClusterKit,
  moves: readonly (readonly [partition: number, to: string])[],
  withinMs = 20_000,
): Promise<void> {
  const ring = kit.nodes.find(each => each.isUp)?.cluster.effectiveRing();
  const wishes = moves.map(([partition, to]) => ({ partition, from: ring?.owners[partition] as string, to }));
  const givers = [...new Set(wishes.map(({ from }) => from))].map(name => {
    const { cluster, gateway } = kit.node(name);
    const left = (): Transfer[] => {
      const now = cluster.effectiveRing();
      return now === undefined
        ? []
        : wishes.filter(({ partition, from }) => from === name && now.owners[partition] === name);
    };
    const hooks = gateway.handoffs.attach({
      handOn: (at, node, turn) => cluster.handOn(at, node, turn),
      ringStored: () => cluster.ringStored(),
      isUp: other => cluster.isUp(other),
      effectiveRing: () => {
        const now = cluster.effectiveRing();
        const own = left();
        if (now === undefined || own.length === 0) return now;
        return {
          ...now,
          next: [...now.next.filter(each => !own.some(({ partition }) => partition === each.partition)), ...own],
        };
      },
    });
    hooks.ringChanged();
    return { name, cluster, gateway, left };
  });
  const under = (): typeof givers => givers.filter(({ name, left }) => kit.node(name).isUp && left().length > 0);
  for (let passed = 0; passed < withinMs && under().length > 0; passed++) await kit.clock.advance(1);
  for (const { cluster, gateway } of givers) gateway.handoffs.attach(cluster);
  for (const { gateway, left } of under())
    throw new Error(`${JSON.stringify(left())} did not happen: ${JSON.stringify(gateway.handoffs.describe())}`);
}

/** Keys of different partitions of that node. */
export function keysOf(kit: ClusterKit, owner: string, count: number): string[] {
  const keys = new Map<number, string>();
  for (let i = 0; keys.size < count; i++) {
    const key = `k${i}`;
    const at = partitionOfKey(kit, key);
    if (!keys.has(at) && kit.nodes[0]?.cluster.preference(key, 1)[0] === owner) keys.set(at, key);
  }
  return [...keys.values()];
}

export function partitionOfKey(kit: ClusterKit, key: string): number {
  return partitionOf(key, kit.partitions);
}
