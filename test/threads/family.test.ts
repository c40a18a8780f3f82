// Children, watchers and topics over the borders of threads.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Node, type Ref, startNode } from '../../src/index.ts';
import { type Child, familyTypes, Parent0T, Parent1T, Parent2T, RoamerT } from './actors/family.ts';
import { failureOf, until } from './until.ts';

let node: Node;

beforeAll(async () => {
  node = await startNode({ name: 'f', threads: 2, actors: familyTypes });
}, 60_000);
afterAll(() => node.stop());

test('a child spawned on one thread is called from the others by its ref, and only lives there', async () => {
  const child = (await node.ref(Parent1T, 'spawn').spawn('kid')) as Ref<Child>;
  expect(await child.hello()).toBe('kid 1');
  expect(await node.ref(Parent2T, 'spawn').greet(child)).toBe('kid 2');
  expect(await node.ref(Parent1T, 'spawn').greet(child)).toBe('kid 3');
  expect((await node.locate(child)).thread).toBe(1);
});

test('a child is gone with its parent: asks say STOPPED, from every thread', async () => {
  const parent = node.ref(Parent2T, 'short');
  const child = (await parent.spawn('brief')) as Ref<Child>;
  expect(await child.hello()).toBe('brief 1');
  await parent.end();
  await until('the child to be gone', async () => (await failureOf(child.hello()))?.code === 'STOPPED');
  const other = await failureOf(node.ref(Parent1T, 'short').greet(child));
  expect(other).toMatchObject({ code: 'REMOTE', message: expect.stringContaining('has ended') });
});

test.each([
  ['the calling thread', Parent0T],
  ['another host thread', Parent1T],
  ['its own thread', Parent2T],
] as const)('a watcher on %s is told once when an actor stops, and when a child fails', async (_where, type) => {
  const watcher = node.ref(type, `watcher`);
  const key = `watched-${type.type}`;
  const watched = node.ref(Parent2T, key);
  const child = (await watched.spawn('kid')) as Ref<Child>;
  await watcher.watch(watched);
  await watcher.watch(child);
  expect((await failureOf(child.fail()))?.code).toBe('REMOTE');
  await until('the first word', async () => (await watcher.departures()).length > 0);
  await watched.end();
  await until('the second word', async () => (await watcher.departures()).length > 1);
  expect(await watcher.departures()).toStrictEqual([
    { id: String(child), reason: 'failed' },
    { id: `parent-2/${key}`, reason: 'stopped' },
  ]);
  // It wakes again when it is asked; nobody is told twice.
  await watched.departures();
  await watched.end();
  await node.ref(Parent2T, key).heard();
  expect((await watcher.departures()).length).toBe(2);
});

test('watching a child that is gone already tells so, from another thread too', async () => {
  const child = (await node.ref(Parent1T, 'gone').spawn('late')) as Ref<Child>;
  await child.end();
  await until('its end', async () => (await failureOf(child.hello()))?.code === 'STOPPED');
  for (const type of [Parent0T, Parent1T, Parent2T]) {
    const watcher = node.ref(type, 'late');
    await watcher.watch(child);
    await until(`the word to ${type.type}`, async () => (await watcher.departures()).length === 1);
  }
});

test('who watches an actor from another thread hears of its end after it has moved', async () => {
  const [watched, watcher] = [node.ref(RoamerT, 'w'), node.ref(Parent0T, 'moving')];
  await watched.heard();
  await watcher.watch(watched);
  const { thread } = await node.locate(watched);
  for (const to of [3 - thread, thread, 0]) await node.relocate(watched, `f/${to}`);
  await watched.end();
  await until('the word', async () => (await watcher.departures()).length === 1);
  expect(await watcher.departures()).toStrictEqual([{ id: 'roamer/w', reason: 'stopped' }]);
});

test('a topic reaches every subscriber on every thread once, in order, and none that has left', async () => {
  const all = [Parent0T, Parent1T, Parent2T].flatMap(type => ['a', 'b'].map(key => node.ref(type, `topic-${key}`)));
  for (const each of all) await each.listen('news');
  for (const publisher of all) for (let i = 0; i < 10; i++) await publisher.say('news', [String(publisher), i]);
  await until('all of it', async () => {
    const counts = await Promise.all(all.map(async each => (await each.heard()).length));
    return counts.every(count => count >= 60);
  });
  for (const each of all) {
    const heard = (await each.heard()) as [string, [string, number]][];
    expect(heard.length).toBe(60);
    for (const publisher of all) {
      const from = heard.filter(([, [who]]) => who === String(publisher)).map(([, [, i]]) => i);
      expect(from).toStrictEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }
  }
  const [left, stays] = [all[2] as (typeof all)[0], all[4] as (typeof all)[0]];
  await left.hush('news');
  await stays.say('news', 'last');
  await until('the last', async () => (await stays.heard()).length === 61);
  expect((await left.heard()).length).toBe(60);
});

test('what cannot be sent to the other threads is refused to its publisher, and reaches nobody', async () => {
  const [one, here] = [node.ref(Parent1T, 'bad'), node.ref(Parent0T, 'bad')];
  for (const each of [one, here]) await each.listen('bad');
  await here.say('bad', 1);
  expect(await failureOf(here.say('bad', () => 1))).toMatchObject({ code: 'REMOTE', outcome: 'failed' });
  await here.say('bad', 2);
  await until('both', async () => (await one.heard()).length === 2);
  expect(await here.heard()).toStrictEqual([
    ['bad', 1],
    ['bad', 2],
  ]);
});

test('a subscriber that moves hears each message of a topic once', async () => {
  const [moves, speaker, other] = [node.ref(RoamerT, 'sub'), node.ref(Parent1T, 'speaker'), node.ref(Parent0T, 'sp')];
  await moves.listen('on the road');
  let said = 0;
  for (const to of [1, 2, 0, 2, 1, 0, 1, 2]) {
    const move = node.relocate(moves, `f/${to}`);
    for (let i = 0; i < 20; i++) {
      await Promise.all([speaker.say('on the road', [1, said]), other.say('on the road', [0, said])]);
      said++;
    }
    await move;
  }
  await until('all of it', async () => (await moves.heard()).length >= 2 * said);
  const heard = (await moves.heard()) as [string, [number, number]][];
  for (const who of [0, 1])
    expect(heard.filter(([, [from]]) => from === who).map(([, [, i]]) => i)).toStrictEqual([...Array(said).keys()]);
});
