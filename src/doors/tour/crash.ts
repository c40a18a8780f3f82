// kill -9 in the middle of a load, again and again, on one directory: a child process writes and reports what was
// acknowledged, we kill it at a random point, open the directory and look for every record it was promised.
//
//   child    put ─▶ acknowledged ─▶ "4711" into the pipe ─▶ put ... ✗ SIGKILL
//   parent   ... "4711" ... enough: kill ─▶ read the pipe to its end ─▶ open the directory ─▶ get every number that was in it
//
// A record that was being written when the child died may be there or not; if it is, it must be whole.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { startNode } from '../../index.ts';
import type { City } from './cities.ts';
import type { CrashTask } from './crash-child.ts';
import { checkByKey, checkByScan, windowOfPuts } from './load.ts';
import type { Random } from './random.ts';
import type { View } from './view.ts';

export interface CrashPlan {
  readonly dataDir: string;
  readonly threads: number;
  readonly citiesFile: string;
  readonly cities: readonly City[];
  readonly sample: boolean;
  readonly rounds: number;
  /** A child dies after so many acknowledgements, chosen anew each round. */
  readonly killAfter: readonly [min: number, max: number];
  readonly random: Random;
  readonly view: View;
  readonly signal: AbortSignal;
}

export interface CrashReport {
  readonly kills: number;
  readonly acknowledged: number;
  /** Acknowledged records that were not there, or not as written. 0 is the promise. */
  readonly gone: number;
  /** Records that were there although nobody had been told so: written in the moments of death. Allowed. */
  readonly unacknowledged: number;
  readonly problems: readonly string[];
}

const storeName = 'cities';

export async function crashAgainAndAgain(plan: CrashPlan): Promise<CrashReport> {
  const { rounds, killAfter, random, view } = plan;
  const acknowledged = new Set<number>();
  const problems: string[] = [];
  let unacknowledged = 0;
  let gone = 0;
  let next = 0;
  for (let round = 1; round <= rounds; round++) {
    const target = killAfter[0] + random.below(killAfter[1] - killAfter[0] + 1);
    view.step(`Loading in a process that will be killed, ${round} of ${rounds}`);
    for (const n of await loadAndKill(plan, next, target)) acknowledged.add(n);
    const seen = await lookAfter(plan, acknowledged, `kill ${round}`);
    problems.push(...seen.problems);
    unacknowledged = seen.unacknowledged;
    gone = Math.max(gone, seen.gone);
    // Beyond whatever the dead one may have begun: every key is written once.
    next = seen.largest + windowOfPuts + 1;
  }
  return { kills: rounds, acknowledged: acknowledged.size, gone, unacknowledged, problems };
}

/** Runs a child until it has reported `target` records, kills it, and returns all it has reported. */
async function loadAndKill(plan: CrashPlan, from: number, target: number): Promise<number[]> {
  const { view, signal } = plan;
  const task: CrashTask = {
    dataDir: plan.dataDir,
    threads: plan.threads,
    cities: plan.citiesFile,
    sample: plan.sample,
    store: storeName,
    from,
    window: windowOfPuts,
  };
  signal.throwIfAborted();
  const child = spawn(process.execPath, [childFile(), JSON.stringify(task)], { stdio: ['ignore', 'pipe', 'pipe'] });
  const kill = (): void => void child.kill('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  const closed = once(child, 'close') as Promise<[code: number | null, signal: string | null]>;
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-2_000);
  });
  let rest = '';
  const reported: number[] = [];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) reported.push(Number(line));
    view.progress(Math.min(reported.length, target), target);
    if (reported.length >= target) kill();
  });
  const [code, endedBy] = await closed;
  signal.removeEventListener('abort', kill);
  signal.throwIfAborted();
  if (endedBy !== 'SIGKILL') {
    throw new Error(`the loading process ended by itself (${endedBy ?? `exit code ${code}`}): ${errors.trim()}`);
  }
  return reported;
}

/** Opens what the dead process left behind. */
async function lookAfter(
  plan: CrashPlan,
  acknowledged: ReadonlySet<number>,
  what: string,
): Promise<{ problems: string[]; gone: number; unacknowledged: number; largest: number }> {
  const { dataDir, threads, cities, view, signal } = plan;
  view.step(`Looking for what it had acknowledged, ${what}`);
  await using node = await startNode({ dataDir, threads });
  const work = { store: await node.store(storeName), cities, view, signal };
  const byKey = await checkByKey(work, `after ${what}`, [...acknowledged]);
  const byScan = await checkByScan(work, `a scan after ${what}`, acknowledged.size);
  const unacknowledged = [...byScan.met].filter(n => !acknowledged.has(n)).length;
  const unmet = [...acknowledged].filter(n => !byScan.met.has(n)).length;
  const problems = [...byKey.problems, ...byScan.problems];
  if (unmet > 0) problems.push(`a scan after ${what} did not meet ${unmet} acknowledged records`);
  const largest = byScan.met.size === 0 ? -1 : [...byScan.met].reduce((a, b) => Math.max(a, b));
  return { problems, gone: Math.max(byKey.bad, unmet), unacknowledged, largest };
}

/** The child's module beside this one: .ts in the sources, .js when built. */
function childFile(): string {
  const url = new URL('./crash-child.js', import.meta.url);
  if (import.meta.url.endsWith('.ts')) url.pathname = url.pathname.replace(/\.js$/, '.ts');
  return fileURLToPath(url);
}
