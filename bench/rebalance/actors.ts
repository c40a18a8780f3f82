// The actors of the rebalance bench: each message costs a bit of its thread, and goes into the books.

import { Actor, type ActorType, defineActor } from '../../src/index.ts';
import { type Account, emptyAccount, enter } from '../relocation/ledger.ts';

export class Worker extends Actor<{ accounts: Record<string, Account> }> {
  override initial() {
    return { accounts: {} };
  }
  /** A sender's messages bear numbers 0, 1, 2, ...; tells and asks are one line. */
  work(from: string, number: number, us: number): number {
    const until = performance.now() + us / 1_000;
    this.state.accounts[from] ??= emptyAccount();
    enter(this.state.accounts[from] as Account, number);
    while (performance.now() < until);
    return number;
  }
  ledger(): Record<string, Account> {
    return this.state.accounts;
  }
}

export const WorkerT: ActorType<Worker> = defineActor(import.meta.url, Worker, {
  type: 'worker',
  mailbox: { overflow: 'wait' },
});
