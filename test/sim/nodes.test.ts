// The scenario of whole nodes: it finds nothing, repeats itself, and its oracles can see.

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { drawsOf } from '../../src/testing/sim/draws.ts';
import { explore } from '../../src/testing/sim/explore.ts';
import type { Line } from '../../src/testing/sim/node-actors.ts';
import { LedgerOracle, WatchOracle } from '../../src/testing/sim/node-oracle.ts';
import { type NodeRules, plan } from '../../src/testing/sim/node-plan.ts';
import { nodes, replicas, threads } from '../../src/testing/sim/node-scenarios.ts';
import { isCalm } from '../../src/testing/sim/node-tales.ts';

it('the nodes scenario finds nothing in 16 seeds, some of them the same twice', { timeout: 120_000 }, async () => {
  const found = await explore(nodes, { from: 1, seeds: 16, twiceEvery: 8 });
  expect(found.failed.flatMap(({ seed, violations }) => violations.map(each => `${seed}: ${each}`))).toEqual([]);
  expect(found.unrepeatable).toEqual([]);
});

it('the replicas scenario finds nothing in 16 seeds, some of them the same twice', { timeout: 120_000 }, async () => {
  const found = await explore(replicas, { from: 1, seeds: 16, twiceEvery: 8 });
  expect(found.failed.flatMap(({ seed, violations }) => violations.map(each => `${seed}: ${each}`))).toEqual([]);
  expect(found.unrepeatable).toEqual([]);
});

it('the threads scenario finds nothing in 16 seeds, some of them the same twice', { timeout: 120_000 }, async () => {
  const found = await explore(threads, { from: 1, seeds: 16, twiceEvery: 8 });
  expect(found.failed.flatMap(({ seed, violations }) => violations.map(each => `${seed}: ${each}`))).toEqual([]);
  expect(found.unrepeatable).toEqual([]);
});

it('some seeds are calm, in others everything breaks at some time', () => {
  const rules = { replicas: 1, safetyMs: 18_000 };
  const plans = Array.from({ length: 200 }, (_, seed) => plan(drawsOf(seed), rules));
  const kinds = new Set(plans.flatMap(({ faults }) => faults.map(({ kind }) => kind)));
  expect(plans.filter(({ faults }) => faults.every(isCalm)).length).toBeGreaterThan(30);
  expect(kinds.size).toBe(14);
  expect(new Set(plans.flatMap(({ operations }) => operations.map(({ name }) => name))).size).toBe(11);
});

it('half of the seeds have a scene; none has where a seed is to draw what it drew before there were any', () => {
  const playedBy = (rules: NodeRules): number =>
    Array.from({ length: 200 }, (_, seed) => plan(drawsOf(seed), rules)).filter(
      ({ faults, operations }) =>
        faults.some(({ id }) => id >= 5_000 && id < 6_000) || operations.some(({ when }) => when !== undefined),
    ).length;
  const rules = { replicas: 1, safetyMs: 18_000 };
  expect(playedBy(rules)).toBeGreaterThan(100);
  expect(playedBy(rules)).toBeLessThan(140);
  expect(playedBy({ ...rules, isOld: true })).toBe(0);
});

it('some acts have an epilogue; none has where a seed is to draw what it drew before there were any', () => {
  const isIts = ({ id }: { id: number }): boolean => id % 10_000_000 >= 6_000 && id % 10_000_000 < 7_000;
  const toldIn = (rules: NodeRules): number =>
    Array.from({ length: 100 }, (_, seed) => plan(drawsOf(seed), rules).faults.filter(isIts).length).reduce(
      (sum, count) => sum + count,
    );
  const rules = { replicas: 1, safetyMs: 18_000, acts: 3 };
  // Of three acts each, three quarters of which are not calm.
  expect(toldIn(rules)).toBeGreaterThan(45);
  expect(toldIn(rules)).toBeLessThan(90);
  expect(toldIn({ ...rules, isOld: true })).toBe(0);
});

