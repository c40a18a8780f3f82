// defineBehaviour: the functional spelling of the same engine.

import { beforeEach, describe, expect, expectTypeOf, it } from 'vitest';
import { defineBehaviour, type Effect } from '../../../src/runtime/define-behaviour.ts';
import { type Ref, tell } from '../../../src/runtime/refs.ts';
import { createTestKit, type TestKit } from '../../../src/testing.ts';
import {
  AsyncT,
  ConstantT,
  type Count,
  type CountMessage,
  CountT,
  runs,
  SneakyT,
  StoredCountT,
  WrittenCountT,
} from './behaviours.ts';
import { type Sink, SinkT } from './ledger.ts';
import { outcome } from './outcome.ts';

const types = [CountT, StoredCountT, WrittenCountT, ConstantT, AsyncT, SneakyT, SinkT];
const start = (disk?: TestKit['disk']): TestKit =>
  createTestKit({ actors: types, ...(disk === undefined ? {} : { disk }) });

beforeEach(() => {
  runs.live = 0;
  runs.replayed = 0;
});

describe('a behaviour', () => {
  it('is an actor with one method, typed by its messages and replies', () => {
    expectTypeOf<Ref<Count>['send']>().toEqualTypeOf<(message: CountMessage) => Promise<number>>();
    expect(CountT.methods.map(method => method.name)).toEqual(['send']);
  });

  it('replies, and takes over the state it returns', async () => {
    await using kit = start();
    const a = kit.ref(CountT, 'a');
    expect(await a.send({ type: 'add', by: 2 })).toBe(2);
    expect(await a.send({ type: 'get' })).toBe(2);
    expect(await a.send({ type: 'quiet' })).toBeUndefined();
    tell(a).send({ type: 'add', by: 5 });
    expect(await a.send({ type: 'get' })).toBe(7);
  });

  it('fails like others, with its state as it was', async () => {
    await using kit = start();
    const a = kit.ref(CountT, 'a');
    await a.send({ type: 'add', by: 1 });
    expect(await outcome(a.send({ type: 'fail' }))).toMatchObject({ code: 'REMOTE', details: { name: 'RangeError' } });
    expect(await a.send({ type: 'get' })).toBe(1);
  });

  it('may be asynchronous: one message at a time', async () => {
    await using kit = start();
    const ref = kit.ref(CountT, 'x');
    expect(await Promise.all([1, 2, 3].map(by => kit.ref(AsyncT, 'a').send({ ref, by })))).toEqual([1, 4, 10]);
  });

  it('has a first state of its own, not one that all share', async () => {
    await using kit = start();
    expect(await kit.ref(ConstantT, 'a').send(1)).toEqual([1]);
    expect(await kit.ref(ConstantT, 'b').send(2)).toEqual([2]);
  });

  it('is refused without receive(), and with options that no actor has', () => {
    expect(() => defineBehaviour(import.meta.url, { type: 'x', initial: 0 } as never)).toThrowError(/receive/);
    expect(() =>
      defineBehaviour(import.meta.url, { type: 'x', initial: 0, receive: () => undefined, colour: 1 } as never),
    ).toThrowError(/colour/);
  });
});

