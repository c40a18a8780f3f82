// Partitions in a circle and who owns them, while a claim is looking for a better order. The one mutable thing of a claim;
// flat arrays and numbers for members, because it is asked millions of times (bench/ownership watches it).
//
//     pain of n1 at p, spacing 4:     n1  ..  ..  [p]  n1  ..  ..
//                                      1           ▲    3           the nearer, the worse; zones and racks likewise, but
//                                                                   any number of them weighs less than one member
//
// Invariant: after handOver every member owns its share; untangle only swaps, so it stays so.

import { claimSwapsMax } from '../../limits.ts';

export const nobody = -1;

interface Placed {
  readonly zone: string;
  readonly rack: string;
}

/** What a claim is to reach. */
export interface Wishes {
  /** By member. */
  readonly shares: readonly number[];
  readonly spacing: number;
  readonly spread: boolean;
}

/** One member too near itself outweighs all the zones around, one zone all the racks: with 16 copies 16 * 17 * 2 < 1,000. */
const memberPain = 10_000_000;
const zonePain = 1_000;
const rackPain = 1;

export class Arrangement {
  readonly owners: Int32Array;
  /** Members with a share. */
  readonly claimers: number;
  readonly #before: Int32Array;
  readonly #shares: readonly number[];
  /** What a swap must relieve when it moves what would not move anyway. */
  readonly #worthMoving: number;
  readonly #zones: Int32Array;
  readonly #racks: Int32Array;
  /** Two of the same closer than this hurt. 1: nothing does. */
  readonly #memberReach: number;
  readonly #zoneReach: number;
  readonly #rackReach: number;
  #swapsLeft = claimSwapsMax;

  constructor(owners: Int32Array, before: Int32Array, members: readonly Placed[], wishes: Wishes) {
    const { shares, spacing, spread } = wishes;
    this.owners = owners;
    this.#before = before;
    this.#shares = shares;
    this.claimers = shares.filter(share => share > 0).length;
    // Zones and racks alone never come to half a member. With fewer members than the spacing wants, some are too close however
    // much is moved, and a preference list skips them anyway.
    this.#worthMoving = spread ? rackPain : this.claimers < spacing ? Infinity : memberPain / 2;
    const reach = Math.min(spacing, owners.length);
    const zones = numbered(members.map(({ zone }) => zone));
    const racks = numbered(members.map(({ zone, rack }) => JSON.stringify([zone, rack])));
    const used = (numbers: Int32Array): number =>
      new Set(numbers.filter((_, member) => (shares[member] as number) > 0)).size;
    this.#zones = zones;
    this.#racks = racks;
    this.#memberReach = Math.min(reach, this.claimers);
    this.#zoneReach = Math.min(reach, used(zones));
    this.#rackReach = Math.min(reach, used(racks));
  }

  /** Pairs of partitions of one member that are nearer than the spacing wants. */
  tooClose(): number {
    const { owners } = this;
    let pairs = 0;
    for (let p = 0; p < owners.length; p++) {
      for (let step = 1; step < this.#memberReach; step++) {
        if (owners[p] === owners[(p + step) % owners.length]) pairs++;
      }
    }
    return pairs;
  }

