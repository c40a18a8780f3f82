// DESIGN.md section 2, "Turns": what may run beside what, and in which order.

import { describe, expect, it } from 'vitest';
import { tell } from '../../../src/runtime/refs.ts';
import { createTestKit, type TestKit } from '../../../src/testing.ts';
import { GateT } from './gate.ts';
import { Recorder, RecorderT, SimpleT } from './recorder.ts';

const log = (kit: TestKit, id = 'recorder/a'): string[] => (kit.state(id) as Recorder['state']).log;

function start(): { kit: TestKit; a: ReturnType<typeof refOf>; gate: ReturnType<TestKit['probe']> } {
  const kit = createTestKit({ actors: [RecorderT, SimpleT] });
  return { kit, a: refOf(kit), gate: kit.probe(GateT, 'gate') };
}
const refOf = (kit: TestKit) => kit.ref(RecorderT, 'a');

describe('exclusive turns', () => {
  it('are one at a time, awaits included', async () => {
    for (const type of [RecorderT, SimpleT]) {
      const kit = createTestKit({ actors: [RecorderT, SimpleT] });
      const gate = kit.probe(GateT, 'gate');
      const a = kit.ref(type, 'a');
      const all = [a.step('x'), a.step('y'), a.mark('z')];
      await kit.settle();
      expect(log(kit, `${type.type}/a`)).toEqual(['x(']);
      await gate.expect('pass', ['x']).reply('x');
      await gate.expect('pass', ['y']).reply('y');
      expect(await Promise.all(all)).toEqual(['x', 'y', 'z']);
      expect(log(kit, `${type.type}/a`)).toEqual(['x(', ')x', 'y(', ')y', 'z']);
      await kit.close();
    }
  });

  it('of many laps are never mixed', async () => {
    const { kit, a } = start();
    await Promise.all([a.laps('a', 5), a.laps('b', 5), a.mark('c')]);
    expect(log(kit)).toEqual(['a1', 'a2', 'a3', 'a4', 'a5', 'b1', 'b2', 'b3', 'b4', 'b5', 'c']);
  });

  it('of one actor do not hold up those of another', async () => {
    const { kit, a, gate } = start();
    const slow = a.step('x');
    expect(await kit.ref(RecorderT, 'b').mark('y')).toBe('y');
    await gate.expect('pass').reply();
    await slow;
  });

  it('see what they send themselves after they have ended', async () => {
    const { kit, a } = start();
    await a.sendSelf('one', 'two');
    await kit.settle();
    expect(log(kit)).toEqual(['sent', 'one', 'two']);
  });

  it('that fail let the next one start', async () => {
    const { kit, a, gate } = start();
    const slow = a.step('x');
    const next = a.mark('y');
    await gate.expect('pass').fail(new Error('shut'));
    await expect(slow).rejects.toMatchObject({ code: 'REMOTE', message: 'shut' });
    expect(await next).toBe('y');
    expect(log(kit)).toEqual(['x(', 'y']);
  });
});

describe('read turns', () => {
  it('overlap each other', async () => {
    const { kit, a, gate } = start();
    const all = [a.look('x'), a.look('y')];
    await kit.settle();
    expect(log(kit)).toEqual(['x(', 'y(']);
    await gate.expect('pass', ['y']).reply();
    await gate.expect('pass', ['x']).reply();
    await Promise.all(all);
    expect(log(kit)).toEqual(['x(', 'y(', ')y', ')x']);
  });

  it('do not overlap an exclusive one, in either order', async () => {
    const { kit, a, gate } = start();
    const all = [a.look('r'), a.step('x'), a.look('s')];
    await kit.settle();
    expect(log(kit)).toEqual(['r(']);
    await gate.expect('pass', ['r']).reply();
    await kit.settle();
    expect(log(kit)).toEqual(['r(', ')r', 'x(']);
    await gate.expect('pass', ['x']).reply();
    await gate.expect('pass', ['s']).reply();
    await Promise.all(all);
    expect(log(kit)).toEqual(['r(', ')r', 'x(', ')x', 's(', ')s']);
  });

  it('do not overtake an exclusive one that waits', async () => {
    const { kit, a, gate } = start();
    const all = [a.look('r'), a.mark('x'), a.look('s')];
    await kit.settle();
    expect(log(kit)).toEqual(['r(']);
    await gate.expect('pass', ['r']).reply();
    await gate.expect('pass', ['s']).reply();
    await Promise.all(all);
    expect(log(kit)).toEqual(['r(', ')r', 'x', 's(', ')s']);
  });
});

describe('interleaving turns', () => {
  it('start beside an exclusive one', async () => {
    const { kit, a, gate } = start();
    const all = [a.step('x'), a.peek('i')];
    expect(await a.glance('j')).toBe('j');
    expect(log(kit)).toEqual(['x(', 'i(', 'j']);
    await gate.expect('pass', ['i']).reply();
    await gate.expect('pass', ['x']).reply();
    await Promise.all(all);
    expect(log(kit)).toEqual(['x(', 'i(', 'j', ')i', ')x']);
  });

  it('do not hold up an exclusive one: a long poll must not block its actor', async () => {
    const { kit, a, gate } = start();
    const all = [a.peek('i'), a.mark('x')];
    await kit.settle();
    expect(log(kit)).toEqual(['i(', 'x']);
    await gate.expect('pass').reply();
    await Promise.all(all);
    expect(log(kit)).toEqual(['i(', 'x', ')i']);
  });

  it('do not overtake what came before them and waits', async () => {
    const { kit, a, gate } = start();
    const all = [a.step('x'), a.mark('y'), a.glance('i')];
    await kit.settle();
    expect(log(kit)).toEqual(['x(']);
    await gate.expect('pass').reply();
    await Promise.all(all);
    expect(log(kit)).toEqual(['x(', ')x', 'y', 'i']);
  });
});

describe('an actor with much to do', () => {
  it('lets others have their turn: it runs a share at a time', async () => {
    const { kit } = start();
    const order: string[] = [];
    Recorder.seen = key => order.push(key);
    const busy = kit.ref(SimpleT, 'busy');
    for (let n = 0; n < 1_000; n++) tell(busy).mark(String(n));
    tell(kit.ref(SimpleT, 'quick')).mark('me too');
    await kit.settle();
    Recorder.seen = undefined;
    expect(order).toHaveLength(1_001);
    expect(order.indexOf('quick')).toBeLessThanOrEqual(256);
  });
});

describe('order', () => {
  it('of one sender holds between tells and asks, whatever their modes', async () => {
    const { kit, a, gate } = start();
    gate.allow('pass', name => name);
    const names = Array.from({ length: 300 }, (_, n) => String(n));
    const answers = names.map((name, n) => {
      if (n % 3 === 0) return tell(a).mark(name);
      return n % 3 === 1 ? a.mark(name) : a.glance(name);
    });
    await Promise.all(answers);
    await kit.settle();
    expect(log(kit)).toEqual(names);
  });

  it('holds across more messages than a slice runs', async () => {
    const { kit } = start();
    const a = kit.ref(SimpleT, 'a');
    const names = Array.from({ length: 1_000 }, (_, n) => String(n));
    for (const name of names) tell(a).mark(name);
    await kit.settle();
    expect(log(kit, 'simple-recorder/a')).toEqual(names);
  });
});
