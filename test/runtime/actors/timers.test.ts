// after() and every(): turns of their actor at a time, in virtual time here. DESIGN.md section 2, "Timers and reminders".

import { describe, expect, it } from 'vitest';
import { createTestKit } from '../../../src/testing.ts';
import { GateT } from './gate.ts';
import { outcome } from './outcome.ts';
import { Clocked, ClockedT } from './sorter.ts';

function start() {
  const kit = createTestKit({ actors: [ClockedT] });
  Clocked.clock = () => kit.clock.mono();
  const gate = kit.probe(GateT, 'gate');
  const a = kit.ref(ClockedT, 'a');
  return { kit, gate, a, log: () => (kit.state('clocked/a') as Clocked['state']).log };
}

describe('after()', () => {
  it('runs once, when its time has come and not before', async () => {
    const { kit, a, log } = start();
    await a.after(100);
    await kit.clock.advance(99);
    expect(log()).toEqual([]);
    await kit.clock.advance(1);
    expect(log()).toEqual(['100 after']);
    await kit.clock.advance(10_000);
    expect(log()).toEqual(['100 after']);
  });

  it('runs by due time, those of one moment in the order they were made', async () => {
    const { kit, a, log } = start();
    for (const [ms, text] of [
      [30, 'c'],
      [10, 'a'],
      [20, 'b1'],
      [20, 'b2'],
      [0, 'now'],
    ] as const)
      await a.after(ms, text);
    await kit.clock.advance(30);
    expect(log()).toEqual(['0 now', '10 a', '20 b1', '20 b2', '30 c']);
  });

  it('takes the name of a method, and a method as a function', async () => {
    const { kit, a, log } = start();
    await a.afterNamed(10);
    await a.afterMethod(20);
    await kit.clock.advance(20);
    expect(log()).toEqual(['10 tick', '20 tick']);
    expect(kit.effects('clocked/a').map(({ kind, work }) => [kind, work])).toEqual([
      ['timer', 'tick'],
      ['timer', 'tick'],
    ]);
  });

  it('refuses a method that is not there, and times that are none', async () => {
    const { a } = start();
    expect(await outcome(a.afterNamed(10, 'nothing'))).toMatchObject({ details: { code: 'NO_METHOD' } });
    expect(await outcome(a.afterNamed(10, 'constructor'))).toMatchObject({ details: { code: 'NO_METHOD' } });
    for (const ms of [-1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60, '5' as unknown as number]) {
      expect(await outcome(a.after(ms))).toMatchObject({ code: 'BAD_OPTION' });
    }
    for (const ms of [0, 0.5, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(await outcome(a.every(ms))).toMatchObject({ code: 'BAD_OPTION' });
    }
  });

  it('reaches far: months ahead', async () => {
    const { kit, a, log } = start();
    const ms = 100 * 86_400_000;
    await a.after(ms);
    await kit.clock.advance(ms - 1);
    expect(log()).toEqual([]);
    await kit.clock.advance(1);
    expect(log()).toEqual([`${ms} after`]);
  });

  it('is a turn: it waits for the turn that is open, and messages wait for it', async () => {
    const { kit, gate, a, log } = start();
    await a.after(10);
    const holding = a.hold();
    const behind = a.tick();
    await kit.clock.advance(50);
    expect(log()).toEqual(['0 hold(']);
    await gate.expect('pass').reply();
    await Promise.all([holding, behind]);
    expect(log()).toEqual(['0 hold(', '50 )hold', '50 after', '50 tick']);
  });

  it("runs a named method in that method's mode: a turn may wait for its own timer", async () => {
    const { kit, a } = start();
    const sleeping = a.sleep(100);
    await kit.clock.advance(100);
    expect(await sleeping).toBe('slept');
  });
});

describe('every()', () => {
  it('runs again and again, each at its own moment', async () => {
    const { kit, a, log } = start();
    await a.every(100);
    await kit.clock.advance(350);
    expect(log()).toEqual(['100 every', '200 every', '300 every']);
  });

  it('does not make up for what it missed while a turn was open', async () => {
    const { kit, gate, a, log } = start();
    await a.every(10);
    const holding = a.hold();
    await kit.clock.advance(100);
    await gate.expect('pass').reply();
    await holding;
    await kit.settle();
    expect(log()).toEqual(['0 hold(', '100 )hold', '100 every']);
    await kit.clock.advance(10);
    expect(log().at(-1)).toBe('110 every');
  });

  it('does not overlap itself', async () => {
    const { kit, gate, a, log } = start();
    await a.slowEvery(10);
    await kit.clock.advance(35);
    expect(log()).toEqual(['10 slow(']);
    await gate.expect('pass').reply();
    await kit.settle();
    expect(log()).toEqual(['10 slow(', '35 )slow', '35 slow(']);
  });

  it('goes on after a turn of its own that failed', async () => {
    const { kit, a, log } = start();
    await a.failingEvery(10);
    await kit.clock.advance(30);
    expect(log()).toEqual(['10 fails', '20 fails', '30 fails']);
    expect(kit.events.filter(event => event.name === 'actor-failed')).toHaveLength(3);
  });
});

describe('cancel()', () => {
  it('keeps a timer from running, and can be said twice', async () => {
    const { kit, a, log } = start();
    const id = await a.after(10);
    await a.cancel(id);
    await a.cancel(id);
    await a.cancel(4_711);
    await kit.clock.advance(100);
    expect(log()).toEqual([]);
  });

  it('ends an every() from within', async () => {
    const { kit, a, log } = start();
    await a.everyThenCancelItself(10, 3);
    await kit.clock.advance(100);
    expect(log()).toEqual(['10 1', '20 2', '30 3']);
  });

  it('holds back a timer that has fired and waits for its turn', async () => {
    const { kit, gate, a, log } = start();
    const id = await a.after(10);
    const holding = a.holdAndCancel(id);
    await kit.clock.advance(50);
    await gate.expect('pass').reply();
    await holding;
    await kit.settle();
    expect(log()).toEqual([]);
  });
});

describe('timers', () => {
  it('end with their actor', async () => {
    const { kit, a } = start();
    await a.every(10);
    await a.stop();
    await kit.settle();
    await kit.clock.advance(1_000);
    expect(kit.isAwake('clocked/a')).toBe(false);
    expect(await a.log()).toEqual([]);
  });

  it('keep their actor awake', async () => {
    const { kit, a, log } = start();
    await a.after(10 * 60_000);
    await kit.clock.advance(10 * 60_000);
    expect(log()).toEqual(['600000 after']);
    await kit.clock.advance(61_000);
    expect(kit.isAwake('clocked/a')).toBe(false);
  });

  it('are kept by one timer of the world, however many there are', async () => {
    const { kit, a } = start();
    for (let n = 0; n < 200; n++) await a.after(1_000 + n);
    expect(kit.clock.pendingTimers).toBeLessThan(5);
  });

  it('are bounded', async () => {
    const { a } = start();
    await a.many(10_000);
    expect(await outcome(a.after(1))).toMatchObject({ code: 'REMOTE', details: { code: 'OVERLOADED' } });
  });
});
