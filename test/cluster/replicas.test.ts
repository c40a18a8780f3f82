// Partitions that three processes keep: one is killed, or stopped for longer than its lease, under load; what it owned is served by the
// others, with all that was acknowledged, and what it says when it is back counts for nothing that the others do not agree to.

import { describe, it } from 'vitest';
import { until } from '../threads/until.ts';
import { BookOracle } from './book-oracle.ts';
import { Writers } from './book-writer.ts';
import { Processes, type ProcessNode } from './process-node.ts';

const names = ['n1', 'n2', 'n3'];
const minuteMs = 60_000;
/** A node that is lost is seen to be down after about 25 s. */
const patienceMs = 2 * minuteMs;

async function rig(late: readonly string[] = []) {
  const processes = new Processes();
  const there = names.filter(name => !late.includes(name));
  try {
    await processes.start(names, undefined, { replicas: 3, partitions: 16 }, late);
  } catch (error) {
    await processes[Symbol.asyncDispose]();
    throw error;
  }
  const node = (name: string): ProcessNode => processes.node(name);
  const replicas = async (name: string): Promise<any> =>
    ((await node(name).ask('describe')) as any).threads[0].router.gateway.replicas;
  await until('every partition is kept by all of them', async () => {
    const all = (await Promise.all(there.map(replicas))).flatMap(({ leading }) => leading);
    return all.length === 16 && all.every(({ groups }) => groups.length === 1 && groups[0].length === there.length);
  });
  const units: string[] = [];
  for (const type of ['book', 'diary'] as const) units.push(...(await processes.unitsOf('n2', type, 3)));
  const oracle = new BookOracle();
  const writers = new Writers(oracle);
  for (const unit of units) {
    writers.begin(node('n1'), unit, true);
    if (late.length === 0) writers.begin(node('n3'), unit, false);
  }
  const more = async (count: number): Promise<void> => {
    const enough = units.map(unit => [unit, oracle.acked(unit) + count] as const);
    await until(`${count} more lines`, () => enough.every(([unit, acked]) => oracle.acked(unit) >= acked), patienceMs);
  };
  const judge = async (by: string): Promise<string[]> => {
    await writers.end();
    const troubles = [...writers.troubles];
    for (const unit of units) troubles.push(...oracle.troubles(unit, await node(by).ask('read', unit)));
    return troubles;
  };
  const places = (by: string) => Promise.all(units.map(unit => node(by).ask('locate', unit)));
  return { processes, node, units, replicas, more, judge, places };
}

describe.concurrent('what three processes keep', () => {
  it(
    'is served by the others when its owner is killed, and nothing that was acknowledged is gone',
    async ({ expect }) => {
      const { processes, node, more, judge, places } = await rig();
      await using _ = processes;
      await more(20);
      const before = await places('n1');
      await node('n1').ask('put', 'kept key', 'kept value');
      await node('n2').kill();
      await more(50);
      const after = await places('n1');
      for (const [at, { node: where, epoch }] of after.entries()) {
        expect(where).not.toBe('n2');
        expect(epoch).toBeGreaterThan(before[at]?.epoch as number);
      }
      expect(await node('n3').ask('get', 'kept key')).toEqual(['kept value']);
      await node('n2').start();
      await more(20);
      await until('n2 says where they are', async () => {
        const seen = await places('n2').catch(() => []);
        return seen.length > 0 && seen.every(({ node: where }, at) => where === after[at]?.node);
      });
      expect(await judge('n2')).toEqual([]);
    },
    4 * minuteMs,
  );

  it(
    'is kept by two before the third is there, and nothing is gone when the owner never comes back',
    async ({ expect }) => {
      const { processes, node, replicas, more, judge } = await rig(['n3']);
      await using _ = processes;
      expect((await replicas('n1')).copies).toMatchObject({ asked: 3 });
      await more(20);
      await node('n2').kill();
      await node('n3').start();
      await node('n3').ask('ready');
      await more(50);
      let last = '';
      await until(
        () => `n1 and n3 have what n2 owned: ${last}`,
        async () => {
          const both = (await Promise.all(['n1', 'n3'].map(replicas))).flatMap(({ leading }) => leading);
          last = JSON.stringify(both);
          return both.length === 16 && both.every(({ copies }) => copies === 2);
        },
        patienceMs,
      );
      expect(await judge('n3')).toEqual([]);
    },
    4 * minuteMs,
  );

  it(
    'is served by the others when its owner stands still for longer than its lease, which is fenced when it goes on',
    async ({ expect }) => {
      const { processes, node, units, replicas, more, judge, places } = await rig();
      await using _ = processes;
      await more(20);
      node('n2').signal('SIGSTOP');
      let last = '';
      await until(
        () => `the others serve what it owned: ${last}`,
        async () => {
          const both = [await replicas('n1'), await replicas('n3')];
          last = JSON.stringify(both);
          return both.flatMap(({ leading }) => leading).length === 16;
        },
        patienceMs,
      );
      await more(50);
      // Its own users ask while it wakes up: they are answered by whoever owns it, or not at all.
      const asked = units.map(unit =>
        node('n2')
          .ask('read', unit)
          .catch(error => error),
      );
      node('n2').signal('SIGCONT');
      const told = await Promise.all(asked);
      for (const each of told)
        if (Array.isArray(each)) expect(each.length).toBeGreaterThanOrEqual(70);
        else expect(['FENCED', 'OVERLOADED', 'DEADLINE', 'UNKNOWN_OUTCOME'], each.message).toContain(each.code);
      await more(20);
      await until('n2 has heard of it', async () => (await replicas('n2')).deposed >= 1);
      for (const { node: where } of await places('n2')) expect(where).not.toBe('n2');
      expect(await judge('n2')).toEqual([]);
    },
    4 * minuteMs,
  );
});
