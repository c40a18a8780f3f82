// Tells and asks between the calling thread and two host threads: what arrives, in which order, and what is refused.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AnyRef, type Node, startNode, tell } from '../../src/index.ts';
import { Echo0T, Echo1T, Echo2T, EchoT, echoTypes, LocalEchoT, PoolEchoT } from './actors/echo.ts';
import { eventsOf, failureOf, insist, until } from './until.ts';

let node: Node;

beforeAll(async () => {
  node = await startNode({ name: 'm', threads: 2, actors: echoTypes });
}, 60_000);
afterAll(() => node.stop());

const samples: Record<string, unknown> = {
  null: null,
  true: true,
  zero: 0,
  'minus zero': -0,
  small: -17,
  fraction: 0.1,
  large: Number.MAX_SAFE_INTEGER,
  NaN: Number.NaN,
  infinity: Number.NEGATIVE_INFINITY,
  bigint: 123_456_789_012_345_678_901_234_567_890n,
  'empty text': '',
  text: 'żółw 🐢 \u0000 end',
  date: new Date(1_700_000_000_123),
  bytes: new Uint8Array([0, 1, 255]),
  'no bytes': new Uint8Array(0),
  floats: new Float64Array([1.5, -2.25]),
  map: new Map<unknown, unknown>([
    ['a', 1],
    [2, new Map()],
  ]),
  set: new Set([1, 'two']),
  nested: { list: [1, [2, [3, { deep: undefined }]]], empty: {}, nothing: null },
};

describe.each([
  ['from the calling thread', () => node.ref(Echo0T, 'a')],
  ['to another thread', () => node.ref(Echo1T, 'a')],
])('%s', (_name, ref) => {
  test.each(Object.entries(samples))('%s comes back as it was', async (_kind, value) => {
    expect(await ref().echo(value)).toStrictEqual(value);
  });
});

test('an undefined argument, no argument and many arguments arrive as they were given', async () => {
  const far = node.ref(Echo1T, 'args');
  expect(await far.echo(undefined)).toBe(undefined);
  expect(await far.echo()).toBe(undefined);
  for (const count of [0, 1, 2, 3, 4, 17, 64]) {
    const values = Array.from({ length: count }, (_, i) => `v${i}`);
    expect(await far.all(...values)).toStrictEqual(values);
  }
});

test('messages larger than the window of a ring arrive whole, up to 8 MiB, there and back', async () => {
  const far = node.ref(Echo1T, 'large');
  for (const bytes of [0, 1, 255_000, 262_144, 1 << 20, 3_000_001, 8 << 20]) {
    const sent = new Uint8Array(bytes).map((_, i) => (i * 31) & 255);
    const back = (await far.echo(sent)) as Uint8Array;
    expect(back.length).toBe(bytes);
    expect(Buffer.compare(Buffer.from(back.buffer, back.byteOffset, back.length), Buffer.from(sent))).toBe(0);
  }
  const text = 'wörld '.repeat(400_000);
  expect((await far.echo(text)) === text).toBe(true);
});

test('small messages keep their place among large ones', async () => {
  const far = node.ref(Echo2T, 'mixed');
  const answers: Promise<unknown>[] = [];
  for (let i = 0; i < 12; i++) {
    answers.push(far.see([i, new Uint8Array(i % 3 === 0 ? 1_500_000 : 10)]));
    await insist(() => tell(far).see([i + 0.5, null]));
  }
  await Promise.all(answers);
  const seen = (await far.seen()) as [number, unknown][];
  expect(seen.map(([i]) => i)).toStrictEqual(Array.from({ length: 24 }, (_, i) => i / 2));
});

test('a message larger than the whole mailbox it is for is refused to its sender', async () => {
  const far = node.ref(EchoT, 'small');
  const bytes = new Uint8Array(2 << 20);
  expect((await failureOf(far.echo(bytes)))?.code).toBe('TOO_LARGE');
  await until('an actor on another thread', async () => (await node.locate(far)).thread !== 0);
  expect(() => tell(far).see(bytes)).toThrow(expect.objectContaining({ code: 'TOO_LARGE' }));
  expect(await far.echo('still there')).toBe('still there');
});

test('what cannot be sent is refused with the reason, and both threads live on', async () => {
  const far = node.ref(Echo1T, 'refusing');
  expect(await failureOf(far.echo({ fn: () => 1 }))).toMatchObject({ code: 'BAD_MESSAGE', outcome: 'failed' });
  expect(() => tell(far).see(() => 1)).toThrow(expect.objectContaining({ code: 'BAD_MESSAGE' }));
  expect(await failureOf(far.unsendable())).toMatchObject({ code: 'BAD_MESSAGE' });
  const error = await failureOf(far.throwing());
  expect(error).toMatchObject({ code: 'REMOTE', message: 'out of range' });
  expect(error?.details).toMatchObject({ name: 'RangeError', code: 'E_RANGE' });
  expect(await far.echo('alive')).toBe('alive');
});

