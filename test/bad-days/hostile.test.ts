// Things an enemy would send to an actor on another thread (research/reliability.md S3 to S9): each is answered or refused,
// no thread dies of it, and nothing that was not offered is reached.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AnyRef, call, type Node, type Ref, startNode, tell } from '../../src/index.ts';
import type { FarRouter } from '../../src/runtime/far-router.ts';
import type { FrameWriter } from '../../src/runtime/frame-writer.ts';
import { ending, until } from './folders.ts';
import { type Child, ChildT, StrangerT, type Victim, VictimT } from './hostile-actors.ts';

let node: Node;
let victim: Ref<Victim>;
const died: unknown[] = [];
const letters: { to: string; method: string; why: string }[] = [];
beforeAll(async () => {
  node = await startNode({ threads: 1, actors: [VictimT, ChildT] });
  node.on('thread-died', event => died.push(event));
  node.on('dead-letter', event => letters.push(event));
  victim = node.ref(VictimT, 'v');
});
afterAll(() => node.stop());

async function unharmed(): Promise<void> {
  expect(await victim.echo('alive')).toBe('alive');
  expect(await victim.pollution()).toEqual([null, null, []]);
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  expect(died).toEqual([]);
}

const deep = (depth: number, inner: unknown = 1): unknown => {
  let value = inner;
  for (let at = 0; at < depth; at++) value = at % 2 === 0 ? [value] : { a: value };
  return value;
};
const cycle: { self?: unknown } = {};
cycle.self = cycle;

describe('values', () => {
  it.each<[string, () => unknown]>([
    [
      '__proto__ as parsed JSON gives it',
      () => JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"isAdmin":1}}}'),
    ],
    ['names every object has', () => ({ hasOwnProperty: 1, toString: 2, valueOf: 3, prototype: { polluted: 1 } })],
    [
      'a map with awkward keys',
      () =>
        new Map<unknown, unknown>([
          ['__proto__', { polluted: 1 }],
          [Number.NaN, 1],
          [null, 2],
        ]),
    ],
    [
      'numbers at every edge',
      () => [-0, Number.NaN, Infinity, -Infinity, 2 ** 53, -(2 ** 53), 2 ** 31, -(2 ** 31) - 1, 5e-324],
    ],
    ['large integers', () => [2n ** 63n, -(2n ** 63n), 2n ** 64n, 2n ** 1_000n]],
    ['half a character', () => 'a\ud800b'],
    ['a long text', () => 'ж'.repeat(1 << 20)],
    ['bytes up to the largest frame', () => new Uint8Array((16 << 20) - 4_096).fill(7)],
    ['an array with holes', () => Object.assign(new Array(3), { 0: 1, 2: 3 })],
    ['a date that is none', () => new Date(Number.NaN)],
    ['nesting as deep as is allowed', () => deep(60)],
    ['a thousand references to one object', () => new Array(1_000).fill({ shared: true })],
  ])('%s arrive as they were sent', async (_, make) => {
    const sent = make();
    const got = await victim.echo(sent);
    if (typeof sent === 'string' && !sent.isWellFormed()) expect(got).toBe(sent.toWellFormed());
    else expect(got).toEqual(sent);
    await unharmed();
  });

  it.each<[string, () => unknown]>([
    ['a function', () => () => 1],
    ['a symbol', () => Symbol('s')],
    ['a circle', () => cycle],
    ['nesting without end', () => deep(100_000)],
    ['nesting of 70', () => deep(70)],
    ['an instance of some class', () => new (class Password {})()],
    [
      'a proxy that throws',
      () =>
        new Proxy(
          {},
          {
            ownKeys: () => {
              throw new Error('trap');
            },
            get: () => {
              throw new Error('trap');
            },
            getPrototypeOf: () => {
              throw new Error('trap');
            },
          },
        ),
    ],
    [
      'a getter that throws',
      () => ({
        get x(): never {
          throw new Error('getter');
        },
      }),
    ],
    ['a promise', () => Promise.resolve(1)],
    ['a weak map', () => new WeakMap()],
    ['more than the largest frame', () => new Uint8Array(17 << 20)],
    ['more elements than a message may have', () => new Array((1 << 20) + 1).fill(0)],
  ])('%s: refused before it is sent, by ask and by tell', async (_, make) => {
    const value = make();
    const refusal = await ending(victim.echo(value));
    expect((refusal as { code?: string }).code).toMatch(/^(BAD_MESSAGE|TOO_LARGE)$/);
    expect(() => tell(victim).echo(value)).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^(BAD_MESSAGE|TOO_LARGE)$/) }),
    );
    await unharmed();
  });

  it('more arguments than a message carries', async () => {
    const many = new Array(65).fill(1);
    expect(await ending(victim.echo(...many))).toMatchObject({ code: 'TOO_LARGE' });
    expect(await victim.echo(...many.slice(1))).toBe(1);
    await unharmed();
  });
});

