// The pure parts of storage: checksums, records, keys, the ordered map, room on the disk.

import { randomFillSync } from 'node:crypto';
import { crc32 as zlibCrc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc32 } from '../../src/storage/crc32.ts';
import { admit, growthOf } from '../../src/storage/disk-room.ts';
import { compareKeys, nameOf, showKey } from '../../src/storage/key.ts';
import { OrderedMap } from '../../src/storage/ordered-map.ts';
import { decodeRecord, encodeRecord, epochOf, shardSeed } from '../../src/storage/record.ts';
import { bytes } from './conformance.ts';

const runs = { seed: 20_260_807, numRuns: 200 };

describe('crc32', () => {
  it.each([
    ['', 0x00000000],
    ['a', 0xe8b7be43],
    ['abc', 0x352441c2],
    ['123456789', 0xcbf43926],
    ['message digest', 0x20159d7f],
    ['abcdefghijklmnopqrstuvwxyz', 0x4c2750bd],
    ['The quick brown fox jumps over the lazy dog', 0x414fa339],
  ])('of %j is as published', (input, expected) => {
    expect(crc32(bytes(input))).toBe(expected);
  });

  it('agrees with zlib for every length, offset and seed', () => {
    const pool = randomFillSync(new Uint8Array(4_096));
    fc.assert(
      fc.property(fc.nat(300), fc.nat(40), fc.nat(0xffffffff), (length, offset, seed) => {
        const part = pool.subarray(offset, offset + length);
        expect(crc32(part, seed)).toBe(zlibCrc32(part, seed));
      }),
      runs,
    );
    for (let length = 0; length < 40; length++) {
      expect(crc32(pool.subarray(0, length))).toBe(zlibCrc32(pool.subarray(0, length)));
    }
  });

  it('of two parts, one after the other, is that of both together', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
        expect(crc32(b, crc32(a))).toBe(crc32(Uint8Array.of(...a, ...b)));
      }),
      runs,
    );
  });
});

describe('a record', () => {
  const seed = shardSeed(crc32, 'a/1');
  const epochs = fc.oneof(fc.nat(9), fc.maxSafeNat(), fc.constant(Number.MAX_SAFE_INTEGER));

  it('is decoded as it was encoded', () => {
    fc.assert(
      fc.property(fc.uint8Array(), epochs, fc.uint8Array(), fc.uint8Array(), (key, epoch, version, value) => {
        const encoded = encodeRecord(crc32, seed, key, epoch, version, value);
        expect(epochOf(encoded)).toBe(epoch);
        expect(decodeRecord(crc32, seed, key, encoded)).toEqual({ type: 'ok', record: { key, epoch, version, value } });
      }),
      runs,
    );
  });

  it('has the format it has always had', () => {
    const encoded = encodeRecord(crc32, seed, bytes('key'), 2 ** 53 - 1, bytes('vv'), bytes('value'));
    expect(Buffer.from(encoded).toString('hex')).toBe('be4135ed01ffffffffffff1f0200767676616c7565');
  });

  it('is not accepted with any one bit turned around', () => {
    const key = bytes('user/7');
    for (const value of ['', 'x', 'a value of some length']) {
      const encoded = encodeRecord(crc32, seed, key, 77, bytes('clock'), bytes(value));
      for (let bit = 0; bit < encoded.length * 8; bit++) {
        const damaged = encoded.slice();
        damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
        expect([bit, decodeRecord(crc32, seed, key, damaged).type]).toEqual([bit, 'corrupt']);
      }
    }
  });

  it('is not accepted cut short, or with something behind it', () => {
    const key = bytes('k');
    const encoded = encodeRecord(crc32, seed, key, 1, bytes('v'), bytes('value'));
    for (let length = 0; length < encoded.length; length++) {
      expect(decodeRecord(crc32, seed, key, encoded.subarray(0, length)).type).toBe('corrupt');
    }
    expect(decodeRecord(crc32, seed, key, Uint8Array.of(...encoded, 0)).type).toBe('corrupt');
  });

  it('is not accepted under another key or in another shard: a misdirected write', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), (key, other) => {
        fc.pre(compareKeys(key, other) !== 0);
        const encoded = encodeRecord(crc32, seed, key, 1, bytes('v'), bytes('value'));
        expect(decodeRecord(crc32, seed, other, encoded)).toEqual({ type: 'corrupt', reason: 'the checksum differs' });
        expect(decodeRecord(crc32, shardSeed(crc32, 'a/2'), key, encoded).type).toBe('corrupt');
      }),
      runs,
    );
  });

  it('is refused with a reason, never with an error, whatever the bytes are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), garbage => {
        const decoded = decodeRecord(crc32, seed, bytes('k'), garbage);
        expect(decoded).toEqual({ type: 'corrupt', reason: expect.any(String) });
      }),
      { ...runs, numRuns: 1_000 },
    );
  });

  it('with a good checksum is still refused when it is of another format, or its parts do not fit', () => {
    const key = bytes('k');
    const resign = (change: (encoded: Uint8Array) => void): string => {
      const encoded = encodeRecord(crc32, seed, key, 1, none, bytes('value'));
      change(encoded);
      const sum = crc32(key, crc32(encoded.subarray(4), seed));
      new DataView(encoded.buffer).setUint32(0, sum, true);
      const decoded = decodeRecord(crc32, seed, key, encoded);
      return decoded.type === 'corrupt' ? decoded.reason : 'ok';
    };
    const none = new Uint8Array(0);
    expect(resign(() => {})).toBe('ok');
    expect(resign(encoded => encoded.set([9], 4))).toBe('format 9 is not known');
    expect(resign(encoded => encoded.set([6, 0], 12))).toBe('the version is longer than the record');
  });
});

