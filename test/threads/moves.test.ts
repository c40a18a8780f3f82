// What travels with an actor that moves, and what keeps one from moving.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { call, type Node, type Ref, startNode, tell } from '../../src/index.ts';
import {
  GuestT,
  type Journal,
  JournalSleepyT,
  JournalT,
  KeptSleepyT,
  type Road,
  RoadT,
  roadTypes,
  SleepyT,
  StayT,
  Walker0T,
  Walker1T,
  Walker2T,
} from './actors/roads.ts';
import { eventsOf, failureOf, until } from './until.ts';

let node: Node;

beforeAll(async () => {
  node = await startNode({ name: 'm', threads: 2, actors: roadTypes });
}, 60_000);
afterAll(() => node.stop());

const endless = { deadlineMs: Number.POSITIVE_INFINITY };
const keepers = [Walker0T, Walker1T, Walker2T].map(type => () => node.ref(type, 'keeper'));
const askers = [Walker0T, Walker1T, Walker2T].map(type => () => node.ref(type, 'asker'));
const whereIs = async (ref: Ref<Road>) => (await node.locate(ref)).thread;
/** Lets the turn of an actor go that is held on some thread. */
const letGo = async (key: string, by = keepers) => {
  await until(`${key} to be let go`, async () => {
    const done = await Promise.all(by.map(keeper => keeper().letGo(key)));
    return done.includes(true);
  });
};

