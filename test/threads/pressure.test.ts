// More than a mailbox on another thread can take: senders are refused or wait, and what was accepted comes once, in order.

import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { call, type Node, type Ref, startNode, tell } from '../../src/index.ts';
import {
  DrowsyT,
  HelperT,
  pressureTypes,
  RejectT,
  type Sink,
  SlowT,
  Source0T,
  Source2T,
  WaitT,
} from './actors/pressure.ts';
import { eventsOf, until } from './until.ts';

let node: Node;
let letters: unknown[];

beforeAll(async () => {
  node = await startNode({ name: 'p', threads: 2, actors: pressureTypes });
  letters = eventsOf(node, 'dead-letter');
}, 60_000);
afterAll(() => node.stop());

const helper = () => node.ref(HelperT, 'h');
const endless = { deadlineMs: Number.POSITIVE_INFINITY };

/** Runs work while an actor takes nothing; then lets it take everything. */
async function whileHeld<T>(sink: Ref<Sink>, key: string, work: () => Promise<T>): Promise<T> {
  const open = call(sink, endless).hold();
  await until(`${key} to be held`, () => helper().isHeld(key));
  try {
    return await work();
  } finally {
    await helper().release(key);
    await open;
  }
}

/** What came from a sender; undefined while the mailbox is too full to be asked. */
const came = (sink: Ref<Sink>, sender: string) =>
  sink.report().then(
    report => report.from[sender],
    () => undefined,
  );

describe.each([
  ['the calling thread', () => node.ref(Source0T, 's')],
  ['a host thread', () => node.ref(Source2T, 's')],
])('a full mailbox that rejects, from %s', (where, source) => {
  test('a flood of tells is OVERLOADED beyond what the mailbox holds, and nothing accepted is lost', async () => {
    const key = `flood ${where}`;
    const sink = node.ref(RejectT, key);
    const sent = await whileHeld(sink, key, () => source().flood(sink, 'f', 100_000, 0));
    expect(sent.codes).toStrictEqual(['OVERLOADED']);
    expect(sent.accepted).toBeGreaterThanOrEqual(64);
    // The word to pause takes a moment, but a sender is held to one mailbox a turn of its event loop.
    expect(sent.accepted).toBeLessThanOrEqual(128);
    await until('all that was accepted', async () => (await came(sink, 'f'))?.count === sent.accepted);
    expect((await sink.report()).wrong).toStrictEqual([]);
  });

  test('an ask too many is OVERLOADED at once, not at its deadline', async () => {
    const key = `asks ${where}`;
    const sink = node.ref(RejectT, key);
    const began = performance.now();
    const outcomes = await whileHeld(sink, key, async () => {
      const all = source().ask(sink, 'a', 500);
      await until('the mailbox to be full', async () => {
        const { threads } = (await node.describe()) as unknown as { threads: { asksOutstanding: number }[] };
        return threads.some(each => each.asksOutstanding >= 64 && each.asksOutstanding <= 70);
      });
      return { all };
    });
    expect(await outcomes.all).toStrictEqual({ ok: 64, OVERLOADED: 436 });
    expect(performance.now() - began).toBeLessThan(4_500);
  });

  test('large messages are held back by their bytes', async () => {
    const key = `bytes ${where}`;
    const sink = node.ref(RejectT, key);
    const sent = await whileHeld(sink, key, () => source().flood(sink, 'b', 500, 100_000));
    expect(sent.codes).toStrictEqual(['OVERLOADED']);
    expect(sent.accepted).toBeGreaterThanOrEqual(10);
    expect(sent.accepted).toBeLessThanOrEqual(32);
    await until('all that was accepted', async () => (await came(sink, 'b'))?.count === sent.accepted);
    expect((await came(sink, 'b'))?.bytes).toBe(sent.accepted * 100_000);
  });
});

test('a thread that reads nothing fills its ring and no more; what was accepted comes when it reads again', {
  timeout: 60_000,
}, async () => {
  const sinks = Array.from({ length: 300 }, (_, i) => node.ref(RejectT, `deaf-${i}`));
  await Promise.all(sinks.map(each => each.report()));
  const gate = join(tmpdir(), `troupe-gate-${process.pid}-${Date.now()}`);
  await helper().block(gate);
  const load = new Uint8Array(8_000);
  let accepted = 0;
  let refused = 0;
  for (const each of sinks) {
    for (let n = 0; n < 60; n++) {
      try {
        tell(each).take(`r${n}`, n, load);
        accepted++;
      } catch (error) {
        expect((error as { code: string }).code).toBe('OVERLOADED');
        refused++;
      }
    }
  }
  await writeFile(gate, '');
  // 144 MB were offered. A ring holds 1 MiB, and may have been read once more before the thread was blocked.
  expect(accepted * load.length).toBeLessThan(4 << 20);
  expect(accepted + refused).toBe(18_000);
  const total = async () => {
    const reports = await Promise.all(sinks.map(each => each.report().catch(() => undefined)));
    return reports.flatMap(each => Object.values(each?.from ?? {})).reduce((sum, each) => sum + each.count, 0);
  };
  await until('all that was accepted', async () => (await total()) === accepted);
  await rm(gate);
});

