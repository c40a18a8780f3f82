// A thread dies: by an error, by exit, out of memory, from outside. Everybody else lives on, and what was stored comes back.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { call, type Node, type Ref, tell } from '../../src/index.ts';
import { KeptLifeT, type Life, LifeT, PatientT, Witness0T, Witness1T, Witness2T } from './actors/deaths.ts';
import { eventually, type Mortals, startMortals } from './mortals.ts';
import { eventsOf, failureOf, until } from './until.ts';

let mortals: Mortals;
let node: Node;

const start = async (options = {}): Promise<void> => {
  mortals = await startMortals(options);
  node = mortals.node;
};
afterEach(() => mortals.end());

const endless = { deadlineMs: Number.POSITIVE_INFINITY };

describe.each(['throw later', 'reject', 'exit', 'out of memory', 'terminate'] as const)(
  'a thread that dies: %s',
  how => {
    beforeEach(() => start(how === 'out of memory' ? { threadHeapMb: 64 } : {}));

    test('others live on; stored state comes back elsewhere, higher; the thread is used again', {
      timeout: 60_000,
    }, async () => {
      const [died, restarted] = [eventsOf(node, 'thread-died'), eventsOf(node, 'thread-restarted')];
      const kept = await mortals.living(KeptLifeT, 1, 3);
      const other = (await mortals.living(LifeT, 2, 1))[0] as Ref<Life>;
      const forgetful = (await mortals.living(LifeT, 1, 1))[0] as Ref<Life>;
      for (let i = 0; i < 5; i++) for (const each of kept) await each.add();
      const before = await Promise.all(kept.map(each => each.epoch()));
      const witnesses = [Witness0T, Witness1T, Witness2T].map(type => node.ref(type, 'w'));
      for (const witness of witnesses) for (const each of kept) await witness.watch(each);
      const pending = [
        failureOf(call(forgetful, endless).never()),
        failureOf(call(kept[0] as Ref<Life>, endless).never()),
      ];
      await other.add();

      await mortals.die(1, how);
      for (const each of await Promise.all(pending)) expect(each).toMatchObject({ code: 'UNKNOWN_OUTCOME' });
      expect(await other.add()).toBe(3);
      expect(died.map(each => each.thread)).toStrictEqual([1]);

      // Behind the ask that never ended there was nothing; all that was acknowledged is there.
      for (const [i, each] of kept.entries()) {
        expect(await eventually('a stored actor', () => each.add())).toBe(7);
        expect(await each.epoch()).toBeGreaterThan(before[i] as number);
        expect((await node.locate(each)).thread).toBe(2);
      }
      expect(await eventually('one that is not stored', () => forgetful.get())).toBe(0);

      await until('the thread to be back', () => restarted.length === 1);
      expect(restarted[0]).toMatchObject({ thread: 1 });
      for (const witness of [witnesses[0], witnesses[2]] as typeof witnesses) {
        expect(await witness.departures()).toStrictEqual(
          kept.map(each => ({ id: each.toString(), reason: 'thread-lost' })),
        );
      }
      // Pinned actors answer there, and others may move there.
      expect(
        await eventually('the witness there', () => (witnesses[1] as (typeof witnesses)[0]).departures()),
      ).toStrictEqual([]);
      const moves = kept[1] as Ref<Life>;
      const { epoch } = await node.locate(moves);
      expect((await node.relocate(moves, 'd/1')).epoch).toBeGreaterThan(epoch);
      expect(await moves.add()).toBe(8);
      expect(await moves.thread()).toBe(await mortals.killer(1).thread());
      expect(await node.describe()).toMatchObject({ restarts: 1 });
    });
  },
);

