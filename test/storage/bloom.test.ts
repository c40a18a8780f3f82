// The Bloom filter: its arithmetic, its promise (never a false no), its rate, and its bytes.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bloom, bloomFor, bloomFromBytes, bloomHash } from '../../src/storage/bloom.ts';
import { crc32 } from '../../src/storage/crc32.ts';
import { bytes } from './conformance.ts';

const seed = 77;

describe('a Bloom filter', () => {
  // Behaviours A-215: the published arithmetic, m = n ln(1/p) / ln(2)^2 and k = m/n ln(2).
  it.each([
    [1_000, 0.1, 4_793, 3],
    [1_000, 0.01, 9_586, 7],
    [1_000, 0.001, 14_378, 10],
    [0, 0.01, 1, 1],
  ])('for %d keys at %d has %d bits and %d hashes', (keys, rate, bits, hashes) => {
    expect(bloomFor(keys, rate)).toMatchObject({ bits, hashes, keys: 0 });
  });

  it.each([0, 1, -1, Number.NaN, 2])('is refused at a rate of %d', rate => {
    expect(() => bloomFor(10, rate)).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }));
  });

  it('that is empty says no to everything', () => {
    const bloom = new Bloom(9_586, 7);
    for (let n = 0; n < 1_000; n++) expect(bloom.mayHold(n, bytes(`k${n}`))).toBe(false);
  });

  it('never says no to a key it was given, whatever the keys are', () => {
    const keys = fc.array(fc.tuple(fc.nat(0xffffffff), fc.uint8Array({ maxLength: 40 })), { maxLength: 60 });
    fc.assert(
      fc.property(keys, fc.integer({ min: 1, max: 60 }), (some, room) => {
        const bloom = bloomFor(room, 0.01);
        for (const [shard, key] of some) bloom.add(shard, key);
        const again = bloomFromBytes(bloom.toBytes(crc32, seed), crc32, seed);
        for (const [shard, key] of some) {
          expect(bloom.mayHold(shard, key)).toBe(true);
          expect(again.type === 'ok' && again.bloom.mayHold(shard, key)).toBe(true);
        }
      }),
      { seed: 20_260_807, numRuns: 300 },
    );
  });

  // Behaviours. Names that differ in a digit, and bytes that count: what real keys look like.
  it.each([
    ['names', (n: number) => bytes(`user/${n}/cart`)],
    ['numbers', (n: number) => Uint8Array.of(n, n >>> 8, n >>> 16)],
    ['long names with the difference in front', (n: number) => bytes(`${n}/${'x'.repeat(100)}`)],
  ])('of 10,000 %s says yes to all of them, and to about one in a hundred others', (_, keyOf) => {
    const bloom = bloomFor(10_000, 0.01);
    for (let n = 0; n < 10_000; n++) bloom.add(1 + (n % 64), keyOf(n));
    let yes = 0;
    for (let n = 0; n < 10_000; n++) if (bloom.mayHold(1 + (n % 64), keyOf(n))) yes++;
    expect(yes).toBe(10_000);
    let wrong = 0;
    for (let n = 10_000; n < 110_000; n++) if (bloom.mayHold(1 + (n % 64), keyOf(n))) wrong++;
    expect(wrong).toBeGreaterThan(500);
    expect(wrong).toBeLessThan(2_000);
  });

  it('takes the same key in another shard for another key', () => {
    const bloom = bloomFor(10_000, 0.01);
    for (let n = 0; n < 10_000; n++) bloom.add(1, bytes(`k${n}`));
    let wrong = 0;
    for (let n = 0; n < 10_000; n++) if (bloom.mayHold(2, bytes(`k${n}`))) wrong++;
    expect(wrong).toBeLessThan(200);
  });

  it('answers for a hash as for its key', () => {
    const bloom = bloomFor(100, 0.1);
    const hash = new Uint32Array(2);
    for (let n = 0; n < 100; n++) bloom.add(3, bytes(`k${n}`));
    for (let n = 0; n < 1_000; n++) {
      bloomHash(3, bytes(`k${n}`), hash);
      expect(bloom.mayHoldHash(hash)).toBe(bloom.mayHold(3, bytes(`k${n}`)));
    }
  });
});

describe('the bytes of a Bloom filter', () => {
  const filter = (): Uint8Array => {
    const bloom = bloomFor(3, 0.01);
    for (const key of ['a', 'bc', 'def-ghi']) bloom.add(5, bytes(key));
    return bloom.toBytes(crc32, seed);
  };

  it('are as they have always been', () => {
    expect(Buffer.from(filter()).toString('hex')).toMatchInlineSnapshot(
      `"54525042010007001d00000000000003000000000000e5960d0bd65ef8fd"`,
    );
  });

  it('are not accepted with any one bit turned around, cut, prolonged, or as those of another run', () => {
    const good = filter();
    for (let bit = 0; bit < good.length * 8; bit++) {
      const damaged = good.slice();
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(bloomFromBytes(damaged, crc32, seed).type).toBe('damaged');
    }
    for (let length = 0; length < good.length; length++)
      expect(bloomFromBytes(good.subarray(0, length), crc32, seed).type).toBe('damaged');
    expect(bloomFromBytes(Uint8Array.of(...good, 0), crc32, seed).type).toBe('damaged');
    expect(bloomFromBytes(good, crc32, seed + 1)).toEqual({ type: 'damaged', reason: 'the checksum differs' });
    expect(bloomFromBytes(good, crc32, seed).type).toBe('ok');
  });

  it.each([
    [0, 'it is no filter'],
    [4, 'format 254 is not known'],
    [8, 'bits do not fit it'],
  ])('with a good checksum but a wrong byte at %d are still refused: %s', (at, reason) => {
    const bad = filter();
    bad[at] = (bad[at] as number) ^ 0xff;
    const end = bad.length - 4;
    new DataView(bad.buffer).setUint32(end, crc32(bad.subarray(0, end), seed), true);
    expect(bloomFromBytes(bad, crc32, seed)).toEqual({ type: 'damaged', reason: expect.stringContaining(reason) });
  });
});
