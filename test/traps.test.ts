// What tidy.test.ts reads in the sources, this sees happen: while actors run in the test kit, nothing but an edge asks the
// outside for time, chance or a timer. Whatever does is named with its place.

import { afterEach, expect, test } from 'vitest';
import { StoresT, storesKey } from '../src/actors/stores-actor.ts';
import { systemTypes } from '../src/actors/system-types.ts';
import { VnodeT } from '../src/actors/vnode-actor.ts';
import { createTestKit } from '../src/testing.ts';
import { SavedCounterT } from './runtime/actors/op-id.ts';
import { CounterT } from './runtime/cart.ts';

/** The only files below src that may touch the world here. */
const edges = /\/src\/(testing\/virtual-world|runtime\/real-world)/;

type Trap = { readonly owner: object; readonly name: string };
const traps: Trap[] = [
  { owner: Date, name: 'now' },
  { owner: performance, name: 'now' },
  { owner: Math, name: 'random' },
  { owner: globalThis, name: 'setTimeout' },
  { owner: globalThis, name: 'setInterval' },
  { owner: globalThis, name: 'setImmediate' },
  { owner: globalThis, name: 'queueMicrotask' },
  { owner: crypto, name: 'getRandomValues' },
  { owner: crypto, name: 'randomUUID' },
];

const restore: (() => void)[] = [];
afterEach(() => {
  for (const each of restore.splice(0)) each();
});

/** Replaces each function by one that notes a caller in our sources that is no edge, and then does its work. */
function set(caught: string[]): void {
  for (const { owner, name } of traps) {
    const holder = owner as Record<string, unknown>;
    const original = holder[name] as (...args: unknown[]) => unknown;
    const had = Object.hasOwn(holder, name);
    holder[name] = function (this: unknown, ...args: unknown[]): unknown {
      const caller = new Error().stack?.split('\n')[2] ?? '';
      if (caller.includes('/src/') && !edges.test(caller)) caught.push(`${name} ${caller.trim()}`);
      return original.apply(this === undefined ? owner : this, args);
    };
    restore.push(() => {
      if (had) holder[name] = original;
      else delete holder[name];
    });
  }
}

test('actors, stores and moves take time and chance from their world only', async () => {
  const caught: string[] = [];
  set(caught);
  await using kit = createTestKit({ seed: 3, actors: [...systemTypes, CounterT, SavedCounterT] });
  const counter = kit.ref(CounterT, 'a');
  await counter.add(1);
  await counter.boom('no').catch(() => undefined);
  const slow = kit
    .ref(CounterT, 'b')
    .slow(50)
    .catch(() => undefined);
  await kit.clock.advance(6_000);
  await slow;
  const saved = kit.ref(SavedCounterT, 'c');
  await saved.add(2);
  await kit.relocate('saved-counter/c');
  await kit.crash('saved-counter/c');
  expect(await saved.get()).toBe(2);
  const options = await kit.ref(StoresT, storesKey).open('s', {}, 1);
  expect(options).toMatchObject({ n: 1 });
  const value = new Uint8Array([1, 2, 3]);
  await kit.ref(VnodeT, '3').put('s', new Uint8Array([1, 65]), [value, null, 0, 0, null, 1_024]);
  expect(await kit.ref(VnodeT, '3').count('s')).toBe(1);
  await kit.clock.advance(120_000);
  expect(caught).toEqual([]);
});

test('the trap can be sprung', () => {
  const caught: string[] = [];
  set(caught);
  // A caller whose place looks like one of our cores.
  const core = new Function('return Date.now();\n//# sourceURL=/work/src/runtime/some-core.ts') as () => number;
  expect(core()).toBeGreaterThan(0);
  expect(caught).toHaveLength(1);
  expect(caught[0]).toContain('some-core.ts');
});
