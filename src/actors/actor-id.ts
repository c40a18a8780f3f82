// Who makes dots: one vnode, from one activation of it to the next. The id is 'node:partition:epoch', the epoch a time in
// ms written in base 36 so that it takes 8 characters and sorts by age.
//
// Intuition: a dot (actor, counter) must never name two writes. A counter alone cannot promise that, because it lives in
// the records: wipe the disk, restore last week's copy, or start a cloned directory, and the counter begins again below
// what other replicas and clients have already seen; they then take the new write for an old one and drop it (riak_kv
// #679, research/wounds.md W5 W6). So whoever opens a vnode takes an epoch that nobody had before.
//
// Invariant: the epoch is above the one that is stored, and, should that have been lost with the disk, above every epoch
// that was opened earlier than now. It is stored together with the first write that uses it.

import { actorIdBytesMax } from '../limits.ts';
import type { ActorId } from './dvv.ts';

/** The epoch to open a vnode with, from the stored one (undefined: none found) and the wall clock. */
export function freshEpoch(stored: number | undefined, nowMs: number): number {
  return Math.max((stored ?? 0) + 1, Math.floor(nowMs));
}

export function actorIdOf(node: string, partition: number, epoch: number): ActorId {
  const id = `${node}:${partition}:${epoch.toString(36)}`;
  if (!/^[!-~]+$/.test(id) || id.length > actorIdBytesMax) {
    throw new RangeError(`'${id}' cannot be an actor id: printable ASCII, at most ${actorIdBytesMax} characters`);
  }
  return id;
}
