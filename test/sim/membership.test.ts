// The scenario of members and ring: its oracles can see, and find nothing.

import { describe, expect, it } from 'vitest';
import { explore } from '../../src/testing/sim/explore.ts';
import { groupsOf, View, Wellbeing } from '../../src/testing/sim/member-oracle.ts';
import { membership } from '../../src/testing/sim/membership.ts';

it('the membership scenario finds nothing in 24 seeds, some of them the same twice', { timeout: 120_000 }, async () => {
  const found = await explore(membership, { from: 1, seeds: 24, twiceEvery: 8 });
  expect(found.failed.flatMap(({ seed, violations }) => violations.map(each => `${seed}: ${each}`))).toEqual([]);
  expect(found.unrepeatable).toEqual([]);
});

describe('the oracle of members', () => {
  const names = ['a', 'b', 'c'];
  const down = (member: string) => ({ name: 'member-down', member, incarnation: 1 }) as const;
  const begin = () => {
    const wellbeing = new Wellbeing(100);
    const removed = new Set<string>();
    const options = {
      by: 'a',
      wellbeing,
      wellMs: 100,
      quarantineMs: 50,
      isRemoved: (name: string) => removed.has(name),
    };
    return { wellbeing, removed, view: new View(options) };
  };

  it('refuses a verdict about who ran and was within reach, through whomever', () => {
    const { wellbeing, view } = begin();
    const links = new Set(['a b', 'b a', 'b c', 'c b']);
    const groups = groupsOf(names, (a, b) => links.has(`${a} ${b}`));
    expect(groups).toHaveLength(1);
    for (let at = 0; at <= 200; at += 10) wellbeing.sample(names, groups, at);
    expect(view.saw(down('c'), 200, 200)).toContain('a says member-down of c, which ran and was within reach');
  });

  it('takes a verdict about who did not run, or was apart, a while ago', () => {
    const { wellbeing, view } = begin();
    wellbeing.sample(names, [new Set(['a', 'b'])], 90);
    expect(view.saw(down('c'), 150, 150)).toBeUndefined();
    wellbeing.sample(names, [new Set(['a', 'c']), new Set(['b'])], 90);
    expect(view.saw(down('b'), 150, 150)).toBeUndefined();
    expect(view.saw(down('b'), 195, 195)).toContain('a says member-down of b');
  });

  it('refuses the verdict of one that is alone, about those whom it lost all at once', () => {
    const { wellbeing, view } = begin();
    for (let at = 0; at <= 200; at += 10) wellbeing.sample(names, [new Set(names)], at);
    for (let at = 210; at <= 250; at += 10) wellbeing.sample(names, [new Set(['a']), new Set(['b', 'c'])], at);
    expect(view.saw({ ...down('c'), name: 'member-suspect' }, 250, 250)).toBeUndefined();
    expect(view.saw(down('c'), 250, 250)).toContain('alone and with nobody else who doubts it');
    wellbeing.sample(names, [new Set(['a', 'b']), new Set(['c'])], 260);
    expect(view.saw(down('c'), 260, 260)).toBeUndefined();
  });

  it('sees a removed life come back, a quarantine that is too short, and a life that goes backwards', () => {
    const { removed, view } = begin();
    removed.add('b');
    const up = (incarnation: number) => ({ name: 'member-up', member: 'b', incarnation }) as const;
    expect(view.saw({ name: 'member-removed', member: 'b', incarnation: 3 }, 10, 10)).toBeUndefined();
    expect(view.saw(up(3), 100, 100)).toContain('in a life that was removed');
    expect(view.saw(up(4), 40, 40)).toContain('takes back b 30 ms after it was removed');
    expect(view.saw(up(4), 100, 100)).toBeUndefined();
    expect(view.saw({ ...down('b'), incarnation: 4 }, 300, 300)).toBeUndefined();
    expect(view.saw({ name: 'member-restarted', member: 'b', incarnation: 2 }, 300, 300)).toContain('removed');
    const other = begin().view;
    expect(other.saw(up(4), 0, 0)).toBeUndefined();
    expect(other.saw(up(3), 0, 0)).toContain('goes back from life 4 of b to 3');
    expect(other.saw({ name: 'halted', why: 'superseded', incarnation: 5, address: '' }, 0, 0)).toContain('superseded');
  });
});
