// publish() and subscribe(): to every subscriber of a topic, in order, awake or asleep.

import { describe, expect, it } from 'vitest';
import type { Ref } from '../../../src/runtime/refs.ts';
import { createTestKit } from '../../../src/testing.ts';
import { type Listener, ListenerT, SmallListenerT } from './caller-back.ts';
import { GateT } from './gate.ts';
import { outcome } from './outcome.ts';

const start = () => createTestKit({ actors: [ListenerT, SmallListenerT] });

describe('publish()', () => {
  it('reaches every subscriber once, its publisher too, and nobody else', async () => {
    await using kit = start();
    const all = ['a', 'b', 'c', 'd'].map(key => kit.ref(ListenerT, key));
    const [a, b, c, d] = all as [Ref<Listener>, Ref<Listener>, Ref<Listener>, Ref<Listener>];
    await a.subscribe('news');
    await b.subscribe('news');
    await b.subscribe('news');
    await c.subscribe('other');
    await a.publish('news', { n: 1 });
    await kit.settle();
    expect(await Promise.all(all.map(each => each.heard()))).toEqual([
      [['news', { n: 1 }]],
      [['news', { n: 1 }]],
      [],
      [],
    ]);
    await d.publish('nobody', 1);
  });

  it('keeps the order of one publisher', async () => {
    await using kit = start();
    await kit.ref(ListenerT, 'a').subscribe('t');
    for (let n = 0; n < 50; n++) await kit.ref(ListenerT, 'p').publish('t', n);
    await kit.settle();
    expect((await kit.ref(ListenerT, 'a').heard()).map(([, value]) => value)).toEqual(
      Array.from({ length: 50 }, (_, n) => n),
    );
  });

  it('gives each its own copy: what a publisher or another subscriber changes, nobody sees', async () => {
    await using kit = start();
    await kit.ref(ListenerT, 'a').subscribe('t');
    await kit.ref(ListenerT, 'p').publishAndChange('t');
    await kit.settle();
    expect(await kit.ref(ListenerT, 'a').heard()).toEqual([['t', { n: 1 }]]);
  });

  it('wakes a subscriber that sleeps, and finds one that has moved', async () => {
    await using kit = start();
    await kit.ref(ListenerT, 'a').subscribe('t');
    await kit.ref(ListenerT, 'm').subscribe('t');
    await kit.clock.advance(120_000);
    expect(kit.isAwake('listener/a')).toBe(false);
    await kit.relocate('listener/m');
    await kit.ref(ListenerT, 'p').publish('t', 1);
    await kit.settle();
    expect(await kit.ref(ListenerT, 'a').heard()).toEqual([['t', 1]]);
    expect(await kit.ref(ListenerT, 'm').heard()).toEqual([['t', 1]]);
  });

  it('makes a dead letter for a subscriber whose mailbox is full; the others hear it', async () => {
    await using kit = start();
    const gate = kit.probe(GateT, 'gate');
    const full = kit.ref(SmallListenerT, 'full');
    await full.subscribe('t');
    await kit.ref(ListenerT, 'a').subscribe('t');
    const holding = full.hold();
    await kit.settle();
    for (let n = 0; n < 3; n++) await kit.ref(ListenerT, 'p').publish('t', n);
    await gate.expect('pass').reply();
    await holding;
    await kit.settle();
    expect((await full.heard()).length).toBe(2);
    expect((await kit.ref(ListenerT, 'a').heard()).length).toBe(3);
    expect(kit.events).toMatchObject([
      { name: 'dead-letter', payload: { to: 'small-listener/full', method: 'onTopic', args: ['t', 2] } },
    ]);
  });

  it('does not fail for a subscriber that fails', async () => {
    await using kit = start();
    await kit.ref(ListenerT, 'a').subscribe('t');
    await kit.ref(ListenerT, 'p').publish('t', 'fail');
    await kit.ref(ListenerT, 'p').publish('t', 'fine');
    await kit.settle();
    expect(await kit.ref(ListenerT, 'a').heard()).toEqual([['t', 'fine']]);
  });

  it('is an effect of its publisher, the deliveries are not', async () => {
    await using kit = start();
    await kit.ref(ListenerT, 'a').subscribe('t');
    await kit.ref(ListenerT, 'p').publish('t', 1);
    expect(kit.effects('listener/p')).toEqual([{ kind: 'publish', at: 0, topic: 't', value: 1 }]);
  });

  it('of a topic that is none is refused', async () => {
    await using kit = start();
    expect(await outcome(kit.ref(ListenerT, 'p').publish(7 as never, 1))).toMatchObject({ code: 'BAD_OPTION' });
  });
});

describe('a subscription', () => {
  it('ends with unsubscribe()', async () => {
    await using kit = start();
    const a = kit.ref(ListenerT, 'a');
    await a.subscribe('t');
    await a.unsubscribe('t');
    await a.unsubscribe('t');
    await kit.ref(ListenerT, 'p').publish('t', 1);
    await kit.settle();
    expect(await a.heard()).toEqual([]);
  });

  it('ends with an activation that stops or crashes: nobody is woken by what its past life wanted', async () => {
    await using kit = start();
    for (const key of ['stopped', 'crashed']) await kit.ref(ListenerT, key).subscribe('t');
    await kit.ref(ListenerT, 'stopped').stop();
    await kit.crash('listener/crashed');
    await kit.ref(ListenerT, 'p').publish('t', 1);
    await kit.settle();
    expect(kit.isAwake('listener/stopped')).toBe(false);
    expect(kit.isAwake('listener/crashed')).toBe(false);
  });

  it('of a spawned child is heard, and ends with it', async () => {
    await using kit = start();
    const parent = kit.ref(ListenerT, 'a');
    const child = (await parent.fork('t')) as Ref<Listener>;
    await kit.settle();
    await kit.ref(ListenerT, 'p').publish('t', 1);
    await kit.settle();
    expect(await child.heard()).toEqual([['t', 1]]);
    await child.stop();
    await kit.settle();
    await kit.ref(ListenerT, 'p').publish('t', 2);
    await kit.settle();
    expect(kit.events.filter(event => event.name === 'dead-letter')).toEqual([]);
  });

  it('needs a name', async () => {
    await using kit = start();
    for (const topic of ['', 7, undefined, 'x'.repeat(1_025)])
      expect(await outcome(kit.ref(ListenerT, 'a').subscribe(topic as never))).toMatchObject({ code: 'BAD_OPTION' });
  });
});