describe('effects', () => {
  const effects = async (kit: TestKit, all: readonly Effect[]) =>
    outcome(kit.ref(CountT, 'a').send({ type: 'effects', effects: all }));

  it('tell, publish, wait and stop, in their order, after the state is in place', async () => {
    await using kit = start();
    const sink = kit.ref(SinkT, 's');
    await sink.listen('topic');
    const done = await effects(kit, [
      { type: 'tell', to: sink, method: 'hear', args: ['one'] },
      { type: 'publish', topic: 'topic', value: 'two' },
      { type: 'tell', to: sink, method: 'hear', args: ['three'] },
    ]);
    expect(done.value).toBe(1);
    await kit.settle();
    expect(await sink.heard()).toEqual(['one', 'two', 'three']);
  });

  it('tell another behaviour by its send() unless they say otherwise', async () => {
    await using kit = start();
    await effects(kit, [{ type: 'tell', to: kit.ref(CountT, 'b'), args: [{ type: 'add', by: 9 }] }]);
    expect(await kit.ref(CountT, 'b').send({ type: 'get' })).toBe(9);
  });

  it('come back as messages after their time, also through a move', async () => {
    await using kit = start();
    const a = kit.ref(CountT, 'a');
    await a.send({ type: 'later', by: 5, ms: 100 });
    await a.send({ type: 'later', by: 1, ms: 300 });
    await kit.clock.advance(99);
    expect(await a.send({ type: 'get' })).toBe(0);
    await kit.clock.advance(51);
    expect(await a.send({ type: 'get' })).toBe(5);
    await kit.relocate('count/a');
    await kit.clock.advance(149);
    expect(await a.send({ type: 'get' })).toBe(5);
    await kit.clock.advance(1);
    expect(await a.send({ type: 'get' })).toBe(6);
  });

  it('stop the actor', async () => {
    await using kit = start();
    await effects(kit, [{ type: 'stop' }]);
    await kit.settle();
    expect(kit.isAwake('count/a')).toBe(false);
  });

  it.each(['constructor', 'toString', 'hasOwnProperty', 'nothing', '__proto__'])(
    'cannot call what is no method: %s',
    async method => {
      await using kit = start();
      const to = kit.ref(SinkT, 's');
      expect(await effects(kit, [{ type: 'tell', to, method, args: [] }])).toMatchObject({
        details: { code: 'NO_METHOD' },
      });
    },
  );

  it('that nobody knows are refused', async () => {
    await using kit = start();
    expect(await effects(kit, [{ type: 'explode' } as never])).toMatchObject({ code: 'BAD_OPTION' });
    expect(await effects(kit, [{ type: 'tell', to: 'count/b' as never, args: [] }])).toMatchObject({
      details: { code: 'BAD_MESSAGE' },
    });
  });
});

describe('a stored behaviour', () => {
  it('comes back after a crash with the state it returned', async () => {
    await using kit = start();
    const a = kit.ref(StoredCountT, 'a');
    await a.send({ type: 'add', by: 3 });
    await kit.crash('stored-count/a');
    expect(await a.send({ type: 'get' })).toBe(3);
  });
});

describe('a behaviour with a journal', () => {
  it('is replayed from its messages: no replies, no effects', async () => {
    await using kit = start();
    const sink = kit.probe(SinkT, 's');
    const a = kit.ref(WrittenCountT, 'a');
    await a.send({ type: 'add', by: 1 });
    await a.send({ type: 'effects', effects: [{ type: 'tell', to: kit.ref(SinkT, 's'), method: 'hear', args: [1] }] });
    await a.send({ type: 'add', by: 10 });
    expect(sink.received).toHaveLength(1);
    expect(runs).toEqual({ live: 3, replayed: 0 });
    await kit.crash('written-count/a');
    expect(await a.send({ type: 'get' })).toBe(12);
    expect(runs).toEqual({ live: 4, replayed: 3 });
    expect(sink.received).toHaveLength(1);
  });

  it('runs receive() once a message, also when it returns nothing', async () => {
    await using kit = start();
    await kit.ref(WrittenCountT, 'a').send({ type: 'quiet' });
    expect(runs).toEqual({ live: 1, replayed: 0 });
  });

  it('takes no message that cannot be stored, and no other actor is touched by it', async () => {
    await using kit = createTestKit({ actors: types, serialize: false });
    const [a, b] = [kit.ref(WrittenCountT, 'a'), kit.ref(WrittenCountT, 'b')];
    await b.send({ type: 'add', by: 1 });
    await a.send({ type: 'add', by: 5 });
    expect(await outcome(a.send({ type: 'spoil', with: () => 1 }))).toMatchObject({ details: { code: 'BAD_MESSAGE' } });
    expect(await a.send({ type: 'get' })).toBe(5);
    await kit.crash('written-count/b');
    expect(await b.send({ type: 'get' })).toBe(1);
  });

  it('must not be asynchronous, however it hides it', async () => {
    await using kit = start();
    expect(await outcome(kit.ref(SneakyT, 'a').send(1))).toMatchObject({
      code: 'BAD_OPTION',
      message: expect.stringContaining('async'),
    });
  });

  it('survives the process', async () => {
    const kit = start();
    for (let by = 1; by <= 5; by++) await kit.ref(WrittenCountT, 'a').send({ type: 'add', by });
    await kit.close();
    const again = start(kit.disk);
    expect(await again.ref(WrittenCountT, 'a').send({ type: 'get' })).toBe(15);
    await again.close();
  });
});

// Sink is imported for its type only where a ref to it travels in an effect.
expectTypeOf<Ref<Sink>['heard']>().returns.resolves.toEqualTypeOf<unknown[]>();