describe('a full mailbox that lets senders wait', () => {
  test('64 senders on two threads pour into one slow mailbox: all comes, once, in order of each', async () => {
    const key = 'pour';
    const sink = node.ref(WaitT, key);
    const senders = Array.from({ length: 64 }, (_, i) => `s${i}`);
    const waits = await whileHeld(sink, key, async () => {
      const all = senders.map((sender, i) =>
        call(node.ref(i % 2 === 0 ? Source0T : Source2T, sender), { deadlineMs: 60_000 }).pour(sink, sender, 300),
      );
      await until('them to wait', async () => {
        const { threads } = (await node.describe()) as unknown as {
          threads: { router: { peers: { paused: number }[] } }[];
        };
        return threads.filter(each => each.router.peers.some(peer => peer.paused > 0)).length >= 2;
      });
      return { all };
    });
    const waited = await Promise.all(waits.all);
    expect(waited.every(count => count > 0)).toBe(true);
    await until('everything', async () => {
      const { from } = await sink.report();
      return senders.every(sender => from[sender]?.count === 300);
    });
    expect((await sink.report()).wrong).toStrictEqual([]);
  });

  test('tells that are not awaited and asks of one actor keep their order', async () => {
    const sink = node.ref(WaitT, 'both');
    const sources = [node.ref(Source0T, 'both'), node.ref(Source2T, 'both')];
    await Promise.all(sources.map((each, i) => call(each, { deadlineMs: 60_000 }).both(sink, `b${i}`, 2_000)));
    const { from, wrong } = await sink.report();
    expect(wrong).toStrictEqual([]);
    expect([from.b0?.count, from.b1?.count]).toStrictEqual([2_000, 2_000]);
  });

  test('a tell that is not awaited in a flood is not lost either', async () => {
    const sink = node.ref(WaitT, 'unawaited');
    const sent = await node.ref(Source2T, 'u').flood(sink, 'u', 20_000, 0);
    expect(sent.refused).toBe(0);
    await until('everything', async () => (await came(sink, 'u'))?.count === 20_000);
    expect((await sink.report()).wrong).toStrictEqual([]);
  });
});

test('what comes for an actor that is falling asleep wakes it again, all of it', async () => {
  const sink = node.ref(DrowsyT, 'drowsy');
  await sink.take('first', 0);
  await until('it to fall asleep', () => helper().isHeld('drowsy'));
  const sources = [node.ref(Source0T, 'd'), node.ref(Source2T, 'd')];
  const sent = await Promise.all(sources.map((each, i) => each.flood(sink, `d${i}`, 1_000, 0)));
  const accepted = sent.map(each => each.accepted);
  expect(accepted[0]).toBeGreaterThanOrEqual(64);
  await helper().release('drowsy');
  await until('all that was accepted', async () => {
    await helper().release('drowsy');
    const { from } = await sink.report();
    return [0, 1].every(i => from[`d${i}`]?.count === accepted[i]);
  });
  expect((await sink.report()).wrong).toStrictEqual([]);
});

test('who is flooded and moved again and again holds no more than each move may add; nothing accepted is lost', {
  timeout: 120_000,
}, async () => {
  const sink = node.ref(SlowT, 's');
  const path = join(tmpdir(), `troupe-hurry-${process.pid}`);
  const sources = [node.ref(Source0T, 'f'), node.ref(Source2T, 'f')] as const;
  const [moves, atOnce] = [12, 5_000];
  const accepted = [0, 0];
  let sent = 0;
  try {
    for (let move = 0; move < moves; move++) {
      const { thread } = await node.locate(sink);
      let isOver = false;
      const moved = node.relocate(sink, `p/${((thread ?? 0) + 1) % 3}`).finally(() => {
        isOver = true;
      });
      for (; !isOver; sent += atOnce) {
        const all = await Promise.all(sources.map((each, i) => each.floodWith(sink, `f${i}`, sent, atOnce, path)));
        for (const i of [0, 1]) accepted[i] = (accepted[i] as number) + (all[i] as { accepted: number }).accepted;
      }
      await moved;
    }
  } finally {
    await writeFile(path, '');
  }
  // A mailbox holds 64, and 2 * sent were sent: what a move lets in is as much again from each thread. The rest has been worked off meanwhile.
  expect(sent).toBeGreaterThan(20_000);
  expect((accepted[0] as number) + (accepted[1] as number)).toBeLessThan(20_000);
  await until('all that was accepted', async () => {
    const from = (await sink.report().catch(() => undefined))?.from;
    return [0, 1].every(i => (from?.[`f${i}`]?.count ?? 0) === accepted[i]);
  });
  await rm(path);
  expect((await sink.report()).wrong).toStrictEqual([]);
});

test('nothing became a dead letter', () => {
  expect(letters).toStrictEqual([]);
});
