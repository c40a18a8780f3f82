// Threads that die at a step of a partition which changes hands, on the node that takes that step. Asked for by an operation, which says of which
// partition, and struck when the step is next taken by anybody.
//
//     operation ──▶ waits ──'handoff-records done' of that partition, on n2──▶ thread 1 of n2 dies, and another life of it begins 50 ms later

import { partitionOf } from '../../runtime/partition.ts';
import type { NodeLife } from '../node-life-host.ts';
import type { About } from './node-marks.ts';
import { partitions } from './node-plan.ts';
import type { NodesLife } from './node-talk.ts';
import type { SimProcess } from './process.ts';
import type { Operation } from './runner.ts';
import type { Simulation } from './simulation.ts';

/** What is asked for: `value` says which step, and which of the threads of the node. */
export const threadDiesThen = 'thread dies then';

/** Of the node that gives it away, and of the one that gets it. Between the last of its records and the end a thread has time to come up again. */
const steps = [
  ...['handoff-begin done', 'handoff-records done', 'handoff-records done', 'handoff-records done', 'part-freeze done'],
  ...['handoff-actors done', 'handoff-ready', 'part-gone', 'hears handoff-begin', 'hears handoff-records'],
  ...['hears handoff-records', 'hears handoff-actors', 'part-install done', 'hears handoff-ready', 'part-run done'],
];

/** What no partition has come to by then does not happen any more. */
const waitsMs = 2_000;

export class ThreadDeaths {
  readonly #sim: Simulation<NodesLife>;
  #waiting: { readonly partition: number; readonly step: string; readonly value: number; readonly until: number }[] =
    [];

  constructor(sim: Simulation<NodesLife>) {
    this.#sim = sim;
  }

  /** False: it is another operation. */
  takes({ name, key, value }: Operation): boolean {
    if (name !== threadDiesThen) return false;
    const partition = partitionOf(key.slice(key.indexOf('/') + 1), partitions);
    const step = steps[value % steps.length] as string;
    this.#waiting.push({ partition, step, value, until: this.#sim.now + waitsMs });
    return true;
  }

  /** Something of a partition is said or done on that node: threads of it die when the turn is over in which it was. */
  reached(node: NodeLife, on: SimProcess<NodesLife> | undefined, point: string, about: About | number): void {
    if (this.#waiting.length === 0) return;
    const partition = typeof about === 'number' ? about : about?.partition;
    const due = this.#waiting.filter(each => each.step === point && each.partition === partition);
    this.#waiting = this.#waiting.filter(each => !due.includes(each) && each.until > this.#sim.now);
    for (const { value, until } of due)
      if (until > this.#sim.now)
        this.#sim.plan(on, 0, 'a thread dies', () => void node.threadDies(1 + (value % (node.members.length - 1))));
  }
}
