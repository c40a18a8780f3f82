// Partitions of real nodes that change hands, and what comes between: nodes that stop, disks that refuse, turns that take long, moves.

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { call, type NodeOptions, type Store, TroupeError, tell } from '../../src/index.ts';
import { failureOf, until } from '../threads/until.ts';
import { BareTallyT, LedgerT, TallyT } from './handoff-actors.ts';
import { inside, keysIn, Nodes, recordsOf } from './handoff-nodes.ts';

let nodes: Nodes;
beforeEach(() => {
  nodes = new Nodes();
});
afterEach(() => nodes[Symbol.asyncDispose]());

const p = 4;
const keys = keysIn(p, 40);
const [key, other] = keys as [string, string];

async function fill(): Promise<Store> {
  const store = await nodes.node('n1').store('carts');
  await Promise.all(keys.map(each => store.put(each, `value of ${each}`)));
  for (const type of [TallyT, LedgerT]) expect(await nodes.node('n1').ref(type, key).add(3)).toBe(3);
  await nodes.node('n1').ref(TallyT, key).remindMe('late', 600_000);
  return store;
}

/** From each node. */
async function expectAll(sum: number): Promise<void> {
  for (const [name, node] of nodes.nodes) {
    const store = await node.store('carts');
    for (const each of keys)
      expect([name, each, (await store.get(each)).value]).toEqual([name, each, `value of ${each}`]);
    for (const type of [TallyT, LedgerT])
      expect([name, type.type, await node.ref(type, key).add(0)]).toEqual([name, type.type, sum]);
  }
}

const engines: [string, number, NodeOptions & { durable?: boolean }][] = [
  ['troupe', 1, { durable: true }],
  ['lmdb', 0, { durable: true, engine: 'lmdb' }],
];

