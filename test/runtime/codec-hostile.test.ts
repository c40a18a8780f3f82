// Bytes of an enemy, and of a damaged disk (research/reliability.md S5, S7, S8, S9): the codec gives back a value or says
// BAD_MESSAGE or TOO_LARGE, at once, without allocating what the bytes only promise.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { isDeepStrictEqual, promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { TroupeError } from '../../src/errors.ts';
import { depthMax, elementsMax, frameBytesMax } from '../../src/limits.ts';
import type { Arguments } from '../../src/runtime/codec.ts';
import { scanWire } from '../../src/runtime/wire-scan.ts';
import { dice, fromHex, hex, mutate, SampleRef, sampleCodec, seed } from './codec-samples.ts';

const codec = sampleCodec();

/** The code of the refusal, or undefined when there was none. Anything but a TroupeError is a failure of its own. */
function codeOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (!(error instanceof TroupeError)) throw error;
    return error.code;
  }
}

const scan = (bytes: Uint8Array): void => {
  scanWire(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length);
};

/** By the scan, by the reader without a scan, and by both together. */
const everyReader = (bytes: Uint8Array): (string | undefined)[] => [
  codeOf(() => scan(bytes)),
  codeOf(() => codec.decode(bytes, true)),
  codeOf(() => codec.decode(bytes)),
];
const bad = ['BAD_MESSAGE', 'BAD_MESSAGE', 'BAD_MESSAGE'];

const repeat = (pattern: string, times: number): Uint8Array => fromHex(pattern.replaceAll(' ', '').repeat(times));

/** At least one of everything. */
const everything: unknown[] = [
  [null, undefined, true, false, 0, -0, 127, 128, -33, 40_000, -40_000, 2 ** 31, 1.5, Number.NaN, 5n, -5n, 1n << 100n],
  { id: 7, name: 'x', tags: ['a', 'b'], nested: { deep: [{ deeper: {} }] }, long: 'text '.repeat(30), é: 'é' },
  new Map<unknown, unknown>([
    [1, new Set(['a', new Map([['k', 1]])])],
    ['two', [2]],
  ]),
  [new Uint8Array(70), Int16Array.of(1, -1), new Date(1_500), new Date(-1), new SampleRef('cart', 'user-7')],
  Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`key-${i}`, i])),
  Array.from({ length: 20 }, (_, i) => ({ i })),
];

