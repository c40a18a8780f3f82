// remind(): timers that are stored. They come at least once, also when nobody was awake when they were due.

import { beforeEach, describe, expect, it } from 'vitest';
import { createTestKit, type TestKit } from '../../../src/testing.ts';
import { LastingSleeperT, reminded, Sleeper, SleeperT } from './caller-back.ts';
import { GateT } from './gate.ts';
import { outcome } from './outcome.ts';

function start(disk?: TestKit['disk']): TestKit {
  const kit = createTestKit({ actors: [SleeperT, LastingSleeperT], ...(disk === undefined ? {} : { disk }) });
  Sleeper.clock = () => kit.clock.mono();
  return kit;
}
const log = (key = 'a'): string[] => reminded.get(key) ?? [];
const hour = 3_600_000;

beforeEach(() => {
  reminded.clear();
  Sleeper.failures = 0;
});

describe('a reminder', () => {
  it('comes once, when it is due, to an actor that has long been asleep', async () => {
    await using kit = start();
    await kit.ref(SleeperT, 'a').remind('wake up', 24 * hour);
    await kit.clock.advance(24 * hour - 1);
    expect(kit.isAwake('sleeper/a')).toBe(false);
    await kit.clock.advance(1);
    expect(log()).toEqual([`${24 * hour} wake up`]);
    await kit.clock.advance(48 * hour);
    expect(log()).toHaveLength(1);
  });

  it('can be set for a date', async () => {
    await using kit = start();
    await kit.ref(SleeperT, 'a').remind('then', new Date(kit.clock.now() + 1_234));
    await kit.clock.advance(2_000);
    expect(log()).toEqual(['1234 then']);
  });

  it('that is due already comes at once', async () => {
    await using kit = start();
    await kit.ref(SleeperT, 'a').remind('late', new Date(0));
    await kit.ref(SleeperT, 'a').remind('now', 0);
    await kit.clock.advance(0);
    expect(log().sort()).toEqual(['0 late', '0 now']);
  });

  it('can be periodic: first after one period, then every one, through sleep', async () => {
    await using kit = start();
    await kit.ref(SleeperT, 'a').remind('tick', { everyMs: hour });
    await kit.clock.advance(3 * hour + 1);
    expect(log()).toEqual([`${hour} tick`, `${2 * hour} tick`, `${3 * hour} tick`]);
  });

  it('replaces the one of the same name, and leaves those of others alone', async () => {
    await using kit = start();
    await kit.ref(SleeperT, 'a').remind('x', 100);
    await kit.ref(SleeperT, 'a').remind('x', 300);
    await kit.ref(SleeperT, 'b').remind('x', 200);
    await kit.ref(SleeperT, 'a').remind('y', 200);
    await kit.clock.advance(1_000);
    expect(log('a')).toEqual(['200 y', '300 x']);
    expect(log('b')).toEqual(['200 x']);
  });

  it('can be set again from its own handler', async () => {
    await using kit = start();
    await kit.ref(SleeperT, 'a').remind('again', 50);
    await kit.clock.advance(220);
    expect(log()).toEqual(['50 again', '100 again', '150 again', '200 again']);
  });

  it('whose handler fails comes again', async () => {
    await using kit = start();
    Sleeper.failures = 2;
    await kit.ref(SleeperT, 'a').remind('x', 100);
    await kit.clock.advance(10_000);
    expect(log()).toEqual(['100 x', '1100 x', '2100 x']);
  });

  it('whose handler takes long comes once, however long', async () => {
    await using kit = start();
    const gate = kit.probe(GateT, 'gate');
    await kit.ref(SleeperT, 'a').remind('slow', 100);
    await kit.clock.advance(4_000);
    await gate.expect('pass').reply();
    await kit.ref(SleeperT, 'a').remind('slow too', 100);
    for (let n = 0; n < 3; n++) await kit.clock.advance(4_000);
    await kit.settle();
    expect(log()).toEqual(['100 slow', '4100 slow too', '10100 slow too']);
  });

  it('is a message like others: it waits for its turn', async () => {
    await using kit = start();
    const gate = kit.probe(GateT, 'gate');
    await kit.ref(SleeperT, 'a').remind('x', 10);
    const holding = kit.ref(SleeperT, 'a').holdAndCancel('nothing');
    await kit.clock.advance(1_000);
    expect(log()).toEqual([]);
    await gate.expect('pass').reply();
    await holding;
    await kit.settle();
    expect(log()).toEqual(['1000 x']);
  });
});

describe('cancel(name)', () => {
  it('ends a reminder for good, also in the store', async () => {
    const kit = start();
    await kit.ref(SleeperT, 'a').remind('x', 100);
    await kit.ref(SleeperT, 'a').cancel('x');
    await kit.ref(SleeperT, 'a').cancel('never was');
    await kit.clock.advance(1_000);
    await kit.close();
    const again = start(kit.disk);
    await again.clock.advance(1_000);
    expect(log()).toEqual([]);
    await again.close();
  });

  it('ends a periodic one, also from its own handler after some time', async () => {
    await using kit = start();
    await kit.ref(SleeperT, 'a').remind('tick', { everyMs: 100 });
    await kit.clock.advance(250);
    await kit.ref(SleeperT, 'a').cancel('tick');
    await kit.ref(SleeperT, 'a').remind('cancel me', { everyMs: 100 });
    await kit.clock.advance(1_000);
    expect(log()).toEqual(['100 tick', '200 tick', '350 cancel me']);
  });

  it('holds back one that is due and waits for its turn', async () => {
    await using kit = start();
    const gate = kit.probe(GateT, 'gate');
    await kit.ref(SleeperT, 'a').remind('x', 10);
    const holding = kit.ref(SleeperT, 'a').holdAndCancel('x');
    await kit.clock.advance(100);
    await gate.expect('pass').reply();
    await holding;
    await kit.clock.advance(10_000);
    expect(log()).toEqual([]);
  });

  it('lets the same name be set again, also after it has come some times', async () => {
    await using kit = start();
    await kit.ref(SleeperT, 'a').remind('tick', { everyMs: 100 });
    await kit.clock.advance(300);
    await kit.ref(SleeperT, 'a').remind('tick', 500);
    await kit.clock.advance(1_000);
    expect(log()).toEqual(['100 tick', '200 tick', '300 tick', '800 tick']);
  });
});

