// Nodes in processes of their own on loopback: killed under load, stopped and continued, cut off from each other, and actors that
// move between them all the while. What was acknowledged is there, once, in order; what was refused is not.

import { describe, expect, it } from 'vitest';
import { randomFrom } from '../../src/doors/tour/random.ts';
import { until } from '../threads/until.ts';
import { BookOracle } from './book-oracle.ts';
import { Writers } from './book-writer.ts';
import { FaultProxy } from './fault-proxy.ts';
import { Processes, type ProcessNode, type Way } from './process-node.ts';

const names = ['n1', 'n2', 'n3'];
const minuteMs = 60_000;

/** Three nodes, and a book and a diary that are at home on each. */
async function rig(way?: Way) {
  const processes = new Processes();
  try {
    await processes.start(names, way);
  } catch (error) {
    await processes[Symbol.asyncDispose]();
    throw error;
  }
  const node = (name: string) => processes.node(name);
  const units: Record<string, string[]> = {};
  for (const name of names)
    units[name] = [...(await processes.unitsOf(name, 'book', 1)), ...(await processes.unitsOf(name, 'diary', 1))];
  const unitsOf = (name: string): string[] => units[name] as string[];
  const oracle = new BookOracle();
  const writers = new Writers(oracle);
  /**
   * Everybody writes to everything. One sender of each unit insists on its lines, and no more: an actor keeps its last 256 answers, and
   * others that went on while one was cut off would take the place of its.
   */
  const load = (senders: readonly string[]): void => {
    for (const [at, to] of names.entries())
      for (const unit of unitsOf(to)) {
        for (const from of senders) writers.begin(node(from), unit, false);
        writers.begin(node(names[(at + 1) % names.length] as string), unit, true);
      }
  };
  /** So many more lines of each of these units are acknowledged. */
  const more = async (count: number, ...wanted: string[]): Promise<void> => {
    const enough = wanted.map(unit => [unit, oracle.acked(unit) + count] as const);
    await until(`${count} more lines of ${wanted}`, () => enough.every(([unit, acked]) => oracle.acked(unit) >= acked));
  };
  const status = async (of: string, by: string): Promise<string | undefined> =>
    (await node(by).ask('members')).find(({ name }) => name === of)?.status;
  /** Ends the load; everything that can be wrong. */
  const judge = async (): Promise<string[]> => {
    await writers.end();
    const troubles = [...writers.troubles];
    for (const unit of oracle.units()) troubles.push(...oracle.troubles(unit, await node('n1').ask('read', unit)));
    return troubles;
  };
  return { processes, node, unitsOf, writers, load, more, status, judge };
}

describe('a process that is killed under load', () => {
  it(
    'refuses or leaves unknown, none hangs; the others go on; started again it has what it acknowledged',
    async () => {
      const { processes, node, unitsOf, writers, load, more, judge } = await rig();
      await using _ = processes;
      load(['n1', 'n3']);
      const puts = new Map<string, number | string>();
      let over = false;
      let next = 0;
      const putting = Array.from({ length: 8 }, async () => {
        while (!over) {
          const n = next++;
          const put = node('n1').ask('put', `key-${n}`, n);
          const ended = await put.then(
            () => n,
            error => error.outcome as string,
          );
          puts.set(`key-${n}`, ended);
        }
      });
      await more(50, ...names.flatMap(unitsOf));
      await node('n2').kill();
      await more(100, ...unitsOf('n1'), ...unitsOf('n3'));
      await until('a refusal', () =>
        names.every(() => unitsOf('n2').every(unit => writers.failures(node('n1'), unit) > 0)),
      );
      for (const name of ['n1', 'n3'])
        for (const unit of [...unitsOf('n1'), ...unitsOf('n3')]) expect(writers.failures(node(name), unit)).toBe(0);
      await node('n2').start();
      await more(50, ...names.flatMap(unitsOf));
      over = true;
      await Promise.all(putting);
      expect(await judge()).toEqual([]);
      for (const [key, fate] of puts) {
        const values = await node('n3').ask('get', key);
        if (typeof fate === 'number') expect([key, values]).toEqual([key, [fate]]);
        else expect(values.length).toBeLessThanOrEqual(fate === 'failed' ? 0 : 1);
      }
      expect([...puts.values()].filter(fate => typeof fate === 'number').length).toBeGreaterThan(50);
    },
    minuteMs,
  );
});