describe('what travels', () => {
  test('state, everywhere and back, with a rising epoch; the old place is empty', async () => {
    const ref = node.ref(RoadT, 'state');
    await ref.note('first');
    const epochs: number[] = [];
    for (const to of [0, 1, 2, 0, 2, 1, 0]) {
      const moved = await node.relocate(ref, `m/${to}`);
      const found = await node.locate(ref);
      expect(found).toMatchObject({ node: 'm', thread: to });
      epochs.push(moved.epoch, found.epoch);
      await ref.note(`on ${to}`);
    }
    const { log, epochs: lived } = await ref.report();
    expect(log).toStrictEqual(['first', ...[0, 1, 2, 0, 2, 1, 0].map(to => `on ${to}`)]);
    expect([...lived].sort((a, b) => a - b)).toStrictEqual(lived);
    expect([...epochs].sort((a, b) => a - b)).toStrictEqual(epochs);
    const { threads } = (await node.describe()) as unknown as {
      threads: { types: { type: string; awake: number }[] }[];
    };
    const awake = threads.map(each => each.types.find(({ type }) => type === 'road')?.awake);
    expect(awake.reduce((sum: number, each) => sum + (each ?? 0), 0)).toBe(1);
  });

  test('the mailbox and the stash, with asks from three threads; their answers find back', async () => {
    const ref = node.ref(RoadT, 'asks');
    await ref.close();
    const before = await whereIs(ref);
    // Three stashed asks, and behind them three in the mailbox while the turn of hold() is open.
    const stashed = askers.map((asker, i) => call(asker(), endless).ask(ref, `stash ${i}`));
    await until('the stash', async () => (await ref.stashed()) === 3);
    const open = call(ref, endless).hold();
    const waiting = [0, 1, 2].map(i => call(ref, endless).note(`main ${i}`));
    const moving = node.relocate(ref, `m/${(before + 1) % 3}`);
    for (let i = 0; i < 5; i++) tell(ref).note(`told ${i}`);
    await letGo('asks');
    await open;
    const moved = await moving;
    expect(moved.shipped).toBeGreaterThanOrEqual(3);
    expect(await Promise.all(waiting)).toStrictEqual(['main 0', 'main 1', 'main 2']);
    await ref.open();
    expect(await Promise.all(stashed)).toStrictEqual(['stash 0', 'stash 1', 'stash 2']);
    const { log } = await ref.report();
    expect(log.filter(each => each.startsWith('main') || each.startsWith('told'))).toStrictEqual(
      ['main 0', 'main 1', 'main 2'].concat([0, 1, 2, 3, 4].map(i => `told ${i}`)),
    );
    expect(new Set(log.filter(each => each.startsWith('stash'))).size).toBe(3);
  });

  test('operations that are done once, with the retries that wait for them', async () => {
    const ref = node.ref(RoadT, 'once');
    await ref.note('before');
    const open = call(ref, endless).hold();
    const tries = [0, 1, 2].map(() => call(ref, { opId: 'op', ...endless }).note('once'));
    const far = keepers.map(keeper => keeper().once(ref, 'op', 'once'));
    const moving = node.relocate(ref, `m/${((await whereIs(ref)) + 1) % 3}`);
    await letGo('once', askers);
    await open;
    await moving;
    tries.push(call(ref, { opId: 'op', ...endless }).note('once'));
    await node.relocate(ref, `m/${((await whereIs(ref)) + 1) % 3}`);
    tries.push(call(ref, { opId: 'op', ...endless }).note('once'));
    expect(new Set(await Promise.all([...tries, ...far]))).toStrictEqual(new Set(['once']));
    expect((await ref.report()).log).toStrictEqual(['before', 'once']);
  });

  test('an ask that has waited through a move still ends by its deadline, not run', async () => {
    const ref = node.ref(RoadT, 'late');
    await ref.close();
    const asks = [0, 1, 2].map(i => failureOf(call(ref, { deadlineMs: 400 }).later(`no ${i}`)));
    for (const to of [0, 1, 2]) await node.relocate(ref, `m/${to}`);
    for (const each of await Promise.all(asks)) expect(each?.code).toMatch(/^(DEADLINE|UNKNOWN_OUTCOME)$/);
    await ref.open();
    expect((await ref.report()).log).toStrictEqual([]);
    await until('no ask left over', async () => {
      const { threads } = (await node.describe()) as unknown as {
        threads: { asksOutstanding: number; router: { pending: number } }[];
      };
      return threads.every(each => each.asksOutstanding === 0 && each.router.pending === 0);
    });
  });

  test('an ask that went along and is aborted is not run, and its asker is told so by whoever has it now', async () => {
    const ref = node.ref(RoadT, 'given-up');
    await node.relocate(ref, 'm/0');
    await ref.close();
    const asker = new AbortController();
    const ask = failureOf(call(ref, { signal: asker.signal, ...endless }).later('no'));
    await until('it waits', async () => (await ref.stashed()) === 1);
    for (const to of [1, 2]) await node.relocate(ref, `m/${to}`);
    asker.abort();
    expect(await ask).toMatchObject({ code: 'DEADLINE', outcome: 'failed' });
    await node.relocate(ref, 'm/0');
    await ref.open();
    expect((await ref.report()).log).toStrictEqual([]);
  });

  test('timers, by the time they have left; a cancelled one stays cancelled, by the id it had', async () => {
    const ref = node.ref(RoadT, 'timers');
    const id = await ref.remindMe(3_600_000, 'never');
    await ref.remindMe(150, 'soon');
    await ref.tickEvery(10);
    for (const to of [1, 2, 0, 2]) await node.relocate(ref, `m/${to}`);
    await until('the timer', async () => (await ref.report()).log.includes('fired'));
    const { ticks } = await ref.report();
    await until('more ticks', async () => (await ref.report()).ticks > ticks);
    await ref.cancelTimer(id);
    expect((await ref.report()).log.filter(each => each === 'fired').length).toBe(1);
  });

  test('hooks run on both sides, and what onActivate() makes is made again', async () => {
    const ref = node.ref(GuestT, 'g');
    expect(await ref.log()).toStrictEqual(['hello', 'made']);
    const from = (await node.locate(ref)).thread;
    await node.relocate(ref, `m/${(from + 1) % 3}`);
    expect(await ref.log()).toStrictEqual(['hello', 'moved', 'hello', 'made']);
  });

  test('megabytes of state, in pieces', async () => {
    const ref = node.ref(RoadT, 'large');
    await ref.fillUp(5_000_000);
    for (const to of [1, 2, 0]) await node.relocate(ref, `m/${to}`);
    const { load } = (await call(node.ref(RoadT, 'large'), { deadlineMs: 20_000 }).report()) as unknown as {
      load: Uint8Array;
    };
    expect(load.length).toBe(5_000_000);
    expect(load.every(byte => byte === 7)).toBe(true);
  });

  test.each([
    ['in memory', SleepyT],
    ['in the records of its thread', KeptSleepyT],
  ] as const)('a sleeping actor with its state %s', async (_what, type) => {
    const ref = node.ref(type, 'sleeping');
    await ref.note('before');
    for (const to of [1, 2, 0, 1]) {
      await until('sleep', async () => (await node.locate(ref)).epoch === 0);
      await node.relocate(ref, `m/${to}`);
      expect(await whereIs(ref)).toBe(to);
      await ref.note(`on ${to}`);
    }
    await until('sleep', async () => (await node.locate(ref)).epoch === 0);
    const { log, epochs } = await ref.report();
    expect(log).toStrictEqual(['before', 'on 1', 'on 2', 'on 0', 'on 1']);
    expect([...epochs].sort((a, b) => a - b)).toStrictEqual(epochs);
  });

  test.each([
    ['that stays awake', JournalT],
    ['that sleeps in between', JournalSleepyT],
  ] as const)('the events of a journal %s', async (_what, type) => {
    const ref = node.ref(type, 'j') as Ref<Journal>;
    const expected: number[] = [];
    let epoch = 0;
    for (const to of [1, 2, 1, 0, 2, 1]) {
      for (let i = 0; i < 3; i++) {
        expected.push(expected.length);
        expect(await ref.add(expected.length - 1)).toBe(expected.length);
      }
      if (type === JournalSleepyT) await until('sleep', async () => (await node.locate(ref)).epoch === 0);
      await node.relocate(ref, `m/${to}`);
      expect(await ref.values()).toStrictEqual(expected);
      const now = await ref.epoch();
      expect(now).toBeGreaterThan(epoch);
      epoch = now;
    }
  });
});

