// Threads die one after the other while everybody talks and actors move about.

import { afterEach, expect, test } from 'vitest';
import { call, type Ref } from '../../src/index.ts';
import { KeptLifeT, type Life } from './actors/deaths.ts';
import { eventually, type Mortals, startMortals } from './mortals.ts';
import { eventsOf, failureOf, until } from './until.ts';

let mortals: Mortals;

afterEach(() => mortals.end());

test('ten deaths under load: every ask ends, nothing acknowledged is lost, every thread comes back', {
  timeout: 120_000,
}, async () => {
  mortals = await startMortals();
  const { node, killer, die } = mortals;
  const restarted = eventsOf(node, 'thread-restarted');
  const refs = Array.from({ length: 12 }, (_, i) => node.ref(KeptLifeT, `load-${i}`));
  const acknowledged = refs.map(() => 0);
  let over = false;
  const outcomes = new Map<string, number>();
  const load = refs.map(async (ref, i) => {
    while (!over) {
      try {
        const n = await call(ref, { deadlineMs: 10_000 }).add();
        expect(n).toBeGreaterThan(acknowledged[i] as number);
        acknowledged[i] = n;
      } catch (error) {
        const { code } = error as { code?: string };
        if (code === undefined) throw error;
        outcomes.set(code, (outcomes.get(code) ?? 0) + 1);
        await new Promise(resolve => setImmediate(resolve));
      }
    }
  });
  const moves = (async () => {
    for (let i = 0; !over; i++) {
      await failureOf(node.relocate(refs[i % refs.length] as Ref<Life>, `d/${i % 3}`));
      await new Promise(resolve => setImmediate(resolve));
    }
  })();
  for (let death = 0; death < 10; death++) {
    const thread = (death % 2) + 1;
    await eventually('the next victim', () => killer(thread).thread());
    await eventually('its death', () =>
      die(thread, death % 3 === 0 ? 'terminate' : death % 3 === 1 ? 'exit' : 'reject'),
    );
    await until(`death ${death + 1}`, () => restarted.length >= death || over);
  }
  await until('all to be back', () => restarted.length === 10);
  over = true;
  await Promise.all([...load, moves]);
  for (const code of outcomes.keys()) expect(['UNKNOWN_OUTCOME', 'OVERLOADED', 'STOPPED']).toContain(code);
  for (const [i, ref] of refs.entries())
    expect(await call(ref, { deadlineMs: 20_000 }).get()).toBeGreaterThanOrEqual(acknowledged[i] as number);
  const { threads } = (await node.describe()) as unknown as {
    threads: {
      thread: number;
      asksOutstanding: number;
      router: { moves: { motions: object[] }; peers: { gone: boolean }[] };
    }[];
  };
  expect(threads.map(each => each.thread)).toStrictEqual([0, 1, 2]);
  for (const { router } of threads) expect(router.peers.some(each => each.gone)).toBe(false);
});
