import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeKey, encodeKey, type Key, ownKey, prefixRange, upperBound } from '../../src/actors/store-key.ts';
import type { TroupeError } from '../../src/errors.ts';
import { compareKeys, keyAfter } from '../../src/storage/key.ts';
import { bytes } from './records.ts';

const settings = { seed: 50, numRuns: 500 };
const anyText = fc.string({ unit: 'binary', minLength: 1, maxLength: 20 });
const anyKey: fc.Arbitrary<Key> = fc.oneof(anyText, fc.uint8Array({ minLength: 1, maxLength: 20 }));

function refusal(make: () => unknown): TroupeError {
  try {
    make();
  } catch (error) {
    return error as TroupeError;
  }
  throw new Error('nothing was refused');
}

const within = (key: Uint8Array, { from, to }: { from: Uint8Array; to: Uint8Array | undefined }) =>
  compareKeys(key, from) >= 0 && (to === undefined || compareKeys(key, to) < 0);

describe('keys', () => {
  it('come back as what they were, text or bytes (A-50)', () => {
    for (const key of [
      '__proto__',
      'constructor',
      'a/b',
      'ключ',
      '\r\n',
      '\0',
      '\u{1F600}',
      '\ufeffx',
      'x'.repeat(1_024),
    ]) {
      expect(decodeKey(encodeKey(key))).toBe(key);
    }
    fc.assert(
      fc.property(anyKey, key => {
        expect(decodeKey(encodeKey(key))).toEqual(key);
      }),
      settings,
    );
  });

  it('the text "a" and the byte 97 are two keys', () => {
    expect(encodeKey('a')).not.toEqual(encodeKey(bytes(97)));
    expect(decodeKey(encodeKey(bytes(97)))).toEqual(bytes(97));
  });

  it('are given back as plain bytes of their own, also when they came in a Buffer', () => {
    const mine = Buffer.from([1, 2, 3]);
    const encoded = encodeKey(mine);
    mine[0] = 9;
    const stored = Buffer.from(encoded);
    const back = decodeKey(stored) as Uint8Array;
    stored.fill(0);
    expect(back.constructor).toBe(Uint8Array);
    expect(back).toEqual(bytes(1, 2, 3));
  });

  it.each([
    ['empty text', '', 'BAD_OPTION', 'must not be empty'],
    ['no bytes', bytes(), 'BAD_OPTION', 'must not be empty'],
    ['half a surrogate pair', 'a\ud83d', 'BAD_OPTION', 'surrogate'],
    ['the other half', '\ude00', 'BAD_OPTION', 'surrogate'],
    ['a number', 7, 'BAD_OPTION', 'got number'],
    ['null', null, 'BAD_OPTION', 'got null'],
    ['undefined', undefined, 'BAD_OPTION', 'got undefined'],
    ['an array', [1], 'BAD_OPTION', 'got object'],
    ['text of 1,025 bytes', 'x'.repeat(1_025), 'TOO_LARGE', '1024'],
    ['513 letters of two bytes', 'ж'.repeat(513), 'TOO_LARGE', '1026 bytes'],
    ['1,025 bytes', new Uint8Array(1_025), 'TOO_LARGE', '1025 bytes'],
  ])('%s is refused', (_, key, code, message) => {
    const error = refusal(() => encodeKey(key));
    expect(error).toMatchObject({ code, details: { option: 'key' } });
    expect(error.message).toContain(message);
  });

  it('of 1 KiB are taken, in either kind', () => {
    expect(encodeKey('ж'.repeat(512)).length).toBe(1_025);
    expect(encodeKey(new Uint8Array(1_024)).length).toBe(1_025);
  });

  it('lie in the order of their bytes, not of UTF-16', () => {
    const sorted = ['\u{1F600}', '\uffff', 'b', 'a'].map(encodeKey).sort(compareKeys).map(decodeKey);
    expect(sorted).toEqual(['a', 'b', '\uffff', '\u{1F600}']);
    expect(compareKeys(ownKey, encodeKey('\0'))).toBeLessThan(0);
  });
});

describe('the range of a prefix', () => {
  it('holds exactly the keys of its kind that begin with it', () => {
    const begins = (key: Key, prefix: Key) =>
      typeof key === 'string'
        ? typeof prefix === 'string' && key.startsWith(prefix)
        : typeof prefix !== 'string' && prefix.every((byte, i) => key[i] === byte);
    const near = fc.tuple(anyKey, anyKey, fc.boolean()).map(([prefix, rest, extend]): [Key, Key] => {
      if (!extend || typeof prefix !== typeof rest) return [prefix, rest];
      if (typeof prefix === 'string') return [prefix, prefix + (rest as string)];
      return [prefix, bytes(...prefix, ...(rest as Uint8Array))];
    });
    fc.assert(
      fc.property(near, ([prefix, key]) => {
        expect(within(encodeKey(key), prefixRange(prefix))).toBe(begins(key, prefix));
      }),
      settings,
    );
  });

  it('may be empty: all keys of that kind; without one, all keys and nothing of the vnode', () => {
    expect(within(encodeKey('\u{10ffff}'), prefixRange(''))).toBe(true);
    expect(within(encodeKey(bytes(0)), prefixRange(''))).toBe(false);
    expect(within(encodeKey(bytes(255)), prefixRange(bytes()))).toBe(true);
    expect(within(encodeKey('a'), prefixRange(bytes()))).toBe(false);
    for (const key of ['\0', '\u{10ffff}', bytes(0), bytes(255, 255)])
      expect(within(encodeKey(key), prefixRange())).toBe(true);
    expect(within(ownKey, prefixRange())).toBe(false);
  });

  it('ends where the next prefix begins, also when its last bytes are 255', () => {
    expect(upperBound(bytes(1, 2))).toEqual(bytes(1, 3));
    expect(upperBound(bytes(1, 255, 255))).toEqual(bytes(2));
    expect(upperBound(bytes(255, 255))).toBeUndefined();
    expect(upperBound(bytes())).toBeUndefined();
    expect(within(encodeKey(bytes(255, 255, 7)), prefixRange(bytes(255, 255)))).toBe(true);
    expect(within(encodeKey(bytes(255, 254)), prefixRange(bytes(255, 255)))).toBe(false);
  });

  it('is refused for what no key can begin with', () => {
    expect(refusal(() => prefixRange('\ud800'))).toMatchObject({ code: 'BAD_OPTION', details: { option: 'prefix' } });
    expect(refusal(() => prefixRange(7 as never))).toMatchObject({ code: 'BAD_OPTION' });
    expect(refusal(() => prefixRange('x'.repeat(2_000)))).toMatchObject({ code: 'TOO_LARGE' });
  });

  it('keyAfter leaves no key in between', () => {
    fc.assert(
      fc.property(anyKey, anyKey, (a, b) => {
        const [x, y] = [encodeKey(a), encodeKey(b)];
        expect(compareKeys(y, keyAfter(x)) >= 0).toBe(compareKeys(y, x) > 0);
      }),
      settings,
    );
  });
});
