// How asks over the border of a thread end when nobody answers in time: the three outcomes, told apart.

import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { call, type Node, startNode } from '../../src/index.ts';
import { Echo0T, Echo1T, Echo2T, echoTypes } from './actors/echo.ts';
import { failureOf, until } from './until.ts';

let node: Node;

beforeAll(async () => {
  node = await startNode({ name: 'o', threads: 2, actors: echoTypes });
}, 60_000);
afterAll(() => node.stop());

const endless = { deadlineMs: Number.POSITIVE_INFINITY };
const keeper = () => node.ref(Echo1T, 'keeper');
const isHeld = (key: string) => until(`${key} to be in its turn`, () => keeper().isHeld(key));
const release = (key: string) => keeper().release(key);

test('an ask whose turn never began by its deadline is DEADLINE, and is not run later', async () => {
  const far = node.ref(Echo1T, 'never');
  const open = call(far, endless).wait();
  await isHeld('never');
  expect(await failureOf(call(far, { deadlineMs: 60 }).see('late'))).toMatchObject({
    code: 'DEADLINE',
    outcome: 'failed',
  });
  expect(await release('never')).toBe(1);
  expect(await open).toBe('gone on');
  expect(await far.seen()).toStrictEqual([]);
});

test('an ask whose turn had begun is UNKNOWN_OUTCOME, and its late answer finds nobody', async () => {
  const far = node.ref(Echo1T, 'begun');
  expect(await failureOf(call(far, { deadlineMs: 60 }).wait())).toMatchObject({
    code: 'UNKNOWN_OUTCOME',
    outcome: 'unknown',
  });
  expect(await release('begun')).toBe(1);
  expect(await far.echo(1)).toBe(1);
});

test('the same between two host threads', async () => {
  const [asker, busy] = [node.ref(Echo2T, 'asker'), node.ref(Echo1T, 'busy')];
  expect((await asker.bounded(busy, 60))[0]).toBe('UNKNOWN_OUTCOME');
  expect((await asker.bounded(busy, 60))[0]).toBe('DEADLINE');
  expect(await release('busy')).toBe(1);
});

test('a deadline of 0 is over before the turn begins, and none at all lasts as long as it takes', async () => {
  const far = node.ref(Echo1T, 'zero');
  const open = call(far, endless).wait();
  await isHeld('zero');
  expect(await failureOf(call(far, { deadlineMs: 0 }).see('no'))).toMatchObject({
    code: 'DEADLINE',
    outcome: 'failed',
  });
  expect(await release('zero')).toBe(1);
  expect(await open).toBe('gone on');
  expect(await far.seen()).toStrictEqual([]);
});

test('an aborted ask ends: not run if its turn had not begun, unknown if it had', async () => {
  const far = node.ref(Echo1T, 'abort');
  const [first, second] = [new AbortController(), new AbortController()];
  const asIs = (ask: Promise<unknown>) => ask.catch(error => error);
  const begun = asIs(call(far, { signal: first.signal, ...endless }).wait());
  await isHeld('abort');
  const waiting = asIs(call(far, { signal: second.signal, ...endless }).see('no'));
  // An ask of another actor on the same link: the one before it is in its mailbox by now.
  await keeper().echo(0);
  const [why, whyToo] = [new Error('changed my mind'), new Error('no time')];
  const aborted = { details: { aborted: true } };
  second.abort(why);
  expect(await waiting).toMatchObject({
    ...{ code: 'DEADLINE', outcome: 'failed', cause: why, ...aborted },
    message: 'aborted before its turn in echo-1/abort; it was not run',
  });
  first.abort(whyToo);
  expect(await begun).toMatchObject({
    ...{ code: 'UNKNOWN_OUTCOME', outcome: 'unknown', cause: whyToo, ...aborted },
    message: 'aborted after its turn in echo-1/abort had begun',
  });
  expect(await failureOf(call(far, { signal: AbortSignal.abort() }).see('never'))).toMatchObject({ code: 'DEADLINE' });
  expect(await release('abort')).toBe(1);
  expect(await far.seen()).toStrictEqual([]);
});

test('while a thread is blocked, its askers hear in time and everybody else goes on', { timeout: 60_000 }, async () => {
  const [blocked, asker] = [node.ref(Echo1T, 'blocked'), node.ref(Echo2T, 'asking')];
  const gate = join(tmpdir(), `troupe-gate-${process.pid}-${Date.now()}`);
  await blocked.block(gate);
  let rounds = 0;
  let over = false;
  const others = (async () => {
    for (; !over; rounds++)
      await Promise.all([node.ref(Echo2T, 'other').echo(rounds), node.ref(Echo0T, 'here').echo(rounds)]);
  })();
  try {
    const outcomes = Array.from({ length: 500 }, (_, i) => failureOf(call(blocked, { deadlineMs: 100 }).see(i)));
    const far = asker.bounded(node.ref(Echo1T, 'blocked'), 100);
    for (const each of await Promise.all(outcomes)) expect(each).toMatchObject({ code: 'UNKNOWN_OUTCOME' });
    expect((await far)[0]).toBe('UNKNOWN_OUTCOME');
    await until('a hundred rounds', () => rounds > 100);
  } finally {
    over = true;
    await writeFile(gate, '');
  }
  await others;
  // It comes back, answers what was asked of it, late, and nobody keeps anything for those answers any more.
  expect(await call(blocked, { deadlineMs: 30_000 }).echo('back')).toBe('back');
  await rm(gate);
  await until('all late answers', async () => {
    const { threads } = (await node.describe()) as unknown as {
      threads: { asksOutstanding: number; router: { pending: number } }[];
    };
    return threads.every(each => each.asksOutstanding === 0 && each.router.pending === 0);
  });
});

test('a late answer never passes for that of another ask', async () => {
  const quick = node.ref(Echo2T, 'quick');
  const slow = Array.from({ length: 50 }, (_, i) => `slow-${i}`);
  const late = await Promise.all(slow.map(key => failureOf(call(node.ref(Echo1T, key), { deadlineMs: 30 }).wait())));
  expect(new Set(late.map(each => each?.code))).toStrictEqual(new Set(['UNKNOWN_OUTCOME']));
  let wrong = 0;
  // As many as there were numbers for one place in the table of asks, when places were counted.
  for (let i = 0; i < 5_000; i++) if ((await quick.echo(i)) !== i) wrong++;
  const asks = Array.from({ length: 5_000 }, async (_, i) => {
    if ((await quick.echo(`x${i}`)) !== `x${i}`) wrong++;
  });
  for (const key of slow) expect(await release(key)).toBe(1);
  await Promise.all(asks);
  expect(wrong).toBe(0);
});
