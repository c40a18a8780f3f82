import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type BadContext,
  type Claims,
  type Context,
  contextAfterWrite,
  contextOf,
  contextRefusal,
  decodeContext,
  emptyContext,
  encodeContext,
  fromToken,
  isBadContext,
  placeOf,
  storeNumber,
  toToken,
} from '../../src/actors/context.ts';
import { contextBytesMax, contextEntriesMax, siblingsMax } from '../../src/limits.ts';
import { crc32 } from '../../src/storage/crc32.ts';
import { anySet, bytes, setOf, sibling, text } from './records.ts';

const place = placeOf(storeNumber('carts'), text('cart:1'));
const settings = { seed: 86, numRuns: 300 };

const anyContext: fc.Arbitrary<Context> = fc.tuple(anySet, fc.boolean()).map(([set, exact]) => {
  const all = contextOf(set);
  if (exact) return all;
  const except = new Map([...set].filter(([, e]) => e.dots.length > 0).map(([id, e]) => [id, [...e.dots].reverse()]));
  return { ...all, seen: { ...all.seen, except } };
});

const why = (bad: Context | BadContext | Uint8Array): string => (bad as BadContext).badContext;

/** Bytes with a checksum that fits: what a forger can make who has read this file. */
function sealed(body: Uint8Array): Uint8Array {
  const crc = crc32(body);
  return bytes(...body, crc >>> 24, (crc >>> 16) & 255, (crc >>> 8) & 255, crc & 255);
}

describe('a context as a token', () => {
  it('comes back as it was, through text', () => {
    fc.assert(
      fc.property(anyContext, context => {
        const back = fromToken(toToken(encodeContext(context, place)));
        const decoded = decodeContext(back as Uint8Array, place) as Context;
        expect(decoded.stamp).toEqual(context.stamp);
        expect(new Map([...decoded.seen.upTo].sort())).toEqual(new Map([...context.seen.upTo].sort()));
        expect(new Map([...decoded.seen.except].sort())).toEqual(new Map([...context.seen.except].sort()));
      }),
      settings,
    );
  });

  it('is short: 51 characters for one actor', () => {
    const context = contextOf(setOf(['n1:33:mi7x2k3f', 1, [[1, sibling('x')]]]));
    expect(toToken(encodeContext(context, place)).length).toBe(51);
  });

  it('may be handed back as bytes', () => {
    const made = encodeContext(emptyContext, place);
    expect(fromToken(made)).toBe(made);
  });

  it('stays within its bound for a key with as many actors and siblings as there may be', () => {
    const actor = (i: number) => `${'n'.repeat(58)}:${i}:zz`.slice(-64).padStart(64, 'n');
    const crowd = setOf(
      ...Array.from({ length: 2 * siblingsMax }, (_, i): Parameters<typeof setOf>[number] => [
        actor(i),
        2 ** 47 + i,
        i % 2 === 0 ? [[1, sibling('x')]] : [],
      ]),
    );
    const own = { actor: actor(0), counter: 1 };
    for (const context of [contextOf(crowd), contextAfterWrite(crowd, emptyContext, own)]) {
      const made = encodeContext(context, place);
      expect(context.seen.upTo.size).toBe(contextEntriesMax);
      expect(made.length).toBeLessThanOrEqual(contextBytesMax);
      expect(isBadContext(decodeContext(made, place))).toBe(false);
      // What is left out is what replaces nothing here.
      expect([...context.seen.upTo.keys()].every(id => (crowd.get(id)?.dots.length ?? 0) > 0)).toBe(true);
    }
  });
});

