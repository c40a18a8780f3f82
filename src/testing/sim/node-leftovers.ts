// What a node has left over: of motions that have ended, and in records.

import { ownerOfRecord, ownerOfReminder } from '../../runtime/actor-records.ts';
import type { NodeLife } from '../node-life-host.ts';

/** Whose record that is; undefined: of the shard as a whole. */
export function unitOf(shard: string, key: Uint8Array): string | undefined {
  if (shard.startsWith('a/')) return ownerOfRecord(key)?.join('/');
  return shard.startsWith('r/') ? ownerOfReminder(key)?.join('/') : undefined;
}

/** What a node at rest has not got any more. */
export function leftIn(node: NodeLife): string | undefined {
  const { homes, guests, asks, held, handoffs, lastWords } = node.gateway.describe() as any;
  const detained = lastWords.settling.filter((each: any) => each.waitFor.length > 0);
  const { running, taking } = handoffs;
  const partitionsHeld = node.member.router.held.all().map(({ partition, stage }) => `${partition} ${stage}`);
  const pending = node.member.router.pending.size;
  const left = { moving: homes.moving, ...guests, asks, held, running, taking, detained, partitionsHeld, pending };
  for (const [what, rest] of Object.entries(left))
    if (Array.isArray(rest) ? rest.length > 0 : rest !== 0) return `'${what}' at rest: ${JSON.stringify(rest)}`;
  return undefined;
}
