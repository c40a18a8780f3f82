// Which nodes hold the copies of a partition: distinct owners clockwise from it, and who stands in for those that are down.
//
//     p      p+1    p+2    p+3    p+4                 n = 3, n2 down
//     n1     n2     n3     n1     n4       primary:   n1 (p)   n3 (p+2)
//     ───────────────────▶                 fallback:  n4 (p+4), in place of n2 (p+1)
//
// Invariant: primaries depend on the ring alone, never on who is up: a node that flaps changes no replica set.

import { memberOf, type Ring } from './ring.ts';

export interface Preferred {
  /** The partition whose copy this is; of a fallback, the one it keeps for somebody else. */
  readonly partition: number;
  readonly node: string;
  readonly kind: 'primary' | 'fallback';
  /** The owner a fallback stands in for: the target of its hint. */
  readonly instead?: string;
}

interface Place {
  readonly partition: number;
  readonly node: string;
}

/** At most n distinct nodes; fewer when there are no more. */
export function preference(ring: Ring, partition: number, n: number): string[] {
  return walk(ring, partition, n).map(({ node }) => node);
}

/**
 * The primaries that are up, then a fallback for each that is not. A node that holds nothing of the key yet comes first;
 * when there is none, a node keeps a second copy, for the hint's sake (behaviours.md A-102). Fewer than n when nobody is up.
 */
export function preferenceUp(ring: Ring, partition: number, n: number, isUp: (node: string) => boolean): Preferred[] {
  const primaries = walk(ring, partition, n);
  const list: Preferred[] = primaries.filter(({ node }) => isUp(node)).map(place => ({ ...place, kind: 'primary' }));
  const missing = primaries.filter(({ node }) => !isUp(node));
  if (missing.length === 0) return list;
  const standIns = standInsFor(ring, primaries, isUp);
  for (const [index, { partition: kept, node: instead }] of missing.entries()) {
    const node = standIns[index % standIns.length];
    if (node !== undefined) list.push({ partition: kept, node, kind: 'fallback', instead });
  }
  return list;
}

/** Everybody who is up, clockwise from behind the last primary: strangers first, then the primaries themselves. */
function standInsFor(ring: Ring, primaries: readonly Place[], isUp: (node: string) => boolean): string[] {
  const last = primaries.at(-1);
  if (last === undefined) return [];
  const names = new Set(primaries.map(({ node }) => node));
  const up = walk(ring, last.partition + 1, ring.members.length)
    .map(({ node }) => node)
    .filter(isUp);
  return [...up.filter(node => !names.has(node)), ...up.filter(node => names.has(node))];
}

/**
 * So many copies a zone, on distinct racks while a zone has enough of them (NetworkTopologyStrategy; protocols.md 2.9).
 * A rack may repeat as often as the copies exceed the racks, and no earlier in the walk than that is certain.
 */
export function preferenceByZone(ring: Ring, partition: number, copies: Readonly<Record<string, number>>): string[] {
  const found = new Map<string, { racks: Set<string>; repeats: number; left: number }>();
  const owning = new Set(ring.owners);
  for (const [zone, wanted] of Object.entries(copies)) {
    const here = ring.members.filter(member => member.zone === zone && owning.has(member.name));
    const racks = new Set(here.map(({ rack }) => rack)).size;
    found.set(zone, { racks: new Set(), repeats: wanted - racks, left: Math.min(wanted, here.length) });
  }
  return walk(ring, partition, ring.members.length)
    .map(({ node }) => node)
    .filter(node => {
      const member = memberOf(ring, node);
      const zone = member === undefined ? undefined : found.get(member.zone);
      if (member === undefined || zone === undefined || zone.left === 0) return false;
      if (zone.racks.has(member.rack) && zone.repeats-- <= 0) return false;
      zone.racks.add(member.rack);
      zone.left--;
      return true;
    });
}

function walk(ring: Ring, from: number, n: number): Place[] {
  const { owners } = ring;
  const places: Place[] = [];
  const seen = new Set<string>();
  for (let step = 0; step < owners.length && places.length < n; step++) {
    const partition = (from + step) % owners.length;
    const node = owners[partition] as string;
    if (node === '' || seen.has(node)) continue;
    seen.add(node);
    places.push({ partition, node });
  }
  return places;
}
