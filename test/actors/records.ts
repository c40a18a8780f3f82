// What the tests of the key-value store share: siblings and contexts made by hand, and random ones.

import fc from 'fast-check';
import type { Entry } from '../../src/actors/dvv.ts';
import type { Sibling, SiblingSet } from '../../src/actors/sibling.ts';

export const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
export const text = (value: string): Uint8Array => new TextEncoder().encode(value);
export const read = (value: Uint8Array): string => new TextDecoder().decode(value);

export function sibling(value: string, more: Partial<Sibling> = {}): Sibling {
  return { value: text(value), tombstone: false, stamp: { ms: 1_000, tick: 0 }, expiresAt: 0, ...more };
}

export const grave = (more: Partial<Sibling> = {}): Sibling => ({ ...sibling('', more), tombstone: true });

/** A set from rows of [actor, counter, [[dot, sibling], ...]]. */
export function setOf(...rows: [string, number, [number, Sibling][]][]): SiblingSet {
  return new Map(
    rows.map(([actor, counter, held]): [string, Entry<Sibling>] => [
      actor,
      { counter, dots: held.map(([dot]) => dot), values: held.map(([, value]) => value) },
    ]),
  );
}

const time = fc.oneof(fc.integer({ min: 0, max: 2 ** 48 - 1 }), fc.constant(1_763_000_000_000));

export const anySibling: fc.Arbitrary<Sibling> = fc
  .record({
    value: fc.uint8Array({ maxLength: 200 }),
    tombstone: fc.boolean(),
    stamp: fc.record({ ms: time, tick: fc.nat(200) }),
    expiresAt: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 2 ** 48 - 1 })),
    opId: fc.option(fc.constantFrom('r-1', '7', 'x'.repeat(64)), { nil: undefined }),
  })
  .map(({ opId, ...made }) => {
    const kept = made.tombstone ? { ...made, value: new Uint8Array(0), expiresAt: 0 } : made;
    return opId === undefined ? kept : { ...kept, opId };
  });

const anyActor = fc.oneof(
  fc.constantFrom('a', 'b', 'n1:33:mi7x2k3f', 'n2:0:1', '__proto__', 'x'.repeat(64)),
  fc.string({
    unit: fc.integer({ min: 0x21, max: 0x7e }).map(code => String.fromCharCode(code)),
    minLength: 1,
    maxLength: 20,
  }),
);

const anyEntry: fc.Arbitrary<Entry<Sibling>> = fc
  .record({
    counter: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 2 ** 48 })),
    below: fc.uniqueArray(fc.nat(400), { maxLength: 5 }),
    pool: fc.array(anySibling, { minLength: 5, maxLength: 5 }),
  })
  .map(({ counter, below, pool }) => {
    const dots = below
      .map(distance => counter - distance)
      .filter(dot => dot >= 1)
      .sort((a, b) => b - a);
    return { counter, dots, values: pool.slice(0, dots.length) };
  });

export const anySet: fc.Arbitrary<SiblingSet> = fc
  .uniqueArray(fc.tuple(anyActor, anyEntry), { maxLength: 5, selector: ([actor]) => actor })
  .map(rows => new Map(rows));
