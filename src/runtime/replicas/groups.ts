// Which nodes keep the records of a partition, who of them must agree, and how their number changes. Pure.
//
//     [n1]  ──n2 has a copy──▶  [n1] and [n1 n2 n3]  ──both agree──▶  [n1 n2 n3]          the owner decides, a step at a time
//                                            └─ has none yet: with or without its seat two must have a write
//
// Intuition: a write counts once more than half of the group have it, and a new owner is agreed on by more than half: so among those who
// agree there is always one who has the write. While a group changes, more than half of the old one and of the new one must
// agree (joint consensus, Ongaro 2014, 4.3): nobody can find a majority that knows nothing of the other.
//
//     [n1 n2]    a write counts when both have it         who owns it is decided by the second alone
//
// Of two, more than half are both, and then the loss of either would leave the partition without an owner. But two quorums need only
// have a member in common, so it may always be the same one: the one that did not own it when the group was made. It can take over alone,
// and the first can do nothing without it. Both may not be able to: they would, at once, when the link between them is cut.
//
// Invariants: any two quorums of groups that follow each other have a member in common; whoever keeps a write includes a quorum.

import { preference } from '../ownership/preference.ts';
import type { Ring } from '../ownership/ring.ts';

type Group = readonly string[];

/** One group, or the old and the new one while it changes. */
export type Groups = readonly Group[];

/** How far a copy is: rounds of writes, counted anew under each owner. */
export interface Position {
  readonly turn: number;
  readonly round: number;
}

export function comparePositions(a: Position, b: Position): number {
  return a.turn - b.turn || a.round - b.round;
}

/** They may decide who owns it, and what its group is. */
export function isQuorum(groups: Groups, has: (name: string) => boolean): boolean {
  return (
    groups.length > 0 && groups.every(group => (group.length === 2 ? has(group[1] as string) : isMost(group, has)))
  );
}

/** What all of them have may be acknowledged. */
export function isKept(groups: Groups, has: (name: string) => boolean): boolean {
  return isQuorum(groups, has) && isMost(groups.at(-1) as Group, has);
}

function isMost(group: Group, has: (name: string) => boolean): boolean {
  return group.filter(has).length * 2 > group.length;
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

/** Who shall keep it: the owner, those who do while they are up, then others that are up; who is down has the seats that are left. */
export function wishedGroup({ owner, to, groups, members, replicas, isUp }: Wish): string[] {
  const now = (groups.at(-1) ?? []).filter(name => members.includes(name));
  const inOrder = [...now, ...members.filter(name => !now.includes(name))].filter(name => name !== owner);
  const [up, down] = [inOrder.filter(isUp), inOrder.filter(name => !isUp(name))];
  const group = [owner, ...[...up, ...down].slice(0, replicas - 1)];
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

/**
 * Of what this node owns and has never led (`isFirst`), so that nothing of it can have been written: who shall keep it from the first write on.
 * Copies of what is there would come too late for what an owner has acknowledged that is lost before they are made.
 */
export function firstGroups(
  ring: Ring,
  { isFirst, ...wish }: Pick<Wish, 'owner' | 'replicas' | 'isUp'> & { isFirst(partition: number): boolean },
): Map<number, string[]> {
  const own = [...ring.owners.keys()].filter(partition => ring.owners[partition] === wish.owner && isFirst(partition));
  return new Map(own.map(partition => [partition, wishedIn(ring, partition, { ...wish, groups: [] })]));
}

/** The next step towards it; undefined: there is none yet, or it is there. A step is taken once those of the one before agree. */
export function nextGroups(groups: Groups, wished: Group, hasCopy: (name: string) => boolean): Groups | undefined {
  const [now, then] = groups as [Group, Group?];
  if (then !== undefined) return [then];
  const next = reachable(now, wished, hasCopy);
  return isSame(now, next) || !isMost(next, hasCopy) ? undefined : [now, next];
}

/**
 * As much of it as there can be now. Nobody goes before those who come have a copy. One of them may have a seat without one where as many as
 * before must have a write: of three with an empty seat two, as of the two. Then, with a vote only, it helps already when the owner is lost.
 */
function reachable(now: Group, wished: Group, hasCopy: (name: string) => boolean): Group {
  const empty = wished.filter(name => !now.includes(name) && !hasCopy(name));
  if (empty.length === 0) return wished;
  const stays = wished.filter(name => !empty.includes(name));
  const next = [...stays, ...now.filter(name => !wished.includes(name))];
  return next.length % 2 === 0 ? [...next, empty[0] as string] : next;
}

/** Of two it is another group when the other one decides. */
function isSame(a: Group, b: Group): boolean {
  return a.length === b.length && a.every((name, at) => (a.length === 2 ? name === b[at] : b.includes(name)));
}
