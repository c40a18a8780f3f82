// The actors of the scenario of nodes: they write down what they hear, in several ways of keeping it; somebody who watches; somebody
// who ends. And a witness outside of all of them, who sees each turn on whatever node it is.

import { TroupeError } from '../../errors.ts';
import { Actor } from '../../runtime/actor.ts';
import { type ActorType, defineActor } from '../../runtime/define-actor.ts';
import { call, type Ref } from '../../runtime/refs.ts';

/** Who said it, and which of his messages to this actor it is. */
export type Line = readonly [sender: string, number: number];

/** Lines of reminders that came, under the number that is their name. */
export const reminderSender = 'reminder';

/** One process holds all nodes of a simulated cluster, so what is set here is told of every turn on each of them. */
export const witness: {
  /** `above`: the highest epoch that had been seen when that turn began; undefined: it began just now. */
  heard: (unit: string, epoch: number, line: Line, above: number | undefined) => void;
  highest: (unit: string) => number;
  departed: (watch: string, reason: string) => void;
  /** Whoever has that key is about to end by itself. */
  ends: (key: string) => void;
  /** Virtual time that a turn takes; it never ends when its node has crashed. */
  pause: (ms: number) => Promise<void>;
} = {
  heard: () => undefined,
  highest: () => 0,
  departed: () => undefined,
  ends: () => undefined,
  pause: async () => undefined,
};

/** What whoever asks is told: of another line it is mostly another one. */
export function answerOf(unit: string, [sender, number]: Line): number {
  let sum = number;
  for (const letter of unit + sender) sum = (sum * 31 + letter.charCodeAt(0)) % answers;
  return sum;
}

/** One byte. */
const answers = 128;

export class Ledger extends Actor<Line[]> {
  override initial(): Line[] {
    return [];
  }
  hear(sender: string, number: number, above?: number): number {
    this.keep([sender, number], above);
    return answerOf(this.self.id, [sender, number]);
  }
  async hearSlowly(sender: string, number: number, ms: number): Promise<number> {
    const { signal } = this.self;
    const above = witness.highest(this.self.id);
    await witness.pause(ms);
    // Of a node that has crashed meanwhile nothing goes on; here its promises do.
    signal.throwIfAborted();
    return this.hear(sender, number, above);
  }
  /** Has another one hear it, and says what became of that. */
  async through(other: Ref<Ledger>, sender: string, number: number, deadlineMs: number): Promise<string> {
    try {
      await call(other, { deadlineMs }).hear(sender, number);
      return 'ok';
    } catch (error) {
      if (error instanceof TroupeError) return error.outcome;
      throw error;
    }
  }
  remindMe(name: number, inMs: number): Promise<void> {
    return this.self.remind(String(name), inMs);
  }
  async cancelIt(name: number): Promise<void> {
    await this.self.cancel(String(name));
  }
  override onReminder(name: string): void {
    this.keep([reminderSender, Number(name)]);
  }
  all(): Line[] {
    return this.state;
  }
  protected keep(line: Line, above?: number): void {
    witness.heard(this.self.id, this.self.epoch, line, above);
    this.state.push(line);
  }
}

class Journal extends Ledger {
  protected override keep(line: Line, above?: number): void {
    witness.heard(this.self.id, this.self.epoch, line, above);
    this.append(line);
  }
  override onEvent(line: Line): void {
    this.state.push(line);
  }
}

/** What is acknowledged survives the power: so nothing is excused whatever crashes. */
const durability = 'flushed';

export const SnapshotT: ActorType<Ledger> = defineActor(import.meta.url, Ledger, {
  type: 'sim-snapshot',
  persist: 'snapshot',
  durability,
});
/** Its mailbox is full quickly, and whoever tells it something waits then. */
export const JournalT: ActorType<Journal> = defineActor(import.meta.url, Journal, {
  type: 'sim-journal',
  persist: 'journal',
  durability,
  mailbox: { capacity: 4, overflow: 'wait' },
});
/** Its mailbox is full quickly, and whoever tells it something is refused then. */
export const MemoryT: ActorType<Ledger> = defineActor(import.meta.url, Ledger, {
  type: 'sim-memory',
  persist: 'none',
  mailbox: { capacity: 4, overflow: 'reject' },
});
/** Nobody is awake for its records most of the time. */
export const SleeperT: ActorType<Ledger> = defineActor(import.meta.url, Ledger, {
  type: 'sim-sleeper',
  persist: 'snapshot',
  durability,
  idleMs: 150,
});

/** Ends when it is asked to. */
export class Mortal extends Actor<null> {
  override initial(): null {
    return null;
  }
  end(): void {
    this.self.stop();
  }
  /** By itself: nobody's message is behind it, which would have come by the way of all others. */
  endSoon(ms: number): void {
    this.self.after(ms, 'endNow');
  }
  endNow(): void {
    witness.ends(this.self.key);
    this.self.stop();
  }
}
export const MortalT: ActorType<Mortal> = defineActor(import.meta.url, Mortal, { type: 'sim-mortal', persist: 'none' });

/** One on each node, which stays there. */
export class Watcher extends Actor<null> {
  override initial(): null {
    return null;
  }
  see(mortal: Ref<Mortal>, watch: string): void {
    this.self.watch(mortal, ({ reason }) => witness.departed(watch, reason));
  }
}
export const WatcherT: ActorType<Watcher> = defineActor(import.meta.url, Watcher, {
  type: 'sim-watcher',
  persist: 'none',
  placement: 'node',
});
