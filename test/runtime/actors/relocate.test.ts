// Moving an actor, by the steps every move takes (freeze, pack, install, run), within one thread. DESIGN.md section 5; the
// protocol around it is tested in relocation*.test.ts.

import { beforeEach, describe, expect, it } from 'vitest';
import { relocateOverMax } from '../../../src/limits.ts';
import type { Activation } from '../../../src/runtime/activation.ts';
import type { Host } from '../../../src/runtime/host.ts';
import type { Mailbox } from '../../../src/runtime/mailbox.ts';
import { call, tell } from '../../../src/runtime/refs.ts';
import { createTestKit } from '../../../src/testing.ts';
import { GateT } from './gate.ts';
import { CrampedT, ExplicitMoverT, journeys, Mover, MoverT, PinnedT, PoolT, StoredMoverT } from './mover.ts';
import { outcome } from './outcome.ts';

const types = [MoverT, StoredMoverT, ExplicitMoverT, PinnedT, PoolT, CrampedT];
function start(options: { serialize?: boolean } = {}) {
  const kit = createTestKit({ actors: types, ...options });
  Mover.clock = () => kit.clock.mono();
  return kit;
}
const story = (key = 'a'): string[] => journeys.get(key) ?? [];

beforeEach(() => journeys.clear());

describe('a move', () => {
  it.each([MoverT, StoredMoverT, ExplicitMoverT])('takes the state along, under a higher epoch ($type)', async type => {
    await using kit = start();
    const a = kit.ref(type, 'a');
    await a.add(5);
    const before = await a.epoch();
    const { epoch } = await kit.relocate(`${type.type}/a`);
    expect(epoch).toBeGreaterThan(before);
    expect(await a.epoch()).toBe(epoch);
    expect(await a.add(1)).toBe(6);
  });

  it('tells the actor: onDeactivate("moved") there, onActivate() here', async () => {
    await using kit = start();
    await kit.ref(MoverT, 'a').add(1);
    await kit.relocate('mover/a');
    expect(story()).toEqual(['0 up', '0 down moved', '0 up']);
  });

  it('of one that sleeps wakes it', async () => {
    await using kit = start();
    await kit.relocate('mover/a');
    expect(await kit.ref(MoverT, 'a').add(1)).toBe(1);
  });

  it('is told to nobody as an end, and a thousand moves leave nothing behind', async () => {
    await using kit = start();
    for (let n = 1; n <= 100; n++) {
      expect(await kit.ref(StoredMoverT, 'a').add(1)).toBe(n);
      await kit.relocate('stored-mover/a');
    }
    expect(kit.events).toEqual([]);
    expect(kit.describe()).toMatchObject({ residents: { size: 1 } });
  });

  it('keeps what was stored by both lives: a crash right after it loses nothing', async () => {
    await using kit = start();
    const a = kit.ref(StoredMoverT, 'a');
    await a.add(1);
    await kit.relocate('stored-mover/a');
    await a.add(1);
    await kit.crash('stored-mover/a');
    expect(await a.add(0)).toBe(2);
  });
});

