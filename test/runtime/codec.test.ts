// What may be sent arrives as it was; what may not is refused with the path to it; the bytes are these and no others.

import { isDeepStrictEqual } from 'node:util';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { Packr, Unpackr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { TroupeError } from '../../src/errors.ts';
import { argumentsMax, depthMax, elementsMax, frameBytesMax, keyBytesMax } from '../../src/limits.ts';
import { type Arguments, createCodec, sizeOf } from '../../src/runtime/codec.ts';
import { fromHex, hex, SampleRef, sampleCodec, seed } from './codec-samples.ts';
import { allValues, objectOf, plainValues } from './codec-values.ts';

const codec = sampleCodec();
const packr = new Packr({ useRecords: false, variableMapSize: true });
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true });

const roundTrip = (value: unknown): unknown => codec.decode(codec.encode(value));
const bytesOf = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i * 7);

function refusal(run: () => unknown): TroupeError {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(TroupeError);
    return error as TroupeError;
  }
  throw new Error('nothing was refused');
}

describe('what may be sent', () => {
  const values: Record<string, unknown> = {
    null: null,
    undefined: undefined,
    true: true,
    false: false,
    'zero, and minus zero': [0, -0],
    'NaN and both infinities': [Number.NaN, Infinity, -Infinity],
    'integers at every edge of their encodings': [
      127,
      128,
      255,
      256,
      65_535,
      65_536,
      2 ** 31 - 1,
      2 ** 31,
      2 ** 32 - 1,
    ],
    'negative integers at theirs': [-1, -32, -33, -128, -129, -32_768, -32_769, -(2 ** 31), -(2 ** 31) - 1, -(2 ** 53)],
    'large and small doubles': [2 ** 32, 2 ** 53, 1.5, 5e-324, 1.7976931348623157e308],
    'bigints within 64 bits': [0n, -1n, 5n, (1n << 63n) - 1n, -(1n << 63n), (1n << 64n) - 1n],
    'bigints beyond': [1n << 64n, -(1n << 63n) - 1n, 1n << 4_000n, -(1n << 4_001n) + 12_345n, 10n ** 50n],
    'texts at every edge': [0, 1, 8, 9, 20, 21, 31, 32, 85, 86, 255, 256, 21_845, 21_846, 65_536].map(n =>
      'x'.repeat(n),
    ),
    'texts that are not ASCII': [
      'é',
      'é'.repeat(31),
      '€'.repeat(40),
      '😀'.repeat(100),
      'a\0b',
      '\uFEFFbom',
      '\u{10FFFF}',
    ],
    'bytes of every length class': [0, 1, 64, 65, 255, 256, 65_535, 65_536].map(bytesOf),
    'dates before, in and after the seconds of 32 and 34 bits': [0, -1, 999, 1e12, 1_500_000_000_123, 2 ** 32 * 1_000]
      .concat([2 ** 34 * 1_000 + 7, -8.64e15, 8.64e15])
      .map(ms => new Date(ms)),
    'undefined as an item and as a property': [undefined, { a: undefined }, [undefined, undefined]],
    'Maps and Sets, in each other and with keys of any kind': new Map<unknown, unknown>([
      [1, new Set([1, '1', 1n])],
      [new Date(5), new Map([[null, undefined]])],
      [{ a: 1 }, new Set([new Map()])],
    ]),
    'objects of 15, 16 and 300 properties': [15, 16, 300].map(n =>
      Object.fromEntries(Array.from({ length: n }, (_, i) => [`k${i}`, i])),
    ),
    'arrays of 15, 16 and 70,000 items': [15, 16, 70_000].map(n => Array.from({ length: n }, (_, i) => i)),
    'keys that look like an array index': { 10: 'a', 2: 'b', x: 'c' },
    'refs, alone and deep inside': [
      new SampleRef('cart', 'user-7'),
      { to: new Map([['x', new SampleRef('', 'é'.repeat(512))]]) },
    ],
  };
  it.each(Object.keys(values))('comes back as it was: %s', name => {
    const value = values[name];
    expect(isDeepStrictEqual(roundTrip(value), value)).toBe(true);
    expect(isDeepStrictEqual(codec.cloneThroughWire(value), value)).toBe(true);
    expect(isDeepStrictEqual(codec.decode(codec.encode(value), true), value)).toBe(true);
  });

  it('comes back as it was, whatever it is', () => {
    fc.assert(
      fc.property(allValues, value => isDeepStrictEqual(roundTrip(value), value)),
      { seed, numRuns: 400 },
    );
  });

  it('keeps a date without a time as one', () => {
    const date = roundTrip(new Date(Number.NaN)) as Date;
    expect(date).toBeInstanceOf(Date);
    expect(date.getTime()).toBeNaN();
  });

  it('keeps every kind of typed array, and its kind, also as a part of a larger buffer', () => {
    const buffer = Uint8Array.from({ length: 64 }, (_, i) => i * 37).buffer;
    const kinds = [Int8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array, BigInt64Array];
    for (const TypedArray of [...kinds, BigUint64Array, Float32Array, Float64Array]) {
      const array = new TypedArray(buffer, 8, 4);
      const back = roundTrip(array) as typeof array;
      expect(Object.getPrototypeOf(back)).toBe(TypedArray.prototype);
      expect(hex(new Uint8Array(back.buffer))).toBe(hex(new Uint8Array(buffer, 8, array.byteLength)));
    }
    const half = (globalThis as { Float16Array?: new (items: number[]) => ArrayBufferView }).Float16Array;
    if (half !== undefined) expect(roundTrip(new half([1.5, -2]))).toEqual(new half([1.5, -2]));
  });

  it('gives a Buffer back as a Uint8Array of its own memory', () => {
    const part = Buffer.from('xxhello worldxx').subarray(2, 13);
    for (const source of [part, Buffer.alloc(100, 7)]) {
      for (const encoded of [codec.encode(source), Buffer.from(codec.encode(source))]) {
        const back = codec.decode(encoded) as Uint8Array;
        expect(Object.getPrototypeOf(back)).toBe(Uint8Array.prototype);
        expect(hex(back)).toBe(hex(source));
        encoded.fill(0);
        expect(hex(back)).toBe(hex(source));
        expect(back.buffer.byteLength).toBe(source.length);
      }
    }
  });

  it('gives an object without a prototype back as an ordinary one', () => {
    const bare = Object.assign(Object.create(null), { a: 1, hasOwnProperty: 2 });
    expect(isDeepStrictEqual(roundTrip(bare), { a: 1, hasOwnProperty: 2 })).toBe(true);
  });

  it('takes arrays and objects of another realm for what they are', () => {
    const foreign = runInNewContext(`({ list: [1, { a: 'b' }], bytes: new Uint8Array([1, 2]) })`);
    expect(isDeepStrictEqual(roundTrip({ list: foreign.list }), { list: [1, { a: 'b' }] })).toBe(true);
    expect(refusal(() => codec.encode(foreign)).message).toBe('the value .bytes is an instance of Uint8Array');
  });

  it('makes no prototype of a key, and leaves Object.prototype alone', () => {
    const value = objectOf([
      ['__proto__', { x: 1 }],
      ['constructor', { prototype: { x: 1 } }],
      ['prototype', 1],
      ['a', 2],
    ]);
    const back = roundTrip(value) as Record<string, unknown>;
    expect(Object.keys(back)).toEqual(['__proto__', 'constructor', 'prototype', 'a']);
    expect(Object.getPrototypeOf(back)).toBe(Object.prototype);
    expect(Object.getOwnPropertyDescriptor(back, '__proto__')?.value).toEqual({ x: 1 });
    expect('x' in back).toBe(false);
    expect(({} as { x?: unknown }).x).toBeUndefined();
  });

  it('sends own properties only, even after somebody extended Object.prototype', () => {
    (Object.prototype as { planted?: number }).planted = 1;
    try {
      expect(hex(codec.encode({ a: 1 }))).toBe('df00000001a16101');
      expect(Object.keys(roundTrip({ a: 1 }) as object)).toEqual(['a']);
    } finally {
      delete (Object.prototype as { planted?: number }).planted;
    }
  });

  it('replaces half of a surrogate pair, as every UTF-8 encoder does', () => {
    expect(roundTrip('a\ud800b')).toBe('a\ufffdb');
    expect(roundTrip(`${'long '.repeat(20)}\udc00`)).toBe(`${'long '.repeat(20)}\ufffd`);
  });

  it('may be as deep as the limit, and shared without being circular', () => {
    let deep: unknown = 'bottom';
    for (let i = 0; i < depthMax; i++) deep = i % 2 === 0 ? [deep] : { deep };
    expect(isDeepStrictEqual(roundTrip(deep), deep)).toBe(true);
    const shared = { a: 1 };
    expect(roundTrip([shared, shared, { shared }])).toEqual([{ a: 1 }, { a: 1 }, { shared: { a: 1 } }]);
  });
});