  pain(): number {
    return this.owners.reduce((sum, owner, p) => sum + this.#pain(p, owner), 0);
  }

  /** How badly `member` would lie at `partition`. */
  #pain(partition: number, member: number): number {
    const { owners } = this;
    const q = owners.length;
    const zone = this.#zones[member];
    const rack = this.#racks[member];
    let pain = 0;
    // There are no more racks than members and no more zones than racks, so this reaches as far as any of them.
    for (let step = 1; step < this.#memberReach; step++) {
      let at = partition + step;
      if (at >= q) at -= q;
      for (let side = 0; side < 2; side++) {
        const other = owners[at] as number;
        if (other !== nobody) {
          if (other === member) pain += memberPain * (this.#memberReach - step);
          if (step < this.#zoneReach && this.#zones[other] === zone) pain += zonePain * (this.#zoneReach - step);
          if (step < this.#rackReach && this.#racks[other] === rack) pain += rackPain * (this.#rackReach - step);
        }
        at = partition - step;
        if (at < 0) at += q;
      }
    }
    return pain;
  }

  // ---- from those who own too much to those who own too little ----

  handOver(): void {
    const wanted = this.#shares.slice();
    for (const owner of this.owners) if (owner !== nobody) wanted[owner] = (wanted[owner] as number) - 1;
    this.#giveUnowned(wanted);
    this.#giveSurplus(wanted);
  }

  /** Of those who want one, the one it hurts least to have here; then the one who wants most. */
  #giveUnowned(wanted: number[]): void {
    for (let p = 0; p < this.owners.length; p++) {
      if (this.owners[p] !== nobody) continue;
      let best = nobody;
      let bestPain = 0;
      for (let member = 0; member < wanted.length; member++) {
        if ((wanted[member] as number) <= 0) continue;
        const pain = this.#pain(p, member);
        if (
          best === nobody ||
          pain < bestPain ||
          (pain === bestPain && (wanted[member] as number) > (wanted[best] as number))
        ) {
          best = member;
          bestPain = pain;
        }
      }
      this.owners[p] = best;
      wanted[best] = (wanted[best] as number) - 1;
    }
  }

  /** Receivers take turns. Each takes where it relieves most, of equal places the first. */
  #giveSurplus(wanted: number[]): void {
    const pains = Float64Array.from(this.owners, (owner, p) => this.#pain(p, owner));
    for (;;) {
      let receiver = nobody;
      let most = 0;
      for (let member = 0; member < wanted.length; member++) {
        if ((wanted[member] as number) > most) {
          receiver = member;
          most = wanted[member] as number;
        }
      }
      if (receiver === nobody) return;
      const p = this.#bestSurplusFor(receiver, wanted, pains);
      const giver = this.owners[p] as number;
      this.owners[p] = receiver;
      wanted[giver] = (wanted[giver] as number) + 1;
      wanted[receiver] = most - 1;
      this.#renew(pains, p);
    }
  }

  #bestSurplusFor(receiver: number, wanted: readonly number[], pains: Float64Array): number {
    let best = nobody;
    let bestPain = 0;
    for (let p = 0; p < this.owners.length; p++) {
      if ((wanted[this.owners[p] as number] as number) >= 0) continue;
      // It cannot hurt less than not at all. Most places end here; without this 100 members becoming 200 took 1.8 s.
      const atLeast = -(pains[p] as number);
      if (best !== nobody && atLeast >= bestPain) continue;
      const pain = this.#pain(p, receiver) + atLeast;
      if (best === nobody || pain < bestPain) {
        best = p;
        bestPain = pain;
      }
    }
    return best;
  }

  /** What hurts around a partition that changed hands. */
  #renew(pains: Float64Array, partition: number): void {
    const q = this.owners.length;
    for (let step = 1 - this.#memberReach; step < this.#memberReach; step++) {
      const p = (((partition + step) % q) + q) % q;
      pains[p] = this.#pain(p, this.owners[p] as number);
    }
  }

  // ---- apart from themselves ----

  /** Swaps owners until none is too near itself, or no swap helps. For zones and racks nothing moves that would not anyway. */
  untangle(): void {
    this.#untangleAbove(memberPain - 1); // first, or zones might use up the swaps
    this.#untangleAbove(0);
  }

  #untangleAbove(pain: number): void {
    for (let improved = true; improved; ) {
      improved = false;
      for (let p = 0; p < this.owners.length; p++) {
        while (this.#pain(p, this.owners[p] as number) > pain && this.#swapBest(p)) improved = true;
        if (this.#swapsLeft <= 0) return;
      }
    }
  }

  #swapBest(p: number): boolean {
    const { owners } = this;
    const own = owners[p] as number;
    const ownPain = this.#pain(p, own);
    let best = nobody;
    let bestChange = 0;
    let bestMoves = 0;
    for (let q = 0; q < owners.length; q++) {
      const other = owners[q] as number;
      if (other === own) continue;
      const moves = this.#movesOf(p, other) + this.#movesOf(q, own) - this.#movesOf(p, own) - this.#movesOf(q, other);
      this.#swapsLeft--;
      const before = ownPain + this.#pain(q, other);
      if (moves > 0 && before < this.#worthMoving) continue;
      this.#swap(p, q);
      const change = this.#pain(p, other) + this.#pain(q, own) - before;
      this.#swap(p, q);
      if (change >= 0 || (moves > 0 && change > -this.#worthMoving)) continue;
      if (best === nobody || change < bestChange || (change === bestChange && moves < bestMoves)) {
        best = q;
        bestChange = change;
        bestMoves = moves;
      }
    }
    if (best === nobody) return false;
    this.#swap(p, best);
    return true;
  }

  #movesOf(partition: number, owner: number): number {
    const before = this.#before[partition];
    return before === nobody || before === owner ? 0 : 1;
  }

  #swap(p: number, q: number): void {
    const owner = this.owners[p] as number;
    this.owners[p] = this.owners[q] as number;
    this.owners[q] = owner;
  }
}

function numbered(names: readonly string[]): Int32Array {
  const numbers = new Map<string, number>();
  return Int32Array.from(names, name => {
    const number = numbers.get(name) ?? numbers.size;
    numbers.set(name, number);
    return number;
  });
}
