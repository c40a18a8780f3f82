// `troupe sim`: seeds of the simulator, one after the other, until the time is over or one fails. A failure is made small and told
// with the command that shows it again.

import { explore, report } from '../testing/sim/explore.ts';
import type { SeedResult } from '../testing/sim/runner.ts';
import { type AnyScenario, scenarios } from '../testing/sim/scenarios.ts';
import { shrink } from '../testing/sim/shrink.ts';
import type { SimCommand } from './cli-arguments.ts';
import type { Output } from './cli-commands.ts';
import { jsonOf } from './cli-json.ts';
import { UsageError } from './usage.ts';

const noteEveryMs = 10_000;

interface Result {
  readonly scenario: string;
  /** The first seed, and how many were run. */
  readonly seed: number;
  readonly seeds: number;
  readonly events: number;
  readonly eventsPerCpuSecond: number;
  readonly seedsPerMinute: number;
  readonly virtualSeconds: number;
  /** Seeds whose second run went another way. */
  readonly unrepeatable: readonly number[];
  readonly failed: readonly {
    readonly seed: number;
    readonly violations: readonly string[];
    readonly replay: string;
  }[];
}

/** False when a seed has failed, or did not repeat. Throws UsageError for a scenario that is not `among` them. */
export async function runSim(command: SimCommand, output: Output, among = scenarios): Promise<boolean> {
  const { scenario: name } = command;
  const wanted = name === undefined ? [...among.values()] : [among.get(name) ?? refuse(name, among)];
  let good = true;
  for (const scenario of wanted) {
    const budgetMs = command.minutes === undefined ? Infinity : (command.minutes * 60_000) / wanted.length;
    const { result, failed } = await runScenario(scenario, command, budgetMs, output);
    good &&= failed === undefined && result.unrepeatable.length === 0;
    if (!command.json) await output.out(textOf(result));
    if (failed !== undefined) output.note('making it small ...');
    if (command.json) {
      const smallest = failed && (await shrink(scenario, failed)).plan;
      await output.out(`${jsonOf({ ...result, ...(smallest === undefined ? {} : { smallest }) })}\n`);
    } else if (failed !== undefined) await output.out(`${await report(scenario, failed)}\n`);
  }
  return good;
}

function refuse(name: string, among: typeof scenarios): never {
  throw new UsageError(`there is no scenario '${name}'; there are ${[...among.keys()].join(', ')}`);
}

async function runScenario(
  scenario: AnyScenario,
  { seed, seeds = Infinity }: SimCommand,
  budgetMs: number,
  { note }: Output,
): Promise<{ result: Result; failed: SeedResult | undefined }> {
  const startedAt = performance.now();
  const cpuBefore = process.cpuUsage();
  let notedAt = startedAt;
  let virtualMs = 0;
  let done = 0;
  const found = await explore(scenario, {
    from: seed,
    seeds,
    enough: () => performance.now() - startedAt >= budgetMs,
    onSeed: result => {
      done++;
      virtualMs += result.virtualMs;
      if (performance.now() - notedAt < noteEveryMs) return;
      notedAt = performance.now();
      note(`${scenario.name}: ${done} seeds, at ${result.seed}`);
    },
  });
  const minutes = (performance.now() - startedAt) / 60_000;
  const { user, system } = process.cpuUsage(cpuBefore);
  const result: Result = {
    scenario: scenario.name,
    seed,
    seeds: found.seeds,
    events: found.events,
    eventsPerCpuSecond: Math.round(found.events / ((user + system) / 1e6)),
    seedsPerMinute: Math.round(found.seeds / minutes),
    virtualSeconds: Math.round(virtualMs / 1_000),
    unrepeatable: found.unrepeatable,
    failed: found.failed.map(({ seed: bad, violations }) => ({
      seed: bad,
      violations,
      replay: `troupe sim --scenario ${scenario.name} --seed ${bad} --seeds 1`,
    })),
  };
  return { result, failed: found.failed[0] };
}

function textOf(result: Result): string {
  const { scenario, seed, seeds, events, eventsPerCpuSecond, seedsPerMinute, virtualSeconds, unrepeatable } = result;
  const range = seeds === 1 ? `seed ${seed}` : `${seeds} seeds from ${seed}`;
  const lines = [
    `${scenario}: ${range}, ${events} events, ${virtualSeconds} virtual s`,
    `  ${eventsPerCpuSecond} events a CPU-second, ${seedsPerMinute} seeds a minute (some of them run twice)`,
    ...unrepeatable.map(each => `  seed ${each} went another way the second time`),
    ...result.failed.map(({ seed: bad, replay }) => `  seed ${bad} FAILED; to see it again: ${replay}`),
  ];
  return `${lines.join('\n')}\n`;
}
