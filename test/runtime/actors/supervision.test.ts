// What becomes of an actor whose handler throws. DESIGN.md section 2, "Supervision".

import { beforeEach, describe, expect, it } from 'vitest';
import { tell } from '../../../src/runtime/refs.ts';
import { createTestKit, type TestKit } from '../../../src/testing.ts';
import { GateT } from './gate.ts';
import { outcome } from './outcome.ts';
import { DefaultT, KeptT, lived, lives, Patient, patients, RestartT, ResumeT, StopT } from './patient.ts';

const start = (seed = 1): TestKit => createTestKit({ actors: patients, seed });
const actions = (kit: TestKit): string[] =>
  kit.events.filter(event => event.name === 'actor-failed').map(event => event.payload.action);

beforeEach(() => {
  lives.clear();
  Patient.sick.clear();
});

describe("onError: 'resume'", () => {
  it.each([ResumeT, DefaultT])('goes on with the state it has, and is the default', async type => {
    await using kit = start();
    const a = kit.ref(type, 'a');
    await a.add(1);
    const epoch = await a.epoch();
    expect(await outcome(a.fail('x'))).toMatchObject({ code: 'REMOTE', message: 'x' });
    expect(await a.add(1)).toBe(102);
    expect(await a.epoch()).toBe(epoch);
    expect(actions(kit)).toEqual(['resume']);
  });

  it('has no limit', async () => {
    await using kit = start();
    const a = kit.ref(ResumeT, 'a');
    for (let n = 0; n < 50; n++) await outcome(a.fail('x'));
    expect(await a.add(0)).toBe(5_000);
  });

  it('keeps its timers, and stops if the failed turn has said so', async () => {
    await using kit = start();
    const a = kit.ref(ResumeT, 'a');
    await a.tickSoon(10);
    await outcome(a.fail('x'));
    await kit.clock.advance(10);
    expect(lived('a')).toEqual(['up 0', 'tick']);
    await outcome(a.endAndFail());
    await kit.settle();
    expect(kit.isAwake('resume/a')).toBe(false);
  });
});

describe("onError: 'restart'", () => {
  it('begins anew with initial() when nothing is stored, under a higher epoch', async () => {
    await using kit = start();
    const a = kit.ref(RestartT, 'a');
    await a.add(5);
    const epoch = await a.epoch();
    await outcome(a.fail('x'));
    const next = a.add(1);
    await kit.clock.advance(100);
    expect(await next).toBe(1);
    expect(await a.epoch()).toBeGreaterThan(epoch);
    expect(lived('a')).toEqual(['up 0', 'up 0']);
  });

  it('begins anew with what was stored last', async () => {
    await using kit = start();
    const a = kit.ref(KeptT, 'a');
    const epoch = await a.save1();
    await a.add(10);
    await outcome(a.fail('x'));
    const next = a.add(1);
    await kit.clock.advance(100);
    expect(await next).toBe(2);
    expect(await a.epoch()).toBeGreaterThan(epoch);
    expect(lived('a')).toEqual(['up 0', 'up 1']);
  });

  it('keeps the mailbox and the asks in it, in order; their deadlines go on', async () => {
    await using kit = start();
    const a = kit.ref(RestartT, 'a');
    await a.add(1);
    const failed = outcome(a.fail('x'));
    const rest = [1, 2, 3].map(n => a.add(n));
    await failed;
    await kit.clock.advance(100);
    expect(await Promise.all(rest)).toEqual([1, 3, 6]);
  });

  it('waits longer each time, from half to the whole of a doubling step, up to the cap', async () => {
    await using kit = start();
    const a = kit.ref(RestartT, 'a');
    const waits: number[] = [];
    for (let n = 0; n < 3; n++) {
      await outcome(a.fail('x'));
      const began = kit.clock.mono();
      const back = a.add(0).then(() => waits.push(kit.clock.mono() - began));
      for (let ms = 0; ms < 400; ms += 4) await kit.clock.advance(4);
      await back;
    }
    for (const [n, step] of [100, 200, 400].entries()) {
      expect(waits[n]).toBeGreaterThanOrEqual(step / 2);
      expect(waits[n]).toBeLessThanOrEqual(step + 4);
    }
  });

  it('spreads the restarts by the seed: the same seed waits the same, another does not', async () => {
    const waitOf = async (seed: number): Promise<number> => {
      const kit = start(seed);
      await outcome(kit.ref(RestartT, 'a').fail('x'));
      const back = kit.ref(RestartT, 'a').add(0);
      let ms = 0;
      for (; lived('a').length < 2 && ms < 200; ms += 5) await kit.clock.advance(5);
      await back;
      await kit.close();
      lives.clear();
      return ms;
    };
    expect(await waitOf(1)).toBe(await waitOf(1));
    const waits = new Set<number>();
    for (const seed of [1, 2, 3, 4, 5]) waits.add(await waitOf(seed));
    expect(waits.size).toBeGreaterThan(1);
  });

  it('stops when it has happened too often within the window; what waits fails, and the next message begins anew', async () => {
    await using kit = start();
    const a = kit.ref(RestartT, 'a');
    for (let n = 0; n < 3; n++) {
      await outcome(a.fail('x'));
      await kit.clock.advance(400);
    }
    const last = outcome(a.fail('x'));
    const behind = outcome(a.add(1));
    await last;
    expect(await behind).toMatchObject({ code: 'STOPPED', outcome: 'failed' });
    expect(actions(kit)).toEqual(['restart', 'restart', 'restart', 'stop']);
    expect(kit.isAwake('restart/a')).toBe(false);
    expect(await a.add(1)).toBe(1);
  });

  it('forgives after the window', async () => {
    await using kit = start();
    const a = kit.ref(RestartT, 'a');
    for (let n = 0; n < 9; n++) {
      await outcome(a.fail('x'));
      await kit.clock.advance(5_000);
    }
    expect(new Set(actions(kit))).toEqual(new Set(['restart']));
  });

  it('takes timers, children and the signal of the old life with it', async () => {
    await using kit = start();
    const a = kit.ref(RestartT, 'a');
    await a.tickSoon(1_000);
    expect(await a.aborted()).toBe(false);
    await outcome(a.fail('x'));
    await kit.clock.advance(2_000);
    expect(lived('a')).toEqual(['up 0', 'up 0']);
    expect(await a.aborted()).toBe(false);
  });

  it('lets a turn that overlapped the failed one answer its asker, and nothing more', async () => {
    await using kit = start();
    const gate = kit.probe(GateT, 'gate');
    const a = kit.ref(RestartT, 'a');
    const failing = outcome(a.failLater('f'));
    const beside = a.wait('w');
    await gate.expect('pass', ['f']).reply();
    expect(await failing).toMatchObject({ code: 'REMOTE' });
    await kit.clock.advance(100);
    expect(await a.add(1)).toBe(1);
    await gate.expect('pass', ['w']).reply();
    expect(await beside).toBe('w');
    expect(await a.add(1)).toBe(2);
  });

  it('does not restart what was told to stop', async () => {
    await using kit = start();
    await outcome(kit.ref(RestartT, 'a').endAndFail());
    await kit.clock.advance(1_000);
    expect(kit.isAwake('restart/a')).toBe(false);
    expect(lived('a')).toEqual(['up 0']);
  });

  it('fails the messages that wait when the new life cannot begin', async () => {
    await using kit = start();
    const a = kit.ref(RestartT, 'a');
    await a.add(1);
    Patient.sick.set('a', 1);
    await outcome(a.fail('x'));
    const waiting = outcome(a.add(1));
    await kit.clock.advance(100);
    expect(await waiting).toMatchObject({ code: 'REMOTE', message: 'sick' });
    expect(await a.add(1)).toBe(1);
  });
});

