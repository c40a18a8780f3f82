// Partitions of real nodes that change hands, on real sockets: their actors, on threads of their own.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call, type Node, type NodeOptions, type Ref, tell } from '../../src/index.ts';
import { until } from '../threads/until.ts';
import {
  BareTallyT,
  DrowsyT,
  LedgerT,
  type Line,
  type Mourner,
  MournerT,
  RingMournerT,
  TalkerT,
  type Tally,
  TallyT,
} from './handoff-actors.ts';
import { keysIn, Nodes } from './handoff-nodes.ts';

const three = ['n1', 'n2', 'n3'];

/** What is wrong with the lines of one actor, given how many each sender wrote. */
function wrong(unit: string, lines: readonly Line[], said: ReadonlyMap<string, number>): string[] {
  const found: string[] = [];
  for (const [sender, count] of said) {
    const numbers = lines.filter(([by]) => by === sender).map(([, n]) => n);
    for (const [at, n] of numbers.entries())
      if (n !== at) {
        found.push(`${unit}: line ${at} of ${sender} is ${n}; around: ${numbers.slice(Math.max(0, at - 4), at + 5)}`);
        break;
      }
    if (numbers.length !== count) found.push(`${unit}: ${numbers.length} of ${count} lines of ${sender}`);
  }
  for (const [at, [sender, n, epoch]] of lines.entries())
    if (at > 0 && epoch < (lines[at - 1] as Line)[2]) found.push(`${unit}: epoch falls at line ${n} of ${sender}`);
  return found;
}

const engines: [string, number, NodeOptions & { durable?: boolean }][] = [
  ['troupe', 2, { durable: true }],
  ['lmdb', 0, { durable: true, engine: 'lmdb' }],
  ['memory', 2, {}],
  ['memory', 0, {}],
];

