// The actors of the tour, in a module of their own: every host thread imports it by its URL. A file that also started a node
// would start one on every thread.
//
// A ledger that writes down what arrives, and sources that keep it busy. The ledger holds nothing on a disk: what it knows
// travels with it from thread to thread, so a message that a move lost or doubled would show in its state.

import { Actor, type ActorType, defineActor, tell } from '../../index.ts';
import { arrived, type Runs } from './runs.ts';

export interface LedgerState {
  /** By sender: what came, in the order it came. */
  readonly books: Map<string, Runs>;
}

export class Ledger extends Actor<LedgerState> {
  override initial(): LedgerState {
    return { books: new Map() };
  }

  note(sender: string, n: number): void {
    arrived(this.book(sender), n);
  }

  /** The newest number of this sender. Asked after a tell it must know of that tell: one sender's messages keep their order. */
  newest(sender: string): number {
    return this.book(sender).at(-1)?.[1] ?? -1;
  }

  report(): [sender: string, runs: Runs][] {
    return [...this.state.books];
  }

  private book(sender: string): Runs {
    const known = this.state.books.get(sender);
    if (known !== undefined) return known;
    const made: Runs = [];
    this.state.books.set(sender, made);
    return made;
  }
}

export const LedgerT: ActorType<Ledger> = defineActor(import.meta.url, Ledger, {
  type: 'tour-ledger',
  // A sender that is too fast waits for a slot; with 'reject', the default, its tell would throw OVERLOADED.
  mailbox: { overflow: 'wait' },
});

/** The same, stored after each turn: it goes from process to process, and none of them may forget it. */
export const LogbookT: ActorType<Ledger> = defineActor(import.meta.url, Ledger, {
  type: 'tour-logbook',
  persist: 'snapshot',
  mailbox: { overflow: 'wait' },
});

/** What a source says after each burst. */
export interface Burst {
  /** Numbers sent so far: 0 to sent - 1. */
  readonly sent: number;
  /** What the ledger answered to the ask behind the last tell. */
  readonly newest: number;
}

export class Source extends Actor<{ sent: number }> {
  override initial(): { sent: number } {
    return { sent: 0 };
  }

  /** Tells the ledger so many numbers, then asks it for the newest. */
  async burst(ledger: string, count: number): Promise<Burst> {
    const ref = this.self.ref(LedgerT, ledger);
    const teller = tell(ref);
    for (let i = 0; i < count; i++) {
      const full = teller.note(this.self.id, this.state.sent++);
      if (full !== undefined) await full;
    }
    return { newest: await ref.newest(this.self.id), sent: this.state.sent };
  }
}

export const SourceT: ActorType<Source> = defineActor(import.meta.url, Source, { type: 'tour-source' });
