// Actors that write down what they hear, in three ways of keeping it; and a witness outside of all of them, who sees each turn.

import { Actor } from '../../../src/runtime/actor.ts';
import { type ActorType, defineActor } from '../../../src/runtime/define-actor.ts';

/** Who said it, and which of his messages to this actor it is. */
export type Line = readonly [sender: string, number: number];

/** One process holds all nodes of a test, so what is set here is told of every turn on each of them. */
export const witness: {
  heard: (unit: string, epoch: number, line: Line) => void;
  /** Virtual time that a turn takes. */
  pause: (ms: number) => Promise<void>;
} = { heard: () => undefined, pause: async () => undefined };

class Ledger extends Actor<Line[]> {
  override initial(): Line[] {
    return [];
  }
  hear(sender: string, number: number): number {
    this.keep([sender, number]);
    return this.state.length;
  }
  async hearSlowly(sender: string, number: number, ms: number): Promise<number> {
    const { signal } = this.self;
    await witness.pause(ms);
    // Of a node that has crashed meanwhile nothing goes on; here its promises do.
    signal.throwIfAborted();
    return this.hear(sender, number);
  }
  all(): Line[] {
    return this.state;
  }
  protected keep(line: Line): void {
    witness.heard(this.self.id, this.self.epoch, line);
    this.state.push(line);
  }
}

class Journal extends Ledger {
  protected override keep(line: Line): void {
    witness.heard(this.self.id, this.self.epoch, line);
    this.append(line);
  }
  override onEvent(line: Line): void {
    this.state.push(line);
  }
}

export const SnapshotT: ActorType<Ledger> = defineActor(import.meta.url, Ledger, {
  type: 'snapshot',
  persist: 'snapshot',
});
/** Its mailbox is full quickly, and whoever tells it something waits then. */
export const JournalT: ActorType<Journal> = defineActor(import.meta.url, Journal, {
  type: 'journal',
  persist: 'journal',
  mailbox: { capacity: 4, overflow: 'wait' },
});
/** Its mailbox is full quickly, and whoever tells it something is refused then. */
export const MemoryT: ActorType<Ledger> = defineActor(import.meta.url, Ledger, {
  type: 'memory',
  persist: 'none',
  mailbox: { capacity: 4, overflow: 'reject' },
});