describe.each(engines)('on %s, %i threads', (_engine, threads, options) => {
  it('while a partition stands still its actors refuse to be moved, are described, and answer later', async () => {
    await nodes.start(['n1', 'n2', 'n3'], { ...options, threads });
    await fill();
    const [n1, n2, n3] = [nodes.node('n1'), nodes.node('n2'), nodes.node('n3')];
    const gate = nodes.gate(p);
    nodes.wish(p, 'n2');
    await gate.reached;
    expect(nodes.status('n1', p)).toMatchObject({ phase: 'frozen', why: null });
    const asked = [n1, n2, n3].map(node => call(node.ref(TallyT, key), { deadlineMs: 15_000 }).add(1));
    for (const node of [n1, n2, n3]) {
      await tell(node.ref(LedgerT, key)).add(1);
      expect(await node.describe()).toMatchObject({ node: node.name });
      expect(await failureOf(node.relocate(node.ref(TallyT, key), 'n3'))).toMatchObject({
        code: 'OVERLOADED',
        outcome: 'failed',
      });
    }
    if (threads > 0)
      expect(await failureOf(n1.relocate(n1.ref(TallyT, key), 'n1/0'))).toMatchObject({
        code: 'OVERLOADED',
        outcome: 'failed',
      });
    gate.open();
    await nodes.arrived(p, 'n2');
    expect((await Promise.all(asked)).sort()).toEqual([4, 5, 6]);
    await until('it may be moved', async () => (await failureOf(n1.relocate(n1.ref(TallyT, key), 'n3'))) === undefined);
    await until('all have come', async () => (await n3.ref(LedgerT, key).add(0)) === 6);
    expect(await n2.locate(n2.ref(TallyT, key))).toMatchObject({ node: 'n3' });
    await expectAll(6);
  });

  it('a target that stops before it is decided changes nothing, and it is tried again when it is back', {
    timeout: 60_000,
  }, async () => {
    await nodes.start(['n1', 'n2', 'n3'], { ...options, threads });
    await fill();
    const gate = nodes.gate(p);
    nodes.wish(p, 'n2');
    await gate.reached;
    const asked = call(nodes.node('n3').ref(TallyT, key), { deadlineMs: 15_000 }).add(1);
    await nodes.stop('n2', 1_000);
    gate.refuse(new TroupeError('OVERLOADED', 'not now'));
    expect(await asked).toBe(4);
    expect(await nodes.node('n1').ref(LedgerT, key).add(1)).toBe(4);
    await until('it says why', () => /cannot be reached|not now/.test(nodes.status('n1', p)?.why ?? ''));
    await expectAll(4);
    await nodes.again('n2');
    await nodes.arrived(p, 'n2');
    await until('n1 is done', () => nodes.isIdle('n1'));
    await expectAll(4);
    expect(recordsOf(nodes.node('n1'), p)).toEqual({});
  });

  it('a target that stops when it is decided has everything when it is back', { timeout: 60_000 }, async () => {
    await nodes.start(['n1', 'n2', 'n3'], { ...options, threads });
    await fill();
    const gate = nodes.gate(p);
    nodes.wish(p, 'n2');
    await gate.reached;
    await nodes.stop('n2', 1_000);
    gate.open();
    await until('n1 goes by it', () => nodes.owner(p) === 'n2');
    await until('n1 is done', () => nodes.isIdle('n1'));
    expect(await failureOf(nodes.node('n1').ref(TallyT, key).add(1))).toMatchObject({
      code: 'OVERLOADED',
      outcome: 'failed',
    });
    await nodes.again('n2');
    await nodes.arrived(p, 'n2');
    await until('it is reached', async () => (await failureOf(nodes.node('n3').ref(TallyT, key).add(0))) === undefined);
    await until('it is reached', async () => (await failureOf(nodes.node('n1').ref(TallyT, key).add(0))) === undefined);
    await expectAll(3);
    expect(recordsOf(nodes.node('n1'), p)).toEqual({});
    expect(recordsOf(nodes.node('n2'), p)[`r/${p}`]).toBe(1);
  });

  it.each(['before', 'after'])(
    'a source that stops just %s it is decided ends in time, and nothing is lost',
    { timeout: 60_000 },
    async when => {
      await nodes.start(['n2', 'n1', 'n3'], { ...options, threads });
      await nodes.hand(p, 'n1');
      await fill();
      const gate = nodes.gate(p);
      nodes.wish(p, 'n2');
      await gate.reached;
      const asked = failureOf(call(nodes.node('n3').ref(TallyT, key), { deadlineMs: 2_000 }).add(0));
      const began = performance.now();
      if (when === 'after') gate.open();
      const stopped = nodes.stop('n1', 1_000);
      if (when === 'before') gate.open();
      await stopped;
      // Twice the time to drain and the grace of each step: far above, for a machine that is busy.
      expect(performance.now() - began).toBeLessThan(12_000);
      await asked;
      await nodes.again('n1');
      nodes.wish(p, 'n2');
      await nodes.arrived(p, 'n2');
      await until('n1 is done', () => nodes.isIdle('n1'));
      for (const name of ['n1', 'n2', 'n3'])
        await until(
          'it is reached',
          async () => (await failureOf(nodes.node(name).ref(TallyT, key).add(0))) === undefined,
        );
      await expectAll(3);
      await until('n1 has cleared all', () => Object.keys(recordsOf(nodes.node('n1'), p)).length === 0);
      expect(recordsOf(nodes.node('n2'), p)[`r/${p}`]).toBe(1);
    },
  );

  it('a disk that refuses, of the one or the other, keeps it where it is until it takes', {
    timeout: 60_000,
  }, async () => {
    await nodes.start(['n1', 'n2'], { ...options, threads });
    await fill();
    const full = new TroupeError('DISK_FULL', 'no room');
    const first = nodes.gate(p);
    nodes.wish(p, 'n2');
    await first.reached;
    first.refuse(full);
    await until('it says why', () => nodes.status('n1', p)?.why === 'no room');
    expect(await nodes.node('n2').ref(TallyT, key).add(1)).toBe(4);
    nodes.unwish(p);
    await until('n1 is done', () => nodes.isIdle('n1'));
    // And where it is to go: what is looked after by thread 0 is refused there.
    const { engine } = inside(nodes.node('n2'));
    const { sync } = engine;
    let refusals = 0;
    engine.sync = ack => (refusals++ < 1 ? Promise.reject(full) : sync.call(engine, ack));
    nodes.wish(p, 'n2');
    await nodes.arrived(p, 'n2');
    expect(refusals).toBeGreaterThan(1);
    expect(await nodes.node('n1').ref(LedgerT, key).add(1)).toBe(4);
    await expectAll(4);
  });
});

describe('on memory, 2 threads', () => {
  it('a turn that takes longer than it is waited for keeps its partition, and nothing is lost', {
    timeout: 60_000,
  }, async () => {
    await nodes.start(['n1', 'n2'], { threads: 2 });
    const [n1, n2] = [nodes.node('n1'), nodes.node('n2')];
    const slow = call(n1.ref(BareTallyT, other), { deadlineMs: 20_000 }).slow(6_000);
    nodes.wish(p, 'n2');
    await until('it has begun', () => nodes.status('n1', p)?.phase === 'frozen');
    for (let i = 0; i < 200; i++) {
      await tell(n1.ref(BareTallyT, other)).take('n1', i);
      await tell(n2.ref(BareTallyT, other)).take('n2', i);
      await tell(n1.ref(TallyT, key)).take('n1', i);
    }
    await until('it says why', () => /did not come to rest within/.test(nodes.status('n1', p)?.why ?? ''));
    expect(await call(n2.ref(BareTallyT, other), { deadlineMs: 10_000 }).count()).toBe(400);
    await nodes.arrived(p, 'n2');
    expect(await slow).toBe('done');
    for (const [type, at, sender] of [
      [BareTallyT, other, 'n1'],
      [BareTallyT, other, 'n2'],
      [TallyT, key, 'n1'],
    ] as const) {
      const lines = (await call(n1.ref(type, at), { deadlineMs: 10_000 }).lines()).filter(([by]) => by === sender);
      expect(lines.map(([, n]) => n)).toEqual(Array.from({ length: 200 }, (_, i) => i));
    }
  });
});
