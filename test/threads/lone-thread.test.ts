// One host thread: what dies with it comes back with its next life, and never on the thread of the caller.

import { afterEach, expect, test } from 'vitest';
import { call, type Node, type Ref, tell } from '../../src/index.ts';
import { KeptLifeT, type Life, LifeT } from './actors/deaths.ts';
import { eventually, type Mortals, startMortals } from './mortals.ts';
import { eventsOf, failureOf, until } from './until.ts';

let mortals: Mortals;
let node: Node;

afterEach(() => mortals.end());

test.each(['exit', 'reject', 'terminate'] as const)(
  'a lone host thread that dies (%s): its actors wait for its next life, with what was stored',
  { timeout: 60_000 },
  async how => {
    mortals = await startMortals({ threads: 1 });
    node = mortals.node;
    const restarted = eventsOf(node, 'thread-restarted');
    const kept = await mortals.living(KeptLifeT, 1, 3);
    const forgetful = (await mortals.living(LifeT, 1, 1))[0] as Ref<Life>;
    const [moved, here] = kept as [Ref<Life>, Ref<Life>, Ref<Life>];
    await node.relocate(moved, 'd/0');
    await node.relocate(moved, 'd/1');
    await node.relocate(here, 'd/0');
    const store = await node.store('s');
    await store.put('k', 'v');
    for (let life = 1; life <= 2; life++) {
      const epochs = await Promise.all(kept.map(each => each.epoch()));
      await mortals.die(1, how);
      // Until it is back they are refused, or wait; nobody runs on the thread of the caller.
      while (restarted.length < life) {
        for (const each of [forgetful, kept[2] as Ref<Life>, moved]) {
          const failure = await failureOf(call(each, { deadlineMs: 50 }).get());
          expect([undefined, 'OVERLOADED', 'UNKNOWN_OUTCOME', 'DEADLINE']).toContain(failure?.code);
          const where = await node.locate(each).catch(() => undefined);
          expect(where?.thread ?? 1).toBe(1);
        }
        await new Promise(resolve => setImmediate(resolve));
      }
      for (const [i, each] of kept.entries()) {
        expect(await eventually('a stored actor', () => each.add())).toBe(1 + life);
        const { thread, epoch } = await node.locate(each);
        expect(thread).toBe(each === here ? 0 : 1);
        if (each !== here) expect(epoch).toBeGreaterThan(epochs[i] as number);
      }
      expect(await eventually('one that is not stored', () => forgetful.add())).toBe(1);
      const { values, context } = await eventually('the store', () => store.get('k'));
      expect(values).toStrictEqual([life === 1 ? 'v' : 'w']);
      await store.put('k', 'w', { context });
    }
  },
);

test('an ask for an actor that had been moved to the thread waits for its next life', { timeout: 60_000 }, async () => {
  mortals = await startMortals({ threads: 1 });
  node = mortals.node;
  const died = eventsOf(node, 'thread-died');
  const ref = (await mortals.living(KeptLifeT, 1, 1))[0] as Ref<Life>;
  await node.relocate(ref, 'd/0');
  await node.relocate(ref, 'd/1');
  await mortals.die(1, 'exit');
  await until('the death', () => died.length === 1);
  tell(ref).add();
  expect(await call(ref, { deadlineMs: 20_000 }).add()).toBe(3);
  expect((await node.locate(ref)).thread).toBe(1);
});
