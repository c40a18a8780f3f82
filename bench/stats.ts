// Numbers about samples, and the sampler that collects one number an operation without growing for ever.

/** Samples one contender may keep of one workload: 8 MiB. Past it each new sample replaces a random old one. */
export const samplesMax: number = 1 << 20;

/** Durations in milliseconds. A uniform reservoir: what it keeps is a fair draw of all that was added. */
export class Sampler {
  private kept = new Float64Array(1_024);
  private seen = 0;
  private readonly random: () => number;

  constructor(random: () => number) {
    this.random = random;
  }

  get count(): number {
    return this.seen;
  }

  add(ms: number): void {
    let slot = this.seen++;
    if (slot >= samplesMax) {
      slot = Math.floor(this.random() * this.seen);
      if (slot >= samplesMax) return;
    } else if (slot === this.kept.length) {
      const larger = new Float64Array(Math.min(this.kept.length * 4, samplesMax));
      larger.set(this.kept);
      this.kept = larger;
    }
    this.kept[slot] = ms;
  }

  sorted(): Float64Array {
    return this.kept.slice(0, Math.min(this.seen, samplesMax)).sort();
  }
}

/** By the nearest rank, so that the answer is a value that was measured. */
export function percentile(sorted: ArrayLike<number>, fraction: number): number {
  const rank = Math.ceil(sorted.length * fraction) - 1;
  return sorted[Math.min(Math.max(rank, 0), sorted.length - 1)] ?? Number.NaN;
}

export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? at(sorted, middle) : (at(sorted, middle - 1) + at(sorted, middle)) / 2;
};

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Relative standard deviation, in percent. */
export function rsdPercent(values: readonly number[]): number {
  if (values.length < 2) return 0;
  const middle = mean(values);
  const variance = values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1);
  return middle === 0 ? 0 : (100 * Math.sqrt(variance)) / middle;
}

const at = (values: readonly number[], index: number): number => values[index] ?? Number.NaN;

/** A small generator of numbers in [0, 1) with a fixed seed; every contender of a workload draws the same ones. */
export function seededRandom(seed: number): () => number {
  // A Weyl sequence through a multiply-xorshift finalizer: plenty for choosing keys.
  let weyl = seed >>> 0;
  return () => {
    weyl = (weyl + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(weyl ^ (weyl >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 0x1_0000_0000;
  };
}
