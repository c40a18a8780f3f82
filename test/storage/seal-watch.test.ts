// When a thread hands its segment over without being full.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { sealLookMs, segmentAgeMs, upkeepRetryMs } from '../../src/limits.ts';
import { watchSeals } from '../../src/storage/seal-watch-store.ts';
import { SharedWords, sharedWordsBytes } from '../../src/storage/shared-words.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

function watched() {
  const words = new SharedWords(new SharedArrayBuffer(sharedWordsBytes()));
  const asked: number[] = [];
  const ends: ((why?: Error) => void)[] = [];
  let begunAt: number | undefined;
  const rests: number[] = [];
  const stop = watchSeals({
    words,
    rest: () => void rests.push(performance.now()),
    isOld: () => begunAt !== undefined && performance.now() - begunAt >= segmentAgeMs,
    seal: () => {
      asked.push(performance.now());
      return new Promise<void>((resolve, reject) => {
        ends.push(why => (why === undefined ? resolve() : reject(why)));
      });
    },
  });
  return {
    words,
    asked,
    rests,
    stop,
    write: () => {
      begunAt ??= performance.now();
    },
    end: async (why?: Error) => {
      if (why === undefined) begunAt = undefined;
      for (const end of ends.splice(0)) end(why);
      for (let turn = 0; turn < 5; turn++) await Promise.resolve();
    },
  };
}

describe('a segment that is not full', () => {
  it('is handed over when its oldest record is old, not before, and once', async () => {
    const { asked, write, end, stop } = watched();
    vi.advanceTimersByTime(2 * segmentAgeMs);
    expect(asked).toEqual([]);
    const since = performance.now();
    write();
    vi.advanceTimersByTime(segmentAgeMs - 1);
    expect(asked).toEqual([]);
    vi.advanceTimersByTime(sealLookMs);
    expect(asked).toHaveLength(1);
    expect((asked[0] as number) - since).toBeLessThanOrEqual(segmentAgeMs + sealLookMs);
    vi.advanceTimersByTime(10 * sealLookMs);
    expect(asked).toHaveLength(1);
    await end();
    vi.advanceTimersByTime(segmentAgeMs);
    expect(asked).toHaveLength(1);
    stop();
  });

  it('is handed over when somebody asks, also while that is under way already', async () => {
    const { words, asked, end, stop } = watched();
    words.wantSeals();
    vi.advanceTimersByTime(sealLookMs);
    words.wantSeals();
    vi.advanceTimersByTime(5 * sealLookMs);
    expect(asked).toHaveLength(1);
    await end();
    vi.advanceTimersByTime(5 * sealLookMs);
    expect(asked).toHaveLength(2);
    await end();
    stop();
    words.wantSeals();
    vi.advanceTimersByTime(5 * sealLookMs);
    expect(asked).toHaveLength(2);
  });

  it('may rest at every look at which nothing is asked of it', async () => {
    const { words, rests, end, stop } = watched();
    vi.advanceTimersByTime(3 * sealLookMs);
    expect(rests).toHaveLength(3);
    words.wantSeals();
    vi.advanceTimersByTime(3 * sealLookMs);
    expect(rests).toHaveLength(3);
    await end();
    vi.advanceTimersByTime(sealLookMs);
    expect(rests).toHaveLength(4);
    stop();
  });

  it('that is old and cannot be handed over is tried again after a rest; whoever asks does not wait for it', async () => {
    const { words, asked, write, end, stop } = watched();
    write();
    vi.advanceTimersByTime(segmentAgeMs + sealLookMs);
    await end(new Error('the disk is full'));
    vi.advanceTimersByTime(upkeepRetryMs - sealLookMs);
    expect(asked).toHaveLength(1);
    words.wantSeals();
    vi.advanceTimersByTime(sealLookMs);
    expect(asked).toHaveLength(2);
    await end(new Error('the disk is full'));
    vi.advanceTimersByTime(upkeepRetryMs + sealLookMs);
    expect(asked).toHaveLength(3);
    stop();
  });
});