describe('messages', () => {
  it('in the mailbox travel, in order, and the asks among them are answered', async () => {
    await using kit = start();
    const gate = kit.probe(GateT, 'gate');
    const a = kit.ref(MoverT, 'a');
    const held = a.hold();
    await kit.settle();
    const asks = ['1', '2', '3'].map(name => a.note(name));
    tell(a).note('4');
    // The move waits for the open turn, and what comes meanwhile lines up.
    const moving = kit.relocate('mover/a');
    const late = a.note('5');
    await gate.expect('pass').reply();
    expect((await moving).shipped).toBeGreaterThan(0);
    expect(await held).toBe('held');
    expect(await Promise.all([...asks, late])).toEqual(['1', '2', '3', '5']);
    expect(await a.log()).toEqual(['1', '2', '3', '4', '5']);
  });

  it('that come while it packs are not lost', async () => {
    await using kit = start();
    const gate = kit.probe(GateT, 'gate');
    const a = kit.ref(MoverT, 'slow');
    await a.note('before');
    const moving = kit.relocate('mover/slow');
    await kit.settle();
    // onDeactivate('moved') waits at the gate: frozen, not yet packed.
    tell(a).note('1');
    const asked = a.note('2');
    await gate.expect('pass', ['down']).reply();
    tell(a).note('3');
    await moving;
    tell(a).note('4');
    expect(await asked).toBe('2');
    expect(await a.log()).toEqual(['before', '1', '2', '3', '4']);
  });

  it('that come at any moment of it are neither lost nor doubled nor reordered', async () => {
    await using kit = start();
    const a = kit.ref(StoredMoverT, 'a');
    await a.note('first');
    const names = Array.from({ length: 600 }, (_, n) => String(n));
    const sending = (async () => {
      for (const name of names) {
        await undefined;
        tell(a).note(name);
        if (Number(name) % 100 === 99) await kit.settle();
      }
    })();
    for (let n = 0; n < 6; n++) await kit.relocate('stored-mover/a');
    await sending;
    await kit.settle();
    expect(await a.log()).toEqual(['first', ...names]);
    expect(kit.events).toEqual([]);
  });

  it('that are stashed stay stashed, and come back in order', async () => {
    await using kit = start();
    const a = kit.ref(MoverT, 'a');
    await a.shut();
    const asked = ['1', '2'].map(name => a.note(name));
    await kit.settle();
    await kit.relocate('mover/a');
    const last = a.note('3');
    await kit.settle();
    expect(await a.log()).toEqual([]);
    await a.open();
    expect(await Promise.all([...asked, last])).toEqual(['1', '2', '3']);
    expect(await a.log()).toEqual(['1', '2', '3']);
  });

  it('whose asker has given up do not travel', async () => {
    await using kit = start();
    const gate = kit.probe(GateT, 'gate');
    const a = kit.ref(MoverT, 'a');
    const held = a.hold();
    const late = outcome(call(a, { deadlineMs: 10 }).note('late'));
    await kit.clock.advance(10);
    expect(await late).toMatchObject({ code: 'DEADLINE' });
    const moving = kit.relocate('mover/a');
    await gate.expect('pass').reply();
    expect((await moving).shipped).toBe(0);
    await held;
    expect(await a.log()).toEqual([]);
  });

  it('keep their deadlines on the way', async () => {
    await using kit = start();
    const a = kit.ref(MoverT, 'a');
    await a.shut();
    const asked = outcome(call(a, { deadlineMs: 100 }).note('x'));
    await kit.clock.advance(60);
    await kit.relocate('mover/a');
    await kit.clock.advance(39);
    expect(await Promise.race([asked, Promise.resolve('open')])).toBe('open');
    await kit.clock.advance(1);
    expect(await asked).toMatchObject({ code: 'DEADLINE' });
  });

  it('whose senders wait for room travel too, and their senders may go on', async () => {
    await using kit = start();
    const gate = kit.probe(GateT, 'gate');
    const a = kit.ref(CrampedT, 'a');
    const held = a.hold();
    await kit.settle();
    const sent = ['1', '2', '3', '4'].map(name => tell(a).note(name));
    const moving = kit.relocate('cramped/a');
    await gate.expect('pass').reply();
    await moving;
    await Promise.all([held, ...sent]);
    expect(await a.log()).toEqual(['1', '2', '3', '4']);
  });
});

describe('timers', () => {
  it('travel as the time they have left', async () => {
    await using kit = start();
    await kit.ref(MoverT, 'a').named(100);
    await kit.clock.advance(60);
    await kit.relocate('mover/a');
    await kit.clock.advance(1_000);
    expect(story().filter(each => each.endsWith('tick'))).toEqual(['100 tick']);
  });

  it('that repeat keep their rhythm', async () => {
    await using kit = start();
    await kit.ref(MoverT, 'a').repeated(100);
    await kit.clock.advance(150);
    await kit.relocate('mover/a');
    await kit.clock.advance(200);
    expect(story().filter(each => each.endsWith('tock'))).toEqual(['100 tock', '200 tock', '300 tock']);
  });

  it('keep the id that the actor may have in its state', async () => {
    await using kit = start();
    const a = kit.ref(MoverT, 'a');
    await a.named(500);
    await a.repeated(100);
    await kit.relocate('mover/a');
    await a.cancelKept();
    await kit.clock.advance(1_000);
    expect(story().filter(each => /t.ck$/.test(each))).toEqual(['500 tick']);
  });

  it('with closures that onActivate() has made are made again, each with the time its predecessor had left', async () => {
    await using kit = start();
    await kit.ref(MoverT, 'made').add(0);
    await kit.clock.advance(150);
    // The first has run; the second has 150 left, the third 60.
    await kit.relocate('mover/made');
    await kit.clock.advance(160);
    expect(story('made').slice(1)).toEqual([
      '70 third',
      '100 first',
      '140 third',
      '150 down moved',
      '150 up',
      '210 third',
      '250 first',
      '280 third',
      '300 second',
    ]);
  });

  it('that are due while it is frozen run when it has arrived', async () => {
    await using kit = start();
    const gate = kit.probe(GateT, 'gate');
    await kit.ref(MoverT, 'slow').named(100);
    await kit.clock.advance(50);
    const moving = kit.relocate('mover/slow');
    await kit.clock.advance(500);
    expect(story('slow').filter(each => each.endsWith('tick'))).toEqual([]);
    await gate.expect('pass').reply();
    await moving;
    await kit.clock.advance(100);
    expect(story('slow').filter(each => each.endsWith('tick'))).toEqual(['600 tick']);
  });
});

