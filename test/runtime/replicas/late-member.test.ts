// A cluster of three that is begun with one of them missing: what is acknowledged is kept by two, whoever of them is lost then.

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { call } from '../../../src/runtime/refs.ts';
import { ClusterKit, type KitNode } from '../../../src/testing/cluster-kit-host.ts';
import { failureOf } from '../../threads/until.ts';
import { NotebookT } from '../cluster/notebook.ts';
import { TravellerT } from '../cluster/traveller.ts';
import { LogT } from '../gateway/actors.ts';
import { partitionOfKey } from '../handoff/wishes.ts';

let kit: ClusterKit;
let key: string;

const node = (name: string): KitNode => kit.node(name);
const replicasOf = (name: string): any => (node(name).gateway.describe() as any).replicas;
const ledBy = (name: string): any =>
  replicasOf(name).leading.find(({ partition }: any) => partition === partitionOfKey(kit, key));
const traveller = (by: string) => node(by).ref(TravellerT, key);
const told = (name: string): unknown[] =>
  node(name)
    .events.filter(event => event.name === 'copies-missing')
    .map(({ payload }) => payload);

beforeEach(() => {
  kit = new ClusterKit(3, { actors: [LogT, NotebookT, TravellerT], seed: 7, partitions: 8, replicas: 3 });
});
afterEach(() => kit.close());

describe('three nodes, of which two have founded the ring', () => {
  beforeEach(async () => {
    await kit.start(['n1', 'n2']);
    for (let i = 0; ; i++) {
      key = `k${i}`;
      if (node('n1').cluster.preference(key, 1)[0] === 'n1') break;
    }
  });

  it('keep what is written first by two', async () => {
    // It is answered before any look at who should keep what.
    expect(await kit.run(traveller('n1').hear('one'), 400)).toBe(1);
    expect(ledBy('n1')).toMatchObject({ groups: [['n1', 'n2']], copies: 2, followers: [{ name: 'n2', behind: 0 }] });
  });

  it('do not say of an operation that it is done while only the disk of an owner has it that was started anew', async () => {
    await kit.run(traveller('n2').hear('one'));
    await kit.crash('n1');
    await kit.clock.advance(60_000);
    const once = () => call(traveller('n2'), { opId: 'once', deadlineMs: 2_000 }).hear('two');
    expect(await kit.run(failureOf(once()))).toMatchObject({ code: 'UNKNOWN_OUTCOME' });
    await kit.crash('n2');
    await kit.restart('n2');
    await kit.clock.advance(60_000);
    expect(ledBy('n2')).toMatchObject({ established: true, copies: 1 });
    expect(await kit.run(failureOf(once()))).toMatchObject({ code: 'UNKNOWN_OUTCOME' });
    await kit.restart('n1');
    await kit.clock.advance(10_000);
    expect(await kit.run(once())).toBe(2);
    expect(await kit.run(traveller('n1').all())).toEqual(['one', 'two']);
  });

  it('lose nothing with the owner: the other one serves it, and writes are acknowledged once the third keeps it', async () => {
    for (const what of ['one', 'two']) await kit.run(traveller('n2').hear(what));
    await kit.crash('n1');
    await kit.clock.advance(60_000);
    expect(await kit.run(traveller('n2').all())).toEqual(['one', 'two']);
    expect(ledBy('n2')).toMatchObject({ groups: [['n1', 'n2']], established: true, copies: 1 });
    expect(await kit.run(failureOf(traveller('n2').hear('three')))).toMatchObject({ code: 'UNKNOWN_OUTCOME' });
    await kit.restart('n3');
    await kit.clock.advance(10_000);
    expect(ledBy('n2')).toMatchObject({ groups: [['n2', 'n3', 'n1']], copies: 2, waiting: 0 });
    expect(await kit.run(traveller('n3').hear('four'))).toBe(4);
    // The first one is gone for good: the two that are left are more than half.
    await kit.crash('n2');
    await kit.restart('n1');
    await kit.clock.advance(60_000);
    expect(await kit.run(traveller('n3').all())).toEqual(['one', 'two', 'three', 'four']);
  });

  it('wait for the other one of two when it is not the owner that is lost', async () => {
    await kit.run(traveller('n1').hear('one'));
    await kit.crash('n2');
    await kit.clock.advance(10_000);
    expect(await kit.run(failureOf(traveller('n1').hear('two')))).toMatchObject({ code: 'DEADLINE' });
    await kit.restart('n2');
    await kit.clock.advance(5_000);
    expect(await kit.run(traveller('n2').hear('three'))).toBe(2);
    expect(await kit.run(traveller('n1').all())).toEqual(['one', 'three']);
  });

  it('take the third into every group when it comes, and tell that all are complete', async () => {
    await kit.run(traveller('n1').hear('one'));
    await kit.clock.advance(10_000);
    expect([told('n1'), told('n2')]).toEqual([[{ partitions: 4, asked: 3 }], [{ partitions: 4, asked: 3 }]]);
    expect(replicasOf('n1').copies).toEqual({ asked: 3, missing: 4 });
    await kit.restart('n3');
    await kit.clock.advance(20_000);
    for (const { name } of kit.nodes) {
      expect(replicasOf(name).copies).toEqual({ asked: 3, missing: 0 });
      for (const led of replicasOf(name).leading) expect(led).toMatchObject({ copies: 3, groups: [{ length: 3 }] });
    }
    expect(told('n1').at(-1)).toEqual({ partitions: 0, asked: 3 });
  });

  it('are two members that may leave: what is left is alone again', async () => {
    await kit.run(traveller('n1').hear('one'));
    await kit.run(node('n1').cluster.leave(), 60_000);
    await kit.run(node('n1').stop());
    await kit.clock.advance(10_000);
    expect(replicasOf('n2')).toMatchObject({ leading: [], copies: { missing: 8 } });
    expect(await kit.run(traveller('n2').hear('two'))).toBe(2);
  });

  it('let the other one decide when a partition has changed hands, so that it may take over again', async () => {
    await kit.run(traveller('n1').hear('one'));
    await kit.crash('n1');
    await kit.clock.advance(60_000);
    await kit.restart('n1');
    await kit.clock.advance(5_000);
    expect(ledBy('n2').groups).toEqual([['n2', 'n1']]);
    expect(await kit.run(traveller('n1').hear('two'))).toBe(2);
    await kit.crash('n2');
    await kit.clock.advance(60_000);
    expect(await kit.run(traveller('n1').all())).toEqual(['one', 'two']);
  });
});

describe('three nodes, of which one has been alone', () => {
  it('acknowledge what it has alone, which it tells; from when the ring names another, what two have', async () => {
    key = 'k0';
    await kit.run(node('n1').start([]));
    expect(await kit.run(traveller('n1').hear('one'))).toBe(1);
    await kit.clock.advance(10_000);
    expect(told('n1')).toEqual([{ partitions: 8, asked: 3 }]);
    expect(replicasOf('n1')).toMatchObject({ leading: [], copies: { asked: 3, missing: 8 } });
    await kit.restart('n2');
    await kit.clock.advance(20_000);
    expect(await kit.run(traveller('n1').hear('two'))).toBe(2);
    const owner = node('n1').cluster.preference(key, 1)[0] as string;
    const other = owner === 'n1' ? 'n2' : 'n1';
    expect(ledBy(owner)).toMatchObject({ groups: [[owner, other]], copies: 2 });
    await kit.crash(owner);
    await kit.clock.advance(60_000);
    expect(await kit.run(traveller(other).all())).toEqual(['one', 'two']);
  });
});
