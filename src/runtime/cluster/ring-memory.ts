// What a node knows of its ring from one life to the next.

import type { RingState } from '../ownership/holdings.ts';
import type { Ring } from '../ownership/ring.ts';
import type { Vote } from './decree.ts';

export interface RingMemory {
  readonly state: RingState | undefined;
  /** Of the first ring. Of no use to whoever has a state: it may be forgotten with the first one that is saved. */
  readonly vote: Vote<Ring> | undefined;
  /**
   * Resolves when it is durable. Rejects when the old one is; with the outcome 'unknown', when it may be either, and then it is
   * called again until it is not.
   */
  saveState(state: RingState): Promise<void>;
  /** Resolves when it is durable. Rejects when it may not be: nobody has been told of it then. */
  saveVote(vote: Vote<Ring>): Promise<void>;
}
