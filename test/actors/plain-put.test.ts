// The short way of a put must not be told from the long one: same bytes in the record, same context, same stamp.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Context, contextOf, encodeContext, placeOf } from '../../src/actors/context.ts';
import { beginning, type Stamp } from '../../src/actors/hlc.ts';
import { isBy, plainContext, plainPut, plainWriter } from '../../src/actors/plain-put.ts';
import { isDead, type SiblingSet } from '../../src/actors/sibling.ts';
import { encodeSet, type RecordBytes } from '../../src/actors/version-codec.ts';
import { put } from '../../src/actors/vnode.ts';
import { counterMax } from '../../src/limits.ts';
import { anySibling, bytes, grave, setOf, sibling, text } from './records.ts';

const actor = 'n1:33:mi7x2k3f';
const writer = plainWriter(actor);
const key = text('cart:1');
const place = placeOf(7, key);

interface Case {
  readonly set: SiblingSet | undefined;
  readonly siblings: boolean;
  readonly context?: Context;
  readonly value: Uint8Array;
  readonly ttlMs: number;
  readonly now: number;
  readonly stamp: Stamp;
}

const turnOf = ({ siblings, now, stamp }: Case) => {
  return { writer, place, now, stamp, rules: { siblings, valueBytesMax: 1_000 } };
};

function shortly(one: Case) {
  const { set, context, value, ttlMs } = one;
  const wire = context === undefined ? null : encodeContext(context, place);
  return plainPut(set && encodeSet(set), { value, context: wire, ttlMs }, turnOf(one));
}

function atLength({ set, siblings, context, value, ttlMs, now, stamp }: Case) {
  const request = { value, context, ttlMs: ttlMs === 0 ? undefined : ttlMs };
  const verdict = put(set, request, { actor, now, stamp, rules: { siblings, alone: true, valueBytesMax: 1_000 } });
  if (verdict.type !== 'write') throw new Error(verdict.type);
  return verdict;
}

function expectTheSame(one: Case): void {
  const short = shortly(one);
  const long = atLength(one);
  if (short === undefined) throw new Error('left to the long way');
  const { version, value } = encodeSet(long.next);
  expect(short.version).toEqual(version);
  expect(Buffer.concat([short.head, one.value])).toEqual(Buffer.from(value));
  expect(short.stamp).toEqual(long.stamp);
  expect(plainContext(short, turnOf(one))).toEqual(encodeContext(long.context, place));
}

const anyTime = fc.integer({ min: 0, max: 2 ** 47 });
const anyStamp = fc.record({ ms: anyTime, tick: fc.nat(300) });
const anyRequest = fc.record({
  value: fc.uint8Array({ maxLength: 300 }),
  siblings: fc.boolean(),
  ttlMs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 10 ** 9 })),
  now: fc.oneof(anyTime, fc.constant(1_763_000_000_000.25)),
  stamp: fc.oneof(anyStamp, fc.constant(beginning)),
});
const anyCounter = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: counterMax - 1 }));

