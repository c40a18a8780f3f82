// A slot that changes threads while its actors are being talked to from everywhere: nothing is lost, doubled or reordered, and what
// cannot go stays, with everything as it was.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { type ActorType, call, type Node, type NodeOptions, type Ref, startNode, tell } from '../../src/index.ts';
import { partitionOf } from '../../src/runtime/partition.ts';
import {
  BombTs,
  DiaryT,
  KeptNoteT,
  KeptSleepyNoteT,
  LocalNoteT,
  type Note,
  NoteT,
  SleepyNoteT,
  type Speaker,
  SpeakerTs,
  shiftedTypes,
  type Taker,
} from './actors/shifted.ts';
import { eventually } from './mortals.ts';
import { eventsOf, failureOf, until } from './until.ts';

const partitions = 16;
let node: Node;
let dir: string | undefined;

async function start(options: NodeOptions = {}): Promise<void> {
  dir = await mkdtemp(join(tmpdir(), 'troupe-shift-'));
  const disk = { dataDir: dir, diskFreeLowWater: 1 << 20 };
  node = await startNode({
    name: 's',
    threads: 3,
    partitions,
    rebalance: false,
    actors: shiftedTypes,
    ...disk,
    ...options,
  });
}
afterEach(async () => {
  await node.stop();
  if (dir !== undefined) await rm(dir, { recursive: true, force: true });
  dir = undefined;
});

/** Keys of one slot. */
function keysOf(slot: number, count: number): string[] {
  const keys: string[] = [];
  for (let i = 0; keys.length < count; i++) if (partitionOf(`k${i}`, partitions) === slot) keys.push(`k${i}`);
  return keys;
}
const threadOf = (slot: number): number => node.rebalancer.report().table[slot] as number;
const nextOf = (thread: number): number => (thread % 3) + 1;
/** To the next thread; tried again while it is refused for a moment. */
async function shift(slot: number): Promise<void> {
  await eventually(`slot ${slot} to move`, () => node.rebalancer.move(slot, nextOf(threadOf(slot))));
}
const speakers = (key: string): Ref<Speaker>[] => SpeakerTs.map(type => node.ref(type, key));
const patient = { deadlineMs: 60_000 };
const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

async function nothingHeld(): Promise<void> {
  const { threads, rebalancer } = (await node.describe()) as unknown as {
    threads: { thread: number; asksOutstanding: number; router?: { handoff?: object } }[];
    rebalancer: { shifts: { moving: unknown } };
  };
  for (const { router } of threads) expect(router?.handoff).toBeUndefined();
  expect(rebalancer.shifts.moving).toBeNull();
}

const kinds = [NoteT, LocalNoteT, SleepyNoteT, KeptNoteT, KeptSleepyNoteT, DiaryT as unknown as ActorType<Note>];

test('actors of all kinds go about with their slot, and miss, double and reorder nothing', {
  timeout: 120_000,
}, async () => {
  await start();
  const letters = eventsOf(node, 'dead-letter');
  const moved = eventsOf(node, 'slot-moved');
  const slot = 5;
  const refs = keysOf(slot, kinds.length).map((key, i) => node.ref(kinds[i] as ActorType<Note>, key));
  const talks = speakers('a').map((each, i) => call(each, patient).speak(refs as Taker[], `s${i}`, ''));
  for (let i = 0; i < 30; i++) {
    await shift(slot);
    for (const ref of refs) expect((await node.locate(ref)).thread).toBe(threadOf(slot));
  }
  for (const each of speakers('a')) await each.hush();
  const books = await Promise.all(talks);
  for (const { wrong, sent } of books) {
    expect(wrong).toStrictEqual([]);
    expect(sent).toBeGreaterThan(100);
  }
  for (const ref of refs) {
    const { heard } = await ref.report();
    for (const [i, { sent }] of books.entries()) expect(heard[`s${i}`]).toStrictEqual(numbers(sent));
  }
  expect(letters).toStrictEqual([]);
  expect(moved.length).toBe(30);
  await nothingHeld();
});