describe('names of methods', () => {
  const frame = [
    'constructor',
    '__proto__',
    'toString',
    'valueOf',
    'hasOwnProperty',
    '__defineGetter__',
    '__lookupSetter__',
    'isPrototypeOf',
    'propertyIsEnumerable',
    'then',
    'catch',
    'initial',
    'onActivate',
    'onDeactivate',
    'onReminder',
    'onTopic',
    'onEvent',
    'append',
    'save',
    'state',
    'self',
    'toJSON',
    '',
    'x'.repeat(10_000),
    '0',
    'echo ',
  ];

  it.each(frame)('%j is none that can be called', async name => {
    const before = letters.length;
    for (const door of [victim, tell(victim), call(victim, { deadlineMs: 1_000 })]) {
      const found = (door as unknown as Record<string, unknown>)[name];
      // What every object has stays what it is: it sends nothing.
      expect(
        found === undefined ||
          found === (Object.prototype as unknown as Record<string, unknown>)[name] ||
          ['constructor', '__proto__', 'toString', 'toJSON'].includes(name),
      ).toBe(true);
    }
    expect(VictimT.methods.map(method => method.name)).not.toContain(name);
    expect(letters.length).toBe(before);
    await unharmed();
  });
});

describe('keys of actors', () => {
  it.each([
    '__proto__',
    'constructor',
    '../../etc/passwd',
    'a/b',
    'line\nbreak',
    '\u001b[31m',
    'a\u0000b',
    'é'.repeat(512),
  ])('%j is a key like any other', async key => {
    expect(await node.ref(VictimT, key).echo(key)).toBe(key);
    expect(String(await victim.refToOdd(key))).toBe(`victim/${key}`);
    await unharmed();
  });

  it.each<[unknown]>([[''], ['x'.repeat(1_025)], ['\ud800'], ['\u00001.1'], ['\u0000'], [7], [null], [{}]])(
    '%j is none',
    async key => {
      const code = String(key).length > 1_024 ? 'TOO_LARGE' : 'BAD_OPTION';
      expect(() => node.ref(VictimT, key as string)).toThrow(expect.objectContaining({ code }));
      // On its way the half became U+FFFD, as TextEncoder has it.
      if (key !== '\ud800') expect(await ending(victim.refToOdd(key as string))).toMatchObject({ code });
      await unharmed();
    },
  );
});

describe('types of actors', () => {
  it.each<[string, unknown]>([
    ['a path', { type: '../../evil.js', url: 'file:///tmp/evil.js' }],
    ['code in a url', { type: 'evil', url: 'data:text/javascript,process.exit()' }],
    ['a module of node', { type: 'node:child_process' }],
    ['constructor', { type: 'constructor' }],
    ['__proto__', { type: '__proto__' }],
    ['text', 'victim'],
    ['nothing', null],
  ])('%s is not spawned', async (_, type) => {
    const error = await ending(victim.spawnOdd(type));
    expect((error as { code?: string }).code).toBe('REMOTE');
    await unharmed();
  });

  it('a type that was not registered is neither spawned nor referred to, here or there', async () => {
    const noType = { code: 'REMOTE', details: { code: 'NO_ACTOR_TYPE' } };
    expect(await ending<unknown>(victim.spawnUnregistered())).toMatchObject(noType);
    expect(await ending<unknown>(victim.refToUnregistered())).toMatchObject(noType);
    expect(() => node.ref(StrangerT, 'k')).toThrow(expect.objectContaining({ code: 'NO_ACTOR_TYPE' }));
    await unharmed();
  });
});

