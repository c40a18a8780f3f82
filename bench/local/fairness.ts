// How long a quick actor, and a timer, have to wait beside an actor with very many queued messages.
//
//     timer of 1 ms ──late by──▶ ask the quick actor ──delay──▶ answer ──▶ timer of 1 ms ──▶ ...
//                        all the while the busy actor has messages waiting
//
// A probe counts when its answer was right and the busy actor still had messages when it began.

import { type Contender, type Done, lazily } from '../harness.ts';
import { percentile } from '../stats.ts';
import type { FairSide } from './side.ts';

const timerMs = 1;

export function fairness(name: string, load: () => Promise<() => FairSide>, messages: number): Contender {
  return lazily(name, load, make => {
    const side = make();
    return {
      name,
      setup: () => side.setup(),
      run: n => probe(side, n, messages),
      teardown: () => side.teardown(),
    };
  });
}

async function probe(side: FairSide, n: number, messages: number): Promise<Done> {
  const delays = new Float64Array(n);
  const lates = new Float64Array(n);
  let done = 0;
  for (let i = 0; i < n; i++) {
    // Not measured, nor the turn in which it ends: that filling the mailbox holds the loop up is the sender's doing.
    const missing = messages - side.backlog();
    if (missing > messages / 4) {
      side.load(missing);
      await new Promise(resolve => setImmediate(resolve));
    }
    const set = performance.now();
    await new Promise(resolve => setTimeout(resolve, timerMs));
    const asked = performance.now();
    lates[i] = Math.max(0, asked - set - timerMs);
    const loaded = side.backlog() > 0;
    const answer = await side.ask(i);
    delays[i] = performance.now() - asked;
    if (loaded && answer === i + 1) done++;
  }
  if (!(await side.drained())) throw new Error('messages of the busy actor were lost or doubled');
  delays.sort();
  lates.sort();
  return {
    done,
    value: percentile(delays, 0.99),
    more: {
      'p50 ms': percentile(delays, 0.5),
      'max ms': percentile(delays, 1),
      'timer p50 ms': percentile(lates, 0.5),
      'timer p99 ms': percentile(lates, 0.99),
      'timer max ms': percentile(lates, 1),
    },
  };
}
