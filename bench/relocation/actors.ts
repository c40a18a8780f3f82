// Our actors of the relocation bench: one that is moved about and keeps a ledger of what it was sent, and one that sends
// from a thread of its own.

import { Actor, defineActor, type Ref, type TroupeError, tell } from '../../src/index.ts';
import { percentile, Sampler, seededRandom } from '../stats.ts';
import { type Account, emptyAccount, enter } from './ledger.ts';

/** Its state, the ledger, goes along with each move. */
export class Mover extends Actor<{ accounts: Record<string, Account> }> {
  override initial() {
    return { accounts: {} };
  }
  /** A sender's messages bear numbers 0, 1, 2, ...; tells and asks are one line. */
  take(from: string, number: number): void {
    this.note(from, number);
  }
  answer(from: string, number: number): number {
    this.note(from, number);
    return number;
  }
  ledger(): Record<string, Account> {
    return this.state.accounts;
  }
  private note(from: string, number: number): void {
    this.state.accounts[from] ??= emptyAccount();
    enter(this.state.accounts[from] as Account, number);
  }
}

/** What a sender has to say when it is done. */
export interface Sent {
  /** Messages to each mover. */
  readonly sent: readonly number[];
  /** Answers that were not what was asked for. */
  readonly wrong: number;
  readonly asks: number;
  readonly askP50Ms: number;
  readonly askP99Ms: number;
  readonly askMaxMs: number;
}

export const tellsPerAsk = 4;

/** Sends to each mover in turn, until told to stop: some tells and an ask, whose answer it waits for. */
export async function send(name: string, movers: readonly Ref<Mover>[], stopped: () => boolean): Promise<Sent> {
  const sent = movers.map(() => 0);
  const delays = new Sampler(seededRandom(1));
  let wrong = 0;
  try {
    await sendUntil();
  } catch (error) {
    // The harness has given this run up and stopped the node under us; it says so itself.
    if ((error as TroupeError).code !== 'STOPPED') throw error;
  }

  async function sendUntil(): Promise<void> {
    for (let turn = 0; !stopped(); turn++) {
      const at = turn % movers.length;
      const mover = movers[at] as Ref<Mover>;
      let number = sent[at] as number;
      for (let i = 0; i < tellsPerAsk; i++) {
        const slot = tell(mover).take(name, number++);
        if (slot !== undefined) await slot;
      }
      const began = performance.now();
      const asked = number++;
      sent[at] = number;
      if ((await mover.answer(name, asked)) !== asked) wrong++;
      delays.add(performance.now() - began);
    }
  }
  const sorted = delays.sorted();
  return {
    sent,
    wrong,
    asks: delays.count,
    askP50Ms: percentile(sorted, 0.5),
    askP99Ms: percentile(sorted, 0.99),
    askMaxMs: percentile(sorted, 1),
  };
}

export class Feeder extends Actor<object> {
  private stopped = false;
  override initial() {
    return {};
  }
  feed(name: string, movers: readonly Ref<Mover>[]): Promise<Sent> {
    this.stopped = false;
    return send(name, movers, () => this.stopped);
  }
  halt(): void {
    this.stopped = true;
  }
}

const here = import.meta.url;

export const moverOptions = {
  type: 'mover',
  version: 1,
  placement: 'ring',
  persist: 'none',
  mailbox: { capacity: 1_024, bytes: 1 << 20, overflow: 'wait' },
} as const;
export const MoverT = defineActor(here, Mover, moverOptions);
export const FeederT = defineActor(here, Feeder, {
  type: 'feeder',
  version: 1,
  placement: 'pinned',
  thread: 1,
  persist: 'none',
  turns: { halt: 'interleave' },
});
