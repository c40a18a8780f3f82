// What a handler throws is its asker's answer, as REMOTE with name, message and code; and nothing that is thrown, however
// strange, reaches the process or stops the next message.

import { describe, expect, it } from 'vitest';
import { TroupeError } from '../../../src/errors.ts';
import { tell } from '../../../src/runtime/refs.ts';
import { silentLog } from '../../../src/runtime/world.ts';
import { createTestKit } from '../../../src/testing.ts';
import { ThrowerT, thrown } from './thrower.ts';

const start = () => createTestKit({ actors: [ThrowerT] });

describe('an error thrown by a handler', () => {
  it.each<[string, string, Record<string, unknown>]>([
    ['error', 'out of range', { name: 'RangeError' }],
    ['coded', 'with a code', { name: 'Coded', code: 'E_CODED' }],
    ['numbered', 'numbered', { name: 'Error', code: 42 }],
    ['caused', 'outer', { name: 'Error' }],
    ['aggregate', 'several', { name: 'AggregateError' }],
    ['string', 'just text', { name: 'string' }],
    ['number', '7', { name: 'number' }],
    ['undefined', 'undefined', { name: 'undefined' }],
    ['null', 'null', { name: 'object' }],
    ['symbol', 'Symbol(s)', { name: 'symbol' }],
    ['object', 'like an error', { name: 'Likeness', code: 'L' }],
    ['overloaded', 'an inner actor is full', { name: 'TroupeError', code: 'OVERLOADED' }],
  ])('%s arrives as REMOTE with its name, message and code', async (what, message, details) => {
    await using kit = start();
    for (const failing of [kit.ref(ThrowerT, 'a').throws(what), kit.ref(ThrowerT, 'a').rejects(what)]) {
      const error = await failing.catch(each => each);
      expect(error).toBeInstanceOf(TroupeError);
      expect(error).toMatchObject({ code: 'REMOTE', message, outcome: 'failed', retryable: false });
      expect(error.details).toEqual({ actor: 'thrower/a', message, ...details });
    }
  });

  it.each(Object.keys(thrown))('%s does not stop the next message', async what => {
    await using kit = start();
    const a = kit.ref(ThrowerT, 'a');
    await expect(a.throws(what)).rejects.toBeInstanceOf(TroupeError);
    await expect(a.rejects(what)).rejects.toBeInstanceOf(TroupeError);
    tell(a).throws(what);
    tell(a).rejects(what);
    expect(await a.turns()).toBe(4);
    expect(kit.events.filter(event => event.name === 'actor-failed')).toHaveLength(4);
  });

  it('of ours keeps its code when it speaks of the request, and becomes REMOTE when it speaks of a message in between', async () => {
    await using kit = start();
    await expect(kit.ref(ThrowerT, 'a').throws('troupe')).rejects.toMatchObject({
      code: 'LIMITED',
      details: { retryAfterMs: 5 },
    });
    await expect(kit.ref(ThrowerT, 'a').throws('overloaded')).rejects.toMatchObject({
      code: 'REMOTE',
      retryable: false,
    });
    await expect(kit.ref(ThrowerT, 'a').throws('unknown')).rejects.toMatchObject({
      code: 'REMOTE',
      outcome: 'unknown',
    });
  });

  it('keeps what was thrown as its cause, on the thread where it was thrown', async () => {
    await using kit = start();
    const error = await kit
      .ref(ThrowerT, 'a')
      .throws('caused')
      .catch((each: unknown) => each);
    expect((error as TroupeError).cause).toMatchObject({ message: 'outer', cause: { message: 'inner' } });
  });

  it('that passes through another actor keeps its words, and says whose they were', async () => {
    await using kit = start();
    const error = await kit
      .ref(ThrowerT, 'a')
      .nested('coded')
      .catch((each: unknown) => each as TroupeError & { cause: TroupeError });
    expect(error).toMatchObject({
      code: 'REMOTE',
      message: 'with a code',
      details: { actor: 'thrower/a', code: 'REMOTE' },
    });
    expect((error as { cause: TroupeError }).cause.details).toMatchObject({
      actor: 'thrower/a+',
      name: 'Coded',
      code: 'E_CODED',
    });
  });

  it('is told to the events with the actor, its epoch and what becomes of it', async () => {
    await using kit = start();
    tell(kit.ref(ThrowerT, 'a')).throws('error');
    await kit.settle();
    expect(kit.events).toMatchObject([
      { name: 'actor-failed', payload: { id: 'thrower/a', action: 'resume', error: { message: 'out of range' } } },
    ]);
  });

  it('stops nobody when a listener of the events or the logger throws too', async () => {
    const kit = createTestKit({
      actors: [ThrowerT],
      logger: {
        ...silentLog,
        warn: () => {
          throw new Error('the disk of the log is full');
        },
      },
    });
    Object.defineProperty(kit.events, 'push', {
      value: () => {
        throw new Error('a listener of the user');
      },
    });
    const a = kit.ref(ThrowerT, 'a');
    await expect(a.throws('error')).rejects.toMatchObject({ code: 'REMOTE' });
    await expect(a.rejects('hostile')).rejects.toMatchObject({ code: 'REMOTE' });
    expect(await a.turns()).toBe(2);
    await kit.close();
  });
});

