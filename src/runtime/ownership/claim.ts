// Who should own what: a pure function from who owns what now, the members and a spacing to owners. Every node that runs it
// on the same input gets the same ring.
//
//     shares ──▶ nobody owns anything yet?  ──yes──▶ lay out afresh ──┐
//                       │no                                           ├──▶ untangle ──▶ owners, warnings
//                       └──▶ hand over what is too much ──▶ untangle ─┘
//                                                             └─ members still too close ──▶ lay out afresh, keep the better
//
// Intuition: whoever owns too much gives to whoever owns too little, at places where the receiver is not near itself. That
// moves the least that balance allows. Only where members remain too close are partitions swapped between old members too.
//
// Invariants: shares are exact (shares.ts); `spacing` partitions in a row, over the wrap too, belong to different members
// whenever there are that many; zones and racks are spread as far as no further partition has to move for it.

import { claimSpacingDefault } from '../../limits.ts';
import { Arrangement, nobody, type Wishes } from './arrangement.ts';
import { claimOrder, layouts, relabel } from './layout.ts';
import { compareText, type Ring, type RingMember } from './ring.ts';
import { sharesOf } from './shares.ts';
import { type ClaimWarning, warningsOf } from './warnings.ts';

export type Claimer = Pick<RingMember, 'name' | 'weight' | 'zone' | 'rack'>;

export interface ClaimInput {
  /** Who owns what now; '' or somebody who is no claimer: to be given away. */
  readonly owners: readonly string[];
  readonly members: readonly Claimer[];
  /** How many partitions in a row shall lie on different members: one more than there are copies of a key. */
  readonly spacing?: number;
  /** Move partitions for the sake of zones and racks too, not only those that move anyway. */
  readonly spread?: boolean;
}

export interface Claimed {
  readonly owners: readonly string[];
  readonly warnings: readonly ClaimWarning[];
}

/** The ring with its partitions claimed by `members`, as it would be if all data were there at once. */
export function claim(
  ring: Ring,
  members: readonly Claimer[],
  spacing?: number,
): { ring: Ring; warnings: readonly ClaimWarning[] } {
  const { owners, warnings } = claimOwners({
    owners: ring.owners,
    members,
    ...(spacing === undefined ? {} : { spacing }),
  });
  return { ring: { ...ring, owners }, warnings };
}

export function claimOwners(input: ClaimInput): Claimed {
  const spacing = input.spacing ?? claimSpacingDefault;
  const members = claimOrder(input.members.toSorted((a, b) => compareText(a.name, b.name)));
  const index = new Map(members.map(({ name }, position) => [name, position]));
  const before = Int32Array.from(input.owners, owner => index.get(owner) ?? nobody);
  const held = new Array<number>(members.length).fill(0);
  for (const owner of before) if (owner !== nobody) held[owner] = (held[owner] as number) + 1;
  const weights = members.map(({ weight }) => weight);
  const { shares, capped } = sharesOf(weights, before.length, spacing, held);
  if (shares.every(share => share === 0)) return { owners: input.owners.map(() => ''), warnings: [{ kind: 'nobody' }] };

  const best = arrange(before, members, { shares, spacing, spread: input.spread ?? false });
  const owners = Array.from(best.owners, owner => (members[owner] as Claimer).name);
  return { owners, warnings: warningsOf({ arrangement: best, members, shares, capped, spacing }) };
}

/** What there is to say of owners as they are, whatever the weights would want. */
export function judge({ owners, members, spacing = claimSpacingDefault }: ClaimInput): readonly ClaimWarning[] {
  const index = new Map(members.map(({ name }, position) => [name, position]));
  const as = Int32Array.from(owners, owner => index.get(owner) ?? nobody);
  const shares = members.map((_, member) => as.reduce((count, owner) => count + Number(owner === member), 0));
  const arrangement = new Arrangement(as, as, members, { shares, spacing, spread: false });
  return warningsOf({ arrangement, members, shares, capped: [], spacing });
}

function arrange(before: Int32Array, members: readonly Claimer[], wishes: Wishes): Arrangement {
  if (before.every(owner => owner === nobody)) return afresh(before, members, wishes);
  const kept = new Arrangement(before.slice(), before, members, wishes);
  kept.handOver();
  kept.untangle();
  if (wishes.spread) {
    const rebuilt = afresh(before, members, wishes);
    return rebuilt.pain() < kept.pain() ? rebuilt : kept;
  }
  // With fewer members than the spacing wants it cannot be had; not worth moving everything for a better failure.
  if (kept.tooClose() === 0 || kept.claimers < wishes.spacing) return kept;
  const rebuilt = afresh(before, members, wishes);
  return rebuilt.tooClose() < kept.tooClose() ? rebuilt : kept;
}

/** The least painful of the patterns, with names that keep most where it is. */
function afresh(before: Int32Array, members: readonly Claimer[], wishes: Wishes): Arrangement {
  const zones = members.map(({ zone }) => zone);
  const candidates = layouts(wishes.shares, before.length, zones)
    .map(pattern => relabel(pattern, before, members, wishes.shares))
    .map(owners => new Arrangement(owners, before, members, wishes));
  const best = candidates.reduce((least, each) => (each.pain() < least.pain() ? each : least));
  best.untangle();
  return best;
}
