// The claims of the other files, once more on the roads that production takes when nobody looks on: an ask that runs at once
// inside its caller, a tell straight into the mailbox, and the message loop without anything around it.

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { call, tell } from '../../../src/runtime/refs.ts';
import { BoxesTypes, RejectT, WaitT } from './boxes.ts';
import { Gate, GateT } from './gate.ts';
import { LedgerT, ledgers, RestartingT, SinkT, VolatileT } from './ledger.ts';
import { outcome } from './outcome.ts';
import { lives, Patient, patients, RestartT, ResumeT, StopT } from './patient.ts';
import { plainHost } from './plain-host.ts';
import { Recorder, RecorderT, SimpleT } from './recorder.ts';
import { OpenSimpleT, OpenT, type Relay, RelayT } from './relay.ts';
import { DerivedT, ShapesT } from './shapes.ts';
import { ClockedT, SorterT } from './sorter.ts';
import { ThrowerT, thrown } from './thrower.ts';

beforeEach(() => {
  lives.clear();
  Patient.sick.clear();
});
afterEach(() => {
  Gate.away();
  Recorder.seen = undefined;
});

describe('an ask of an idle actor', () => {
  it('runs at once, and is answered like any other', async () => {
    const { ref, host } = plainHost([ShapesT]);
    const a = ref(ShapesT, 'a');
    expect(await a.none()).toBe(0);
    const asked = a.note('seen');
    // Its turn is over before the caller gets its promise.
    expect(host.byName.get('shapes')?.live.get('a')?.actor?.state).toEqual({ calls: [['seen']] });
    await asked;
    expect(await a.five(1, 2, 3, 4, 5)).toEqual([1, 2, 3, 4, 5]);
    expect(await a.promised('x')).toBe('x');
    expect(await a.thenish()).toHaveProperty('then', 'a word');
  });

  it('fails like any other, whatever was thrown, and the next runs', async () => {
    const { ref, events } = plainHost([ThrowerT]);
    const a = ref(ThrowerT, 'a');
    await a.turns();
    for (const what of Object.keys(thrown)) {
      expect((await outcome(a.throws(what))).code).toBeDefined();
      expect((await outcome(a.rejects(what))).code).toBeDefined();
    }
    expect(await a.turns()).toBe(2 * Object.keys(thrown).length);
    expect(events).toHaveLength(2 * Object.keys(thrown).length);
    expect(await outcome(a.thenable('throws'))).toMatchObject({ message: 'from then' });
    expect(await a.thenable('twice')).toBe('first');
  });

  it('does not overtake what came before it', async () => {
    const { ref, state } = plainHost([SimpleT, GateT]);
    const a = ref(SimpleT, 'a');
    await a.mark('0');
    for (const name of ['1', '2', '3']) tell(a).mark(name);
    await a.mark('4');
    expect(state(SimpleT, 'a').log).toEqual(['0', '1', '2', '3', '4']);
  });

  it('made inside of a turn does not run inside of it', async () => {
    const { ref, state } = plainHost([RelayT, GateT]);
    await ref(RelayT, 'b').mark('awake');
    expect(await ref(RelayT, 'a').go(['go b'])).toEqual(['a', 'b']);
    expect(await ref(RelayT, 'a').fire('b')).toBe('fired');
    await ref(RelayT, 'b').go([]);
    expect(state(RelayT, 'b').log).toEqual(['awake', 'from a']);
  });

  it('of a method of whoever was stopped, finds a new activation', async () => {
    const { ref, settle } = plainHost(patients);
    const a = ref(ResumeT, 'a');
    expect(await a.add(1)).toBe(1);
    expect(await a.end()).toBe('ending');
    await settle();
    expect(await a.add(1)).toBe(1);
    expect(await a.end()).toBe('ending');
    const behind = await outcome(a.add(1));
    expect(behind.value ?? behind.code).toBe(1);
  });

  it('keeps the five seconds of every ask', async () => {
    Gate.shut();
    const { ref, advance } = plainHost([SimpleT, GateT]);
    const a = ref(SimpleT, 'a');
    await a.mark('warm');
    const asked = outcome(a.laps('x', 0));
    expect(await asked).toMatchObject({ value: 0 });
    const held = outcome(a.step('x'));
    const behind = outcome(a.mark('y'));
    await advance(5_000);
    expect(await held).toMatchObject({ code: 'UNKNOWN_OUTCOME' });
    expect(await behind).toMatchObject({ code: 'DEADLINE' });
  });
});

