// A mailbox is bounded by count and by bytes; when it is full its type says who is told: the sender at once, or later.
// DESIGN.md section 2, "Mailbox".

import { describe, expect, it } from 'vitest';
import type { TroupeError } from '../../../src/errors.ts';
import { waitersPerMailboxMax } from '../../../src/limits.ts';
import { call, tell } from '../../../src/runtime/refs.ts';
import { createTestKit, type TestKit } from '../../../src/testing.ts';
import { type Box, RejectBytesT, RejectT, TinyT, WaitBytesT, WaitT } from './boxes.ts';
import { GateT } from './gate.ts';
import { outcome } from './outcome.ts';

/** A kit, a gate, and an actor of the type whose turn is open. */
async function held(type: typeof RejectT) {
  const kit = createTestKit({ actors: [RejectT, WaitT, RejectBytesT, WaitBytesT, TinyT] });
  const gate = kit.probe(GateT, 'gate');
  const ref = kit.ref(type, 'a');
  const holding = outcome(ref.hold());
  await kit.settle();
  const open = async () => {
    await gate.expect('pass').reply();
    await holding;
    await kit.settle();
  };
  const log = () => (kit.state(`${type.type}/a`) as Box['state']).log;
  return { kit, ref, open, log, close: () => kit.close() };
}
const codeOf = (fn: () => unknown): string => {
  try {
    fn();
    return 'accepted';
  } catch (error) {
    return (error as TroupeError).code;
  }
};
const letter = (bytes: number): string => 'x'.repeat(bytes / 2);

describe("overflow: 'reject'", () => {
  it('throws OVERLOADED from the tell that is one too many, and fails the ask', async () => {
    const { kit, ref, open, log } = await held(RejectT);
    for (const name of ['1', '2', '3']) expect(tell(ref).put(name)).toBeUndefined();
    expect(() => tell(ref).put('4')).toThrowError(
      expect.objectContaining({
        code: 'OVERLOADED',
        retryable: true,
        details: { messages: 3, capacity: 3, waiters: 0 },
      }),
    );
    await expect(ref.put('5')).rejects.toMatchObject({ code: 'OVERLOADED', outcome: 'failed' });
    await open();
    expect(log()).toEqual(['1', '2', '3']);
    expect(await ref.put('6')).toBe('6');
    await kit.close();
  });

  it('counts bytes: many small ones fit, few large ones do not', async () => {
    const { kit, ref, open, log } = await held(RejectBytesT);
    expect(codeOf(() => tell(ref).put(letter(320)))).toBe('accepted');
    expect(codeOf(() => tell(ref).put(letter(320)))).toBe('OVERLOADED');
    expect(codeOf(() => tell(ref).put('small'))).toBe('accepted');
    await open();
    expect(log()).toEqual(['xxxxxxxx', 'small']);
    await kit.close();
  });

  it('does not count asks that nobody waits for any more', async () => {
    const { kit, ref, open, log } = await held(RejectT);
    const given = [1, 2, 3].map(n => outcome(call(ref, { deadlineMs: 10 }).put(`late ${n}`)));
    expect(codeOf(() => tell(ref).put('no'))).toBe('OVERLOADED');
    await kit.clock.advance(10);
    for (const each of given) expect(await each).toMatchObject({ code: 'DEADLINE' });
    for (const name of ['1', '2', '3']) expect(codeOf(() => tell(ref).put(name))).toBe('accepted');
    expect(codeOf(() => tell(ref).put('4'))).toBe('OVERLOADED');
    await open();
    expect(log()).toEqual(['1', '2', '3']);
    await kit.close();
  });
});

describe('control', () => {
  it('has a lane of its own: a timer comes to an actor whose mailbox is full, and goes before it', async () => {
    const kit = createTestKit({ actors: [RejectT, GateT] });
    const gate = kit.probe(GateT, 'gate');
    const ref = kit.ref(RejectT, 'a');
    await ref.soon(10);
    const holding = ref.hold();
    await kit.settle();
    for (const name of ['1', '2', '3']) tell(ref).put(name);
    expect(codeOf(() => tell(ref).put('4'))).toBe('OVERLOADED');
    await kit.clock.advance(10);
    await gate.expect('pass').reply();
    await holding;
    await kit.settle();
    expect((kit.state('reject/a') as Box['state']).log).toEqual(['timer', '1', '2', '3']);
    await kit.close();
  });
});

