// What survives what: crashes of an actor, of the process, of the machine; and what a refused write leaves behind (nothing).

import { describe, expect, it } from 'vitest';
import { createTestKit, type TestKit } from '../../../src/testing.ts';
import { GateT } from './gate.ts';
import {
  ExplicitT,
  FlushedT,
  Journal,
  JournalT,
  LedgerT,
  ledgers,
  RestartingJournalT,
  RestartingT,
  SinkT,
  VolatileT,
} from './ledger.ts';
import { outcome } from './outcome.ts';

const start = (disk?: TestKit['disk']): TestKit =>
  createTestKit({ actors: ledgers, ...(disk === undefined ? {} : { disk }) });

describe('a crash', () => {
  it('right after an acknowledged turn keeps it', async () => {
    await using kit = start();
    const a = kit.ref(LedgerT, 'a');
    for (let n = 1; n <= 5; n++) {
      expect(await a.add(1)).toBe(n);
      await kit.crash('ledger/a');
    }
    expect(await a.get()).toBe(5);
  });

  it('of the process before a turn was acknowledged does not show it', async () => {
    const kit = start();
    const a = kit.ref(LedgerT, 'a');
    await a.add(1);
    kit.disk.hold();
    const asked = outcome(a.add(10));
    await kit.settle();
    kit.disk.crash();
    expect((await asked).code).toBeDefined();
    const again = start(kit.disk);
    expect(await again.ref(LedgerT, 'a').get()).toBe(1);
    await again.close();
  });

  it('of the actor while its write is under way: the asker cannot know, and the dead says nothing more', async () => {
    await using kit = start();
    const sink = kit.probe(SinkT, 's');
    const a = kit.ref(LedgerT, 'a');
    kit.disk.hold();
    const asked = outcome(a.addAndTell(1));
    await kit.settle();
    await kit.crash('ledger/a');
    expect(await asked).toMatchObject({ code: 'UNKNOWN_OUTCOME', outcome: 'unknown' });
    kit.disk.release();
    await kit.settle();
    expect(sink.received).toEqual([]);
    // Its write was handed in, and nothing has undone it.
    expect(await a.get()).toBe(1);
  });

  it('comes back under a higher epoch', async () => {
    await using kit = start();
    const a = kit.ref(LedgerT, 'a');
    const before = await a.epoch();
    await kit.crash('ledger/a');
    expect(await a.epoch()).toBeGreaterThan(before);
  });

  it('takes the memory of an actor that stores nothing, awake or asleep', async () => {
    await using kit = start();
    const a = kit.ref(VolatileT, 'a');
    await a.add(1);
    await kit.crash('volatile/a');
    expect(await a.get()).toBe(0);
    await a.add(1);
    await kit.clock.advance(120_000);
    expect(kit.isAwake('volatile/a')).toBe(false);
    await kit.crash('volatile/a');
    expect(await a.get()).toBe(0);
  });

  it('leaves a turn that was open to itself: what it still does has no effect', async () => {
    await using kit = start();
    const sink = kit.probe(SinkT, 's');
    const gate = kit.probe(GateT, 'gate');
    const a = kit.ref(LedgerT, 'a');
    await a.add(1);
    const zombie = outcome(a.tellLater('zombie'));
    const writer = outcome(a.saveLater('writer'));
    await kit.settle();
    await kit.crash('ledger/a');
    expect(await zombie).toMatchObject({ code: 'UNKNOWN_OUTCOME' });
    expect(await writer).toMatchObject({ code: 'UNKNOWN_OUTCOME' });
    await a.add(10);
    await gate.expect('pass', ['zombie']).reply();
    await gate.expect('pass', ['writer']).reply();
    await kit.settle();
    expect(sink.received).toEqual([]);
    await kit.crash('ledger/a');
    expect(await a.get()).toBe(11);
  });
});