describe('what may not be sent', () => {
  class Point {
    x = 1;
  }
  class Points extends Array {}
  class MyBytes extends Uint8Array {}
  function OldStyle(this: { x: number }): void {
    this.x = 1;
  }
  OldStyle.prototype = { move() {} };
  const circular: Record<string, unknown> = { list: [1] };
  (circular.list as unknown[]).push({ back: circular });
  const moved = new Uint8Array(4);
  structuredClone(moved, { transfer: [moved.buffer] });
  let deep: unknown = 1;
  for (let i = 0; i <= depthMax; i++) deep = [deep];

  const rows: [string, unknown, string][] = [
    ['a function', { items: [1, 2, 3, { fn: () => 1 }] }, '.items[3].fn is a function'],
    ['a class', { T: Point }, '.T is a class'],
    ['a symbol', [Symbol('s')], '[0] is a symbol'],
    ['a class instance', { at: new Point() }, '.at is an instance of Point'],
    ['an old-style instance', new (OldStyle as never as new () => object)(), 'has a prototype of its own'],
    ['an object made from another', Object.create({ a: 1 }), 'has a prototype of its own'],
    ['an array of a class', Points.of(1, 2), 'is an instance of Points'],
    ['bytes of a class', new MyBytes(2), 'is an instance of MyBytes'],
    ['an error', { e: new TypeError('x') }, '.e is an instance of TypeError'],
    ['a regular expression', [/x/], '[0] is an instance of RegExp'],
    ['a promise', { later: Promise.resolve(1) }, '.later is an instance of Promise'],
    ['a weak map', new WeakMap(), 'is an instance of WeakMap'],
    ['a boxed number', Object(1), 'is an instance of Number'],
    ['an array buffer', new ArrayBuffer(2), 'is an instance of ArrayBuffer'],
    ['shared memory', new SharedArrayBuffer(2), 'is an instance of SharedArrayBuffer'],
    ['a data view', new DataView(new ArrayBuffer(2)), 'is an instance of DataView'],
    ['a generator', (function* () {})(), 'has a prototype of its own'],
    ['bytes that were transferred away', { moved }, '.moved has been transferred away'],
    ['a proxy of an object', { p: new Proxy({}, {}) }, '.p is a Proxy'],
    ['a proxy of an array', [[new Proxy([], {})]], '[0][0] is a Proxy'],
    ['a proxy of a Map', new Proxy(new Map(), {}), 'is a Proxy'],
    ['a circle', circular, '.list[1].back is circular: it is the value itself again'],
    ['too many levels', deep, `${'[0]'.repeat(depthMax)} is nested deeper than ${depthMax} levels`],
    ['a function in a Map', new Map([['k', { f() {} }]]), '.get("k").f is a function'],
    [
      'a function as a key',
      {
        m: new Map([
          [1, 1],
          [() => 1, 1],
        ] as never),
      },
      '.m.key(1) is a function',
    ],
    ['a symbol in a Set', new Set([1, Symbol('s')]), '.item(1) is a symbol'],
    ['an odd key', { 'a b': { ['k'.repeat(100)]: Symbol('s') } }, `["a b"]["${'k'.repeat(64)}"...] is a symbol`],
    [
      'a ref that names nothing',
      [new SampleRef('t', 'k'.repeat(keyBytesMax + 1))],
      '[0] is a ref whose key is above 1024 bytes',
    ],
    ['a ref to too long a type', new SampleRef('t'.repeat(256), ''), 'is a ref whose type is above 255 bytes'],
  ];
  it.each(rows)('names where it is: %s', (_name, value, where) => {
    const state = refusal(() => codec.encode(value));
    expect(state.code).toBe('BAD_MESSAGE');
    expect(state.message).toContain(`the value ${where}`);
    const bytes = new Uint8Array(4_096);
    const view = new DataView(bytes.buffer);
    const args = refusal(() => codec.encodeArgs(2, 'fine', value, undefined, null, bytes, view, 0));
    expect(args.code).toBe('BAD_MESSAGE');
    expect(args.message).toContain(`argument 1 ${where}`);
    const fifth = refusal(() => codec.encodeArgs(5, 1, 2, 3, [4, value], bytes, view, 0));
    expect(fifth.message).toContain(`argument 4 ${where}`);
    expect(refusal(() => codec.cloneThroughWire(value)).message).toBe(state.message);
  });

  it('says what a getter threw, and who it was', () => {
    const value = {
      get broken(): never {
        throw new RangeError('no luck');
      },
    };
    expect(refusal(() => codec.encode(value))).toMatchObject({
      code: 'BAD_MESSAGE',
      message: 'the value cannot be read: no luck',
    });
    expect(refusal(() => codec.encode(revoked()))).toMatchObject({
      code: 'BAD_MESSAGE',
    });
  });

  it('is too large beyond the bytes of a frame, the limit asked for, and the elements a reader takes', () => {
    expect(refusal(() => codec.encode('x'.repeat(101), 100)).code).toBe('TOO_LARGE');
    expect(codec.encode('x'.repeat(97), 100).length).toBe(100);
    for (const max of [16_383, 16_384, 16_385, 65_535, 65_536]) {
      expect(codec.encode(['x'.repeat(max - 8), 1, true], max).length).toBeLessThanOrEqual(max);
      expect(refusal(() => codec.encode(['x'.repeat(max), 1, true], max)).code).toBe('TOO_LARGE');
    }
    expect(refusal(() => codec.encode(new Uint8Array(frameBytesMax))).code).toBe('TOO_LARGE');
    expect(codec.encode(new Uint8Array(frameBytesMax - 5)).length).toBe(frameBytesMax);
    const many = new Array(elementsMax + 1).fill(1);
    expect(refusal(() => codec.encode(many)).code).toBe('TOO_LARGE');
    const large = codec.encode(many, 1 << 30);
    expect(refusal(() => codec.decode(large)).code).toBe('TOO_LARGE');
    expect((codec.decode(large, true) as unknown[]).length).toBe(elementsMax + 1);
  });
});

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable([], {});
  revoke();
  return proxy;
}

