// What this host keeps for one other thread: whether its link takes frames now, what waits until it does, and which of its
// actors have asked us to pause because their mailbox is full.
//
//      message ─▶ paused? ──yes──▶ waits for this actor ──resume──┐
//                   └no─▶ link full? ──yes──▶ backlog ◀───────────┘   the thread dies, or the actor moves: whatever waits
//                            └no─▶ frame       └──room──▶ frame       has not been sent, and is sent again another way
//
// A receiver's word to pause takes a moment to come, and a sender in a loop does not even listen. So an actor is sent no
// more in one turn of the event loop than its mailbox holds: the same bound a sender on its own thread meets.
//
// Invariant: while anything waits in the backlog everything else for this peer joins it, so the order on the link is the
// order in which things were sent. A pause is per actor and does not hold up the others.

import { type quickError, TroupeError } from '../errors.ts';
import { asksPerThreadMax, controlLaneMax, linkBacklogMax, waitersPerMailboxMax } from '../limits.ts';
import type { FarLinks, FarWire } from './far-wire.ts';
import { LinkDelay } from './link-delay.ts';
import type { BaseRef } from './refs.ts';

/** A frame that has to wait. */
export interface Frames {
  /** False when the link is full. Does not throw. */
  write(): boolean;
}

/** A message that has to wait: nobody has seen it yet, so it may still go another way. */
export interface Outgoing extends Frames {
  readonly to: string;
  /** Looks up its actor anew and sends it there. */
  again(): void;
  fail(error: TroupeError): void;
}

const withStack: typeof quickError = (code, message, options) => new TroupeError(code, message, options);

interface Paused {
  waiting: Outgoing[];
  /** We have stopped by ourselves, until the event loop turns. */
  own: boolean;
}

export interface FarPeerOptions {
  readonly wire: FarWire;
  readonly links: FarLinks;
  /** Runs fn when the event loop has turned and the links have been read. */
  readonly soon: (fn: () => void) => void;
  /** Monotonic ms. */
  readonly now: () => number;
}

export class FarPeer {
  readonly thread: number;
  private readonly wire: FarWire;
  private readonly links: FarLinks;
  private readonly soon: (fn: () => void) => void;
  private readonly backlog: (Frames | Outgoing)[] = [];
  private readonly paused = new Map<string, Paused>();
  private listening = false;
  /** By slot of the link: in which turn of the event loop something was sent there last, and how much since it began. */
  private readonly turnOf: number[] = [];
  private readonly sentIn: number[] = [];
  private readonly bytesIn: number[] = [];
  private readonly now: () => number;
  private readonly delay = new LinkDelay();
  private lookedIn = -1;
  private lookedAt = 0;
  gone = false;
  refused = 0;

  constructor(thread: number, options: FarPeerOptions) {
    this.now = options.now;
    this.thread = thread;
    this.wire = options.wire;
    this.links = options.links;
    this.soon = options.soon;
  }

  /** Nothing waits: a frame may be written straight to the link. */
  get ready(): boolean {
    return this.backlog.length === 0 && !this.gone;
  }

  /** Nobody asks for the sake of waiting behind so many. */
  get crowded(): boolean {
    return this.backlog.length >= linkBacklogMax;
  }

  /**
   * Would an ask with this deadline (0: none) spend half of its time on the way? The link is looked at once a turn of the
   * event loop.
   */
  isTooLate(until: number): boolean {
    const { delay, links, thread } = this;
    if (links.turns !== this.lookedIn) {
      this.lookedIn = links.turns;
      this.lookedAt = this.now();
      delay.look(this.lookedAt, links.readAt(thread), links.unread(thread));
    }
    return delay.ms > 0 && until !== 0 && delay.ms * 2 > until - this.lookedAt;
  }

  isPaused(ref: BaseRef): boolean {
    return this.paused.size !== 0 && this.paused.has(ref.toString());
  }

  /** Hot path: a message has been sent. Stops for the rest of this turn when that fills a whole mailbox. */
  sentTo(ref: BaseRef, slot: number, bytes: number, capacity: number, bytesMax: number): void {
    const { turns } = this.links;
    if (this.turnOf[slot] !== turns) {
      while (this.turnOf.length <= slot) {
        this.turnOf.push(-1);
        this.sentIn.push(0);
        this.bytesIn.push(0);
      }
      this.turnOf[slot] = turns;
      this.sentIn[slot] = 0;
      this.bytesIn[slot] = 0;
    }
    const messages = (this.sentIn[slot] as number) + 1;
    const sum = (this.bytesIn[slot] as number) + bytes;
    this.sentIn[slot] = messages;
    this.bytesIn[slot] = sum;
    if (messages >= capacity || sum >= bytesMax) this.pauseForNow(ref.toString());
  }

