// What many lives of a node leave behind in a process: nothing.

import { readdir } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { startNode } from '../../src/index.ts';
import { Echo1T, echoTypes } from './actors/echo.ts';
import { until } from './until.ts';

/** Threads of this process, as the operating system counts them. */
const threadsNow = async (): Promise<number> => (await readdir('/proc/self/task')).length;
const resourcesNow = (): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const each of process.getActiveResourcesInfo()) counts[each] = (counts[each] ?? 0) + 1;
  return counts;
};

test('twenty starts and stops leave no thread and no handle behind', { timeout: 120_000 }, async () => {
  const once = async (i: number): Promise<void> => {
    const node = await startNode({ name: `n${i}`, threads: 1, actors: echoTypes });
    expect(await node.ref(Echo1T, 'k').echo(i)).toBe(i);
    await node.stop();
  };
  await once(-1);
  const [threads, resources] = [await threadsNow(), resourcesNow()];
  for (let i = 0; i < 20; i++) await once(i);
  await until('threads to end', async () => (await threadsNow()) <= threads);
  const left = resourcesNow();
  for (const kind of ['MessagePort', 'Timeout', 'Immediate', 'Worker'])
    expect([kind, left[kind] ?? 0]).toStrictEqual([kind, Math.min(left[kind] ?? 0, resources[kind] ?? 0)]);
});
