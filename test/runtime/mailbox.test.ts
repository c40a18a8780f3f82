import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { mailboxesPooledMax, mailboxRoomPooledMax } from '../../src/limits.ts';
import { argcOf, Mailbox, methodOf, packHead, unitBytes, unitsOfHead } from '../../src/runtime/mailbox.ts';

const one = packHead(1, 7, 1);
const two = packHead(2, 7, 1);

const taken: Mailbox[] = [];
function take(capacity: number, bytes = 1 << 20): Mailbox {
  const box = Mailbox.take(capacity, bytes);
  taken.push(box);
  return box;
}
function empty(box: Mailbox): unknown[] {
  const all: unknown[] = [];
  box.drainTo((head, a0, a1, meta) => all.push(argcOf(head) === 2 ? [a0, a1, meta] : a0));
  return all;
}
afterEach(() => {
  for (const box of taken.splice(0)) empty(box);
});

/** Everything an object reaches by its own fields, arrays included: what it keeps alive. */
function held(box: Mailbox): unknown[] {
  return Object.values(box).flatMap(value => (Array.isArray(value) ? value : [value]));
}

describe('the head of a message', () => {
  test('carries argc, method and units without loss, in a small integer', () => {
    for (const argc of [0, 1, 2, 3] as const)
      for (const method of [0, 1, 254, 255])
        for (const units of [0, 1, 16_384, 2 ** 20 - 1]) {
          const head = packHead(argc, method, units);
          expect([argcOf(head), methodOf(head), unitsOfHead(head)]).toEqual([argc, method, units]);
          expect(head).toBeLessThan(2 ** 30);
        }
  });

  test('units saturate', () => {
    expect(unitsOfHead(packHead(3, 255, 2 ** 20))).toBe(2 ** 20 - 1);
    expect(unitsOfHead(packHead(3, 255, 2 ** 40))).toBe(2 ** 20 - 1);
  });
});

