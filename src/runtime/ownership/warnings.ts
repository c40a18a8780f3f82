// What a claim could not give, with its numbers. A warning never blocks: a ring of two nodes is a ring.

import { type Arrangement, nobody } from './arrangement.ts';

export type ClaimWarning =
  /** No member has a weight above 0. */
  | { readonly kind: 'nobody' }
  /** So many runs of `spacing` partitions have one member twice; `members` is fewer than `spacing` when it had to be so. */
  | { readonly kind: 'spacing'; readonly spacing: number; readonly members: number; readonly runs: number }
  /** Distinctness beats weight: it would have owned more. */
  | { readonly kind: 'capped'; readonly member: string; readonly wanted: number; readonly given: number }
  /** It has a weight but there was no partition left. */
  | { readonly kind: 'idle'; readonly member: string }
  /** So many replica sets (spacing - 1 in a row) lie in fewer zones, or racks, than there are for them. */
  | { readonly kind: 'zones' | 'racks'; readonly possible: number; readonly runs: number };

interface Claim {
  readonly arrangement: Arrangement;
  readonly members: readonly {
    readonly name: string;
    readonly weight: number;
    readonly zone: string;
    readonly rack: string;
  }[];
  readonly shares: readonly number[];
  readonly capped: readonly { readonly index: number; readonly wanted: number }[];
  readonly spacing: number;
}

export function warningsOf({ arrangement, members, shares, capped, spacing }: Claim): ClaimWarning[] {
  const name = (index: number): string => members[index]?.name as string;
  const warnings: ClaimWarning[] = [];
  const { owners, claimers } = arrangement;
  const runs = runsBelow(owners, spacing, Math.min(spacing, owners.length), member => String(member));
  if (runs > 0) warnings.push({ kind: 'spacing', spacing, members: claimers, runs });
  for (const { index, wanted } of capped) {
    warnings.push({ kind: 'capped', member: name(index), wanted, given: shares[index] as number });
  }
  for (const [index, member] of members.entries()) {
    if (member.weight > 0 && shares[index] === 0) warnings.push({ kind: 'idle', member: member.name });
  }
  const copies = Math.max(spacing - 1, 1);
  const zoneOf = (index: number): string => members[index]?.zone as string;
  const rackOf = (index: number): string => JSON.stringify([members[index]?.zone, members[index]?.rack]);
  for (const [kind, groupOf] of [
    ['zones', zoneOf],
    ['racks', rackOf],
  ] as const) {
    const groups = new Set([...shares.keys()].filter(index => (shares[index] as number) > 0).map(groupOf)).size;
    if (groups < 2) continue;
    const possible = Math.min(groups, copies, owners.length);
    const tooFew = runsBelow(owners, copies, possible, groupOf);
    if (tooFew > 0) warnings.push({ kind, possible, runs: tooFew });
  }
  return warnings;
}

/** Runs of `length` partitions, over the wrap too, that lie in fewer than `wanted` groups. */
export function runsBelow(
  owners: Int32Array,
  length: number,
  wanted: number,
  groupOf: (member: number) => string,
): number {
  const group = new Map<number, string>();
  const groups = Array.from(owners, owner => {
    const known = group.get(owner) ?? (owner === nobody ? '' : groupOf(owner));
    group.set(owner, known);
    return known;
  });
  let runs = 0;
  for (let p = 0; p < groups.length; p++) {
    const seen = new Set<string>();
    for (let step = 0; step < length; step++) seen.add(groups[(p + step) % groups.length] as string);
    if (seen.size < wanted) runs++;
  }
  return runs;
}

/** One line for people. */
export function describeWarning(warning: ClaimWarning): string {
  switch (warning.kind) {
    case 'nobody':
      return 'no member has a weight above 0, so nobody owns anything';
    case 'spacing': {
      const { runs, spacing, members } = warning;
      const why = members < spacing ? `; that takes ${spacing} members and there are ${members}` : '';
      return `${runs} runs of ${spacing} partitions have a member twice${why}`;
    }
    case 'capped':
      return `${warning.member} owns ${warning.given} instead of the ${warning.wanted} of its weight, to keep copies apart`;
    case 'idle':
      return `${warning.member} owns nothing: there are more members than partitions`;
    default:
      return `${warning.runs} replica sets lie in fewer than ${warning.possible} ${warning.kind}`;
  }
}
