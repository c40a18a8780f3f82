// Last words that nobody can say any more, and what is not passed on for having been sent before its sender knew.

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lastWordMs } from '../../../src/limits.ts';
import { Gifts } from '../../../src/runtime/handoff/gifts.ts';
import { paid, type Settling, unlessOwed } from '../../../src/runtime/handoff/settling.ts';
import { tell } from '../../../src/runtime/refs.ts';
import { ClusterKit, type KitNode } from '../../../src/testing/cluster-kit-host.ts';
import { LogT } from '../gateway/actors.ts';
import { hand, keysOf, partitionOfKey } from './wishes.ts';

describe('a sender that is started anew before its last word has come', () => {
  let kit: ClusterKit;
  let key: string;
  const node = (name: string): KitNode => kit.node(name);
  beforeEach(async () => {
    kit = new ClusterKit(3, { actors: [LogT], seed: 7 });
    await kit.start();
    [key] = keysOf(kit, 'n1', 1) as [string];
  });
  afterEach(() => kit.close());

  it('is not waited for: what waits of its last life runs when the old owner has nothing more of that', async () => {
    const speaks = (word: string): unknown => tell(node('n3').ref(LogT, key)).hear(word);
    const news = [['n1', 'n3'] as const, ['n2', 'n3'] as const];
    for (const [from, to] of news) kit.network.block(from, to);
    await hand(kit, partitionOfKey(kit, key), 'n2');
    await kit.clock.advance(50);
    // On its way by the old owner, and stuck behind him.
    kit.network.block('n1', 'n2');
    speaks('first');
    await kit.clock.advance(50);
    // The last word does not get through.
    kit.network.block('n3', 'n1');
    for (const [from, to] of news) kit.network.free(from, to);
    await kit.clock.advance(50);
    speaks('second');
    await kit.clock.advance(50);
    await kit.crash('n3');
    kit.network.free('n3', 'n1');
    await kit.restart('n3');
    await kit.clock.advance(lastWordMs / 8);
    expect(await kit.run(node('n2').ref(LogT, key).all())).toEqual([]);
    kit.network.free('n1', 'n2');
    await kit.clock.advance(lastWordMs / 8);
    expect(await kit.run(node('n2').ref(LogT, key).all())).toEqual(['first', 'second']);
    expect(node('n2').gateway.lastWords.describe()).toMatchObject({ late: 0 });
  });
});

describe('a word behind one that is owed', () => {
  const make = (): { settling: Settling; late(): void; passed: number[]; say(turn: number): void } => {
    const timers: (() => void)[] = [];
    const passed: number[] = [];
    const settling = {
      owes: new Map([['n1', new Map([[5, 'n2']])]]),
      postponed: new Map(),
      expire: (then: () => void) => void timers.push(then),
    } as Partial<Settling> as Settling;
    return {
      settling,
      passed,
      late: () => timers.shift()?.(),
      say: turn => unlessOwed(settling, 'n1', turn, () => passed.push(turn)),
    };
  };

  it('comes when that is paid, and once', () => {
    const { settling, late, passed, say } = make();
    say(7);
    say(8);
    expect(passed).toEqual([]);
    paid(settling, 'n1', 5);
    late();
    late();
    expect(passed).toEqual([7, 8]);
  });

  it('waits no longer than anything does: who has missed a turn says no word of it', () => {
    const { late, passed, say } = make();
    say(7);
    say(8);
    late();
    expect(passed).toEqual([7, 8]);
  });
});

describe('what a node has given away', () => {
  const make = (): { gifts: Gifts; end(): void } => {
    const ends: (() => void)[] = [];
    const gifts = new Gifts((_ms, fn) => void ends.push(fn));
    gifts.gave(7, 4, 'n2');
    return { gifts, end: () => ends.shift()?.() };
  };
  const stopped = (gifts: Gifts): string[] => ['n1', 'n2', 'n3'].filter(node => gifts.has(7, node));

  it('is passed on for everybody as long as all sessions last', () => {
    const { gifts } = make();
    expect([gifts.any, stopped(gifts)]).toEqual([false, []]);
  });

  it('is not for whose session has ended, until he says in the next one that he knows', () => {
    const { gifts } = make();
    gifts.knows('n1', () => 4);
    expect(gifts.lost('n1', false)).toEqual([{ partition: 7, of: 'n1' }]);
    expect([gifts.any, stopped(gifts)]).toEqual([true, ['n1']]);
    gifts.knows('n1', () => 3);
    expect(stopped(gifts)).toEqual(['n1']);
    gifts.knows('n1', () => 4);
    gifts.knows('n1', () => -1);
    expect(stopped(gifts)).toEqual([]);
  });

  it('is for nobody who does not know, where many keep it and the new owner is lost', () => {
    const { gifts } = make();
    gifts.knows('n1', () => 5);
    expect(gifts.lost('n2', true)).toEqual([{ partition: 7, of: null }]);
    expect(stopped(gifts)).toEqual(['n2', 'n3']);
    expect(gifts.has(6, 'n3')).toBe(false);
  });

  it('is forgotten when it is back, or when nobody waits for a word of it any more', () => {
    const [back, old] = [make(), make()];
    for (const { gifts } of [back, old]) gifts.lost('n1', false);
    back.gifts.ended(7);
    back.gifts.gave(7, 6, 'n3');
    back.end();
    expect([back.gifts.any, back.gifts.lost('n1', false)]).toEqual([false, [{ partition: 7, of: 'n1' }]]);
    old.end();
    expect([old.gifts.any, stopped(old.gifts), old.gifts.lost('n1', false)]).toEqual([false, [], []]);
  });
});
