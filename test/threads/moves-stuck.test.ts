// A move that waits for a turn that does not end.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { call, type Node, startNode } from '../../src/index.ts';
import { RoadT, roadTypes, Walker0T, Walker1T, Walker2T } from './actors/roads.ts';
import { eventsOf, failureOf, until } from './until.ts';

let node: Node;

beforeAll(async () => {
  node = await startNode({ name: 'm', threads: 2, actors: roadTypes });
}, 60_000);
afterAll(() => node.stop());

const endless = { deadlineMs: Number.POSITIVE_INFINITY };
const keepers = [Walker0T, Walker1T, Walker2T].map(type => () => node.ref(type, 'keeper'));

/** Lets the turn of an actor go that is held on some thread. */
const letGo = (key: string) =>
  until(`${key} to be let go`, async () => {
    const done = await Promise.all(keepers.map(keeper => keeper().letGo(key)));
    return done.includes(true);
  });

test('a turn that does not end within the bound calls the move off; nothing that came meanwhile is lost', {
  timeout: 40_000,
}, async () => {
  const aborted = eventsOf(node, 'relocation-aborted');
  const ref = node.ref(RoadT, 'stuck');
  const timer = node.ref(RoadT, 'stuck-timer');
  const open = call(ref, endless).hold();
  await timer.remindMe(60_000, 'not yet');
  const { thread } = await node.locate(timer);
  const before = (await node.locate(ref)).epoch;
  const moving = failureOf(node.relocate(ref, `m/${((await node.locate(ref)).thread + 1) % 3}`));
  const notes = [0, 1, 2].map(i => call(ref, { deadlineMs: 30_000 }).note(`n${i}`));
  expect(await moving).toMatchObject({ code: 'DEADLINE', details: { reason: 'turn-timeout' } });
  expect(aborted.map(({ id, reason }) => [id, reason])).toStrictEqual([['road/stuck', 'turn-timeout']]);
  await letGo('stuck');
  await open;
  expect(await Promise.all(notes)).toStrictEqual(['n0', 'n1', 'n2']);
  const after = await node.locate(ref);
  expect(after.epoch).toBeGreaterThan(before);
  // And it moves once it can.
  await node.relocate(ref, `m/${(after.thread + 1) % 3}`);
  expect((await ref.report()).log).toStrictEqual(['n0', 'n1', 'n2']);
  // A timer is not disturbed by a move that was called off, nor by one that never began.
  expect((await node.relocate(timer, `m/${thread}`)).pausedMs).toBe(0);
  expect((await timer.report()).log).toStrictEqual(['set not yet']);
});
