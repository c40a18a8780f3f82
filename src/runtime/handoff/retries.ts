// Partitions that could not be handed on: when each is tried again, and how long its actors then have to come to rest.
//
// Invariants: each wait is twice the one before, up to handoffRetryMsMax; each try is more patient than the one before, up to handoffFreezeMs.

import { TroupeError } from '../../errors.ts';
import { handoffFreezeMs, handoffQueuedMs, handoffRetryMsMax, handoffRetryMsMin } from '../../limits.ts';
import { hash32 } from '../partition.ts';
import type { Millis } from '../world.ts';

/** The least patient try waits a quarter as long as the most patient. */
const patienceSpread = 0.75;

interface Failed {
  readonly why: string;
  readonly waitMs: Millis;
  readonly until: Millis;
}

export class Retries {
  readonly #failed = new Map<number, Failed>();

  /** Why it waits, if it does. */
  whyNot(partition: number, now: Millis): string | null {
    const failed = this.#failed.get(partition);
    return failed !== undefined && failed.until > now ? failed.why : null;
  }

  /** It waits so many ms from now on. 'queued': others give to the same node; that is no failure, and the turn of this one comes. */
  fails(partition: number, error: Error, now: Millis): { readonly waitMs: Millis; readonly isQueued: boolean } {
    const before = this.#failed.get(partition)?.waitMs ?? handoffRetryMsMin / 2;
    const isQueued = error instanceof TroupeError && error.details.takes !== undefined;
    const waitMs = isQueued ? handoffQueuedMs : Math.min(before * 2, handoffRetryMsMax);
    this.#failed.set(partition, { why: error.message, waitMs: isQueued ? before : waitMs, until: now + waitMs });
    return { waitMs, isQueued };
  }

  succeeds(partition: number): void {
    this.#failed.delete(partition);
  }

  /**
   * How long the try of that name waits for its actors. Short turns are waited for at once, long ones in the end: senders wait as long.
   * Actors of two nodes may wait for each other meanwhile, each held back by the other's partition: names spread it, so that one
   * gives up first, and the other can finish its turns.
   */
  patienceMs(partition: number, name: string): Millis {
    const longest = Math.min(handoffFreezeMs, this.#failed.get(partition)?.waitMs ?? handoffRetryMsMin / 2);
    return Math.round(longest * (1 - patienceSpread * (hash32(name) / 2 ** 32)));
  }

  describe(): object[] {
    return [...this.#failed].map(([partition, { why }]) => ({ partition, why }));
  }
}
