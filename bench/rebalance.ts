// What does the rebalancer win where the load lies on one thread, and what do its moves cost? To be run by hand, on a machine that does
// nothing else and has a core for each thread and one more:
//
//   node bench/rebalance.ts [--threads 2] [--seconds 20] [--slots 8] [--flight 8] [--service 200] [--json]
//
//     main ─ a tell, an ask, a tell, an ask, ... ─▶ `slots` actors, each in a slot of its own, all on thread 1 at first
//
// Twice, on fresh nodes: with the rebalancer off and on. Each message bears a number, and each actor keeps books: lost, doubled and
// reordered must be 0, or the run fails.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Node, type Ref, startNode, tell } from '../src/index.ts';
import { partitionOf } from '../src/runtime/partition.ts';
import { readArguments, readNumber } from './arguments.ts';
import { machineFacts } from './machine.ts';
import { type Worker, WorkerT } from './rebalance/actors.ts';
import { audit } from './relocation/ledger.ts';
import { percentile, Sampler, seededRandom } from './stats.ts';

const usage = `Usage: node bench/rebalance.ts [options]

  --threads <n>   host threads (default: 2)
  --seconds <n>   of each phase (default: 20); the second half is what counts
  --slots <n>     hot actors, each in a slot of its own (default: 8)
  --flight <n>    asks in flight to each of them (default: 4)
  --service <us>  what a message costs its thread (default: 200)
  --json          the results as JSON, and nothing else
  --help          this`;
const options = readArguments(usage, {
  threads: { type: 'string', default: '2' },
  seconds: { type: 'string', default: '20' },
  slots: { type: 'string', default: '8' },
  flight: { type: 'string', default: '4' },
  service: { type: 'string', default: '200' },
  json: { type: 'boolean', default: false },
});
const threads = readNumber('threads', options.threads);
const seconds = readNumber('seconds', options.seconds);
const slots = readNumber('slots', options.slots);
const flight = readNumber('flight', options.flight);
const service = readNumber('service', options.service);
const partitions = 64;
const say = (line: string): void => void (options.json || process.stdout.write(`${line}\n`));

interface Result {
  readonly rebalancer: 'off' | 'on';
  readonly asksPerSecond: number;
  readonly askP50Ms: number;
  readonly askP99Ms: number;
  readonly askMaxMs: number;
  readonly moves: number;
  readonly calledOff: number;
  readonly pauseP50Ms: number;
  readonly pauseP99Ms: number;
  readonly messages: number;
  readonly lost: number;
  readonly doubled: number;
  readonly reordered: number;
}

function hotOnes(node: Node): Ref<Worker>[] {
  const { table } = node.rebalancer.report();
  const hot: Ref<Worker>[] = [];
  const taken = new Set<number>();
  for (let i = 0; hot.length < slots; i++) {
    const slot = partitionOf(`w${i}`, partitions);
    if (table[slot] !== 1 || taken.has(slot)) continue;
    taken.add(slot);
    hot.push(node.ref(WorkerT, `w${i}`));
  }
  return hot;
}

async function phase(rebalancer: 'off' | 'on'): Promise<Result> {
  const dataDir = mkdtempSync(join(tmpdir(), 'troupe-bench-'));
  const node = await startNode({ threads, partitions, dataDir, rebalance: rebalancer === 'on', actors: [WorkerT] });
  try {
    const hot = hotOnes(node);
    const pauses: number[] = [];
    node.on('slot-moved', ({ pausedMs }) => pauses.push(pausedMs));
    const delays = new Sampler(seededRandom(1));
    const sent = new Map<string, number>();
    const began = performance.now();
    const half = began + seconds * 500;
    const end = began + seconds * 1_000;
    let answered = 0;
    let longest = 0;
    const send = async (ref: Ref<Worker>, name: string): Promise<void> => {
      let number = 0;
      for (let now = began; now < end; ) {
        const told = tell(ref).work(name, number++, service);
        if (told !== undefined) await told;
        const asked = performance.now();
        await ref.work(name, number++, service);
        now = performance.now();
        if (now < half) continue;
        answered++;
        longest = Math.max(longest, now - asked);
        delays.add(now - asked);
      }
      sent.set(`${ref.toString()} ${name}`, number);
    };
    await Promise.all(hot.flatMap(ref => Array.from({ length: flight }, (_, i) => send(ref, `s${i}`))));
    let [messages, lost, doubled, reordered] = [0, 0, 0, 0];
    for (const ref of hot) {
      const books = await ref.ledger();
      for (let i = 0; i < flight; i++) {
        const count = sent.get(`${ref.toString()} s${i}`) as number;
        const verdict = audit(books[`s${i}`], count);
        messages += count;
        lost += verdict.lost;
        doubled += verdict.doubled;
        reordered += verdict.reordered;
      }
    }
    const sorted = delays.sorted();
    const paused = Float64Array.from(pauses).sort();
    return {
      ...{ rebalancer, asksPerSecond: answered / (seconds / 2), askP50Ms: percentile(sorted, 0.5) },
      ...{ askP99Ms: percentile(sorted, 0.99), askMaxMs: longest, moves: pauses.length },
      calledOff: node.rebalancer.report().refused.length,
      pauseP50Ms: paused.length === 0 ? 0 : percentile(paused, 0.5),
      pauseP99Ms: paused.length === 0 ? 0 : percentile(paused, 0.99),
      ...{ messages, lost, doubled, reordered },
    };
  } finally {
    await node.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

const columns: readonly [string, (result: Result) => string][] = [
  ['rebalancer', each => each.rebalancer],
  ['asks/s', each => each.asksPerSecond.toFixed(0)],
  ['p50 ms', each => each.askP50Ms.toFixed(2)],
  ['p99 ms', each => each.askP99Ms.toFixed(2)],
  ['longest ms', each => each.askMaxMs.toFixed(1)],
  ['moves', each => String(each.moves)],
  ['called off', each => String(each.calledOff)],
  ['pause p50 ms', each => each.pauseP50Ms.toFixed(2)],
  ['pause p99 ms', each => each.pauseP99Ms.toFixed(2)],
  ['messages', each => String(each.messages)],
  ['lost', each => String(each.lost)],
  ['doubled', each => String(each.doubled)],
  ['reordered', each => String(each.reordered)],
];
const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

say(line(columns.map(([name]) => name)));
say(line(columns.map(() => '---')));
const results: Result[] = [];
for (const rebalancer of ['off', 'on'] as const) {
  const result = await phase(rebalancer);
  results.push(result);
  say(line(columns.map(([, cell]) => cell(result))));
}
if (options.json)
  process.stdout.write(
    `${JSON.stringify({ bench: 'rebalance', machine: machineFacts(), threads, seconds, slots, flight, service, results }, null, 2)}\n`,
  );
if (results.some(({ lost, doubled, reordered }) => lost + doubled + reordered > 0)) process.exitCode = 1;
