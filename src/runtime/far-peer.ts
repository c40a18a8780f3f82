// What this host keeps for one other thread: whether its link takes frames now, what waits until it does, and which of its
// actors have asked us to pause because their mailbox is full.
//
// Invariant: while anything waits in the queue everything else for this peer joins it, so the order on the link is the order
// in which things were sent. A pause is per actor and does not hold up the others.

import { TroupeError } from '../errors.ts';
import { asksPerThreadMax, controlLaneMax, waitersPerMailboxMax } from '../limits.ts';
import type { FarWire } from './far-wire.ts';
import type { BaseRef } from './refs.ts';

interface Paused {
  readonly waiting: {
    readonly write: () => boolean;
    readonly done: () => void;
    readonly failed: (error: unknown) => void;
  }[];
}

export class FarPeer {
  readonly thread: number;
  private readonly wire: FarWire;
  private readonly backlog: (() => boolean)[] = [];
  private readonly paused = new Map<string, Paused>();
  private listening = false;
  gone = false;
  refused = 0;

  constructor(thread: number, wire: FarWire) {
    this.thread = thread;
    this.wire = wire;
  }

  /** Nothing waits: a frame may be written straight to the link. */
  get ready(): boolean {
    return this.backlog.length === 0 && !this.gone;
  }

  isPaused(ref: BaseRef): boolean {
    return this.paused.size !== 0 && this.paused.has(ref.toString());
  }

  overloaded(ref: BaseRef): TroupeError {
    this.refused++;
    if (this.gone)
      return new TroupeError(
        'OVERLOADED',
        `thread ${this.thread} has died and is being replaced; ${ref.toString()} cannot be reached for a moment`,
      );
    const why = this.isPaused(ref)
      ? `the mailbox of ${ref.toString()} is full`
      : `the link to thread ${this.thread} is full`;
    return new TroupeError('OVERLOADED', `${why}; the message was not sent`, {
      details: { thread: this.thread, queued: this.backlog.length },
    });
  }

  /** Puts a message behind what waits for the link; false when too much waits. */
  queue(write: () => boolean): boolean {
    if (this.backlog.length >= asksPerThreadMax) return false;
    this.queueAlways(write);
    return true;
  }

  queueAlways(write: () => boolean): void {
    if (this.gone) return;
    this.backlog.push(write);
    if (this.backlog.length > controlLaneMax + asksPerThreadMax) {
      this.backlog.length = 0;
      throw new TroupeError(
        'OVERLOADED',
        `thread ${this.thread} takes no frames: ${controlLaneMax} replies and control messages wait for it`,
      );
    }
    this.listen();
  }

  /** For overflow: 'wait': resolves once the message is on the link. */
  whenRoom(ref: BaseRef, write: () => boolean): Promise<void> {
    return new Promise((done, failed) => {
      const entry = { write, done, failed };
      const paused = this.paused.get(ref.toString());
      if (paused !== undefined) {
        if (paused.waiting.length >= waitersPerMailboxMax) failed(this.overloaded(ref));
        else paused.waiting.push(entry);
        return;
      }
      if (!this.queue(() => this.finish(entry))) failed(this.overloaded(ref));
    });
  }

  private finish(entry: { write: () => boolean; done: () => void; failed: (error: unknown) => void }): boolean {
    try {
      if (!entry.write()) return false;
      entry.done();
    } catch (error) {
      entry.failed(error);
    }
    return true;
  }

  pause(unit: string): void {
    if (!this.paused.has(unit)) this.paused.set(unit, { waiting: [] });
  }

  resume(unit: string): void {
    const paused = this.paused.get(unit);
    this.paused.delete(unit);
    for (const entry of paused?.waiting ?? []) {
      if (this.ready && this.finish(entry)) continue;
      this.queueAlways(() => this.finish(entry));
    }
  }

  private listen(): void {
    if (this.listening) return;
    this.listening = true;
    this.wire.onWritable(this.thread, () => {
      this.listening = false;
      this.flush();
    });
  }

  private flush(): void {
    let count = 0;
    try {
      while (count < this.backlog.length && (this.backlog[count] as () => boolean)()) count++;
    } finally {
      this.backlog.splice(0, count);
    }
    if (this.backlog.length !== 0) this.listen();
  }

  /** The thread is gone: nothing of this will ever be read. Waiting tells learn it; asks are ended by the router. */
  die(): void {
    this.gone = true;
    this.backlog.length = 0;
    const lost = new TroupeError('UNKNOWN_OUTCOME', `thread ${this.thread} died before the message was sent`, {
      outcome: 'failed',
    });
    for (const { waiting } of this.paused.values()) for (const entry of waiting) entry.failed(lost);
    this.paused.clear();
  }

  revive(): void {
    this.gone = false;
  }

  describe(): object {
    return {
      thread: this.thread,
      gone: this.gone,
      queued: this.backlog.length,
      paused: this.paused.size,
      refused: this.refused,
    };
  }
}
