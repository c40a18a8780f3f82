// The judge of the tests with processes finds what they look for.

import { describe, expect, it } from 'vitest';
import type { Line } from './book-actors.ts';
import { BookOracle } from './book-oracle.ts';

describe('the oracle', () => {
  const rows: [what: string, lines: Line[], trouble: RegExp[]][] = [
    [
      'nothing',
      [
        ['a', 0, 5],
        ['a', 1, 7],
        ['a', 3, 7],
      ],
      [],
    ],
    [
      'an unknown line that is there',
      [
        ['a', 0, 5],
        ['a', 1, 7],
        ['a', 2, 7],
        ['a', 3, 7],
      ],
      [],
    ],
    [
      'a lost line',
      [
        ['a', 0, 5],
        ['a', 3, 7],
      ],
      [/line 1 of a was acknowledged, and is lost/],
    ],
    [
      'a doubled line',
      [
        ['a', 0, 5],
        ['a', 1, 7],
        ['a', 1, 7],
        ['a', 3, 7],
      ],
      [/line 1 of a is doubled/],
    ],
    [
      'a reordered line',
      [
        ['a', 1, 7],
        ['a', 0, 7],
        ['a', 3, 7],
      ],
      [/line 0 of a is reordered, after 1/, /line 0 .* epoch 5, and is there under 7/],
    ],
    [
      'a refused line',
      [
        ['a', 0, 5],
        ['a', 1, 7],
        ['a', 3, 7],
        ['a', 4, 7],
      ],
      [/line 4 of a is there, and its sender was told that it is not/],
    ],
    [
      'a line of nobody',
      [
        ['a', 0, 5],
        ['a', 1, 7],
        ['a', 3, 7],
        ['b', 0, 7],
      ],
      [/line 0 of b was never written/],
    ],
    [
      'an older owner',
      [
        ['a', 0, 5],
        ['a', 1, 7],
        ['a', 2, 6],
        ['a', 3, 7],
      ],
      [/line 2 of a was accepted under epoch 6, after 7/],
    ],
  ];
  it.each(rows)('finds %s', (_what, lines, troubles) => {
    const oracle = new BookOracle();
    const fates = [5, 7, 'unknown', 7, 'failed'] as const;
    for (const [n, fate] of fates.entries()) oracle.ended('book/k', 'a', n, fate);
    expect(oracle.acked('book/k')).toBe(3);
    expect(oracle.troubles('book/k', lines)).toEqual(troubles.map(each => expect.stringMatching(each)));
  });
});
