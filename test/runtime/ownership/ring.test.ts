import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../bench/stats.ts';
import {
  adopt,
  changed,
  claimantOf,
  compareRings,
  emptyRing,
  isReady,
  mergeRings,
  notSeenBy,
  type Ring,
  ringHash,
} from '../../../src/runtime/ownership/ring.ts';
import { member, members, ringOf, seenByAll } from './clusters.ts';

const ring = ringOf('a b c d a b c d');

describe('a ring', () => {
  it('starts with nobody, and refuses a number of partitions that is no power of two', () => {
    expect(emptyRing({ cluster: 'c', partitions: 8, claimant: 'a' })).toMatchObject({
      epoch: 0,
      members: [],
      next: [],
    });
    expect(() => emptyRing({ cluster: 'c', partitions: 12, claimant: 'a' })).toThrow('power of two');
  });

  it('rises an epoch with each change and keeps its parts in order', () => {
    const next = [
      { partition: 5, from: 'b', to: 'e' },
      { partition: 2, from: 'c', to: 'e' },
    ];
    const after = changed(ring, 'b', { members: [member('e'), ...ring.members], next });
    expect(after).toMatchObject({ epoch: 2, claimant: 'b' });
    expect(after.members.map(({ name }) => name).join('')).toBe('abcde');
    expect(after.next.map(({ partition }) => partition)).toEqual([2, 5]);
  });

  it('survives JSON unchanged, as gossip carries it', () => {
    const sent = JSON.parse(JSON.stringify(ring)) as Ring;
    expect(sent).toEqual(ring);
    expect(ringHash(sent)).toBe(ringHash(ring));
  });

  it('has a hash that any part changes and the order of fields does not', () => {
    const parts: Partial<Ring>[] = [
      { cluster: 'other' },
      { epoch: 2 },
      { claimant: 'b' },
      { owners: ring.owners.toSpliced(3, 1, 'a') },
      { next: [{ partition: 1, from: 'b', to: 'c' }] },
      { members: ring.members.slice(1) },
      ...(['status', 'weight', 'zone', 'rack'] as const).map(field => ({
        members: ring.members.with(0, member('a', { [field]: field === 'weight' ? 2 : 'down' })),
      })),
    ];
    const hashes = [ring, ...parts.map(part => ({ ...ring, ...part }))].map(ringHash);
    expect(new Set(hashes).size).toBe(parts.length + 1);
    expect(hashes[0]).toMatch(/^[0-9a-f]{32}$/);
    const reordered = Object.fromEntries(Object.entries(ring).reverse()) as unknown as Ring;
    expect(ringHash(reordered)).toBe(hashes[0]);
  });

  it('is ready when all valid and leaving members have seen it; joining, exiting and down ones are not waited for', () => {
    const statuses = ['valid', 'leaving', 'joining', 'exiting', 'down'] as const;
    const mixed = { ...ring, members: statuses.map(status => member(status, { status })) };
    expect(notSeenBy(mixed, new Map())).toEqual(['valid', 'leaving']);
    const seen = new Map([
      ['valid', ringHash(mixed)],
      ['leaving', ringHash(ring)],
    ]);
    expect(notSeenBy(mixed, seen)).toEqual(['leaving']);
    expect(isReady(mixed, seen)).toBe(false);
    expect(isReady(mixed, seen.set('leaving', ringHash(mixed)))).toBe(true);
    expect(isReady(ring, seenByAll(ring))).toBe(true);
  });

  it('keeps its claimant while that is up and valid, else takes the lowest name that is', () => {
    const byC = { ...ring, claimant: 'c' };
    expect(claimantOf(byC, () => true)).toBe('c');
    expect(claimantOf(byC, name => name > 'a' && name !== 'c')).toBe('b');
    const leaving = { ...byC, members: byC.members.with(2, member('c', { status: 'leaving' })) };
    expect(claimantOf(leaving, () => true)).toBe('a');
    expect(claimantOf(byC, () => false)).toBeUndefined();
  });
});

describe('of two rings', () => {
  const later = { ...ring, epoch: 9, claimant: 'z' };
  const byB = { ...ring, claimant: 'b' };
  const byD = { ...ring, claimant: 'd' };
  const byStranger = { ...ring, claimant: '0' };

  it.each<[string, Ring, Ring]>([
    ['the higher epoch wins, whoever wrote it', later, ring],
    ['the one whose claimant is valid wins over a lower name that is not', byD, byStranger],
    ['the lower of two valid claimants wins', byB, byD],
  ])('%s', (_, winner, loser) => {
    expect(mergeRings(winner, loser)).toBe(winner);
    expect(mergeRings(loser, winner)).toBe(winner);
  });

  it('one wins even if claimant and epoch are the same', () => {
    const other = { ...ring, owners: ring.owners.toReversed() };
    expect(mergeRings(ring, other)).toBe(mergeRings(other, ring));
    expect(compareRings(ring, other)).not.toBe(0);
    expect(compareRings(ring, structuredClone(ring))).toBe(0);
  });

  it('the same one wins in any order, in any grouping, however often', () => {
    const random = seededRandom(99);
    const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;
    const any = (): Ring => ({
      ...ring,
      epoch: Math.floor(random() * 2),
      claimant: pick(['a', 'b', '0', 'x']),
      members: [member('a', { status: pick(['valid', 'down', 'leaving'] as const) }), ...members(1)],
      owners: ring.owners.with(0, pick(['a', 'b'])),
    });
    const is = (x: Ring, y: Ring): void => expect(ringHash(x)).toBe(ringHash(y));
    for (let round = 0; round < 400; round++) {
      const [a, b, c] = [any(), any(), any()];
      is(mergeRings(a, b), mergeRings(b, a));
      is(mergeRings(mergeRings(a, b), c), mergeRings(a, mergeRings(b, c)));
      is(mergeRings(a, a), a);
      is(mergeRings(mergeRings(a, b), b), mergeRings(a, b));
    }
  });

  it('one from another cluster, or cut otherwise, is not looked at, however new', () => {
    expect(adopt(ring, { ...later, cluster: 'other' })).toEqual({ ring, adoption: 'foreign' });
    expect(adopt(ring, { ...later, owners: ['a', 'b'] })).toEqual({ ring, adoption: 'foreign' });
    expect(adopt(ring, later)).toEqual({ ring: later, adoption: 'adopted' });
    expect(adopt(later, ring)).toEqual({ ring: later, adoption: 'kept' });
    expect(adopt(ring, structuredClone(ring))).toEqual({ ring, adoption: 'same' });
  });
});