describe.concurrent('processes', () => {
  it(
    'stopped for longer than suspicion: it is seen down, comes back, and nothing was done twice',
    async ({ expect }) => {
      const { processes, node, unitsOf, writers, load, more, status, judge } = await rig();
      await using _ = processes;
      load(['n1', 'n3']);
      await more(20, ...names.flatMap(unitsOf));
      node('n2').signal('SIGSTOP');
      await until('n2 is suspect', async () => (await status('n2', 'n1')) !== 'up');
      await until(
        'n2 is down',
        async () => (await status('n2', 'n1')) === 'down' && (await status('n2', 'n3')) === 'down',
      );
      await more(100, ...unitsOf('n1'), ...unitsOf('n3'));
      for (const unit of unitsOf('n2')) expect(writers.failures(node('n1'), unit)).toBeGreaterThan(0);
      for (const unit of unitsOf('n3')) expect(writers.failures(node('n1'), unit)).toBe(0);
      node('n2').signal('SIGCONT');
      for (const [of, by] of [
        ['n2', 'n1'],
        ['n2', 'n3'],
        ['n1', 'n2'],
        ['n3', 'n2'],
      ] as const)
        await until(`${of} is up for ${by}`, async () => (await status(of, by)) === 'up');
      await more(20, ...names.flatMap(unitsOf));
      expect(await judge()).toEqual([]);
    },
    2 * minuteMs,
  );

  it(
    'cut off one way, then both ways: asks between the two fail, all others go on, and it heals',
    async ({ expect }) => {
      await using proxy = new FaultProxy();
      const { processes, node, unitsOf, writers, load, more, judge } = await rig((...way) => proxy.way(...way));
      await using _ = processes;
      load(names);
      const all = names.flatMap(unitsOf);
      const failures = (from: string, to: string): number =>
        Math.min(...unitsOf(to).map(unit => writers.failures(node(from), unit)));
      for (const cuts of [
        [['n1', 'n2']],
        [
          ['n1', 'n2'],
          ['n2', 'n1'],
        ],
      ] as const) {
        await more(20, ...all);
        const there = failures('n1', 'n2') + 3;
        const back = failures('n2', 'n1') + 3;
        for (const [from, to] of cuts) proxy.cut(from, to);
        // With a deadline of 3 s each: by then the silence has become longer than a connection is kept (silenceMs).
        await until('asks between n1 and n2 fail', () => failures('n1', 'n2') >= there && failures('n2', 'n1') >= back);
        await more(50, ...all);
        proxy.heal();
        for (const unit of all) expect(writers.failures(node('n3'), unit)).toBe(0);
        await until('n1 and n2 reach each other', async () => {
          const asked = [
            node('n1').ask('read', unitsOf('n2')[0] as string),
            node('n2').ask('read', unitsOf('n1')[0] as string),
          ];
          return (await Promise.allSettled(asked)).every(each => each.status === 'fulfilled');
        });
      }
      proxy.reset();
      await more(100, ...all);
      expect(await judge()).toEqual([]);
    },
    2 * minuteMs,
  );

  const seed = 20_261_129;
  const rounds = 4;
  it(
    `between which actors move under load, killed in the middle of it: nothing lost, doubled or reordered, seed ${seed}`,
    async ({ expect }) => {
      const { processes, node, unitsOf, load, more, judge } = await rig();
      await using _ = processes;
      const random = randomFrom(seed);
      const pick = <T>(from: readonly T[]): T => from[random.below(from.length)] as T;
      load(names);
      const all = names.flatMap(unitsOf);
      const at = async (unit: string): Promise<string> => (await node('n1').ask('locate', unit)).node;
      const killed: string[] = [];
      for (let round = 0; round < rounds; round++) {
        // Undisturbed: these arrive.
        for (const unit of all) await arrive(node('n1'), unit, pick(names.filter(name => name !== 'n1')));
        await more(5, ...all);
        const unit = pick(all);
        const from = await at(unit);
        const to = pick(names.filter(name => name !== from));
        const victim = pick([from, to]);
        const moving = node(pick(names))
          .ask('relocate', unit, to)
          .then(
            () => undefined,
            () => undefined,
          );
        // A moment in the middle of the move, or a little after it: both must hold.
        await new Promise(resolve => setTimeout(resolve, random.below(60)));
        await node(victim).kill();
        killed.push(victim);
        await moving;
        await node(victim).start();
        await more(5, ...all);
      }
      for (const unit of all) {
        const places = await Promise.all(names.map(name => node(name).ask('locate', unit)));
        expect(places).toEqual(names.map(() => places[0]));
      }
      expect(await judge()).toEqual([]);
      expect(killed).toHaveLength(rounds);
    },
    2 * minuteMs,
  );
});

/** A move that may be refused for now, until it is done. */
async function arrive(by: ProcessNode, unit: string, to: string): Promise<void> {
  await until(`${unit} is on ${to}`, () =>
    by.ask('relocate', unit, to).then(
      () => true,
      error => {
        if (['OVERLOADED', 'DEADLINE', 'UNKNOWN_OUTCOME'].includes(error.code)) return false;
        throw error;
      },
    ),
  );
}