test('a ref travels in messages and state, and leads to the same actor from every thread', async () => {
  const [one, two] = [node.ref(Echo1T, 'ref'), node.ref(Echo2T, 'ref')];
  await two.keep(await one.me());
  const kept = (await two.kept()) as AnyRef;
  expect(String(kept)).toBe('echo-1/ref');
  await (kept as typeof one).see('through a ref');
  expect(await one.seen()).toContain('through a ref');
  expect(await two.relay(one, 'echo', [one, two])).toBe('ok');
  expect(String(((await one.echo([two])) as AnyRef[])[0])).toBe('echo-2/ref');
});

test.each([
  ['main to thread', Echo1T, 'order-a'],
  ['main to main', Echo0T, 'order-b'],
] as const)('tells and asks of one sender arrive in the order they were made: %s', async (_name, type, key) => {
  const to = node.ref(type, key);
  const asks: Promise<unknown>[] = [];
  for (let i = 0; i < 900; i++) {
    if (i % 3 === 0) asks.push(to.note(i));
    else tell(to).note(i);
  }
  expect(await Promise.all(asks)).toStrictEqual(Array.from({ length: 300 }, (_, i) => i * 3));
  expect(await to.seen()).toStrictEqual(Array.from({ length: 900 }, (_, i) => i));
});

test('the same holds between two threads, both ways at once', async () => {
  const [one, two] = [node.ref(Echo1T, 'mix'), node.ref(Echo2T, 'mix')];
  const [to1, to2] = [node.ref(Echo1T, 'mixed-1'), node.ref(Echo2T, 'mixed-2')];
  await Promise.all([one.mix(to2, 2_000), two.mix(to1, 2_000)]);
  const all = Array.from({ length: 2_000 }, (_, i) => i);
  expect(await to1.seen()).toStrictEqual(all);
  expect(await to2.seen()).toStrictEqual(all);
});

test('a link that names more actors than its table holds keeps telling them apart', async () => {
  const count = 20_000;
  const answers = await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const far = node.ref(Echo1T, `many-${i}`);
      await far.see(i);
      return far;
    }),
  );
  // Again through the same refs, whose places in the table others have taken since.
  for (let i = 0; i < count; i += 7) tell(answers[i] as (typeof answers)[0]).see(-i);
  for (const i of [0, 7, 7_000, 19_999]) {
    const far = answers[i] as (typeof answers)[0];
    expect(await far.seen()).toStrictEqual(i % 7 === 0 ? [i, -i] : [i]);
  }
});

test('each placement puts an actor where it says, and locate() knows', async () => {
  expect((await node.locate(node.ref(Echo0T, 'p'))).thread).toBe(0);
  expect((await node.locate(node.ref(Echo1T, 'p'))).thread).toBe(1);
  expect((await node.locate(node.ref(Echo2T, 'p'))).thread).toBe(2);
  const threads = [await node.ref(Echo0T, 'p').thread(), await node.ref(Echo1T, 'p').thread()];
  expect(threads[0]).not.toBe(threads[1]);
  // Pool: one a thread, whoever asks meets its own.
  expect(await node.ref(PoolEchoT, 'p').thread()).toBe(threads[0]);
  for (const type of [EchoT, LocalEchoT]) {
    const found = new Set<number>();
    for (let i = 0; i < 40; i++) {
      const ref = node.ref(type, `place-${i}`);
      const worker = await ref.thread();
      const { thread, epoch } = await node.locate(ref);
      expect(epoch).toBeGreaterThan(0);
      expect(worker).toBe(await node.ref(thread === 1 ? Echo1T : Echo2T, 'p').thread());
      found.add(thread);
    }
    expect([...found].sort()).toStrictEqual([1, 2]);
  }
  expect((await node.locate(node.ref(EchoT, 'asleep'))).epoch).toBe(0);
});

test('a cycle of asks over two threads ends at once, with the chain', async () => {
  const [one, two] = [node.ref(Echo1T, 'cycle'), node.ref(Echo2T, 'cycle')];
  const began = performance.now();
  const [code, details] = (await one.relay(two, 'relayBack', one)) as [string, Record<string, unknown>];
  expect(performance.now() - began).toBeLessThan(3_000);
  expect(code).toBe('DEADLOCK');
  expect(details).toMatchObject({ chain: ['echo-1/cycle', 'echo-2/cycle', 'echo-1/cycle'] });
  expect(await one.echo('free again')).toBe('free again');
});

test('nothing of all this was lost on the way', async () => {
  const letters = eventsOf(node, 'dead-letter');
  await node.ref(Echo1T, 'last').echo(1);
  expect(letters).toStrictEqual([]);
  const { threads } = (await node.describe()) as { threads: { deadLetters: number }[] };
  expect(threads.map(each => each.deadLetters)).toStrictEqual([0, 0, 0]);
});
