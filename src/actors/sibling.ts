// One value of a key as it is stored and replicated: opaque bytes, and what every replica must agree on to treat it the
// same way. Several of them beside each other are siblings.
//
// Intuition: a deletion is a sibling without a value (a tombstone); an expired value is one that reads as if it were.
// Both keep their place in the clock, so that an old copy on another replica cannot come back to life.
//
// Invariant: nothing here depends on the replica that holds it. Expiry is an absolute time inside the value: decided
// locally, repair would bring back what a time-to-live had removed (research/wounds.md W3).

import { type ActorId, type Dot, type DvvSet, dotted } from './dvv.ts';
import { beginning, compareStamps, laterStamp, type Stamp } from './hlc.ts';

export interface Sibling {
  /** Opaque. Empty for a tombstone. */
  readonly value: Uint8Array;
  readonly tombstone: boolean;
  /** When it was written, by hybrid clock: orders siblings for display, and decides in last-writer-wins stores. */
  readonly stamp: Stamp;
  /** Wall time in ms at which it reads as deleted; 0 means never. */
  readonly expiresAt: number;
  /** The request that wrote it. A retry that finds it here was already done, even after a crash or on another replica. */
  readonly opId?: string | undefined;
}

export type SiblingSet = DvvSet<Sibling>;

/** A tombstone, or expired. */
export function isDead(sibling: Sibling, now: number): boolean {
  return sibling.tombstone || (sibling.expiresAt !== 0 && sibling.expiresAt <= now);
}

/** What a reader is shown: the live values, newest first, and whether a deletion stands beside (or instead of) them. */
export interface View {
  readonly live: readonly Sibling[];
  readonly tombstone: boolean;
}

export function viewOf(set: SiblingSet, now: number): View {
  const all = newestFirst(set);
  const live = all.filter(({ value }) => !isDead(value, now)).map(({ value }) => value);
  return { live, tombstone: live.length < all.length };
}

export interface DottedSibling {
  readonly dot: Dot;
  readonly value: Sibling;
}

/** The same order on every replica, however the set came together. */
export function newestFirst(set: SiblingSet): DottedSibling[] {
  const all = [...dotted(set)];
  return all.length < 2 ? all : all.sort((a, b) => compareWrites(b, a));
}

/** By stamp; then by actor and counter, so that no two writes are ever equal and all replicas agree. */
export function compareWrites(a: DottedSibling, b: DottedSibling): number {
  const byStamp = compareStamps(a.value.stamp, b.value.stamp);
  if (byStamp !== 0) return byStamp;
  return compareIds(a.dot.actor, b.dot.actor) || a.dot.counter - b.dot.counter;
}

/** Actor ids are ASCII, so code units and bytes sort alike. */
export function compareIds(a: ActorId, b: ActorId): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The newest stamp of a set: what comes after it must be stamped later. */
export function stampOf(set: SiblingSet): Stamp {
  let newest = beginning;
  for (const entry of set.values()) for (const sibling of entry.values) newest = laterStamp(newest, sibling.stamp);
  return newest;
}
