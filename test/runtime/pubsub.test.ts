import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TroupeError } from '../../src/errors.ts';
import { PubSub } from '../../src/runtime/pubsub.ts';

describe('a topic table', () => {
  test('matches subscribers in the order they came, and nobody on an unknown topic', () => {
    const table = new PubSub();
    for (const id of ['cart/3', 'cart/1', 'cart/2']) expect(table.subscribe('sold', id)).toBe(true);
    expect(table.match('sold')).toEqual(['cart/3', 'cart/1', 'cart/2']);
    expect(table.match('sol')).toEqual([]);
  });

  test('subscribing again changes nothing; leaving and coming back goes to the end', () => {
    const table = new PubSub();
    for (const id of ['a', 'b']) table.subscribe('t', id);
    expect(table.subscribe('t', 'a')).toBe(false);
    expect(table.match('t')).toEqual(['a', 'b']);
    expect(table.unsubscribe('t', 'a')).toBe(true);
    expect(table.unsubscribe('t', 'a')).toBe(false);
    table.subscribe('t', 'a');
    expect(table.match('t')).toEqual(['b', 'a']);
  });

  test('a list in use is not touched by what happens meanwhile, and is shared until something does', () => {
    const table = new PubSub();
    for (const id of ['a', 'b', 'c']) table.subscribe('t', id);
    const seen: string[] = [];
    for (const id of table.match('t')) {
      seen.push(id);
      table.drop('b');
      table.subscribe('t', `${id}-new`);
    }
    expect(seen).toEqual(['a', 'b', 'c']);
    expect(table.match('t')).toEqual(['a', 'c', 'a-new', 'b-new', 'c-new']);
    expect(table.match('t')).toBe(table.match('t'));
  });

  test('drop ends every subscription of one and says how many; nothing is left behind', () => {
    const table = new PubSub();
    for (const topic of ['x', 'y', 'z']) table.subscribe(topic, 'a');
    table.subscribe('y', 'b');
    expect(table.topicsOf('a')).toEqual(['x', 'y', 'z']);
    expect(table.drop('a')).toBe(3);
    expect(table.drop('a')).toBe(0);
    expect(table.match('y')).toEqual(['b']);
    expect(table.counts()).toEqual({ topics: 1, subscribers: 1 });
    table.unsubscribe('y', 'b');
    expect(table.counts()).toEqual({ topics: 0, subscribers: 0 });
  });

  test.each([
    [
      { subscribersPerTopic: 2 },
      [
        ['t', 'a'],
        ['t', 'b'],
      ],
      ['t', 'c'],
      "topic 't' has 2 subscribers",
    ],
    [
      { topicsPerSubscriber: 2 },
      [
        ['t', 'a'],
        ['u', 'a'],
      ],
      ['v', 'a'],
      "'a' is subscribed to 2 topics",
    ],
    [
      { topics: 2 },
      [
        ['t', 'a'],
        ['u', 'a'],
      ],
      ['v', 'b'],
      'this thread knows 2 topics',
    ],
  ] as const)(
    'refuses one more at the bound %j, without a trace, and takes it once there is room',
    (bounds, before, [topic, id], text) => {
      const table = new PubSub(bounds);
      for (const [each, who] of before) table.subscribe(each, who);
      const counts = table.counts();
      let thrown: unknown;
      try {
        table.subscribe(topic, id);
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toBeInstanceOf(TroupeError);
      expect((thrown as TroupeError).code).toBe('OVERLOADED');
      expect((thrown as TroupeError).message).toContain(text);
      expect((thrown as TroupeError).details).toEqual({ limit: 2 });
      expect(table.counts()).toEqual(counts);
      expect(table.match(topic)).not.toContain(id);
      const [first] = before;
      expect(table.subscribe(...first)).toBe(false); // a duplicate is welcome at the bound
      table.unsubscribe(...first);
      expect(table.subscribe(topic, id)).toBe(true);
    },
  );

  test('agrees with a list of pairs, whatever happens', () => {
    const name = fc.constantFrom('a', 'b', 'c', 'd');
    const op = fc.tuple(fc.constantFrom('subscribe', 'subscribe', 'unsubscribe', 'drop'), name, name);
    fc.assert(
      fc.property(fc.array(op, { maxLength: 60 }), ops => {
        const table = new PubSub({ subscribersPerTopic: 3, topicsPerSubscriber: 3, topics: 3 });
        let pairs: (readonly [topic: string, id: string])[] = [];
        const of = (topic: string) => pairs.filter(pair => pair[0] === topic).map(pair => pair[1]);
        const topicsOf = (id: string) => pairs.filter(pair => pair[1] === id).map(pair => pair[0]);
        for (const [what, topic, id] of ops) {
          const has = of(topic).includes(id);
          if (what === 'subscribe') {
            const topics = new Set(pairs.map(pair => pair[0])).add(topic).size;
            if (!has && (of(topic).length === 3 || topicsOf(id).length === 3 || topics > 3))
              expect(() => table.subscribe(topic, id)).toThrow(TroupeError);
            else {
              expect(table.subscribe(topic, id)).toBe(!has);
              if (!has) pairs.push([topic, id]);
            }
          } else if (what === 'unsubscribe') {
            expect(table.unsubscribe(topic, id)).toBe(has);
            pairs = pairs.filter(pair => pair[0] !== topic || pair[1] !== id);
          } else {
            expect(table.drop(id)).toBe(topicsOf(id).length);
            pairs = pairs.filter(pair => pair[1] !== id);
          }
          for (const each of ['a', 'b', 'c', 'd']) {
            expect(table.match(each)).toEqual(of(each));
            expect(table.topicsOf(each)).toEqual(topicsOf(each));
          }
          expect(table.counts()).toEqual({
            topics: new Set(pairs.map(pair => pair[0])).size,
            subscribers: new Set(pairs.map(pair => pair[1])).size,
          });
        }
      }),
      { seed: 4, numRuns: 300 },
    );
  });
});
