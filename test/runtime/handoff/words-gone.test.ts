// Last words that nobody can say any more, and what is not passed on for having been sent before its sender knew.

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lastWordMs } from '../../../src/limits.ts';
import { Cuts } from '../../../src/runtime/handoff/cuts.ts';
import { paid, type Settling, unlessOwed } from '../../../src/runtime/handoff/settling.ts';
import { tell } from '../../../src/runtime/refs.ts';
import { ClusterKit, type KitNode } from '../../../src/testing/cluster-kit-host.ts';
import { LogT } from '../gateway/actors.ts';
import { hand, partitionOfKey } from './wishes.ts';

describe('a sender that is started anew before its last word has come', () => {
  let kit: ClusterKit;
  let key: string;
  const node = (name: string): KitNode => kit.node(name);
  beforeEach(async () => {
    kit = new ClusterKit(3, { actors: [LogT], seed: 7 });
    await kit.start();
    for (let i = 0; ; i++) {
      key = `k${i}`;
      if (node('n1').cluster.preference(key, 1)[0] === 'n1') break;
    }
  });
  afterEach(() => kit.close());

  it('is not waited for: what waits of its last life runs when the old owner has nothing more of that', async () => {
    kit.network.block('n3', 'n1');
    await hand(kit, partitionOfKey(kit, key), 'n2');
    await kit.clock.advance(50);
    tell(node('n3').ref(LogT, key)).hear('waits for the word');
    await kit.clock.advance(50);
    await kit.crash('n3');
    kit.network.free('n3', 'n1');
    await kit.restart('n3');
    await kit.clock.advance(lastWordMs / 4);
    expect(await kit.run(node('n2').ref(LogT, key).all())).toEqual(['waits for the word']);
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

describe('a cut', () => {
  const make = (): { cuts: Cuts; end(): void } => {
    const ends: (() => void)[] = [];
    return { cuts: new Cuts(8, (_ms, fn) => void ends.push(fn)), end: () => ends.shift()?.() };
  };

  it('is of whoever has not said that he knows of that turn, before or since', () => {
    const { cuts } = make();
    cuts.knows('n1', () => 4);
    cuts.knows('n2', () => 3);
    cuts.add(7, 4, null);
    expect(['n1', 'n2', 'n3'].map(node => cuts.has(7, node))).toEqual([false, true, true]);
    cuts.knows('n2', () => 5);
    expect(['n1', 'n2', 'n3'].map(node => cuts.has(7, node))).toEqual([false, false, true]);
    expect(cuts.has(6, 'n3')).toBe(false);
  });

  it('goes by all that a node has said in its session, of the whole ring and of what has changed since', () => {
    const { cuts } = make();
    cuts.knows('n1', () => 4);
    cuts.knows('n1', partition => (partition === 3 ? 5 : -1));
    cuts.add(7, 4, null);
    cuts.add(3, 5, 'n1');
    expect([cuts.has(7, 'n1'), cuts.has(3, 'n1')]).toEqual([false, false]);
    cuts.lost('n1');
    cuts.add(6, 1, null);
    expect(cuts.has(6, 'n1')).toBe(true);
  });

  it('made twice is one, keeps who knows, and ends with the later one', () => {
    const { cuts, end } = make();
    cuts.add(7, 4, null);
    cuts.knows('n1', () => 4);
    cuts.add(7, 4, null);
    expect([cuts.has(7, 'n1'), cuts.has(7, 'n2')]).toEqual([false, true]);
    end();
    expect(cuts.has(7, 'n2')).toBe(true);
    end();
    expect([cuts.has(7, 'n2'), cuts.any]).toEqual([false, false]);
  });
});
