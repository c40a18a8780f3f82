import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aheadMs, beginning, compareStamps, laterStamp, receive, type Stamp, send } from '../../src/actors/hlc.ts';

describe('hybrid clock', () => {
  it('walks through the example of A-354', () => {
    const a1 = send(beginning, 10);
    expect(a1).toEqual({ ms: 10, tick: 0 });
    const b1 = receive(beginning, a1, 5);
    expect(b1).toEqual({ ms: 10, tick: 1 });
    const b2 = send(b1, 6);
    expect(b2).toEqual({ ms: 10, tick: 2 });
    const b3 = send(b2, 11);
    expect(b3).toEqual({ ms: 11, tick: 0 });
    const a2 = receive(a1, b3, 11);
    expect(a2).toEqual({ ms: 11, tick: 1 });
    expect(send(a2, 9)).toEqual({ ms: 11, tick: 2 });
  });

  it('never falls behind what it gave or heard, whatever the wall clock does', () => {
    const stamp = fc.record({ ms: fc.nat(1_000), tick: fc.nat(5) });
    const step = fc.record({ now: fc.nat(1_000), heard: fc.option(stamp, { nil: undefined }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), steps => {
        let last: Stamp = beginning;
        for (const { now, heard } of steps) {
          const next = heard === undefined ? send(last, now) : receive(last, heard, now);
          expect(compareStamps(next, last)).toBeGreaterThan(0);
          if (heard !== undefined) expect(compareStamps(next, heard)).toBeGreaterThan(0);
          expect(next.ms).toBe(Math.max(now, last.ms, heard?.ms ?? 0));
          last = next;
        }
      }),
      { seed: 354, numRuns: 300 },
    );
  });

  it('orders by ms, then by tick', () => {
    expect(compareStamps({ ms: 1, tick: 9 }, { ms: 2, tick: 0 })).toBeLessThan(0);
    expect(compareStamps({ ms: 2, tick: 1 }, { ms: 2, tick: 0 })).toBeGreaterThan(0);
    expect(compareStamps({ ms: 2, tick: 1 }, { ms: 2, tick: 1 })).toBe(0);
    expect(laterStamp({ ms: 1, tick: 9 }, { ms: 2, tick: 0 })).toEqual({ ms: 2, tick: 0 });
  });

  it('says how far ahead of here a stamp is, and ignores fractions of a millisecond', () => {
    expect(aheadMs({ ms: 1_500, tick: 3 }, 1_000)).toBe(500);
    expect(aheadMs({ ms: 900, tick: 3 }, 1_000)).toBe(0);
    expect(send(beginning, 10.7)).toEqual({ ms: 10, tick: 0 });
  });
});
