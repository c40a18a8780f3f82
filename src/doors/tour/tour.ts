// The tour itself: its parts in order, what each of them must have shown, and one report in the end.
//
//   load ─▶ restart ─▶ read by key, read by scan ─▶ flush a few ─▶ kill a loader, 4 times ─▶ move a busy actor ─▶ three processes ─▶ report
//
// Invariant: `ok` is true only if every part ran to its end and found nothing wrong.

import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { type Node, startNode } from '../../index.ts';
import { LedgerT, SourceT } from './actors.ts';
import { type City, findCities, readCities, sampleOf } from './cities.ts';
import { type ClusterReport, runCluster } from './cluster.ts';
import { type CrashReport, crashAgainAndAgain } from './crash.ts';
import type { Home } from './home.ts';
import type { Rate } from './in-flight.ts';
import { allNumbers, checkByKey, checkByScan, putAll, putFlushed, wrongCount } from './load.ts';
import { type MoveReport, moveUnderTraffic } from './move.ts';
import { randomFrom } from './random.ts';
import type { TourOptions } from './tour-options.ts';
import { grouped, type View } from './view.ts';

export interface TourReport {
  ok: boolean;
  interrupted: boolean;
  readonly problems: string[];
  readonly quick: boolean;
  readonly seed: number;
  readonly node: string;
  readonly cores: number;
  readonly threads: number;
  readonly dataDir: string;
  readonly kept: boolean;
  cities: number;
  put?: Rate;
  flushed?: Rate;
  get?: Rate;
  scan?: { readonly count: number; readonly perSecond: number };
  crash?: Omit<CrashReport, 'problems'>;
  move?: Omit<MoveReport, 'problems'>;
  cluster?: ClusterReport;
  tookMs: number;
}

/** How much of everything. */
interface Size {
  readonly flushed: number;
  readonly kills: number;
  readonly killAfter: readonly [min: number, max: number];
  readonly moves: number;
  readonly cluster: { readonly count: number; readonly offered: number; readonly rounds: number };
}

const full: Size = {
  flushed: 2_000,
  kills: 4,
  killAfter: [2_000, 8_000],
  moves: 100,
  cluster: { count: 60_000, offered: 4_000, rounds: 3 },
};
const quick: Size = {
  flushed: 100,
  kills: 1,
  killAfter: [200, 600],
  moves: 10,
  cluster: { count: 1_000, offered: 600, rounds: 1 },
};
const storeName = 'cities';

interface Tour {
  readonly options: TourOptions;
  readonly size: Size;
  readonly home: Home;
  readonly cities: readonly City[];
  readonly citiesFile: string;
  readonly view: View;
  readonly signal: AbortSignal;
  readonly report: TourReport;
}

/** Never rejects for what the tour finds: that is in the report. Throws NoCities before anything has begun. */
export async function runTour(options: TourOptions, home: Home, view: View, signal: AbortSignal): Promise<TourReport> {
  const began = performance.now();
  const citiesFile = options.cities ?? findCities();
  const all = readCities(citiesFile);
  const cities = options.quick ? sampleOf(all) : all;
  const report: TourReport = {
    ok: false,
    interrupted: false,
    problems: [],
    quick: options.quick,
    seed: options.seed ?? Math.floor(Math.random() * 2 ** 32),
    node: process.version,
    cores: availableParallelism(),
    threads: options.threads ?? Math.max(2, availableParallelism() - 1),
    dataDir: home.dir,
    kept: home.keeps,
    cities: cities.length,
    tookMs: 0,
  };
  const size = options.quick ? quick : full;
  const tour: Tour = { options, size, home, cities, citiesFile, view, signal, report };
  view.say(introduction(report));
  try {
    await storeAndRead(tour);
    await killLoaders(tour);
    await moveAround(tour);
    await manyProcesses(tour);
    report.ok = report.problems.length === 0;
  } catch (error) {
    report.interrupted = signal.aborted;
    report.problems.push(
      signal.aborted ? 'interrupted' : `the tour could not go on: ${(error as Error).message ?? error}`,
    );
  }
  report.tookMs = Math.round(performance.now() - began);
  return report;
}

