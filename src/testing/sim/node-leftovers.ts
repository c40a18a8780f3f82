// What a node has left over: of motions that have ended, and in records.

import { ownerOfRecord, ownerOfReminder } from '../../runtime/actor-records.ts';
import { partitionOfShard } from '../../runtime/handoff/ring-partition.ts';
import type { Host } from '../../runtime/host.ts';
import type { NodeLife } from '../node-life-host.ts';
import type { NodesLife } from './node-talk.ts';

/** Whose record that is; undefined: of the shard as a whole. */
function unitOf(shard: string, key: Uint8Array): string | undefined {
  if (shard.startsWith('a/')) return ownerOfRecord(key)?.join('/');
  return shard.startsWith('r/') ? ownerOfReminder(key)?.join('/') : undefined;
}

export interface Excused {
  /** A try has brought what belongs to that partition, and has come to nothing. */
  readonly isPartition: (node: string, partition: number) => boolean;
  /** ... or has brought that actor, or its owner has been on that node. */
  readonly isUnit: (node: string, owner: string, unit: string) => boolean;
}

/** Records of actors that live elsewhere. `homeOf`: where that node says that its actor lives. */
export function recordsLeftIn(
  { node, engine, world }: NodesLife,
  homeOf: (owner: string, unit: string) => string | undefined,
  { isPartition, isUnit }: Excused,
): string[] {
  const wrong = new Set<string>();
  for (const shard of engine.shards()) {
    const partition = partitionOfShard(shard);
    if (partition === undefined) continue;
    const owner = node.gateway.nodes.ownerOf(partition) as string;
    if (isPartition(world.name, partition)) continue;
    for (const { key } of engine.shard(shard).scan()) {
      const unit = unitOf(shard, key);
      if (unit === undefined) {
        if (owner !== world.name) wrong.add(`${world.name} keeps ${shard} of a partition that is not its own`);
        continue;
      }
      const lives = homeOf(owner, unit);
      if (lives === world.name || isUnit(world.name, owner, unit)) continue;
      wrong.add(`${world.name} keeps records of ${unit} in ${shard}, which lives on ${lives}`);
    }
  }
  return [...wrong];
}

/** Actors that are awake on a thread, and not under their name. */
function namelessIn({ residents, types }: Host): number {
  const named = types.flatMap(({ live }) => [...live.values()].filter(({ keyed }) => typeof keyed === 'string'));
  return residents.count - named.length;
}

/** What a node at rest has not got any more. */
export function leftIn(node: NodeLife): string | undefined {
  const { homes, guests, asks, held, handoffs, lastWords } = node.gateway.describe() as any;
  const detained = lastWords.settling.filter((each: any) => each.waitFor.length > 0);
  const { running, taking } = handoffs;
  const routers = node.members.map(({ router }) => router);
  const partitionsHeld = routers.flatMap(each =>
    each.held.all().map(({ partition, stage }) => `${partition} ${stage}`),
  );
  const pending = routers.reduce((sum, each) => sum + each.pending.size, 0);
  const nameless = node.members.reduce((sum, { host }) => sum + namelessIn(host), 0);
  const left = {
    moving: homes.moving,
    ...guests,
    asks,
    held,
    running,
    taking,
    detained,
    partitionsHeld,
    pending,
    nameless,
  };
  for (const [what, rest] of Object.entries(left))
    if (Array.isArray(rest) ? rest.length > 0 : rest !== 0) return `'${what}' at rest: ${JSON.stringify(rest)}`;
  return undefined;
}