test('timers and reminders go along, and fire once', { timeout: 60_000 }, async () => {
  await start();
  const slot = 3;
  const [a, b] = keysOf(slot, 2) as [string, string];
  const ref = node.ref(NoteT, a);
  const kept = node.ref(KeptNoteT, b);
  await ref.tickEvery(5);
  await ref.later(150, 'later');
  await kept.remindIn(120, 'soon');
  await kept.remindIn(400, 'then');
  await kept.remindIn(3_600_000, 'never');
  for (let i = 0; i < 20; i++) {
    await shift(slot);
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  await until('all of them', async () => {
    const [{ fired, ticks }, { fired: reminded }] = [await ref.report(), await kept.report()];
    return fired.length > 0 && ticks > 5 && reminded.length > 1;
  });
  expect((await ref.report()).fired).toStrictEqual(['later']);
  expect((await kept.report()).fired).toStrictEqual(['soon', 'then']);
  const { threads } = (await node.describe()) as unknown as { threads: { reminders: number }[] };
  expect(threads.map(each => each.reminders)).toStrictEqual([0, 1, 2, 3].map(t => (t === threadOf(slot) ? 1 : 0)));
});

test('what is published meanwhile comes once, in order, to those that wake and those that sleep', {
  timeout: 120_000,
}, async () => {
  await start();
  const slot = 9;
  const listeners = [NoteT, SleepyNoteT, KeptNoteT, LocalNoteT].map((type, i) =>
    node.ref(type, keysOf(slot, 4)[i] as string),
  );
  const elsewhere = keysOf(2, 1).map(key => node.ref(NoteT, key));
  const topics = numbers(4).map(i => `news${i}`);
  for (const each of [...listeners, ...elsewhere]) for (const topic of topics) await each.listen(topic);
  const talks = speakers('p').map((each, i) => call(each, patient).speak(listeners, `s${i}`, topics[i] as string));
  for (let i = 0; i < 30; i++) await shift(slot);
  for (const each of speakers('p')) await each.hush();
  const books = await Promise.all(talks);
  for (const [i, { sent, wrong }] of books.entries()) {
    expect(wrong).toStrictEqual([]);
    for (const each of [...listeners, ...elsewhere]) {
      await until('the last one', async () => ((await each.report()).heard[topics[i] as string]?.length ?? 0) >= sent);
      expect((await each.report()).heard[topics[i] as string]).toStrictEqual(numbers(sent));
    }
    for (const each of listeners) expect((await each.report()).heard[`s${i}`]).toStrictEqual(numbers(sent));
  }
});

test('who watches hears of an end once, wherever the slot has been', { timeout: 60_000 }, async () => {
  await start();
  const slot = 4;
  const [a, b] = keysOf(slot, 2).map(key => node.ref(NoteT, key)) as [Ref<Note>, Ref<Note>];
  await a.take('x', 0);
  await b.take('x', 0);
  const watchers = speakers('w');
  for (const each of watchers) await each.watch(a);
  await shift(slot);
  for (const each of watchers) await each.watch(b);
  await shift(slot);
  await shift(slot);
  for (const each of watchers) expect(await each.departures()).toStrictEqual([]);
  await a.end();
  await shift(slot);
  await b.end();
  for (const each of watchers) {
    await until('both departures', async () => (await each.departures()).length >= 2);
    expect((await each.departures()).map(({ id, reason }) => [id, reason])).toStrictEqual([
      [a.toString(), 'stopped'],
      [b.toString(), 'stopped'],
    ]);
  }
});

test('a vnode moves with its slot while it is written to: nothing that was acknowledged is missing', {
  timeout: 60_000,
}, async () => {
  await start();
  const store = await node.store('things');
  const slots = new Set(numbers(partitions).map(p => partitionOf(String(p), partitions)));
  const acked = new Map<string, number>();
  const wrong: string[] = [];
  let going = true;
  const work = async (key: string): Promise<void> => {
    for (let n = 1; going; n++) {
      try {
        const { values, context } = await store.get(key);
        if (Math.max(0, ...(values as number[])) !== (acked.get(key) ?? 0))
          wrong.push(`${key}: ${values}, ${acked.get(key)}`);
        await store.put(key, n, { context });
        acked.set(key, n);
      } catch (error) {
        wrong.push(`${key}: ${(error as Error).message}`);
      }
    }
  };
  const workers = numbers(24).map(n => work(`key${n}`));
  let count = 0;
  for (let round = 0; round < 3; round++)
    for (const slot of slots) {
      await shift(slot);
      count++;
    }
  going = false;
  await Promise.all(workers);
  expect(wrong).toStrictEqual([]);
  expect(count).toBeGreaterThan(20);
  for (const [key, n] of acked) expect((await store.get(key)).values).toStrictEqual([n]);
  await nothingHeld();
});

describe('a slot that cannot go', () => {
  const stays = async (slot: number, why: RegExp, code: string): Promise<void> => {
    const from = threadOf(slot);
    const failure = await failureOf(node.rebalancer.move(slot, nextOf(from)));
    expect(failure).toMatchObject({ code, message: expect.stringMatching(why) });
    expect(threadOf(slot)).toBe(from);
    expect(node.rebalancer.report().refused.at(-1)).toMatchObject({ slot, why: failure?.message });
    await nothingHeld();
  };

  test('for a child, stays, with the reason', async () => {
    await start();
    const [a, b] = keysOf(1, 2).map(key => node.ref(NoteT, key)) as [Ref<Note>, Ref<Note>];
    await a.adopt();
    await stays(1, /live children/, 'OVERLOADED');
    expect(await a.take('x', 0)).toBe(0);
    expect(await b.take('x', 0)).toBe(0);
  });

  test('for a turn that does not end, stays, and those beside it go on', async () => {
    await start();
    const [a, b] = keysOf(1, 2).map(key => node.ref(NoteT, key)) as [Ref<Note>, Ref<Note>];
    const stuck = failureOf(call(a, { deadlineMs: 1_000 }).never());
    const talk = call(node.ref(SpeakerTs[2] as ActorType<Speaker>, 'x'), patient).speak([b], 's', '');
    await stays(1, /did not come to rest/, 'DEADLINE');
    await node.ref(SpeakerTs[2] as ActorType<Speaker>, 'x').hush();
    const { sent, wrong } = await talk;
    expect(wrong).toStrictEqual([]);
    expect((await b.report()).heard.s).toStrictEqual(numbers(sent));
    expect(await stuck).toMatchObject({ code: 'UNKNOWN_OUTCOME' });
  });

  test('in memory that threads do not share, stays, and the report says why', async () => {
    node = await startNode({ name: 's', threads: 3, actors: shiftedTypes });
    expect(node.rebalancer.report()).toMatchObject({ state: 'unavailable', why: expect.stringContaining('dataDir') });
    expect(await failureOf(node.rebalancer.move(1, 2))).toMatchObject({ code: 'BAD_OPTION' });
  });

  test('says so for what is no slot and no host thread', async () => {
    await start();
    for (const [slot, thread] of [
      [-1, 1],
      [partitions, 1],
      [0.5, 1],
      [0, 0],
      [0, 4],
      [0, threadOf(0)],
    ] as const)
      expect(await failureOf(node.rebalancer.move(slot, thread))).toMatchObject({ code: 'BAD_OPTION' });
  });
});

test('actors that were moved by themselves, or nearly, stay where they are when their slot goes, and are reached by all', {
  timeout: 60_000,
}, async () => {
  await start();
  const slot = 6;
  const [a, b, c] = keysOf(slot, 3).map(key => node.ref(NoteT, key)) as [Ref<Note>, Ref<Note>, Ref<Note>];
  const home = threadOf(slot);
  await node.relocate(a, `s/${nextOf(home)}`);
  await node.relocate(a, `s/${home}`);
  // Called off: the directory has heard of it, and no thread but its own.
  await b.spoil();
  expect(await failureOf(node.relocate(b, `s/${nextOf(home)}`))).toMatchObject({ code: 'BAD_MESSAGE' });
  await b.mend();
  const talks = speakers('r').map((each, i) => call(each, patient).speak([a, b, c], `s${i}`, ''));
  for (let i = 0; i < 4; i++) await shift(slot);
  for (const each of speakers('r')) await each.hush();
  for (const [i, { sent, wrong }] of (await Promise.all(talks)).entries()) {
    expect(wrong).toStrictEqual([]);
    for (const each of [a, b, c]) expect((await each.report()).heard[`s${i}`]).toStrictEqual(numbers(sent));
  }
  const places = await Promise.all([a, b, c].map(each => node.locate(each)));
  expect(places.map(({ thread }) => thread)).toStrictEqual([home, home, threadOf(slot)]);
});

test('the reminders of one that was moved by itself are in one place, when its thread has died and its slot goes there', {
  timeout: 60_000,
}, async () => {
  await start();
  const slot = 9;
  const kept = node.ref(KeptNoteT, keysOf(slot, 1)[0] as string);
  const away = nextOf(threadOf(slot));
  await node.relocate(kept, `s/${away}`);
  await kept.remindIn(3_600_000, 'in an hour');
  const armed = async (): Promise<number[]> => {
    const { threads } = (await node.describe()) as unknown as { threads: { reminders: number }[] };
    return threads.map(({ reminders }) => reminders);
  };
  expect((await armed())[away]).toBe(1);
  const restarted = eventsOf(node, 'thread-restarted');
  tell(node.ref(BombTs[away] as (typeof BombTs)[0], 'b')).explode();
  await until('its next life', () => restarted.length > 0);
  await until('the reminder', async () => (await armed()).includes(1));
  // Nobody has asked for it since.
  while (threadOf(slot) !== away) await shift(slot);
  expect((await armed()).reduce((sum, count) => sum + count, 0)).toBe(1);
  // Who can take it out is who would send it.
  await kept.take('x', 0);
  expect((await armed())[(await node.locate(kept)).thread as number]).toBe(1);
});

test('actors of a slot that wait for each other come to rest', { timeout: 60_000 }, async () => {
  await start();
  const [a, b] = keysOf(7, 2).map(key => node.ref(NoteT, key)) as [Ref<Note>, Ref<Note>];
  let on = true;
  let n = 0;
  const talk = (async () => {
    for (; on; n++) expect(await a.through(b, 'a', n)).toBe(n);
  })();
  for (let i = 0; i < 8; i++) await shift(7);
  on = false;
  await talk;
  expect((await b.report()).heard.a).toStrictEqual(numbers(n));
});

describe.each([
  ['that it leaves', 0],
  ['that it goes to', 1],
  ['that has nothing to do with it', 2],
])('the death of the thread %s', (_which, offset) => {
  test('in the middle of it leaves nothing held, and all goes on', { timeout: 60_000 }, async () => {
    await start();
    const slot = 8;
    const [restarted, died] = [eventsOf(node, 'thread-restarted'), eventsOf(node, 'thread-died')];
    const [a, b] = keysOf(slot, 2) as [string, string];
    const kept = node.ref(KeptNoteT, a);
    const ref = node.ref(NoteT, b);
    for (let round = 0; round < 4; round++) {
      await kept.take('before', round);
      await eventually('it', () => ref.take('before', round));
      const from = threadOf(slot);
      const victim = [from, nextOf(from), nextOf(nextOf(from))][offset] as number;
      const acks: number[] = [];
      const talk = (async () => {
        for (let n = 0; n < 40; n++) {
          try {
            acks.push(await call(kept, { deadlineMs: 2_000 }).take(`round${round}`, n));
          } catch {
            // Refused, or not known: its thread has died.
          }
        }
      })();
      const going = failureOf(node.rebalancer.move(slot, nextOf(from)));
      // Each round at another of its steps.
      for (let i = 0; i < round * 2; i++) await new Promise(resolve => setImmediate(resolve));
      tell(node.ref(BombTs[victim] as (typeof BombTs)[0], 'b')).explode();
      const failure = await going;
      if (failure !== undefined) expect(failure.code).toMatch(/STOPPED|UNKNOWN_OUTCOME|OVERLOADED|DEADLINE/);
      await until('the death', () => died.length > round);
      await talk;
      await until('its next life', () => restarted.length > round);
      const { heard } = await eventually('the stored one', () => kept.report());
      expect(heard.before).toStrictEqual(numbers(round + 1));
      const mine = heard[`round${round}`] ?? [];
      // What was acknowledged is there, once and in order.
      expect(mine.filter(n => acks.includes(n))).toStrictEqual(acks);
      expect(new Set(mine).size).toBe(mine.length);
      await until('nothing to be under way', async () => {
        const { rebalancer } = (await node.describe()) as unknown as { rebalancer: { shifts: { moving: unknown } } };
        return rebalancer.shifts.moving === null;
      });
      await nothingHeld();
      await shift(slot);
      expect((await eventually('it', () => kept.report())).heard.before).toStrictEqual(numbers(round + 1));
    }
  });
});
