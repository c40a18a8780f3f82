import { describe, expect, it } from 'vitest';
import { preference, preferenceByZone, preferenceUp } from '../../../src/runtime/ownership/preference.ts';
import { member, ringOf } from './clusters.ts';

const eight = ringOf('a b c d a b c d');
/** '1:b 0:d(a)': a fallback names whom it stands in for. */
const shown = (down: string, n = 3, from = 0, ring = eight): string =>
  preferenceUp(ring, from, n, node => !down.includes(node))
    .map(({ partition, node, kind, instead }) => `${partition}:${node}${kind === 'fallback' ? `(${instead})` : ''}`)
    .join(' ');

describe('a preference list', () => {
  it.each([
    [0, 3, 'abc'],
    [6, 3, 'cda'], // over the wrap
    [7, 4, 'dabc'],
    [1, 9, 'bcda'],
    [0, 0, ''],
  ])('from partition %i holds %i distinct nodes clockwise: %s', (from, n, expected) => {
    expect(preference(eight, from, n).join('')).toBe(expected);
  });

  it('skips a node that is in it already, and places nobody owns (A-14)', () => {
    expect(preference(ringOf('s0 s0 s1 s2'), 0, 3)).toEqual(['s0', 's1', 's2']);
    expect(preference({ ...eight, owners: ['', 'a', '', 'b'] }, 0, 3)).toEqual(['a', 'b']);
  });

  it('has as many as there are (A-15)', () => {
    expect(preference(ringOf('a b a b'), 1, 3)).toEqual(['b', 'a']);
  });

  it.each([
    ['', '0:a 1:b 2:c'],
    ['a', '1:b 2:c 0:d(a)'],
    ['ab', '2:c 0:d(a) 1:c(b)'],
    ['cd', '0:a 1:b 2:a(c)'],
    ['abc', '0:d(a) 1:d(b) 2:d(c)'],
    ['abcd', ''],
  ])('without %s is %s (A-102)', (down, expected) => {
    expect(shown(down)).toBe(expected);
  });

  it('takes the next stranger as the fallback, not a second copy at a primary (A-101)', () => {
    expect(shown('a', 3, 0, ringOf('a b c d'))).toBe('1:b 2:c 0:d(a)');
    expect(shown('b', 2, 0, ringOf('a b a c'))).toBe('0:a 1:c(b)');
  });

  it('counts the fallbacks from behind the last primary, and all are different while there are enough', () => {
    expect(shown('ac', 3, 0, ringOf('a b c d e f g h'))).toBe('1:b 0:d(a) 2:e(c)');
    expect(shown('c', 3, 2, ringOf('a b c d e f g h'))).toBe('3:d 4:e 2:f(c)');
  });
});

describe('copies by zone', () => {
  const at = (name: string, zone: string, rack: string) => member(name, { zone, rack });
  const ring = ringOf('A B C D E F', {
    members: [
      at('A', '1', 'r1'),
      at('B', '1', 'r1'),
      at('C', '1', 'r2'),
      at('D', '2', 'r1'),
      at('E', '2', 'r2'),
      at('F', '2', 'r2'),
    ],
  });

  it.each([
    [{ 1: 2, 2: 2 }, 'ACDE'], // A-227: B shares the rack of A
    [{ 1: 3 }, 'ABC'], // A-228: three copies, two racks, one repeat
    [{ 1: 1, 2: 3 }, 'ADEF'],
    [{ 1: 9 }, 'ABC'],
    [{ 3: 2 }, ''],
  ])('%j: %s', (copies, expected) => {
    expect(preferenceByZone(ring, 0, copies).join('')).toBe(expected);
  });
});