describe('bytes of an enemy', () => {
  it.each([
    ['arrays that promise 33 million items each', repeat('dd01ffffff', 100)],
    ['maps that promise 4 billion entries each', repeat('dfffffffff', 100)],
    ['arrays that promise more items than bytes are left', fromHex(`dc0400 ${'00'.repeat(1_023)}`)],
    ['siblings that only together promise too much', fromHex(`92 dc0100 dc0100 ${'00'.repeat(400)}`)],
    ['bytes of 4 GiB', fromHex('c6ffffffff 00')],
    ['text of 4 GiB', fromHex('dbffffffff 00')],
    ['an extension of 4 GiB', fromHex('c9ffffffff 05 00')],
    ['a Map in an extension of 4 GiB', fromHex('c9ffffffff 02 80')],
    ['a million nested arrays', repeat('91', 1_000_000)],
    ['a million nested objects', repeat('81 a161', 1_000_000)],
    ['a million nested Maps', repeat('c7ff0281', 250_000)],
    ['nested arrays, objects and Sets by turns', repeat('91 81a161 c9000fffff0391', 50_000)],
    ['nothing', new Uint8Array(0)],
    ['a byte that begins no value', fromHex('c1')],
    ['two values', fromHex('01 01')],
    ['an object whose key is a number', fromHex('81 01 01')],
    ['an object whose key is an array', fromHex('81 90 01')],
    ['an object whose key is undefined', fromHex('81 d40000 01')],
  ])('are refused: %s', (_name, bytes) => {
    expect(everyReader(bytes)).toEqual(bad);
  });

  it('are refused one level beyond the deepest, and taken at it', () => {
    const nested = (levels: number): Uint8Array => fromHex(`${'91'.repeat(levels)}01`);
    expect(everyReader(nested(depthMax))).toEqual([undefined, undefined, undefined]);
    expect(everyReader(nested(depthMax + 1))).toEqual(bad);
    const sets = (levels: number): Uint8Array => {
      let bytes = fromHex('01');
      for (let i = 0; i < levels; i++)
        bytes = fromHex(`c8${(bytes.length + 1).toString(16).padStart(4, '0')}0391${hex(bytes)}`);
      return bytes;
    };
    expect(everyReader(sets(depthMax))).toEqual([undefined, undefined, undefined]);
    expect(everyReader(sets(depthMax + 1))).toEqual(bad);
  });

  it('are too large with more elements or more bytes than allowed', () => {
    const many = new Uint8Array(elementsMax + 6);
    many.set([0xdd, 0x00, 0x10, 0x00, 0x01]);
    expect(codeOf(() => codec.decode(many))).toBe('TOO_LARGE');
    const out: Arguments = { argc: 0, a0: null, a1: null, a2: null, rest: null };
    const frame = new Uint8Array(many.length + 1);
    frame.set([0x91, 0xdd, 0x00, 0x10, 0x00, 0x01]);
    expect(codeOf(() => codec.decodeArgs(frame, new DataView(frame.buffer), 0, frame.length, out))).toBe('TOO_LARGE');
    // Keys and values count alike.
    const entries = fromHex(`df 0009c400 ${'a0c0'.repeat(640_000)}`);
    expect([codeOf(() => scan(entries)), codeOf(() => codec.decode(entries))]).toEqual(['TOO_LARGE', 'TOO_LARGE']);
    expect(codeOf(() => codec.decode(new Uint8Array(frameBytesMax + 1)))).toBe('TOO_LARGE');
  });

  // The records, shared structures, bundled strings, pointers, errors, regular expressions and typed arrays of msgpackr.
  it.each([0x72, 0x62, 0x69, 0x70, 0x65, 0x78, 0x74, 0x73, 0x42, 0x06, 0x7f, 0xfe])(
    'are refused with the foreign extension %i, in every length',
    type => {
      const t = type.toString(16).padStart(2, '0');
      for (const prefix of ['d4', 'd5', 'd6', 'd7', 'd8', 'c701', 'c80001', 'c900000001']) {
        for (const tail of ['40', '40 91a161 01', '00'.repeat(16), '91a161'.repeat(6)]) {
          expect(everyReader(fromHex(`${prefix}${t}${tail}`))).toEqual(bad);
        }
      }
    },
  );

  it('are refused with our own extensions out of shape', () => {
    const shapes = [
      ...[
        'c70000',
        'd50000 00',
        'c700ff',
        'd4ff00',
        'd8ff'.padEnd(36, '0'),
        'c70101ff',
        'c702010561',
        'c70002',
        'c70003',
      ],
      ...['c70104 00', 'c70204 0001', 'c70504 0200000001', 'c70105 0b', 'c70105ff', 'c7020502', 'c70005'],
      ...[
        'c7020280 00',
        'c7010391',
        'c7020390 00',
        'c7010290',
        'c7010380',
        'c70102c0',
        'c702 03 dc00',
        'c702 02 8101 01',
      ],
      `c8 0502 01 00 ${'61'.repeat(0x501)}`,
    ];
    for (const shape of shapes) expect([shape, everyReader(fromHex(shape))]).toEqual([shape, bad]);
  });

  it('change nothing for the next message: a record definition is not remembered', () => {
    const honest = codec.encode({ method: 'get', key: 'a' });
    const poison = fromHex('92 d47240 92a36b6579a66d6574686f64 a161 a162');
    for (let i = 0; i < 3; i++) {
      expect(codeOf(() => codec.decode(poison))).toBe('BAD_MESSAGE');
      expect(codec.decode(honest)).toEqual({ method: 'get', key: 'a' });
    }
    // 0x40 is a number; and stays one in the texts that msgpackr reads.
    const texts = Array.from({ length: 2_000 }, (_, i) => `text-${i}`);
    expect(codec.decode(codec.encode([0x40, 0x41, ...texts]))).toEqual([0x40, 0x41, ...texts]);
  });

  it('do not reach a prototype by its names', () => {
    for (const name of ['__proto__', 'constructor', 'prototype']) {
      const key = hex(codec.encode(name));
      for (const bytes of [fromHex(`81 ${key} 81 a178 01`), fromHex(`81 a161 81 ${key} 81 ${key} 81 a178 01`)]) {
        const value = codec.decode(bytes) as Record<string, unknown>;
        expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
        expect(value.x).toBeUndefined();
      }
      // Beside so much text that msgpackr would be asked, which renames such keys.
      const texts = Array.from({ length: 1_000 }, (_, i) => `text-${i}`);
      const large = codec.decode(fromHex(`82 ${key} 81 a178 01 a174 ${hex(codec.encode(texts))}`)) as object;
      expect(Object.keys(large)).toEqual([name, 't']);
      expect(Object.getPrototypeOf(large)).toBe(Object.prototype);
    }
    expect(({} as { x?: unknown }).x).toBeUndefined();
    expect((Object as { x?: unknown }).x).toBeUndefined();
  });

  it('are refused when they end anywhere before their end', () => {
    const whole = codec.encode(everything);
    for (let length = 0; length < whole.length; length++) {
      expect(everyReader(whole.subarray(0, length))).toEqual(bad);
      // In a window of shared memory there are other bytes behind the end.
      const cut = codeOf(() => scanWire(whole, new DataView(whole.buffer), 0, length));
      expect(cut).toBe('BAD_MESSAGE');
    }
  });

  it('of a hundred thousand accidents are a value or refused; the scan and the reader agree', () => {
    const roll = dice(seed);
    const samples = everything.map(value => codec.encode(value));
    const seen = { sound: 0, refused: 0 };
    Error.stackTraceLimit = 0; // 200,000 errors are made here, and their stacks would take most of the time
    for (let run = 0; run < 100_000; run++) {
      const mutant = mutate(samples[run % samples.length] as Uint8Array, roll);
      const scanned = codeOf(() => scan(mutant));
      let value: unknown;
      const read = codeOf(() => {
        value = codec.decode(mutant, true);
      });
      if (scanned !== read) throw new Error(`scan: ${scanned}, reader: ${read}: ${hex(mutant)}`);
      if (read === undefined) seen.sound++;
      else seen.refused++;
      // What was taken can be sent on, and arrives as it was. (An invalid date is never equal to another.)
      if (read === undefined && run % 16 === 0) {
        const again = codec.decode(codec.encode(value));
        if (!hex(codec.encode(again)).match(/ffffffff/) && !isDeepStrictEqual(again, value))
          throw new Error(hex(mutant));
      }
    }
    expect(seen.sound).toBeGreaterThan(5_000);
    expect(seen.refused).toBeGreaterThan(50_000);
    expect(({} as { x?: unknown }).x).toBeUndefined();
  });

  it('take no memory: a heap of 64 MB outlives every bomb, and grows by less than 20 x a damaged message', async () => {
    const script = join(import.meta.dirname, 'codec-bombs.ts');
    const { stdout } = await promisify(execFile)(process.execPath, ['--max-old-space-size=64', '--expose-gc', script]);
    const { bombs, sound, growth, worst } = JSON.parse(stdout) as Record<string, number>;
    expect(bombs).toBe(14);
    expect(sound).toBe(0);
    expect(growth).toBeLessThan(2 << 20);
    expect(worst).toBeLessThan(20);
  });
});