  private pauseForNow(unit: string): void {
    if (this.paused.has(unit)) return;
    const paused: Paused = { waiting: [], own: true };
    this.paused.set(unit, paused);
    this.soon(() => {
      if (this.paused.get(unit) === paused && paused.own) this.resume(unit);
    });
  }

  /** `make`: with a stack for what is thrown at a sender, without one for an answer. */
  overloaded(ref: BaseRef, make: typeof quickError = withStack): TroupeError {
    this.refused++;
    const to = ref.toString();
    if (this.gone)
      return make(
        'OVERLOADED',
        `thread ${this.thread} has died and is being replaced; ${to} cannot be reached for a moment`,
        { details: { thread: this.thread } },
      );
    const link = `the link to thread ${this.thread} is ${this.delay.ms > 0 ? `${this.delay.ms.toFixed(0)} ms behind` : 'full'}`;
    const why = this.isPaused(ref) ? `the mailbox of ${to} is full` : link;
    return make('OVERLOADED', `${why}; the message was not sent`, {
      details: { thread: this.thread, queued: this.backlog.length },
    });
  }

  /** Puts a message behind what waits for the link; false when too much waits, or nobody will ever read it. */
  queue(message: Outgoing): boolean {
    if (this.gone || this.backlog.length >= asksPerThreadMax) return false;
    this.queueAlways(message);
    return true;
  }

  queueAlways(frames: Frames): void {
    if (this.gone) return;
    if (this.backlog.length >= controlLaneMax + asksPerThreadMax) {
      throw new TroupeError(
        'OVERLOADED',
        `thread ${this.thread} takes no frames: ${this.backlog.length} messages, replies and control messages wait for it`,
      );
    }
    this.backlog.push(frames);
    this.listen();
  }

  /** Waits until the mailbox, or the link, has room; false when too many wait. */
  waitForRoom(ref: BaseRef, message: Outgoing): boolean {
    const paused = this.paused.get(ref.toString());
    if (paused === undefined) return this.queue(message);
    if (paused.waiting.length >= waitersPerMailboxMax) return false;
    paused.waiting.push(message);
    return true;
  }

  /** The other side says that this actor's mailbox is full. */
  pause(unit: string): void {
    const paused = this.paused.get(unit);
    if (paused === undefined) this.paused.set(unit, { waiting: [], own: false });
    else paused.own = false;
  }

  /** No more than a mailbox at a time: the rest goes on waiting. */
  resume(unit: string): void {
    const messages = this.takeWaiting(unit);
    for (const [i, message] of messages.entries()) {
      const paused = this.paused.get(unit);
      if (paused !== undefined) {
        paused.waiting.push(...messages.slice(i));
        return;
      }
      if (this.ready && message.write()) continue;
      if (!this.queue(message)) message.fail(new TroupeError('OVERLOADED', `too much waits for thread ${this.thread}`));
    }
  }

  /** What waits for the mailbox of an actor that has moved; nothing is paused for it here any more. */
  takeWaiting(unit: string): Outgoing[] {
    const paused = this.paused.get(unit);
    this.paused.delete(unit);
    return paused?.waiting ?? [];
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
    while (count < this.backlog.length && (this.backlog[count] as Frames).write()) count++;
    this.backlog.splice(0, count);
    if (this.backlog.length !== 0) this.listen();
  }

  /** The thread is gone: nothing of this will ever be read there. Answers with the messages that never left, in order. */
  die(): Outgoing[] {
    this.gone = true;
    this.delay.clear();
    const messages = this.backlog.splice(0).filter(frames => 'again' in frames);
    for (const { waiting } of this.paused.values()) messages.push(...waiting);
    this.paused.clear();
    return messages;
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
      waiting: [...this.paused.values()].reduce((sum, { waiting }) => sum + waiting.length, 0),
      refused: this.refused,
      delayMs: this.delay.ms,
    };
  }
}