describe('turns', () => {
  it.each([RecorderT, SimpleT])('are exclusive, awaits included ($type)', async type => {
    Gate.shut();
    const { ref, state, settle } = plainHost([RecorderT, SimpleT, GateT]);
    const a = ref(type, 'a');
    await a.mark('warm');
    const all = [a.step('x'), a.step('y'), a.mark('z')];
    await settle();
    expect(state(type, 'a').log).toEqual(['warm', 'x(']);
    Gate.open('x');
    await settle();
    expect(state(type, 'a').log).toEqual(['warm', 'x(', ')x', 'y(']);
    Gate.open('y');
    expect(await Promise.all(all)).toEqual(['x', 'y', 'z']);
  });

  it('read and interleave overlap as they say', async () => {
    Gate.shut();
    const { ref, state, settle } = plainHost([RecorderT, GateT]);
    const a = ref(RecorderT, 'a');
    await a.mark('warm');
    const all = [a.look('r'), a.look('s'), a.peek('i'), a.mark('x'), a.look('t')];
    await settle();
    expect(state(RecorderT, 'a').log).toEqual(['warm', 'r(', 's(', 'i(']);
    for (const name of ['r', 's', 'i']) Gate.open(name);
    await settle();
    Gate.open('t');
    await Promise.all(all);
    expect(state(RecorderT, 'a').log.slice(-3)).toEqual(['x', 't(', ')t']);
  });

  it('are shared out fairly', async () => {
    const { ref, settle } = plainHost([SimpleT, GateT]);
    const order: string[] = [];
    Recorder.seen = key => order.push(key);
    const busy = ref(SimpleT, 'busy');
    for (let n = 0; n < 1_000; n++) tell(busy).mark(String(n));
    tell(ref(SimpleT, 'quick')).mark('me too');
    await settle();
    expect(order).toHaveLength(1_001);
    expect(order.indexOf('quick')).toBeLessThanOrEqual(256);
  });
});

