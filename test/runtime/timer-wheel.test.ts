import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TimerWheel, type WheelEntry } from '../../src/runtime/timer-wheel.ts';

class Entry implements WheelEntry {
  at = 0.5;
  wheelPrev: WheelEntry | null = null;
  wheelNext: WheelEntry | null = null;
  wheelSlot = -1;
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

const year = 365.25 * 86_400_000;

function fired(wheel: TimerWheel<Entry>, nowMs: number): string[] {
  const names: string[] = [];
  wheel.advance(nowMs, entry => names.push(entry.name));
  return names;
}

function armed(wheel: TimerWheel<Entry>, name: string, atMs: number): Entry {
  const entry = new Entry(name);
  wheel.add(entry, atMs);
  return entry;
}

describe('the timing wheel', () => {
  test('fires by due time, and by insertion within a millisecond', () => {
    const wheel = new TimerWheel<Entry>(1_000);
    for (const [name, at] of Object.entries({ d: 9_000, a: 1_003, c: 5_000, b: 1_003, e: 1e6 })) armed(wheel, name, at);
    expect(fired(wheel, 1e7)).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(wheel.count).toBe(0);
    expect(wheel.nextAt()).toBe(Number.POSITIVE_INFINITY);
  });

  test('insertion order within a millisecond survives entries coming down from different levels', () => {
    const wheel = new TimerWheel<Entry>(0);
    armed(wheel, 'far', 300_000);
    fired(wheel, 299_000);
    armed(wheel, 'nearer', 300_000);
    fired(wheel, 299_990);
    armed(wheel, 'near', 300_000);
    expect(fired(wheel, 299_999.99)).toEqual([]);
    expect(fired(wheel, 300_000)).toEqual(['far', 'nearer', 'near']);
  });

  test('never fires early, also when due between two milliseconds', () => {
    const wheel = new TimerWheel<Entry>(10.7);
    armed(wheel, 'a', 12.3);
    expect(fired(wheel, 12.9)).toEqual([]);
    expect(wheel.nextAt()).toBe(13);
    expect(fired(wheel, 13)).toEqual(['a']);
  });

  test.each([
    ['starting at zero', 0],
    ['starting below zero', -7_000.5],
    ['starting at a wall-clock time', 1_770_000_000_000.25],
  ])('keeps delays of years exactly, %s', (_, start) => {
    const wheel = new TimerWheel<Entry>(start);
    const delays = [1, 63, 64, 65, 4_095, 4_096, 2 ** 30 - 1, 2 ** 30, 2 ** 31 + 5, year, 30 * year, 150 * year];
    for (const delay of delays) armed(wheel, String(delay), start + delay);
    for (const delay of delays) {
      expect(fired(wheel, Math.ceil(start + delay) - 1)).toEqual([]);
      expect(fired(wheel, Math.ceil(start + delay))).toEqual([String(delay)]);
    }
  });

  test('a driver that sleeps until nextAt meets every entry in its millisecond and wakes a few times for each at most', () => {
    const wheel = new TimerWheel<Entry>(0.5);
    const due = [3.2, 70, 5_000, 5_000.5, 86_400_000, 2 ** 30 + 77.5, 2 * year];
    for (const at of due) armed(wheel, String(at), at);
    const met: number[] = [];
    let wakes = 0;
    for (let now = wheel.nextAt(); now !== Number.POSITIVE_INFINITY; now = wheel.nextAt(), wakes++) {
      wheel.advance(now, entry => {
        expect(now).toBe(Math.ceil(entry.at));
        met.push(entry.at);
      });
    }
    expect(met).toEqual(due);
    expect(wakes).toBeLessThanOrEqual(due.length); // few share a slot, so no wake is in vain
  });

  test('many in one far slot: nextAt is early rather than late', () => {
    const wheel = new TimerWheel<Entry>(0);
    for (let i = 0; i < 20; i++) armed(wheel, String(i), 5_000 + i);
    expect(wheel.nextAt()).toBe(4_096);
    expect(fired(wheel, 4_096)).toEqual([]);
    expect(wheel.nextAt()).toBeLessThanOrEqual(5_000);
    expect(fired(wheel, 5_000)).toEqual(['0']);
  });

  test('a cancelled entry never fires, and cancelling again says so', () => {
    const wheel = new TimerWheel<Entry>(0);
    const entry = armed(wheel, 'a', 50);
    armed(wheel, 'b', 50);
    expect(wheel.cancel(entry)).toBe(true);
    expect(wheel.cancel(entry)).toBe(false);
    expect([entry.wheelPrev, entry.wheelNext]).toEqual([null, null]);
    expect(fired(wheel, 100)).toEqual(['b']);
    expect(wheel.cancel(entry)).toBe(false);
  });

  test('adding an entry that waits moves it', () => {
    const wheel = new TimerWheel<Entry>(0);
    const entry = armed(wheel, 'a', 50);
    wheel.add(entry, 500);
    expect(wheel.count).toBe(1);
    expect(fired(wheel, 499)).toEqual([]);
    expect(fired(wheel, 500)).toEqual(['a']);
  });

  test('what is due already fires at the next advance, even when time stands still', () => {
    const wheel = new TimerWheel<Entry>(1_000);
    armed(wheel, 'now', 1_000);
    armed(wheel, 'past', -5);
    expect(wheel.nextAt()).toBe(1_000);
    expect(fired(wheel, 1_000)).toEqual(['now', 'past']);
  });

  test('an entry that re-arms itself for the present waits for the next advance; a later one within it fires at once', () => {
    const wheel = new TimerWheel<Entry>(0);
    const log: string[] = [];
    const again = armed(wheel, 'again', 5);
    const soon = new Entry('soon');
    const fire = (entry: Entry) => {
      log.push(entry.name);
      if (entry === again) {
        wheel.add(again, 5);
        wheel.add(soon, 8);
      }
    };
    wheel.advance(10, fire);
    expect(log).toEqual(['again', 'soon']);
    expect(wheel.nextAt()).toBe(10);
    wheel.advance(10, fire);
    expect(log).toEqual(['again', 'soon', 'again']);
  });

  test('fire may cancel its neighbours of the same millisecond', () => {
    const wheel = new TimerWheel<Entry>(0);
    const all = ['a', 'b', 'c', 'd'].map(name => armed(wheel, name, 7));
    const log: string[] = [];
    wheel.advance(7, entry => {
      log.push(entry.name);
      if (entry.name === 'a') wheel.cancel(all[1] as Entry);
      if (entry.name === 'c') wheel.cancel(all[3] as Entry);
    });
    expect(log).toEqual(['a', 'c']);
    expect(wheel.count).toBe(0);
  });

  test('when fire throws, the rest stays armed and fires next time', () => {
    const wheel = new TimerWheel<Entry>(10);
    for (const [name, at] of Object.entries({ late: 1, late2: 2, a: 15, b: 15, c: 99 })) armed(wheel, name, at);
    const log: string[] = [];
    const fire = (entry: Entry) => {
      log.push(entry.name);
      if (entry.name === 'late' || entry.name === 'a') throw new Error(`from ${entry.name}`);
    };
    expect(() => wheel.advance(100, fire)).toThrow('from late');
    expect(() => wheel.advance(100, fire)).toThrow('from a');
    wheel.advance(100, fire);
    expect(log).toEqual(['late', 'late2', 'a', 'b', 'c']);
  });

  test('refuses times that are no times, and to be advanced from within fire', () => {
    const wheel = new TimerWheel<Entry>(0);
    expect(() => wheel.add(new Entry('x'), Number.NaN)).toThrow(RangeError);
    expect(() => wheel.add(new Entry('x'), Number.POSITIVE_INFINITY)).toThrow(RangeError);
    expect(wheel.count).toBe(0);
    expect(() => wheel.advance(Number.NaN, () => {})).toThrow(RangeError);
    expect(() => new TimerWheel(Number.NaN)).toThrow(RangeError);
    armed(wheel, 'a', 1);
    expect(() => wheel.advance(1, () => wheel.advance(2, () => {}))).toThrow('from within fire');
  });

  test('agrees with a sorted list, whatever is added, cancelled and advanced, also from within fire', () => {
    const delay = fc.oneof(
      { weight: 4, arbitrary: fc.integer({ min: -3, max: 130 }) },
      { weight: 3, arbitrary: fc.integer({ min: 0, max: 9_000 }) },
      { weight: 1, arbitrary: fc.double({ min: 0, max: 300, noNaN: true }) },
      { weight: 1, arbitrary: fc.integer({ min: 0, max: 2 ** 32 }) },
      { weight: 1, arbitrary: fc.maxSafeInteger().map(n => Math.abs(n) % 2 ** 45) },
    );
    const op = fc.oneof(
      fc.record({ type: fc.constant('add' as const), delay, inFire: fc.option(delay) }),
      fc.record({ type: fc.constant('cancel' as const), which: fc.nat(), inFire: fc.boolean() }),
      fc.record({ type: fc.constant('advance' as const), delay }),
      fc.record({ type: fc.constant('sleep' as const) }),
    );
    const start = fc.constantFrom(0, 4_090.75, -100.5, 2 ** 30 - 50, 1.77e12);
    fc.assert(
      fc.property(start, fc.array(op, { maxLength: 60 }), (startMs, ops) => {
        const wheel = new TimerWheel<Entry>(startMs);
        const model = new Model(Math.floor(startMs));
        const entries = new Map<string, Entry>();
        const onFire = new Map<string, { rearm: number | null; cancel?: number }>();
        let now = startMs;
        let next = 0;
        const add = (atMs: number, into: 'wheel' | 'model', name: string) => {
          if (into === 'model') return model.add(name, atMs);
          const entry = entries.get(name) ?? new Entry(name);
          entries.set(name, entry);
          wheel.add(entry, atMs);
        };
        const victim = (which: number) => String(which % Math.max(1, next));
        const advance = (to: number) => {
          const logs: string[][] = [];
          for (const side of ['wheel', 'model'] as const) {
            const log: string[] = [];
            const spent = new Set<string>();
            const fire = (name: string) => {
              log.push(name);
              const then = onFire.get(name);
              if (!then || spent.has(name)) return;
              spent.add(name);
              if (then.rearm !== null) add(now + then.rearm, side, name);
              if (then.cancel !== undefined) {
                const other = victim(then.cancel);
                if (side === 'model') model.cancel(other);
                else if (entries.has(other)) wheel.cancel(entries.get(other) as Entry);
              }
            };
            if (side === 'wheel') wheel.advance(to, entry => fire(entry.name));
            else model.advance(to, fire);
            logs.push(log);
          }
          now = Math.max(now, to);
          expect(logs[0]).toEqual(logs[1]);
        };
        for (const step of ops) {
          if (step.type === 'add') {
            const name = String(next++);
            onFire.set(name, { rearm: step.inFire });
            add(now + step.delay, 'wheel', name);
            add(now + step.delay, 'model', name);
          } else if (step.type === 'cancel') {
            const name = victim(step.which);
            if (step.inFire) {
              const then = onFire.get(name);
              if (then) then.cancel = step.which + 1;
            } else if (entries.has(name)) expect(wheel.cancel(entries.get(name) as Entry)).toBe(model.cancel(name));
          } else if (step.type === 'advance') advance(now + step.delay);
          else if (wheel.count > 0) advance(Math.max(now, wheel.nextAt()));
          expect(wheel.count).toBe(model.waiting.length);
          const due = model.nextAt();
          expect(wheel.nextAt()).toBeLessThanOrEqual(due);
          if (due - Math.floor(startMs) < 64 * Math.ceil((model.present - Math.floor(startMs) + 1) / 64))
            expect(wheel.nextAt()).toBe(due);
        }
        advance(now + 2 ** 46);
        advance(now);
      }),
      { seed: 11, numRuns: 400 },
    );
  });
});

/** The most obvious implementation: a list that is searched for the smallest (due time, insertion). */
class Model {
  waiting: { name: string; due: number; seq: number; late: boolean }[] = [];
  present: number;
  private seq = 0;
  constructor(present: number) {
    this.present = present;
  }
  add(name: string, atMs: number): void {
    this.cancel(name);
    const due = Math.ceil(atMs);
    this.waiting.push({ name, due: Math.max(due, this.present), seq: this.seq++, late: due <= this.present });
  }
  cancel(name: string): boolean {
    const before = this.waiting.length;
    this.waiting = this.waiting.filter(one => one.name !== name);
    return this.waiting.length < before;
  }
  nextAt(): number {
    return Math.min(...this.waiting.map(one => (one.late ? this.present : one.due)));
  }
  advance(toMs: number, fire: (name: string) => void): void {
    const lateBefore = this.seq;
    for (;;) {
      const one = this.waiting.find(each => each.late && each.seq < lateBefore);
      if (!one) break;
      this.cancel(one.name);
      fire(one.name);
    }
    for (;;) {
      const due = this.waiting.filter(each => !each.late && each.due <= toMs);
      const [one] = due.sort((a, b) => a.due - b.due || a.seq - b.seq);
      if (!one) break;
      this.present = one.due;
      this.cancel(one.name);
      fire(one.name);
    }
    this.present = Math.max(this.present, Math.floor(toMs));
  }
}
