// A node whose load lies on one thread spreads it by itself, and can be told not to.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { call, type Node, type Ref, startNode } from '../../src/index.ts';
import type { FarRouter } from '../../src/runtime/far-router.ts';
import { partitionOf } from '../../src/runtime/partition.ts';
import { Rebalancer } from '../../src/runtime/rebalance/rebalancer.ts';
import { type Burner, BurnerT, StokerT } from './actors/burner.ts';
import { failureOf, until } from './until.ts';

const partitions = 16;
let node: Node;
let dir: string | undefined;

async function start(options = {}): Promise<void> {
  dir = await mkdtemp(join(tmpdir(), 'troupe-rebalance-'));
  const disk = { dataDir: dir, diskFreeLowWater: 1 << 20 };
  node = await startNode({ name: 'b', threads: 3, partitions, actors: [BurnerT, StokerT], ...disk, ...options });
}
afterEach(async () => {
  await node.stop();
  if (dir !== undefined) await rm(dir, { recursive: true, force: true });
  dir = undefined;
});

/** One that looks more often than the node's own. */
const quick = (): Rebalancer => {
  const { router } = (node as unknown as { troupe: { member: { router: FarRouter } } }).troupe.member;
  return new Rebalancer(router, { everyMs: 50 });
};

/** One actor in each slot of thread 1. */
function hotOnes(table: readonly number[]): Ref<Burner>[] {
  const slots = table.flatMap((thread, slot) => (thread === 1 ? [slot] : []));
  return slots.map(slot => {
    for (let i = 0; ; i++) if (partitionOf(`b${i}`, partitions) === slot) return node.ref(BurnerT, `b${i}`);
  });
}

test('slots of a busy thread go to idle ones, none to the calling thread; no turn is lost or doubled', {
  timeout: 60_000,
}, async () => {
  await start({ rebalance: false });
  const before = node.rebalancer.report();
  expect(before).toMatchObject({ state: 'suspended', moves: [], nextLookInMs: null });
  const hot = hotOnes(before.table);
  expect(hot.length).toBeGreaterThan(3);
  const moved: { slot: number; from: number; to: number }[] = [];
  node.on('slot-moved', event => moved.push(event));
  const stoker = node.ref(StokerT, 's');
  const stoked = call(stoker, { deadlineMs: 60_000 }).stoke(hot, 1);
  const rebalancer = quick();
  rebalancer.resume();
  const places = (): Set<number> =>
    new Set(
      hot.map(
        ref => rebalancer.report().table[partitionOf(ref.toString().slice('burner/'.length), partitions)] as number,
      ),
    );
  await until('the load to be spread over three threads', () => places().size === 3 && moved.length >= 2);
  expect(rebalancer.report().state).toBe('active');
  expect(rebalancer.report().load[1]).toBeGreaterThan(0);
  rebalancer.suspend();
  await stoker.stop();
  const { turns, wrong } = await stoked;
  expect(wrong).toStrictEqual([]);
  expect(turns).toBeGreaterThan(100);
  const { moves, table } = rebalancer.report();
  expect(moves.length).toBeGreaterThanOrEqual(2);
  expect(moved.map(({ slot, from, to }) => [slot, from, to])).toStrictEqual(
    moves.map(({ slot, from, to }) => [slot, from, to]),
  );
  expect(moves[0]).toMatchObject({ from: 1, reason: expect.stringContaining('thread 1 was at') });
  expect(table.every(thread => thread >= 1)).toBe(true);
  for (const { slot, pausedMs, at } of moves) {
    expect(pausedMs).toBeGreaterThan(0);
    expect(at).toBeGreaterThan(1e12);
    expect(moves.filter(move => move.slot === slot).length).toBe(1);
  }
  await rebalancer.stop();
});

test('at rest it moves nothing, and says what it waits for', async () => {
  await start({ rebalance: false });
  const rebalancer = quick();
  rebalancer.resume();
  await until('it to have looked', () => rebalancer.report().why === 'no thread is busy');
  expect(rebalancer.report()).toMatchObject({ state: 'active', moves: [], refused: [] });
  expect(rebalancer.report().nextLookInMs).toBeLessThanOrEqual(50);
  rebalancer.suspend();
  expect(rebalancer.report()).toMatchObject({ state: 'suspended', nextLookInMs: null });
  await rebalancer.stop();
});

describe('the option', () => {
  test('is off, and on where it is asked for', async () => {
    await start();
    expect(node.rebalancer.report().state).toBe('suspended');
    await node.stop();
    await start({ rebalance: true });
    expect(node.rebalancer.report()).toMatchObject({ state: 'active', refused: [] });
    node.rebalancer.suspend();
    expect(node.rebalancer.report().state).toBe('suspended');
    node.rebalancer.resume();
    expect(node.rebalancer.report().state).toBe('active');
    expect(await node.describe()).toMatchObject({ rebalancer: { state: 'active', shifts: { moved: 0 } } });
  });

  test.each([0, 1])('says that it can do nothing with %i host threads', async threads => {
    await start({ threads, rebalance: true });
    expect(node.rebalancer.report()).toMatchObject({ state: 'unavailable', nextLookInMs: null });
    expect(await failureOf(node.rebalancer.move(0, 1))).toMatchObject({ code: 'BAD_OPTION' });
  });

  test('is true or false', async () => {
    await start();
    const failure = await failureOf(startNode({ rebalance: 1 as unknown as boolean }));
    expect(failure).toMatchObject({ code: 'BAD_OPTION', details: { option: 'rebalance' } });
  });
});
