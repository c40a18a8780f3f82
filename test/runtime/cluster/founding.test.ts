// Who makes the first ring (src/runtime/cluster/founding.ts), and how many have to be there.

import { afterEach, describe, expect, it } from 'vitest';
import { type Founder, Founding } from '../../../src/runtime/cluster/founding.ts';
import { ClusterKit } from '../../../src/testing/cluster-kit-host.ts';

const up = (...names: string[]): Founder[] => names.map(name => ({ name, isUp: true, hasRing: false }));

describe('founding', () => {
  it('is for the lowest name, once nothing has changed for a while', () => {
    const [n1, n2] = [new Founding('n1', 100), new Founding('n2', 100)];
    for (const each of [n1, n2]) expect(each.mayFound(up('n1', 'n2'), true, 0)).toBe(false);
    expect(n1.mayFound(up('n1', 'n2'), true, 99)).toBe(false);
    expect(n1.mayFound(up('n1', 'n2'), true, 100)).toBe(true);
    expect(n2.mayFound(up('n1', 'n2'), true, 100)).toBe(false);
    expect(n1.mayFound(up('n1', 'n2', 'n3'), true, 101)).toBe(false);
  });

  it('waits for more than half, for who is down, and is not for who hears of a ring', () => {
    const n1 = new Founding('n1', 100);
    const known = up('n1', 'n2');
    n1.mayFound(known, false, 0);
    expect(n1.mayFound(known, false, 1_000)).toBe(false);
    expect(n1.mayFound(known, true, 1_000)).toBe(true);
    expect(n1.mayFound([known[0] as Founder, { name: 'n2', isUp: true, hasRing: true }], true, 2_000)).toBe(false);
    const withOneDown = [...known, { name: 'n3', isUp: false, hasRing: false }];
    n1.mayFound(withOneDown, true, 3_000);
    expect(n1.mayFound(withOneDown, true, 4_000)).toBe(false);
  });
});

describe('a cluster that comes up in two halves', () => {
  let kit: ClusterKit;
  afterEach(() => kit.close());

  it('is founded once, when they reach each other', async () => {
    kit = new ClusterKit(4, { actors: [] });
    kit.partition([
      ['n1', 'n2'],
      ['n3', 'n4'],
    ]);
    const started = kit.start().catch(error => error);
    await kit.clock.advance(59_000);
    for (const { cluster } of kit.nodes) expect(cluster.effectiveRing()).toBeUndefined();
    kit.heal();
    await started;
    await kit.run(Promise.all(kit.nodes.map(({ cluster }) => cluster.ready())), 60_000);
    expect(new Set(kit.nodes.map(({ cluster }) => JSON.stringify(cluster.ring()))).size).toBe(1);
  });

  it('is founded by the half that is more, and the rest join it', async () => {
    kit = new ClusterKit(3, { actors: [] });
    kit.partition([['n1'], ['n2', 'n3']]);
    const started = kit.start().catch(error => error);
    await kit.clock.advance(30_000);
    expect(kit.nodes.map(({ cluster }) => cluster.effectiveRing() !== undefined)).toEqual([false, true, true]);
    kit.heal();
    await started;
    expect(new Set(kit.nodes.map(({ cluster }) => JSON.stringify(cluster.ring()))).size).toBe(1);
  });
});