describe('a cycle', () => {
  it.each<[string, string[]]>([
    ['relay/a', ['go a']],
    ['relay/b', ['go b', 'go a']],
    ['relay/c', ['go b', 'go c', 'go a']],
    ['relay/b', ['gate x', 'go b', 'gate y', 'go a']],
    ['relay/a', ['read a']],
  ])('is a DEADLOCK, found by %s on %j', async (finder, path) => {
    const { ref } = plainHost([RelayT, GateT]);
    for (const key of ['a', 'b', 'c']) await ref(RelayT, key).mark('warm');
    const error = await outcome(ref(RelayT, 'a').go(path as never));
    expect(error).toMatchObject({ code: 'DEADLOCK' });
    const { chain } = (error as unknown as { details: { chain: string[] } }).details;
    expect(chain[0]).toBe(finder);
  });

  it('is none where methods may overlap, or a tell closes it', async () => {
    const { ref, settle, events } = plainHost([RelayT, GateT]);
    expect(await ref(RelayT, 'a').go(['go b', 'mingle a'])).toEqual(['a', 'b', 'a']);
    expect(await ref(RelayT, 'a').go(['mingle a'])).toEqual(['a', 'a']);
    expect(await ref(RelayT, 'a').go(['go b', 'tell a'])).toEqual(['a', 'b']);
    expect(await ref(RelayT, 'a').go(['tell b', 'go a'])).toEqual(['a']);
    await settle();
    expect(events).toEqual([]);
  });

  const both = [OpenT, OpenSimpleT] as (typeof OpenT)[];
  it.each(both)('may come back where its type is open to it, and holds everybody else out ($type)', async type => {
    Gate.shut();
    const { ref, state, settle } = plainHost([...both, GateT]);
    const a = ref(type, 'a') as unknown as { [name in keyof Relay]: (...args: any[]) => Promise<any> };
    await a.mark('warm');
    const chain = a.thrice();
    const outsider = a.mark('outsider');
    await settle();
    expect(state(type, 'a').log).toEqual(['warm', 'in', 'x(', 'y(', 'z(']);
    Gate.open('x');
    Gate.open('y');
    await settle();
    expect(state(type, 'a').log.slice(-2)).toEqual([')x', ')y']);
    Gate.open('z');
    await Promise.all([chain, outsider]);
    expect(state(type, 'a').log.slice(-2)).toEqual(['out', 'outsider']);
  });

  it.each(both)('that nobody awaits holds the actor all the same ($type)', async type => {
    Gate.shut();
    const { ref, state, settle } = plainHost([...both, GateT]);
    const a = ref(type, 'a');
    await a.mark('warm');
    for (let n = 0; n < 3; n++) tell(a).mark(`before ${n}`);
    const left = a.leave();
    const next = a.mark('next');
    await settle();
    expect(await left).toBe('left');
    expect(state(type, 'a').log.at(-1)).toBe('left(');
    Gate.open('left');
    await next;
    expect(state(type, 'a').log.slice(-2)).toEqual([')left', 'next']);
  });
});

describe('a slice', () => {
  it('ends where messages are put back in front', async () => {
    const { ref, settle, state } = plainHost([SorterT, GateT]);
    const a = ref(SorterT, 'a');
    for (const name of ['1', '2', '3']) tell(a).put(name);
    tell(a).open();
    for (const name of ['4', '5']) tell(a).put(name);
    await settle();
    expect(state(SorterT, 'a').log).toEqual(['1', '2', '3', '4', '5']);
  });

  it('lets an ask that runs at once be stashed, and answered later', async () => {
    const { ref, settle } = plainHost([SorterT, GateT]);
    const a = ref(SorterT, 'a');
    await a.log();
    const asked = a.put('x');
    await settle();
    expect(await Promise.race([asked, Promise.resolve('open')])).toBe('open');
    await a.open();
    expect(await asked).toBe('x');
    expect(await a.log()).toEqual(['x']);
  });

  it('ends where the actor stops: what is behind is refused', async () => {
    const { ref, settle, events } = plainHost(patients);
    const a = ref(ResumeT, 'a');
    await a.add(1);
    tell(a).add(1);
    tell(a).end();
    tell(a).add(10);
    const asked = outcome(a.add(100));
    await settle();
    expect(await asked).toMatchObject({ code: 'STOPPED' });
    expect(events).toMatchObject([{ name: 'dead-letter', payload: { method: 'add', args: [10] } }]);
    expect(await a.add(1)).toBe(1);
  });

  it.each([
    [ResumeT, [102, 103]],
    [StopT, ['STOPPED', 'STOPPED']],
  ])('goes on after a failure, or does not: %o', async (type, expected) => {
    const { ref } = plainHost(patients);
    const a = ref(type, 'a');
    await a.add(1);
    tell(a).fail('x');
    const rest = [outcome(a.add(1)), outcome(a.add(1))];
    expect((await Promise.all(rest)).map(each => each.value ?? each.code)).toEqual(expected);
  });

  it('goes on after a restart, in the new life', async () => {
    const { ref, advance } = plainHost(patients);
    const a = ref(RestartT, 'a');
    await a.add(1);
    tell(a).fail('x');
    const rest = [a.add(1), a.add(1)];
    await advance(100);
    expect(await Promise.all(rest)).toEqual([1, 2]);
  });
});