async function storeAndRead(tour: Tour): Promise<void> {
  const { cities, view, signal, report, size } = tour;
  const dataDir = join(tour.home.dir, 'load');
  const count = cities.length;
  await withNode(tour, dataDir, async node => {
    view.step('Loading the cities');
    const put = await putAll({ store: await node.store(storeName), cities, view, signal });
    report.put = put.rate;
    view.held(true, `${grouped(count)} cities written, each acknowledged once it survives the process (committed)`);
  });
  await withNode(tour, dataDir, async node => {
    const work = { store: await node.store(storeName), cities, view, signal };
    view.step('Reading them back after a restart');
    const byKey = await checkByKey(work, 'reading back', allNumbers(count));
    report.get = byKey.rate;
    found(
      tour,
      byKey.problems,
      `${grouped(count)} read back by key after a restart, each compared with what was written`,
    );
    view.step('Scanning them in order');
    const byScan = await checkByScan(work, 'the scan', count);
    report.scan = { count: byScan.found, perSecond: byScan.rate.perSecond };
    const problems = [...byScan.problems, ...wrongCount('the scan', byScan.found, count)];
    found(
      tour,
      problems,
      `${grouped(byScan.found)} met by a scan over all partitions, none twice, none that nobody wrote`,
    );
    view.step('Writing some that survive the loss of power');
    const flushed = await putFlushed(work, Math.min(size.flushed, count));
    report.flushed = flushed.rate;
    view.held(
      true,
      `${grouped(flushed.rate.count)} more written, each acknowledged once it survives the loss of power (flushed)`,
    );
  });
}

async function killLoaders(tour: Tour): Promise<void> {
  const { size, cities, citiesFile, view, signal, report, options } = tour;
  const { problems, ...crash } = await crashAgainAndAgain({
    dataDir: join(tour.home.dir, 'crash'),
    threads: report.threads,
    citiesFile,
    cities,
    sample: options.quick,
    rounds: size.kills,
    killAfter: size.killAfter,
    random: randomFrom(report.seed),
    view,
    signal,
  });
  report.crash = crash;
  const times = crash.kills === 1 ? 'once' : `${crash.kills} times`;
  const more =
    crash.unacknowledged === 0 ? '' : ` (and ${grouped(crash.unacknowledged)} whole ones nobody had been promised)`;
  found(
    tour,
    problems,
    `loader killed with SIGKILL ${times}: all ${grouped(crash.acknowledged)} acknowledged records are there${more}`,
  );
}

async function moveAround(tour: Tour): Promise<void> {
  const { size, view, signal, report } = tour;
  await withNode(tour, undefined, async node => {
    view.step('Moving a busy actor between threads');
    const random = randomFrom(report.seed + 1);
    const moving = { node, threads: report.threads, moves: size.moves, random, view, signal };
    const { problems, ...move } = await moveUnderTraffic(moving);
    report.move = move;
    const numbers = `${move.lost} lost, ${move.doubled} doubled, ${move.reordered} reordered`;
    found(
      tour,
      problems,
      `actor moved ${move.moves} times under ${grouped(move.messages)} messages of ${move.senders} senders: ${numbers}`,
    );
  });
}

async function manyProcesses(tour: Tour): Promise<void> {
  const { size, citiesFile, cities, options, view, signal, report, home } = tour;
  report.cluster = {};
  const plan = {
    ...size.cluster,
    count: Math.min(size.cluster.count, cities.length),
    dir: join(home.dir, 'cluster'),
    citiesFile,
    sample: options.quick,
    random: randomFrom(report.seed + 2),
    view,
    signal,
    found: (problems: readonly string[], claim: string) => found(tour, problems, claim),
  };
  await runCluster(plan, report.cluster);
}

/** A node for one part, and what must not happen while it runs. */
async function withNode(tour: Tour, dataDir: string | undefined, part: (node: Node) => Promise<void>): Promise<void> {
  const { report, signal } = tour;
  signal.throwIfAborted();
  const node = await startNode({
    threads: report.threads,
    actors: [LedgerT, SourceT],
    ...(dataDir === undefined ? {} : { dataDir }),
  });
  node.on('thread-died', ({ thread, error }) => void report.problems.push(`host thread ${thread} died: ${error}`));
  node.on(
    'dead-letter',
    ({ to, method, why }) => void report.problems.push(`a message to ${to}.${method} was lost: ${why}`),
  );
  try {
    await part(node);
  } finally {
    await node.stop();
  }
}

function found({ report, view }: Tour, problems: readonly string[], claim: string): void {
  report.problems.push(...problems);
  view.held(problems.length === 0, claim);
  for (const problem of problems) view.say(`        ${problem}`);
}

function introduction({ quick: sample, cities, threads, cores, node, seed, dataDir, kept }: TourReport): string {
  return [
    '',
    `Troupe, a tour: ${grouped(cities)} cities${sample ? ' (a sample)' : ''}, ${threads} host threads on ${cores} cores, Node ${node}, seed ${seed}`,
    `Data in ${dataDir}${kept ? '' : ', removed at the end'}`,
    '',
  ].join('\n');
}