// Each test has partitions of its own, which n1 owns when it begins.
describe.each(engines)('actors on %s, %i threads', (_engine, threads, options) => {
  const nodes = new Nodes();
  beforeAll(() => nodes.start(three, { ...options, threads }), 60_000);
  afterAll(() => nodes[Symbol.asyncDispose](), 30_000);

  it('go on talking to each other while their partitions go there and back', { timeout: 60_000 }, async () => {
    // One partition each for n2 and n3, so that talkers of all nodes speak.
    await nodes.hand(14, 'n2');
    await nodes.hand(15, 'n3');
    const n1 = nodes.node('n1');
    const talkerKeys = [
      ...[0, 1, 2].flatMap(partition => keysIn(partition, 1)),
      keysIn(14, 1)[0],
      keysIn(15, 1)[0],
    ] as string[];
    const types = [TallyT, LedgerT, BareTallyT];
    const targets = (node: Node): Ref<Tally>[] =>
      [0, 1, 2].flatMap(partition =>
        types.map(type => node.ref(type, keysIn(partition, 1)[0] as string) as Ref<Tally>),
      );
    const talkers = talkerKeys.map(key => n1.ref(TalkerT, key));
    for (const talker of talkers) await talker.begin(targets(n1));
    // And from outside, on each node.
    const said = new Map<string, number>();
    const troubles: string[] = [];
    let on = true;
    const outside = three.map(async name => {
      let n = 0;
      const refs = targets(nodes.node(name));
      const speak = async (ref: Ref<Tally>): Promise<void> => {
        try {
          await tell(ref).take(name, n);
          await call(ref, { deadlineMs: 15_000 }).take(name, n + 1);
        } catch (error) {
          on = false;
          troubles.push(`${name} to ${ref} ${n}: ${error}`);
        }
      };
      while (on) {
        await Promise.all(refs.map(speak));
        n += 2;
        await new Promise(resolve => setTimeout(resolve, 2));
      }
      said.set(name, n);
    });
    for (const round of [0, 1])
      for (const to of ['n2', 'n3', 'n1']) {
        for (const partition of [0, 1, 2]) await nodes.hand(partition, to);
        expect([round, await n1.locate(targets(n1)[0] as Ref<Tally>)]).toMatchObject([round, { node: to }]);
      }
    // All three at once.
    for (const partition of [0, 1, 2]) nodes.wish(partition, 'n3');
    for (const partition of [0, 1, 2]) await nodes.arrived(partition, 'n3');
    on = false;
    await Promise.all(outside);
    expect(troubles).toEqual([]);
    const states = await Promise.all(talkers.map(talker => call(talker, { deadlineMs: 20_000 }).end()));
    expect(states.flatMap(({ troubles }) => troubles)).toEqual([]);
    for (const { asks } of states) expect(asks).toBeGreaterThan(20);
    for (const ref of targets(nodes.node('n2'))) {
      const lines = await call(ref, { deadlineMs: 15_000 }).lines();
      const all = new Map(said);
      for (const [i, key] of talkerKeys.entries()) all.set(`talker/${key}`, states[i]?.said[String(ref)] ?? 0);
      expect(wrong(String(ref), lines, all)).toEqual([]);
    }
  });

  it('take their state along however it is kept, asleep or awake, with timers, reminders, stash and answers', async () => {
    const n1 = nodes.node('n1');
    const [key, other] = keysIn(3, 2) as [string, string];
    const refs = [TallyT, LedgerT, BareTallyT].map(type => n1.ref(type, key) as Ref<Tally>);
    const drowsy = n1.ref(DrowsyT, key);
    await drowsy.add(5);
    expect(await call(drowsy, { opId: 'op-d' }).add(1)).toBe(6);
    for (const ref of refs) {
      await ref.add(7);
      expect(await call(ref, { opId: 'op-1' }).add(1)).toBe(8);
      await ref.remindMe('soon', 2_500);
      await ref.remindMe('late', 600_000);
      await ref.startTimer(50);
    }
    const stashing = n1.ref(TallyT, other);
    await stashing.add(1);
    const waiting = [
      call(stashing, { deadlineMs: 20_000 }).later('a', 0),
      call(stashing, { deadlineMs: 20_000 }).later('a', 1),
    ];
    for (let i = 0; i < 600; i++) tell(refs[1] as Ref<Tally>).take('many', i);
    await call(refs[1] as Ref<Tally>, { deadlineMs: 15_000 }).count();
    await until('it sleeps', async () => (await n1.locate(drowsy)).epoch === 0);
    const epochs = await Promise.all(refs.map(ref => ref.epoch()));
    await nodes.hand(3, 'n2');
    expect(await n1.locate(drowsy)).toMatchObject({ node: 'n2', epoch: 0 });
    const n3 = nodes.node('n3');
    for (const [i, ref] of refs.entries()) {
      const there = n3.ref([TallyT, LedgerT, BareTallyT][i] as typeof TallyT, key);
      expect(await n1.locate(ref)).toMatchObject({ node: 'n2' });
      expect(await ref.epoch()).toBeGreaterThan(epochs[i] as number);
      expect(await call(ref, { opId: 'op-1' }).add(1)).toBe(8);
      expect(await call(there, { opId: 'op-1' }).add(1)).toBe(8);
      expect(await there.add(1)).toBe(9);
      const ticks = async (): Promise<number> => (await there.fired()).filter(each => each === 'tick').length;
      const before = await ticks();
      await until('it ticks', async () => (await ticks()) > before + 1);
    }
    expect(await call(drowsy, { opId: 'op-d' }).add(1)).toBe(6);
    expect(await drowsy.add(1)).toBe(7);
    await n1.ref(TallyT, other).open();
    expect(await Promise.all(waiting)).toEqual([1, 2]);
    expect(await stashing.lines()).toEqual([
      ['a', 0, expect.anything()],
      ['a', 1, expect.anything()],
    ]);
    const lines = await (refs[1] as Ref<Tally>).lines();
    expect(lines.map(([, n]) => n)).toEqual(Array.from({ length: 600 }, (_, i) => i));
    await until('reminders have come', async () =>
      (await Promise.all(refs.map(ref => ref.fired()))).every(all => all.includes('soon')),
    );
    await nodes.hand(3, 'n3');
    await nodes.hand(3, 'n1');
    for (const ref of refs) {
      expect((await ref.fired()).filter(each => each === 'soon' || each === 'late')).toEqual(['soon']);
      expect(await ref.add(1)).toBe(10);
    }
    expect(await call(drowsy, { opId: 'op-d' }).add(1)).toBe(6);
  });

  it('that live elsewhere than the ring says are found by the new owner', async () => {
    const n1 = nodes.node('n1');
    const keys = keysIn(4, 4) as [string, string, string, string];
    const [between, onN3, onN2, home] = keys;
    for (const type of [TallyT, BareTallyT, LedgerT]) {
      for (const key of keys) await n1.ref(type, key).add(1);
      const other = threads > 0 && (await n1.locate(n1.ref(type, between))).thread === 1 ? 2 : 1;
      if (threads > 1) await n1.relocate(n1.ref(type, between), `n1/${other}`);
      await n1.relocate(n1.ref(type, onN3), 'n3');
      await n1.relocate(n1.ref(type, onN2), 'n2');
      await n1.relocate(n1.ref(type, home), 'n3');
      await n1.relocate(n1.ref(type, home), 'n1');
    }
    // Until its partition comes to where it is: from then on it goes along.
    const away = new Map([
      [onN3, 'n3'],
      [onN2, 'n2'],
    ]);
    const sum = async (to: string, expected: number): Promise<void> => {
      for (const type of [TallyT, BareTallyT, LedgerT])
        for (const key of keys) {
          for (const name of three) {
            const ref = nodes.node(name).ref(type, key);
            expect([to, name, String(ref), await call(ref, { deadlineMs: 10_000 }).add(0)]).toEqual([
              to,
              name,
              String(ref),
              expected,
            ]);
          }
          const { node } = await n1.locate(n1.ref(type, key));
          expect([to, type.type, key, node]).toEqual([to, type.type, key, away.get(key) ?? to]);
          await n1.ref(type, key).add(1);
        }
    };
    await sum('n1', 1);
    let expected = 1;
    for (const to of ['n2', 'n3', 'n1', 'n3', 'n2', 'n1']) {
      await nodes.hand(4, to);
      for (const [key, node] of away) if (node === to) away.delete(key);
      await sum(to, ++expected);
    }
    for (const type of [TallyT, BareTallyT, LedgerT])
      for (const key of keys) {
        await n1.relocate(n1.ref(type, key), 'n1');
        expect(await n1.ref(type, key).add(1)).toBe(expected + 2);
      }
    if (threads > 1) {
      for (const type of [TallyT, BareTallyT, LedgerT]) await n1.relocate(n1.ref(type, onN3), 'n1/2');
      await nodes.hand(4, 'n2');
      for (const type of [TallyT, BareTallyT, LedgerT]) expect(await n1.ref(type, onN3).add(1)).toBe(expected + 3);
    }
  });

  it('end once for everybody who watches them, wherever they are by then', async () => {
    const n1 = nodes.node('n1');
    const [a, b, c] = keysIn(5, 3) as [string, string, string];
    const watchers = three.map(name => nodes.node(name).ref(MournerT, `m-${name}`));
    for (const key of [a, b, c]) await n1.ref(TallyT, key).add(1);
    for (const [i, name] of three.entries())
      for (const key of [a, b]) await (watchers[i] as Ref<Mourner>).mourn(nodes.node(name).ref(TallyT, key));
    await nodes.hand(5, 'n2');
    await n1.ref(TallyT, a).end();
    const heard = (i: number): Promise<string[]> => (watchers[i] as Ref<Mourner>).heard();
    for (const i of [0, 1, 2]) await until(`n${i + 1} hears of ${a}`, async () => (await heard(i)).length === 1);
    for (const [i, name] of three.entries()) await (watchers[i] as Ref<Mourner>).mourn(nodes.node(name).ref(TallyT, c));
    for (const to of ['n3', 'n1', 'n2', 'n3']) await nodes.hand(5, to);
    for (const key of [b, c]) await nodes.node('n2').ref(TallyT, key).end();
    for (const i of [0, 1, 2]) {
      await until(`n${i + 1} hears of all`, async () => (await heard(i)).length >= 3);
      expect((await heard(i)).sort()).toEqual([a, b, c].map(key => `tally/${key} stopped`).sort());
    }
  });

  it('stay, and say why, while one of them cannot move', async () => {
    const n1 = nodes.node('n1');
    const [key] = keysIn(6, 1) as [string];
    const ref = n1.ref(TallyT, key);
    await ref.adopt();
    nodes.wish(6, 'n2');
    await until('it says that there are children', () => /1 live children/.test(nodes.status('n1', 6)?.why ?? ''));
    expect(nodes.owner(6)).toBe('n1');
    expect(await nodes.node('n3').ref(TallyT, key).add(1)).toBe(1);
    await ref.end();
    await nodes.arrived(6, 'n2');
    expect(await ref.add(1)).toBe(2);
    nodes.unwish(6);

    const id = await ref.startClosure(600_000);
    nodes.wish(6, 'n3');
    await until('it says that there is a closure', () => /timer with a closure/.test(nodes.status('n2', 6)?.why ?? ''));
    const reason = expect.stringMatching(/timer with a closure/);
    await until('it is to be tried again', () => nodes.describe('n2').retries.length > 0);
    expect(nodes.describe('n2')).toMatchObject({ failed: 1, retries: [{ partition: 6, why: reason }] });
    await ref.stopTimer(id);
    await nodes.arrived(6, 'n3');
    nodes.unwish(6);

    const mourner = n1.ref(RingMournerT, key);
    await mourner.mourn(n1.ref(TallyT, 'somebody'));
    nodes.wish(6, 'n1');
    await until('it says that there are watches', () => /watches 1 other/.test(nodes.status('n3', 6)?.why ?? ''));
    await mourner.end();
    await nodes.arrived(6, 'n1');
    expect(await ref.add(1)).toBe(3);
  });

  if (threads > 1)
    it('are found on the thread that they were moved to, asleep or awake, when it has come back', async () => {
      const n1 = nodes.node('n1');
      const [key] = keysIn(7, 1) as [string];
      const refs = [TallyT, LedgerT].map(type => n1.ref(type, key) as Ref<Tally>);
      for (const ref of refs) {
        await ref.add(5);
        await n1.relocate(ref, `n1/${(await n1.locate(ref)).thread === 1 ? 2 : 1}`);
      }
      for (const to of ['n1', 'n2', 'n1', 'n3', 'n1']) {
        await nodes.hand(7, to);
        for (const ref of refs) {
          await ref.end();
          expect([to, String(ref), await ref.add(0)]).toEqual([to, String(ref), 5]);
        }
      }
    });

  it('that hardly ever rest do not keep their partition, also on threads apart, and by way of another node', {
    timeout: 60_000,
  }, async () => {
    const n1 = nodes.node('n1');
    await nodes.hand(14, 'n2');
    const [key] = keysIn(8, 1) as [string];
    const [talker, mate, asker] = [n1.ref(TalkerT, key), n1.ref(BareTallyT, key), n1.ref(LedgerT, key)];
    const between = n1.ref(BareTallyT, keysIn(14, 1)[0] as string);
    await mate.add(0);
    // Its turns are all asks; what is told in them is held back, and must not be passed.
    await talker.begin(Array.from({ length: 20 }, () => mate as Ref<Tally>));
    if (threads > 1) await n1.relocate(mate, `n1/${(await n1.locate(talker)).thread === 1 ? 2 : 1}`);
    let on = true;
    const roundabout = (async () => {
      while (on) await call(asker, { deadlineMs: 15_000 }).through(between, mate as Ref<Tally>);
    })();
    for (const to of ['n2', 'n1', 'n3', 'n1']) await nodes.hand(8, to);
    on = false;
    await roundabout;
    const { said, troubles } = await call(talker, { deadlineMs: 20_000 }).end();
    expect(troubles).toEqual([]);
    const count = said[String(mate)] as number;
    expect(wrong(String(mate), await mate.lines(), new Map([[`talker/${key}`, count]]))).toEqual([]);
  });
});
