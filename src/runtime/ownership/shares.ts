// How many partitions each member should own: whole numbers in proportion to the weights, by the largest remainder.
//
//     weights 2 1 1 1, 64 partitions:   25.6  12.8  12.8  12.8   floors 61   the 3 left go to .8 .8 .8   ->  25 13 13 13
//
// Invariants: the shares add up to the number of partitions; equal weights differ by at most one; no share exceeds the cap,
// past which a member could not be kept apart from itself (distinctness beats weight, behaviours.md A-25).

export interface Shares {
  /** By member, in the order given. */
  readonly shares: readonly number[];
  /** Members that would have had more. */
  readonly capped: readonly { readonly index: number; readonly wanted: number }[];
}

/**
 * `held`: what each owns now. Of equal remainders the one who owns more goes first, so that nothing moves only to make
 * another one the longer; then the order given.
 */
export function sharesOf(
  weights: readonly number[],
  partitions: number,
  spacing: number,
  held: readonly number[],
): Shares {
  const cap = capOf(weights.filter(weight => weight > 0).length, partitions, spacing);
  const free = largestRemainder(weights, partitions, held);
  const capped = new Map<number, number>();
  for (;;) {
    const open = weights.map((weight, index) => (capped.has(index) ? 0 : weight));
    const shares = largestRemainder(open, partitions - capped.size * cap, held);
    const over = shares.flatMap((share, index) => (share > cap ? [index] : []));
    for (const index of over) capped.set(index, free[index] as number);
    if (over.length > 0) continue;
    return {
      shares: shares.map((share, index) => (capped.has(index) ? cap : share)),
      // Who is at the cap anyway, by its weight, was denied nothing.
      capped: [...capped].map(([index, wanted]) => ({ index, wanted })).filter(({ wanted }) => wanted > cap),
    };
  }
}

/** The most one member may own so that `spacing` partitions in a row can be different members; more when it must. */
function capOf(members: number, partitions: number, spacing: number): number {
  if (members === 0) return 0;
  return Math.max(Math.floor(partitions / Math.min(spacing, members)), Math.ceil(partitions / members));
}

function largestRemainder(weights: readonly number[], seats: number, held: readonly number[]): number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (total === 0) return weights.map(() => 0);
  const quotas = weights.map(weight => (seats * weight) / total);
  const shares = quotas.map(quota => Math.floor(quota + rounding));
  const left = seats - shares.reduce((sum, share) => sum + share, 0);
  const order = [...weights.keys()]
    .filter(index => (weights[index] as number) > 0)
    .sort((a, b) => {
      const byRemainder = remainder(quotas, shares, b) - remainder(quotas, shares, a);
      if (Math.abs(byRemainder) > rounding) return byRemainder;
      return (held[b] as number) - (held[a] as number) || a - b;
    });
  for (const index of order.slice(0, left)) shares[index] = (shares[index] as number) + 1;
  return shares;
}

/** Quotas of equal weights may differ in their last bits; 2^-30 is far above those and far below a real difference. */
const rounding = 2 ** -30;

function remainder(quotas: readonly number[], shares: readonly number[], index: number): number {
  return (quotas[index] as number) - (shares[index] as number);
}
