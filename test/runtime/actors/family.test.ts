// spawn(), watch() and escalation: who lives with whom, and who hears of whose end. DESIGN.md section 2.

import { beforeEach, describe, expect, it } from 'vitest';
import type { Ref } from '../../../src/runtime/refs.ts';
import { tell } from '../../../src/runtime/refs.ts';
import { createTestKit, type TestKit } from '../../../src/testing.ts';
import { GateT } from './gate.ts';
import { outcome } from './outcome.ts';
import { DefaultT, FamilyT, lived, lives, Patient, patients, RestartT, StopT, StrictFamilyT } from './patient.ts';
import { LastingT, Node, NodeT } from './tree.ts';

const start = (): TestKit => createTestKit({ actors: patients });

beforeEach(() => {
  lives.clear();
  Patient.sick.clear();
});

describe('a spawned child', () => {
  it('is initialised with its props, and can be asked by its parent and by others who got its ref', async () => {
    await using kit = start();
    const parent = kit.ref(FamilyT, 'p');
    const child = (await parent.bear('child', { story: 's' })) as Ref<Patient>;
    expect(await parent.ask(0, 'add', 2 as never)).toBe(2);
    expect(await child.add(3)).toBe(5);
    expect(lived('s')).toEqual(['up 0']);
  });

  it('is unlike any other: each spawn makes a new one', async () => {
    await using kit = start();
    const parent = kit.ref(FamilyT, 'p');
    const refs = await Promise.all([parent.bear('child'), parent.bear('child')]);
    expect(new Set(refs.map(String)).size).toBe(2);
    await (refs[0] as Ref<Patient>).add(1);
    expect(await (refs[1] as Ref<Patient>).add(1)).toBe(1);
  });

  it('ends with its parent, in good order when the parent does', async () => {
    await using kit = start();
    const parent = kit.ref(FamilyT, 'p');
    const child = (await parent.bear('child', { story: 'p' })) as Ref<Patient>;
    await parent.stopNow();
    await kit.settle();
    expect(lived('p')).toEqual(['up 0', 'family down stopped', 'down stopped']);
    expect(await outcome(child.add(1))).toMatchObject({ code: 'STOPPED' });
    tell(child).add(1);
    await kit.settle();
    expect(kit.events.filter(event => event.name === 'dead-letter')).toHaveLength(1);
  });

  it('ends when its parent is restarted', async () => {
    await using kit = start();
    const parent = kit.ref(StrictFamilyT, 'p');
    const child = (await parent.bear('child')) as Ref<Patient>;
    await outcome(parent.failToo());
    await kit.settle();
    expect(await outcome(child.add(1))).toMatchObject({ code: 'STOPPED' });
    expect(await parent.heard()).toEqual([]);
  });

  it('crashes with its parent', async () => {
    await using kit = start();
    const child = (await kit.ref(FamilyT, 'p').bear('child')) as Ref<Patient>;
    await kit.crash('family/p');
    expect(await outcome(child.add(1))).toMatchObject({ code: 'STOPPED' });
  });

  it('can have children of its own: the whole tree goes', async () => {
    await using kit = createTestKit({ actors: [NodeT, ...patients] });
    const root = kit.ref(NodeT, 'root');
    expect(await root.grow(3, 3)).toBe(1 + 3 + 9 + 27);
    expect(Node.alive.size).toBe(40);
    await root.leave();
    await kit.settle();
    expect(Node.alive.size).toBe(0);
  });

  it('keeps its parent awake', async () => {
    await using kit = start();
    await kit.ref(FamilyT, 'p').bear('child');
    await kit.clock.advance(10 * 60_000);
    expect(kit.isAwake('family/p')).toBe(true);
  });

  it('that cannot start is a child that has failed: the parent hears so, and can go on', async () => {
    await using kit = start();
    const parent = kit.ref(FamilyT, 'p');
    // The key of a child is not known before it is born; whoever is born next is sick.
    const makeSick = Patient.prototype.onActivate;
    Patient.prototype.onActivate = () => {
      throw new Error('stillborn');
    };
    try {
      await parent.bear('child');
    } finally {
      Patient.prototype.onActivate = makeSick;
    }
    await kit.settle();
    expect(await parent.heard()).toEqual(['child failed']);
    expect(await outcome(parent.ask(0, 'add', 1 as never))).toMatchObject({
      code: 'REMOTE',
      details: { code: 'STOPPED' },
    });
    expect(await parent.grow()).toBe(1);
  });

  it('cannot be of a persisted type: nobody could ever find its state again', async () => {
    await using kit = createTestKit({ actors: [NodeT, LastingT] });
    expect(await outcome(kit.ref(NodeT, 'n').spawnLasting())).toMatchObject({
      code: 'BAD_OPTION',
      message: expect.stringContaining('persist'),
    });
  });
});