describe("overflow: 'wait'", () => {
  it('accepts at once while there is room, and gives a promise when there is none', async () => {
    const { kit, ref, open, log } = await held(WaitT);
    for (const name of ['1', '2', '3']) expect(tell(ref).put(name)).toBeUndefined();
    const fourth = tell(ref).put('4');
    expect(fourth).toBeInstanceOf(Promise);
    let admitted = false;
    void fourth?.then(() => {
      admitted = true;
    });
    await kit.settle();
    expect(admitted).toBe(false);
    await open();
    await fourth;
    expect(log()).toEqual(['1', '2', '3', '4']);
    await kit.close();
  });

  it('lets waiters in by the order in which they came, tells and asks alike', async () => {
    const { kit, ref, open, log } = await held(WaitT);
    const names = Array.from({ length: 40 }, (_, n) => String(n));
    const sent = names.map((name, n) => (n % 3 === 0 ? ref.put(name) : tell(ref).put(name)));
    await open();
    await Promise.all(sent);
    expect(log()).toEqual(names);
    await kit.close();
  });

  it('does not let a small message overtake a large one that waits for room', async () => {
    const { kit, ref, open, log } = await held(WaitBytesT);
    expect(tell(ref).put(letter(512))).toBeUndefined();
    const large = tell(ref).put(`L${letter(320)}`);
    expect(large).toBeInstanceOf(Promise);
    const small = tell(ref).put('small');
    expect(small).toBeInstanceOf(Promise);
    const asked = ref.put('asked');
    await open();
    await Promise.all([large, small, asked]);
    expect(log()).toEqual(['xxxxxxxx', 'Lxxxxxxx', 'small', 'asked']);
    await kit.close();
  });

  it('does not let a newcomer overtake those who wait, also once there is room again', async () => {
    const { kit, ref, open, log } = await held(WaitT);
    const early = Array.from({ length: 8 }, (_, n) => tell(ref).put(`early ${n}`));
    await open();
    const late = tell(ref).put('late');
    await Promise.all([...early, late]);
    await kit.settle();
    expect(log().at(-1)).toBe('late');
    await kit.close();
  });

  it('slows down the sender: it goes on only as the receiver does', async () => {
    const { kit, open, log } = await held(WaitT);
    const filler = kit.ref(WaitT, 'b');
    const filling = filler.fill('a', 6);
    await kit.settle();
    expect(kit.state('wait/b')).toEqual({ log: ['sent 0', 'sent 1', 'sent 2'] });
    await open();
    expect(await filling).toEqual(['sent 0', 'sent 1', 'sent 2', 'sent 3', 'sent 4', 'sent 5']);
    expect(log()).toEqual(['b0', 'b1', 'b2', 'b3', 'b4', 'b5']);
    await kit.close();
  });

  it('bounds those who wait: one more is OVERLOADED', async () => {
    const { kit, ref } = await held(WaitT);
    for (let n = 0; n < 3; n++) tell(ref).put('in');
    for (let n = 0; n < waitersPerMailboxMax; n++) void tell(ref).put('waits');
    expect(codeOf(() => tell(ref).put('no'))).toBe('OVERLOADED');
    await expect(ref.put('no')).rejects.toMatchObject({ code: 'OVERLOADED' });
    await kit.close();
  });

  it('forgets an ask that waited for room until its deadline, and lets the next in', async () => {
    const { kit, ref, open, log } = await held(WaitT);
    for (const name of ['1', '2', '3']) tell(ref).put(name);
    const hasty = outcome(call(ref, { deadlineMs: 10 }).put('hasty'));
    const patient = ref.put('patient');
    await kit.clock.advance(10);
    expect(await hasty).toMatchObject({ code: 'DEADLINE' });
    await open();
    expect(await patient).toBe('patient');
    expect(log()).toEqual(['1', '2', '3', 'patient']);
    await kit.close();
  });

  it('refuses at the end of the actor what waited for room: nobody waits for ever', async () => {
    const { kit, ref } = await held(WaitT);
    for (const name of ['1', '2', '3']) tell(ref).put(name);
    const told = tell(ref).put('told');
    const asked = outcome(ref.put('asked'));
    await kit.crash('wait/a');
    await told;
    expect(await asked).toMatchObject({ code: 'UNKNOWN_OUTCOME' });
    const dead = kit.events.filter(event => event.name === 'dead-letter').map(event => event.payload.args[0]);
    expect(dead).toEqual(['1', '2', '3', 'told']);
    await kit.close();
  });
});

describe('a message larger than a whole mailbox', () => {
  it.each([RejectBytesT, WaitBytesT, TinyT])('is TOO_LARGE, at once, for both kinds', async type => {
    const { kit, ref } = await held(type);
    expect(codeOf(() => tell(ref).put(letter(2_000)))).toBe('TOO_LARGE');
    await expect(ref.put(letter(2_000))).rejects.toMatchObject({ code: 'TOO_LARGE', retryable: false });
    await kit.close();
  });

  it('is so by a single byte: what never fits must not wait for ever', async () => {
    const { kit, ref } = await held(TinyT);
    // One unit of 64 bytes is all that fits into 100 bytes.
    expect(codeOf(() => tell(ref).put(letter(48)))).toBe('accepted');
    expect(codeOf(() => tell(ref).put(letter(64)))).toBe('TOO_LARGE');
    expect(codeOf(() => tell(ref).put(letter(100)))).toBe('TOO_LARGE');
    await kit.close();
  });
});

describe('a mailbox that filled up', () => {
  it('serves as before once it is empty, many times over', async () => {
    const kit: TestKit = createTestKit({ actors: [RejectT] });
    const ref = kit.ref(RejectT, 'a');
    for (let round = 0; round < 50; round++) {
      await ref.put('warm');
      const codes = [1, 2, 3, 4].map(n => codeOf(() => tell(ref).put(`${round}.${n}`)));
      expect(codes).toEqual(['accepted', 'accepted', 'accepted', 'OVERLOADED']);
      await kit.settle();
    }
    await kit.close();
  });
});
