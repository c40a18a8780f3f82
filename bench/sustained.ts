// Does a store keep up? To be run by hand, on a machine that does nothing else (DESIGN.md section 10, "sustained for ten minutes"):
//
//   node bench/sustained.ts [--minutes 10] [--rate 70] [--peer redis,level] [--keys 1000000] [--threads auto] [--json]
//
// First a closed loop, 64 in flight, finds the peak of durable puts of 1 KiB at random keys. Then an open loop puts at --rate
// percent of it, and every ten seconds says what it saw: rates, latencies, the longest time in which nothing was acknowledged
// (wanted: none above 50 ms), what waits behind the writers, disk and memory. At the end some keys are read back.
//
// Ours is a node with its store, one replica, ack 'flushed'; peers as in the store bench: Redis `appendfsync always`, LevelDB sync.
// Each runs alone, in a process of its own, one after the other: peers first, so that what ours leaves to the disk does not burden them.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { readArguments, readNumber, readWord } from './arguments.ts';
import { seed } from './harness.ts';
import { machineFacts } from './machine.ts';
import { anonymousBytes, bytesOnDisk } from './proc.ts';
import { seededRandom } from './stats.ts';
import { emptyFolder, type StoreSide } from './store/side.ts';
import { Steady, stallMsMax, type WindowTally } from './sustained/steady.ts';

export interface SustainOptions {
  readonly minutes: number;
  /** Percent of the peak. */
  readonly rate: number;
  readonly keys: number;
  readonly inFlight: number;
  readonly peakMs: number;
  readonly windowMs: number;
  readonly readBack: number;
}

/** What waits behind the writers, as ours says. */
interface Backlog {
  /** Segments of the log that no run has yet; of all that there may be. */
  readonly slots: string;
  readonly runs: number;
  readonly flushes: number;
  readonly merges: number;
  /** Times a writer had to wait for a slot. */
  readonly waits: number;
  readonly trouble: string | null;
}

interface Told extends WindowTally {
  readonly atSeconds: number;
  readonly bytesOnDisk: number;
  readonly anonymousBytes: number;
  readonly backlog?: Backlog;
}

export interface Sustained {
  readonly name: string;
  readonly peak: number;
  readonly perSecond: number;
  readonly windows: readonly Told[];
  readonly whole: WindowTally;
  readonly readBack: { readonly checked: number; readonly lost: number; readonly older: number };
}

const threadsOf = (text: string): 'auto' | number => (text === 'auto' ? 'auto' : Number(text));

export const sides: Readonly<Record<string, (threads: string) => Promise<StoreSide>>> = {
  troupe: async threads => (await import('./store/ours.ts')).troupeSide('flushed', threadsOf(threads)),
  redis: async () => (await import('./store/redis.ts')).redisSide('always'),
  level: async () => (await import('./store/level.ts')).levelSide(true),
};

