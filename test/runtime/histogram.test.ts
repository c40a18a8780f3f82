import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Histogram, histogramValueMax } from '../../src/runtime/histogram.ts';

function of(values: readonly number[]): Histogram {
  const histogram = new Histogram();
  for (const value of values) histogram.record(value);
  return histogram;
}

const value = fc.oneof(
  fc.integer({ min: 0, max: 300 }),
  fc.integer({ min: 0, max: 2 ** 31 - 1 }),
  fc.maxSafeInteger().map(each => Math.abs(each) % histogramValueMax),
);

describe('a histogram', () => {
  test('is exact below 128', () => {
    for (let each = 0; each < 128; each++) expect(of([0, each, each, 200]).quantile(0.6)).toBe(each);
  });

  test('any quantile is within 0.8 % of the value a sorted list has there', () => {
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 1, maxLength: 80 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (values, q) => {
          const sorted = values.toSorted((a, b) => a - b);
          const exact = sorted[Math.max(1, Math.ceil(q * sorted.length)) - 1] as number;
          expect(Math.abs(of(values).quantile(q) - exact)).toBeLessThanOrEqual(exact / 128);
        },
      ),
      { seed: 6, numRuns: 500 },
    );
  });

  test('values on both sides of every power of two are told apart, up to 2^40', () => {
    for (let bits = 1; bits <= 40; bits++) {
      const [below, at] = [2 ** bits - 1, 2 ** bits];
      const histogram = of([below, below, at, at]);
      expect(Math.abs(histogram.quantile(0.5) - below)).toBeLessThanOrEqual(below / 128);
      expect(Math.abs(histogram.quantile(0.75) - at)).toBeLessThanOrEqual(at / 128);
    }
  });

  test('minimum, maximum, count and mean are exact', () => {
    const histogram = of([1_000_003, 17, 5_000_000_011]);
    expect([histogram.quantile(0), histogram.quantile(1), histogram.count]).toEqual([17, 5_000_000_011, 3]);
    expect(histogram.mean).toBe((1_000_003 + 17 + 5_000_000_011) / 3);
  });

  test('quantiles never fall when q rises, and never leave what was recorded', () => {
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 40 }), values => {
        const histogram = of(values);
        let last = Math.min(...values);
        for (let q = 0; q <= 1; q += 1 / 64) {
          expect(histogram.quantile(q)).toBeGreaterThanOrEqual(last);
          last = histogram.quantile(q);
        }
        expect(last).toBe(Math.max(...values));
      }),
      { seed: 7, numRuns: 200 },
    );
  });

  test('fractions are cut, negatives are zero, the huge keep an exact maximum, NaN is refused', () => {
    expect(of([7.9]).max).toBe(7);
    expect(of([0.99, -3]).max).toBe(0);
    const huge = of([5, 2 ** 50, Number.POSITIVE_INFINITY]);
    expect(huge.max).toBe(Number.POSITIVE_INFINITY);
    expect(huge.quantile(0.5)).toBeGreaterThan(histogramValueMax * 0.98);
    expect(() => of([Number.NaN])).toThrow(RangeError);
  });

  test('an empty one answers zeros; a quantile outside 0 to 1 is refused', () => {
    expect(new Histogram().summary()).toEqual({ count: 0, mean: 0, min: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0 });
    for (const q of [-0.1, 1.1, Number.NaN]) expect(() => new Histogram().quantile(q)).toThrow(RangeError);
  });

  test('merging is the same as recording both; packing and unpacking changes nothing; reset forgets', () => {
    fc.assert(
      fc.property(fc.array(value, { maxLength: 40 }), fc.array(value, { maxLength: 40 }), (left, right) => {
        const both = of([...left, ...right]);
        const merged = of(left);
        merged.merge(Histogram.unpack(structuredClone(of(right).pack())));
        expect(merged.pack()).toEqual(both.pack());
        expect(merged.summary()).toEqual(both.summary());
        merged.reset();
        expect(merged.pack()).toEqual(new Histogram().pack());
        expect(merged.summary()).toEqual(new Histogram().summary());
      }),
      { seed: 8, numRuns: 100 },
    );
    expect(() => Histogram.unpack([1, 2])).toThrow(RangeError);
    expect(() => Histogram.unpack([1, 2, 3, 4])).toThrow(RangeError);
  });

  test('counts that would overflow are halved together: the shape, the mean and the extremes stay', () => {
    const histogram = of([10, 10, 10, 1_000]);
    for (let i = 0; i < 40; i++) histogram.merge(histogram); // 3 * 2^40 of the ten
    expect(histogram.count).toBeGreaterThan(2 ** 31);
    expect(histogram.count).toBeLessThan(2 ** 33);
    expect(histogram.mean).toBeCloseTo(257.5, 6);
    expect([0.5, 0.74, 0.76].map(q => histogram.quantile(q))).toEqual([10, 10, 1_000]);
    const full = Histogram.unpack([10 * 0xffff_ffff, 10, 10, 10, 0xffff_ffff]);
    full.record(10);
    expect(full.count).toBe(2 ** 31);
    expect(full.mean).toBeCloseTo(10, 6);
    expect(full.quantile(0.5)).toBe(10);
  });
});
