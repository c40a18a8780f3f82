// The output gate: no reply and no message leaves an actor before the write it rests on is durable, and what left is what it
// was. DESIGN.md section 2, "Persistence".

import { describe, expect, it } from 'vitest';
import { call } from '../../../src/runtime/refs.ts';
import { createTestKit, type TestKit } from '../../../src/testing.ts';
import { GateT } from './gate.ts';
import { AnnouncerT, ExplicitT, JournalT, LedgerT, ledgers, SinkT, VolatileT } from './ledger.ts';
import { outcome } from './outcome.ts';

const start = (): TestKit => createTestKit({ actors: ledgers });
/** Has it settled, now that nothing more can happen? */
async function isOpen(kit: TestKit, promise: Promise<unknown>): Promise<boolean> {
  await kit.settle();
  let settled = false;
  void promise.then(
    () => {
      settled = true;
    },
    () => {
      settled = true;
    },
  );
  await kit.settle();
  return !settled;
}

describe('while the write is under way, nothing leaves:', () => {
  it('no reply', async () => {
    await using kit = start();
    kit.disk.hold();
    const asked = kit.ref(LedgerT, 'a').add(1);
    expect(await isOpen(kit, asked)).toBe(true);
    kit.disk.release();
    expect(await asked).toBe(1);
  });

  it('no reply of a reader, who changes nothing but has seen what is not durable', async () => {
    await using kit = start();
    const a = kit.ref(LedgerT, 'a');
    await a.add(1);
    expect(await a.get()).toBe(1);
    kit.disk.hold();
    const writing = a.add(1);
    const reading = a.get();
    expect(await isOpen(kit, reading)).toBe(true);
    kit.disk.release();
    expect(await Promise.all([writing, reading])).toEqual([2, 2]);
  });

  it('no tell, and no publication', async () => {
    await using kit = start();
    const sink = kit.probe(SinkT, 's');
    kit.disk.hold();
    const asked = kit.ref(LedgerT, 'a').addAndTell(1);
    await kit.settle();
    expect(sink.received).toEqual([]);
    kit.disk.release();
    await asked;
    expect(await sink.expect('hear')).toEqual({ method: 'hear', args: [1] });
  });

  it('no tell of the part before an await, which need not wait for the part behind it', async () => {
    await using kit = start();
    const sink = kit.probe(SinkT, 's');
    const gate = kit.probe(GateT, 'gate');
    kit.disk.hold();
    const asked = kit.ref(LedgerT, 'a').around(1);
    await kit.settle();
    expect(sink.received).toEqual([]);
    expect(gate.received).toEqual([]);
    kit.disk.release();
    await kit.settle();
    expect(sink.received.map(({ args }) => args)).toEqual([['before 1']]);
    kit.disk.hold();
    await gate.expect('pass').reply();
    await kit.settle();
    expect(sink.received).toHaveLength(1);
    kit.disk.release();
    expect(await asked).toBe(2);
    expect(sink.received.map(({ args }) => args)).toEqual([['before 1'], ['after 2']]);
  });

  it('no ask', async () => {
    await using kit = start();
    const sink = kit.probe(SinkT, 's');
    kit.disk.hold();
    const asked = kit.ref(LedgerT, 'a').addAndAsk(1);
    await kit.settle();
    expect(sink.received).toEqual([]);
    kit.disk.release();
    await sink.expect('hear', [1]).reply('heard');
    expect(await asked).toBe('heard');
  });

  it('no tell of onActivate()', async () => {
    await using kit = start();
    const sink = kit.probe(SinkT, 's');
    kit.disk.hold();
    const asked = kit.ref(AnnouncerT, 'a').get();
    await kit.settle();
    expect(sink.received).toEqual([]);
    kit.disk.release();
    expect(await asked).toBe(1);
    expect(sink.received.map(({ args }) => args)).toEqual([['up 1']]);
  });

  it('nothing of a journal', async () => {
    await using kit = start();
    const sink = kit.probe(SinkT, 's');
    kit.disk.hold();
    const asked = kit.ref(JournalT, 'a').addAndTell(1);
    expect(await isOpen(kit, asked)).toBe(true);
    expect(sink.received).toEqual([]);
    kit.disk.release();
    expect(await asked).toBe(1);
  });

  it('no second answer to an operation with an opId', async () => {
    await using kit = start();
    const a = kit.ref(LedgerT, 'a');
    await a.add(0);
    kit.disk.hold();
    const first = call(a, { opId: 'op' }).add(1);
    await kit.settle();
    const retry = call(a, { opId: 'op' }).add(1);
    expect(await isOpen(kit, retry)).toBe(true);
    kit.disk.release();
    expect(await Promise.all([first, retry])).toEqual([1, 1]);
    expect(await a.get()).toBe(1);
  });

  it('and turns go on: the gate holds words, not work', async () => {
    await using kit = start();
    kit.disk.hold();
    const a = kit.ref(LedgerT, 'a');
    const all = [1, 2, 3].map(n => a.add(n));
    await kit.settle();
    expect(kit.state('ledger/a')).toMatchObject({ n: 6 });
    kit.disk.release();
    expect(await Promise.all(all)).toEqual([1, 3, 6]);
  });
});