export async function sustain(
  name: string,
  side: StoreSide,
  options: SustainOptions,
  say: (line: string) => void,
): Promise<Sustained> {
  const folder = emptyFolder();
  try {
    await side.open(folder);
    const steady = new Steady(side, options.keys, seededRandom(seed));
    await steady.peak(options.inFlight, options.peakMs / 4);
    const peak = await steady.peak(options.inFlight, options.peakMs);
    const perSecond = (peak * options.rate) / 100;
    say(
      `\n${name}: peak ${peak.toFixed(0)}/s, ${options.inFlight} in flight; from here on ${perSecond.toFixed(0)}/s\n`,
    );
    say(headings);
    const began = performance.now();
    const windows: Told[] = [];
    const whole = await steady.hold(
      perSecond,
      { ms: options.minutes * 60_000, windowMs: options.windowMs },
      async tally => {
        const atSeconds = (performance.now() - began) / 1_000;
        const told: Told = {
          atSeconds,
          ...tally,
          bytesOnDisk: bytesOnDisk(folder),
          anonymousBytes: anonymousBytes(side.pid?.() ?? 'self'),
          ...backlogOf(await side.describe?.()),
        };
        windows.push(told);
        say(line(told));
      },
    );
    const readBack = await steady.readBack(options.readBack);
    say(summary(whole, readBack));
    return { name, peak, perSecond, windows, whole, readBack };
  } finally {
    await side.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** From node.describe(): slots and upkeep are the node's and stand with the first thread; each thread has its own log. */
function backlogOf(described: Record<string, unknown> | undefined): { backlog?: Backlog } {
  if (described === undefined) return {};
  interface Storage {
    readonly log: { readonly slots: readonly number[]; readonly waits: number };
    readonly upkeep?: {
      readonly runs: number;
      readonly flushes: number;
      readonly merges: number;
      readonly trouble: string;
    };
  }
  const threads = (described.threads as { storage?: Storage }[]).flatMap(({ storage }) => storage ?? []);
  const [first] = threads;
  if (first?.upkeep === undefined) return {};
  const { runs, flushes, merges, trouble } = first.upkeep;
  const { slots } = first.log;
  const waits = threads.reduce((sum, { log }) => sum + log.waits, 0);
  const used = slots.filter(state => state !== 0).length;
  return { backlog: { slots: `${used}/${slots.length}`, runs, flushes, merges, waits, trouble } };
}

const columns: readonly (readonly [heading: string, show: (told: Told) => string])[] = [
  ['s', ({ atSeconds }) => atSeconds.toFixed(0)],
  ['due/s', ({ due, seconds }) => (due / seconds).toFixed(0)],
  ['acked/s', ({ acknowledged, seconds }) => (acknowledged / seconds).toFixed(0)],
  ['p50 ms', ({ p50Ms }) => p50Ms.toFixed(2)],
  ['p99 ms', ({ p99Ms }) => p99Ms.toFixed(2)],
  ['max ms', ({ maxMs }) => maxMs.toFixed(1)],
  ['stall ms', ({ longestStallMs }) => longestStallMs.toFixed(1)],
  ['stalls', ({ stalls }) => String(stalls)],
  ['loop ms', ({ loopMs }) => loopMs.toFixed(1)],
  ['under way', ({ underWay }) => String(underWay)],
  ['slots', ({ backlog }) => backlog?.slots ?? '-'],
  ['runs', ({ backlog }) => String(backlog?.runs ?? '-')],
  ['flushes', ({ backlog }) => String(backlog?.flushes ?? '-')],
  ['merges', ({ backlog }) => String(backlog?.merges ?? '-')],
  ['waits', ({ backlog }) => String(backlog?.waits ?? '-')],
  ['disk MiB', told => (told.bytesOnDisk / 2 ** 20).toFixed(0)],
  ['anon MiB', told => (told.anonymousBytes / 2 ** 20).toFixed(0)],
];
const headings: string = columns.map(([heading]) => heading.padStart(9)).join('');
const refusals = (refused: Readonly<Record<string, number>>): string =>
  Object.entries(refused)
    .map(([code, count]) => `  ${code} ${count}`)
    .join('');
const line = (told: Told): string =>
  columns.map(([, show]) => show(told).padStart(9)).join('') +
  refusals(told.refused) +
  (told.backlog?.trouble ? `  trouble: ${told.backlog.trouble}` : '');

function summary(whole: WindowTally, { checked, lost, older }: Sustained['readBack']): string {
  const { acknowledged, seconds, p50Ms, p99Ms, maxMs, longestStallMs, stalls, refused } = whole;
  return [
    `\n${(acknowledged / seconds).toFixed(0)} acknowledged a second for ${seconds.toFixed(0)} s;`,
    `p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms, max ${maxMs.toFixed(1)} ms;`,
    `longest stall ${longestStallMs.toFixed(1)} ms, ${stalls} above ${stallMsMax} ms (wanted: none);`,
    `refused:${refusals(refused) || ' none'}; read back ${checked}: ${lost} lost, ${older} older than acknowledged`,
  ].join(' ');
}

/** A process of its own for each, so that the memory of one is not counted with another's. */
async function sustainElsewhere(name: string, settings: readonly string[]): Promise<Sustained> {
  const args = [import.meta.filename, ...settings, '--only', name, '--json'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const kill = (): void => void child.kill();
  process.once('exit', kill);
  const ended = once(child, 'exit');
  const pieces: string[] = [];
  for await (const piece of child.stdout) pieces.push(String(piece));
  const [code] = await ended;
  process.off('exit', kill);
  if (code !== 0 && code !== 3) throw new Error(`${name} ended with ${code}`);
  return JSON.parse(pieces.join('')) as Sustained;
}

const usage = `Usage: node bench/sustained.ts [options]

  --minutes <n>    of the open loop (default: 10)
  --rate <%>       of the peak that is put (default: 70)
  --peer <a,b>     peers to measure first: ${Object.keys(sides).join(', ')}
  --keys <n>       how many there are (default: 1000000)
  --threads <n>    of our node (default: auto)
  --peak <s>       seconds of the closed loop that finds the peak, after a quarter of that to warm up (default: 20)
  --only <name>    one of them, in this process
  --json           the results as JSON
  --help           this`;

async function main(): Promise<number> {
  const values = readArguments(usage, {
    minutes: { type: 'string', default: '10' },
    rate: { type: 'string', default: '70' },
    peer: { type: 'string', default: '' },
    keys: { type: 'string', default: '1000000' },
    threads: { type: 'string', default: 'auto' },
    peak: { type: 'string', default: '20' },
    json: { type: 'boolean', default: false },
    only: { type: 'string' },
  });
  const peers = values.peer.split(',').filter(Boolean);
  const names = (values.only === undefined ? [...peers, 'troupe'] : [values.only]).map(name =>
    readWord('peer', name, Object.keys(sides)),
  );
  const options: SustainOptions = {
    minutes: readNumber('minutes', values.minutes, { fraction: true }),
    rate: readNumber('rate', values.rate, { fraction: true }),
    keys: readNumber('keys', values.keys),
    inFlight: 64,
    peakMs: readNumber('peak', values.peak, { fraction: true }) * 1_000,
    windowMs: 10_000,
    readBack: 10_000,
  };
  // Lines go to stderr: stdout is for the JSON.
  const say = (text: string): void => void process.stderr.write(`${text}\n`);
  if (values.only !== undefined) {
    const make = sides[values.only] as (threads: string) => Promise<StoreSide>;
    const result = await sustain(values.only, await make(values.threads), options, say);
    process.stdout.write(`${JSON.stringify(result)}\n`);
    return result.readBack.lost > 0 ? 3 : 0;
  }
  const machine = machineFacts();
  const { minutes, rate, keys, threads, peak } = values;
  const settings = Object.entries({ minutes, rate, keys, threads, peak }).map(([name, value]) => `--${name}=${value}`);
  const results: Sustained[] = [];
  for (const name of names) results.push(await sustainElsewhere(name, settings));
  if (values.json) process.stdout.write(`${JSON.stringify({ machine, options, results }, null, 2)}\n`);
  return results.some(({ readBack }) => readBack.lost > 0) ? 3 : 0;
}

if (import.meta.main) process.exitCode = await main();
