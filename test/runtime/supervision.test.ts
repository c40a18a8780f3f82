import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TroupeError } from '../../src/errors.ts';
import {
  checkSupervision,
  RestartGuard,
  type SupervisionOptions,
  supervisionDefault,
} from '../../src/runtime/supervision.ts';

const guard = (options: SupervisionOptions = {}) => new RestartGuard(checkSupervision('cart', options));

/** What the guard says at each of these times, as `wait 50` or the action. Jitter at its highest. */
function story(options: SupervisionOptions, times: readonly number[], random01 = 1): string[] {
  const one = guard(options);
  return times.map(now => {
    const remedy = one.onFailure(now, random01);
    return remedy.action === 'restart' ? `wait ${remedy.waitMs}` : remedy.action;
  });
}

describe('a restart guard', () => {
  test('grants max restarts within the window and stops at the next, saying why', () => {
    expect(story({}, [0, 100, 200, 300])).toEqual(['wait 50', 'wait 100', 'wait 200', 'stop']);
    const one = guard({ max: 1 });
    one.onFailure(0, 0);
    expect(one.onFailure(1, 0)).toEqual({ action: 'stop', why: 'it failed more than 1 times within 10000 ms' });
  });

  test('the window slides: a restart counts until it is as old as the window', () => {
    const options = { max: 2, withinMs: 1_000, backoffMs: [1, 1] } as const;
    expect(story(options, [0, 600, 999])).toEqual(['wait 1', 'wait 1', 'stop']);
    expect(story(options, [0, 600, 1_000, 1_599])).toEqual(['wait 1', 'wait 1', 'wait 1', 'stop']);
    expect(story(options, [0, 600, 1_000, 1_600, 2_000])).toEqual(new Array(5).fill('wait 1'));
  });

  test('max 0 stops at the first failure', () => {
    expect(story({ max: 0 }, [5])).toEqual(['stop']);
  });

  test('the wait doubles up to the cap and starts over after a calm window', () => {
    const options = { max: 10, withinMs: 1_000, backoffMs: [100, 700] } as const;
    expect(story(options, [0, 200, 400, 900, 1_700])).toEqual([
      'wait 100',
      'wait 200',
      'wait 400',
      'wait 700',
      'wait 700',
    ]);
    // Restarted at 100, failed at 1,099: not a whole window of calm. At 1,100 it is.
    expect(story(options, [0, 1_099])).toEqual(['wait 100', 'wait 200']);
    expect(story(options, [0, 1_100])).toEqual(['wait 100', 'wait 100']);
  });

  test('a loop whose waits outlast the window goes on at the pace of the cap', () => {
    const one = guard({ max: 3, withinMs: 1_000, backoffMs: [500, 5_000] });
    let now = 0;
    const waits: number[] = [];
    for (let i = 0; i < 2_000; i++) {
      const remedy = one.onFailure(now, 1);
      if (remedy.action !== 'restart') throw new Error(remedy.action);
      waits.push(remedy.waitMs);
      now += remedy.waitMs + 1;
    }
    expect(waits.slice(0, 5)).toEqual([500, 1_000, 2_000, 4_000, 5_000]);
    expect(new Set(waits.slice(4))).toEqual(new Set([5_000]));
  });

  test('no wait stays no wait after thousands of failures', () => {
    const spinning = guard({ max: 3, withinMs: 1, backoffMs: [0, 5] });
    for (let i = 0; i < 3_000; i++) expect(spinning.onFailure(i * 0.5, 1)).toEqual({ action: 'restart', waitMs: 0 });
  });

  test('jitter stays between half the step and the step', () => {
    expect(story({}, [0], 0)).toEqual(['wait 25']);
    expect(story({}, [0], 0.5)).toEqual(['wait 37.5']);
  });

  test('resume, stop and escalate answer the same however often', () => {
    expect(story({ onError: 'resume' }, [0, 0, 0, 0, 0])).toEqual(new Array(5).fill('resume'));
    expect(story({ onError: 'escalate' }, [0, 0, 0, 0, 0])).toEqual(new Array(5).fill('escalate'));
    expect(guard({ onError: 'stop' }).onFailure(0, 0)).toEqual({
      action: 'stop',
      why: 'it failed, and its type says stop',
    });
  });

  test('never grants more than max in any window, and refuses only what would exceed it', () => {
    const options = fc.record({ max: fc.integer({ min: 1, max: 6 }), withinMs: fc.integer({ min: 1, max: 50 }) });
    fc.assert(
      fc.property(options, fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 60 }), ({ max, withinMs }, gaps) => {
        const one = guard({ max, withinMs, backoffMs: [0, 0] });
        const granted: number[] = [];
        let now = 0;
        for (const gap of gaps) {
          now += gap;
          const recent = granted.filter(at => now - at < withinMs).length;
          const { action } = one.onFailure(now, 0.3);
          expect(action).toBe(recent < max ? 'restart' : 'stop');
          if (action === 'restart') granted.push(now);
        }
      }),
      { seed: 21, numRuns: 300 },
    );
  });
});

describe('checking supervise', () => {
  test('fills in what is left out', () => {
    expect(checkSupervision('cart', undefined)).toEqual(supervisionDefault);
    expect(checkSupervision('cart', { max: 5 })).toEqual({ ...supervisionDefault, max: 5 });
    expect(checkSupervision('cart', { backoffMs: [0, 0], onError: undefined })).toEqual({
      ...supervisionDefault,
      backoffMs: [0, 0],
    });
  });

  test.each([
    [{ onError: 'retry' }, 'supervise.onError', "must be 'restart', 'resume', 'stop' or 'escalate', got 'retry'"],
    [{ max: -1 }, 'supervise.max', 'must be a whole number from 0 to 1000, got -1'],
    [{ max: 1.5 }, 'supervise.max', 'got 1.5'],
    [{ max: '3' }, 'supervise.max', "got '3'"],
    [{ withinMs: 0 }, 'supervise.withinMs', 'must be a number of ms from 1 to 86400000, got 0'],
    [{ withinMs: Number.NaN }, 'supervise.withinMs', 'got NaN'],
    [{ backoffMs: [100, 50] }, 'supervise.backoffMs', 'with 0 <= first <= cap <= 86400000, got [100, 50]'],
    [{ backoffMs: [1, 2, 3] }, 'supervise.backoffMs', 'got [1, 2, 3]'],
    [{ backoffMs: [-1, 3] }, 'supervise.backoffMs', 'got [-1, 3]'],
    [{ backoffMs: 50 }, 'supervise.backoffMs', 'got 50'],
    [{ backoffMs: [1, Number.POSITIVE_INFINITY] }, 'supervise.backoffMs', 'got [1, Infinity]'],
    [{ restarts: 3 }, 'supervise.restarts', 'is not an option; there are onError, max, withinMs, backoffMs'],
    ['restart', 'supervise', 'must be an object'],
    [[], 'supervise', 'must be an object'],
    [null, 'supervise', 'must be an object'],
  ])('%j is refused, naming %s', (options, option, text) => {
    let thrown: unknown;
    try {
      checkSupervision('cart', options);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(TroupeError);
    const error = thrown as TroupeError;
    expect(error.code).toBe('BAD_OPTION');
    expect(error.message).toContain(`actor type 'cart': ${option} `);
    expect(error.message).toContain(text);
    expect(error.details).toEqual({ type: 'cart', option });
  });
});