describe('sound frames from code that knows other types and methods', () => {
  /** The main thread's end of the link, below everything that would refuse to send such a thing. */
  function link(): { writer: FrameWriter; refusals: Map<number, { code: string; message: string }> } {
    const { member } = (node as unknown as { troupe: { member: { router: FarRouter } } }).troupe;
    const wire = member.router.wire as unknown as { writer(thread: number): FrameWriter };
    const refusals = new Map<number, { code: string; message: string }>();
    const { outcomes } = member.router;
    const before = outcomes.onRefused;
    outcomes.onRefused = (id, error) => {
      refusals.set(id, { code: error[0], message: error[1] });
      before.call(outcomes, id, error);
    };
    return { writer: wire.writer(1), refusals };
  }

  it('a message to a type that is not there: NO_ACTOR_TYPE, or a dead letter', async () => {
    const { writer, refusals } = link();
    const types = ['nobody', '__proto__', 'constructor', '../../evil.js', '', 'x'.repeat(255)];
    letters.length = 0;
    for (const [at, type] of types.entries()) {
      expect(writer.encodeTell(type, 'k', -1, 0, 0, undefined, undefined, undefined, null, null)).toBe(true);
      expect(writer.encodeAsk(type, 'k', -1, 0, 2 ** 40 + at, 0, undefined, undefined, undefined, null, null)).toBe(
        true,
      );
    }
    await until(() => refusals.size === types.length && letters.length === types.length);
    expect([...refusals.values()].map(({ code }) => code)).toEqual(types.map(() => 'NO_ACTOR_TYPE'));
    await unharmed();
  });

  it('a message with a method that is not there: NO_METHOD, or a dead letter, and the actor has not failed', async () => {
    const { writer, refusals } = link();
    const failures: unknown[] = [];
    node.on('actor-failed', event => failures.push(event));
    const known = VictimT.methods.length;
    // 253 and 254 are reminders and topics: the runtime's own messages, which an actor takes without harm.
    const methods = Array.from({ length: 253 - known }, (_, at) => known + at).concat(255);
    for (const method of methods) {
      for (const argc of [0, 2]) {
        while (!writer.encodeTell('victim', 'v', -1, method, argc, 1, 2, undefined, null, null)) await unharmed();
        const id = 2 ** 41 + method * 4 + argc;
        while (!writer.encodeAsk('victim', 'v', -1, method, id, argc, 1, 2, undefined, null, null)) await unharmed();
      }
    }
    await until(() => refusals.size === methods.length * 2);
    expect(new Set([...refusals.values()].map(({ code }) => code))).toEqual(new Set(['NO_METHOD']));
    expect(failures).toEqual([]);
    await unharmed();
  });
});

describe('a ref to a spawned actor', () => {
  it('leads to nobody once its thread has died, however many have been spawned since', async () => {
    const first = (await victim.child()) as Ref<Child>;
    const name = await first.name();
    tell(victim).end();
    await until(() => died.length === 1);
    await until(async () => (await ending(call(victim, { deadlineMs: 200 }).echo('back'))) === 'back');
    died.length = 0;
    // As many as it takes for a number to come twice.
    const later = (await victim.child()) as Ref<Child>;
    expect(await later.name()).not.toBe(name);
    expect(await ending(first.name())).toMatchObject({ code: 'STOPPED' });
    expect(await later.name()).toBe(String(later as AnyRef));
    await unharmed();
  });
});
