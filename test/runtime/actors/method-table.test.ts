// Only what the class declares can be called (DESIGN section 2, research/reliability.md S3): a wire carries a number or a
// name looked up in a table, and the prototype chain is never asked.

import { beforeEach, describe, expect, it } from 'vitest';
import { Actor } from '../../../src/runtime/actor.ts';
import { defineActor } from '../../../src/runtime/define-actor.ts';
import { HostedType } from '../../../src/runtime/hosted-type.ts';
import { call, tell } from '../../../src/runtime/refs.ts';
import { createTestKit } from '../../../src/testing.ts';
import { DerivedT, longName, Shapes, ShapesT } from './shapes.ts';

const forbidden = [
  'constructor',
  'toString',
  'toLocaleString',
  'valueOf',
  'hasOwnProperty',
  'isPrototypeOf',
  'propertyIsEnumerable',
  '__defineGetter__',
  '__defineSetter__',
  '__lookupGetter__',
  '__proto__',
  'then',
  'prototype',
  'state',
  'self',
  'initial',
  'onActivate',
  'onDeactivate',
  'onEvent',
  'append',
  'save',
  'secret',
  '#hidden',
  'Symbol(Symbol.iterator)',
  'side',
];

/** How a message from another thread finds its method: by name, in the table of the type. */
function table(type: typeof ShapesT | typeof DerivedT): HostedType {
  return new HostedType({ observer: null } as never, 0, type as never);
}

beforeEach(() => {
  Shapes.side = 0;
});

describe('a name that the class does not declare', () => {
  it.each(forbidden)('%s is not in the table', name => {
    expect(table(ShapesT).methodCode(name)).toBeUndefined();
    expect(table(DerivedT).methodCode(name)).toBeUndefined();
  });

  it('is not in the table when it is empty or ten kilobytes long', () => {
    expect(table(ShapesT).methodCode('')).toBeUndefined();
    expect(table(ShapesT).methodCode('x'.repeat(10_240))).toBeUndefined();
  });

  it('is no method of a ref, a tell or a call, unless every object has it; and getters are not read', () => {
    const kit = createTestKit({ actors: [ShapesT] });
    const ref = kit.ref(ShapesT, 'a');
    for (const stub of [ref, tell(ref), call(ref, {})] as unknown as Record<string, unknown>[]) {
      for (const name of forbidden) {
        if (name in Object.prototype || name === 'constructor') continue;
        expect(stub[name]).toBeUndefined();
      }
      expect(stub[Symbol.iterator as unknown as string]).toBeUndefined();
    }
    expect(Shapes.side).toBe(0);
  });

  it('asked for through a ref runs nothing and wakes nobody', async () => {
    await using kit = createTestKit({ actors: [ShapesT, DerivedT] });
    const ref = kit.ref(ShapesT, 'a') as unknown as Record<string, (...args: unknown[]) => unknown>;
    for (const name of ['hasOwnProperty', 'isPrototypeOf', 'valueOf', 'toString', '__defineGetter__']) {
      ref[name]?.('x', () => 'y');
    }
    await kit.settle();
    expect(kit.isAwake('shapes/a')).toBe(false);
  });

  it('of a number that no method has ends the ask, not the process', async () => {
    await using kit = createTestKit({ actors: [ShapesT] });
    await expect(kit.ref(ShapesT, 'a').none()).resolves.toBe(0);
    // What a damaged frame could carry: method number 200 of a type that has twenty.
    const { host } = kit as unknown as { host: { ask(...args: unknown[]): Promise<unknown> } };
    await expect(host.ask(kit.ref(ShapesT, 'a'), 200 << 2, undefined, undefined, null)).rejects.toMatchObject({
      code: 'NO_METHOD',
    });
    await expect(kit.ref(ShapesT, 'a').none()).resolves.toBe(0);
  });
});

