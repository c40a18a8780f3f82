// Timers of the thread that speaks for its node: those that are not due when the node stops never are. One that nobody cancels would
// keep the process from its end, and a last word is remembered for a minute.

import type { Cancel, Clock, Millis } from '../world.ts';

export class NodeTimers {
  readonly #clock: Pick<Clock, 'timer'>;
  readonly #open = new Set<Cancel>();
  #hasStopped = false;

  constructor(clock: Pick<Clock, 'timer'>) {
    this.#clock = clock;
  }

  later(ms: Millis, then: () => void): void {
    if (this.#hasStopped) return;
    const cancel = this.#clock.timer(ms, () => {
      this.#open.delete(cancel);
      then();
    });
    this.#open.add(cancel);
  }

  stop(): void {
    this.#hasStopped = true;
    for (const cancel of this.#open) cancel();
    this.#open.clear();
  }
}