describe('escalation', () => {
  it("ends the child and makes its failure the parent's, who resumes", async () => {
    await using kit = start();
    const parent = kit.ref(FamilyT, 'p');
    const child = (await parent.bear('escalate')) as Ref<Patient>;
    expect(await parent.grow()).toBe(1);
    expect(await outcome(child.fail('x'))).toMatchObject({ code: 'REMOTE', message: 'x' });
    expect(await outcome(child.add(1))).toMatchObject({ code: 'STOPPED' });
    expect(await parent.grow()).toBe(2);
    expect(await parent.heard()).toEqual(['escalate failed']);
    expect(
      kit.events.filter(event => event.name === 'actor-failed').map(({ payload }) => [payload.id, payload.action]),
    ).toEqual([
      [String(child), 'escalate'],
      ['family/p', 'resume'],
    ]);
  });

  it('restarts the parent if that is what the parent does, and all its children go', async () => {
    await using kit = start();
    const parent = kit.ref(StrictFamilyT, 'p');
    const child = (await parent.bear('escalate')) as Ref<Patient>;
    const sibling = (await parent.bear('child')) as Ref<Patient>;
    await parent.grow();
    await outcome(child.fail('x'));
    await kit.settle();
    expect(await parent.grow()).toBe(1);
    expect(await outcome(sibling.add(1))).toMatchObject({ code: 'STOPPED' });
  });
});

describe('watch()', () => {
  it('tells once that a named actor has stopped', async () => {
    await using kit = start();
    const family = kit.ref(FamilyT, 'p');
    const watched = kit.ref(DefaultT, 'w');
    await watched.add(1);
    await family.watch(watched);
    await watched.end();
    await kit.settle();
    await watched.end();
    await kit.settle();
    expect(await family.heard()).toEqual(['default/w stopped']);
  });

  it('tells that it has failed, for good', async () => {
    await using kit = start();
    const family = kit.ref(FamilyT, 'p');
    await family.watch(kit.ref(StopT, 'w'));
    await outcome(kit.ref(StopT, 'w').fail('x'));
    expect(await family.heard()).toEqual(['stop/w failed']);
  });

  it('does not tell of a restart, of sleep, or of a move', async () => {
    await using kit = start();
    const family = kit.ref(FamilyT, 'p');
    for (const key of ['r', 's', 'm']) await family.watch(kit.ref(RestartT, key));
    await outcome(kit.ref(RestartT, 'r').fail('x'));
    await kit.clock.advance(1_000);
    await kit.ref(RestartT, 'm').add(1);
    await kit.relocate('restart/m');
    await kit.ref(RestartT, 's').add(1);
    await kit.clock.advance(10 * 60_000);
    expect(kit.isAwake('restart/s')).toBe(false);
    expect(await family.heard()).toEqual([]);
  });

  it('tells that the thread of an actor was lost', async () => {
    await using kit = start();
    const family = kit.ref(FamilyT, 'p');
    await kit.ref(DefaultT, 'w').add(1);
    await family.watch(kit.ref(DefaultT, 'w'));
    await kit.crash('default/w');
    expect(await family.heard()).toEqual(['default/w thread-lost']);
  });

  it('tells that a child is gone, also when it went before', async () => {
    await using kit = start();
    const parent = kit.ref(FamilyT, 'p');
    const child = (await parent.bear('child')) as Ref<Patient>;
    await child.end();
    await kit.settle();
    expect(await parent.heard()).toEqual(['child stopped']);
    const other = kit.ref(FamilyT, 'q');
    await other.watch(child);
    await kit.settle();
    expect(await other.heard()).toEqual([`${child} stopped`]);
  });

  it('tells everybody who watches, each of them once', async () => {
    await using kit = start();
    const watched = kit.ref(DefaultT, 'w');
    const all = Array.from({ length: 20 }, (_, n) => kit.ref(FamilyT, String(n)));
    for (const each of all) await each.watch(watched);
    await (all[0] as (typeof all)[0]).watch(watched);
    await watched.end();
    await kit.settle();
    const heard = await Promise.all(all.map(each => each.heard()));
    expect(heard.map(each => each.length)).toEqual([2, ...new Array(19).fill(1)]);
  });

  it('can be ended, also while the news is on its way', async () => {
    await using kit = start();
    const gate = kit.probe(GateT, 'gate');
    const family = kit.ref(FamilyT, 'p');
    await family.watch(kit.ref(DefaultT, 'w'));
    await family.forget();
    await kit.ref(DefaultT, 'w').end();
    await kit.settle();
    expect(await family.heard()).toEqual([]);
    await family.watch(kit.ref(DefaultT, 'v'));
    const forgetting = family.forgetInTime('f');
    await kit.ref(DefaultT, 'v').end();
    await gate.expect('pass').reply();
    await forgetting;
    await kit.settle();
    expect(await family.heard()).toEqual([]);
  });

  it('ends with the watcher: nobody is woken to hear of it', async () => {
    await using kit = start();
    const family = kit.ref(FamilyT, 'p');
    await family.watch(kit.ref(DefaultT, 'w'));
    await family.stopNow();
    await kit.settle();
    await kit.ref(DefaultT, 'w').end();
    await kit.settle();
    expect(kit.isAwake('family/p')).toBe(false);
  });

  it('keeps the watcher awake', async () => {
    await using kit = start();
    await kit.ref(FamilyT, 'p').watch(kit.ref(DefaultT, 'w'));
    await kit.clock.advance(10 * 60_000);
    expect(kit.isAwake('family/p')).toBe(true);
  });

  it('of something that is no ref is refused', async () => {
    await using kit = start();
    expect(await outcome(kit.ref(FamilyT, 'p').watch('default/w' as never))).toMatchObject({
      code: 'REMOTE',
      details: { code: 'BAD_MESSAGE' },
    });
  });
});