describe('the bytes', () => {
  const goldens: [string, unknown][] = [
    ['c0', null],
    ['d40000', undefined],
    ['c2', false],
    ['c3', true],
    ['07', 7],
    ['e0', -32],
    ['cc80', 128],
    ['cd0100', 256],
    ['ce00010000', 65_536],
    ['d0df', -33],
    ['d1ff7f', -129],
    ['d2ffff7fff', -32_769],
    ['cb8000000000000000', -0],
    ['cb3ff8000000000000', 1.5],
    ['cf0000000000000005', 5n],
    ['d3ffffffffffffffff', -1n],
    ['c70d0400000000010000000000000000', 1n << 64n],
    ['a26869', 'hi'],
    ['d902c3a9', 'é'],
    ['c403010203', Uint8Array.of(1, 2, 3)],
    ['d6ff00000001', new Date(1_000)],
    ['d7ff773594000000 0001', new Date(1_500)],
    ['c70cff00000000ffffffffffffffff', new Date(-1_000)],
    ['93 01 a161 c0', [1, 'a', null]],
    ['82 a161 01 a162 90', { a: 1, b: [] }],
    ['c900000007 02 df00000001 01 02', new Map([[1, 2]])],
    ['c900000003 03 92 01 02', new Set([1, 2])],
    ['c70505020100 0200', Int16Array.of(1, 2)],
    ['c706010461727462 6b'.replace('0461727462', '0463617274'), new SampleRef('cart', 'k')],
  ];
  it.each(goldens)('are %s', (golden, value) => {
    expect(hex(codec.encode(value))).toBe(golden.replaceAll(' ', ''));
    expect(isDeepStrictEqual(codec.decode(fromHex(golden)), value)).toBe(true);
  });

  it('are read by msgpackr as what was written, for all that plain msgpack has', () => {
    fc.assert(
      fc.property(plainValues, value => isDeepStrictEqual(unpackr.unpack(codec.encode(value)), value)),
      { seed, numRuns: 400 },
    );
  });

  it('may be written by msgpackr just as well', () => {
    fc.assert(
      fc.property(plainValues, value => isDeepStrictEqual(codec.decode(packr.pack(value)), value)),
      { seed, numRuns: 400 },
    );
  });

  it('are read the same from memory that threads share', () => {
    fc.assert(
      fc.property(allValues, value => {
        const encoded = codec.encode(value);
        const shared = new Uint8Array(new SharedArrayBuffer(encoded.length));
        shared.set(encoded);
        return isDeepStrictEqual(codec.decode(shared), value);
      }),
      { seed, numRuns: 150 },
    );
  });

  it('of long lists of text come back the same whoever reads them', () => {
    const texts = Array.from({ length: 3_000 }, (_, i) =>
      i % 7 === 0 ? `é${i}` : `item-${i}-${'abc'.repeat(i % 40)}`,
    );
    const encoded = codec.encode({ texts, more: [undefined, null, 1.5, -1, 7n] });
    const shared = new Uint8Array(new SharedArrayBuffer(encoded.length));
    shared.set(encoded);
    const inside = new Uint8Array(encoded.length + 30);
    inside.set(encoded, 13);
    for (const bytes of [encoded, shared, inside.subarray(13, 13 + encoded.length), Buffer.from(encoded)]) {
      expect(codec.decode(bytes)).toEqual({ texts, more: [undefined, null, 1.5, -1, 7n] });
    }
    expect(Object.keys(encoded).length).toBe(encoded.length); // msgpackr leaves nothing behind on them

    const mixed = codec.encode([bytesOf(100), ...texts]);
    const part = (codec.decode(mixed) as unknown[])[0] as Uint8Array;
    mixed.fill(0);
    expect(Object.getPrototypeOf(part)).toBe(Uint8Array.prototype);
    expect(hex(part)).toBe(hex(bytesOf(100)));
  });
});

