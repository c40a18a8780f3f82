// Whose messages are not passed on any more: of partitions that others have taken over, or whose new owner has heard that a sender waits for
// nothing from here.
//
// Invariant: what is refused was sent before its sender knew; behind his word that he knows everything passes again.

import { lastWordKeepMs } from '../../limits.ts';

interface Cut {
  readonly turn: number;
  /** Null: of everybody. */
  readonly of: string | null;
  /** Who has said since that he knows: what he sent before is not passed on. */
  readonly knows: Set<string>;
}

export class Cuts {
  readonly #later: (ms: number, fn: () => void) => void;
  readonly #cuts = new Map<number, readonly Cut[]>();

  constructor(later: (ms: number, fn: () => void) => void) {
    this.#later = later;
  }

  get any(): boolean {
    return this.#cuts.size !== 0;
  }

  has(partition: number, node: string): boolean {
    const cuts = this.#cuts.get(partition);
    return cuts?.some(({ of, knows }) => (of === null || of === node) && !knows.has(node)) === true;
  }

  add(partition: number, turn: number, of: string | null): void {
    const cut: Cut = { turn, of, knows: new Set() };
    this.#cuts.set(partition, [...(this.#cuts.get(partition) ?? []), cut]);
    this.#later(lastWordKeepMs, () => {
      const rest = (this.#cuts.get(partition) ?? []).filter(each => each !== cut);
      if (rest.length === 0) this.#cuts.delete(partition);
      else this.#cuts.set(partition, rest);
    });
  }

  /** What that node says of the ring has come, behind all that it had sent here before it heard of it. */
  knows(node: string, turnOf: (partition: number) => number): void {
    for (const [partition, cuts] of this.#cuts)
      for (const { turn, knows } of cuts) if (turnOf(partition) >= turn) knows.add(node);
  }
}
