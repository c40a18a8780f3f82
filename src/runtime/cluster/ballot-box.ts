// One node's votes for the first ring: each on the disk before anybody hears of it, its own node included; one after the other.
//
//     asked ──▶ line ──▶ a later ballot has been heard of? ──yes──▶ OVERLOADED, nothing written
//                          └──no──▶ vote (decree.ts) ──saved──▶ told
//
// Invariant: what is told is on the disk, and so is all that was told before.

import { TroupeError } from '../../errors.ts';
import { votesWaitingMax } from '../../limits.ts';
import type { Ring } from '../ownership/ring.ts';
import { accept, type Ballot, compareBallots, promise, type Vote } from './decree.ts';
import type { RingMemory } from './ring-memory.ts';

export class BallotBox {
  readonly #memory: Pick<RingMemory, 'saveVote'>;
  readonly #hasRing: () => boolean;
  #vote: Vote<Ring> | undefined;
  /** The latest that was heard of. */
  #latest: Ballot;
  #waiting = 0;
  #last: Promise<unknown> = Promise.resolve();

  /** `hasRing`: by now; whoever has one votes no more. */
  constructor(memory: Pick<RingMemory, 'vote' | 'saveVote'>, hasRing: () => boolean) {
    this.#memory = memory;
    this.#hasRing = hasRing;
    this.#vote = memory.vote;
    this.#latest = memory.vote?.promised ?? { round: 0, by: '' };
  }

  /** Higher than any that was heard of. */
  next(by: string): Ballot {
    return { round: this.#latest.round + 1, by };
  }

  hear(ballot: Ballot): void {
    if (compareBallots(ballot, this.#latest) > 0) this.#latest = ballot;
  }

  /** Undefined: there is a ring by now. Rejects with OVERLOADED when it has been overtaken, or too many wait; and as saveVote() does. */
  promise(ballot: Ballot): Promise<Vote<Ring> | undefined> {
    return this.#change(ballot, vote => promise(vote, ballot));
  }

  /** The same. */
  accept(ballot: Ballot, ring: Ring): Promise<Vote<Ring> | undefined> {
    return this.#change(ballot, vote => accept(vote, ballot, ring));
  }

  async #change(ballot: Ballot, make: (vote: Vote<Ring> | undefined) => Vote<Ring>): Promise<Vote<Ring> | undefined> {
    if (this.#waiting >= votesWaitingMax)
      throw new TroupeError('OVERLOADED', `${votesWaitingMax} votes for the first ring wait for the disk of this node`);
    this.hear(ballot);
    this.#waiting++;
    const done = this.#last.then(() => this.#step(ballot, make));
    this.#last = done.catch(() => undefined);
    try {
      return await done;
    } finally {
      this.#waiting--;
    }
  }

  async #step(ballot: Ballot, make: (vote: Vote<Ring> | undefined) => Vote<Ring>): Promise<Vote<Ring> | undefined> {
    if (this.#hasRing()) return undefined;
    // Nobody waits for it any more, and a disk that is slow has enough to do.
    if (compareBallots(ballot, this.#latest) < 0)
      throw new TroupeError('OVERLOADED', `${this.#latest.by} has asked for a vote for the first ring since`);
    const next = make(this.#vote);
    if (next !== this.#vote) await this.#memory.saveVote(next);
    this.#vote = next;
    return this.#hasRing() ? undefined : next;
  }
}
