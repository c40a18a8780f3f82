import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../bench/stats.ts';
import { md5First32 } from '../../../src/runtime/md5.ts';
import {
  addNode,
  partitionOwners,
  removeNode,
  type TokenRing,
  tokenOwner,
  tokenPreference,
  tokenRing,
  tokenShares,
} from '../../../src/runtime/ownership/token-strategies.ts';
import { countOf, moved } from './clusters.ts';

/** 's0@10 s1@30' */
const toy = (text: string): TokenRing =>
  tokenRing(
    text.split(' ').map(token => ({ node: token.split('@')[0] as string, position: Number(token.split('@')[1]) })),
  );

const four = toy('s0@10 s1@30 s2@60 s3@85');
const positions = Array.from({ length: 10_000 }, (_, i) => md5First32(`key${i}`));
const grow = (nodes: number, tokens: number, seed: number): TokenRing => {
  const random = seededRandom(seed);
  return Array.from({ length: nodes }, (_, i) => `s${i}`).reduce(
    (ring, node) => addNode(ring, node, tokens, random),
    [] as TokenRing,
  );
};

describe('random tokens (strategy 1)', () => {
  it.each([
    [5, 's0'],
    [20, 's1'],
    [45, 's2'],
    [70, 's3'],
    [95, 's0'], // A-2, over the top
    [30, 's1'], // A-3, a token owns its own position
    [31, 's2'],
  ])('give position %i to %s', (position, node) => {
    expect(tokenOwner(four, position)).toBe(node);
  });

  it('give (10, 30] to s2 when s1 goes, and nothing else changes (A-5); s2 then has half of all (A-6)', () => {
    const three = removeNode(four, 's1');
    for (let p = 0; p < 100; p++) {
      expect(tokenOwner(three, p)).toBe(p > 10 && p <= 30 ? 's2' : tokenOwner(four, p));
    }
    const shares = tokenShares(three, 100);
    expect([...shares].map(([node, share]) => [node, Math.round(share * 100)])).toEqual([
      ['s0', 25],
      ['s2', 50],
      ['s3', 25],
    ]);
  });

  it('give a key to the virtual node behind it (A-7)', () => {
    expect(tokenOwner(toy('s0@5 s1@20 s0@40 s1@60 s0@75 s1@90'), 50)).toBe('s1');
  });

  it('find distinct nodes clockwise (A-14)', () => {
    expect(tokenPreference(four, 20, 3)).toEqual(['s1', 's2', 's3']);
    expect(tokenPreference(toy('s0@5 s0@10 s1@20 s2@40'), 1, 3)).toEqual(['s0', 's1', 's2']);
    expect(tokenPreference(four, 90, 9)).toEqual(['s0', 's1', 's2', 's3']);
  });

  it('of nobody own nothing, and two on one place are refused', () => {
    expect(tokenOwner([], 5)).toBeUndefined();
    expect(tokenPreference([], 5, 3)).toEqual([]);
    expect(() => toy('a@1 b@1')).toThrow('two tokens at 1');
  });

  it('balance the better the more there are, over 20 seeds (A-8)', () => {
    const deviation = (tokens: number): number => {
      const each = Array.from({ length: 20 }, (_, seed) => {
        const ring = grow(10, tokens, 100 + seed);
        const owners = positions.map(position => tokenOwner(ring, position) as string);
        const variance = Array.from({ length: 10 }, (_, i) => (countOf(owners, `s${i}`) - 1_000) ** 2);
        return Math.sqrt(variance.reduce((sum, v) => sum + v, 0) / 10);
      });
      return each.reduce((sum, d) => sum + d, 0) / each.length;
    };
    const [one, ten, hundred, most] = [1, 10, 100, 200].map(deviation) as [number, number, number, number];
    expect(one > ten && ten > hundred && hundred > most, `${one} ${ten} ${hundred} ${most}`).toBe(true);
  });

  it('move a sixth of the keys to a sixth node, and none between the others (A-9)', () => {
    for (let seed = 0; seed < 20; seed++) {
      const random = seededRandom(seed);
      const five = grow(5, 128, seed);
      const six = addNode(five, 's5', 128, random);
      const before = positions.map(position => tokenOwner(five, position) as string);
      const after = positions.map(position => tokenOwner(six, position) as string);
      const gone = moved(before, after);
      expect(gone.every(key => after[key] === 's5')).toBe(true);
      expect(gone.length / positions.length).toBeGreaterThan(0.13);
      expect(gone.length / positions.length).toBeLessThan(0.21);
    }
  });
});

describe('random tokens over equal partitions (strategy 2)', () => {
  it('give a partition to the first token at or after its end', () => {
    expect(partitionOwners(four, 4, 100)).toEqual(['s1', 's2', 's3', 's0']); // ends 24, 49, 74, 99
    expect(partitionOwners([], 2, 100)).toEqual(['', '']);
  });

  it('move whole partitions, and only to who comes (A-26)', () => {
    const five = grow(5, 64, 1);
    const six = addNode(five, 's5', 64, seededRandom(77));
    const before = partitionOwners(five, 1_024);
    const after = partitionOwners(six, 1_024);
    expect(moved(before, after).length).toBeGreaterThan(0);
    expect(moved(before, after).every(p => after[p] === 's5')).toBe(true);
  });
});
