import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sameSet } from '../../src/actors/dvv.ts';
import type { SiblingSet } from '../../src/actors/sibling.ts';
import { ByteReader, ByteWriter, varintBytes } from '../../src/actors/strict-bytes.ts';
import {
  type Corrupt,
  decodeSet,
  encodeSet,
  isCorrupt,
  type RecordBytes,
  siblingBytes,
} from '../../src/actors/version-codec.ts';
import { anySet, anySibling, bytes, grave, setOf, sibling } from './records.ts';

const settings = { seed: 24, numRuns: 300 };

function decoded(record: RecordBytes): SiblingSet {
  const set = decodeSet(record);
  if (isCorrupt(set)) throw new Error(set.corrupt);
  return set;
}

const corrupt = (version: Uint8Array, value: Uint8Array): string => (decodeSet({ version, value }) as Corrupt).corrupt;

describe('a sibling set as bytes', () => {
  it('comes back as it was', () => {
    fc.assert(
      fc.property(anySet, set => {
        const back = decoded(encodeSet(set));
        expect(new Map([...back].sort())).toEqual(new Map([...set].sort()));
      }),
      settings,
    );
  });

  it('has the same bytes in whatever order the actors came (A-47)', () => {
    fc.assert(
      fc.property(anySet, set => {
        expect(encodeSet(new Map([...set].reverse()))).toEqual(encodeSet(set));
      }),
      settings,
    );
  });

  it('costs less than 24 bytes beside the actor, for one value of one actor', () => {
    const overhead = (value: string, counter: number, tick: number) => {
      const now = { ms: 1_763_000_000_000, tick };
      const { version, value: stored } = encodeSet(
        setOf(['n1:33:mi7x2k3f', counter, [[counter, sibling(value, { stamp: now })]]]),
      );
      return version.length + stored.length - 'n1:33:mi7x2k3f'.length - value.length;
    };
    expect(overhead('', 1, 0)).toBe(16);
    expect(overhead('x'.repeat(100_000), 1_000_000, 200)).toBeLessThan(24);
  });

  it('is one byte larger for each further dot that follows the one before', () => {
    const one = encodeSet(setOf(['a', 3, [[3, grave()]]])).version;
    const three = encodeSet(
      setOf([
        'a',
        3,
        [
          [3, grave()],
          [2, grave()],
          [1, grave()],
        ],
      ]),
    ).version;
    expect(one).toEqual(bytes(1, 1, 1, 97, 3, 1, 0));
    expect(three).toEqual(bytes(1, 1, 1, 97, 3, 3, 0, 0, 0));
  });

  it('keeps a clock whose values are all superseded, and the set nobody wrote', () => {
    const history = setOf(['a', 7, []]);
    expect(decoded(encodeSet(history))).toEqual(history);
    expect(encodeSet(history).value).toEqual(bytes(1));
    expect(decoded(encodeSet(new Map())).size).toBe(0);
  });

  it('knows the size of a sibling before it is written', () => {
    fc.assert(
      fc.property(anySibling, one => {
        expect(encodeSet(setOf(['a', 1, [[1, one]]])).value.length).toBe(1 + siblingBytes(one));
      }),
      settings,
    );
  });
});

