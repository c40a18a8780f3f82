// Hundreds of moves of actors that are being talked to from every thread. The books: nothing lost, doubled or reordered.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { type ActorType, call, type Node, type Ref, startNode } from '../../src/index.ts';
import {
  KeptSleepyT,
  KeptT,
  type Road,
  RoadT,
  roadTypes,
  SleepyT,
  type Trip,
  Walker0T,
  Walker1T,
  Walker2T,
} from './actors/roads.ts';
import { eventsOf } from './until.ts';

let node: Node;
let dir: string | undefined;

afterEach(async () => {
  await node.stop();
  if (dir !== undefined) await rm(dir, { recursive: true, force: true });
  dir = undefined;
});

async function start(onDisk: boolean): Promise<void> {
  if (onDisk) dir = await mkdtemp(join(tmpdir(), 'troupe-moves-'));
  node = await startNode({
    name: 'm',
    threads: 2,
    actors: roadTypes,
    ...(dir === undefined ? {} : { dataDir: dir, diskFreeLowWater: 1 << 20 }),
  });
}

/** Park and Miller: which way they go is the same in every run, what they meet there is not. */
function diceOf(seed: number): (sides: number) => number {
  let state = seed;
  return sides => {
    state = (state * 48_271) % 2_147_483_647;
    return state % sides;
  };
}

const walkers = (key: string) => [Walker0T, Walker1T, Walker2T].map(type => node.ref(type, key));
const atLeisure = { deadlineMs: 60_000 };

interface Book {
  readonly moves: number;
  readonly epochs: number[][];
}

/** Moves each of them about until all has been sent. */
async function moveAbout(refs: readonly Ref<Road>[], trips: Promise<Trip>[], atLeast: number): Promise<Book> {
  let under = true;
  const all = Promise.all(trips).finally(() => {
    under = false;
  });
  const epochs: number[][] = refs.map(() => []);
  let moves = 0;
  await Promise.all(
    refs.map(async (ref, i) => {
      const dice = diceOf(20_261_120 + i);
      for (let at = (await node.locate(ref)).thread; under || moves < atLeast; ) {
        const to = (at + 1 + dice(2)) % 3;
        const moved = await node.relocate(ref, `m/${to}`);
        (epochs[i] as number[]).push(moved.epoch);
        const found = await node.locate(ref);
        expect(found.thread).toBe(to);
        expect(found.epoch === 0 || found.epoch >= moved.epoch).toBe(true);
        at = to;
        moves++;
      }
    }),
  );
  for (const { wrong } of await all) expect(wrong).toStrictEqual([]);
  return { moves, epochs };
}

const rising = (numbers: readonly number[]): boolean =>
  numbers.every((each, i) => i === 0 || each > (numbers[i - 1] as number));

async function checkBooks(refs: readonly Ref<Road>[], senders: readonly string[], count: number): Promise<void> {
  for (const ref of refs) {
    const { wrong, last, count: sum, epochs } = await ref.report();
    expect(wrong).toStrictEqual([]);
    expect(last).toStrictEqual(Object.fromEntries(senders.map(sender => [sender, count - 1])));
    expect(sum).toBe(senders.length * count);
    expect(rising(epochs)).toBe(true);
  }
  const { threads, directory } = (await node.describe()) as unknown as {
    threads: { asksOutstanding: number; router: { moves: { strays: number; refused: number; motions: object[] } } }[];
    directory: { committed: number; aborted: object };
  };
  for (const { router, asksOutstanding } of threads) {
    expect(router.moves).toMatchObject({ strays: 0, refused: 0, undelivered: 0 });
    expect(asksOutstanding).toBe(0);
  }
  expect(directory.aborted).toStrictEqual({});
}

const cases: [string, ActorType<Road>, boolean, number][] = [
  ['in memory', RoadT, false, 120],
  ['that fall asleep whenever they can', SleepyT, false, 40],
  ['that are stored on disk', KeptT, true, 30],
  ['that are stored on disk and fall asleep', KeptSleepyT, true, 30],
  ['that are stored in the memory of their thread', KeptSleepyT, false, 40],
];

describe.each(cases)('actors %s', (_what, type, onDisk, atLeast) => {
  test('move again and again under load without losing, doubling or reordering a message', {
    timeout: 60_000,
  }, async () => {
    await start(onDisk);
    const letters = eventsOf(node, 'dead-letter');
    const [relocating, relocated] = [eventsOf(node, 'relocating'), eventsOf(node, 'relocated')];
    const refs = ['a', 'b', 'c', 'd'].map(key => node.ref(type, key));
    const count = type.spec.persist === 'none' ? 600 : 90;
    const trips = refs.flatMap(ref =>
      walkers(ref.toString()).map((walker, i) => call(walker, atLeisure).walk(ref, `w${i}`, count)),
    );
    const { moves, epochs } = await moveAbout(refs, trips, atLeast);
    expect(moves).toBeGreaterThanOrEqual(atLeast);
    for (const each of epochs) expect(rising(each)).toBe(true);
    await checkBooks(refs, ['w0', 'w1', 'w2'], count);
    expect(letters).toStrictEqual([]);
    expect(relocated.length).toBe(moves);
    expect(relocating.length).toBe(moves);
  });
});
