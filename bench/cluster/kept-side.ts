// A side that is kept for the workload that comes next: two nodes take seconds to come up, and there are five workloads. Whoever has
// not been wanted for a moment is closed, and at once one of whose runs has failed or not come to an end.

import type { Done } from '../harness.ts';
import type { ThreadSide } from '../threads/side.ts';

/** Longer than from the teardown of a workload to the setup of the next. */
const keptMs = 500;

export class KeptSide {
  private readonly load: () => Promise<ThreadSide>;
  private side: ThreadSide | undefined;
  private closing: NodeJS.Timeout | undefined;
  /** Setups and runs that have not come to a good end. */
  private running = 0;

  constructor(load: () => Promise<ThreadSide>) {
    this.load = load;
  }

  async setup(): Promise<void> {
    clearTimeout(this.closing);
    if (this.side !== undefined) return;
    const side = await this.load();
    this.side = side;
    this.running = 1;
    await side.setup();
    this.running = 0;
  }

  async run(work: (side: ThreadSide) => Promise<Done>): Promise<Done> {
    if (this.side === undefined) throw new Error('run before setup');
    this.running++;
    const done = await work(this.side);
    this.running--;
    return done;
  }

  async teardown(): Promise<void> {
    if (this.running > 0) await this.close();
    else this.closing = setTimeout(() => void this.close(), keptMs);
  }

  private async close(): Promise<void> {
    const { side } = this;
    this.side = undefined;
    await side?.teardown();
  }
}
