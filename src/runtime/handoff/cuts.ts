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
  /** By node, in its session: the turn of each partition that it knows of. */
  readonly #known = new Map<string, number[]>();
  readonly #partitions: number;

  constructor(partitions: number, later: (ms: number, fn: () => void) => void) {
    this.#partitions = partitions;
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
    const isSame = (each: Cut): boolean => each.turn === turn && each.of === of;
    const all = this.#cuts.get(partition) ?? [];
    const know = [...this.#known].filter(([, turns]) => (turns[partition] ?? -1) >= turn).map(([node]) => node);
    const cut: Cut = { turn, of, knows: new Set([...know, ...(all.find(isSame)?.knows ?? [])]) };
    this.#cuts.set(partition, [...all.filter(each => !isSame(each)), cut]);
    this.#later(lastWordKeepMs, () => {
      const rest = (this.#cuts.get(partition) ?? []).filter(each => each !== cut);
      if (rest.length === 0) this.#cuts.delete(partition);
      else this.#cuts.set(partition, rest);
    });
  }

  /** What that node says of the ring, or of what has changed in it, has come, behind all that it had sent here before it heard of it. */
  knows(node: string, turnOf: (partition: number) => number): void {
    const before = this.#known.get(node);
    const turns = Array.from({ length: this.#partitions }, (_, each) => Math.max(before?.[each] ?? -1, turnOf(each)));
    this.#known.set(node, turns);
    for (const [partition, cuts] of this.#cuts)
      for (const { turn, knows } of cuts) if ((turns[partition] ?? -1) >= turn) knows.add(node);
  }

  /** Its session has ended: the next one begins with what it knows then, perhaps in another life. */
  lost(node: string): void {
    this.#known.delete(node);
  }
}
