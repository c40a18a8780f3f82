// Which frames of a sender have been taken already: a link between processes that breaks and reconnects sends again what
// was not acknowledged, and some of that had arrived.
//
// Because a link is FIFO, one number a sender is enough: the highest sequence below which nothing is missing. A sender
// is one life of a host (or of an actor, when the window travels with a unit), counts from 1 and starts again only
// under a new name.
//
// Invariant: as long as a sender is remembered, the sequences answered 'next' are 1, 2, 3 ... without a gap and without a
// repeat. One that was forgotten is asked for a 1 it no longer has, so it must come back under a new name; the bound is far
// above the number of senders that are alive, or a repeat of its very first frame could be taken again.

import { dedupeSendersMax } from '../limits.ts';

export type Verdict =
  | 'next' // take it
  | 'duplicate' // drop it, it was taken before
  | 'gap'; // refuse it: an earlier one is missing; ask for resending from highest() + 1

export class DedupeWindow<Sender extends string | number> {
  /** The first is forgotten first. In order of first frames; once full, a frame moves its sender to the end. */
  readonly #highest = new Map<Sender, number>();
  readonly #sendersMax: number;
  #deduped = 0;
  #gaps = 0;
  #forgotten = 0;

  constructor(sendersMax: number = dedupeSendersMax) {
    this.#sendersMax = sendersMax;
  }

  /** Judges and, when the verdict is 'next', remembers. */
  accept(sender: Sender, sequence: number): Verdict {
    const highest = this.highest(sender);
    if (sequence <= highest) {
      this.#deduped++;
      return 'duplicate';
    }
    if (sequence !== highest + 1) {
      this.#gaps++;
      return 'gap';
    }
    this.#remember(sender, sequence);
    return 'next';
  }

  /** What the sender may forget, and after what it has to go on. 0 when it is unknown. */
  highest(sender: Sender): number {
    return this.#highest.get(sender) ?? 0;
  }

  /** The caller knows that everything up to `sequence` is lost for good (its carrier died) and goes on after it. */
  skipTo(sender: Sender, sequence: number): void {
    if (sequence > this.highest(sender)) this.#remember(sender, sequence);
  }

  /** The sender died; its name never comes back. */
  forget(sender: Sender): void {
    this.#highest.delete(sender);
  }

  /** For a pack: plain data. */
  entries(): [Sender, number][] {
    return [...this.#highest];
  }

  static from<Sender extends string | number>(
    entries: Iterable<readonly [Sender, number]>,
    sendersMax?: number,
  ): DedupeWindow<Sender> {
    const window = new DedupeWindow<Sender>(sendersMax);
    for (const [sender, sequence] of entries) window.skipTo(sender, sequence);
    return window;
  }

  describe(): { senders: number; deduped: number; gaps: number; forgotten: number } {
    return { senders: this.#highest.size, deduped: this.#deduped, gaps: this.#gaps, forgotten: this.#forgotten };
  }

  #remember(sender: Sender, sequence: number): void {
    // Moving a sender to the end costs a delete a frame, so it is only done when somebody is about to be forgotten.
    if (this.#highest.size >= this.#sendersMax && !this.#highest.delete(sender)) {
      this.#highest.delete(this.#highest.keys().next().value as Sender);
      this.#forgotten++;
    }
    this.#highest.set(sender, sequence);
  }
}
