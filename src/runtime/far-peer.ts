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
// A message that waits here holds its arguments, so they are bounded in bytes as well as in number. Answers are not: they are owed.
//
// Invariant: while anything waits in the backlog everything else for this peer joins it, so the order on the link is the
// order in which things were sent. A pause is per actor and does not hold up the others.

import { type quickError, TroupeError } from '../errors.ts';
import {
  asksPerThreadMax,
  controlLaneMax,
  linkBacklogBytesMax,
  linkBacklogMax,
  waitersPerMailboxMax,
} from '../limits.ts';
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
  /** Looks up its actor anew and sends it there. `isPast`: it had left, as far as those are concerned whose partition is held back since. */
  again(isPast?: boolean): void;
  /** About so many that it holds. */
  readonly bytes: number;
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
  /** Of another node: its name, empty when it is not known, and why it cannot be reached when it is gone. Default: a thread. */
  readonly node?: { readonly name: string; readonly goneWhy: string };
}

export class FarPeer {
  readonly thread: number;
  private readonly wire: FarWire;
  private readonly links: FarLinks;
  private readonly soon: (fn: () => void) => void;
  private readonly backlog: (Frames | Outgoing)[] = [];
  /** Since when each of them waits. */
  private readonly backlogSince: number[] = [];
  /** Of all messages that wait here, for the link or for a mailbox. */
  private waitingBytes = 0;
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
  readonly label: string;
  readonly goneWhy: string;
  private readonly details: Readonly<Record<string, unknown>>;
  gone = false;
  refused = 0;

  constructor(thread: number, options: FarPeerOptions) {
    this.now = options.now;
    this.thread = thread;
    this.wire = options.wire;
    this.links = options.links;
    this.soon = options.soon;
    const { node } = options;
    this.label = node === undefined ? `thread ${thread}` : node.name === '' ? 'an unknown node' : `node ${node.name}`;
    this.goneWhy = node?.goneWhy ?? `${this.label} has died and is being replaced`;
    this.details = node === undefined ? { thread } : { node: node.name };
  }

  /** Nothing waits: a frame may be written straight to the link. */
  get ready(): boolean {
    return this.backlog.length === 0 && !this.gone;
  }

  /** Nobody asks for the sake of waiting behind so many. */
  get crowded(): boolean {
    return this.backlog.length >= linkBacklogMax || this.heavy;
  }

  /** What waits takes all the memory it may take. One message may lie across the bound. */
  get heavy(): boolean {
    return this.waitingBytes > linkBacklogBytesMax;
  }

  /** Ms that what reaches the other thread now has waited: behind the link, and on it. */
  private get lateMs(): number {
    const [since] = this.backlogSince;
    return this.delay.ms + (since === undefined ? 0 : this.lookedAt - since);
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
    const { lateMs } = this;
    return lateMs > 0 && until !== 0 && lateMs * 2 > until - this.lookedAt;
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
      return make('OVERLOADED', `${to} cannot be reached for a moment: ${this.goneWhy}; it was not sent the message`, {
        details: this.details,
      });
    const link = `the link to ${this.label} is ${this.lateMs > 0 ? `${this.lateMs.toFixed(0)} ms behind` : 'full'}`;
    const why = this.isPaused(ref) ? `the mailbox of ${to} is full` : link;
    return make('OVERLOADED', `${why}; the message was not sent`, {
      details: { ...this.details, queued: this.backlog.length },
    });
  }

  /** Puts a message behind what waits for the link; false when too much waits, or nobody will ever read it. */
  queue(message: Outgoing): boolean {
    if (this.gone || this.backlog.length >= asksPerThreadMax || this.heavy) return false;
    this.queueAlways(message);
    this.waitingBytes += message.bytes;
    return true;
  }

  queueAlways(frames: Frames): void {
    if (this.gone) return;
    if (this.backlog.length >= controlLaneMax + asksPerThreadMax) {
      throw new TroupeError(
        'OVERLOADED',
        `${this.label} takes no frames: ${this.backlog.length} messages, replies and control messages wait for it`,
      );
    }
    this.backlog.push(frames);
    this.backlogSince.push(this.now());
    this.listen();
  }

  /** Waits until the mailbox, or the link, has room; false when too many wait. */
  waitForRoom(ref: BaseRef, message: Outgoing): boolean {
    const paused = this.paused.get(ref.toString());
    if (paused === undefined) return this.queue(message);
    if (paused.waiting.length >= waitersPerMailboxMax || this.heavy) return false;
    this.keep(paused, message);
    return true;
  }

  private keep(paused: Paused, message: Outgoing): void {
    paused.waiting.push(message);
    this.waitingBytes += message.bytes;
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
        for (const later of messages.slice(i)) this.keep(paused, later);
        return;
      }
      if (this.ready && message.write()) continue;
      if (!this.queue(message)) message.fail(new TroupeError('OVERLOADED', `too much waits for ${this.label}`));
    }
  }

  /** What waits for the mailbox of an actor that has moved; nothing is paused for it here any more. */
  takeWaiting(unit: string): Outgoing[] {
    const paused = this.paused.get(unit);
    this.paused.delete(unit);
    const waiting = paused?.waiting ?? [];
    for (const { bytes } of waiting) this.waitingBytes -= bytes;
    return waiting;
  }

  /** The same for all actors for whom it is true. */
  takeWaitingOf(which: (unit: string) => boolean): Outgoing[] {
    return [...this.paused.keys()].filter(which).flatMap(unit => this.takeWaiting(unit));
  }

  /** Does a message for one of those wait for room in its mailbox? */
  hasWaiting(which: (unit: string) => boolean): boolean {
    for (const [unit, { waiting }] of this.paused) if (waiting.length > 0 && which(unit)) return true;
    return false;
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
    for (; count < this.backlog.length; count++) {
      const frames = this.backlog[count] as Frames | Outgoing;
      if (!frames.write()) break;
      if ('bytes' in frames) this.waitingBytes -= frames.bytes;
    }
    this.backlog.splice(0, count);
    this.backlogSince.splice(0, count);
    if (this.backlog.length !== 0) this.listen();
  }

  /** The thread is gone: nothing of this will ever be read there. Answers with the messages that never left, in order. */
  die(): Outgoing[] {
    this.gone = true;
    this.delay.clear();
    const messages = this.backlog.splice(0).filter(frames => 'again' in frames);
    this.backlogSince.length = 0;
    this.waitingBytes = 0;
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
      waitingBytes: this.waitingBytes,
      waiting: [...this.paused.values()].reduce((sum, { waiting }) => sum + waiting.length, 0),
      refused: this.refused,
      delayMs: this.lateMs,
    };
  }
}