describe('a loss of power', () => {
  it('keeps what save("flushed") has promised, and may take what was only committed', async () => {
    const kit = start();
    const [flushed, committed] = [kit.ref(ExplicitT, 'f'), kit.ref(ExplicitT, 'c')];
    await flushed.add(1);
    expect(await outcome(flushed.saveNow('flushd' as 'flushed'))).toMatchObject({ code: 'BAD_OPTION' });
    await flushed.saveNow('flushed');
    await committed.add(1);
    // The promise of 'committed' resolves before the flush that follows it.
    await committed.saveNow('committed');
    kit.disk.powerLoss();
    const again = start(kit.disk);
    expect(await again.ref(ExplicitT, 'f').get()).toBe(1);
    expect([0, 1]).toContain(await again.ref(ExplicitT, 'c').get());
    await again.close();
  });

  it("keeps every acknowledged turn of a type with durability: 'flushed'", async () => {
    const kit = start();
    for (let n = 1; n <= 3; n++) {
      await kit.ref(FlushedT, 'a').add(1);
      kit.disk.powerLoss();
    }
    const again = start(kit.disk);
    expect(await again.ref(FlushedT, 'a').get()).toBe(3);
    await again.close();
  });
});

describe('a full disk', () => {
  it('fails the turn with DISK_FULL and undoes it: memory is what is stored', async () => {
    await using kit = start();
    const sink = kit.probe(SinkT, 's');
    const a = kit.ref(LedgerT, 'a');
    await a.add(1);
    kit.disk.diskFull = true;
    expect(await outcome(a.addAndTell(5))).toMatchObject({ code: 'DISK_FULL', retryable: true, outcome: 'failed' });
    expect(sink.received).toEqual([]);
    expect(await a.get()).toBe(1);
    kit.disk.diskFull = false;
    expect(await a.add(1)).toBe(2);
    expect(kit.events.filter(event => event.name === 'dead-letter')).toMatchObject([
      { payload: { to: 'sink/s', method: 'hear', args: [6] } },
    ]);
  });

  it('undoes every turn that rested on the refused one', async () => {
    await using kit = start();
    const a = kit.ref(LedgerT, 'a');
    await a.add(1);
    kit.disk.hold();
    const all = [2, 3, 4].map(n => outcome(a.add(n)));
    await kit.settle();
    kit.disk.diskFull = true;
    kit.disk.release();
    for (const each of all) expect(await each).toMatchObject({ code: 'DISK_FULL' });
    kit.disk.diskFull = false;
    expect(await a.get()).toBe(1);
    await kit.crash('ledger/a');
    expect(await a.get()).toBe(1);
  });

  it('fails an ask that a turn makes on what could not be stored, and the turn with it', async () => {
    await using kit = start();
    const sink = kit.probe(SinkT, 's');
    const a = kit.ref(LedgerT, 'a');
    await a.add(1);
    kit.disk.diskFull = true;
    expect(await outcome(a.addAndAsk(5))).toMatchObject({ code: 'DISK_FULL' });
    expect(sink.received).toEqual([]);
    kit.disk.diskFull = false;
    expect(await a.get()).toBe(1);
  });

  it('rejects save(), which a turn need not await', async () => {
    await using kit = start();
    const a = kit.ref(ExplicitT, 'a');
    await a.add(1);
    kit.disk.diskFull = true;
    expect(await outcome(a.saveNow())).toMatchObject({ code: 'DISK_FULL' });
    await outcome(a.saveUnawaited());
    await kit.settle();
    kit.disk.diskFull = false;
    expect(await a.get()).toBe(1);
  });

  it('undoes a journal too', async () => {
    await using kit = start();
    const a = kit.ref(JournalT, 'a');
    await a.add(1);
    kit.disk.diskFull = true;
    expect(await outcome(a.add(5, 6))).toMatchObject({ code: 'DISK_FULL' });
    kit.disk.diskFull = false;
    expect(await a.get()).toBe(1);
    expect(await a.add(2)).toBe(3);
    await kit.crash('journal/a');
    expect(await a.get()).toBe(3);
  });

  it('does not put an actor to sleep whose state it could not keep', async () => {
    await using kit = start();
    const a = kit.ref(ExplicitT, 'a');
    await a.add(1);
    kit.disk.diskFull = true;
    await kit.clock.advance(180_000);
    expect(kit.isAwake('explicit/a')).toBe(true);
    expect(await a.get()).toBe(1);
    kit.disk.diskFull = false;
    await kit.clock.advance(180_000);
    expect(kit.isAwake('explicit/a')).toBe(false);
    expect(await a.get()).toBe(1);
  });
});

