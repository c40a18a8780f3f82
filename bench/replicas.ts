// What do copies of partitions on other nodes cost a write, and how long is a partition without anybody when its owner is killed? To be
// run by hand, on a machine that does nothing else:
//
//   node bench/replicas.ts [--count 4000] [--rounds 3] [--kills 3] [--json]
//
//     n1 writes to counters that are stored before they answer, on three processes, each partition kept by one node, then by three
//     n2 is killed: n1 goes on trying until one that n2 had is acknowledged by another; then all that was acknowledged is counted
//
// A run fails when one acknowledged write is not there.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../src/doors/tour/free-ports.ts';
import { Member } from '../src/doors/tour/member.ts';
import { readArguments, readNumber } from './arguments.ts';
import { machineFacts } from './machine.ts';
import type { BenchCommands } from './replicas/node.ts';
import { percentile } from './stats.ts';

const usage = `Usage: node bench/replicas.ts [options]

  --count <n>    writes of each measurement (default: 4000)
  --rounds <n>   of each; the median counts (default: 3)
  --kills <n>    of the owner, each on fresh nodes (default: 3)
  --json         the results as JSON, and nothing else
  --help         this`;
const options = readArguments(usage, {
  count: { type: 'string', default: '4000' },
  rounds: { type: 'string', default: '3' },
  kills: { type: 'string', default: '3' },
  json: { type: 'boolean', default: false },
});
const count = readNumber('count', options.count);
const rounds = readNumber('rounds', options.rounds);
const kills = readNumber('kills', options.kills);
const names = ['n1', 'n2', 'n3'];
const flights = [1, 64];
const say = (line: string): void => void (options.json || process.stdout.write(`${line}\n`));

async function withNodes<T>(
  replicas: number,
  work: (node: (name: string) => Member<BenchCommands>, keys: string[]) => Promise<T>,
): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), 'troupe-replicas-'));
  const ports = await freePorts(names.length);
  const nodes = new Map<string, Member<BenchCommands>>();
  for (const [at, name] of names.entries()) {
    const join_ = ports.filter((_, other) => other !== at).map(port => `127.0.0.1:${port}`);
    const task = {
      name,
      listen: `127.0.0.1:${ports[at]}`,
      join: join_,
      dataDir: join(dir, name),
      threads: 0,
      replicas,
    };
    nodes.set(name, new Member(name, join(import.meta.dirname, 'replicas/node.ts'), task));
  }
  const node = (name: string): Member<BenchCommands> => nodes.get(name) as Member<BenchCommands>;
  try {
    await Promise.all(names.map(name => node(name).start()));
    const since = performance.now();
    while (replicas > 1 && !(await areKept(node))) {
      if (performance.now() - since > 120_000)
        throw new Error(`after 120 s not every partition is kept by ${replicas}`);
      await new Promise(resolve => setTimeout(resolve, 50));
    }
    return await work(
      node,
      Array.from({ length: 96 }, (_, n) => `k${n}`),
    );
  } finally {
    await Promise.all([...nodes.values()].map(each => each.kill()));
    rmSync(dir, { recursive: true, force: true });
  }
}

async function areKept(node: (name: string) => Member<BenchCommands>): Promise<boolean> {
  const all = (await Promise.all(names.map(name => node(name).ask('replicas')))).flatMap(each => each.leading);
  return all.length === 64 && all.every(({ groups }) => groups.length === 1 && groups[0].length === 3);
}

const sorted = (values: readonly number[]): Float64Array => Float64Array.from(values).sort();
const median = (values: readonly number[]): number => percentile(sorted(values), 0.5);

interface Row {
  readonly replicas: number;
  readonly inFlight: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const measured = new Map<string, { rates: number[]; took: number[] }>();
// In turns: a machine that drifts drifts for both.
for (let round = 0; round < rounds; round++)
  for (const replicas of round % 2 === 0 ? [1, 3] : [3, 1])
    await withNodes(replicas, async (node, keys) => {
      await node('n1').ask('write', keys, count / 4, 64);
      for (const flight of flights) {
        const { took, ms } = await node('n1').ask('write', keys, flight === 1 ? count / 4 : count, flight);
        const id = `${replicas} ${flight}`;
        const all = measured.get(id) ?? { rates: [], took: [] };
        measured.set(id, all);
        all.rates.push((took.length * 1_000) / ms);
        all.took.push(...took);
      }
      const written = count / 4 + flights.reduce((sum, flight) => sum + (flight === 1 ? count / 4 : count), 0);
      const there = await node('n2').ask('sum', keys);
      if (there !== written) throw new Error(`${written} writes were acknowledged, and ${there} are there`);
      say(`round ${round + 1}, kept by ${replicas}: all ${written} writes are there`);
    });
const rows = [...measured].map(([id, { rates, took }]): Row => {
  const [replicas, inFlight] = id.split(' ').map(Number) as [number, number];
  const all = sorted(took);
  return { replicas, inFlight, perSecond: median(rates), p50Ms: percentile(all, 0.5), p99Ms: percentile(all, 0.99) };
});
rows.sort((a, b) => a.inFlight - b.inFlight || a.replicas - b.replicas);

const outages: number[] = [];
for (let kill = 0; kill < kills; kill++)
  await withNodes(3, async (node, keys) => {
    const own: string[] = [];
    for (const key of keys) if ((await node('n1').ask('owner', key)) === 'n2') own.push(key);
    const { took } = await node('n1').ask('write', own, count / 4, 16);
    await node('n2').kill();
    outages.push(await node('n1').ask('insist', own[0] as string));
    for (const key of own.slice(1)) await node('n1').ask('insist', key);
    // An ask that ran and was not answered in time is there as well.
    const there = await node('n3').ask('sum', own);
    const acked = took.length + own.length;
    if (there < acked) throw new Error(`${acked} writes were acknowledged, and ${there} are there`);
    say(`kill ${kill + 1}: served by another after ${(outages.at(-1) as number).toFixed(0)} ms, nothing is gone`);
  });

const result = { machine: machineFacts(), count, rounds, rows, outagesMs: outages };
const cells = (row: Row): string =>
  `| ${row.replicas} | ${row.inFlight} | ${row.perSecond.toFixed(0)} | ${row.p50Ms.toFixed(2)} | ${row.p99Ms.toFixed(2)} |`;
const table = [
  '# Copies of partitions',
  '',
  `Writes to actors with persist: 'snapshot' on three processes, threads: 0, loopback, one disk; medians of ${rounds} rounds. \`node bench/replicas.ts\`.`,
  '',
  '| kept by | in flight | writes/s | p50 ms | p99 ms |',
  '| ------: | --------: | -------: | -----: | -----: |',
  ...rows.map(cells),
  '',
  `The owner is killed: a write to what it had is acknowledged again after ${outages.map(ms => (ms / 1_000).toFixed(1)).join(', ')} s; nothing that was acknowledged is gone.`,
  '',
].join('\n');
if (options.json) console.log(JSON.stringify(result));
else console.log(table);
const results = new URL('./results/', import.meta.url);
writeFileSync(new URL('replicas.json', results), `${JSON.stringify(result, null, 2)}\n`);
writeFileSync(new URL('replicas.md', results), table);
