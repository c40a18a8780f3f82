// call(ref, { opId }): an operation that is retried is done once.

import { afterEach, describe, expect, test } from 'vitest';
import { call } from '../../../src/runtime/refs.ts';
import { createTestKit, type TestKit } from '../../../src/testing.ts';
import { CounterT } from '../cart.ts';
import { ExplicitCounterT, SavedCounterT } from './op-id.ts';

let kit: TestKit;
afterEach(() => kit.close());

describe('an operation with an id', () => {
  test('is done once however often it is retried, and each try gets its answer', async () => {
    kit = createTestKit({ actors: [CounterT] });
    const counter = kit.ref(CounterT, 'a');
    expect(await call(counter, { opId: 'r-1' }).add(5)).toBe(5);
    expect(await call(counter, { opId: 'r-1' }).add(5)).toBe(5);
    expect(await call(counter, { opId: 'r-2' }).add(5)).toBe(10);
    expect(await counter.get()).toBe(10);
  });

  test('that still runs is joined by its retry, not begun again', async () => {
    kit = createTestKit({ actors: [SavedCounterT] });
    const counter = kit.ref(SavedCounterT, 'a');
    const first = call(counter, { opId: 'r' }).slowly();
    await kit.settle();
    const second = call(counter, { opId: 'r' }).slowly();
    await kit.settle();
    await counter.release();
    expect(await Promise.all([first, second])).toEqual([1, 1]);
    expect(await counter.get()).toBe(1);
  });

  test('that still runs is not begun again when a write of another one has been refused meanwhile', async () => {
    kit = createTestKit({ actors: [SavedCounterT] });
    const counter = kit.ref(SavedCounterT, 'a');
    const first = call(counter, { opId: 'r' }).slowly();
    await kit.settle();
    kit.disk.diskFull = true;
    await expect(counter.add(5)).rejects.toMatchObject({ code: 'DISK_FULL' });
    kit.disk.diskFull = false;
    const second = call(counter, { opId: 'r' }).slowly();
    await kit.settle();
    await counter.release();
    expect(await Promise.all([first, second])).toEqual([1, 1]);
    await kit.crash('saved-counter/a');
    expect(await call(counter, { opId: 'r' }).slowly()).toBe(1);
  });

  test('that still runs is not begun again when a retry of it has run out of time', async () => {
    kit = createTestKit({ actors: [SavedCounterT] });
    const counter = kit.ref(SavedCounterT, 'a');
    const slowly = (deadlineMs: number): Promise<unknown> =>
      call(counter, { opId: 'r', deadlineMs })
        .slowly()
        .catch(error => error.code);
    const first = slowly(60_000);
    await kit.settle();
    const impatient = slowly(100);
    await kit.clock.advance(200);
    expect(await impatient).toBe('UNKNOWN_OUTCOME');
    const third = slowly(60_000);
    await kit.settle();
    await counter.release();
    await kit.settle();
    expect(await Promise.all([first, third])).toEqual([1, 1]);
    expect(await counter.get()).toBe(1);
  });

  test('that failed after its asker had given up may be tried again, too', async () => {
    kit = createTestKit({ actors: [SavedCounterT] });
    const counter = kit.ref(SavedCounterT, 'a');
    const asked = (): Promise<unknown> =>
      call(counter, { opId: 'r', deadlineMs: 100 })
        .failLate()
        .catch(error => error.code);
    const first = asked();
    await kit.clock.advance(200);
    expect(await first).toBe('UNKNOWN_OUTCOME');
    await counter.release();
    await kit.settle();
    const second = asked();
    await kit.settle();
    await counter.release();
    expect(await second).toBe('REMOTE');
  });

  test('that failed may be tried again', async () => {
    kit = createTestKit({ actors: [SavedCounterT] });
    const counter = kit.ref(SavedCounterT, 'a');
    await expect(call(counter, { opId: 'r' }).failOnce()).rejects.toMatchObject({ code: 'REMOTE' });
    expect(await call(counter, { opId: 'r' }).failOnce()).toBe('done');
  });

  test('is remembered with the state it belongs to: by a crash both stay', async () => {
    kit = createTestKit({ actors: [SavedCounterT] });
    const counter = kit.ref(SavedCounterT, 'a');
    expect(await call(counter, { opId: 'r' }).add(3)).toBe(3);
    await kit.crash('saved-counter/a');
    expect(await call(counter, { opId: 'r' }).add(3)).toBe(3);
    expect(await counter.get()).toBe(3);
  });

  test('is remembered across a move', async () => {
    kit = createTestKit({ actors: [CounterT] });
    const counter = kit.ref(CounterT, 'a');
    expect(await call(counter, { opId: 'r' }).add(3)).toBe(3);
    await kit.relocate('counter/a');
    expect(await call(counter, { opId: 'r' }).add(3)).toBe(3);
  });

  test('is forgotten together with a write that was refused', async () => {
    kit = createTestKit({ actors: [SavedCounterT] });
    const counter = kit.ref(SavedCounterT, 'a');
    await counter.add(1);
    kit.disk.diskFull = true;
    await expect(call(counter, { opId: 'r' }).add(3)).rejects.toMatchObject({ code: 'DISK_FULL' });
    kit.disk.diskFull = false;
    expect(await call(counter, { opId: 'r' }).add(3)).toBe(4);
  });

  test('is remembered while its actor sleeps and when it was evicted, though nothing of it is stored', async () => {
    kit = createTestKit({ actors: [CounterT], residentsMax: 1 });
    const counter = kit.ref(CounterT, 'a');
    expect(await call(counter, { opId: 'r' }).add(3)).toBe(3);
    await kit.clock.advance(3_600_000);
    expect(kit.describe()).toMatchObject({ sleeping: 1, residents: { size: 0 } });
    expect(await call(counter, { opId: 'r' }).add(3)).toBe(3);
    for (let i = 0; i < 20; i++) await kit.ref(CounterT, `other-${i}`).add(1);
    await kit.settle();
    expect(await call(counter, { opId: 'r' }).add(3)).toBe(3);
    expect(await counter.get()).toBe(3);
  });

  test('that left the state as it was at first is remembered in sleep, too', async () => {
    kit = createTestKit({ actors: [CounterT] });
    const counter = kit.ref(CounterT, 'a');
    expect(await call(counter, { opId: 'r' }).add(3)).toBe(3);
    await counter.add(-3);
    await kit.clock.advance(3_600_000);
    expect(await call(counter, { opId: 'r' }).add(3)).toBe(3);
    expect(await counter.get()).toBe(0);
  });

  test.each(['sleeps', 'sleeps after a move', 'stops with the node'])(
    'of an actor that saves explicitly is stored with the state that is stored when it %s',
    async when => {
      kit = createTestKit({ actors: [ExplicitCounterT] });
      expect(await call(kit.ref(ExplicitCounterT, 'a'), { opId: 'r' }).add(3)).toBe(3);
      if (when.startsWith('sleeps')) {
        if (when.endsWith('move')) await kit.relocate('explicit-counter/a');
        await kit.clock.advance(3_600_000);
      } else {
        await kit.close();
        kit = createTestKit({ actors: [ExplicitCounterT], disk: kit.disk });
      }
      const counter = kit.ref(ExplicitCounterT, 'a');
      expect(await call(counter, { opId: 'r' }).add(3)).toBe(3);
      expect(await counter.get()).toBe(3);
    },
  );

  test('of an actor that saves explicitly goes with what it has saved; by a crash unsaved ones are undone and forgotten', async () => {
    kit = createTestKit({ actors: [ExplicitCounterT] });
    const counter = kit.ref(ExplicitCounterT, 'a');
    expect(await call(counter, { opId: 'saved' }).addAndSave(3)).toBe(3);
    expect(await call(counter, { opId: 'unsaved' }).add(4)).toBe(7);
    await kit.crash('explicit-counter/a');
    expect(await call(counter, { opId: 'saved' }).addAndSave(3)).toBe(3);
    expect(await counter.get()).toBe(3);
    expect(await call(counter, { opId: 'unsaved' }).add(4)).toBe(7);
  });

  test.each(['', 'x'.repeat(65), 'ü', 7 as unknown as string])('needs a sound id: %s is refused', async opId => {
    kit = createTestKit({ actors: [CounterT] });
    await expect(call(kit.ref(CounterT, 'a'), { opId }).add(1)).rejects.toMatchObject({ code: 'BAD_OPTION' });
  });
});