describe('what does not move', () => {
  test.each([
    ['a pinned actor', () => node.ref(StayT, 'pinned'), async () => undefined, /placement is 'pinned'/],
    ['one with live children', () => node.ref(RoadT, 'parent'), (ref: Ref<Road>) => ref.adopt(), /live children/],
    ['one with a closure in a timer', () => node.ref(RoadT, 'closure'), (ref: Ref<Road>) => ref.hideTimer(), /closure/],
  ])('%s is refused with the reason, and runs on', async (_what, refOf, prepare, why) => {
    const ref = refOf();
    await ref.note('before');
    await prepare(ref);
    const before = await node.locate(ref);
    for (const to of [0, 1, 2].filter(each => each !== before.thread)) {
      const failure = await failureOf(node.relocate(ref, `m/${to}`));
      expect(failure).toMatchObject({ code: 'BAD_OPTION', message: expect.stringMatching(why) });
    }
    expect(await node.locate(ref)).toStrictEqual(before);
    expect(await ref.note('after')).toBe('after');
  });

  test('addresses that do not exist are refused, and a move to where it is changes nothing', async () => {
    const ref = node.ref(RoadT, 'address');
    await ref.note('here');
    const before = await node.locate(ref);
    for (const to of ['m/3', 'm', 'other/1', 'm/-1', '', 'm/x'])
      expect((await failureOf(node.relocate(ref, to)))?.code).toMatch(/^BAD_/);
    expect((await node.relocate(ref, `m/${before.thread}`)).pausedMs).toBe(0);
    expect((await node.locate(ref)).thread).toBe(before.thread);
  });

  test('state that cannot be sent calls the move off, and the actor runs on', async () => {
    const aborted = eventsOf(node, 'relocation-aborted');
    const ref = node.ref(RoadT, 'spoilt');
    await ref.spoil();
    const { thread } = await node.locate(ref);
    const failure = await failureOf(node.relocate(ref, `m/${(thread + 1) % 3}`));
    expect(failure).toMatchObject({ code: 'BAD_MESSAGE', details: { reason: 'pack-failed' } });
    expect(failure?.message).toContain('pack-failed');
    expect(failure?.message).toContain('function');
    expect(await ref.note('on')).toBe('on');
    expect(aborted).toMatchObject([{ id: 'road/spoilt', reason: 'pack-failed' }]);
  });

  test('two moves of one actor at once: both are done one after the other, or the second is OVERLOADED', async () => {
    const ref = node.ref(RoadT, 'twice');
    await ref.note('x');
    await node.relocate(ref, 'm/0');
    const moves = await Promise.all([1, 2, 1, 2].map(to => failureOf(node.relocate(ref, `m/${to}`))));
    expect(moves[0]).toBe(undefined);
    for (const each of moves) if (each !== undefined) expect(each).toMatchObject({ code: 'OVERLOADED' });
    expect(await ref.note('y')).toBe('y');
    expect((await ref.report()).log).toStrictEqual(['x', 'y']);
  });
});

test('describe() is plain JSON and shows threads, types, links and moves', async () => {
  const shown = await node.describe();
  expect(JSON.parse(JSON.stringify(shown))).toStrictEqual(shown);
  const { threads, directory } = shown as unknown as {
    threads: { thread: number; types: { type: string }[]; links: { peers: object[] }; router: { moves: object } }[];
    directory: { committed: number; units: number };
  };
  expect(threads.map(each => each.thread)).toStrictEqual([0, 1, 2]);
  for (const { types, links, router } of threads) {
    expect(types.map(({ type }) => type)).toContain('road');
    expect(links.peers.length).toBe(2);
    expect(router.moves).toMatchObject({ strays: 0 });
  }
  expect(directory.committed).toBeGreaterThan(10);
});