describe("onError: 'stop'", () => {
  it('ends the activation; what waits fails with STOPPED, tells become dead letters, the next message begins anew', async () => {
    await using kit = start();
    const a = kit.ref(StopT, 'a');
    await a.add(5);
    const failing = outcome(a.fail('x'));
    const asked = outcome(a.add(1));
    tell(a).add(7);
    expect(await failing).toMatchObject({ code: 'REMOTE' });
    expect(await asked).toMatchObject({ code: 'STOPPED', retryable: false, details: { why: 'failed' } });
    expect(kit.events.filter(event => event.name === 'dead-letter')).toMatchObject([
      { payload: { to: 'stop/a', method: 'add', args: [7] } },
    ]);
    expect(await a.add(1)).toBe(1);
    // It did not end in good order, so nobody asked it to clean up.
    expect(lived('a')).toEqual(['up 0', 'up 0']);
  });
});

describe('stop()', () => {
  it('ends the activation after the turn, in good order', async () => {
    await using kit = start();
    const a = kit.ref(DefaultT, 'a');
    expect(await a.end()).toBe('ending');
    await kit.settle();
    expect(lived('a')).toEqual(['up 0', 'down stopped']);
    expect(kit.isAwake('default/a')).toBe(false);
  });

  it('refuses what waits behind it, and the next message begins anew', async () => {
    await using kit = start();
    const a = kit.ref(DefaultT, 'a');
    const ending = a.end();
    const behind = outcome(a.add(1));
    await ending;
    expect(await behind).toMatchObject({ code: 'STOPPED', details: { why: 'stopped' } });
    expect(await a.add(1)).toBe(1);
  });

  it('is not hindered by an onDeactivate that throws', async () => {
    await using kit = start();
    expect(await kit.ref(DefaultT, 'bad-end').end()).toBe('ending');
    await kit.settle();
    expect(kit.isAwake('default/bad-end')).toBe(false);
    expect(await kit.ref(DefaultT, 'bad-end').add(1)).toBe(1);
  });
});

describe('an actor that cannot start', () => {
  it.each(['a', 'a-async'])(
    'fails the messages that woke it with the reason, and tries again with the next (%s)',
    async key => {
      await using kit = start();
      // What fails at once fails for each message anew; what fails later fails all that wait.
      const starts = key === 'a' ? 3 : 2;
      Patient.sick.set(key, starts);
      const a = kit.ref(DefaultT, key);
      const first = [outcome(a.add(1)), outcome(a.add(1))];
      for (const each of first)
        expect(await each).toMatchObject({
          code: 'REMOTE',
          message: expect.stringMatching(/^sick/),
          outcome: 'failed',
        });
      expect(await outcome(a.add(1))).toMatchObject({ code: 'REMOTE' });
      expect(await a.add(1)).toBe(1);
      expect(actions(kit)).toEqual(new Array(starts).fill('stop'));
    },
  );

  it('makes dead letters of the tells that woke it', async () => {
    await using kit = start();
    Patient.sick.set('a', 1);
    tell(kit.ref(DefaultT, 'a')).add(1);
    await kit.settle();
    expect(kit.events.map(event => event.name).sort()).toEqual(['actor-failed', 'dead-letter']);
  });
});

describe('a poison message', () => {
  it('costs one turn however often it comes, and never the thread', async () => {
    await using kit = start();
    const a = kit.ref(DefaultT, 'a');
    for (let n = 0; n < 1_000; n++) tell(a).fail('poison');
    expect(await a.add(1)).toBe(100_001);
    expect(await kit.ref(DefaultT, 'b').add(1)).toBe(1);
  });
});
