// What a merge may leave out for good: records whose values have all been dead for a while, expired or deleted. A pure function over
// the bytes of a record; the thread that merges loads this module by its URL (storage/runs/merge-job.ts) and asks it of every record
// that has nothing older left anywhere.
//
//     record ─▶ all siblings dead, each for at least the grace? ─▶ written by actors that write here no more? ─▶ whole? ─▶ gone
//
// Why no dot is made twice. With the record goes the memory of its dots, so the next write of that key counts from 1 again. A dot is
// (actor, counter); it can only come back under an actor that had written the key before. So:
//
//   1. When the runs of the merge are chosen, and before it begins, each vnode is asked for its *floor*: it opens a new actor, whose
//      epoch is the floor, and from then on a key without a record is written under that one (vnode-shard.ts). A key that has a
//      record goes on with the actor that is named there: its counter is there too.
//   2. Only records all of whose actors have epochs below the floor go. If such a key is written again, it is under an actor opened
//      at the floor or later, which none of the records in those runs can name: they were written before.
//   3. If the vnode is activated again meanwhile, its next actor lies above the stored epoch (actor-id.ts), which is stored with the
//      first write that uses it; so it lies above every epoch in the runs, whether or not the floor's was ever stored.
//
// A client that comes with a context from before the purge names actors the vnode does not know. Where n is 1 that is ignored
// (vnode.ts, known()): nothing of theirs is left that could be superseded. With more replicas one of them may still hold what was
// deleted, and would bring it back: such stores are not purged before repair can say that all have seen it.
//
// Invariant: false for whatever is not understood. A damaged record stays, and goes on being an error.

import { crc32 } from '../storage/crc32.ts';
import { decodeChecked, decodeRecord } from '../storage/record.ts';
import { keyOf, type RunEntry, shardOf } from '../storage/runs/run-format.ts';
import { dotted } from './dvv.ts';
import type { Sibling, SiblingSet } from './sibling.ts';
import { decodeSet, decodeSole, isCorrupt } from './version-codec.ts';

/** What is known of a shard that may be purged. Plain data: it crosses a thread. */
export interface PurgeShard {
  readonly number: number;
  /** shardSeed() of its name. */
  readonly seed: number;
  readonly floor: number;
}

export interface PurgeRules {
  /** Wall clock. */
  readonly now: number;
  readonly graceMs: number;
  readonly shards: readonly PurgeShard[];
}

/** Beside the other sources, compiled or not. */
export const purgeModule: string = import.meta.url;

/** The name under which merge-job.ts finds it. */
export function longDead({ now, graceMs, shards }: PurgeRules): (entry: RunEntry) => boolean {
  const known = new Map(shards.map(shard => [shard.number, shard]));
  const before = now - graceMs;
  return ({ place, record: bytes }) => {
    const shard = known.get(shardOf(place));
    const key = keyOf(place);
    // The vnode's own records begin with 0, and are what makes its epochs rise.
    if (shard === undefined || bytes === undefined || key.length === 0 || key[0] === 0) return false;
    const decoded = decodeChecked(key, bytes);
    if (decoded.type !== 'ok') return false;
    const { record } = decoded;
    // Nearly all records have one value that is alive: those are not looked at any closer.
    const sole = decodeSole(record);
    if (sole !== undefined && !isLongDead(sole, before)) return false;
    const set = decodeSet(record);
    if (isCorrupt(set) || !allDead(set, before) || !allBelow(set, shard.floor)) return false;
    return decodeRecord(crc32, shard.seed, key, bytes).type === 'ok';
  };
}

function allDead(set: SiblingSet, before: number): boolean {
  for (const { value } of dotted(set)) if (!isLongDead(value, before)) return false;
  return true;
}

/** Expired values wait as long as deleted ones: a clock that was an hour ahead for a moment must not cost data. */
function isLongDead({ tombstone, stamp, expiresAt }: Sibling, before: number): boolean {
  return tombstone ? stamp.ms <= before : expiresAt !== 0 && expiresAt <= before;
}

function allBelow(set: SiblingSet, floor: number): boolean {
  for (const actor of set.keys()) {
    const epoch = epochOf(actor);
    if (epoch === undefined || epoch >= floor) return false;
  }
  return true;
}

/** 'node:partition:epoch': see actor-id.ts. Undefined for what is none of ours. */
function epochOf(actor: string): number | undefined {
  const epoch = /^[^:]+:\d+:([0-9a-z]{1,11})$/.exec(actor)?.[1];
  return epoch === undefined ? undefined : Number.parseInt(epoch, 36);
}
