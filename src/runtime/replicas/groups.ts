// Which nodes keep the records of a partition, who of them must agree, and how their number changes. Pure.
//
//     [n1]  ──n2, n3 have a copy──▶  [n1] and [n1 n2 n3]  ──both agree──▶  [n1 n2 n3]          the owner decides, a step at a time
//
// Intuition: a write counts once more than half of the group have it, and a new owner is agreed on by more than half: so among those who
// agree there is always one who has the write. While a group changes, more than half of the old one and of the new one must
// agree (joint consensus, Ongaro 2014, 4.3): nobody can find a majority that knows nothing of the other.
//
// Invariant: any two quorums of groups that follow each other have a member in common.

import { preference } from '../ownership/preference.ts';
import type { Ring } from '../ownership/ring.ts';

/** One group, or the old and the new one while it changes. */
export type Groups = readonly (readonly string[])[];

/** How far a copy is: rounds of writes, counted anew under each owner. */
export interface Position {
  readonly turn: number;
  readonly round: number;
}

export function comparePositions(a: Position, b: Position): number {
  return a.turn - b.turn || a.round - b.round;
}

export function isQuorum(groups: Groups, has: (name: string) => boolean): boolean {
  return groups.length > 0 && groups.every(group => group.filter(has).length * 2 > group.length);
}

export function everybody(groups: Groups): string[] {
  return [...new Set(groups.flat())];
}

/** Nobody else has to agree, and nobody else keeps anything. */
export function isAlone(groups: Groups, self: string): boolean {
  return everybody(groups).every(name => name === self);
}

/** Since when a quorum, `self` included, is known to have heard of it. -Infinity: never. */
export function heardSince(groups: Groups, self: string, heardAt: (name: string) => number): number {
  const times = everybody(groups).map(name => (name === self ? Number.POSITIVE_INFINITY : heardAt(name)));
  times.sort((a, b) => b - a);
  return (
    times.find(time => isQuorum(groups, name => name === self || heardAt(name) >= time)) ?? Number.NEGATIVE_INFINITY
  );
}

export interface Wish {
  readonly owner: string;
  /** Who shall own it next. */
  readonly to: string | undefined;
  readonly groups: Groups;
  /** Of the ring, those that stay, from the partition on clockwise. */
  readonly members: readonly string[];
  /** How many shall keep it. */
  readonly replicas: number;
  isUp(name: string): boolean;
}

/**
 * Who shall keep it: the owner, those who do while they are up, then others that are up. Never fewer than there are for want of somebody who
 * is up; with too few members for a majority that survives one of them, the owner alone.
 */
export function wishedGroup({ owner, to, groups, members, replicas, isUp }: Wish): string[] {
  const now = (groups.at(-1) ?? []).filter(name => members.includes(name));
  const others = members.filter(name => name !== owner);
  const order = [
    ...now.filter(name => name !== owner && isUp(name)),
    ...others.filter(name => !now.includes(name) && isUp(name)),
    ...now.filter(name => name !== owner && !isUp(name)),
  ];
  const group = others.length + 1 < replicas ? [owner] : [owner, ...order.slice(0, replicas - 1)];
  if (to !== undefined && !group.includes(to)) group.push(to);
  return group;
}

/** The same by what the ring says. */
export function wishedIn(ring: Ring, partition: number, wish: Omit<Wish, 'members' | 'to'>): string[] {
  const stay = new Set(ring.members.filter(({ status }) => status === 'valid').map(({ name }) => name));
  const inOrder = preference(ring, partition, ring.members.length).filter(name => stay.has(name));
  const to = ring.next.find(each => each.partition === partition)?.to;
  return wishedGroup({ ...wish, members: [...new Set([wish.owner, ...inOrder, ...stay])], to });
}

/** The next step towards it; undefined: there. A step is taken once those of the one before agree. */
export function nextGroups(groups: Groups, wished: readonly string[]): Groups | undefined {
  const [now, then] = groups as [readonly string[], (readonly string[])?];
  if (then !== undefined) return [then];
  return isSame(now, wished) ? undefined : [now, wished];
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every(name => b.includes(name));
}
