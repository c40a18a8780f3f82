// stash() sets the message of the current turn aside, unstashAll() puts all of them back in front, in their order.

import { describe, expect, it } from 'vitest';
import { stashMax } from '../../../src/limits.ts';
import { call, tell } from '../../../src/runtime/refs.ts';
import { createTestKit } from '../../../src/testing.ts';
import { GateT } from './gate.ts';
import { outcome } from './outcome.ts';
import { type Sorter, SorterT } from './sorter.ts';

function start() {
  const kit = createTestKit({ actors: [SorterT] });
  const gate = kit.probe(GateT, 'gate');
  const a = kit.ref(SorterT, 'a');
  return { kit, gate, a, log: () => (kit.state('sorter/a') as Sorter['state']).log };
}

describe('a stashed message', () => {
  it('comes back in its order, before everything that waits in the mailbox', async () => {
    const { kit, a, log } = start();
    for (const name of ['1', '2', '3']) tell(a).put(name);
    tell(a).open();
    for (const name of ['4', '5']) tell(a).put(name);
    await kit.settle();
    expect(log()).toEqual(['1', '2', '3', '4', '5']);
  });

  it('that is an ask is answered when it has run, not by the turn that stashed it', async () => {
    const { kit, a } = start();
    const asked = a.put('x');
    await kit.settle();
    expect(await Promise.race([asked, Promise.resolve('open')])).toBe('open');
    await a.open();
    expect(await asked).toBe('x');
  });

  it('may be stashed again, and again comes back in its order', async () => {
    const { kit, a, log } = start();
    for (const name of ['1', '2', '3']) tell(a).put(name);
    tell(a).open();
    tell(a).shut();
    for (const name of ['4', '5']) tell(a).put(name);
    await kit.settle();
    expect(log()).toEqual(['1', '2', '3']);
    await a.open();
    expect(await a.log()).toEqual(['1', '2', '3', '4', '5']);
  });

  it('can be stashed after an await', async () => {
    const { kit, gate, a } = start();
    const asked = a.putLater('x');
    await gate.expect('pass').reply();
    await kit.settle();
    await a.open();
    await gate.expect('pass').reply();
    expect(await asked).toBe('x');
    expect(await a.log()).toEqual(['x']);
  });

  it('comes back from an unstashAll() after an await too', async () => {
    const { gate, a } = start();
    const asked = a.put('x');
    const opening = a.openLater();
    await gate.expect('pass', ['open']).reply();
    await opening;
    expect(await asked).toBe('x');
  });

  it('is the one of the turn that said so, whatever runs beside it', async () => {
    const { kit, gate, a, log } = start();
    const set = a.putBeside('set aside');
    expect(await a.beside('beside')).toBe('beside');
    await gate.expect('pass').reply();
    await kit.settle();
    expect(log()).toEqual(['beside']);
    await a.open();
    await gate.expect('pass').reply();
    expect(await set).toBe('set aside');
    expect(log()).toEqual(['beside', 'set aside']);
  });

  it('keeps its deadline: it ends with DEADLINE, for its turn was undone, and does not run later', async () => {
    const { kit, a } = start();
    const asked = outcome(call(a, { deadlineMs: 100 }).put('x'));
    await kit.clock.advance(99);
    expect(await Promise.race([asked, Promise.resolve('open')])).toBe('open');
    await kit.clock.advance(1);
    expect(await asked).toMatchObject({ code: 'DEADLINE' });
    await a.open();
    expect(await a.log()).toEqual([]);
  });

  it('can be aborted', async () => {
    const { kit, a } = start();
    const controller = new AbortController();
    const asked = outcome(call(a, { signal: controller.signal }).put('x'));
    await kit.settle();
    controller.abort();
    expect(await asked).toMatchObject({ code: 'DEADLINE', details: { aborted: true } });
    await a.open();
    expect(await a.log()).toEqual([]);
  });

  it('of a turn that then fails is not stashed: it has failed', async () => {
    const { a } = start();
    expect(await outcome(a.failing('x'))).toMatchObject({ code: 'REMOTE', message: 'x' });
    await a.open();
    expect(await a.log()).toEqual([]);
  });

  it('is refused when the actor ends', async () => {
    const { kit, a } = start();
    const asked = outcome(a.put('asked'));
    tell(a).put('told');
    await a.stop();
    expect(await asked).toMatchObject({ code: 'STOPPED' });
    await kit.settle();
    expect(kit.events.filter(event => event.name === 'dead-letter')).toMatchObject([
      { payload: { method: 'put', args: ['told'] } },
    ]);
  });

  it('keeps the actor awake', async () => {
    const { kit, a } = start();
    tell(a).put('x');
    await kit.clock.advance(10 * 60_000);
    expect(kit.isAwake('sorter/a')).toBe(true);
    await a.open();
    expect(await a.log()).toEqual(['x']);
  });
});

describe('the stash', () => {
  it('is bounded: one more fails its turn with OVERLOADED, the others stay', async () => {
    const { a } = start();
    for (let n = 0; n < stashMax; n++) tell(a).put(String(n));
    expect(await outcome(a.put('one more'))).toMatchObject({ code: 'REMOTE', details: { code: 'OVERLOADED' } });
    await a.open();
    expect((await a.log()).length).toBe(stashMax);
  });

  it('does not count asks that nobody waits for any more', async () => {
    const { kit, a } = start();
    const late = Array.from({ length: stashMax }, () => outcome(call(a, { deadlineMs: 10 }).put('late')));
    await kit.clock.advance(10);
    await Promise.all(late);
    tell(a).put('x');
    await a.open();
    expect(await a.log()).toEqual(['x']);
  });

  it('takes messages only: in a timer there is nothing to set aside', async () => {
    const { kit, a } = start();
    await a.stashInTimer();
    await kit.clock.advance(1);
    expect(kit.events).toMatchObject([
      { name: 'actor-failed', payload: { error: { code: 'BAD_OPTION', message: expect.stringContaining('stash') } } },
    ]);
  });
});
