// Guests and those who are not their homes: watches that move along, verdicts that never came, words of strangers.

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FarRouter } from '../../../src/runtime/far-router.ts';
import { type BaseRef, FAR, tell } from '../../../src/runtime/refs.ts';
import { ClusterKit, type KitNode } from '../../../src/testing/cluster-kit-host.ts';
import { JournalT, MemoryT, witness } from '../../../src/testing/sim/node-actors.ts';
import { LogT } from '../gateway/actors.ts';

let kit: ClusterKit;
/** Of n1. */
let key: string;
let unit: string;
beforeEach(async () => {
  kit = new ClusterKit(3, { actors: [LogT, MemoryT, JournalT], seed: 7 });
  await kit.start();
  key = keyOf('n1', 'k');
  unit = `log/${key}`;
});
afterEach(() => kit.close());

const node = (name: string): KitNode => kit.node(name);
const runners = (): string[] => kit.nodes.filter(each => each.runs(LogT, key)).map(({ name }) => name);
const all = (by: string, of = key): Promise<unknown> => kit.run(node(by).ref(LogT, of).all());
const codeOf = (asked: Promise<unknown>): Promise<unknown> => kit.run(asked.catch(error => error.code));
function keyOf(owner: string, prefix: string): string {
  for (let i = 0; ; i++) if (node('n1').cluster.preference(`${prefix}${i}`, 1)[0] === owner) return `${prefix}${i}`;
}
/** As one gateway asks another. */
const ask = (from: string, to: string, word: string, payload: object): Promise<any> => {
  const { gateway } = node(from);
  return gateway.asked(gateway.numberOfName(to), word, payload);
};

describe('watches of an actor that moves', () => {
  it.each([[['n2']], [['n2', 'n3']], [['n3', 'n1']], [['n2', 'n1', 'n2']]])(
    'by way of %j: everybody hears of its end once',
    async way => {
      const watchers = ['n1', 'n2', 'n3'].map(name => [name, keyOf(name, 'w')] as const);
      await kit.run(node('n1').ref(LogT, key).hear(1));
      for (const [name, of] of watchers.slice(0, 2))
        await kit.run(node(name).ref(LogT, of).watchIt(node(name).ref(LogT, key)));
      for (const to of way) await kit.run(node('n1').relocate(LogT, key, to));
      const [name, of] = watchers[2] as (typeof watchers)[2];
      await kit.run(node(name).ref(LogT, of).watchIt(node(name).ref(LogT, key)));
      await kit.clock.advance(100);
      tell(node('n2').ref(LogT, key)).end();
      await kit.clock.advance(200);
      for (const [by, watcher] of watchers) expect(await all(by, watcher)).toEqual([`${unit} stopped`]);
    },
  );

  it('are told that it is lost when the session with its node ends', async () => {
    const watcher = keyOf('n3', 'w');
    await kit.run(node('n3').ref(LogT, watcher).watchIt(node('n3').ref(LogT, key)));
    await kit.run(node('n1').relocate(LogT, key, 'n2'));
    await kit.crash('n2');
    await kit.restart('n2');
    await kit.clock.advance(2_000);
    expect(await all('n3', watcher)).toEqual([`${unit} thread-lost`]);
  });
});

describe('a verdict that never comes', () => {
  it('is asked for: what its home did not send away goes on', async () => {
    await kit.run(node('n1').ref(LogT, key).hear(1));
    await kit.run(node('n1').relocate(LogT, key, 'n2'));
    await kit.run(ask('n1', 'n2', 'guest-pack', { unit }));
    expect(node('n2').gateway.describe()).toMatchObject({ guests: { leaving: [unit] } });
    await kit.clock.advance(1_000);
    expect(node('n2').gateway.describe()).toMatchObject({ guests: { leaving: [], arriving: [] } });
    expect(await all('n1')).toEqual([1]);
  });

  it('is the next message that its home sends: it would not, were it not decided', async () => {
    await kit.run(node('n1').ref(LogT, key).hear(1));
    await kit.run(node('n1').relocate(LogT, key, 'n2'));
    await kit.run(ask('n1', 'n2', 'guest-pack', { unit }));
    expect(await kit.run(node('n3').ref(LogT, key).hear(2))).toBe(2);
    expect(await all('n1')).toEqual([1, 2]);
    await kit.run(node('n1').relocate(LogT, key, 'n3'));
    await kit.clock.advance(20);
    expect(runners()).toEqual(['n3']);
    expect(node('n2').gateway.describe()).toMatchObject({ guests: { leaving: [], arriving: [] } });
  });

  it('is asked for: what never became a guest is gone', async () => {
    await kit.run(node('n1').ref(LogT, key).hear(1));
    await kit.run(node('n1').relocate(LogT, key, 'n3'));
    const bytes = await kit.run(ask('n1', 'n3', 'guest-pack', { unit }));
    await kit.run(ask('n1', 'n2', 'guest-put', { unit, bytes }));
    expect(runners()).toEqual(['n2', 'n3']);
    await kit.clock.advance(1_000);
    expect(runners()).toEqual(['n3']);
    expect(await all('n2')).toEqual([1]);
  });

  it('is known when the next move begins', async () => {
    await kit.run(node('n1').ref(LogT, key).hear(1));
    await kit.run(node('n1').relocate(LogT, key, 'n2'));
    const bytes = await kit.run(ask('n1', 'n2', 'guest-pack', { unit }));
    // It comes back to where it is still frozen, and is sent for where it does not run yet.
    await kit.run(ask('n1', 'n2', 'guest-put', { unit, bytes }));
    await kit.run(node('n1').relocate(LogT, key, 'n3'));
    await kit.clock.advance(20);
    expect(runners()).toEqual(['n3']);
    expect(await all('n2')).toEqual([1]);
  });

  it('that comes while an actor is being stored ends that, too', async () => {
    await kit.run(node('n1').ref(LogT, key).hear(1));
    await kit.run(node('n1').relocate(LogT, key, 'n3'));
    const bytes = await kit.run(ask('n1', 'n3', 'guest-pack', { unit }));
    const { guests } = node('n2').gateway;
    const put = guests.put(unit, bytes);
    guests.cancel(unit);
    expect(await codeOf(put)).toBe('STOPPED');
    expect(runners()).toEqual(['n3']);
    expect(guests.waiting(unit)).toBeUndefined();
  });
});

