// What a ref is: typed like its actor, plain data to everybody else.

import { inspect } from 'node:util';
import { describe, expect, expectTypeOf, it } from 'vitest';
import type { Actor } from '../../../src/runtime/actor.ts';
import { type AnyRef, call, type Ref, tell } from '../../../src/runtime/refs.ts';
import { createTestKit } from '../../../src/testing.ts';
import { type Derived, type Shapes, ShapesT } from './shapes.ts';

const start = () => createTestKit({ actors: [ShapesT] });

describe('the type of a ref', () => {
  it('has the methods of the actor, each returning one promise', () => {
    type R = Ref<Shapes>;
    expectTypeOf<R['three']>().toEqualTypeOf<
      (a: number, b: string, c: boolean) => Promise<[number, string, boolean]>
    >();
    expectTypeOf<R['later']>().toEqualTypeOf<(value: string) => Promise<string>>();
    expectTypeOf<R['nested']>().toEqualTypeOf<(value: string) => Promise<string>>();
    expectTypeOf<R['maybe']>().toEqualTypeOf<(value?: number) => Promise<number | undefined>>();
    expectTypeOf<R['note']>().toEqualTypeOf<(...args: unknown[]) => Promise<void>>();
    expectTypeOf<R['rest']>().parameters.toEqualTypeOf<[first: string, ...others: number[]]>();
  });

  it('has nothing else: no state, no hooks, no self, no fields, no getters that are not methods', () => {
    type Names = Exclude<keyof Ref<Shapes>, keyof AnyRef>;
    expectTypeOf<Extract<Names, keyof Actor>>().toEqualTypeOf<never>();
    expectTypeOf<Extract<Names, 'onActivate' | 'state' | 'self' | 'save' | 'initial'>>().toEqualTypeOf<never>();
  });

  it('does not make an ask of what every object has: printing a ref stays printing', () => {
    expectTypeOf<Ref<Derived>['toString']>().toEqualTypeOf<() => string>();
    expectTypeOf<Extract<keyof Ref<Derived>, 'valueOf' | 'toJSON'>>().toEqualTypeOf<never>();
    expectTypeOf<Ref<Derived>['overridden']>().toEqualTypeOf<() => Promise<string>>();
  });

  it('is an AnyRef, and not the ref of another actor', () => {
    expectTypeOf<Ref<Shapes>>().toExtend<AnyRef>();
    expectTypeOf<Ref<Derived>>().not.toExtend<Ref<Shapes>>();
  });

  it('tells with the same arguments and a promise only of acceptance; calls with the same asks', () => {
    const kit = start();
    const ref = kit.ref(ShapesT, 'a');
    expectTypeOf(tell(ref).three).toEqualTypeOf<(a: number, b: string, c: boolean) => Promise<void> | undefined>();
    expectTypeOf(call(ref, {}).three).toEqualTypeOf<Ref<Shapes>['three']>();
    // @ts-expect-error a wrong argument is a mistake of the caller, seen before it runs
    const wrong = (): unknown => tell(ref).three('1', 'b', true);
    expect(wrong).toBeTypeOf('function');
  });
});

describe('a ref', () => {
  it('asks and is answered; tells and is not', async () => {
    await using kit = start();
    const ref = kit.ref(ShapesT, 'a');
    expect(await ref.later('x')).toBe('x');
    expect(await ref.nested('y')).toBe('y');
    expect(tell(ref).note(1)).toBeUndefined();
    await kit.settle();
    expect(kit.state('shapes/a')).toEqual({ calls: [[1]] });
  });

  it('hands out the same tell stub every time: telling allocates nothing', () => {
    const ref = start().ref(ShapesT, 'a');
    expect(tell(ref)).toBe(tell(ref));
  });

  it('prints its address, in a string, in JSON and in a log', () => {
    const ref = start().ref(ShapesT, 'a/b');
    expect(`${ref}`).toBe('shapes/a/b');
    expect(JSON.stringify({ ref })).toBe('{"ref":{"ref":"shapes/a/b"}}');
    expect(inspect(ref)).toBe('Ref(shapes/a/b)');
  });

  it('is not thenable: returning one from an async function does not ask it', async () => {
    const ref = start().ref(ShapesT, 'a');
    expect(await (async () => ref)()).toBe(ref);
  });

  it('can be sent, and used by whoever received it', async () => {
    await using kit = start();
    expect(await kit.ref(ShapesT, 'a').introduce(kit.ref(ShapesT, 'b'))).toBe('hello');
  });

  it('can be returned, and still reaches the actor', async () => {
    await using kit = start();
    const back = (await kit.ref(ShapesT, 'a').me()) as Ref<Shapes>;
    expect(String(back)).toBe('shapes/a');
    expect(await back.later('again')).toBe('again');
  });

  it('can be kept in state, through a crash of nothing and a move', async () => {
    await using kit = start();
    await kit.ref(ShapesT, 'a').keep(kit.ref(ShapesT, 'b'));
    await kit.relocate('shapes/a');
    expect(await kit.ref(ShapesT, 'a').useKept()).toBe('kept');
  });

  it('finds its actor again after the activation it knew has ended', async () => {
    await using kit = start();
    const ref = kit.ref(ShapesT, 'a');
    await ref.note('lost');
    await kit.crash('shapes/a');
    expect(await ref.count(1, 2)).toBe(2);
    expect(kit.state('shapes/a')).toEqual({ calls: [] });
  });

  it('is refused for a type that is not there, and for a key that is none', () => {
    const kit = createTestKit({ actors: [] });
    expect(() => kit.ref(ShapesT, 'a')).toThrowError(expect.objectContaining({ code: 'NO_ACTOR_TYPE' }));
    const other = start();
    for (const key of ['', '\ud800', 7 as unknown as string]) {
      expect(() => other.ref(ShapesT, key)).toThrowError(expect.objectContaining({ code: 'BAD_OPTION' }));
    }
    expect(() => other.ref(ShapesT, 'k'.repeat(1_025))).toThrowError(
      expect.objectContaining({ code: 'TOO_LARGE', details: { option: 'key', bytes: 1_025, bytesMax: 1_024 } }),
    );
  });
});
