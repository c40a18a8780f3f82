// Drives requests: `inFlight` lanes, each of which asks, awaits and checks, until n were asked. Every contender goes
// through this same loop, so that what the loop costs (about 0.1 us a request) is the same for all.
//
// Invariant: the number it returns counts answers that were checked, never requests that were sent.

import type { Sampler } from './stats.ts';

export interface Drive<Reply> {
  readonly n: number;
  readonly inFlight: number;
  /** Collects the time of each request; leave it out where two readings of the clock would cost more than the request. */
  readonly latency?: Sampler;
  readonly ask: (index: number) => Promise<Reply> | Reply;
  readonly ok: (reply: Reply, index: number) => boolean;
}

export async function drive<Reply>({ n, inFlight, latency, ask, ok }: Drive<Reply>): Promise<number> {
  let next = 0;
  let done = 0;

  const lane = async (): Promise<void> => {
    while (next < n) {
      const index = next++;
      if (ok(await ask(index), index)) done++;
    }
  };
  const timedLane = async (sampler: Sampler): Promise<void> => {
    while (next < n) {
      const index = next++;
      const began = performance.now();
      const reply = await ask(index);
      sampler.add(performance.now() - began);
      if (ok(reply, index)) done++;
    }
  };

  const lanes = Array.from({ length: Math.min(inFlight, n) }, () => (latency ? timedLane(latency) : lane()));
  await Promise.all(lanes);
  return done;
}