describe('arguments', () => {
  const write = (args: readonly unknown[], bytes: Uint8Array, at: number, limit?: number): number =>
    codec.encodeArgs(
      args.length,
      args[0],
      args[1],
      args[2],
      args.length > 3 ? args.slice(3) : null,
      bytes,
      new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
      at,
      limit,
    );
  const read = (bytes: Uint8Array, start: number, end: number): unknown[] => {
    const out: Arguments = { argc: -1, a0: 'old', a1: 'old', a2: 'old', rest: ['old'] };
    codec.decodeArgs(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), start, end, out);
    if (out.argc <= 3) expect(out.rest).toBeNull();
    const args = [out.a0, out.a1, out.a2].concat(out.rest ?? []);
    expect(args.slice(out.argc).every(each => each === undefined)).toBe(true);
    return args.slice(0, out.argc);
  };

  it('arrive in their places, from none to the most there may be, in private and in shared memory', () => {
    for (const memory of [new ArrayBuffer(8_192), new SharedArrayBuffer(8_192)]) {
      const bytes = new Uint8Array(memory, 16, 8_000);
      for (let count = 0; count <= argumentsMax; count++) {
        const args = Array.from({ length: count }, (_, i) => [i, `n${i}`, undefined, { i }, bytesOf(70)][i % 5]);
        const end = write(args, bytes, 24);
        expect(isDeepStrictEqual(read(bytes, 24, end), args)).toBe(true);
      }
    }
  });

  it('are no more than there may be', () => {
    const bytes = new Uint8Array(1_000);
    expect(refusal(() => write(new Array(argumentsMax + 1).fill(1), bytes, 0)).code).toBe('TOO_LARGE');
    const end = codec.encode(new Array(argumentsMax + 1).fill(1));
    expect(refusal(() => read(end, 0, end.length)).code).toBe('TOO_LARGE');
  });

  it('do not fit rather than be cut short, wherever the room ends, and never reach beyond it', () => {
    const samples: unknown[][] = [
      [1, -300, 1.5],
      ['short', 'é', 'x'.repeat(300)],
      [{ a: 1, b: ['x', null], c: undefined }],
      [Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`k${i}`, i % 2 === 0]))],
      [bytesOf(100), Int32Array.of(1, 2, 3), new Date(1_234_567)],
      [new Map([[1, 'x']]), new Set(['y']), 1n << 90n, 5n, new SampleRef('cart', 'user-7')],
    ];
    for (const args of samples) {
      const roomy = new Uint8Array(1_024);
      const end = write(args, roomy, 3);
      for (let limit = 3; limit <= end + 12; limit++) {
        const tight = new Uint8Array(1_024).fill(0xaa);
        const got = write(args, tight, 3, limit);
        if (limit < end) expect(got).toBe(-1);
        if (limit >= end + 9) expect(got).toBe(end);
        if (got !== -1) expect(hex(tight.subarray(3, end))).toBe(hex(roomy.subarray(3, end)));
        expect(tight.subarray(limit).every(each => each === 0xaa)).toBe(true);
      }
    }
  });

  it('survive a getter that uses the codec while it is being read', () => {
    const sly = {
      get inner(): unknown {
        return codec.cloneThroughWire({ list: [1, 2, codec.encode('x')] });
      },
    };
    expect(codec.cloneThroughWire([sly, 'after'])).toEqual([
      { inner: { list: [1, 2, Uint8Array.of(0xa1, 0x78)] } },
      'after',
    ]);
  });

  it('survive a ref that is decoded with the same codec', () => {
    const nested = createCodec({
      isRef: value => value instanceof SampleRef,
      encodeRef: (ref: SampleRef) => [ref.type, ref.key],
      decodeRef: (type, key) => ({ type, key, extra: nested.cloneThroughWire([key, 'deep']) }),
    });
    const after = Array.from({ length: 100 }, (_, i) => i);
    expect(nested.cloneThroughWire([new SampleRef('a', 'b'), after])).toEqual([
      { type: 'a', key: 'b', extra: ['b', 'deep'] },
      after,
    ]);
  });

  it('let the error of a ref through as it is, and know it again', () => {
    const gone = new TroupeError('NO_ACTOR_TYPE', 'no cart here');
    const failing = createCodec({
      isRef: value => value instanceof SampleRef,
      encodeRef: (ref: SampleRef) => [ref.type, ref.key],
      decodeRef: () => {
        throw gone;
      },
    });
    const bytes = failing.encode([new SampleRef('cart', 'x')]);
    expect(refusal(() => failing.decode(bytes))).toBe(gone);
    expect(failing.isOfRef(gone)).toBe(true);
    expect(failing.isOfRef(refusal(() => failing.decode(Uint8Array.of(0xc1))))).toBe(false);
  });
});

