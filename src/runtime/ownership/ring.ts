// Who owns which partition: a value that travels by gossip, and the rules by which two of them become one.
//
//            p0   p1   p2   p3   p4   p5   p6   p7            owners: who answers for the partition now
//            n1   n2   n3   n4   n1   n2   n3   n4
//                       └─▶ n5             └─▶ n5             next: who will, as soon as the data has arrived there
//
// Intuition: one decider (the claimant) writes rings, everybody else copies the newest. Merging owner by owner was tried
// by riak_core and given up (its PR #78): ownership then moved before the data did. So a ring is taken whole or not at all.
//
// Invariants: `owners` changes only when a transfer is complete (ring-plan.ts); every change raises `epoch`; members are
// sorted by name and transfers by partition, so that equal rings have equal bytes and one hash.

import { md5 } from '../md5.ts';
import { checkPartitions } from '../partition.ts';

/** joining: known, owns nothing yet. down: an operator said so; keeps what it owns. exiting: owns nothing any more. */
export type MemberStatus = 'joining' | 'valid' | 'leaving' | 'exiting' | 'down';

export interface RingMember {
  readonly name: string;
  readonly status: MemberStatus;
  /** Its share of the partitions, relative to the others. 0: a member that owns nothing. */
  readonly weight: number;
  /** '' when not said: then it counts as a zone or rack of its own name, which all that say nothing share. */
  readonly zone: string;
  readonly rack: string;
}

/** A partition that will change hands. `from` answers for it until the transfer is complete. */
export interface Transfer {
  readonly partition: number;
  readonly from: string;
  readonly to: string;
}

export interface Ring {
  readonly cluster: string;
  readonly epoch: number;
  /** Who wrote this ring. */
  readonly claimant: string;
  readonly members: readonly RingMember[];
  /** By partition; '' before the first claim. */
  readonly owners: readonly string[];
  readonly next: readonly Transfer[];
}

/** What each member last said it holds: its name to the hash of its ring. Comes with the gossip, is no part of the ring. */
export type SeenRings = ReadonlyMap<string, string>;

export type Adoption = 'adopted' | 'kept' | 'same' | 'foreign';

// ---- making one ----

/** A ring nobody owns anything of. */
export function emptyRing(options: { cluster: string; partitions: number; claimant: string }): Ring {
  const owners = new Array<string>(checkPartitions(options.partitions)).fill('');
  return { cluster: options.cluster, epoch: 0, claimant: options.claimant, members: [], owners, next: [] };
}

/** The same ring with other parts, written by `by`, one epoch later, in canonical order. */
export function changed(ring: Ring, by: string, parts: Partial<Pick<Ring, 'members' | 'owners' | 'next'>>): Ring {
  return {
    ...ring,
    ...parts,
    epoch: ring.epoch + 1,
    claimant: by,
    members: (parts.members ?? ring.members).toSorted((a, b) => compareText(a.name, b.name)),
    next: (parts.next ?? ring.next).toSorted((a, b) => a.partition - b.partition),
  };
}

/** By code units, which every machine and locale agrees on. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

// ---- asking one ----

export function memberOf(ring: Ring, name: string): RingMember | undefined {
  return ring.members.find(member => member.name === name);
}

/** Who will own what once all that is pending has been completed. */
export function ownersToBe(ring: Ring): string[] {
  const owners = ring.owners.slice();
  for (const { partition, to } of ring.next) owners[partition] = to;
  return owners;
}

export function countsOf(owners: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const owner of owners) if (owner !== '') counts.set(owner, (counts.get(owner) ?? 0) + 1);
  return counts;
}

/** Who may write the next ring: whoever wrote this one while it can, else the lowest name of those that are valid and up. */
export function claimantOf(ring: Ring, isUp: (name: string) => boolean): string | undefined {
  const able = ring.members.filter(({ name, status }) => status === 'valid' && isUp(name)).map(({ name }) => name);
  return able.includes(ring.claimant) ? ring.claimant : able[0];
}

// ---- hash and agreement ----

/** 32 hex digits over everything that is in a ring. */
export function ringHash(ring: Ring): string {
  const members = ring.members.map(({ name, status, weight, zone, rack }) => [name, status, weight, zone, rack]);
  const next = ring.next.map(({ partition, from, to }) => [partition, from, to]);
  return textHash(JSON.stringify([ring.cluster, ring.epoch, ring.claimant, members, ring.owners, next]));
}

export function textHash(text: string): string {
  return Array.from(md5(text), byte => byte.toString(16).padStart(2, '0')).join('');
}

/** Valid and leaving members that have not said they hold this ring. Nobody: the ring is ready and the next may be made. */
export function notSeenBy(ring: Ring, seen: SeenRings): string[] {
  const hash = ringHash(ring);
  return ring.members
    .filter(({ name, status }) => (status === 'valid' || status === 'leaving') && seen.get(name) !== hash)
    .map(({ name }) => name);
}

export function isReady(ring: Ring, seen: SeenRings): boolean {
  return notSeenBy(ring, seen).length === 0;
}

// ---- two rings ----

/**
 * Which of two rings everybody ends up with. A total order, so it does not matter who hears what first or how often: the
 * higher epoch; then the one whose claimant is valid in it; then the lowest claimant; then the lowest hash.
 */
export function mergeRings(a: Ring, b: Ring): Ring {
  return compareRings(a, b) >= 0 ? a : b;
}

/** Positive when `a` wins. 0 only for equal rings. */
export function compareRings(a: Ring, b: Ring): number {
  if (a === b) return 0;
  if (a.epoch !== b.epoch) return a.epoch - b.epoch;
  const valid = Number(hasValidClaimant(a)) - Number(hasValidClaimant(b));
  if (valid !== 0) return valid;
  return compareText(b.claimant, a.claimant) || compareText(ringHash(b), ringHash(a));
}

function hasValidClaimant(ring: Ring): boolean {
  return memberOf(ring, ring.claimant)?.status === 'valid';
}

/** What to do with a ring that came by gossip. One of another cluster, or with other partitions, is never looked at. */
export function adopt(ours: Ring, theirs: Ring): { readonly ring: Ring; readonly adoption: Adoption } {
  if (ours.cluster !== theirs.cluster || ours.owners.length !== theirs.owners.length) {
    return { ring: ours, adoption: 'foreign' };
  }
  const order = compareRings(ours, theirs);
  if (order === 0) return { ring: ours, adoption: 'same' };
  return order > 0 ? { ring: ours, adoption: 'kept' } : { ring: theirs, adoption: 'adopted' };
}
