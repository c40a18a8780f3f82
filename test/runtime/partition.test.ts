import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TroupeError } from '../../src/errors.ts';
import { checkPartitions, hash32, partitionOf } from '../../src/runtime/partition.ts';

const keys = Array.from({ length: 64_000 }, (_, i) => `user:${i}`);

/** Sum of (found - expected)^2 / expected; close to `buckets` when the spread is even. */
function chiSquare(counts: readonly number[], total: number): number {
  const even = total / counts.length;
  return counts.reduce((sum, count) => sum + (count - even) ** 2 / even, 0);
}

function tally(buckets: number, bucketOf: (key: string) => number): number[] {
  const counts = new Array<number>(buckets).fill(0);
  for (const key of keys) counts[bucketOf(key)] = (counts[bucketOf(key)] ?? 0) + 1;
  return counts;
}

describe('partitions', () => {
  test.each([
    ['key0', 8],
    ['key1', 48],
    ['key2', 30],
    ['key3', 13],
    ['a', 3],
    ['cart:42', 41],
  ])('of 64, %s belongs to %i (A-12)', (key, partition) => {
    expect(partitionOf(key, 64)).toBe(partition);
    expect(partitionOf(new TextEncoder().encode(key), 64)).toBe(partition);
  });

  test('a string and its UTF-8 bytes belong to the same partition', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), key => {
        expect(partitionOf(key, 65_536)).toBe(partitionOf(new TextEncoder().encode(key), 65_536));
      }),
      { seed: 3 },
    );
  });

  test('doubling the partitions splits each in two and moves no key elsewhere; one partition holds all', () => {
    for (const key of keys.slice(0, 500)) {
      expect(partitionOf(key, 1)).toBe(0);
      for (let q = 1; q < 65_536; q *= 2) expect(partitionOf(key, 2 * q) >> 1).toBe(partitionOf(key, q));
    }
  });

  test('keys that differ in a counter spread evenly', () => {
    const counts = tally(64, key => partitionOf(key, 64));
    expect(counts).toHaveLength(64); // none outside
    expect(chiSquare(counts, keys.length)).toBeLessThan(64 + 5 * Math.sqrt(128));
  });

  test.each([1, 2, 64, 65_536])('%i is a number of partitions', count => {
    expect(checkPartitions(count)).toBe(count);
  });

  test.each([0, -1, 3, 100, 131_072, 64.5, Number.NaN, '64', undefined])(
    '%s is not, and the error says what is',
    bad => {
      expect(() => checkPartitions(bad)).toThrow(TroupeError);
      expect(() => checkPartitions(bad)).toThrow(/partitions must be a power of two from 1 to 65536, got/);
    },
  );
});

describe('hash32', () => {
  test('is an unsigned 32-bit integer, equal for equal text, and different for anagrams', () => {
    expect(hash32('')).toBe(hash32(''));
    expect(hash32('cart/1')).toBe(hash32(['cart', '1'].join('/')));
    expect(hash32('ab')).not.toBe(hash32('ba'));
    for (const key of keys.slice(0, 1_000)) {
      expect(Number.isInteger(hash32(key)) && hash32(key) >= 0 && hash32(key) < 2 ** 32).toBe(true);
    }
  });

  test('spreads keys evenly by its lowest bits as well as by its highest', () => {
    const limit = 1_024 + 5 * Math.sqrt(2_048);
    expect(
      chiSquare(
        tally(1_024, key => hash32(key) & 1_023),
        keys.length,
      ),
    ).toBeLessThan(limit);
    expect(
      chiSquare(
        tally(1_024, key => hash32(key) >>> 22),
        keys.length,
      ),
    ).toBeLessThan(limit);
  });

  test('64,000 keys meet about as often as chance has it: no more than 3 pairs', () => {
    expect(keys.length - new Set(keys.map(hash32)).size).toBeLessThanOrEqual(3); // n^2 / 2^33 = 0.5 expected
  });
});
