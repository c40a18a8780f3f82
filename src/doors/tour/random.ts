// Chance from a seed that is printed: a tour that found something can be taken again.

export interface Random {
  /** A whole number from 0 to n - 1. */
  below(n: number): number;
}

/** A linear congruential generator (Numerical Recipes' constants); its upper bits are good enough to pick a moment. */
export function randomFrom(seed: number): Random {
  // Neighbouring seeds would begin with nearly the same numbers.
  let state = Math.imul(seed + 1, 0x9e37_79b1) >>> 0;
  return {
    below(n) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * n);
    },
  };
}
