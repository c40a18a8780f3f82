// The pure parts of the upkeep: how fast a merge may go, what is due, and what to do about what has failed.

import { describe, expect, it } from 'vitest';
import { TroupeError } from '../../src/errors.ts';
import { mergeChunkMs, mergeCpuShare, runsMax, upkeepRetryMs, upkeepRetryMsMax } from '../../src/limits.ts';
import { JobControl } from '../../src/storage/runs/job-control.ts';
import { type PaceFacts, paceOf, Throttle } from '../../src/storage/runs/pace.ts';
import { backlogOf, mergeOfAll, nextMerge, type RunSize } from '../../src/storage/runs/tiers.ts';
import { UpkeepTrouble } from '../../src/storage/upkeep-trouble.ts';

describe('the pace of a merge', () => {
  const half = runsMax / 2;
  it.each<[string, PaceFacts, string]>([
    ['nobody writes: full', { runs: 1, flushing: false, busy: false }, 'full'],
    ['somebody writes: a share', { runs: 1, flushing: false, busy: true }, 'share'],
    ['a segment is flushed: not at all', { runs: half, flushing: true, busy: true }, 'hold'],
    ['the same with many runs: a share', { runs: half + 1, flushing: true, busy: true }, 'share'],
    ['too many runs: full, whatever else there is', { runs: runsMax + 1, flushing: true, busy: true }, 'full'],
  ])('with %s', (_, facts, pace) => {
    expect(paceOf(facts)).toBe(pace);
  });

  /** Works in steps of a millisecond that move so many bytes each, and rests as it is told. */
  function work(pace: 'full' | 'share', bytesPerSecond: number, bytesPerMs: number, ms: number) {
    let [now, worked, bytes] = [0, 0, 0];
    const throttle = new Throttle(now);
    while (now < ms) {
      const rest = throttle.restMs(now, bytes, pace, bytesPerSecond);
      if (rest > 0) {
        now += rest;
        continue;
      }
      now++;
      worked++;
      bytes += bytesPerMs;
    }
    return { share: worked / now, bytes, now };
  }

  it('works all the time at full speed, and for its share of the time otherwise', () => {
    expect(work('full', Number.POSITIVE_INFINITY, 1_000, 10_000).share).toBe(1);
    expect(work('share', Number.POSITIVE_INFINITY, 1_000, 10_000).share).toBeCloseTo(mergeCpuShare, 1);
  });

  it('moves no more bytes than its budget, but for one stretch of work', () => {
    const { bytes, now } = work('full', 50_000, 1_000, 20_000);
    expect(bytes).toBeLessThanOrEqual((now / 1_000) * 50_000 + 2 * mergeChunkMs * 1_000);
    expect(bytes).toBeGreaterThan(0.9 * (now / 1_000) * 50_000);
    expect(work('share', 1e9, 1_000, 10_000).share).toBeCloseTo(mergeCpuShare, 1);
  });

  it('that holds goes on as soon as it may, and owes no more than before', () => {
    const throttle = new Throttle(0);
    expect(throttle.restMs(mergeChunkMs, 10, 'hold', Number.POSITIVE_INFINITY)).toBe(Number.POSITIVE_INFINITY);
    expect(throttle.restMs(5_000, 10, 'hold', Number.POSITIVE_INFINITY)).toBe(Number.POSITIVE_INFINITY);
    expect(throttle.restMs(5_000, 10, 'share', Number.POSITIVE_INFINITY)).toBe(0);
    expect(throttle.restMs(5_001, 20, 'share', Number.POSITIVE_INFINITY)).toBe(0);
  });

  it('is told through shared memory, and each change wakes who rests', () => {
    const [one, other] = [new JobControl(), new JobControl()];
    const same = new JobControl(one.memory);
    expect([same.pace, same.bytesPerSecond, same.wakes]).toEqual(['full', Number.POSITIVE_INFINITY, 0]);
    one.setPace('hold');
    one.setPace('hold');
    one.setBytesPerSecond(1 << 20);
    expect([same.pace, same.bytesPerSecond, same.wakes]).toEqual(['hold', 1 << 20, 2]);
    one.setBytesPerSecond(Number.POSITIVE_INFINITY);
    expect(same.bytesPerSecond).toBe(Number.POSITIVE_INFINITY);
    one.stop();
    expect([same.stopped, same.wakes, other.stopped]).toEqual([true, 4, false]);
    expect(() => same.reached(5)).toThrow(expect.objectContaining({ code: 'STOPPED' }));
  });
});