describe('decoding what we did not write', () => {
  const good = encodeSet(
    setOf(
      [
        'a',
        3,
        [
          [3, sibling('x')],
          [1, grave({ opId: 'r-1' })],
        ],
      ],
      ['b', 1, []],
    ),
  );

  it('never throws, and accepts only what encodes to the same bytes', () => {
    const record = fc.record({ version: fc.uint8Array({ maxLength: 40 }), value: fc.uint8Array({ maxLength: 60 }) });
    const mutated = fc.tuple(anySet, fc.nat(), fc.nat(255), fc.boolean()).map(([set, at, to, inVersion]) => {
      const made = encodeSet(set);
      const target = inVersion ? made.version : made.value;
      target[at % target.length] = to;
      return made;
    });
    fc.assert(
      fc.property(fc.oneof(record, mutated), input => {
        const set = decodeSet(input);
        if (isCorrupt(set)) expect(set.corrupt).toMatch(/^(version|value): /);
        else expect(encodeSet(set)).toEqual({ version: input.version, value: input.value });
      }),
      { seed: 25, numRuns: 3_000 },
    );
  });

  it('notices every truncation and every byte too many', () => {
    for (const part of ['version', 'value'] as const) {
      for (let length = 0; length < good[part].length; length++) {
        const cut = decodeSet({ ...good, [part]: good[part].subarray(0, length) });
        expect(isCorrupt(cut), `${part} cut to ${length}`).toBe(true);
      }
      expect(isCorrupt(decodeSet({ ...good, [part]: bytes(...good[part], 0) }))).toBe(true);
    }
    expect(sameSet(decoded(good), decoded(good))).toBe(true);
  });

  it.each([
    ['an unknown format', bytes(2, 0), bytes(1), 'unknown format'],
    ['an unknown format of the value', bytes(1, 0), bytes(9), 'unknown format'],
    ['actors out of order', bytes(1, 2, 1, 98, 1, 0, 1, 97, 1, 0), bytes(1), 'out of order'],
    ['the same actor twice', bytes(1, 2, 1, 97, 1, 0, 1, 97, 2, 0), bytes(1), 'out of order'],
    ['an actor without a name', bytes(1, 1, 0, 1, 0, 0), bytes(1), 'characters'],
    ['an actor that is not printable', bytes(1, 1, 1, 7, 1, 0), bytes(1), 'not printable'],
    ['a counter of 0', bytes(1, 1, 1, 97, 0, 0), bytes(1), 'a counter is 0'],
    ['a dot below 1', bytes(1, 1, 1, 97, 2, 1, 2), bytes(1), 'below 1'],
    ['a varint longer than it needs', bytes(1, 1, 1, 97, 0x81, 0, 0), bytes(1), 'longer than it needs'],
    ['more actors than bytes', bytes(1, 0xff, 0xff, 0xff, 0xff, 0x7f), bytes(1), 'with 0 bytes left'],
    ['a counter above the bound', bytes(1, 1, 1, 97, 255, 255, 255, 255, 255, 255, 127, 0), bytes(1), 'a counter is'],
    ['unknown flags', bytes(1, 1, 1, 97, 1, 1, 0), bytes(1, 8, 0, 0, 0, 0, 0, 1, 0, 0), 'the flags'],
    ['a tombstone with a value', bytes(1, 1, 1, 97, 1, 1, 0), bytes(1, 1, 0, 0, 0, 0, 0, 1, 0, 1, 7), 'tombstone'],
    [
      'an expiry of 0',
      bytes(1, 1, 1, 97, 1, 1, 0),
      bytes(1, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0),
      'expiry is 0',
    ],
  ])('refuses %s', (_, version, value, why) => {
    expect(corrupt(version, value)).toContain(why);
  });
});

describe('strict bytes', () => {
  it('write a varint in the fewest bytes and read it back', () => {
    const writer = new ByteWriter();
    fc.assert(
      fc.property(fc.oneof(fc.nat(), fc.maxSafeNat()), value => {
        writer.varint(value);
        const made = writer.done();
        expect(made.length).toBe(varintBytes(value));
        const reader = new ByteReader(made);
        expect(reader.varint('v')).toBe(value);
        reader.finish();
        expect(reader.ok).toBe(true);
      }),
      settings,
    );
  });

  it('refuse a varint beyond what a number holds, and one that never ends', () => {
    for (const made of [bytes(255, 255, 255, 255, 255, 255, 255, 127), new Uint8Array(20).fill(128)]) {
      const reader = new ByteReader(made);
      expect(reader.varint('v')).toBe(0);
      expect(reader.ok).toBe(false);
    }
  });

  it('keep the first thing that was wrong', () => {
    const reader = new ByteReader(bytes(1));
    reader.fixed('the first', 4);
    reader.byte('the second');
    reader.finish();
    expect(reader.why).toBe('the first is cut off at byte 0');
  });
});
