import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { md5, md5First32 } from '../../src/runtime/md5.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const expected = (input: string | Uint8Array) => createHash('md5').update(input).digest('hex');

describe('md5', () => {
  test.each([
    ['', 'd41d8cd98f00b204e9800998ecf8427e'],
    ['a', '0cc175b9c0f1b6a831c399e269772661'],
    ['abc', '900150983cd24fb0d6963f7d28e17f72'],
    ['message digest', 'f96b697d7cb7938d525a2f31aaf161d0'],
    ['abcdefghijklmnopqrstuvwxyz', 'c3fcd3d76192e4007dfb496cca67e13b'],
    ['ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789', 'd174ab98d277d9f5a5611c2c9f419d9f'],
    ['1234567890'.repeat(8), '57edf4a22be3c955ac49da2e2107b67a'],
    ['key0', '21f402f25b1a0fd722b83169e10509f8'],
  ])('of %j is the value of RFC 1321 (and of A-12)', (input, digest) => {
    expect(hex(md5(input))).toBe(digest);
  });

  test.each([55, 56, 57, 63, 64, 65, 119, 120, 128, 1_000, 70_000])('pads %i bytes as node:crypto does', length => {
    const bytes = Uint8Array.from({ length }, (_, i) => i * 7);
    expect(hex(md5(bytes))).toBe(expected(bytes));
  });

  test('agrees with node:crypto on any bytes and any string, lone surrogates included', () => {
    const text = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 80 }),
      fc.string({ unit: 'binary', maxLength: 80 }),
      fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 60 }).map(units => String.fromCharCode(...units)),
    );
    fc.assert(
      fc.property(fc.oneof(text, fc.uint8Array({ maxLength: 200 })), input => {
        const digest = md5(input);
        expect(hex(digest)).toBe(expected(input));
        expect(md5First32(input)).toBe(Buffer.from(digest).readUInt32BE(0));
      }),
      { seed: 5, numRuns: 600 },
    );
  });

  test('a result is not touched by the next call', () => {
    const first = md5('a');
    md5('b');
    expect(hex(first)).toBe(expected('a'));
  });
});
