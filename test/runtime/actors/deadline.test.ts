// When an ask gives up, and what it may say about its message then: DEADLINE if its turn never began, UNKNOWN_OUTCOME if it
// did. The same for AbortSignal. DESIGN.md section 2, "Mailbox" and "Outcomes".

import { describe, expect, it } from 'vitest';
import { call, tell } from '../../../src/runtime/refs.ts';
import { createTestKit } from '../../../src/testing.ts';
import { GateT } from './gate.ts';
import { outcome } from './outcome.ts';
import { type Recorder, RecorderT } from './recorder.ts';

function start() {
  const kit = createTestKit({ actors: [RecorderT] });
  const gate = kit.probe(GateT, 'gate');
  const a = kit.ref(RecorderT, 'a');
  return { kit, gate, a, log: () => (kit.state('recorder/a') as Recorder['state'] | undefined)?.log ?? [] };
}

describe('a deadline', () => {
  it('that passes before the turn ends the ask with DEADLINE, and the message never runs', async () => {
    const { kit, gate, a, log } = start();
    const first = a.step('x');
    const late = outcome(call(a, { deadlineMs: 50 }).mark('late'));
    await kit.clock.advance(49);
    const still = await Promise.race([late, Promise.resolve('open')]);
    expect(still).toBe('open');
    await kit.clock.advance(1);
    expect(await late).toMatchObject({ code: 'DEADLINE', outcome: 'failed', retryable: true });
    await gate.expect('pass').reply();
    await first;
    await kit.settle();
    expect(log()).toEqual(['x(', ')x']);
  });

  it('that passes in the turn ends the ask with UNKNOWN_OUTCOME; the turn goes on and its answer is dropped', async () => {
    const { kit, gate, a, log } = start();
    const late = outcome(call(a, { deadlineMs: 50 }).step('x'));
    await kit.clock.advance(50);
    expect(await late).toMatchObject({ code: 'UNKNOWN_OUTCOME', outcome: 'unknown', retryable: false });
    await gate.expect('pass').reply();
    await kit.settle();
    expect(log()).toEqual(['x(', ')x']);
    expect(await a.mark('y')).toBe('y');
  });

  it('of an ask that failed in time changes nothing later', async () => {
    const { kit, gate, a } = start();
    const failing = outcome(call(a, { deadlineMs: 50 }).step('x'));
    await gate.expect('pass').fail(new Error('shut'));
    expect(await failing).toMatchObject({ code: 'REMOTE', message: 'shut' });
    await kit.clock.advance(1_000);
    expect(await a.mark('y')).toBe('y');
  });

  it('is five seconds unless said otherwise', async () => {
    const { kit, a } = start();
    const asked = outcome(a.step('x'));
    await kit.clock.advance(4_999);
    expect(await Promise.race([asked, Promise.resolve('open')])).toBe('open');
    await kit.clock.advance(1);
    expect(await asked).toMatchObject({ code: 'UNKNOWN_OUTCOME' });
  });

  it('of 0 has passed already: nothing is sent, nobody wakes', async () => {
    const { kit, a } = start();
    expect(await outcome(call(a, { deadlineMs: 0 }).mark('x'))).toMatchObject({ code: 'DEADLINE', outcome: 'failed' });
    await kit.settle();
    expect(kit.isAwake('recorder/a')).toBe(false);
  });

  it('of Infinity never passes', async () => {
    const { kit, gate, a } = start();
    const asked = outcome(call(a, { deadlineMs: Number.POSITIVE_INFINITY }).step('x'));
    await kit.clock.advance(100 * 86_400_000);
    await gate.expect('pass').reply();
    // The gate's own ask, made by the turn with the default deadline, has long given up.
    expect(await asked).toMatchObject({ code: 'REMOTE', details: { code: 'DEADLINE' } });
    expect(await call(a, { deadlineMs: Number.POSITIVE_INFINITY }).mark('y')).toBe('y');
  });

  it('of Infinity does not outlive the actor', async () => {
    const { kit, a } = start();
    const running = outcome(call(a, { deadlineMs: Number.POSITIVE_INFINITY }).step('x'));
    const waiting = outcome(call(a, { deadlineMs: Number.POSITIVE_INFINITY }).mark('y'));
    await kit.settle();
    await kit.crash('recorder/a');
    expect(await running).toMatchObject({ code: 'UNKNOWN_OUTCOME' });
    expect(await waiting).toMatchObject({ code: 'UNKNOWN_OUTCOME' });
  });

  it.each([-1, Number.NaN, '5' as unknown as number, 2 ** 60])('of %s is refused', async deadlineMs => {
    const { kit, a } = start();
    expect(await outcome(call(a, { deadlineMs }).mark('x'))).toMatchObject({
      code: 'BAD_OPTION',
      message: expect.stringContaining('deadlineMs'),
    });
    await kit.settle();
    expect(kit.isAwake('recorder/a')).toBe(false);
  });

  it('counts fractions, and is never early', async () => {
    const { kit, a } = start();
    const asked = outcome(call(a, { deadlineMs: 10.5 }).step('x'));
    await kit.clock.advance(10);
    expect(await Promise.race([asked, Promise.resolve('open')])).toBe('open');
    await kit.clock.advance(1);
    expect(await asked).toMatchObject({ code: 'UNKNOWN_OUTCOME' });
  });

  it('of a million asks is kept without a timer each', async () => {
    const { kit, gate, a } = start();
    const first = a.step('x');
    const many = Array.from({ length: 1_000 }, (_, n) => outcome(call(a, { deadlineMs: 1 + n }).mark('late')));
    expect(kit.clock.pendingTimers).toBeLessThan(5);
    await kit.clock.advance(1_000);
    expect(new Set((await Promise.all(many)).map(each => each.code))).toEqual(new Set(['DEADLINE']));
    await gate.expect('pass').reply();
    await first;
  });
});

