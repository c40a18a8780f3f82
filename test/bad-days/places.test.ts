// Where a node is started from, and what it finds there.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { startNode } from '../../src/index.ts';
import { ending, newDir, startedNode } from './folders.ts';

it('a relative dataDir is the one of the moment of the start, wherever the process goes later', async () => {
  const dir = newDir();
  const before = process.cwd();
  onTestFinished(() => process.chdir(before));
  process.chdir(dir);
  const node = await startedNode({ dataDir: './data', threads: 0 });
  const store = await node.store('s');
  mkdirSync(join(dir, 'elsewhere'));
  process.chdir(join(dir, 'elsewhere'));
  await store.put('k', 1);
  expect((await store.get('k')).value).toBe(1);
  await node.stop();
  const again = await startedNode({ dataDir: join(dir, 'data'), threads: 0 });
  expect((await (await again.store('s')).get('k')).value).toBe(1);
});

it('a directory is opened with the engine that wrote it, unless another is asked for', async () => {
  const dir = newDir();
  await using first = await startNode({ dataDir: dir, threads: 0, engine: 'lmdb' });
  await (await first.store('old')).put('k', 1);
  await first.stop();
  await using second = await startNode({ dataDir: dir, threads: 0 });
  expect(await second.describe()).toMatchObject({ engine: 'lmdb' });
  await second.stop();
  await using third = await startNode({ dataDir: dir, threads: 0, engine: 'troupe' });
  expect((await (await third.store('old')).get('k')).value).toBe(1);
  await (await third.store('new')).put('k', 2);
  await third.stop();
  expect(await ending(startNode({ dataDir: dir, threads: 0, engine: 'lmdb' }))).toMatchObject({ code: 'BAD_OPTION' });
  const fourth = await startedNode({ dataDir: dir, threads: 0 });
  for (const [name, value] of [
    ['old', 1],
    ['new', 2],
  ] as const)
    expect((await (await fourth.store(name)).get('k')).value).toBe(value);
});

it('a module that starts a node and defines its actors is told what to do, instead of starting nodes in its threads', async () => {
  const module = new URL('./one-file.ts', import.meta.url);
  expect(await ending<unknown>(import(module.href))).toMatchObject({
    message: expect.stringMatching(/Put actors into a module of their own/),
  });
});