describe('a thenable of the user', () => {
  it('that throws from then() fails its turn, and the next starts', async () => {
    await using kit = start();
    await expect(kit.ref(ThrowerT, 'a').thenable('throws')).rejects.toMatchObject({
      code: 'REMOTE',
      message: 'from then',
    });
    expect(await kit.ref(ThrowerT, 'a').turns()).toBe(0);
  });

  it('that settles twice answers once, and ends its turn once', async () => {
    await using kit = start();
    expect(await kit.ref(ThrowerT, 'a').thenable('twice')).toBe('first');
    expect(await kit.ref(ThrowerT, 'a').thenable('both')).toBe('first');
    expect(await kit.ref(ThrowerT, 'a').turns()).toBe(0);
  });
});

describe('what could not cross a thread is refused in the kit', () => {
  it('an argument, before anything runs', async () => {
    await using kit = start();
    const a = kit.ref(ThrowerT, 'a');
    const bad = { deep: [{ fn: () => 1 }] } as never;
    await expect(a.throws(bad)).rejects.toMatchObject({
      code: 'BAD_MESSAGE',
      message: expect.stringContaining('deep'),
    });
    expect(() => tell(a).throws(bad)).toThrowError(expect.objectContaining({ code: 'BAD_MESSAGE' }));
    await kit.settle();
    expect(kit.isAwake('thrower/a')).toBe(false);
  });

  it('a bare function or symbol too', async () => {
    await using kit = start();
    const a = kit.ref(ThrowerT, 'a');
    for (const bad of [() => 1, Symbol('s'), new WeakMap(), Promise.resolve(1)]) {
      await expect(a.throws(bad as never)).rejects.toMatchObject({ code: 'BAD_MESSAGE' });
    }
  });

  it('a reply, although its turn has run', async () => {
    await using kit = start();
    await expect(kit.ref(ThrowerT, 'a').unsendable()).rejects.toMatchObject({
      code: 'BAD_MESSAGE',
      outcome: 'unknown',
      message: expect.stringMatching(/^the turn has run, and what it returned cannot be sent: it /),
    });
    expect(await kit.ref(ThrowerT, 'a').turns()).toBe(0);
  });

  it('a state, in the turn that spoils it', async () => {
    await using kit = start();
    await expect(kit.ref(ThrowerT, 'a').spoil()).rejects.toMatchObject({
      message: expect.stringMatching(/the state of thrower\/a would not survive.*socket/),
    });
  });

  it('and none of it when serialization is switched off', async () => {
    await using kit = createTestKit({ actors: [ThrowerT], serialize: false });
    expect(await kit.ref(ThrowerT, 'a').unsendable()).toEqual({ fn: expect.any(Function) });
    await kit.ref(ThrowerT, 'a').spoil();
    expect(await kit.ref(ThrowerT, 'a').turns()).toBe(0);
  });
});