describe('what is due', () => {
  const size = (id: number, bytes: number, more: Partial<RunSize> = {}): RunSize => {
    return { id, bytes, records: bytes, deletes: 0, minLsn: id, maxLsn: id, shards: [], ...more };
  };
  const rules = { unflushedLsn: Number.POSITIVE_INFINITY, tierBytesMin: 100, fanIn: 4, runsMax: 10 };

  it.each<[string, RunSize[], number]>([
    ['nothing', [], 0],
    ['too few of a size', [size(1, 90), size(2, 90), size(3, 90)], 0],
    ['four of a size', [1, 2, 3, 4].map(id => size(id, 90)), 360],
    // The four make one of 360, which is the fourth of the next tier.
    [
      'a merge that makes another one due',
      [...[1, 2, 3, 4].map(id => size(id, 90)), ...[5, 6, 7].map(id => size(id, 400))],
      360 + 1_560,
    ],
    ['nothing but garbage, once', [size(1, 90, { records: 1, deletes: 90 })], 90],
  ])('counts for %s what will be read', (_, runs, bytes) => {
    expect(backlogOf(runs, rules)).toBe(bytes);
  });

  it('lets damaged runs lie, and deletes nothing that one of them may still hold', () => {
    const [damaged, ...sound] = [1, 2, 3, 4, 5].map(id => size(id, 90)) as [RunSize, ...RunSize[]];
    expect(nextMerge(sound, rules, [damaged])).toMatchObject({ runs: [2, 3, 4, 5], forgetBelow: 1 });
    expect(mergeOfAll(sound, rules, [damaged])).toMatchObject({ runs: [2, 3, 4, 5], forgetBelow: 1, why: 'asked' });
    expect(mergeOfAll([], rules)).toBeUndefined();
  });
});

describe('what has failed', () => {
  const full = new TroupeError('DISK_FULL', 'full');
  const other = new TroupeError('CORRUPT', 'damaged');

  it('is told once, until it is something else, or was well in between', () => {
    const troubles = new UpkeepTrouble();
    expect(troubles.failed('merge', full, 0)).toEqual({ what: 'merge', code: 'DISK_FULL', message: 'full', times: 1 });
    expect(troubles.failed('merge', full, 0)).toBeUndefined();
    expect(troubles.failed('flush', full, 0)).toMatchObject({ what: 'flush' });
    expect(troubles.failed('merge', other, 0)).toMatchObject({ code: 'CORRUPT', times: 3 });
    expect(troubles.last).toMatchObject({ what: 'merge' });
    troubles.went('merge');
    expect(troubles.last).toMatchObject({ what: 'flush' });
    expect(troubles.failed('merge', other, 0)).toMatchObject({ times: 1 });
    expect(troubles.count).toBe(5);
  });

  it('is tried again after ever longer waits with an end, or after the same one where writers wait', () => {
    const troubles = new UpkeepTrouble();
    const waits = Array.from({ length: 6 }, () => {
      troubles.failed('merge', full, 1_000);
      return troubles.waitMs('merge', 1_000);
    });
    expect(waits).toEqual([1, 2, 4, 8, 16, 16].map(times => times * upkeepRetryMs));
    expect(waits.at(-1)).toBe(upkeepRetryMsMax);
    expect(troubles.waitMs('merge', 1_000 + upkeepRetryMsMax)).toBe(0);
    for (let n = 0; n < 5; n++) troubles.failed('flush', full, 0, true);
    expect(troubles.waitMs('flush', 0)).toBe(upkeepRetryMs);
    expect(troubles.waitMs('never', 0)).toBe(0);
  });
});