describe('an AbortSignal', () => {
  it('that was aborted before ends the ask at once; nothing is sent', async () => {
    const { kit, a } = start();
    const signal = AbortSignal.abort(new Error('changed my mind'));
    const error = await outcome(call(a, { signal }).mark('x'));
    expect(error).toMatchObject({
      code: 'DEADLINE',
      details: { aborted: true },
      cause: { message: 'changed my mind' },
    });
    await kit.settle();
    expect(kit.isAwake('recorder/a')).toBe(false);
  });

  it('aborted before the turn keeps it from running', async () => {
    const { kit, gate, a, log } = start();
    const first = a.step('x');
    const controller = new AbortController();
    const asked = outcome(call(a, { signal: controller.signal }).mark('y'));
    await kit.settle();
    controller.abort();
    expect(await asked).toMatchObject({ code: 'DEADLINE', outcome: 'failed' });
    await gate.expect('pass').reply();
    await first;
    await kit.settle();
    expect(log()).toEqual(['x(', ')x']);
  });

  it('aborted in the turn ends the ask, not the turn', async () => {
    const { kit, gate, a, log } = start();
    const controller = new AbortController();
    const asked = outcome(call(a, { signal: controller.signal }).step('x'));
    await kit.settle();
    const cause = new Error('no time');
    controller.abort(cause);
    expect(await asked).toMatchObject({ code: 'UNKNOWN_OUTCOME', details: { aborted: true }, cause });
    await gate.expect('pass').reply();
    await kit.settle();
    expect(log()).toEqual(['x(', ')x']);
  });

  it('aborted afterwards changes nothing, and is no longer listened to', async () => {
    const { a } = start();
    const controller = new AbortController();
    let listeners = 0;
    const { signal } = controller;
    const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
    Object.assign(signal, {
      addEventListener: (...args: Parameters<typeof add>) => {
        listeners++;
        add(...args);
      },
      removeEventListener: (...args: Parameters<typeof remove>) => {
        listeners--;
        remove(...args);
      },
    });
    expect(await call(a, { signal }).mark('x')).toBe('x');
    expect(listeners).toBe(0);
    controller.abort();
    expect(await a.mark('y')).toBe('y');
  });

  it('and a deadline together: the first ends it', async () => {
    const { kit, a } = start();
    const controller = new AbortController();
    const asked = outcome(call(a, { signal: controller.signal, deadlineMs: 10 }).step('x'));
    await kit.clock.advance(10);
    controller.abort();
    expect((await asked) as unknown).toMatchObject({ code: 'UNKNOWN_OUTCOME', details: {} });
  });

  it('that is none is refused', async () => {
    const { a } = start();
    expect(await outcome(call(a, { signal: {} as AbortSignal }).mark('x'))).toMatchObject({ code: 'BAD_OPTION' });
    expect(await call(a, undefined as never).mark('x')).toBe('x');
  });
});

describe('a tell', () => {
  it('has no deadline: it runs however late', async () => {
    const { kit, gate, a, log } = start();
    const first = outcome(a.step('x'));
    tell(a).mark('y');
    await kit.clock.advance(60_000);
    await gate.expect('pass').reply();
    await first;
    await kit.settle();
    expect(log()).toEqual(['x(', 'y']);
  });
});