describe('a plain put', () => {
  it('of a key without a record is the same both ways', () => {
    fc.assert(fc.property(anyRequest, request => expectTheSame({ ...request, set: undefined })));
  });

  it('over the last value of the same actor is the same both ways', () => {
    fc.assert(
      fc.property(anyRequest, anySibling, anyCounter, (request, before, counter) => {
        const { opId: _, ...held } = before;
        const one = { ...request, set: setOf([actor, counter, [[counter, held]]]) };
        if (request.siblings && !isDead(held, request.now)) expect(shortly(one)).toBeUndefined();
        else expectTheSame(one);
      }),
    );
  });

  it('by a writer who has seen the value is the same both ways', () => {
    fc.assert(
      fc.property(anyRequest, anySibling, anyCounter, (request, before, counter) => {
        const { opId: _, ...held } = before;
        const set = setOf([actor, counter, [[counter, held]]]);
        expectTheSame({ ...request, set, context: contextOf(set) });
      }),
    );
  });

  const some = { siblings: false, value: text('v'), ttlMs: 0, now: 5_000, stamp: beginning };
  const left: [string, SiblingSet][] = [
    ['of somebody else', setOf(['n2:33:mi7x2k3f', 2, [[2, sibling('a')]]])],
    ['of an actor whose id begins like ours', setOf([`${actor}0`, 2, [[2, sibling('a')]]])],
    ['of two actors', setOf([actor, 2, [[2, sibling('a')]]], ['z', 1, []])],
    ['with siblings', setOf([actor, 2, [[2, sibling('b')], [1, sibling('a')]]])], // biome-ignore format: one row
    ['that is not the last write of its actor', setOf([actor, 3, [[2, sibling('a')]]])],
    ['without a value', setOf([actor, 3, []])],
    ['that carries an operation', setOf([actor, 1, [[1, sibling('a', { opId: 'r-1' })]]])],
  ];
  it.each(left)('leaves a record %s to the long way', (_, set) => {
    const { version } = encodeSet(set);
    // Who holds such a record asks for its writer first; asked all the same, it does not go wrong.
    if (isBy(version, writer)) expect(shortly({ ...some, set })).toBeUndefined();
    else expect(isBy(version, writer)).toBe(false);
  });

  it('leaves a value that is too large to the long way, which refuses it', () => {
    expect(shortly({ ...some, value: new Uint8Array(1_001), set: undefined })).toBeUndefined();
  });

  it('leaves every damaged record to the long way', () => {
    const whole = encodeSet(setOf([actor, 300, [[300, grave({ stamp: { ms: 1_000, tick: 200 } })]]]));
    const request = { value: bytes(1), context: null, ttlMs: 0 };
    const over = (record: RecordBytes) => plainPut(record, request, turnOf({ ...some, set: undefined }));
    expect(over(whole)).toBeDefined();
    for (let cut = 0; cut < whole.value.length; cut++)
      expect(over({ ...whole, value: whole.value.subarray(0, cut) })).toBeUndefined();
    expect(over({ ...whole, value: Buffer.concat([whole.value, bytes(0)]) })).toBeUndefined();
    for (let cut = writer.begin.length; cut < whole.version.length; cut++)
      expect(over({ ...whole, version: whole.version.subarray(0, cut) })).toBeUndefined();
    expect(over({ ...whole, version: Buffer.concat([whole.version, bytes(0)]) })).toBeUndefined();
  });

  const held = setOf([actor, 4, [[4, sibling('a')]]]);
  const seen = contextOf(held);
  const told = (context: Uint8Array, set: SiblingSet | null = held) =>
    plainPut(
      set === null ? undefined : encodeSet(set),
      { value: bytes(1), context, ttlMs: 0 },
      turnOf({ ...some, siblings: true, set: undefined }),
    );

  it('leaves every context that does not say just what is there to the long way', () => {
    const whole = encodeContext(seen, place);
    expect(told(whole)).toBeDefined();
    expect(told(whole, null)).toBeUndefined();
    for (let cut = 0; cut < whole.length; cut++) expect(told(whole.subarray(0, cut))).toBeUndefined();
    for (let index = 0; index < whole.length * 8; index++) {
      const flipped = whole.slice();
      flipped[index >> 3] = (flipped[index >> 3] as number) ^ (1 << (index & 7));
      expect(told(flipped)).toBeUndefined();
    }
    const upTo = (...entries: [string, number][]): Context => ({
      ...seen,
      seen: { ...seen.seen, upTo: new Map(entries) },
    });
    const others: Context[] = [
      upTo([actor, 3]),
      upTo([actor, 5]),
      upTo([actor, 4], ['z', 1]),
      upTo([`${actor}0`, 4]),
      upTo(),
      { ...seen, seen: { ...seen.seen, except: new Map([[actor, [2]]]) } },
      { ...seen, stamp: { ms: 1_000, tick: 1 } },
    ];
    for (const context of others) expect(told(encodeContext(context, place))).toBeUndefined();
    expect(told(encodeContext(seen, placeOf(8, key)))).toBeUndefined();
    expect(told(encodeContext(seen, placeOf(7, text('cart:2'))))).toBeUndefined();
  });
});
