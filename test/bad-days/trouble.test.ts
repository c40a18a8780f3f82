// Handlers that do what they must not, on host threads: their asker hears of it, and nobody else.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ActorType, type AnyRef, call, type Node, startNode, tell } from '../../src/index.ts';
import { ending, until } from './folders.ts';
import { CallersStillbornT, KeeperT, RestartedT, StillbornT, type Trouble, TroubleT } from './trouble-actors.ts';

let node: Node;
let failures: { id: string; action: string; error: unknown }[];
beforeAll(async () => {
  node = await startNode({ threads: 2, actors: [TroubleT, RestartedT, KeeperT, StillbornT, CallersStillbornT] });
  node.on('actor-failed', event => failures.push(event));
  node.on('thread-died', event => deaths.push(event.thread));
});
afterAll(() => node.stop({ drainMs: 500 }));
const deaths: number[] = [];
let keys = 0;

/** An actor nobody has used before, on the thread asked for. */
async function fresh<A extends Trouble>(type: ActorType<A>, thread: number) {
  for (;;) {
    const ref = node.ref(type, `k${keys++}`);
    if ((await node.locate(ref as AnyRef)).thread === thread) return ref;
  }
}

describe.each([
  ['none', TroubleT],
  ['snapshot', KeeperT],
] as const)("a handler of an actor with persist: '%s'", (persist, type: ActorType<Trouble>) => {
  it('that throws: REMOTE with name, message and code, and the actor goes on', async () => {
    failures = [];
    const actor = await fresh(type, 1);
    await actor.work();
    expect(await ending(actor.throwError())).toMatchObject({
      code: 'REMOTE',
      outcome: 'failed',
      message: 'no good',
      details: { name: 'RangeError', code: 'E_NO_GOOD' },
    });
    expect(await ending(actor.throwLate())).toMatchObject({ code: 'REMOTE', details: { name: 'TypeError' } });
    expect(await actor.work()).toBeGreaterThan(1);
    await until(() => failures.length === 2);
    expect(failures.map(({ id, action }) => [id, action])).toEqual([
      [String(actor), 'resume'],
      [String(actor), 'resume'],
    ]);
  });

  it.each(['nothing', 'text', 'proxy', 'getter'] as const)('that throws %s: REMOTE as well', async what => {
    const actor = await fresh(type, 1);
    expect(await ending(actor.throwOdd(what))).toMatchObject({ code: 'REMOTE' });
    expect(await actor.work()).toBe(1);
  });

  it.each(['function', 'symbol', 'cycle', 'deep', 'huge', 'getter'] as const)(
    'that returns what cannot be sent (%s): its asker is told so, and the actor goes on',
    async what => {
      const actor = await fresh(type, 1);
      const error = await ending(actor.unsendable(what));
      expect((error as { code: string }).code).toMatch(/^(BAD_MESSAGE|TOO_LARGE|REMOTE)$/);
      expect((error as Error).message).not.toMatch(/argument 0/);
      expect(await actor.work()).toBe(1);
      expect(deaths).toEqual([]);
    },
  );

  it('that returns a thenable whose then throws', async () => {
    const actor = await fresh(type, 1);
    expect(await ending(actor.oddThenable() as Promise<unknown>)).toMatchObject({ code: 'REMOTE' });
    expect(await actor.work()).toBe(1);
  });

  it('that never settles: its asker hears UNKNOWN_OUTCOME, who waited behind it DEADLINE, everybody else nothing', async () => {
    const actor = await fresh(type, 1);
    const other = await fresh(type, 1);
    const stuck = ending(call(actor, { deadlineMs: 100 }).never());
    const behind = ending(call(actor, { deadlineMs: 100 }).work());
    expect(await other.work()).toBe(1);
    expect(await stuck).toMatchObject({ code: 'UNKNOWN_OUTCOME', outcome: 'unknown' });
    expect(await behind).toMatchObject({ code: 'DEADLINE', outcome: 'failed' });
    expect(await ending(call(actor, { deadlineMs: 20 }).work())).toMatchObject({ code: 'DEADLINE' });
  });

  it('that blocks its thread for 2 s: the other threads serve on, and its own neighbours afterwards', async () => {
    const actor = await fresh(type, 1);
    const neighbour = await fresh(type, 1);
    const far = await fresh(type, 2);
    await Promise.all([neighbour.work(), far.work()]);
    let blocked = true;
    const block = actor.block(2_000).then(() => {
      blocked = false;
    });
    let served = 0;
    for (; served < 200; served++) await far.work();
    expect([blocked, served]).toEqual([true, 200]);
    const late = neighbour.work();
    const expired = ending(call(neighbour, { deadlineMs: 50 }).work());
    // Nobody over there can say whether it began: the asker is told so, and not left waiting for 2 s.
    expect(await expired).toMatchObject({ code: 'UNKNOWN_OUTCOME' });
    expect(blocked).toBe(true);
    await block;
    expect(await late).toBe(2);
    // What nobody waited for any more was not done.
    expect(await neighbour.value()).toBe(2);
  });

  it('that fails in a timer: the failure is told, and the actor goes on', async () => {
    failures = [];
    const actor = await fresh(type, 2);
    await actor.timerThrows();
    await until(() => failures.length > 0);
    expect(failures[0]).toMatchObject({ id: String(actor), action: 'resume' });
    expect(await actor.work()).toBe(1);
    expect(persist).toBeTypeOf('string');
  });
});