describe('topics', () => {
  it('are heard after the move as before', async () => {
    await using kit = start();
    const a = kit.ref(MoverT, 'a');
    await a.subscribe('t');
    await kit.relocate('mover/a');
    await kit.ref(MoverT, 'p').publish('t', 'x');
    await kit.settle();
    expect(await a.log()).toEqual(['topic x']);
  });
});

describe('what cannot move', () => {
  it.each<[string, string, (mover: Mover) => unknown]>([
    ['a timer with a closure', 'closure', mover => mover.closure(100)],
    ['live children', 'child', mover => mover.child()],
    ['somebody it watches', 'watch', mover => mover.watch()],
  ])('%s: refused with the reason, and it goes on here', async (_, reason, prepare) => {
    await using kit = start();
    const a = kit.ref(MoverT, 'a');
    await prepare(a as unknown as Mover);
    const before = await a.epoch();
    await expect(kit.relocate('mover/a')).rejects.toMatchObject({
      code: 'BAD_OPTION',
      message: expect.stringContaining(reason),
    });
    expect(await a.add(1)).toBe(1);
    expect(await a.epoch()).toBeGreaterThan(before);
    await kit.clock.advance(100);
    if (reason === 'closure') expect(story().at(-1)).toBe('100 closure');
  });

  it.each([PinnedT, PoolT])('what its placement holds ($type)', async type => {
    await using kit = start();
    await kit.ref(type, 'a').add(1);
    await expect(kit.relocate(`${type.type}/a`)).rejects.toThrowError(type.type);
    expect(await kit.ref(type, 'a').add(1)).toBe(2);
  });

  it('an open turn that does not end: the move is off, the turn is not', async () => {
    await using kit = start();
    const gate = kit.probe(GateT, 'gate');
    const a = kit.ref(MoverT, 'a');
    const held = a.hold();
    await kit.settle();
    await expect(kit.relocate('mover/a')).rejects.toMatchObject({ code: 'DEADLINE' });
    const next = a.add(1);
    await gate.expect('pass').reply();
    expect(await held).toBe('held');
    expect(await next).toBe(1);
  });

  it('a mailbox far over its bound: not before some of it is worked off', async () => {
    await using kit = start();
    const gate = kit.probe(GateT, 'gate');
    const a = kit.ref(MoverT, 'a');
    const held = a.hold();
    await kit.settle();
    tell(a).add(1);
    const act = (kit as unknown as { host: Host }).host.byName.get('mover')?.live.get('a') as Activation;
    const box = act.box as Mailbox;
    const { head, a0, a1 } = box;
    // As earlier moves have brought them.
    const over = act.hosted.spec.capacity + relocateOverMax;
    while (box.count <= over) box.force(head, a0, a1, null);
    const moved = outcome(kit.relocate('mover/a'));
    await gate.expect('pass').reply();
    expect(await moved).toMatchObject({
      code: 'OVERLOADED',
      message: expect.stringMatching(/over its bound, and at most 16384/),
    });
    await held;
    expect(await call(a, { deadlineMs: 60_000 }).add(0)).toBe(over + 1);
    await kit.relocate('mover/a');
    expect(await a.add(0)).toBe(over + 1);
  });

  it('a state that could not cross: refused, and everything goes on', async () => {
    await using kit = start({ serialize: false });
    const a = kit.ref(MoverT, 'a');
    await a.spoil();
    await a.named(100);
    await expect(kit.relocate('mover/a')).rejects.toThrowError(/socket/);
    expect(await a.add(1)).toBe(1);
    await kit.clock.advance(100);
    expect(story().filter(each => each.endsWith('tick'))).toEqual(['100 tick']);
    // It was told goodbye, so it was told hello again.
    expect(story().slice(0, 3)).toEqual(['0 up', '0 down moved', '0 up']);
  });

  it('one whose writes are not durable: they hold it back', async () => {
    await using kit = start();
    const a = kit.ref(StoredMoverT, 'a');
    kit.disk.hold();
    const asked = a.add(1);
    await kit.settle();
    await expect(kit.relocate('stored-mover/a')).rejects.toMatchObject({ code: 'DEADLINE' });
    kit.disk.release();
    expect(await asked).toBe(1);
    await kit.relocate('stored-mover/a');
    expect(await a.add(1)).toBe(2);
  });

  it('does not keep one that leaves with an error', async () => {
    await using kit = start();
    await kit.ref(MoverT, 'bad').add(1);
    await expect(kit.relocate('mover/bad')).rejects.toThrowError(/cannot leave/);
    expect(await kit.ref(MoverT, 'bad').add(1)).toBe(2);
  });
});
