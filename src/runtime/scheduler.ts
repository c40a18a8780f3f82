// Hot path: which actor runs next on this thread. One run queue; an actor is in it at most once; a slice ends after so many
// messages, a run of slices after so much time, and then the event loop gets its turn. That is what keeps a quick actor
// beside one with a million queued messages within a millisecond or two, and timers too. bench/local (fairness) watches it.
//
// Intuition: draining in a microtask makes a lone ask cheap (no trip through the event loop), but microtasks starve I/O. So
// each turn of the event loop has one time budget for drains; when it is used up the rest waits for setImmediate.
//
// Reading the clock costs as much as a message, so it is read every `stride` messages, and the stride follows the measured
// cost of a message: cheap messages are counted, dear ones are timed.

import type { Activation } from './activation.ts';
import { queued } from './flags.ts';
import type { Clock, Millis } from './world.ts';

/** Messages one actor may run before the next gets its turn. */
export const sliceMessages = 256;
/** Time a run of slices may take before the event loop is let in. */
const budgetMs = 1;
/** Slices in a row, whatever the clock says: in a test it stands still, and two actors that never rest must not hang it. */
const slicesPerDrainMax = 65_536;
/** Time that may pass unseen between two looks at the clock. */
const blindMs = 0.1;
const strideMax = 512;
/** A constant of this module is folded into the machine code; an imported one costs a load and two checks each time. */
const outOfQueue: number = ~queued;

export class Scheduler {
  private readonly clock: Clock;
  private readonly slice: (act: Activation) => void;
  /** Runs a drain as nobody's turn: a microtask inherits the async context of whoever planned it. */
  private readonly outside: (run: () => void) => void;
  /** The actor whose turn it is next; the ring holds those behind it. One that waits alone never touches the ring. */
  private next: Activation | null = null;
  private ring: (Activation | undefined)[] = new Array(1024).fill(undefined);
  private mask = 1023;
  private first = 0;
  private behind = 0;
  /** Runs, or has been planned to: add() need not wake it. */
  private awake = false;
  private running = false;
  private resetPlanned = false;
  /** End of the time budget of this turn of the event loop; 0 when none was begun. */
  private budgetEnd: Millis = 0;
  /** Messages until the clock is looked at again. */
  left = 1;
  private stride = 1;
  /** What `left` began with. */
  private asked = 1;
  private dice = 1;
  private lookedAt: Millis = 0;
  private over = false;
  slices = 0;
  /** Called about every blindMs of work, with the actor that has just run and what has passed since. Null: nobody wants to know. */
  onSpent: ((act: Activation, ms: Millis) => void) | null = null;
  /** Not yet told; ms a message takes; messages of earlier turns of the event loop that ended before a look. */
  private spent: Millis = 0;
  private cost: Millis = 0;
  private unseen = 0;
  /** Called when a run of slices is over. */
  onRest: () => void = () => undefined;
  /** Called once a turn of the event loop in which actors have run. */
  onTurn: () => void = () => undefined;
  /** Called with the time when the first of them is about to run. */
  onBegin: (now: Millis) => void = () => undefined;

  constructor(clock: Clock, slice: (act: Activation) => void, outside: (run: () => void) => void) {
    this.clock = clock;
    this.slice = slice;
    this.outside = outside;
  }

  /** Nothing runs and nothing waits to. */
  get idle(): boolean {
    return this.next === null && !this.running;
  }

  /** Actors in the queue. */
  get length(): number {
    return this.next === null ? 0 : this.behind + 1;
  }

  /** Takes one message from the budget, for a turn outside the queue. False when it must go through the queue after all. */
  spend(): boolean {
    if (this.budgetEnd === 0) this.begin();
    return --this.left > 0 || !this.look();
  }

  add(act: Activation): void {
    if (this.next === null) this.next = act;
    else this.queue(act);
    if (!this.awake) this.plan();
  }

  private queue(act: Activation): void {
    if (this.behind > this.mask) this.grow();
    this.ring[(this.first + this.behind++) & this.mask] = act;
  }

  /** Called by a slice when `left` has reached 0: true when the slice must end. */
  look(): boolean {
    const now = this.clock.mono();
    const spent = now - this.lookedAt;
    if (spent > 0) {
      this.spent += spent;
      this.cost = spent / this.asked;
    }
    const wish = spent <= 0 ? strideMax : (this.asked * blindMs) / spent;
    this.stride = wish > strideMax ? strideMax : wish < 1 ? 1 : wish | 0;
    this.asked = this.onSpent === null ? this.stride : this.about(this.stride);
    this.left = this.asked;
    this.lookedAt = now;
    this.over = now >= this.budgetEnd;
    return this.over;
  }

  private plan(): void {
    this.awake = true;
    if (this.budgetEnd === 0 || !this.over) this.clock.micro(this.drain);
    else this.clock.soon(this.drain);
  }

  private readonly drain = (): void => this.outside(this.run);

  private readonly run = (): void => {
    this.running = true;
    if (this.budgetEnd === 0) this.begin();
    this.over = false;
    let slices = 0;
    for (let act = this.next; act !== null; act = this.next) {
      this.next = this.behind === 0 ? null : this.takeBehind();
      act.flags &= outOfQueue;
      slices++;
      this.slice(act);
      if (this.spent > 0) this.tell(act);
      if (this.over || slices === slicesPerDrainMax) break;
    }
    this.slices += slices;
    this.running = false;
    this.awake = this.next !== null;
    this.onRest();
    if (this.awake) this.clock.soon(this.drain);
  };

  /** So many on average. Exactly so many, and of two actors that run in turn it is always the same one that is seen. */
  private about(stride: number): number {
    this.dice = (this.dice * 48_271) % 2_147_483_647;
    const half = stride >>> 1;
    return stride - half + ((this.dice >>> 8) % (2 * half + 1));
  }

  private tell(act: Activation): void {
    const { spent } = this;
    this.spent = 0;
    this.onSpent?.(act, spent);
  }

  private takeBehind(): Activation {
    const act = this.ring[this.first] as Activation;
    this.ring[this.first] = undefined;
    this.first = (this.first + 1) & this.mask;
    this.behind--;
    return act;
  }

  private begin(): void {
    // What ran since the last look of an earlier turn was not timed: it is taken to have cost what the others did.
    this.unseen += this.asked - this.left;
    if (this.unseen >= this.asked) {
      this.spent += this.unseen * this.cost;
      this.unseen = 0;
    }
    this.lookedAt = this.clock.mono();
    this.budgetEnd = this.lookedAt + budgetMs;
    this.left = this.asked;
    this.onBegin(this.lookedAt);
    if (this.resetPlanned) return;
    this.resetPlanned = true;
    this.clock.soon(this.reset);
  }

  /** The event loop has turned: a new budget begins with the next drain. */
  private readonly reset = (): void => {
    this.resetPlanned = false;
    this.budgetEnd = 0;
    this.over = false;
    this.onTurn();
  };

  private grow(): void {
    const old = this.ring;
    const size = old.length;
    const next: (Activation | undefined)[] = new Array(size * 2);
    for (let i = 0; i < size; i++) next[i] = old[(this.first + i) & this.mask];
    this.ring = next;
    this.mask = size * 2 - 1;
    this.first = 0;
  }
}