describe('the estimate of bytes', () => {
  it('is 8 for what is a word, two a character, and the length of bytes', () => {
    for (const word of [0, 1.5, true, null, undefined, 7n, Symbol('s'), () => 1]) expect(sizeOf(word)).toBe(8);
    expect(sizeOf('abc')).toBe(6);
    expect(sizeOf(new Uint8Array(1_000))).toBe(1_016);
    expect(codec.sizeOf(new Float64Array(10))).toBe(96);
  });

  it('judges a large structure by its first values, within a factor of two', () => {
    const users = Array.from({ length: 10_000 }, (_, i) => ({ id: i, name: 'x'.repeat(20), tags: ['a', 'b'] }));
    const [sampled, whole] = [sizeOf(users), users.length * sizeOf(users[0])];
    expect(sampled).toBeGreaterThan(whole / 2);
    expect(sampled).toBeLessThan(whole * 2);
    for (const many of [
      new Map(users.map((user, i) => [i, user])),
      new Set(users),
      Object.fromEntries(users.entries()),
    ]) {
      expect(sizeOf(many)).toBeGreaterThan(whole / 2);
      expect(sizeOf(many)).toBeLessThan(whole * 2);
    }
  });

  it('looks at no more than a bounded part', () => {
    let reads = 0;
    const counted = (): object => ({
      get a() {
        reads++;
        return 1;
      },
    });
    sizeOf(Array.from({ length: 100_000 }, counted));
    expect(reads).toBeLessThanOrEqual(64);
  });

  it('ends on circles and on getters that throw', () => {
    const loop: Record<string, unknown> = {};
    loop.a = [loop, loop];
    expect(sizeOf(loop)).toBeGreaterThan(0);
    expect(
      sizeOf({
        get a(): never {
          throw new Error('no');
        },
      }),
    ).toBe(16);
  });
});