describe('a state that cannot be stored', () => {
  it('fails its turn with the path to what is wrong, and is undone', async () => {
    await using kit = start();
    const a = kit.ref(LedgerT, 'a');
    await a.add(1);
    expect(await outcome(a.spoil())).toMatchObject({ code: 'BAD_MESSAGE', message: expect.stringContaining('socket') });
    expect(await a.get()).toBe(1);
    expect(kit.state('ledger/a')).toMatchObject({ n: 1 });
  });

  it('does not go to sleep: an actor that stores nothing keeps what it has, awake', async () => {
    await using kit = createTestKit({ actors: ledgers, serialize: false });
    const a = kit.ref(VolatileT, 'a');
    await a.add(3);
    await a.spoil();
    await kit.clock.advance(180_000);
    expect(kit.isAwake('volatile/a')).toBe(true);
    await a.mend();
    await kit.clock.advance(180_000);
    expect(kit.isAwake('volatile/a')).toBe(false);
    expect(await a.get()).toBe(3);
  });
});

describe('a higher epoch', () => {
  it('ends the activation that is behind: FENCED, and the next begins with what the other has written', async () => {
    await using kit = start();
    const a = kit.ref(LedgerT, 'a');
    await a.add(1);
    // Another owner, of which this one has not heard: a new process on the same disk.
    const other = start(kit.disk);
    expect(await other.ref(LedgerT, 'a').add(10)).toBe(11);
    const fenced = outcome(a.add(100));
    const behind = outcome(a.get());
    expect(await fenced).toMatchObject({ code: 'FENCED', outcome: 'failed', retryable: true });
    expect((await behind).code).toBe('FENCED');
    expect(kit.isAwake('ledger/a')).toBe(false);
    expect(await other.ref(LedgerT, 'a').get()).toBe(11);
    await other.close();
  });
});

describe('a restart', () => {
  it('does not show what the old life wrote, if that is refused in the end: the new one is undone with it', async () => {
    await using kit = start();
    const a = kit.ref(RestartingT, 'a');
    await a.add(1);
    kit.disk.hold();
    const refused = outcome(a.add(10));
    const failed = outcome(a.boom());
    await kit.settle();
    // The new life has read what the old one handed in, and builds on it.
    const built = outcome(a.add(100));
    await kit.settle();
    kit.disk.diskFull = true;
    kit.disk.release();
    expect([(await refused).code, (await failed).code, (await built).code]).toEqual([
      'DISK_FULL',
      'REMOTE',
      'DISK_FULL',
    ]);
    kit.disk.diskFull = false;
    expect(await a.add(1)).toBe(2);
  });

  it('shuts out the turns of the old life: they cannot write over the new one', async () => {
    await using kit = start();
    const gate = kit.probe(GateT, 'gate');
    const a = kit.ref(RestartingT, 'a');
    await a.add(1);
    const old = outcome(a.addAndFailLater(1));
    const writer = outcome(a.saveLater('old'));
    await kit.settle();
    await gate.expect('pass', ['fail']).reply();
    expect(await old).toMatchObject({ code: 'REMOTE' });
    await kit.settle();
    expect(await a.add(100)).toBe(102);
    await gate.expect('pass', ['old']).reply();
    expect(await writer).toMatchObject({ details: { code: 'STOPPED' } });
    await kit.crash('restarting/a');
    expect(await a.get()).toBe(102);
  });
});