describe('what the class declares', () => {
  it('can be called by its base, overridden, empty and very long names', async () => {
    await using kit = createTestKit({ actors: [DerivedT] });
    const ref = kit.ref(DerivedT, 'a');
    expect(await ref.inherited()).toBe('base');
    expect(await ref.overridden()).toBe('derived over base');
    const named = ref as unknown as Record<string, () => Promise<string>>;
    expect(await named['']?.()).toBe('empty');
    expect(await named['with space']?.()).toBe('space');
    expect(await named[longName]?.()).toBe('long');
  });

  it('but what every object has is not made an ask: printing a ref stays printing', async () => {
    const ref = createTestKit({ actors: [DerivedT] }).ref(DerivedT, 'a');
    expect(String(ref)).toBe('derived/a');
    expect(JSON.stringify(ref)).toBe('{"ref":"derived/a"}');
  });

  it('and what a subclass took away is gone', () => {
    expect(table(DerivedT).methodCode('hiddenLater')).toBeUndefined();
    expect(table(DerivedT).methodCode('inherited')).not.toBeUndefined();
  });

  it('is numbered alike wherever the class is defined: base methods first, in order of declaration', () => {
    expect(DerivedT.methods.slice(0, 3).map(method => method.name)).toEqual(['inherited', 'overridden', '']);
    expect(ShapesT.methods.map(method => method.name).slice(0, 3)).toEqual(['none', 'one', 'two']);
  });

  it('must not be called then, for awaiting a ref would call it', () => {
    class Thenable extends Actor {
      // biome-ignore lint/suspicious/noThenProperty: exactly what must be refused
      then(): void {}
    }
    expect(() => defineActor(import.meta.url, Thenable, { type: 'thenable' })).toThrowError(/then.*rename/);
  });

  it('must not be more than a byte can number', () => {
    class Many extends Actor {}
    for (let n = 0; n < 256; n++) Object.defineProperty(Many.prototype, `m${n}`, { value: () => n });
    expect(() => defineActor(import.meta.url, Many, { type: 'many' })).toThrowError(/256 methods/);
  });

  it('must exist when turns names it', () => {
    class One extends Actor {
      one(): void {}
    }
    const using = (turns: object) => () =>
      defineActor(import.meta.url, One, { type: 'one', turns: turns as Record<string, 'read'> });
    expect(using({ two: 'read' })).toThrowError(/turns.two/);
    expect(using({ constructor: 'read' })).toThrowError(/turns.constructor/);
    expect(using({ one: 'reed' })).toThrowError(/reed/);
  });
});

describe('options', () => {
  class Plain extends Actor {}
  it.each([
    [{ type: 'a b' }, 'type name'],
    [{ type: 'x', colour: 1 }, 'colour'],
    [{ type: 'x', mailbox: { capacity: 0 } }, 'mailbox.capacity'],
    [{ type: 'x', mailbox: { bytes: 1.5 } }, 'mailbox.bytes'],
    [{ type: 'x', mailbox: { overflow: 'drop' } }, 'mailbox.overflow'],
    [{ type: 'x', mailbox: { size: 3 } }, 'mailbox.size'],
    [{ type: 'x', reentrant: 'always' }, 'reentrant'],
    [{ type: 'x', placement: 'moon' }, 'placement'],
    [{ type: 'x', persist: 'disk' }, 'persist'],
    [{ type: 'x', persist: 'snapshot', placement: 'pool' }, 'pool'],
    [{ type: 'x', idleMs: -1 }, 'idleMs'],
    [{ type: 'x', idleMs: Number.NaN }, 'idleMs'],
    [{ type: 'x', version: -1 }, 'version'],
    [{ type: 'x', migrate: 'yes' }, 'migrate'],
    [{ type: 'x', supervise: { onError: 'panic' } }, 'supervise.onError'],
  ])('%j is refused, by name', (options, name) => {
    expect(() => defineActor(import.meta.url, Plain, options as never)).toThrowError(
      expect.objectContaining({ code: 'BAD_OPTION', message: expect.stringContaining(name) }),
    );
  });
});