describe('a key', () => {
  it('has a name that orders and distinguishes as its bytes do', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
        const [left, right] = [nameOf(a), nameOf(b)];
        expect(Math.sign(compareKeys(a, b))).toBe(left < right ? -1 : left > right ? 1 : 0);
        expect(Math.sign(compareKeys(a, b))).toBe(Buffer.compare(a, b));
      }),
      { ...runs, numRuns: 1_000 },
    );
  });

  it('is shown so that a person can read it, and not at any length', () => {
    expect(showKey(bytes('cart/7'))).toBe('cart/7');
    expect(showKey(Uint8Array.of(0, 0x41, 0x5c, 0x7f, 0xff))).toBe('\\x00A\\x5c\\x7f\\xff');
    expect(showKey(new Uint8Array(1_024).fill(0x61))).toBe(`${'a'.repeat(64)}... (1024 bytes)`);
  });
});

describe('an ordered map', () => {
  const names = fc.string({ unit: fc.constantFrom('\u0000', 'a', 'b', '\u00ff'), maxLength: 3 });

  it('does what a Map and a sort do, and its ranges stay as they were', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(names, fc.oneof(fc.nat(99), fc.constant(undefined))), { maxLength: 60 }),
        names,
        names,
        (steps, from, to) => {
          const map = new OrderedMap<number>();
          const model = new Map<string, number>();
          const sorted = () =>
            [...model].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, value]) => ({ name, value }));
          steps.forEach(([name, value], index) => {
            const before = sorted();
            const range = map.range();
            if (value === undefined) map.delete(name);
            else map.set(name, value);
            if (value === undefined) model.delete(name);
            else model.set(name, value);
            if (index % 7 === 0) expect([...range]).toEqual(before);
            expect([map.size, map.get(name)]).toEqual([model.size, value]);
          });
          expect([...map.range()]).toEqual(sorted());
          expect([...map.range(from, to)]).toEqual(sorted().filter(({ name }) => name >= from && name < to));
        },
      ),
      runs,
    );
  });

  it('keeps ten thousand names in order, put in and taken out in any order', () => {
    const map = new OrderedMap<number>();
    const all = Array.from({ length: 10_000 }, (_, index) => `${(index * 7_919) % 10_007}`.padStart(5, '0'));
    all.forEach((name, index) => {
      map.set(name, index);
    });
    expect([...map.range()].map(({ name }) => name)).toEqual(all.toSorted());
    for (const name of all.slice(0, 9_990)) map.delete(name);
    expect([...map.range()].map(({ name }) => name)).toEqual(all.slice(9_990).toSorted());
    for (const name of all) map.delete(name);
    expect([[...map.range()], map.size]).toEqual([[], 0]);
  });
});

describe('room on the disk', () => {
  const MiB = 1 << 20;
  const put = (growth: number) => ({ puts: true, growth });
  const del = (growth: number) => ({ puts: false, growth });

  it.each([
    ['plenty: everything goes', [put(9 * MiB), del(1), put(9 * MiB)], 1_000 * MiB, ['go', 'go', 'go']],
    ['below the low water only deletions go', [put(1), del(1), put(1)], 63 * MiB, ['full', 'go', 'full']],
    ['at the low water an eighth of the half above it goes', [put(3 * MiB), put(3 * MiB)], 64 * MiB, ['go', 'again']],
    ['what is behind waits too', [put(5 * MiB), put(1), del(1)], 64 * MiB, ['go', 'again', 'again']],
    ['a large group goes alone while it leaves the lower half', [put(31 * MiB)], 64 * MiB, ['go']],
    ['a group that would not leave it is refused', [put(33 * MiB), put(1)], 64 * MiB, ['full', 'go']],
    ['nothing at all: not even a deletion', [del(1)], 0, ['full']],
    ['a deletion needs twice its pages', [del(MiB), del(3 * MiB)], 3 * MiB, ['go', 'full']],
  ])('%s', (_, groups, free, expected) => {
    expect(admit(groups, free, 64 * MiB)).toEqual(expected);
  });

  it('is not looked at with a low water of zero', () => {
    expect(admit([put(1e12)], 0, 0)).toEqual(['go']);
  });

  it('never lets a batch use more than its share, nor leave the first group waiting', () => {
    const groups = fc.array(fc.record({ puts: fc.boolean(), growth: fc.nat(40 * MiB) }), {
      minLength: 1,
      maxLength: 12,
    });
    fc.assert(
      fc.property(groups, fc.nat(400 * MiB), fc.nat(128 * MiB), (some, free, lowWater) => {
        fc.pre(lowWater > 0);
        const verdicts = admit(some, free, lowWater);
        const gone = some.filter((_, index) => verdicts[index] === 'go');
        const grown = gone.reduce((sum, { growth }) => sum + growth, 0);
        expect(gone.length <= 1 || grown <= Math.max(0, free - lowWater / 2) / 8).toBe(true);
        expect(verdicts[0]).not.toBe('again');
        for (const { growth } of gone) expect(growth).toBeLessThanOrEqual(free);
      }),
      runs,
    );
  });

  it('counts two pages a write, and its own for a large one', () => {
    expect(growthOf([])).toBe(0);
    expect(growthOf([100, 100])).toBe(4 * 4_096);
    expect(growthOf([10_000])).toBe(5 * 4_096);
  });
});
