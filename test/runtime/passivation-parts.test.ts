import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Resident } from '../../src/runtime/passivation.ts';
import { Chunks, Ghosts, Newcomers } from '../../src/runtime/passivation-parts.ts';

class One implements Resident {
  usedTick = 0;
  place = -1;
  readonly name: number;
  constructor(name: number) {
    this.name = name;
  }
}

describe('a list in pieces', () => {
  test('is a list, also across the edges of its pieces, growing and shrinking', () => {
    const list = new Chunks<number>();
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 10_000; i++) expect(list.push(i)).toBe(i);
      for (const edge of [0, 4_095, 4_096, 8_191, 8_192, 9_999]) {
        expect(list.get(edge)).toBe(edge);
        list.set(edge, -edge);
        expect(list.get(edge)).toBe(-edge);
      }
      expect(list.pop()).toBe(-9_999);
      for (let i = 9_998; i > 8_192; i--) expect(list.pop()).toBe(i);
      while (list.size > 0) list.pop();
      expect(list.pop()).toBeUndefined();
    }
  });
});

describe('the queue of newcomers', () => {
  test('agrees with an array, whatever is pushed, taken and removed from the middle', () => {
    const op = fc.oneof(
      { weight: 9, arbitrary: fc.constant(-1) },
      { weight: 2, arbitrary: fc.constant(-2) },
      { weight: 3, arbitrary: fc.nat() },
    );
    fc.assert(
      fc.property(fc.array(op, { minLength: 100, maxLength: 600 }), ops => {
        const queue = new Newcomers<One>();
        const model: { one: One; tick: number }[] = [];
        ops.forEach((step, i) => {
          if (step === -1) {
            const one = new One(i);
            queue.push(one, i * 3);
            model.push({ one, tick: i * 3 });
          } else if (step === -2) {
            const oldest = model.shift();
            if (oldest) expect(queue.firstTick()).toBe(oldest.tick);
            expect(queue.shift()).toBe(oldest?.one);
          } else if (model.length > 0) {
            const [gone] = model.splice(step % model.length, 1);
            queue.remove((gone?.one.place ?? 0) >> 3);
          }
          expect(queue.size).toBe(model.length);
        });
        const left = Array.from({ length: queue.span }, (_, position) => queue.at(position)).filter(Boolean);
        expect(left).toEqual(model.map(({ one }) => one));
        expect(queue.at(queue.span)).toBeUndefined();
        expect(model.every(({ one }) => (one.place & 1) === 1)).toBe(true);
        for (const { one } of model) queue.remove(one.place >> 3);
        expect([queue.size, queue.shift()]).toEqual([0, undefined]);
      }),
      { seed: 12, numRuns: 100 },
    );
  });

  test('gaps are closed instead of growing for ever', () => {
    const queue = new Newcomers<One>();
    queue.push(new One(0), 0); // stays oldest, so that the gaps stay in the middle
    for (let i = 1; i < 10_000; i++) {
      const one = new One(i);
      queue.push(one, i);
      queue.remove(one.place >> 3);
    }
    expect(queue.size).toBe(1);
    expect(queue.span).toBeLessThanOrEqual(64);
  });
});

describe('ghosts', () => {
  test('are remembered for as many departures as asked for, give or take a thousandth, and then forgotten', () => {
    for (const count of [1, 100, 5_000]) {
      const late = new Ghosts(count);
      const soon = new Ghosts(count);
      const never = 0x1234_0000;
      for (const ghosts of [late, soon]) ghosts.add(never);
      const passing = (ghosts: Ghosts, times: number) => {
        for (let i = 0; i < times; i++) ghosts.add(0xffff_0001); // another slot
      };
      passing(soon, count - 1);
      expect(soon.take(never)).toBe(true);
      passing(late, count + 2 * Math.ceil(count / 1_024) + 1);
      expect(late.take(never)).toBe(false);
    }
  });

  test('are told apart by their upper bits, and forgotten once they came back', () => {
    const ghosts = new Ghosts(64);
    ghosts.add(0xabcd_0007);
    expect(ghosts.take(0xabce_0007)).toBe(false);
    expect(ghosts.take(0xabcd_0007)).toBe(true);
    expect(ghosts.take(0xabcd_0007)).toBe(false);
  });

  test('nobody is a ghost before anybody left', () => {
    const ghosts = new Ghosts(64);
    for (let hash = 0; hash < 64; hash++) expect(ghosts.take(hash)).toBe(false);
  });
});
