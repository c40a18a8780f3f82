// From a failing plan to a small one: parts are taken away as long as it still fails (Zeller's ddmin): faults first, then
// operations, then the time each fault lasts. Each candidate is a whole run. Draws are hashes, so what is left behaves as before.

import type { Fault } from './faults.ts';
import type { Life } from './process.ts';
import { type RunOptions, runSeed, type Scenario, type SeedResult, type SimPlan } from './runner.ts';

/** Runs one shrinking may cost. */
const runsMax = 400;

export async function shrink<L extends Life>(
  scenario: Scenario<L>,
  failed: SeedResult,
  options: Omit<RunOptions, 'plan'> = {},
): Promise<SeedResult> {
  let best = failed;
  let runs = 0;
  const kind = kindOf(failed.violations[0] ?? '');
  const fails = async (plan: SimPlan): Promise<boolean> => {
    if (runs++ >= runsMax) return false;
    const result = await runSeed(scenario, failed.seed, { ...options, plan });
    if (!result.violations.some(violation => kindOf(violation) === kind)) return false;
    best = result;
    return true;
  };
  await fewest(best.plan.faults, faults => fails({ ...best.plan, faults }));
  await fewest(best.plan.operations, operations => fails({ ...best.plan, operations }));
  const used = best.plan.processes.filter(name =>
    [...best.plan.operations, ...best.plan.faults].some(({ on }) => on === name),
  );
  if (used.length > 0 && used.length < best.plan.processes.length) await fails({ ...best.plan, processes: used });
  for (const { id } of best.plan.faults) {
    for (let halvings = 0; halvings < 8; halvings++) {
      const halved = (fault: Fault): Fault =>
        fault.id === id ? { ...fault, forMs: Math.floor(fault.forMs / 2) } : fault;
      if (!(await fails({ ...best.plan, faults: best.plan.faults.map(halved) }))) break;
    }
  }
  return best;
}

/** A smaller plan must fail in the same way: the words of the violation, without its numbers. */
const kindOf = (violation: string): string => violation.replace(/^at [\d.]+ ms: /, '').replaceAll(/\d+/g, '#');

/** ddmin: ever smaller pieces are left out. `fails` is told what is kept. */
export async function fewest<T>(
  all: readonly T[],
  fails: (kept: readonly T[]) => Promise<boolean>,
): Promise<readonly T[]> {
  let kept = all;
  let pieces = 2;
  if (kept.length > 0 && (await fails([]))) return [];
  while (kept.length > 1) {
    const size = Math.ceil(kept.length / pieces);
    let found = false;
    for (let from = 0; from < kept.length; from += size) {
      const rest = [...kept.slice(0, from), ...kept.slice(from + size)];
      if (!(await fails(rest))) continue;
      kept = rest;
      pieces = Math.max(2, pieces - 1);
      found = true;
      break;
    }
    if (found) continue;
    if (size === 1) break;
    pieces = Math.min(kept.length, pieces * 2);
  }
  return kept;
}