describe('a journal', () => {
  it('is replayed: the state after a crash is the state before it', async () => {
    await using kit = start();
    const a = kit.ref(JournalT, 'a');
    for (let n = 1; n <= 20; n++) await a.add(n);
    await kit.crash('journal/a');
    expect(await a.get()).toBe(210);
    expect(kit.state('journal/a')).toEqual({ n: 210, list: Array.from({ length: 20 }, (_, n) => n + 1) });
  });

  it('keeps a turn whole: all its events, or none', async () => {
    const kit = start();
    await kit.ref(JournalT, 'a').add(1);
    kit.disk.hold();
    const asked = outcome(kit.ref(JournalT, 'a').add(2, 3, 4));
    await kit.settle();
    expect(kit.disk.stats().pendingWrites).toBe(3);
    kit.disk.crash();
    expect((await asked).code).toBeDefined();
    const again = start(kit.disk);
    expect(await again.ref(JournalT, 'a').get()).toBe(1);
    await again.close();
  });

  it('is cut by a snapshot now and then: replay stays short', async () => {
    await using kit = start();
    const a = kit.ref(JournalT, 'a');
    for (let n = 0; n < 52; n++) await a.add(...new Array<number>(50).fill(1));
    await kit.crash('journal/a');
    Journal.replayed = 0;
    expect(await a.get()).toBe(2_600);
    expect(Journal.replayed).toBeLessThan(1_100);
    expect(await a.add(1)).toBe(2_601);
    await kit.crash('journal/a');
    expect(await a.get()).toBe(2_601);
  });

  it('is cut by save()', async () => {
    await using kit = start();
    const a = kit.ref(JournalT, 'a');
    await a.add(1, 2, 3);
    await a.saveNow();
    await a.add(4);
    await kit.crash('journal/a');
    Journal.replayed = 0;
    expect(await a.get()).toBe(10);
    expect(Journal.replayed).toBe(1);
  });

  it('keeps what was appended before an await, also when the turn then crashes', async () => {
    await using kit = start();
    kit.probe(GateT, 'gate');
    const a = kit.ref(JournalT, 'a');
    const asked = outcome(a.addAround(5));
    await kit.settle();
    await kit.crash('journal/a');
    await asked;
    expect(await a.get()).toBe(5);
  });

  it('of a turn that fails: kept with the state where the actor goes on, gone where it begins anew', async () => {
    await using kit = start();
    const [resumes, restarts] = [kit.ref(JournalT, 'a'), kit.ref(RestartingJournalT, 'a')];
    for (const each of [resumes, restarts]) {
      await each.add(1);
      await outcome(each.addAndFail(5));
    }
    await kit.settle();
    expect(await resumes.get()).toBe(6);
    expect(await restarts.get()).toBe(1);
    await kit.crash('journal/a');
    await kit.crash('restarting-journal/a');
    expect(await resumes.get()).toBe(6);
    expect(await restarts.get()).toBe(1);
  });

  it('takes no event that cannot be stored', async () => {
    await using kit = start();
    const a = kit.ref(JournalT, 'a');
    expect(await outcome(a.appendSpoilt())).toMatchObject({ details: { code: 'BAD_MESSAGE' } });
    expect(await a.add(1)).toBe(1);
  });

  it('survives sleep and the end of the process', async () => {
    const kit = start();
    await kit.ref(JournalT, 'a').add(1);
    await kit.clock.advance(120_000);
    expect(kit.isAwake('journal/a')).toBe(false);
    expect(await kit.ref(JournalT, 'a').add(2)).toBe(3);
    await kit.close();
    const again = start(kit.disk);
    expect(await again.ref(JournalT, 'a').get()).toBe(3);
    await again.close();
  });
});

describe('append() and save()', () => {
  it('are refused where the type does not say so', async () => {
    await using kit = start();
    expect(await outcome(kit.ref(VolatileT, 'a').saveNow())).toMatchObject({
      code: 'BAD_OPTION',
      message: expect.stringContaining("persist: 'none'"),
    });
  });
});