it('some seeds have a tale, and none of those that found something before there were any', () => {
  const talesOf = (seed: number) =>
    plan(drawsOf(seed), { replicas: 1, safetyMs: 18_000 }).faults.filter(({ id }) => id >= 4_000 && id < 5_000);
  const told = Array.from({ length: 200 }, (_, seed) => talesOf(seed)).filter(faults => faults.length > 0);
  expect(told.length).toBeGreaterThan(50);
  expect(told.length).toBeLessThan(110);
  const kinds = new Set(told.flat().map(({ kind }) => kind));
  expect([...kinds].sort()).toEqual(['crash', 'cut', 'delay', 'lag', 'power', 'reset', 'stall']);
  const seeds = readFileSync(new URL('seeds.txt', import.meta.url), 'utf8').split('# With scenes')[0] as string;
  const rows = seeds.match(/^nodes +\d+/gm) ?? [];
  expect(rows.length).toBeGreaterThan(20);
  expect(rows.map(row => Number(row.split(/ +/)[1])).filter(seed => talesOf(seed).length > 0)).toEqual([]);
});

describe('the oracle of ledgers', () => {
  const calm = { calm: true, disksFail: false };
  const trouble = { calm: false, disksFail: false };
  const begin = (rules = trouble) => {
    const oracle = new LedgerOracle(rules);
    const says = (outcome: 'ok' | 'failed' | 'unknown' | 'sent') => {
      const said = oracle.says('log/a', 'n1:1', outcome === 'sent' ? 'tell' : 'ask');
      said.outcome = outcome;
      return said;
    };
    const hears = (number: number, epoch = 1, life = 'n1:1') => oracle.heard('log/a', epoch, ['n1:1', number], life);
    const judge = (...numbers: number[]) =>
      oracle.judge(
        'log/a',
        true,
        numbers.map((number): Line => ['n1:1', number]),
      );
    return { says, hears, judge };
  };

  it('sees what was acknowledged and is lost, what failed and ran, and what is there twice', () => {
    const { says, hears, judge } = begin();
    says('ok');
    says('failed');
    says('unknown');
    for (const number of [0, 1, 2]) hears(number);
    expect(judge(2, 2)).toEqual([
      'log/a: n1:1 0 (ask, ok) is not there',
      'log/a: n1:1 1 (ask, failed) ran',
      'log/a: n1:1 2 (ask, unknown) is there 2 times',
    ]);
  });

  it('sees a sender out of order, unless that one was tried again', () => {
    const { says, hears, judge } = begin();
    says('ok');
    const second = says('ok');
    for (const number of [1, 0]) hears(number);
    expect(judge(1, 0)).toEqual(['log/a ran n1:1 0 after 1', 'log/a holds n1:1 0 after 1']);
    second.isStray = true;
    expect(judge(1, 0)).toEqual([]);
  });

  it('sees an epoch that falls, and one that runs in two lives', () => {
    const { hears } = begin();
    expect(hears(0, 5)).toEqual([]);
    expect(hears(1, 4)).toEqual(['log/a ran under epoch 4 after 5']);
    expect(hears(2, 5, 'n2:1')).toEqual(['log/a under epoch 5 runs in n2:1 and ran in n1:1']);
  });

  it('lets a turn end under the epoch that was the highest when it began', () => {
    const oracle = new LedgerOracle(trouble);
    const runs = (epoch: number, number: number, above?: number) =>
      oracle.heard('log/a', epoch, ['n1:1', number], `n${epoch}:1`, above);
    expect([runs(5, 1), runs(6, 2), runs(5, 0, 5), runs(4, 3, 5)].flat()).toEqual(['log/a ran under epoch 4 after 6']);
  });

  it('lets a tell be lost only where something broke', () => {
    for (const rules of [calm, trouble]) {
      const { says, judge } = begin(rules);
      says('sent');
      expect(judge().length > 0).toBe(rules.calm);
    }
  });

  it('sees a watch that is told twice, without a reason, or never', () => {
    const watches = new WatchOracle(calm);
    for (const name of ['a', 'b']) watches.begins(name);
    expect(watches.departed('a', 'stopped')).toBeUndefined();
    expect(watches.departed('a', 'stopped')).toContain('told 2 times');
    expect(watches.judge(() => true)).toEqual(['b was never told']);
    expect(watches.judge(() => false)).toEqual([]);
    expect(watches.departed('b', 'thread-lost')).toContain('nothing broke');
  });
});
