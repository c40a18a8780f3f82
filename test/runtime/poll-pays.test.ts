import { describe, expect, test } from 'vitest';
import { pollBarrenMax, pollGapMs, pollGapsWithinMs, pollRestMs } from '../../src/limits.ts';
import { PollPays } from '../../src/runtime/poll-pays.ts';

const turn = 0.002;

/** Idle turns of the event loop, each so many ms after the one before. */
function idle(polling: PollPays, from: number, ...gaps: number[]): number {
  let now = from;
  polling.idled(now);
  for (const gap of gaps) {
    now += gap;
    polling.idled(now);
  }
  return now;
}

describe('polling', () => {
  test('pays while turns follow each other closely', () => {
    const polling = new PollPays();
    const now = idle(polling, 10, ...new Array<number>(1_000).fill(turn));
    expect(polling.pays(now)).toBe(true);
    expect(polling.rests).toBe(0);
  });

  test('goes on after one gap: that was a garbage collection', () => {
    const polling = new PollPays();
    const now = idle(polling, 10, turn, 4, turn);
    expect(polling.pays(now)).toBe(true);
  });

  test('rests after two gaps close together, and is tried again afterwards', () => {
    const polling = new PollPays();
    const now = idle(polling, 10, turn, pollGapMs * 2, turn, pollGapMs * 2);
    expect(polling.pays(now)).toBe(false);
    expect(polling.pays(now + pollRestMs - 0.001)).toBe(false);
    expect(polling.pays(now + pollRestMs)).toBe(true);
  });

  test('rests as well when the frame is there at the end of each gap: the peer needed the core for it', () => {
    const polling = new PollPays();
    const first = idle(polling, 10, turn);
    polling.worked(first + pollGapMs * 2);
    const second = idle(polling, first + pollGapMs * 3, turn);
    polling.worked(second + pollGapMs * 2);
    expect(polling.pays(second + pollGapMs * 2)).toBe(false);
  });

  test('takes no sleep for a gap, nor a sleep of a rest for a barren window', () => {
    const polling = new PollPays();
    const now = idle(polling, 10, turn, pollGapMs * 2, turn, pollGapMs * 2);
    for (let sleeps = 1; sleeps <= pollBarrenMax * 2; sleeps++) {
      polling.parked(now + sleeps);
      polling.idled(now + sleeps + 0.5);
    }
    polling.parked(now + pollRestMs);
    polling.worked(now + pollRestMs + pollGapMs * 2);
    expect(polling.pays(now + pollRestMs)).toBe(true);
    expect(polling.rests).toBe(1);
  });

  test('does not rest for two gaps far apart', () => {
    const polling = new PollPays();
    const first = idle(polling, 10, pollGapMs * 2);
    polling.worked(first);
    const now = idle(polling, first + pollGapsWithinMs, pollGapMs * 2);
    expect(polling.pays(now)).toBe(true);
  });

  test('takes no time spent on work for a gap', () => {
    const polling = new PollPays();
    let now = 10;
    for (let i = 0; i < 10; i++) {
      now = idle(polling, now, turn);
      polling.worked(now);
      now += 1;
    }
    expect(polling.pays(now)).toBe(true);
  });

  test(`rests after ${pollBarrenMax} windows in a row without a frame, and not when one comes in between`, () => {
    const polling = new PollPays();
    for (let i = 1; i < pollBarrenMax; i++) polling.parked(i);
    expect(polling.pays(pollBarrenMax)).toBe(true);
    polling.worked(pollBarrenMax);
    for (let i = 1; i < pollBarrenMax; i++) polling.parked(pollBarrenMax + i);
    expect(polling.pays(20)).toBe(true);
    polling.parked(20);
    expect(polling.pays(20)).toBe(false);
  });
});