describe('a context that is not what we gave out (A-86, S15)', () => {
  const good = encodeContext(contextOf(setOf(['n1:33:mi7x2k3f', 5, [[5, sibling('x')]]])), place);

  it('is noticed whichever byte was changed', () => {
    for (let at = 0; at < good.length; at++) {
      for (const flip of [1, 0x80, 0xff]) {
        const bad = good.slice();
        bad[at] = (bad[at] as number) ^ flip;
        expect(why(decodeContext(bad, place)), `byte ${at} ^ ${flip}`).toBeTypeOf('string');
      }
    }
  });

  it('is noticed however short it was cut', () => {
    for (let length = 0; length < good.length; length++) {
      expect(isBadContext(decodeContext(good.subarray(0, length), place))).toBe(true);
    }
  });

  it('never makes the decoder throw, also behind a checksum that fits', () => {
    const garbage = fc.uint8Array({ maxLength: 60 }).map(body => sealed(bytes(1, ...body)));
    fc.assert(
      fc.property(fc.oneof(garbage, fc.uint8Array({ maxLength: 60 })), input => {
        const decoded = decodeContext(input, place);
        if (isBadContext(decoded)) expect(decoded.badContext).toBeTypeOf('string');
        else expect(encodeContext(decoded, place)).toEqual(input);
      }),
      { seed: 87, numRuns: 2_000 },
    );
  });

  it.each([
    ['garbage', 'garbage!'],
    ['the empty text', ''],
    ['a number', 7],
    ['null', null],
    ['an object', {}],
    ['padding', `${toToken(good)}=`],
    ['a space', ` ${toToken(good)}`],
    ['the other alphabet', '+/+/'],
    ['text longer than any context', 'A'.repeat(11_000)],
  ])('%s is refused', (_, token) => {
    const back = fromToken(token);
    const decoded = isBadContext(back) ? back : decodeContext(back as Uint8Array, place);
    expect(why(decoded)).toBeTypeOf('string');
  });

  it('bytes beyond the bound are refused before anything is read', () => {
    expect(why(decodeContext(new Uint8Array(contextBytesMax + 1).fill(1), place))).toContain(
      `${contextBytesMax + 1} bytes`,
    );
  });

  it('says when it belongs to another store or another key', () => {
    expect(why(decodeContext(good, placeOf(storeNumber('orders'), text('cart:1'))))).toContain('another store');
    expect(why(decodeContext(good, placeOf(storeNumber('carts'), text('cart:2'))))).toContain('another key');
  });

  it('with ten thousand actors, or a counter of 2^53, is refused though its checksum fits', () => {
    const head = [...good.subarray(1, 16)];
    const crowd = Array.from({ length: 2_000 }, (_, i) => [
      3,
      65 + (i >> 10),
      65 + ((i >> 5) & 31),
      65 + (i & 31),
      1,
      0,
    ]);
    expect(why(decodeContext(sealed(bytes(1, ...head, 0xd0, 0x0f, ...crowd.flat())), place))).toMatch(
      /bytes; the most|actors/,
    );
    const few = crowd.slice(0, 100).flat();
    expect(why(decodeContext(sealed(bytes(1, ...head, 100, ...few)), place))).toContain('100 actors');
    const huge = [1, 97, 255, 255, 255, 255, 255, 255, 255, 15, 0];
    expect(why(decodeContext(sealed(bytes(1, ...head, 1, ...huge)), place))).toContain('a counter is 9007199254740991');
  });
});

describe('what a context may claim (S15)', () => {
  const clock = setOf(['n1:3:a', 4, [[4, sibling('x')]]], ['n2:3:b', 2, []]);
  const claims = (more: Partial<Claims> = {}): Claims => ({
    clock,
    actor: 'n1:3:a',
    alone: false,
    stamp: { ms: 1_000, tick: 0 },
    now: 1_000,
    ...more,
  });
  const context = (upTo: Record<string, number>, ms = 0): Context => ({
    seen: { upTo: new Map(Object.entries(upTo)), except: new Map() },
    stamp: { ms, tick: 0 },
  });

  it.each([
    ['what there is', { 'n1:3:a': 4, 'n2:3:b': 2 }, false, undefined],
    ['more writes than the vnode has made', { 'n1:3:a': 5 }, false, 'names write 5 of n1:3:a, who has made 4'],
    ['more writes of another replica than have arrived here', { 'n2:3:b': 9 }, false, undefined],
    ['the same, when there is no other replica', { 'n2:3:b': 9 }, true, 'names write 9 of n2:3:b'],
    ['an actor nobody knows, when there is no other replica', { 'n1:3:0': 9 }, true, undefined],
  ])('%s', (_, upTo, alone, refusal) => {
    const verdict = contextRefusal(context(upTo), claims({ alone }));
    if (refusal === undefined) expect(verdict).toBeUndefined();
    else expect(verdict).toContain(refusal);
  });

  it('naming the vnode before it ever wrote the key is refused', () => {
    expect(contextRefusal(context({ 'n1:3:a': 1 }), claims({ clock: new Map() }))).toContain('who has made 0');
  });

  it('a stamp from the far future is refused, one that a clock half a second ahead may give is not', () => {
    expect(contextRefusal(context({}, 1_500), claims())).toBeUndefined();
    expect(contextRefusal(context({}, 1_501), claims())).toContain('501 ms in the future');
    // Our wall clock fell back an hour; the stamp is one the key already has.
    expect(contextRefusal(context({}, 1_000), claims({ now: 1_000 - 3_600_000 }))).toBeUndefined();
    // Having believed 500 ms once does not move the bound.
    expect(contextRefusal(context({}, 1_900), claims({ stamp: { ms: 1_500, tick: 0 } }))).toContain('900 ms');
  });
});
