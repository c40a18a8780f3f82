// Hot path: a histogram of latencies (or sizes) in a fixed array, after the idea of HdrHistogram (G. Tene): buckets that
// are linear inside a power of two and double with it, so the error is relative and the same everywhere. record() is a few
// integer operations and allocates nothing.
//
// The picture, with 64 buckets an octave:
//
//      value    0 .. 127      128 .. 255     256 .. 511    ...   2^39 .. 2^40
//      width    1 (exact)     2              4                   2^33          -> a bucket is at most 1/64 = 1.6 % wide
//
// Values are whole and not negative, in a unit the caller chooses: in ns it reaches 18 minutes, in us 12 days. Fractions
// are cut; what is larger counts in the last bucket (max stays exact). Answers lie in the middle of a bucket: 0.8 % off at most.
//
// Invariant: the counts keep the shape of what was recorded. Before one would overflow all are halved, so that a process
// that runs for months shows slightly more of the recent past instead of nonsense; `count` is what they add up to.

const octaveBits = 6;
const perOctave: number = 1 << octaveBits;
const octaves = 40 - octaveBits;
const buckets: number = (octaves + 1) * perOctave;
/** Values at and above it share the last bucket. */
export const histogramValueMax: number = 2 ** 40;
const countMax = 0xffff_ffff;
/** Below it a value is one small integer. */
const wide: number = 2 ** 31;

export interface HistogramSummary {
  readonly count: number;
  readonly mean: number;
  readonly min: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export class Histogram {
  count = 0;
  min: number = Number.POSITIVE_INFINITY;
  max = 0;
  private sum = 0;
  private readonly counts: Uint32Array = new Uint32Array(buckets);

  /** Anything below zero (a clock that was rounded) counts as zero. Throws RangeError for NaN. */
  record(value: number): void {
    const whole = value >= 1 ? Math.floor(value) : notNaN(value);
    const bucket = bucketOf(whole);
    if (this.counts[bucket] === countMax) this.halve();
    this.counts[bucket] = (this.counts[bucket] as number) + 1;
    this.count++;
    this.sum += whole;
    if (whole < this.min) this.min = whole;
    if (whole > this.max) this.max = whole;
  }

  /** The value that a share q of what was recorded does not exceed; 0 while nothing was. q 0 is the minimum, 1 the maximum. */
  quantile(q: number): number {
    if (!(q >= 0 && q <= 1)) throw new RangeError(`a quantile lies between 0 and 1, not at ${q}`);
    if (this.count === 0) return 0;
    if (q === 0) return this.min;
    if (q === 1) return this.max;
    let left = Math.max(1, Math.ceil(q * this.count));
    for (let bucket = 0; bucket < buckets; bucket++) {
      left -= this.counts[bucket] as number;
      if (left <= 0) return Math.min(this.max, Math.max(this.min, middleOf(bucket)));
    }
    return this.max;
  }

  get mean(): number {
    return this.count === 0 ? 0 : this.sum / this.count;
  }

  /** Adds what another one holds. */
  merge(other: Histogram): void {
    this.min = Math.min(this.min, other.min);
    this.max = Math.max(this.max, other.max);
    this.sum += other.sum;
    // Sums of two 32-bit counts are exact in doubles; if one is too large for its bucket, all are halved.
    const sums = Array.from(this.counts, (count, bucket) => count + (other.counts[bucket] as number));
    const scale = sums.some(sum => sum > countMax) ? 2 : 1;
    for (let bucket = 0; bucket < buckets; bucket++) this.counts[bucket] = Math.floor((sums[bucket] as number) / scale);
    this.become(this.sum / scale);
  }

  reset(): void {
    this.counts.fill(0);
    this.count = 0;
    this.sum = 0;
    this.min = Number.POSITIVE_INFINITY;
    this.max = 0;
  }

  summary(): HistogramSummary {
    const { count, mean, max } = this;
    const [p50, p90, p99, p999] = [this.quantile(0.5), this.quantile(0.9), this.quantile(0.99), this.quantile(0.999)];
    return { count, mean, min: this.quantile(0), p50, p90, p99, p999, max };
  }

  /** Plain numbers for another thread: sum, min, max, then bucket and count of each bucket in use. */
  pack(): number[] {
    const packed = [this.sum, this.min, this.max];
    for (let bucket = 0; bucket < buckets; bucket++) {
      const count = this.counts[bucket] as number;
      if (count !== 0) packed.push(bucket, count);
    }
    return packed;
  }

  static unpack(packed: readonly number[]): Histogram {
    const made = new Histogram();
    const [sum, min, max] = packed;
    if (sum === undefined || min === undefined || max === undefined || packed.length % 2 !== 1) {
      throw new RangeError('these numbers are not a packed histogram');
    }
    made.min = min;
    made.max = max;
    for (let i = 3; i < packed.length; i += 2) made.counts[packed[i] as number] = packed[i + 1] as number;
    made.become(sum);
    return made;
  }

  private halve(): void {
    for (let bucket = 0; bucket < buckets; bucket++) this.counts[bucket] = (this.counts[bucket] as number) >>> 1;
    this.become(this.sum / 2);
  }

  /** The counts have changed: `count` follows them, and the mean stays what it was. */
  private become(sum: number): void {
    let count = 0;
    for (let bucket = 0; bucket < buckets; bucket++) count += this.counts[bucket] as number;
    this.count = count;
    this.sum = sum;
  }
}

function notNaN(value: number): 0 {
  if (Number.isNaN(value)) throw new RangeError('NaN was recorded in a histogram');
  return 0;
}

function bucketOf(whole: number): number {
  if (whole < perOctave) return whole;
  if (whole < wide) {
    const shift = 31 - octaveBits - Math.clz32(whole);
    return (shift << octaveBits) + (whole >>> shift);
  }
  if (whole >= histogramValueMax) return buckets - 1;
  // Too wide for integer operations: the same bucket, nine octaves lower.
  const lower = Math.floor(whole / 2 ** 9);
  const shift = 31 - octaveBits - Math.clz32(lower);
  return ((shift + 9) << octaveBits) + (lower >>> shift);
}

/** The middle of the whole values of a bucket. */
function middleOf(bucket: number): number {
  const octave = bucket >>> octaveBits;
  if (octave < 2) return bucket;
  const width = 2 ** (octave - 1);
  return ((bucket & (perOctave - 1)) + perOctave) * width + Math.floor((width - 1) / 2);
}
