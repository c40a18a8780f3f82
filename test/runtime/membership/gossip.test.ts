// Many gossip cores on a bad network, in virtual time.

import { describe, expect, it } from 'vitest';
import { Gossip } from '../../../src/runtime/membership/gossip.ts';
import { seededRandom } from '../../../src/testing/virtual-world.ts';
import { GossipSim } from './gossip-sim.ts';

function grown(count: number, seed = 1, jitter?: () => number): GossipSim {
  const sim = new GossipSim(seed);
  sim.startMany(count, jitter);
  const up = (): boolean =>
    [...sim.nodes.values()].every(
      ({ core }) => core.members(sim.now).filter(({ status }) => status === 'up').length === count,
    );
  sim.run(60_000, up);
  expect(up()).toBe(true);
  return sim;
}

describe('gossip', () => {
  it('brings a change to 50 nodes within 12 rounds', () => {
    const sim = grown(50);
    sim.tell('n7', { type: 'set', change: { weight: 3 } });
    const knows = (): boolean =>
      [...sim.nodes.values()].every(
        ({ core }) => core.members(sim.now).find(({ name }) => name === 'n7')?.weight === 3,
      );
    expect(sim.run(30_000, knows)).toBeLessThanOrEqual(12_000);
  });

  it('tells what a member says in its next life, whichever version that happens to have', () => {
    const sim = new GossipSim(1);
    const app = (hash: string) => ({ epoch: 1, hash, blob: '' });
    sim.startMany(3);
    sim.start('n3', { app: app('before') });
    expect(sim.run(60_000, () => sim.all('n3', 'up'))).toBeLessThan(60_000);
    sim.start('n3', { incarnation: 1_001, app: app('after') });
    sim.run(30_000);
    for (const name of ['n0', 'n1', 'n2']) {
      const told = sim.events.flatMap(({ node, event }) =>
        node === name && event.name === 'app-changed' && event.member === 'n3' ? [event.app?.hash] : [],
      );
      expect(told).toEqual(['before', 'after']);
    }
  });

  it('finds a crash by two reporters, and takes the node back under its next incarnation only', () => {
    const sim = grown(5);
    sim.run(30_000);
    sim.node('n3').crashed = true;
    const took = sim.run(60_000, () => sim.all('n3', 'down'));
    expect(took).toBeGreaterThan(8_000);
    expect(took).toBeLessThan(40_000);
    sim.start('n3', { incarnation: 1_001 });
    expect(sim.run(10_000, () => sim.all('n3', 'up'))).toBeLessThan(10_000);
    const row = sim
      .node('n0')
      .core.members(sim.now)
      .find(({ name }) => name === 'n3');
    expect(row?.incarnation).toBe(1_001);
    const old = {
      cluster: 'c',
      from: 'n3',
      incarnation: 1_000,
      body: { type: 'syn', seq: 9e6, count: 1, digests: [['n3', 1_000, 1, 9e6, 0]] },
    };
    sim.tell('n0', { type: 'heard', message: old });
    const last = sim.events.at(-1)?.event;
    expect(sim.events.slice(-2).map(({ event }) => ('why' in event ? event.why : event.name))).toContain(
      'stale-incarnation',
    );
    expect(last?.name).toBe('name-conflict');
    expect(
      sim
        .node('n0')
        .core.members(sim.now)
        .find(({ name }) => name === 'n3')?.incarnation,
    ).toBe(1_001);
  });

  it('calls nobody down in an hour of rounds of 1 to 1.5 s and 5 % loss', { timeout: 60_000 }, () => {
    const chance = seededRandom(3);
    const sim = grown(5, 2, () => 500 + chance.float() * 1_000);
    sim.loss = 0.05;
    sim.run(3_600_000);
    expect([sim.count('member-down'), sim.count('member-suspect')]).toEqual([0, 0]);
  });

  it('calls nobody down in an hour of rounds of 0.5 to 1 s and 5 % loss, and finds a crash in half the time', {
    timeout: 60_000,
  }, () => {
    const chance = seededRandom(3);
    const sim = new GossipSim(2);
    for (let at = 0; at < 5; at++) sim.start(`n${at}`, { roundMs: 500 }, () => 500 + chance.float() * 500);
    sim.loss = 0.05;
    sim.run(3_600_000);
    expect([sim.count('member-down'), sim.count('member-suspect')]).toEqual([0, 0]);
    sim.node('n3').crashed = true;
    const took = sim.run(60_000, () => sim.all('n3', 'down'));
    expect(took).toBeGreaterThan(9_000);
    expect(took).toBeLessThan(20_000);
  });

  it.each([1_000, 3_000, 10_000, 25_000])('lets a node pause for %d ms without convicting anybody by itself', pause => {
    const sim = grown(5);
    sim.run(30_000);
    sim.node('n2').pausedUntil = sim.now + pause;
    sim.run(pause + 30_000);
    const verdicts = sim.events.filter(({ event }) => event.name === 'member-down' || event.name === 'member-suspect');
    expect(verdicts.filter(({ node }) => node === 'n2')).toEqual([]);
    if (pause <= 10_000) expect(verdicts).toEqual([]);
    expect(sim.all('n2', 'up')).toBe(true);
  });

  it('stays whole while two nodes cannot hear each other and a third hears both', () => {
    const sim = grown(3);
    sim.cuts.add('n1>n2').add('n2>n1');
    sim.run(120_000);
    expect(sim.count('member-down')).toBe(0);
    sim.cuts.clear();
    sim.run(10_000);
    expect(['n0', 'n1', 'n2'].every(name => sim.all(name, 'up'))).toBe(true);
  });

  it('does not bring up a member that it hears and that does not answer', () => {
    const sim = new GossipSim(1);
    sim.cuts.add('n0>n1');
    for (const name of ['n0', 'n1', 'n2']) sim.start(name, { seeds: ['n0:1', 'n2:1'] });
    sim.run(20_000);
    expect([sim.status('n0', 'n1'), sim.status('n2', 'n1')]).toEqual(['joining', 'up']);
    sim.cuts.clear();
    sim.run(10_000);
    expect(sim.status('n0', 'n1')).toBe('up');
  });

  it('of two, calls the other down when its probe fails as well, and back when it is heard', () => {
    const sim = grown(2);
    sim.run(30_000);
    sim.cuts.add('n1>n0').add('n0>n1');
    expect(sim.run(60_000, () => sim.status('n0', 'n1') === 'down')).toBeLessThan(40_000);
    sim.cuts.clear();
    expect(sim.run(20_000, () => sim.all('n1', 'up') && sim.all('n0', 'up'))).toBeLessThan(20_000);
  });

  it('of 100, suspects nobody while it grows, and finds a crash almost as soon as a small cluster', {
    timeout: 60_000,
  }, () => {
    const sim = grown(100);
    sim.run(30_000);
    expect([sim.count('member-suspect'), sim.count('member-down')]).toEqual([0, 0]);
    sim.node('n42').crashed = true;
    const took = sim.run(60_000, () => sim.all('n42', 'down'));
    expect(took).toBeGreaterThan(18_000);
    expect(took).toBeLessThan(32_000);
    expect(
      sim.events
        .filter(({ event }) => event.name === 'member-down')
        .every(({ event }) => 'member' in event && event.member === 'n42'),
    ).toBe(true);
  });

  it('of 100, convicts nobody who stood still for 10 s, and by nobody who stood still for 25', {
    timeout: 60_000,
  }, () => {
    const sim = new GossipSim(2);
    sim.startMany(100);
    sim.acquaint();
    sim.run(30_000);
    sim.node('n7').pausedUntil = sim.now + 10_000;
    sim.node('n8').pausedUntil = sim.now + 25_000;
    sim.run(60_000);
    const verdicts = sim.events.filter(({ event }) => event.name === 'member-suspect' || event.name === 'member-down');
    expect(verdicts.filter(({ node, event }) => node === 'n8' || ('member' in event && event.member !== 'n8'))).toEqual(
      [],
    );
    expect([sim.all('n7', 'up'), sim.all('n8', 'up')]).toEqual([true, true]);
  });

  it('of 100, tells of no member that cannot be heard by one: helpers reach it', { timeout: 60_000 }, () => {
    const sim = new GossipSim(3);
    sim.startMany(100);
    sim.acquaint();
    sim.run(10_000);
    sim.cuts.add('n1>n2').add('n2>n1').add('n1>n3').add('n3>n1').add('n1>n4').add('n4>n1');
    sim.run(120_000);
    expect([sim.count('member-suspect'), sim.count('member-down')]).toEqual([0, 0]);
  });

  it('of 100, finds 20 that crash at once', { timeout: 60_000 }, () => {
    const sim = new GossipSim(4);
    sim.startMany(100);
    sim.acquaint();
    sim.run(20_000);
    const dead = Array.from({ length: 20 }, (_, at) => `n${10 + at}`);
    for (const name of dead) sim.node(name).crashed = true;
    expect(sim.run(120_000, () => dead.every(name => sim.all(name, 'down')))).toBeLessThan(60_000);
    const told = sim.events.filter(({ event }) => event.name === 'member-down');
    expect(told.every(({ event }) => 'member' in event && dead.includes(event.member as string))).toBe(true);
  });

  it('hears of a clean stop and of a leave within a round', () => {
    const sim = grown(8);
    sim.tell('n4', { type: 'stop' });
    sim.tell('n5', { type: 'leave' });
    sim.tell('n6', { type: 'left' });
    sim.run(1_000);
    expect([sim.all('n4', 'down'), sim.all('n5', 'leaving'), sim.all('n6', 'left')]).toEqual([true, true, true]);
  });

  it('stops a removed node, and lets its name back only under a new incarnation after the quarantine', () => {
    const sim = grown(4);
    sim.tell('n0', { type: 'remove', name: 'n3' });
    sim.run(3_000);
    expect(sim.node('n3').core.halted).toBe('removed');
    sim.start('n3', { incarnation: 1_001 });
    sim.run(30_000);
    expect(sim.status('n0', 'n3')).toBe('removed');
    sim.run(45_000);
    expect(sim.status('n0', 'n3')).toBe('up');
  });

  it('tells of two processes under one name, and ends the older', () => {
    const sim = grown(3);
    const newer = sim.start('n2', { incarnation: 2_000, address: 'other:1' });
    const older = sim.node('n2').core;
    sim.run(20_000);
    expect([older.halted, newer.halted]).toEqual(['superseded', undefined]);
    expect(sim.count('name-conflict')).toBeGreaterThan(0);
  });

  it.each([
    ['wrong-cluster', { cluster: 'd' }],
    ['far-future-incarnation', { incarnation: 1e9 }],
    ['bad-message', { body: { type: 'syn' } }],
  ])('refuses %s and changes nothing', (why, wrong) => {
    const core = new Gossip({ cluster: 'c', name: 'n0', incarnation: 1, address: 'a', random: () => 1 }, 0);
    const before = core.members(0);
    const good = { cluster: 'c', from: 'n9', incarnation: 1, body: { type: 'syn', seq: 1, count: 1, digests: [] } };
    const effects = core.step({ type: 'heard', message: { ...good, ...wrong } }, 1);
    expect(effects).toContainEqual(
      expect.objectContaining({ event: expect.objectContaining({ name: 'refused', why }) }),
    );
    expect(core.members(0)).toEqual(before);
  });
});
