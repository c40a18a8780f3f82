// Which nodes keep a partition, a step at a time: whoever may decide has a member in common with whoever else may, and knows of every write.

import { describe, expect, it } from 'vitest';
import {
  type Groups,
  heardSince,
  isKept,
  isQuorum,
  nextGroups,
  type Wish,
  wishedGroup,
} from '../../../src/runtime/replicas/groups.ts';

const names = ['n1', 'n2', 'n3', 'n4', 'n5'];
const among =
  (...some: readonly string[]) =>
  (name: string): boolean =>
    some.includes(name);

describe('who shall keep it', () => {
  const wished = (up: readonly string[], wish: Partial<Wish> = {}): string =>
    wishedGroup({
      ...{ owner: 'n1', to: undefined, groups: [['n1']], members: ['n1', 'n2', 'n3'], replicas: 3 },
      isUp: among('n1', ...up),
      ...wish,
    }).join(' ');

  it.each<[string, string, string]>([
    ['all of three', wished(['n2', 'n3']), 'n1 n2 n3'],
    ['one that is down has a seat, behind who is up', wished(['n3']), 'n1 n3 n2'],
    ['nobody else is up', wished([]), 'n1 n2 n3'],
    ['both members, where there are two', wished(['n2'], { members: ['n1', 'n2'] }), 'n1 n2'],
    ['the owner, where it is the only member', wished([], { members: ['n1'] }), 'n1'],
    ['a fourth that is up instead of one that is down', wished(['n2', 'n4'], { members: names }), 'n1 n2 n4'],
    [
      'those who do already, before others',
      wished(names, { members: names, groups: [['n1', 'n4', 'n5']] }),
      'n1 n4 n5',
    ],
    ['those who do already, though they are down', wished([], { members: names, groups: [['n1', 'n4']] }), 'n1 n4 n2'],
    ['also who shall own it next', wished(['n2', 'n3', 'n5'], { to: 'n5', members: names }), 'n1 n2 n3 n5'],
  ])('%s', (_, group, is) => {
    expect(group).toBe(is);
  });
});

describe('the next step', () => {
  const next = (now: string, wished: string, copies: string): string | undefined =>
    nextGroups([now.split(' ')], wished.split(' '), among(...copies.split(' ')))?.[1]?.join(' ');

  it.each<[string, string | undefined, string | undefined]>([
    ['nobody has a copy yet', next('n1', 'n1 n2 n3', 'n1'), undefined],
    ['one of two has', next('n1', 'n1 n2 n3', 'n1 n2'), 'n1 n2 n3'],
    ['the second of two has', next('n1', 'n1 n2 n3', 'n1 n3'), 'n1 n3 n2'],
    ['of two the other one has', next('n1', 'n1 n2', 'n1 n2'), 'n1 n2'],
    ['of two the other one has not', next('n1', 'n1 n2', 'n1'), undefined],
    ['a third comes to two', next('n1 n2', 'n1 n2 n3', 'n1 n2'), 'n1 n2 n3'],
    ['... to one, and one that is lost', next('n1 n2', 'n2 n3 n1', 'n2'), undefined],
    ['... who has a copy by now', next('n1 n2', 'n2 n3 n1', 'n2 n3'), 'n2 n3 n1'],
    ['five, of which two have a copy', next('n1', 'n1 n2 n3 n4 n5', 'n1 n2'), 'n1 n2 n3'],
    ['five, of which three have', next('n1 n2 n3', 'n1 n2 n3 n4 n5', 'n1 n2 n3'), undefined],
    ['five, of which four have', next('n1 n2 n3', 'n1 n2 n3 n4 n5', 'n1 n2 n3 n4'), 'n1 n2 n3 n4 n5'],
    ['nobody goes for one without a copy', next('n1 n2 n3', 'n1 n2 n4', 'n1 n2'), undefined],
    ['... but for one who has it', next('n1 n2 n3', 'n1 n2 n4', 'n1 n2 n4'), 'n1 n2 n4'],
    ['a fourth, so that it may own it', next('n1 n2 n3', 'n1 n2 n3 n4', 'n1 n2 n3'), undefined],
    ['... once it has a copy', next('n1 n2 n3', 'n1 n2 n3 n4', 'n1 n2 n3 n4'), 'n1 n2 n3 n4'],
    ['the order of three', next('n1 n2 n3', 'n3 n1 n2', 'n1 n2 n3'), undefined],
    ['of two the other one is to decide', next('n1 n2', 'n2 n1', 'n1 n2'), 'n2 n1'],
    ['... once it has a copy', next('n1 n2', 'n2 n1', 'n2'), undefined],
    ['the others are to go', next('n1 n2 n3', 'n1', 'n1 n2 n3'), 'n1'],
  ])('%s', (_, group, is) => {
    expect(group).toBe(is);
  });

  it('is the new group alone, when both have agreed', () => {
    expect(nextGroups([['n1'], ['n1', 'n2']], ['n1'], among())).toEqual([['n1', 'n2']]);
  });
});

describe('a quorum', () => {
  /** All sets of nodes. */
  const sets = Array.from({ length: 2 ** names.length }, (_, bits) => names.filter((_name, at) => (bits >> at) & 1));
  const groups = sets.filter(({ length }) => length > 0);
  const quorums = (of: Groups): string[][] => sets.filter(set => isQuorum(of, among(...set)));
  const meet = (a: readonly string[][], b: readonly string[][]): boolean =>
    a.every(one => b.every(other => one.some(among(...other))));

  it('meets every other one, of the same groups and of those before', () => {
    for (const now of groups) {
      expect(meet(quorums([now]), quorums([now]))).toBe(true);
      for (const then of groups) {
        const both = quorums([now, then]);
        expect([now, then, meet(both, quorums([now])), meet(both, quorums([then]))]).toEqual([now, then, true, true]);
      }
    }
  });

  it('is in whatever keeps a write, and so are more than half of the new group: of two both', () => {
    for (const now of [...groups, ['n2', 'n1']])
      for (const then of groups)
        for (const set of sets) {
          if (!isKept([now, then], among(...set))) continue;
          expect(isQuorum([now, then], among(...set))).toBe(true);
          expect(then.filter(among(...set)).length * 2).toBeGreaterThan(then.length);
        }
  });

  it('of two is the second: it takes over alone, and the first has no lease without it', () => {
    const two: Groups = [['n1', 'n2']];
    expect([isQuorum(two, among('n1')), isQuorum(two, among('n2'))]).toEqual([false, true]);
    expect([isKept(two, among('n2')), isKept(two, among('n1', 'n2'))]).toEqual([false, true]);
    expect(heardSince(two, 'n1', () => 7)).toBe(7);
    expect(heardSince(two, 'n1', () => Number.NEGATIVE_INFINITY)).toBe(Number.NEGATIVE_INFINITY);
    expect(heardSince(two, 'n2', () => 7)).toBe(Number.POSITIVE_INFINITY);
  });
});
