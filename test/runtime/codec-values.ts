// Arbitrary values of the codec's whole data model, for property tests.

import fc from 'fast-check';
import { SampleRef } from './codec-samples.ts';

/** Code points of one to four bytes in UTF-8, a few of them special. fast-check's own units take 130 MB of tables. */
const texts = (maxLength: number): fc.Arbitrary<string> =>
  fc
    .array(
      fc.oneof(
        fc.integer({ min: 0, max: 0x7f }),
        fc.integer({ min: 0x80, max: 0x7ff }),
        fc.integer({ min: 0x800, max: 0xd7ff }),
        fc.integer({ min: 0x1_0000, max: 0x10_ffff }),
        fc.constantFrom(0, 0x7f, 0x80, 0x7ff, 0x800, 0xe000, 0xfeff, 0xffff, 0x10_ffff),
      ),
      { maxLength },
    )
    .map(points => String.fromCodePoint(...points));

const names = fc.oneof(
  fc.constantFrom('id', 'name', '__proto__', 'constructor', 'prototype', 'hasOwnProperty', 'toString', '0', '17', ''),
  fc.string({ maxLength: 12 }),
  texts(40),
);

const numbers = fc.oneof(
  fc.integer(),
  fc.integer({ min: -40, max: 300 }),
  fc.integer({ min: -70_000, max: 70_000 }),
  fc.maxSafeInteger(),
  fc.double(),
  fc.constantFrom(0, -0, Number.NaN, Infinity, -Infinity, 2 ** 31, 2 ** 32 - 1, 2 ** 32, -(2 ** 31), 2 ** 53),
);

/** What plain msgpack carries as well; -0 is the one number msgpackr does not keep. */
export const plainValues: fc.Arbitrary<unknown> = fc.letrec<{ value: unknown }>(tie => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.oneof(
      fc.constantFrom(null, undefined, true, false),
      numbers.map(number => (Object.is(number, -0) ? 0 : number)),
      fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
      fc.string({ maxLength: 70 }),
      texts(50),
    ),
    fc.array(tie('value'), { maxLength: 20 }),
    fc.dictionary(
      names.filter(name => name !== '__proto__'),
      tie('value'),
      { maxKeys: 20, noNullPrototype: true },
    ),
  ),
})).value;

const typedArrays: fc.Arbitrary<unknown> = fc.oneof(
  ...[fc.int8Array(), fc.uint8ClampedArray(), fc.int16Array(), fc.uint16Array(), fc.int32Array(), fc.uint32Array()],
  ...[fc.float32Array(), fc.float64Array(), fc.bigInt64Array(), fc.bigUint64Array()],
);

const dates = fc.oneof(
  fc.date({ noInvalidDate: true }),
  fc.integer({ min: 0, max: 2 ** 36 }).map(ms => new Date(ms)),
);

/** Everything that may be sent, in a form that isDeepStrictEqual finds again. */
export const allValues: fc.Arbitrary<unknown> = fc.letrec<{ value: unknown }>(tie => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.oneof(
      fc.constantFrom<unknown>(null, undefined, true, false),
      numbers,
      fc.bigInt({ min: -(1n << 300n), max: 1n << 300n }),
      texts(50),
      fc.uint8Array({ maxLength: 300 }),
      typedArrays,
      dates,
      fc
        .tuple(fc.string({ maxLength: 10 }), fc.string({ maxLength: 30 }))
        .map(([type, key]) => new SampleRef(type, key)),
    ),
    fc.array(tie('value'), { maxLength: 20 }),
    fc.array(fc.tuple(names, tie('value')), { maxLength: 20 }).map(objectOf),
    fc.array(fc.tuple(tie('value'), tie('value')), { maxLength: 8 }).map(entries => new Map(entries)),
    fc.array(tie('value'), { maxLength: 8 }).map(items => new Set(items)),
  ),
})).value;

/** With `__proto__` as a property like any other. */
export function objectOf(entries: readonly (readonly [string, unknown])[]): object {
  const object = {};
  for (const [key, value] of entries) {
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  }
  return object;
}