describe('a death at a bad moment', () => {
  beforeEach(() => start());

  test('of the thread an actor leaves: the actor is where it can be, with all that was acknowledged', {
    timeout: 60_000,
  }, async () => {
    const ref = (await mortals.living(KeptLifeT, 1, 1))[0] as Ref<Life>;
    await ref.add();
    const { epoch } = await node.locate(ref);
    await mortals.killer(1).arm('goodbye');
    const failure = await failureOf(node.relocate(ref, 'd/2'));
    expect(failure?.details.reason ?? failure?.code).toMatch(/source-died|UNKNOWN_OUTCOME|OVERLOADED/);
    expect(await eventually('the actor', () => ref.add())).toBe(3);
    expect((await node.locate(ref)).epoch).toBeGreaterThan(epoch);
    await until('the thread', async () => ((await node.describe()) as { restarts: number }).restarts === 1);
    await eventually('a move back', () => node.relocate(ref, 'd/1'));
    expect(await ref.add()).toBe(4);
  });

  test('of the thread an actor goes to: it stays, nothing is lost', { timeout: 60_000 }, async () => {
    const ref = (await mortals.living(KeptLifeT, 1, 1))[0] as Ref<Life>;
    const { epoch } = await node.locate(ref);
    await mortals.killer(2).arm('made');
    const moving = failureOf(node.relocate(ref, 'd/2'));
    const asks = Array.from({ length: 20 }, () => call(ref, { deadlineMs: 20_000 }).add());
    expect((await moving)?.details.reason).toBe('target-died');
    expect(await Promise.all(asks)).toStrictEqual(Array.from({ length: 20 }, (_, i) => i + 2));
    expect(await node.locate(ref)).toMatchObject({ thread: 1 });
    expect((await node.locate(ref)).epoch).toBeGreaterThan(epoch);
    expect(await ref.add()).toBe(22);
    await eventually('another try', () => node.relocate(ref, 'd/2'));
    expect(await ref.add()).toBe(23);
  });

  test('of the thread an actor has just come to: it comes back with what was stored', { timeout: 60_000 }, async () => {
    const refs = await mortals.living(KeptLifeT, 1, 5);
    await Promise.all(refs.map(each => node.relocate(each, 'd/2')));
    await Promise.all(refs.map(each => each.add()));
    await mortals.die(2, 'exit');
    for (const each of refs) expect(await eventually('the actor', () => each.add())).toBe(3);
    for (const each of refs) expect((await node.locate(each)).thread).toBe(1);
  });

  test('with tells waiting for a full mailbox: they go where the actor is next', { timeout: 60_000 }, async () => {
    const ref = (await mortals.living(PatientT, 1, 1))[0] as Ref<Life>;
    const open = failureOf(call(ref, endless).never());
    const slots = Array.from({ length: 20_000 }, () => tell(ref).add());
    const waiting = async (): Promise<number> => {
      const { threads } = (await node.describe()) as unknown as {
        threads: { router: { peers: { waiting: number }[] } }[];
      };
      return threads[0]?.router.peers.reduce((sum, each) => sum + each.waiting, 0) ?? 0;
    };
    // What is on its way when the mailbox is full is taken; then nothing more goes.
    let left = 0;
    await until('the others to wait', async () => {
      const before = left;
      left = await waiting();
      return left > 0 && left === before;
    });
    await mortals.die(1, 'terminate');
    expect((await open)?.code).toBe('UNKNOWN_OUTCOME');
    await Promise.all(slots);
    await until('those that waited', async () => (await ref.get()) === left);
    expect((await node.locate(ref)).thread).toBe(2);
  });

  test('what a dead thread had not read is told as dead letters', { timeout: 60_000 }, async () => {
    const letters = eventsOf(node, 'dead-letter');
    const ref = (await mortals.living(LifeT, 1, 1))[0] as Ref<Life>;
    const worker = await mortals.workerOf(1);
    const ended = worker.terminate();
    // It may read some of these yet, and is dead for the others; after a while they would go to its heir.
    for (let i = 0; i < 200; i++) {
      try {
        await tell(ref).add();
      } catch {
        // Refused is not lost.
      }
    }
    await ended;
    await until('the heir', async () => (await node.locate(ref)).thread === 2);
    for (const each of letters) expect(each).toMatchObject({ to: ref.toString(), method: 'add', args: [] });
    expect(letters.length).toBeLessThanOrEqual(200);
    expect(letters.length).toBeGreaterThan(0);
  });

  test('of both threads at once: both come back', { timeout: 60_000 }, async () => {
    const restarted = eventsOf(node, 'thread-restarted');
    const refs = [...(await mortals.living(KeptLifeT, 1, 3)), ...(await mortals.living(KeptLifeT, 2, 3))];
    const workers = await Promise.all([mortals.workerOf(1), mortals.workerOf(2)]);
    await Promise.all(workers.map(each => each.terminate()));
    for (const each of refs) expect(await eventually('a stored actor', () => each.add())).toBe(2);
    await until('both', () => new Set(restarted.map(each => each.thread)).size === 2);
    for (const each of refs)
      for (const to of [1, 2, 0, 1]) await eventually('a move', () => node.relocate(each, `d/${to}`));
    for (const each of refs) expect(await each.add()).toBe(3);
    const [one, two] = [node.ref(Witness1T, 'x'), node.ref(Witness2T, 'x')];
    await one.watch(two as never);
    await two.watch(one as never);
    expect(await one.keepAsking(refs, 3)).toStrictEqual({ ok: 18 });
    expect(await two.keepAsking(refs, 3)).toStrictEqual({ ok: 18 });
  });
});
