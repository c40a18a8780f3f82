// What the oracle of copies sees, told by hand; and the stories that lead to such states.

import { describe, expect, it } from 'vitest';
import { noRecord, type ReplicaRecord } from '../../src/runtime/replicas/replica-records.ts';
import type { StoredRecord } from '../../src/storage/engine.ts';
import { drawsOf } from '../../src/testing/sim/draws.ts';
import { CopiesOracle, type Speaker } from '../../src/testing/sim/node-copies.ts';
import { plan } from '../../src/testing/sim/node-plan.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const stored = (value: string): StoredRecord => ({
  key: bytes('0'),
  epoch: 1,
  version: bytes(''),
  value: bytes(value),
});

/** Nodes that keep partition 0, by what is on their disks; who may speak for it is said by the test. */
function rig() {
  const wrong: string[] = [];
  const disks = new Map<string, StoredRecord>();
  const speakers: Speaker[] = [];
  const oracle = new CopiesOracle({
    partitions: 1,
    speakers: () => speakers,
    flushed: (name, shard, key) => disks.get(`${name} ${shard}/${new TextDecoder().decode(key)}`),
    wrong: what => wrong.push(what),
  });
  const record = (part: Partial<ReplicaRecord>): StoredRecord => stored(JSON.stringify({ ...noRecord, ...part }));
  return {
    oracle,
    disk: (name: string, part: Partial<ReplicaRecord>) => disks.set(`${name} replicas/0`, record(part)),
    holds: (name: string, key: string, value: string) => disks.set(`${name} ${key}`, stored(value)),
    writes: (name: string, part: Partial<ReplicaRecord>, owner = '') =>
      oracle.wrote(name, bytes('0'), record(part), node => node === owner),
    agrees: (name: string, turn: number, to: string) =>
      oracle.mark(name, 'gives rep-vote', { partition: 0, turn, to } as never, { agrees: true }),
    /** From now on it may speak. */
    speaks: (name: string, turn: number) =>
      speakers.push({ name, mayRun: () => true, led: () => ({ turn, groups: [['n1', 'n2', 'n3']] }) }),
    look: () => oracle.mark('n1', 'rep-push', {}, undefined),
    wrong: () => wrong.splice(0),
  };
}

describe('the oracle of copies', () => {
  it('sees a promise that falls, one that goes to a second node, and a round that falls', () => {
    const { disk, writes, wrong } = rig();
    disk('n2', { turn: 4, round: 17, promised: 5, promisedTo: 'n3' });
    writes('n2', { turn: 4, round: 18, promised: 5, promisedTo: 'n3' });
    writes('n2', { turn: 4, round: 17, promised: 6, promisedTo: 'n1' });
    expect(wrong()).toEqual([]);
    writes('n2', { turn: 4, round: 17, promised: 4, promisedTo: 'n1' });
    writes('n2', { turn: 4, round: 17, promised: 5, promisedTo: 'n1' });
    writes('n2', { turn: 4, round: 16, promised: 5, promisedTo: 'n3' });
    expect(wrong()).toEqual([
      'n2 writes down for partition 0 that turn 4 is promised, after turn 5',
      'n2 writes down for partition 0 turn 5 for n1, promised to n3 before',
      'n2 writes down for partition 0 turn 4, round 16, after turn 4, round 17',
    ]);
  });

  it('lets who has promised a turn to another follow the one who has won it', () => {
    const { disk, writes, wrong } = rig();
    disk('n2', { turn: 4, round: 17, promised: 5, promisedTo: 'n2' });
    writes('n2', { turn: 4, round: 17, promised: 5, promisedTo: 'n3' }, 'n3');
    expect(wrong()).toEqual([]);
  });

  it('sees what is told before it is on the disk', () => {
    const { oracle, disk, holds, agrees, wrong } = rig();
    disk('n2', { turn: 4, round: 17, promised: 4, promisedTo: 'n1' });
    holds('n2', 'a/0/key', 'one');
    const round = (value: string, gone: Uint8Array[] = [], number = 17) =>
      oracle.mark(
        'n2',
        'gives rep-round',
        {
          ...{ partition: 0, turn: 4, round: number },
          parts: [['a/0', [[bytes('key'), bytes(''), bytes(value)]], gone]],
        } as never,
        undefined,
      );
    round('one', [bytes('gone')]);
    expect(wrong()).toEqual([]);
    round('two');
    round('one', [bytes('key')]);
    round('one', [], 18);
    agrees('n2', 5, 'n3');
    expect(wrong()).toEqual([
      'n2 acknowledges turn 4, round 17 of partition 0; key in a/0 is not so on its disk',
      'n2 acknowledges turn 4, round 17 of partition 0; key in a/0 is not so on its disk',
      'n2 acknowledges turn 4, round 18 of partition 0; on its disk is turn 4, round 17',
      'n2 agrees to turn 5 of partition 0 for n3; on its disk turn 4 is promised to n1',
    ]);
  });

  it('sees a lease that lasts though others have agreed to another owner', () => {
    const { disk, speaks, agrees, look, wrong } = rig();
    speaks('n1', 4);
    for (const name of ['n2', 'n3']) disk(name, { promised: 5, promisedTo: 'n3' });
    agrees('n3', 5, 'n3');
    look();
    expect(wrong()).toEqual([]);
    agrees('n2', 5, 'n3');
    expect(wrong()).toEqual(['n1 may speak for partition 0; n3 and n2 have agreed to n3 under turn 5']);
  });

  it('lets who was agreed to once more speak, and who gives away what is his', () => {
    const { disk, speaks, agrees, look, wrong } = rig();
    speaks('n1', 4);
    for (const name of ['n2', 'n3']) disk(name, { promised: 6, promisedTo: 'n1' });
    for (const name of ['n2', 'n3']) agrees(name, 6, 'n1');
    for (const name of ['n1', 'n2']) disk(name, { promised: 7, promisedTo: 'n2' });
    for (const name of ['n1', 'n2']) agrees(name, 7, 'n2');
    look();
    expect(wrong()).toEqual([]);
  });

  it('sees two that may speak', () => {
    const { speaks, look, wrong } = rig();
    speaks('n1', 4);
    speaks('n2', 5);
    look();
    expect(wrong()).toEqual(['n1 and n2 may both speak for partition 0']);
  });
});

it('two thirds of the seeds of replicas in which nobody comes late have a story, and each is told somewhere', () => {
  const [storyId, taleId, foundingId] = [3_000, 4_000, 7_000];
  const plans = Array.from({ length: 400 }, (_, seed) => plan(drawsOf(seed), { replicas: 3, safetyMs: 60_000 }));
  const told = plans
    .map(({ faults }) => faults.filter(({ id }) => id >= storyId && id < foundingId))
    .filter(faults => faults.length > 0);
  const timely = plans.filter(({ late = [] }) => late.length === 0).length;
  expect(timely).toBeGreaterThan(200);
  expect(Math.abs(told.length - (timely * 2) / 3)).toBeLessThan(40);
  const points = new Set(told.flat().flatMap(({ when }) => ('point' in when ? [when.point] : [])));
  expect(points.size).toBeGreaterThan(10);
  const { faults } = plan(drawsOf(1), { replicas: 1, safetyMs: 18_000 });
  expect(faults.some(({ id }) => id >= storyId && id < taleId)).toBe(false);
});