describe('what leaves', () => {
  it('leaves in the order in which it was said: publications, tells and replies', async () => {
    await using kit = start();
    const sink = kit.ref(SinkT, 's');
    await sink.listen('ledger');
    const a = kit.ref(LedgerT, 'a');
    kit.disk.hold();
    const first = a.addAndPublish(1);
    await kit.settle();
    const second = a.addAndPublish(1);
    await kit.settle();
    kit.disk.release();
    await Promise.all([first, second]);
    expect(await sink.heard()).toEqual([1, 'tell 1', 2, 'tell 2']);
  });

  it('is what it was when it was said, whatever became of it since', async () => {
    await using kit = start();
    const sink = kit.probe(SinkT, 's');
    kit.disk.hold();
    const a = kit.ref(LedgerT, 'a');
    const lists = [a.push(1), a.push(2)];
    const told = a.tellAndChange();
    await kit.settle();
    kit.disk.release();
    expect(await Promise.all(lists)).toEqual([[1], [1, 2]]);
    await told;
    expect((await sink.expect('hear')).args).toEqual([{ n: 1 }]);
  });

  it('does not wait when nothing has changed', async () => {
    await using kit = start();
    const a = kit.ref(LedgerT, 'a');
    await a.add(1);
    kit.disk.hold();
    expect(await a.add(0)).toBe(1);
    expect(await a.get()).toBe(1);
    kit.disk.release();
  });

  it('never waits for an actor that stores nothing', async () => {
    await using kit = start();
    kit.disk.hold();
    expect(await kit.ref(VolatileT, 'a').add(1)).toBe(1);
  });

  it('slows its sender down when the receiver is full, though it passes a gate', async () => {
    await using kit = start();
    const gate = kit.probe(GateT, 'gate');
    gate.allow('pass', () => undefined);
    expect(await kit.ref(LedgerT, 'a').fill(5)).toEqual(['sent 0', 'sent 1', 'sent 2', 'sent 3', 'sent 4']);
  });

  it('shares its commit with what all others of its thread have written in the same moment', async () => {
    await using kit = start();
    const all = Array.from({ length: 200 }, (_, n) => kit.ref(LedgerT, String(n)));
    await Promise.all(all.map(each => each.add(1)));
    const { transactions, groups } = kit.disk.stats();
    expect(groups).toBe(200);
    expect(transactions).toBeLessThanOrEqual(3);
  });

  it('of one actor does not wait for the writes of another on the same disk', async () => {
    await using kit = start();
    await kit.ref(LedgerT, 'b').add(1);
    kit.disk.hold();
    const held = kit.ref(LedgerT, 'a').add(1);
    expect(await kit.ref(LedgerT, 'b').get()).toBe(1);
    kit.disk.release();
    await held;
  });
});

describe('a turn that fails', () => {
  it('and goes on with its state, stores it first: its tells and its error leave behind the write', async () => {
    await using kit = start();
    const sink = kit.probe(SinkT, 's');
    kit.disk.hold();
    const failing = outcome(kit.ref(LedgerT, 'a').addAndFail(5));
    expect(await isOpen(kit, failing)).toBe(true);
    expect(sink.received).toEqual([]);
    kit.disk.release();
    expect(await failing).toMatchObject({ code: 'REMOTE', message: 'failed' });
    expect(sink.received.map(({ args }) => args)).toEqual([['failed at 5']]);
    await kit.crash('ledger/a');
    expect(await kit.ref(LedgerT, 'a').get()).toBe(5);
  });

  it('and begins anew, has said nothing: what it told since its last await is a dead letter', async () => {
    await using kit = start();
    const sink = kit.probe(SinkT, 's');
    const { RestartingT } = await import('./ledger.ts');
    const a = kit.ref(RestartingT, 'a');
    await a.add(1);
    expect(await outcome(a.addAndFail(5))).toMatchObject({ code: 'REMOTE', message: 'failed' });
    expect(await a.get()).toBe(1);
    expect(sink.received).toEqual([]);
    expect(kit.events.filter(event => event.name === 'dead-letter')).toMatchObject([
      { payload: { to: 'sink/s', method: 'hear', args: ['failed at 6'] } },
    ]);
  });
});

describe("saves: 'explicit'", () => {
  it('stores when save() says so and not before; its words wait for nothing else', async () => {
    await using kit = start();
    const a = kit.ref(ExplicitT, 'a');
    kit.disk.hold();
    expect(await a.add(1)).toBe(1);
    const saving = a.saveNow();
    expect(await isOpen(kit, saving)).toBe(true);
    const behind = a.get();
    expect(await isOpen(kit, behind)).toBe(true);
    kit.disk.release();
    expect(await saving).toBe('saved');
    expect(await behind).toBe(1);
    await a.add(10);
    await kit.crash('explicit/a');
    expect(await a.get()).toBe(1);
  });
});
