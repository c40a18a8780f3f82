// One thread's look at the leases of its node: no turn of an actor begins that its node may not speak for any more.
//
// Intuition: a process that was stopped wakes up in the middle of its work, on all threads at once, and nobody tells it. So before each
// slice a thread looks at the clock. A turn that had begun before goes on: what it answers was asked before its node was stopped.
//
// Invariant: what is parked here runs when the lease is renewed, or ends with the partition.

import type { Activation } from '../activation.ts';
import { dead } from '../flags.ts';
import { ringPartition } from '../handoff/ring-partition.ts';
import type { Host } from '../host.ts';

/** Shared by the threads of a node: the earliest end of a lease, then that of each partition. Infinity: it needs none. */
export type LeaseWords = Float64Array;

const lookEveryMs = 20;

export function leaseWords(partitions: number): LeaseWords {
  const words = new Float64Array(new SharedArrayBuffer(8 * (partitions + 1)));
  return words.fill(Number.POSITIVE_INFINITY);
}

export class LeaseGuard {
  readonly #host: Host;
  readonly #words: LeaseWords;
  readonly #now: () => number;
  readonly #parked = new Set<Activation>();
  #isLooking = false;

  /** `now`: by the clock that all threads of the process share. */
  constructor(host: Host, words: LeaseWords, now: () => number) {
    this.#host = host;
    this.#words = words;
    this.#now = now;
  }

  /** True: it must not run now, and will be made ready again. */
  parks(act: Activation): boolean {
    const now = this.#now();
    if (now <= (this.#words[0] as number) || !this.#hasLapsed(act, now)) return false;
    this.#parked.add(act);
    this.#lookLater();
    return true;
  }

  get isLapsed(): boolean {
    return this.#now() > (this.#words[0] as number);
  }

  get parked(): number {
    return this.#parked.size;
  }

  #hasLapsed({ hosted, key }: Activation, now: number): boolean {
    const partition = ringPartition(hosted, key);
    return partition !== undefined && now > (this.#words[partition + 1] as number);
  }

  #lookLater(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#host.world.clock.timer(lookEveryMs, () => {
      this.#isLooking = false;
      const now = this.#now();
      for (const act of this.#parked) {
        if ((act.flags & dead) === 0 && this.#hasLapsed(act, now)) continue;
        this.#parked.delete(act);
        if ((act.flags & dead) === 0) act.ready();
      }
      if (this.#parked.size > 0) this.#lookLater();
    });
  }
}
