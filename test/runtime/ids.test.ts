import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type TroupeCode, TroupeError } from '../../src/errors.ts';
import { keyBytesMax } from '../../src/limits.ts';
import {
  checkActorKey,
  checkNodeName,
  checkTypeName,
  parseActorAddress,
  parseNodeAddress,
  utf8Length,
} from '../../src/runtime/ids.ts';

function refused(code: TroupeCode, fn: () => unknown): string {
  try {
    fn();
  } catch (error) {
    expect(error).toBeInstanceOf(TroupeError);
    expect((error as TroupeError).code).toBe(code);
    return (error as TroupeError).message;
  }
  throw new Error('it was not refused');
}

describe('node names', () => {
  test.each(['n1', '0', '-', 'a'.repeat(32), 'eu-west-1'])('%s is one', name => {
    expect(checkNodeName(name)).toBe(name);
  });

  test.each(['', 'a'.repeat(33), 'n_1', 'n/1', 'n.1', 'n 1', 'n1\n', 'ñ', 7, null, undefined, {}])(
    '%j is none',
    name => {
      expect(refused('BAD_OPTION', () => checkNodeName(name))).toMatch(
        /^node name .* must be 1 to 32 of a-z, 0-9 and '-'/,
      );
    },
  );

  test('one in capitals is told what would do', () => {
    expect(refused('BAD_OPTION', () => checkNodeName('N1'))).toBe(
      `node name "N1" must be 1 to 32 of a-z, 0-9 and '-'; 'n1' would do`,
    );
  });
});

describe('actor type names', () => {
  test.each(['cart', 'Cart', 'kv.vnode', 'rate_limiter-2', 'x'.repeat(64)])('%s is one', name => {
    expect(checkTypeName(name)).toBe(name);
  });

  test.each(['', 'x'.repeat(65), 'a/b', 'a b', 'a\n', 'é', 1, undefined, Symbol('s')])('%s is none', name => {
    expect(refused('BAD_OPTION', () => checkTypeName(name))).toMatch(/^actor type name .* must be 1 to 64 of a-z, A-Z/);
  });
});

describe('actor keys', () => {
  test.each(['user-7', 'a/b/c', ' ', 'a\u0000', '日本', '🎭', 'x'.repeat(keyBytesMax), 'é'.repeat(keyBytesMax / 2)])(
    '%j is one',
    key => {
      expect(checkActorKey(key)).toBe(key);
    },
  );

  test('the bound is in bytes of UTF-8, and the text says how many there were', () => {
    expect(refused('TOO_LARGE', () => checkActorKey('x'.repeat(keyBytesMax + 1)))).toContain(
      'is 1025 bytes of UTF-8, the most is 1024',
    );
    expect(refused('TOO_LARGE', () => checkActorKey(`${'é'.repeat(keyBytesMax / 2)}x`))).toContain('1025 bytes');
    expect(refused('TOO_LARGE', () => checkActorKey('🎭🎭', 7))).toContain('is 8 bytes of UTF-8, the most is 7');
    expect(checkActorKey('🎭🎭', 8)).toBe('🎭🎭');
  });

  test.each(['\ud83c', 'a\udfad', '\udfad\ud83c'])('half a surrogate pair is refused: %j', key => {
    expect(refused('BAD_OPTION', () => checkActorKey(key))).toContain('half a surrogate pair');
  });

  test.each([
    ['', 'must not be empty'],
    ['\u00000.1.1', 'begins with a NUL, as the names of spawned actors do'],
    [7, 'must be a string, got 7; String(key) would do'],
    [7n, 'got 7; String(key) would do'],
    [undefined, 'must be a string, got undefined'],
    [{ id: 1 }, 'must be a string, got an object'],
    [['a'], 'must be a string, got an array'],
  ])('%s is refused with a remedy', (key, text) => {
    expect(refused('BAD_OPTION', () => checkActorKey(key))).toContain(text);
  });

  test('a long key is shown short and on one line', () => {
    const message = refused('TOO_LARGE', () => checkActorKey('line\n'.repeat(1_000)));
    expect(message.length).toBeLessThan(200);
    expect(message).not.toContain('\n');
  });

  test('utf8Length counts as TextEncoder does', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(fc.integer({ min: 0, max: 0xffff })).map(units => String.fromCharCode(...units)),
    );
    fc.assert(
      fc.property(text, each => {
        expect(utf8Length(each)).toBe(new TextEncoder().encode(each).length);
      }),
      { seed: 9, numRuns: 500 },
    );
  });
});

describe('addresses', () => {
  test.each([
    ['n2', { node: 'n2' }],
    ['n2/1', { node: 'n2', thread: 1 }],
    ['n2/0', { node: 'n2', thread: 0 }],
  ])('%s is a node address', (text, address) => {
    expect(parseNodeAddress(text)).toEqual(address);
  });

  test.each(['n2/', '/1', 'n2/01', 'n2/-1', 'n2/1.5', 'n2/1e3', 'n2/x', 'n2/1/2', 'n2/123456', 'N2/1', '', 5])(
    '%j is no node address',
    text => {
      expect(refused('BAD_OPTION', () => parseNodeAddress(text))).toMatch(/^node (address|name) .* must be/);
    },
  );

  test('only the first slash of an actor address divides', () => {
    expect(parseActorAddress('cart/user-7')).toEqual({ type: 'cart', key: 'user-7' });
    expect(parseActorAddress('file//etc/hosts')).toEqual({ type: 'file', key: '/etc/hosts' });
  });

  test.each(['cart', '/user-7', 'ca rt/7', '', 5, null])('%j is no actor address', text => {
    expect(refused('BAD_MESSAGE', () => parseActorAddress(text))).toMatch(/^(an )?actor address .*must/);
  });

  test('an actor address needs a key', () => {
    expect(refused('BAD_OPTION', () => parseActorAddress('cart/'))).toMatch(/^an actor key must not be empty/);
  });

  test('any type and key survive being written and read', () => {
    const type = fc.stringMatching(/^[a-zA-Z0-9._-]{1,64}$/);
    const key = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(type, key, (each, name) => {
        expect(parseActorAddress(`${each}/${name}`)).toEqual({ type: each, key: name });
      }),
      { seed: 2, numRuns: 300 },
    );
  });
});
