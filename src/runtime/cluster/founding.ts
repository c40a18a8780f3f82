// Who makes the first ring of a cluster. Pure.
//
//     no `join`                    founds at once, alone: there is nobody to ask
//     `join`, somebody has a ring  takes that one
//     `join`, nobody has one       the lowest name among those that are up founds, for all of them, once nothing has changed for a while and
//                                  more than half of those that it is told to join, and itself, are there; and agree (first-ring.ts)
//
// The intuition: before the first ring nobody can have written anything that a ring places, so whoever founds may hand out
// everything at once, with nothing to move. Two that found apart, because neither reaches the other, are two clusters: their
// rings differ, and neither takes the other's. Where all are told to join the same ones that cannot be: of two halves one is no more than half.
//
// Invariant: a node that waits has reached nobody, or knows of somebody who must act before it.

import type { Millis } from '../world.ts';

export interface Founder {
  readonly name: string;
  readonly isUp: boolean;
  readonly hasRing: boolean;
}

export class Founding {
  readonly #self: string;
  readonly #quietMs: Millis;
  #seen = '';
  #since: Millis = 0;

  constructor(self: string, quietMs: Millis) {
    this.#self = self;
    this.#quietMs = quietMs;
  }

  /**
   * Asked with everybody that is known, this node included, each time that may have changed. `isMost`: more than half of `join` are there. True:
   * found it, with all that are up.
   */
  mayFound(members: readonly Founder[], isMost: boolean, now: Millis): boolean {
    const seen = JSON.stringify(members.map(({ name, isUp }) => [name, isUp]).sort());
    if (seen !== this.#seen) {
      this.#seen = seen;
      this.#since = now;
    }
    const up = members.filter(({ isUp }) => isUp).map(({ name }) => name);
    if (!isMost || members.length < 2 || up.length < members.length || members.some(({ hasRing }) => hasRing))
      return false;
    return up.sort()[0] === this.#self && now - this.#since >= this.#quietMs;
  }
}
