// One thread's look at the leases of its node: no turn of an actor begins that its node may not speak for any more.
//
// Intuition: a process that was stopped wakes up in the middle of its work, on all threads at once, and nobody tells it. So before each
// slice a thread looks at the clock. A turn that had begun before goes on: what it answers was asked before its node was stopped.
//
// An operation that is tried again has its answer without a turn: it waits as a turn would. It was kept with a write that this disk may have
// alone, before its process died; and by now it may be for another node to say what became of it.
//
// Invariant: what is parked here runs, or is said, when the lease is renewed, or ends with the partition.

import type { Activation } from '../activation.ts';
import { dead } from '../flags.ts';
import { ringPartition } from '../handoff/ring-partition.ts';
import type { Host } from '../host.ts';

/**
 * Shared by the threads of a node: the earliest end of a lease, then that of each partition. Infinity: it needs none. First by the clock that
 * never goes back, then the same by the clock on the wall: the one stands still while a machine is suspended, and the other may be set.
 */
export type LeaseWords = Float64Array;

export interface LeaseClock {
  /** By the clock that all threads of the process share. */
  mono(): number;
  wall(): number;
}

const lookEveryMs = 20;

export function leaseWords(partitions: number): LeaseWords {
  const words = new Float64Array(new SharedArrayBuffer(16 * (partitions + 1)));
  return words.fill(Number.POSITIVE_INFINITY);
}

interface Answer {
  readonly act: Activation;
  say(): void;
  /** Nobody waits for it any more. */
  isOver(): boolean;
  /** Its actor has ended here. */
  drop(): void;
}

export class LeaseGuard {
  readonly #host: Host;
  readonly #words: LeaseWords;
  readonly #clock: LeaseClock;
  /** Where those by the clock on the wall begin. */
  readonly #wall: number;
  readonly #parked = new Set<Activation>();
  #answers: Answer[] = [];
  #isLooking = false;

  constructor(host: Host, words: LeaseWords, clock: LeaseClock) {
    this.#host = host;
    this.#words = words;
    this.#clock = clock;
    this.#wall = words.length / 2;
  }

  /** True: it must not run now, and will be made ready again. */
  parks(act: Activation): boolean {
    if (!this.#isOver(0) || !this.#hasLapsed(act)) return false;
    this.#parked.add(act);
    this.#lookLater();
    return true;
  }

  /** At once, when it may be said now. */
  say(answer: Answer): void {
    if (!this.#isOver(0) || !this.#hasLapsed(answer.act)) return answer.say();
    this.#answers.push(answer);
    this.#lookLater();
  }

  #isOver(at: number): boolean {
    const { mono, wall } = this.#clock;
    return mono() > (this.#words[at] as number) || wall() > (this.#words[this.#wall + at] as number);
  }

  #hasLapsed({ hosted, key }: Activation): boolean {
    const partition = ringPartition(hosted, key);
    return partition !== undefined && this.#isOver(partition + 1);
  }

  #lookLater(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#host.world.clock.timer(lookEveryMs, () => {
      this.#isLooking = false;
      for (const act of this.#parked) {
        if ((act.flags & dead) === 0 && this.#hasLapsed(act)) continue;
        this.#parked.delete(act);
        if ((act.flags & dead) === 0) act.ready();
      }
      // As many as there are asks that have not ended: whoever tries again and again leaves none behind.
      for (const answer of this.#answers.splice(0))
        if ((answer.act.flags & dead) !== 0) answer.drop();
        else if (!answer.isOver()) this.say(answer);
      if (this.#parked.size > 0) this.#lookLater();
    });
  }
}
