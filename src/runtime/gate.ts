// The output gate of one persisted actor: what it has handed to storage, how much of that is durable, and which outputs
// wait. Pure bookkeeping; persistence.ts does the writing.
//
//      turn ──▶ write 7 handed in ──▶ reply held behind 7 ──▶ write 7 durable ──▶ reply leaves
//
// Invariant: an output leaves only when every write handed in before it is durable; outputs leave in the order they were
// made. A refused write takes down everything that was held behind it or any later write, and nothing that was held
// behind an earlier one: that may be committed and on its way to the disk.

import type { WriteOp } from '../storage/engine.ts';

export interface HeldOutput {
  readonly send: () => void;
  readonly refuse: (error: unknown) => void;
}

export interface LastWrite {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly done: Promise<void>;
  /** Its engine has refused it, and says so when other nodes have what is there instead. */
  isRefused: boolean;
}

export class Gate {
  /** The newest state handed to storage, encoded: an equal one need not be written again. */
  handedIn: Uint8Array | undefined;
  /** Outputs made in the synchronous part of the running turn; its end decides what they wait for. */
  held: HeldOutput[] = [];
  /** Events of the running turn that were not handed in yet. */
  events: WriteOp[] = [];
  /** Journal: number of the last event, and events since the last snapshot. */
  lastEvent = 0;
  sinceSnapshot = 0;
  /** The write that was handed in last, until it is known what became of it. */
  last: LastWrite | null = null;
  private tickets = 0;
  /** Tickets of writes of which nothing is known yet, oldest first. */
  private readonly undecided: number[] = [];
  private readonly queue: { readonly after: number; readonly output: HeldOutput }[] = [];

  /** A write was handed in. Its ticket is passed to settled() or refused(). */
  ticket(): number {
    this.undecided.push(++this.tickets);
    return this.tickets;
  }

  get open(): boolean {
    return this.undecided.length === 0;
  }

  /** Nothing would have to wait. */
  get isClear(): boolean {
    return this.open && this.queue.length === 0;
  }

  /** Lets the output go now or behind everything handed in so far. */
  pass(output: HeldOutput): void {
    if (this.isClear) output.send();
    else this.queue.push({ after: this.undecided.at(-1) ?? 0, output });
  }

  settled(ticket: number): void {
    const at = this.undecided.indexOf(ticket);
    if (at < 0) return;
    this.undecided.splice(at, 1);
    this.release();
  }

  /** Its actor's thread is lost: what waits here is lost with it. */
  abandon(): void {
    this.held = [];
    this.queue.length = 0;
  }

  /** A write failed: what waits behind it, and the writes after it, will never be durable. */
  refused(ticket: number, error: unknown): void {
    const at = this.undecided.indexOf(ticket);
    if (at < 0) return;
    this.undecided.length = at;
    const first = this.queue.findIndex(({ after }) => after >= ticket);
    const lost = first < 0 ? [] : this.queue.splice(first);
    for (const { output } of lost) output.refuse(error);
    this.release();
  }

  private release(): void {
    const oldest = this.undecided[0] ?? Number.POSITIVE_INFINITY;
    let count = 0;
    while (count < this.queue.length && (this.queue[count]?.after as number) < oldest) count++;
    for (const { output } of this.queue.splice(0, count)) output.send();
  }
}
