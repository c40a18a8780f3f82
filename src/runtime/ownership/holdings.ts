// Who owns each partition, as a register of its own that only its present owner writes; beside it the claim, which only wishes. (Where
// several nodes keep it and its owner is lost, whoever their majority agrees to writes the next turn: ../replicas.)
//
//     claim      members, weights, next: [p2 n3→n5]              written by the claimant; the better of two is taken, whole
//     holdings   p0 n1·0   p1 n2·0   p2 n3·0   p3 n4·0           owner · turn. By n3 alone:  p2 n3·0 ──handedOn──▶ p2 n5·1
//     effective  the claim, its owners from the holdings, `next` without what has come true
//
// Intuition: merging rings owner by owner was given up elsewhere (ring.ts) because two deciders could each move a partition, and
// ownership then ran ahead of the data. Here nobody decides about a partition but who has its data: two writers never meet, so
// the higher turn is simply the later truth. What the claimant writes may be lost in a race: that loses a wish, never data.
//
// Invariants: an owner changes by handedOn() only, a turn at a time; merging is a join (commutative, associative, idempotent), so
// it does not matter who hears what first, how often, or from whom; the effective epoch never falls.

import { compareText, mergeRings, type Ring, type RingMember, ringHash } from './ring.ts';

export interface Holding {
  readonly owner: string;
  /** How often the partition has changed hands. */
  readonly turn: number;
}

/** By partition. */
export type Holdings = readonly Holding[];

export interface RingState {
  /** Hash of the founding ring. Two states of different birth are of two clusters, which never mix. */
  readonly birth: string;
  /** Its owners are those when it was made, and not looked at. */
  readonly claim: Ring;
  readonly holdings: Holdings;
}

export interface Handed {
  readonly partition: number;
  readonly from: string;
  readonly to: string;
  readonly turn: number;
}

/** A partition that has changed hands, as seen by who held it to be `from`'s. Who missed turns may see `from` and `to` the same. */
export interface Change extends Handed {
  /** The turn that was known until now. */
  readonly known: number;
}

/** There were turns in between: in one of them it may have been anybody's, this node's too. */
export function hasMissed({ turn, known }: Change): boolean {
  return turn > known + 1;
}

export interface Merged {
  /** The very object that was ours when the other adds nothing. */
  readonly state: RingState;
  readonly changes: readonly Change[];
}

/** The first state of a cluster; or of one whose rings had no turns yet. */
export function founded(ring: Ring): RingState {
  return { birth: ringHash(ring), claim: ring, holdings: ring.owners.map(owner => ({ owner, turn: 0 })) };
}

// ---- asking one ----

/** The ring to route by, to plan on and to show. */
export function effective({ claim, holdings }: RingState): Ring {
  const owners = holdings.map(({ owner }) => owner);
  const next = claim.next.filter(({ partition, from }) => owners[partition] === from);
  const isNeeded = (name: string): boolean => owners.includes(name) || next.some(each => each.to === name);
  const members = claim.members.map((member): RingMember => {
    if (member.status !== 'leaving' && member.status !== 'exiting') return member;
    const status = isNeeded(member.name) ? 'leaving' : 'exiting';
    return status === member.status ? member : { ...member, status };
  });
  return { ...claim, members, owners, next, epoch: claim.epoch + turnsOf(holdings) };
}

/** How often any partition has changed hands. */
export function turnsOf(holdings: Holdings): number {
  return holdings.reduce((sum, { turn }) => sum + turn, 0);
}

// ---- changing one ----

/** To be made by the owner of the partition only, and durable there before anybody hears of it. */
export function handedOn(state: RingState, partition: number, to: string): RingState {
  const { turn } = state.holdings[partition] as Holding;
  return { ...state, holdings: state.holdings.with(partition, { owner: to, turn: turn + 1 }) };
}

/** A new claim, made from the effective ring. Its epoch is counted apart: the effective one is that and all turns. */
export function claimed(state: RingState, ring: Ring): RingState {
  return { ...state, claim: { ...ring, epoch: state.claim.epoch + 1 } };
}

/** Our state with what somebody else says has changed hands, to be merged. */
export function withChanges(
  state: RingState,
  changes: readonly Pick<Change, 'partition' | 'to' | 'turn'>[],
): RingState {
  const holdings = state.holdings.slice();
  for (const { partition, to: owner, turn } of changes) {
    const known = holdings[partition];
    if (known !== undefined) holdings[partition] = later(known, { owner, turn });
  }
  return { ...state, holdings };
}

// ---- two of them ----

/** `changes`: what changed hands compared to ours. */
export function mergeStates(ours: RingState, theirs: RingState): Merged | 'foreign' {
  if (ours.birth !== theirs.birth || ours.holdings.length !== theirs.holdings.length) return 'foreign';
  const changes: Change[] = [];
  const holdings = ours.holdings.map((known, partition) => {
    const best = later(known, theirs.holdings[partition] as Holding);
    const { owner: to, turn } = best;
    if (best !== known) changes.push({ partition, from: known.owner, to, turn, known: known.turn });
    return best;
  });
  const claim = mergeRings(ours.claim, theirs.claim);
  if (claim === ours.claim && changes.length === 0) return { state: ours, changes };
  return { state: { birth: ours.birth, claim, holdings: changes.length === 0 ? ours.holdings : holdings }, changes };
}

/** `a` itself unless `b` is later. Two owners of one turn cannot be while each writes only what is its own; if an old disk was brought back, all choose the same. */
function later(a: Holding, b: Holding): Holding {
  return (b.turn - a.turn || compareText(a.owner, b.owner)) > 0 ? b : a;
}
