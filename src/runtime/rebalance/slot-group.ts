// What moves together when a slot changes threads, as one thread sees it. A slot is an entry of the partition table (placement.ts): the
// actors whose key falls there and that live by the table.
//
//     held groups (held.ts, hands.ts):   0 .. partitions-1  a partition of the ring, from node to node
//                                        partitions ..      partitions + slot, from thread to thread of this node
//
// Not in it: children (they live with their parent), what something has moved by itself (the directory knows where), and what the
// gateway looks after. All threads agree on that: thread 0 lets none of it change while a slot is on its way.

import type { FarRouter } from '../far-router.ts';
import { ringPartition } from '../handoff/ring-partition.ts';
import type { HostedType } from '../hosted-type.ts';
import { partitionOf } from '../partition.ts';

export function groupOfSlot(router: FarRouter, slot: number): number {
  return router.host.partitions + slot;
}

export function isSlot(router: FarRouter, group: number): boolean {
  return group >= router.host.partitions;
}

/** The group of an actor that lives by the table of threads; undefined for any other. */
export function slotGroup(router: FarRouter, hosted: HostedType, key: string): number | undefined {
  const { placement } = hosted.spec;
  if ((placement !== 'ring' && placement !== 'local') || key === '' || key.charCodeAt(0) === 0) return undefined;
  const { places, moves } = router;
  if (places.anyAway || moves.any) {
    const unit = `${hosted.name}/${key}`;
    if (places.isAway(unit) || (moves.any && moves.knows(unit))) return undefined;
  }
  if (!places.isOurs(hosted, key)) return undefined;
  return groupOfSlot(router, partitionOf(key, router.host.partitions));
}

export function inGroup(router: FarRouter, group: number, hosted: HostedType, key: string): boolean {
  return (isSlot(router, group) ? slotGroup(router, hosted, key) : ringPartition(hosted, key)) === group;
}

/** Actors of a slot are awake on its own thread alone. */
export function mayHave(router: FarRouter, group: number): boolean {
  return !isSlot(router, group) || router.places.table[group - router.host.partitions] === router.host.thread;
}

export function isUnitIn(router: FarRouter, group: number, unit: string): boolean {
  const { hosted, key } = router.host.split(unit);
  return hosted !== undefined && inGroup(router, group, hosted, key);
}

/** How people call it. */
export function groupName(router: FarRouter, group: number): string {
  return isSlot(router, group) ? `slot ${group - router.host.partitions}` : `partition ${group}`;
}
