// Starting and stopping: what is refused, what goes on meanwhile, and that nothing is left behind.

import { readdir } from 'node:fs/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { type ActorType, call, type Node, type Ref, startNode, tell } from '../../src/index.ts';
import { BrokenT } from './actors/broken.ts';
import { deathTypes, KeptLifeT, Killer1T, type Life, LifeT } from './actors/deaths.ts';
import { Echo1T, Echo2T, echoTypes } from './actors/echo.ts';
import { ElsewhereT } from './actors/elsewhere.ts';
import { eventsOf, failureOf, until } from './until.ts';

const nodes: Node[] = [];
const start = async (options: Parameters<typeof startNode>[0]): Promise<Node> => {
  const node = await startNode(options);
  nodes.push(node);
  return node;
};
afterEach(async () => {
  await Promise.all(nodes.splice(0).map(each => each.stop()));
});

/** Threads of this process, as the operating system counts them. */
const threadsNow = async (): Promise<number> => (await readdir('/proc/self/task')).length;
const resourcesNow = (): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const each of process.getActiveResourcesInfo()) counts[each] = (counts[each] ?? 0) + 1;
  return counts;
};

describe('a start that fails', () => {
  test.each([
    ['throws when a thread imports it', BrokenT as ActorType, 'broken.ts', 'no good on a thread'],
    ['defines nothing there', ElsewhereT as unknown as ActorType, 'elsewhere.ts', 'elsewhere'],
  ])('because a module %s names the module, and leaves nothing running', async (_what, type, file, why) => {
    await (await startNode({ threads: 1, actors: deathTypes })).stop();
    const [threads, resources] = [await threadsNow(), resourcesNow()];
    const failure = await failureOf(startNode({ threads: 2, actors: [type, ...deathTypes] }));
    expect(failure?.message).toContain(file);
    expect(failure?.message).toContain(why);
    await until('its threads to end', async () => (await threadsNow()) <= threads);
    expect(resourcesNow().MessagePort ?? 0).toBeLessThanOrEqual(resources.MessagePort ?? 0);
  });
});

test('two nodes of one process keep to themselves', async () => {
  const [a, b] = await Promise.all(
    ['a', 'b'].map(name => start({ name, threads: 1, actors: [...echoTypes, ...deathTypes] })),
  );
  const [one, two] = [a as Node, b as Node];
  await one.ref(Echo1T, 'k').see('a');
  await two.ref(Echo1T, 'k').see('b');
  expect(await one.ref(Echo1T, 'k').seen()).toStrictEqual(['a']);
  expect(await two.ref(Echo1T, 'k').seen()).toStrictEqual(['b']);
  expect((await failureOf(one.locate(two.ref(Echo1T, 'k'))))?.code).toBe('BAD_MESSAGE');
  const died = eventsOf(two, 'thread-died');
  tell(one.ref(Killer1T, 'k')).kill('exit');
  await until('the thread to be back', async () => ((await one.describe()) as { restarts: number }).restarts === 1);
  expect(await two.ref(Echo1T, 'k').seen()).toStrictEqual(['b']);
  expect(died).toStrictEqual([]);
  await one.stop();
  expect(await two.ref(Echo1T, 'k').echo('on')).toBe('on');
});

describe('a stop', () => {
  const life = (node: Node, type: typeof LifeT): Ref<Life>[] =>
    Array.from({ length: 20 }, (_, i) => node.ref(type, `s${i}`));

  test('during load ends every ask, and refuses what comes after', { timeout: 60_000 }, async () => {
    const node = await start({ name: 's', threads: 2, actors: deathTypes });
    const refs = life(node, KeptLifeT);
    let ended = 0;
    let over = false;
    const load = refs.map(async ref => {
      while (!over) {
        const failure = await failureOf(call(ref, { deadlineMs: 60_000 }).add());
        if (failure === undefined) ended++;
        else {
          expect(['STOPPED', 'UNKNOWN_OUTCOME', 'OVERLOADED']).toContain(failure.code);
          if (failure.code === 'STOPPED') return;
        }
      }
    });
    await until('load', () => ended > 500);
    await node.stop();
    over = true;
    await Promise.all(load);
    expect((await failureOf((refs[0] as Ref<Life>).add()))?.code).toBe('STOPPED');
    expect(() => tell(refs[0] as Ref<Life>).add()).toThrow(expect.objectContaining({ code: 'STOPPED' }));
    expect((await failureOf(node.relocate(refs[0] as Ref<Life>, 's/1')))?.code).toBe('STOPPED');
    await node.stop();
  });

  test('during moves ends them', { timeout: 60_000 }, async () => {
    const node = await start({ name: 's', threads: 2, actors: deathTypes });
    const refs = life(node, LifeT);
    await Promise.all(refs.map(each => each.add()));
    const moves = refs.map((each, i) => failureOf(node.relocate(each, `s/${i % 3}`)));
    await node.stop();
    for (const each of await Promise.all(moves))
      if (each !== undefined) expect(['STOPPED', 'DEADLINE', 'OVERLOADED', 'UNKNOWN_OUTCOME']).toContain(each.code);
  });

  test('right after a death does not wait for the next life', { timeout: 60_000 }, async () => {
    const before = await threadsNow();
    const node = await start({ name: 's', threads: 2, actors: [...deathTypes, ...echoTypes] });
    const died = eventsOf(node, 'thread-died');
    const restarted = eventsOf(node, 'thread-restarted');
    expect(await node.ref(Echo2T, 'k').echo(1)).toBe(1);
    tell(node.ref(Killer1T, 'k')).kill('exit');
    await until('the death', () => died.length === 1);
    await node.stop();
    expect(restarted).toStrictEqual([]);
    // The pool of Node's own file system and DNS threads may have come up meanwhile; ours are gone.
    await until('the threads to end', async () => (await threadsNow()) <= Math.max(before, 4) + 4);
  });

  test('while a thread is starting again ends that one, too', { timeout: 60_000 }, async () => {
    const node = await start({ name: 's', threads: 1, actors: deathTypes });
    tell(node.ref(Killer1T, 'k')).kill('exit');
    await until('the next life to begin', async () => ((await node.describe()) as { restarts: number }).restarts === 1);
    await node.stop();
    await node.stop();
  });
});
