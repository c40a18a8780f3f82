// Many seeds, one after the other; some of them twice, since a simulator that is not repeatable finds nothing twice either.

import type { Life } from './process.ts';
import { type RunOptions, runSeed, type Scenario, type SeedResult } from './runner.ts';
import { shrink } from './shrink.ts';
import { lineOf } from './trace.ts';

export interface ExploreOptions extends RunOptions {
  readonly from: number;
  readonly seeds: number;
  /** Asked before each seed: true ends the exploration. */
  readonly enough?: () => boolean;
  /** Each so-manieth seed runs twice. Default 50; 0: none. */
  readonly twiceEvery?: number;
  /** Failing seeds after which there is nothing new to learn. Default 1. */
  readonly failuresMax?: number;
  readonly onSeed?: (result: SeedResult) => void;
}

export interface Exploration {
  readonly scenario: string;
  readonly seeds: number;
  readonly events: number;
  readonly failed: readonly SeedResult[];
  /** Seeds whose second run went another way. */
  readonly unrepeatable: readonly number[];
}

export async function explore<L extends Life>(scenario: Scenario<L>, options: ExploreOptions): Promise<Exploration> {
  const { from, enough = () => false, twiceEvery = 50, failuresMax = 1 } = options;
  const failed: SeedResult[] = [];
  const unrepeatable: number[] = [];
  let seeds = 0;
  let events = 0;
  while (seeds < options.seeds && failed.length < failuresMax && !enough()) {
    const seed = from + seeds++;
    const result = await runSeed(scenario, seed, options);
    events += result.events;
    if (result.violations.length > 0) failed.push(result);
    if (twiceEvery > 0 && seeds % twiceEvery === 1 % twiceEvery) {
      const second = await runSeed(scenario, seed, options);
      if (second.hash !== result.hash) unrepeatable.push(seed);
    }
    options.onSeed?.(result);
  }
  return { scenario: scenario.name, seeds, events, failed, unrepeatable };
}

/** The failure made small, with what led to it and the call that shows it again. */
export async function report<L extends Life>(scenario: Scenario<L>, failed: SeedResult): Promise<string> {
  const small = await shrink(scenario, failed);
  const { processes, operations, faults } = small.plan;
  return [
    ...small.violations.map(violation => `VIOLATION ${violation}`),
    `replay: troupe sim --scenario ${scenario.name} --seed ${failed.seed} --seeds 1`,
    `smallest plan found: ${processes.length} processes, ${operations.length} operations, ${faults.length} faults`,
    ...operations.map(operation => `  operation ${JSON.stringify(operation)}`),
    ...faults.map(fault => `  fault ${JSON.stringify(fault)}`),
    'its last events:',
    ...small.trace.map(event => `  ${lineOf(event)}`),
  ].join('\n');
}