describe('who is not the home of an actor', () => {
  it('neither fetches it, nor brings it, nor ends its moves', async () => {
    await kit.run(node('n1').ref(LogT, key).hear(1));
    await kit.run(node('n1').relocate(LogT, key, 'n2'));
    expect(await codeOf(ask('n3', 'n2', 'guest-pack', { unit }))).toBe('BAD_MESSAGE');
    const bytes = await kit.run(ask('n1', 'n2', 'guest-pack', { unit }));
    // It may have been its home when it said so: that is no reason to end the session. Nothing is done.
    expect(await codeOf(ask('n3', 'n2', 'guest-verdict', { unit, verdict: 'drop' }))).toBeUndefined();
    expect(node('n2').gateway.guests.waiting(unit)).toBeDefined();
    expect(await codeOf(ask('n2', 'n3', 'guest-put', { unit, bytes }))).toBe('BAD_MESSAGE');
    expect(await codeOf(ask('n1', 'n3', 'guest-put', { unit: `log/${keyOf('n1', 'other')}`, bytes }))).toBe(
      'BAD_MESSAGE',
    );
    expect(runners()).toEqual(['n2']);
  });

  it.each([0, 1, 7])('does not wake it elsewhere by a mark (%i)', async mark => {
    await kit.run(node('n1').ref(LogT, key).hear(1));
    const { host, gateway } = node('n3');
    const router = host.router as FarRouter;
    const ref = host.ref(LogT, key) as unknown as BaseRef;
    const number = gateway.numberOfName('n2');
    ref[FAR] = { thread: number, version: router.version, slot: -1, epoch: mark };
    const hear = host.byName.get('log')?.methodCode('hear') as number;
    expect(router.writeTell(number, ref, hear | 1, 2, undefined)).toBe(true);
    await kit.clock.advance(50);
    expect(runners()).toEqual(['n1']);
    // It may have been the home when it sent it: then it is late, and refused.
    expect(await all('n1')).toEqual(mark === 0 ? [1, 2] : [1]);
  });
});

describe('tells that were taken on', () => {
  const numbers = async (of: string): Promise<number[]> => {
    const lines = (await kit.run(node('n1').ref(MemoryT, of).all())) as [string, number][];
    return lines.map(([, number]) => number);
  };

  it('while the actor comes home are in its mailbox in the end, however small that is', async () => {
    await kit.run(node('n1').relocate(MemoryT, key, 'n2'));
    const moving = node('n1').relocate(MemoryT, key, 'n1');
    const ref = tell(node('n1').ref(MemoryT, key));
    for (let i = 0; i < 20; i++) ref.hear('n1', i);
    await kit.run(moving);
    expect(await numbers(key)).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  it('are run after a move that was called off while more waited than it has room for', async () => {
    witness.pause = ms => new Promise(done => kit.clock.timer(ms, done));
    const ref = node('n1').ref(JournalT, key);
    await kit.run(ref.hear('n1', 0));
    tell(ref).hearSlowly('n1', 1, 50);
    for (let i = 2; i < 20; i++) tell(ref).hear('n1', i);
    node('n2').disk.diskFull = true;
    expect(await codeOf(node('n1').relocate(JournalT, key, 'n2'))).toBe('DISK_FULL');
    for (let i = 20; i < 30; i++) expect(await kit.run(ref.hear('n1', i))).toBeTypeOf('number');
    const lines = (await kit.run(ref.all())) as [string, number][];
    expect(lines.map(([, number]) => number)).toEqual(Array.from({ length: 30 }, (_, i) => i));
  });

  it('for a slow guest hold their sender back: none is thrown away on the way', async () => {
    witness.pause = ms => new Promise(done => kit.clock.timer(ms, done));
    await kit.run(node('n1').relocate(MemoryT, key, 'n2'));
    let taken = 0;
    let most = 0;
    const ref = tell(node('n3').ref(MemoryT, key));
    for (let i = 0; i < 2_000; i++) {
      try {
        ref.hearSlowly('n3', taken, 20);
        taken++;
      } catch {
        // Told to try again later.
      }
      if (i % 4 === 3) await kit.clock.advance(1);
      for (const peer of (node('n1').host.router as FarRouter).peers)
        most = Math.max(most, (peer?.describe() as any)?.waiting ?? 0);
    }
    expect(most).toBeLessThan(100);
    await kit.clock.advance(30 * taken);
    expect(await numbers(key)).toEqual(Array.from({ length: taken }, (_, i) => i));
  });
});
