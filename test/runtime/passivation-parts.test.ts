import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Resident, recentBit, trackedBit } from '../../src/runtime/passivation.ts';
import { Ghosts, Hand, Newcomers, presentOf } from '../../src/runtime/passivation-parts.ts';

class One implements Resident {
  usedTick = 0;
  standing = 0;
  readonly name: number;
  constructor(name: number) {
    this.name = name;
  }
}

describe('the hand', () => {
  const people = (count: number) =>
    Array.from({ length: count }, (_, i) => {
      const one = new One(i);
      one.standing = trackedBit;
      return one;
    });

  test('comes to everyone in turn, round after round, and passes over those it does not look for', () => {
    const [a, b, c] = people(3) as [One, One, One];
    b.standing = recentBit | trackedBit;
    const hand = new Hand(() => [a, b, c].values());
    const settled = trackedBit | recentBit;
    expect([1, 2, 3, 4].map(() => hand.next(settled, trackedBit))).toEqual([a, c, a, c]);
    expect([1, 2].map(() => hand.next(recentBit, recentBit))).toEqual([b, b]);
  });

  test('gives up after a round without anyone, also when there is nobody at all', () => {
    expect(new Hand(() => people(3).values()).next(recentBit, recentBit)).toBeUndefined();
    expect(new Hand<One>(() => [].values()).next(trackedBit, trackedBit)).toBeUndefined();
  });

  test('goes along a map while it grows and shrinks: who stays is met once in a round', () => {
    const map = new Map(people(1_000).map(one => [one.name, one]));
    const hand = new Hand(() => presentOf(map));
    const met: number[] = [];
    for (let i = 0; i < 1_000; i++) {
      met.push(hand.next(trackedBit, trackedBit)?.name ?? -1);
      if (i % 2 === 0) map.delete(i);
      for (const one of people(2)) map.set(10_000 + i * 2 + one.name, one);
    }
    expect(met).toEqual(Array.from({ length: 1_000 }, (_, i) => i));
    // And the newcomers do not keep it from coming back.
    for (let i = 0; met.at(-1) !== 1; i++) {
      expect(i).toBeLessThan(1_000);
      met.push(hand.next(trackedBit, trackedBit)?.name ?? -1);
    }
  });
});

describe('the queue of newcomers', () => {
  const leave = (queue: Newcomers<One>, one: One) => {
    one.standing = 0;
    queue.left();
  };

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
            leave(queue, (gone as { one: One }).one);
          }
          expect(queue.size).toBe(model.length);
        });
        expect(model.every(({ one }) => one.standing === (recentBit | trackedBit))).toBe(true);
        for (const { one } of model) leave(queue, one);
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
      leave(queue, one);
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
