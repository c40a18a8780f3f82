// Idle actors go to sleep and come back as they were; above the cap those least wanted go first. DESIGN.md section 2.

import { beforeEach, describe, expect, it } from 'vitest';
import { tell } from '../../../src/runtime/refs.ts';
import { createTestKit, type TestKit } from '../../../src/testing.ts';
import { GateT } from './gate.ts';
import { type Nap, NapperT, naps, StoredNapperT, WrittenNapperT } from './napper.ts';
import { outcome } from './outcome.ts';

const types = [NapperT, StoredNapperT, WrittenNapperT];
const start = (options: Partial<Parameters<typeof createTestKit>[0]> = {}): TestKit =>
  createTestKit({ actors: types, ...options });

beforeEach(() => naps.clear());

describe('an actor that nobody needs', () => {
  it.each(types)('goes to sleep after idleMs and comes back with its state ($type)', async type => {
    await using kit = start();
    const a = kit.ref(type, 'a');
    expect(await a.add(1)).toBe(1);
    await kit.clock.advance(59_000);
    expect(kit.isAwake(`${type.type}/a`)).toBe(true);
    await kit.clock.advance(1_500);
    expect(kit.isAwake(`${type.type}/a`)).toBe(false);
    expect(await a.add(1)).toBe(2);
    expect(naps.get('a')).toEqual(['up', 'down idle', 'up']);
  });

  it('is counted from its last turn: use keeps it awake', async () => {
    await using kit = start();
    for (let n = 0; n < 10; n++) {
      await kit.ref(NapperT, 'a').add(1);
      await kit.clock.advance(40_000);
    }
    expect(naps.get('a')).toEqual(['up']);
  });

  it('is counted from the end of a long turn', async () => {
    await using kit = start();
    const gate = kit.probe(GateT, 'gate');
    const long = outcome(kit.ref(NapperT, 'a').hold());
    await kit.clock.advance(120_000);
    await gate.expect('pass').reply();
    await long;
    await kit.clock.advance(50_000);
    expect(kit.isAwake('napper/a')).toBe(true);
    await kit.clock.advance(11_000);
    expect(kit.isAwake('napper/a')).toBe(false);
  });

  it('that has nothing but its first state leaves nothing behind', async () => {
    await using kit = start();
    for (let n = 0; n < 50; n++) await kit.ref(NapperT, String(n)).add(0);
    await kit.clock.advance(61_000);
    expect(kit.describe()).toMatchObject({ sleeping: 0, residents: { size: 0 } });
  });

  it('is made anew each time: only what is in its state comes back', async () => {
    await using kit = start();
    const a = kit.ref(NapperT, 'a');
    await a.scribble();
    expect(await a.scribbles()).toBe(1);
    await kit.clock.advance(61_000);
    expect(await a.scribbles()).toBe(0);
  });

  it('can go to sleep many times', async () => {
    await using kit = start();
    for (let n = 1; n <= 20; n++) {
      expect(await kit.ref(StoredNapperT, 'a').add(1)).toBe(n);
      await kit.clock.advance(61_000);
    }
  });

  it('may stay awake for ever: idleMs Infinity', async () => {
    const { RestlessT } = await import('./napper.ts');
    await using kit = createTestKit({ actors: [RestlessT] });
    await kit.ref(RestlessT, 'a').add(1);
    await kit.clock.advance(30 * 86_400_000);
    expect(kit.isAwake('restless/a')).toBe(true);
  });
});

describe('what comes while an actor goes to sleep', () => {
  it.each(types)('is not lost, and keeps its order ($type)', async type => {
    await using kit = start();
    const gate = kit.probe(GateT, 'gate');
    const key = 'slow to bed';
    const a = kit.ref(type, key);
    await a.add(1);
    await kit.clock.advance(61_000);
    // onDeactivate() waits at the gate: the actor is neither awake nor asleep.
    expect(naps.get(key)).toEqual(['up', 'down idle']);
    tell(a).note('1');
    const asked = a.add(1);
    tell(a).note('2');
    const log = a.log();
    await kit.settle();
    await gate.expect('pass', ['bed']).reply();
    expect(await asked).toBe(2);
    expect(await log).toEqual(['1', '2']);
    expect(naps.get(key)).toEqual(['up', 'down idle', 'up']);
  });

  it('and the write is still under way, waits for it', async () => {
    await using kit = start();
    const a = kit.ref(StoredNapperT, 'a');
    await a.add(1);
    await kit.clock.advance(59_000);
    kit.disk.hold();
    const last = outcome(a.add(1));
    await kit.clock.advance(120_000);
    const during = a.add(1);
    await kit.settle();
    kit.disk.release();
    expect(await Promise.all([last, during])).toMatchObject([{ code: 'UNKNOWN_OUTCOME' }, 3]);
  });

  it('keeps its deadline', async () => {
    await using kit = start();
    kit.probe(GateT, 'gate');
    const a = kit.ref(NapperT, 'slow to bed');
    await a.add(1);
    await kit.clock.advance(61_000);
    const asked = outcome(a.add(1));
    await kit.clock.advance(5_000);
    expect(await asked).toMatchObject({ code: 'DEADLINE' });
  });
});

describe('what keeps an actor awake', () => {
  it.each<[string, (nap: Nap) => Promise<unknown>]>([
    ['an open turn', nap => outcome(nap.hold())],
    ['an ask without end', nap => outcome(nap.ask())],
    ['a timer', nap => nap.timer()],
    ['a child', nap => nap.child()],
    ['a stashed message', nap => outcome(nap.stash())],
    ['somebody it watches', nap => nap.watch()],
  ])('%s', async (_, keep) => {
    await using kit = start();
    kit.probe(GateT, 'gate');
    void keep(kit.ref(NapperT, 'a') as unknown as Nap);
    await kit.clock.advance(10 * 60_000);
    expect(kit.isAwake('napper/a')).toBe(true);
  });
});

describe('the cap on residents', () => {
  it('is kept: the rest sleep, and all come back with their state', async () => {
    await using kit = start({ residentsMax: 100 });
    for (let n = 0; n < 400; n++) await kit.ref(NapperT, String(n)).add(n);
    await kit.clock.advance(2_000);
    const { residents } = kit.describe() as { residents: { size: number; evicted: number } };
    expect(residents.size).toBeLessThanOrEqual(100);
    expect(residents.evicted).toBeGreaterThanOrEqual(300);
    for (let n = 0; n < 400; n++) expect(await kit.ref(NapperT, String(n)).add(0)).toBe(n);
  });

  it('spares those that are used again and again', async () => {
    await using kit = start({ residentsMax: 50 });
    const hot = Array.from({ length: 10 }, (_, n) => kit.ref(NapperT, `hot ${n}`));
    for (let round = 0; round < 20; round++) {
      for (const each of hot) await each.add(1);
      for (let n = 0; n < 30; n++) await kit.ref(NapperT, `scan ${round} ${n}`).add(1);
      await kit.clock.advance(500);
    }
    const woken = hot.map((_, n) => (naps.get(`hot ${n}`) as string[]).filter(each => each === 'up').length);
    expect(Math.max(...woken)).toBeLessThanOrEqual(3);
  });
});