describe('a mailbox', () => {
  test('gives back what it took, in order, across growth and wrapping', () => {
    const box = take(100);
    let pushed = 0;
    let shifted = 0;
    for (let round = 0; round < 30; round++) {
      for (let i = 0; i < round; i++) if (box.push(two, pushed, `b${pushed}`, { pushed })) pushed++;
      for (let i = 0; i < round - 3; i++) {
        expect(box.shift()).toBe(true);
        expect([box.head, box.a0, box.a1, box.meta]).toEqual([two, shifted, `b${shifted}`, { pushed: shifted }]);
        shifted++;
      }
    }
    expect(pushed).toBeGreaterThan(400);
    expect(box.count).toBe(pushed - shifted);
  });

  test('shift of an empty one says so', () => {
    const box = take(1);
    expect(box.shift()).toBe(false);
    expect(box.count).toBe(0);
  });

  test('arguments that are not there read as undefined, whatever was there before', () => {
    const box = take(8);
    box.push(two, 'a', 'b', { ask: 1 });
    box.push(packHead(0, 1, 1), undefined, undefined, null);
    box.shift();
    box.shift();
    expect([box.a0, box.a1, box.meta]).toEqual([undefined, undefined, null]);
  });

  test.each([1, 7, 8, 9, 100, 1_024])(
    'of capacity %i holds exactly as many, and again after some were taken',
    capacity => {
      const box = take(capacity);
      for (let i = 0; i < capacity; i++) expect(box.push(one, i, undefined, null)).toBe(true);
      expect(box.push(one, 'late', undefined, null)).toBe(false);
      box.shift();
      expect(box.push(one, 'later', undefined, null)).toBe(true);
      expect(box.push(one, 'too late', undefined, null)).toBe(false);
      expect(empty(box)).toEqual([...Array.from({ length: capacity }, (_, i) => i).slice(1), 'later']);
    },
  );

  test('is full by bytes before it is full by count, and counts in units of 64', () => {
    const box = take(100, 640);
    expect(box.push(packHead(1, 0, 6), 'a', undefined, null)).toBe(true);
    expect(box.push(packHead(1, 0, 5), 'b', undefined, null)).toBe(false);
    expect(box.push(packHead(1, 0, 4), 'c', undefined, null)).toBe(true);
    expect(box.bytes).toBe(640);
    expect(box.push(one, 'd', undefined, null)).toBe(false);
    box.shift();
    expect(box.bytes).toBe(4 * unitBytes);
    expect(box.push(packHead(1, 0, 6), 'e', undefined, null)).toBe(true);
  });

  test('a message above the whole bound never fits, not even into an empty one; one of exactly the bound does', () => {
    const box = take(100, 640);
    expect(box.fits(11)).toBe(false);
    expect(box.push(packHead(1, 0, 11), 'x', undefined, null)).toBe(false);
    expect(box.fits(10)).toBe(true);
    expect(box.push(packHead(1, 0, 10), 'x', undefined, null)).toBe(true);
  });

  test('keeps nothing alive once a message is taken and forgotten', () => {
    const box = take(64);
    const things = Array.from({ length: 20 }, (_, i) => ({ i }));
    for (const thing of things) box.push(two, thing, thing, thing);
    for (let i = 0; i < 5; i++) box.shift();
    const live = new Set(things.slice(4)); // the one taken last is still in the fields
    expect(new Set(held(box).filter(value => typeof value === 'object' && value !== null))).toEqual(live);
    empty(box);
    expect(held(box).filter(value => typeof value === 'object' && value !== null)).toEqual([]);
  });

  test('drainTo hands over in order, counts, and keeps the rest when the taker throws', () => {
    const box = take(64);
    for (let i = 0; i < 10; i++) box.push(one, i, undefined, null);
    const got: unknown[] = [];
    expect(() =>
      box.drainTo((_, a0) => {
        got.push(a0);
        if (a0 === 3) throw new Error('no room');
      }),
    ).toThrow('no room');
    expect(box.drainTo((_, a0) => got.push(a0))).toBe(6);
    expect(got).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(box.bytes).toBe(0);
  });

  test('knows a message that is alone and was never in its array, and takes it without moving anything', () => {
    const box = take(8);
    box.push(two, 'a', 'b', null);
    expect([box.sole, box.head, box.a0, box.a1]).toEqual([true, two, 'a', 'b']);
    box.push(one, 'c', undefined, null);
    expect(box.sole).toBe(false);
    box.shift();
    expect([box.a0, box.count, box.sole]).toEqual(['a', 1, false]);
    box.shift();
    expect([box.a0, box.a1]).toEqual(['c', undefined]);
    box.push(one, 'd', undefined, null);
    box.takeFront();
    expect([box.count, box.bytes, box.shift()]).toEqual([0, 0, false]);
  });

  test('dropDead makes room and keeps the order of the living', () => {
    const box = take(10, 640);
    const asks = Array.from({ length: 10 }, (_, i) => ({ dead: i % 3 === 0 }));
    for (let i = 0; i < 10; i++) box.push(one, i, undefined, i === 9 ? null : (asks[i] ?? null));
    expect(box.push(one, 'more', undefined, null)).toBe(false);
    expect(box.dropDead(meta => (meta as { dead: boolean }).dead)).toBe(3);
    expect(box.bytes).toBe(7 * unitBytes);
    expect(box.push(one, 'more', undefined, null)).toBe(true);
    expect(empty(box)).toEqual([1, 2, 4, 5, 7, 8, 9, 'more']);
  });

  test('force takes what was accepted before, beyond every bound; push refuses until there is room again', () => {
    const box = take(2, 128);
    for (let i = 0; i < 20; i++) box.force(packHead(1, 0, 3), i, undefined, i % 2 === 0 ? null : { dead: i > 15 });
    expect([box.count, box.bytes]).toEqual([20, 20 * 192]);
    expect(box.push(one, 'x', undefined, null)).toBe(false);
    expect(box.dropDead(meta => (meta as { dead: boolean }).dead)).toBe(2);
    expect(empty(box)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18]);
    expect(box.push(one, 'x', undefined, null)).toBe(true);
  });

  test('agrees with a plain array, whatever is pushed, shifted, dropped and drained', () => {
    const message = fc.record({
      argc: fc.constantFrom(0, 1, 2, 3) as fc.Arbitrary<0 | 1 | 2 | 3>,
      units: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 60 })),
      ask: fc.boolean(),
    });
    const op = fc.oneof(
      { weight: 6, arbitrary: message },
      { weight: 4, arbitrary: fc.constant('shift' as const) },
      { weight: 1, arbitrary: fc.constantFrom('drop' as const, 'drain' as const) },
    );
    const bounds = fc.record({ capacity: fc.integer({ min: 1, max: 40 }), units: fc.integer({ min: 1, max: 80 }) });
    fc.assert(
      fc.property(bounds, fc.array(op, { maxLength: 150 }), ({ capacity, units: unitsMax }, ops) => {
        const box = take(capacity, unitsMax * 64 + 63);
        let model: [number, unknown, unknown, { dead: boolean } | null][] = [];
        let serial = 0;
        for (const step of ops) {
          if (step === 'shift') {
            const expected = model.shift();
            expect(box.shift()).toBe(expected !== undefined);
            if (expected) expect([box.head, box.a0, box.a1, box.meta]).toEqual(expected);
          } else if (step === 'drop') {
            const living = model.filter(([, , , meta]) => meta?.dead !== true);
            expect(box.dropDead(meta => (meta as { dead: boolean }).dead)).toBe(model.length - living.length);
            model = living;
          } else if (step === 'drain') {
            const all: unknown[] = [];
            box.drainTo((...parts) => all.push(parts));
            expect(all).toEqual(model);
            model = [];
          } else {
            const n = serial++;
            const head = packHead(step.argc, n & 255, step.units);
            const a0 = step.argc === 0 ? undefined : { n };
            const a1 = step.argc === 2 ? { n: -n } : undefined;
            const meta = step.ask ? { dead: n % 2 === 0 } : null;
            const held = model.reduce((sum, [each]) => sum + unitsOfHead(each), 0);
            const room = model.length < capacity && held + step.units <= unitsMax;
            expect(box.push(head, a0, a1, meta)).toBe(room);
            if (room) model.push([head, a0, a1, meta]);
          }
          expect(box.count).toBe(model.length);
          expect(box.bytes).toBe(64 * model.reduce((sum, [head]) => sum + unitsOfHead(head), 0));
          if (box.count > 0) expect(box.peekHead()).toBe(model[0]?.[0]);
        }
        box.drainTo(() => {});
        Mailbox.give(box);
      }),
      { seed: 8, numRuns: 300 },
    );
    taken.length = 0;
  });
});