describe('an actor that is restarted', () => {
  it('starts anew with each failure, and is ended by one too many', async () => {
    failures = [];
    const actor = await fresh(RestartedT, 2);
    await actor.work();
    const epochs = [await actor.epoch()];
    for (let failure = 0; failure < 3; failure++) {
      expect(await ending(actor.throwError())).toMatchObject({ code: 'REMOTE' });
      expect(await actor.value()).toBe(0);
      epochs.push(await actor.epoch());
    }
    expect(epochs).toEqual([...new Set(epochs)].sort((a, b) => a - b));
    expect(await ending(actor.throwError())).toMatchObject({ code: 'REMOTE' });
    await until(() => failures.length === 4);
    expect(failures.map(({ action }) => action)).toEqual(['restart', 'restart', 'restart', 'stop']);
    // A named actor always exists: the next message wakes it, with a fresh state.
    expect(await actor.work()).toBe(1);
  });
});

describe('a kept actor', () => {
  it('whose state cannot be stored: BAD_MESSAGE, and the turn is undone', async () => {
    failures = [];
    const actor = await fresh(KeeperT, 1);
    expect(await actor.work()).toBe(1);
    expect(await ending(actor.spoil())).toMatchObject({
      code: 'BAD_MESSAGE',
      message: expect.stringMatching(/cannot be stored/),
    });
    expect(await actor.value()).toBe(1);
    expect(await actor.work()).toBe(2);
    await until(() => failures.length > 0);
    expect(failures[0]).toMatchObject({ action: 'roll-back' });
  });
});

describe('an actor that fails while it wakes', () => {
  it('fails its askers with the reason, each time anew, and nobody else', async () => {
    failures = [];
    const letters: { to: string; why: string }[] = [];
    node.on('dead-letter', event => letters.push(event));
    for (const late of ['', 'late']) {
      for (const thread of [0, 1]) {
        // On the calling thread as well, where a message takes another way.
        const type = thread === 0 ? CallersStillbornT : StillbornT;
        const dead = node.ref(type, `one${late}`);
        for (let attempt = 1; attempt <= 3; attempt++) {
          expect(await ending(dead.get())).toMatchObject({ code: 'REMOTE', message: `one${late} does not get up` });
        }
        letters.length = 0;
        tell(dead).get();
        await until(() => letters.length > 0);
        expect(letters).toMatchObject([{ to: String(dead), method: 'get', why: /does not get up/ }]);
      }
    }
    expect(failures).toHaveLength(16);
    const alive = await fresh(TroubleT, 1);
    expect(await alive.work()).toBe(1);
  });
});

describe('a promise that nobody awaits, and that rejects', () => {
  it('ends its thread, whose actors are back under higher epochs; the other thread never notices', async () => {
    const before = deaths.length;
    const actor = await fresh(TroubleT, 1);
    const epoch = await actor.epoch();
    const far = await fresh(TroubleT, 2);
    await far.work();
    tell(actor).floating();
    let served = 0;
    await until(async () => {
      served = await far.work();
      return deaths.length > before;
    });
    expect(await far.work()).toBe(served + 1);
    await until(async () => (await ending(call(actor, { deadlineMs: 200 }).value())) === 0);
    expect(await actor.epoch()).toBeGreaterThan(epoch);
    expect(deaths).toEqual([1]);
  });
});