describe('a reminder survives', () => {
  it('the end of its actor', async () => {
    await using kit = start();
    await kit.ref(SleeperT, 'a').remind('x', 100);
    await kit.ref(SleeperT, 'a').stop();
    await kit.clock.advance(100);
    expect(log()).toEqual(['100 x']);
  });

  it('a crash', async () => {
    await using kit = start();
    await kit.ref(SleeperT, 'a').remind('x', 100);
    await kit.crash('sleeper/a');
    await kit.clock.advance(100);
    expect(log()).toEqual(['100 x']);
  });

  it('a move', async () => {
    await using kit = start();
    await kit.ref(SleeperT, 'a').remind('tick', { everyMs: 100 });
    await kit.clock.advance(150);
    await kit.relocate('sleeper/a');
    await kit.clock.advance(100);
    await kit.ref(SleeperT, 'a').cancel('tick');
    await kit.clock.advance(1_000);
    expect(log()).toEqual(['100 tick', '200 tick']);
  });

  it('the end of the process, with the time it had left on the clock of the wall', async () => {
    const kit = start();
    await kit.ref(SleeperT, 'a').remind('x', 300);
    await kit.ref(SleeperT, 'b').remind('tick', { everyMs: 200 });
    await kit.clock.advance(100);
    await kit.close();
    const again = start(kit.disk);
    await again.clock.advance(500);
    expect(log('a')).toEqual(['300 x']);
    expect(log('b')).toEqual(['200 tick', '400 tick']);
    await again.ref(SleeperT, 'b').cancel('tick');
    await again.clock.advance(500);
    expect(log('b')).toHaveLength(2);
    await again.close();
  });

  it('a crash of the process, once remind() has resolved', async () => {
    const kit = start();
    await kit.ref(SleeperT, 'a').remind('kept', 300);
    kit.disk.hold();
    const unsure = outcome(kit.ref(SleeperT, 'a').remind('unsure', 300));
    await kit.settle();
    kit.disk.crash();
    expect((await unsure).code).toBeDefined();
    const again = start(kit.disk);
    await again.clock.advance(500);
    expect(log()).toEqual(['300 kept']);
    await again.close();
  });
});

describe('the clock of the wall', () => {
  it('set back makes a reminder wait: it is due at its time of day', async () => {
    await using kit = start();
    await kit.ref(SleeperT, 'a').remind('x', new Date(kit.clock.now() + 1_000));
    kit.clock.shiftWall(-500);
    await kit.clock.advance(1_000);
    expect(log()).toEqual([]);
    await kit.clock.advance(500);
    expect(log()).toEqual(['1500 x']);
  });

  it('set forward brings it within an hour', async () => {
    await using kit = start();
    await kit.ref(SleeperT, 'a').remind('x', 100 * hour);
    kit.clock.shiftWall(100 * hour);
    await kit.clock.advance(hour);
    expect(log()).toEqual([`${hour} x`]);
  });
});

describe('remind()', () => {
  it.each([
    ['', 5],
    ['x'.repeat(257), 5],
    [7, 5],
    ['x', Number.NaN],
    ['x', -1],
    ['x', Number.NEGATIVE_INFINITY],
    ['x', '2026-01-01'],
    ['x', {}],
    ['x', null],
    ['x', { everyMs: 0 }],
    ['x', { everyMs: '5' }],
    ['x', { everyMS: 5 }],
    ['x', new Date(Number.NaN)],
    ['x', 1e300],
  ])('refuses %j, %j', async (name, when) => {
    await using kit = start();
    expect(await outcome(kit.ref(SleeperT, 'a').remind(name as never, when as never))).toMatchObject({
      code: 'BAD_OPTION',
    });
    await kit.clock.advance(10);
    expect(log()).toEqual([]);
  });

  it('is refused when the disk is full, and nothing is armed', async () => {
    await using kit = start();
    kit.disk.diskFull = true;
    expect(await outcome(kit.ref(SleeperT, 'a').remind('x', 10))).toMatchObject({ code: 'DISK_FULL' });
    await kit.clock.advance(100);
    expect(log()).toEqual([]);
  });

  it('does not disturb the fence of a persisted actor', async () => {
    await using kit = start();
    const a = kit.ref(LastingSleeperT, 'a');
    await a.remind('tick', { everyMs: 100 });
    for (let n = 1; n <= 5; n++) {
      await kit.clock.advance(100);
      expect(await a.add()).toBe(n);
    }
    expect(log()).toHaveLength(5);
  });
});