describe('the pool of mailboxes', () => {
  test('hands the one given back last to the next taker, empty, with the bounds of the taker', () => {
    const box = Mailbox.take(2, 1 << 20);
    const secret = { secret: true };
    box.push(two, secret, secret, secret);
    box.shift();
    Mailbox.give(box);
    expect(held(box)).not.toContain(secret);
    const next = take(20, 64 * 30);
    expect(next).toBe(box);
    for (let i = 0; i < 20; i++) expect(next.push(one, i, undefined, null)).toBe(true);
    expect(next.push(one, 20, undefined, null)).toBe(false);
  });

  test('a box that grew for its last owner obeys the smaller bound of the next', () => {
    const box = Mailbox.take(1_000, 1 << 20);
    for (let i = 0; i < 1_000; i++) box.push(one, i, undefined, null);
    empty(box);
    Mailbox.give(box);
    const next = take(3);
    expect(next).toBe(box);
    expect([1, 2, 3, 4].map(i => next.push(one, i, undefined, null))).toEqual([true, true, true, false]);
  });

  test('refuses a box with messages in it, and one given back already', () => {
    const box = Mailbox.take(4, 1_000);
    box.push(one, 1, undefined, null);
    expect(() => Mailbox.give(box)).toThrow('holds 1 messages');
    box.shift();
    Mailbox.give(box);
    expect(() => Mailbox.give(box)).toThrow('given back twice');
    expect(box.push(one, 1, undefined, null)).toBe(false); // its old owner can do no harm
    expect(() => box.force(one, 1, undefined, null)).toThrow('given back');
  });

  test('keeps no more boxes and no more room than its bounds', () => {
    const drain = () => Array.from({ length: 2 * mailboxesPooledMax }, () => Mailbox.take(1, 64));
    drain();
    const small = Array.from({ length: mailboxesPooledMax + 10 }, () => Mailbox.take(1, 64));
    for (const box of small) Mailbox.give(box);
    const back = new Set(drain());
    expect(small.filter(box => back.has(box))).toHaveLength(mailboxesPooledMax);

    const room = mailboxRoomPooledMax / 4;
    const large = Array.from({ length: 5 }, () => Mailbox.take(room, 1 << 30));
    for (const box of large) for (let i = 0; i < room; i++) box.push(one, i, undefined, null);
    for (const box of large) {
      box.drainTo(() => {});
      Mailbox.give(box);
    }
    const again = new Set(drain());
    expect(large.filter(box => again.has(box))).toHaveLength(4);
  });
});
