// Reminders find their actor, wherever it has moved to and whatever has died meanwhile.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { type Node, type Ref, startNode, tell } from '../../src/index.ts';
import { PinnedRemindedT, type Reminded, RemindedT, remindedTypes } from './actors/reminded.ts';
import { eventually } from './mortals.ts';
import { eventsOf, until } from './until.ts';

let node: Node;
let dir: string | undefined;

async function start(onDisk: boolean, threads = 2): Promise<void> {
  if (onDisk) dir ??= await mkdtemp(join(tmpdir(), 'troupe-reminders-'));
  const disk = dir === undefined ? {} : { dataDir: dir, diskFreeLowWater: 1 << 20 };
  node = await startNode({ name: 'r', threads, actors: remindedTypes, ...disk });
}
afterEach(async () => {
  await node.stop();
  if (dir !== undefined) await rm(dir, { recursive: true, force: true });
  dir = undefined;
});

const armed = async (): Promise<number[]> => {
  const { threads } = (await node.describe()) as unknown as { threads: { thread: number; reminders?: number }[] };
  return threads.map(each => each.reminders ?? -1);
};
const heard = (ref: Ref<Reminded>, count: number) =>
  until(`${count} reminders`, async () => (await eventually('the actor', () => ref.heard())).length >= count);
/** Keys of actors that live on a thread unless they are moved. */
async function keysOn(thread: number, count: number): Promise<string[]> {
  const keys: string[] = [];
  for (let i = 0; keys.length < count; i++)
    if ((await node.locate(node.ref(RemindedT, `k${i}`))).thread === thread) keys.push(`k${i}`);
  return keys;
}

describe.each([
  ['on disk', true],
  ['in memory', false],
])('reminders %s', (_what, onDisk) => {
  test('travel with their actor and fire once, where it is', async () => {
    await start(onDisk);
    const ref = node.ref(RemindedT, 'traveller');
    await ref.remindIn('late', 400);
    await ref.remindIn('never', 3_600_000);
    for (const to of [1, 2, 0, 2]) {
      await node.relocate(ref, `r/${to}`);
      expect(await armed()).toStrictEqual([0, 1, 2].map(thread => (thread === to ? 2 : 0)));
    }
    await heard(ref, 1);
    await ref.cancel('never');
    expect(await ref.heard()).toStrictEqual(['late']);
    expect(await armed()).toStrictEqual([0, 0, 0]);
  });

  test('that come again and again go on while their actor moves about, and end when they are cancelled', async () => {
    await start(onDisk);
    const ref = node.ref(RemindedT, 'again');
    await ref.remindEvery('tick', 15);
    for (let i = 1; i <= 12; i++) {
      await heard(ref, i);
      await node.relocate(ref, `r/${i % 3}`);
    }
    await ref.cancel('tick');
    const { length } = await ref.heard();
    expect(await armed()).toStrictEqual([0, 0, 0]);
    await ref.remindIn('end', 40);
    await until('the end', async () => (await ref.heard()).includes('end'));
    expect((await ref.heard()).length).toBe(length + 1);
  });
});

test('reminders of actors that lived on a thread that dies fire on another, moved or not', {
  timeout: 60_000,
}, async () => {
  await start(true);
  const died = eventsOf(node, 'thread-died');
  const [stays, moves] = (await keysOn(1, 2)).map(key => node.ref(RemindedT, key)) as [Ref<Reminded>, Ref<Reminded>];
  const comes = node.ref(RemindedT, (await keysOn(2, 1))[0] as string);
  for (const each of [stays, moves, comes]) await each.remindIn('soon', 2_000);
  await node.relocate(moves, 'r/0');
  await node.relocate(comes, 'r/1');
  tell(stays).die();
  await until('the death', () => died.length === 1);
  for (const each of [stays, moves, comes]) await heard(each, 1);
  for (const each of [stays, moves, comes]) expect(await each.heard()).toStrictEqual(['soon']);
  await until('nothing left', async () => (await armed()).every(count => count === 0));
});

test('reminders of actors on the only host thread fire once, after its death, moved or not', {
  timeout: 60_000,
}, async () => {
  await start(true, 1);
  const restarted = eventsOf(node, 'thread-restarted');
  const [stays, back, away] = ['a', 'b', 'c'].map(key => node.ref(RemindedT, key)) as [
    Ref<Reminded>,
    Ref<Reminded>,
    Ref<Reminded>,
  ];
  const all = [stays, back, away];
  for (const each of all) await each.remindIn('soon', 1_500);
  for (const each of [back, away]) await node.relocate(each, 'r/0');
  await node.relocate(back, 'r/1');
  tell(stays).die();
  await until('the next life', () => restarted.length === 1);
  for (const each of all) await heard(each, 1);
  for (const each of all) expect(await each.heard()).toStrictEqual(['soon']);
  await until('nothing left', async () => (await armed()).every(count => count === 0));
});

test('reminders of pinned actors fire after a start and after the death of their thread', {
  timeout: 60_000,
}, async () => {
  await start(true);
  const refs = () => ['a', 'b', 'c', 'd'].map(key => node.ref(PinnedRemindedT, key));
  for (const each of refs()) await each.remindIn('started', 300);
  await node.stop();
  await start(true);
  for (const each of refs()) await heard(each, 1);
  const restarted = eventsOf(node, 'thread-restarted');
  for (const each of refs()) await each.remindIn('restarted', 400);
  tell(refs()[0] as Ref<Reminded>).die();
  await until('the thread', () => restarted.length === 1);
  // At least once: the thread may have died before its word that 'started' had come was on the disk.
  const came = async (each: Ref<Reminded>) => [...new Set(await each.heard())];
  for (const each of refs()) await until('the second one', async () => (await came(each)).length === 2);
  for (const each of refs()) expect(await came(each)).toStrictEqual(['started', 'restarted']);
});
