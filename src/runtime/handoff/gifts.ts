// What this node has given away lately, and whose messages to it are not passed on any more for having lost the way by here.
//
//     n1 gives p to n2 ──▶ X, by n1: m1, last word ──▶ n2          as long as all sessions last
//     X ✂ n1           ──▶ X says his word past n1: what n1 still has of his, from before he knew, would come behind it
//
// The new owner asks the old one to stop (last-words.ts, #asksVia) where there is a session. So without one that has to stop by itself.
//
// Invariant: what is refused was sent before its sender said, in his session of now, that he knows of the gift.

import { lastWordKeepMs } from '../../limits.ts';

interface Gift {
  readonly turn: number;
  readonly to: string;
  /** Who has said in his session that he knows of it. */
  readonly knows: Set<string>;
  /** Whose session has ended since; null: it may be anybody. */
  stopped: Set<string> | null;
}

export class Gifts {
  readonly #later: (ms: number, fn: () => void) => void;
  /** For as long as anybody waits for a word of it. */
  readonly #gifts = new Map<number, Gift>();
  #stops = 0;

  constructor(later: (ms: number, fn: () => void) => void) {
    this.#later = later;
  }

  /** Is anything not passed on? */
  get any(): boolean {
    return this.#stops !== 0;
  }

  has(partition: number, node: string): boolean {
    const gift = this.#gifts.get(partition);
    return gift !== undefined && gift.stopped?.has(node) !== false && !gift.knows.has(node);
  }

  gave(partition: number, turn: number, to: string): void {
    this.ended(partition);
    const gift: Gift = { turn, to, knows: new Set(), stopped: new Set() };
    this.#gifts.set(partition, gift);
    this.#later(lastWordKeepMs, () => {
      if (this.#gifts.get(partition) === gift) this.ended(partition);
    });
  }

  /** It is this node's again, or has been for others for long. */
  ended(partition: number): void {
    const gift = this.#gifts.get(partition);
    if (gift === undefined) return;
    this.#gifts.delete(partition);
    if (gift.stopped?.size !== 0) this.#stops--;
  }

  /** What that node says of the ring has come, behind all that it had sent here before it heard of it. */
  knows(node: string, turnOf: (partition: number) => number): void {
    for (const [partition, { turn, knows }] of this.#gifts) if (turnOf(partition) >= turn) knows.add(node);
  }

  /**
   * Its session has ended, or there was none. `byMany`: partitions are kept by several nodes, and whoever takes this one for down says his word
   * past it, session or not. Of which partitions nothing of its is passed on from now on; `of` null: nothing of anybody's.
   */
  lost(node: string, byMany: boolean): { partition: number; of: string | null }[] {
    return [...this.#gifts].map(([partition, gift]) => {
      gift.knows.delete(node);
      if (gift.stopped?.size === 0) this.#stops++;
      if (byMany && gift.to === node) gift.stopped = null;
      else gift.stopped?.add(node);
      return { partition, of: gift.to === node && byMany ? null : node };
    });
  }
}