describe('a full mailbox', () => {
  it('rejects, or lets its senders wait in their order', async () => {
    Gate.shut();
    const { ref, settle, state } = plainHost(BoxesTypes);
    const [rejects, waits] = [ref(RejectT, 'r'), ref(WaitT, 'w')];
    const holding = [outcome(rejects.hold()), outcome(waits.hold())];
    await settle();
    for (const name of ['1', '2', '3']) {
      expect(tell(rejects).put(name)).toBeUndefined();
      expect(tell(waits).put(name)).toBeUndefined();
    }
    expect(() => tell(rejects).put('4')).toThrowError(expect.objectContaining({ code: 'OVERLOADED' }));
    const late = ['4', '5', '6', '7', '8'].map(name => tell(waits).put(name));
    expect(late.every(each => each instanceof Promise)).toBe(true);
    Gate.open('hold');
    await settle();
    // The second gate is a new one: both held by the same name.
    Gate.open('hold');
    await Promise.all(late);
    await settle();
    expect(state(WaitT, 'w').log).toEqual(['1', '2', '3', '4', '5', '6', '7', '8']);
    void holding;
  });
});

describe('timers', () => {
  it('wait for open turns, and one may be waited for', async () => {
    const { ref, advance } = plainHost([ClockedT, GateT]);
    const a = ref(ClockedT, 'a');
    const sleeping = a.sleep(100);
    await advance(100);
    expect(await sleeping).toBe('slept');
  });
});

describe('persisted actors', () => {
  it('hold back what they say, and nobody else does', async () => {
    const { ref, disk, settle, state } = plainHost(ledgers);
    disk.hold();
    const asked = ref(LedgerT, 'a').addAndTell(1);
    expect(await ref(VolatileT, 'v').addAndTell(7)).toBe(7);
    await settle();
    expect(state(SinkT, 's').heard).toEqual([7]);
    disk.release();
    expect(await asked).toBe(1);
    await settle();
    expect(state(SinkT, 's').heard).toEqual([7, 1]);
  });

  it('hold it back after an await too, while others speak freely in between', async () => {
    Gate.shut();
    const { ref, disk, settle, state } = plainHost(ledgers);
    await ref(SinkT, 's').heard();
    const asked = ref(LedgerT, 'a').around(1);
    await settle();
    expect(state(SinkT, 's').heard).toEqual(['before 1']);
    disk.hold();
    Gate.open('around');
    await ref(VolatileT, 'v').addAndTell(7);
    await settle();
    expect(state(SinkT, 's').heard).toEqual(['before 1', 7]);
    disk.release();
    expect(await asked).toBe(2);
    await settle();
    expect(state(SinkT, 's').heard).toEqual(['before 1', 7, 'after 2']);
  });

  it('undo what could not be stored', async () => {
    const { ref, disk } = plainHost(ledgers);
    const a = ref(LedgerT, 'a');
    await a.add(1);
    disk.diskFull = true;
    expect(await outcome(a.addAndTell(5))).toMatchObject({ code: 'DISK_FULL' });
    disk.diskFull = false;
    expect(await a.get()).toBe(1);
    expect(await outcome(ref(RestartingT, 'r').addAndFail(5))).toMatchObject({ code: 'REMOTE' });
    expect(await ref(RestartingT, 'r').get()).toBe(0);
  });
});

describe('names', () => {
  it('that every object has stay what they are', async () => {
    const { ref } = plainHost([DerivedT]);
    expect(String(ref(DerivedT, 'a'))).toBe('derived/a');
    expect(await ref(DerivedT, 'a').overridden()).toBe('derived over base');
  });

  it('and counts of arguments have their limit', async () => {
    const { ref } = plainHost([ShapesT]);
    const args = new Array<number>(65).fill(1);
    expect(await outcome(ref(ShapesT, 'a').note(...args))).toMatchObject({ code: 'TOO_LARGE' });
    expect(await outcome(call(ref(ShapesT, 'a'), {}).note(...args))).toMatchObject({ code: 'TOO_LARGE' });
  });
});
