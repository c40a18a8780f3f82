// Every count of arguments travels as it was passed, by ask, tell and call, on the short road (0 to 2) and the long one.

import { describe, expect, it } from 'vitest';
import { call, tell } from '../../../src/runtime/refs.ts';
import { createTestKit } from '../../../src/testing.ts';
import { ShapesT } from './shapes.ts';

describe.each([true, false])('arguments (serialized: %s)', serialize => {
  const start = () => createTestKit({ actors: [ShapesT], serialize });

  it('arrive in number and order, by ask and by call', async () => {
    await using kit = start();
    const ref = kit.ref(ShapesT, 'a');
    for (const each of [ref, call(ref, { deadlineMs: 1_000 })]) {
      expect(await each.none()).toBe(0);
      expect(await each.one('a')).toEqual(['a']);
      expect(await each.two('a', 2)).toEqual(['a', 2]);
      expect(await each.three(1, 'b', true)).toEqual([1, 'b', true]);
      expect(await each.four(1, 2, 3, 4)).toEqual([1, 2, 3, 4]);
      expect(await each.five(1, null, 'c', [4], { e: 5 })).toEqual([1, null, 'c', [4], { e: 5 }]);
    }
  });

  it('arrive by tell', async () => {
    await using kit = start();
    const stub = tell(kit.ref(ShapesT, 'a'));
    stub.note();
    stub.note(1);
    stub.note(1, 2);
    stub.note(1, 2, 3);
    stub.note(1, 2, 3, 4, 5);
    await kit.settle();
    expect(kit.state('shapes/a')).toEqual({ calls: [[], [1], [1, 2], [1, 2, 3], [1, 2, 3, 4, 5]] });
  });

  it('that are missing take their defaults, and those that are undefined too', async () => {
    await using kit = start();
    const ref = kit.ref(ShapesT, 'a');
    expect(await ref.byDefault()).toBe('abc');
    expect(await ref.byDefault('x')).toBe('xbc');
    expect(await ref.byDefault(undefined, 'y')).toBe('ayc');
    expect(await ref.byDefault('x', 'y', 'z')).toBe('xyz');
  });

  it('of a rest parameter are gathered', async () => {
    await using kit = start();
    const ref = kit.ref(ShapesT, 'a');
    expect(await ref.rest('x')).toEqual({ first: 'x', others: [] });
    expect(await ref.rest('x', 1)).toEqual({ first: 'x', others: [1] });
    expect(await ref.rest('x', 1, 2, 3, 4)).toEqual({ first: 'x', others: [1, 2, 3, 4] });
  });

  it('that are undefined at the end still count', async () => {
    await using kit = start();
    const ref = kit.ref(ShapesT, 'a');
    expect(await ref.count()).toBe(0);
    expect(await ref.count(undefined)).toBe(1);
    expect(await ref.count(undefined, undefined)).toBe(2);
    expect(await ref.count(1, undefined, undefined)).toBe(3);
    expect(await ref.count(...new Array<undefined>(64))).toBe(64);
  });

  it('an undefined result is an answer', async () => {
    await using kit = start();
    expect(await kit.ref(ShapesT, 'a').maybe()).toBeUndefined();
    expect(await kit.ref(ShapesT, 'a').note('x')).toBeUndefined();
  });

  it('a promise without async is awaited; an object with a then that is no function is not', async () => {
    await using kit = start();
    expect(await kit.ref(ShapesT, 'a').promised('x')).toBe('x');
    expect(await kit.ref(ShapesT, 'a').thenish()).toHaveProperty('then', 'a word');
  });
});

describe('more arguments than a message carries', () => {
  it('are refused, and nothing runs', async () => {
    await using kit = createTestKit({ actors: [ShapesT] });
    const ref = kit.ref(ShapesT, 'a');
    const args = Array.from({ length: 65 }, (_, n) => n);
    await expect(ref.note(...args)).rejects.toMatchObject({ code: 'TOO_LARGE' });
    expect(() => tell(ref).note(...args)).toThrowError(expect.objectContaining({ code: 'TOO_LARGE' }));
    await kit.settle();
    expect(kit.state('shapes/a')).toBeUndefined();
  });
});
