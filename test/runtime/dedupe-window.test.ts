// The window against the most obvious implementation: a set of everything ever taken.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DedupeWindow } from '../../src/runtime/dedupe-window.ts';

test('1, 2, 3 are taken once each; a repeat is a duplicate and a jump is a gap', () => {
  const window = new DedupeWindow<string>();
  const verdicts = [1, 2, 2, 1, 4, 3, 4, 5].map(sequence => window.accept('a', sequence));
  expect(verdicts).toEqual(['next', 'next', 'duplicate', 'duplicate', 'gap', 'next', 'next', 'next']);
  expect(window.highest('a')).toBe(5);
  expect(window.describe()).toEqual({ senders: 1, deduped: 2, gaps: 1, forgotten: 0 });
});

test('a sender that starts above 1 has lost its beginning', () => {
  expect(new DedupeWindow<number>().accept(7, 2)).toBe('gap');
});

test('whatever a link loses and repeats, go-back-n behind the window gives each frame once and in order', () => {
  const link = fc.record({ frames: fc.integer({ min: 1, max: 40 }), noise: fc.array(fc.nat(99), { maxLength: 80 }) });
  fc.assert(
    fc.property(link, ({ frames, noise }) => {
      const window = new DedupeWindow<string>();
      const taken: number[] = [];
      let next = 1;
      for (let turn = 0; taken.length < frames; turn++) {
        const draw = noise[turn] ?? 99; // the noise ends some day
        if (draw < 30)
          next = Math.min(next + 1, frames + 1); // lost
        else if (draw < 50) next = Math.max(1, next - (draw % 5)); // reconnected somewhat too far back
        if (next > frames) next = window.highest('a') + 1;
        const verdict = window.accept('a', next);
        if (verdict === 'next') taken.push(next);
        next = verdict === 'gap' ? window.highest('a') + 1 : next + 1;
      }
      expect(taken).toEqual(Array.from({ length: frames }, (_, index) => index + 1));
    }),
    { seed: 7, numRuns: 300 },
  );
});

test('never takes a frame twice, however small the window', () => {
  const frame = fc.record({ sender: fc.integer({ min: 0, max: 5 }), sequence: fc.integer({ min: 1, max: 6 }) });
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 200 }), frames => {
      // Big enough for all: exactly the model. (One that forgets would take a 1 again: senders start anew under a new name.)
      const window = new DedupeWindow<number>(6);
      const taken = new Set<string>();
      for (const { sender, sequence } of frames) {
        const isNext =
          !taken.has(`${sender}.${sequence}`) && (sequence === 1 || taken.has(`${sender}.${sequence - 1}`));
        expect(window.accept(sender, sequence) === 'next').toBe(isNext);
        if (isNext) taken.add(`${sender}.${sequence}`);
      }
    }),
    { seed: 11, numRuns: 300 },
  );
});

test('a full window forgets the sender that was silent longest, and asks it for a beginning it does not have', () => {
  const window = new DedupeWindow<string>(2);
  for (const sender of ['a', 'b']) for (const sequence of [1, 2]) window.accept(sender, sequence);
  window.accept('a', 3);
  window.accept('c', 1);
  expect(window.entries()).toEqual([
    ['a', 3],
    ['c', 1],
  ]);
  expect(window.accept('b', 3)).toBe('gap');
  expect(window.describe()).toMatchObject({ senders: 2, forgotten: 1 });
});

test('what died with its carrier is skipped, never waited for, and never taken later', () => {
  const window = new DedupeWindow<string>();
  window.accept('a', 1);
  window.skipTo('a', 4);
  expect([2, 4, 5].map(sequence => window.accept('a', sequence))).toEqual(['duplicate', 'duplicate', 'next']);
  window.skipTo('a', 2);
  expect(window.highest('a')).toBe(5);
});

test('travels as plain data and goes on where it was', () => {
  const window = new DedupeWindow<string>();
  for (const sequence of [1, 2, 3]) window.accept('a', sequence);
  window.accept('b', 1);
  const arrived = DedupeWindow.from(JSON.parse(JSON.stringify(window.entries())) as [string, number][]);
  expect([arrived.accept('a', 3), arrived.accept('a', 4), arrived.accept('b', 2)]).toEqual([
    'duplicate',
    'next',
    'next',
  ]);
  arrived.forget('a');
  expect(arrived.highest('a')).toBe(0);
});
