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

export class Scheduler {
  private readonly clock: Clock;
  private readonly slice: (act: Activation) => void;
  /** Runs a drain as nobody's turn: a microtask inherits the async context of whoever planned it. */
  private readonly outside: (run: () => void) => void;
  private ring: (Activation | undefined)[] = new Array(1024);
  private mask = 1023;
  private first = 0;
  /** Actors in the queue. */
  length = 0;
  private running = false;
  private planned = false;
  private resetPlanned = false;
  /** End of the time budget of this turn of the event loop; 0 when none was begun. */
  private budgetEnd: Millis = 0;
  /** Messages until the clock is looked at again. */
  left = 1;
  private stride = 1;
  private lookedAt: Millis = 0;
  private over = false;
  slices = 0;
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
    return this.length === 0 && !this.running;
  }

  /** Takes one message from the budget, for a turn outside the queue. False when it must go through the queue after all. */
  spend(): boolean {
    if (this.budgetEnd === 0) this.begin();
    return --this.left > 0 || !this.look();
  }

  add(act: Activation): void {
    if (this.length > this.mask) this.grow();
    this.ring[(this.first + this.length++) & this.mask] = act;
    if (!this.running && !this.planned) this.plan();
  }

  /** Called by a slice when `left` has reached 0: true when the slice must end. */
  look(): boolean {
    const now = this.clock.mono();
    const spent = now - this.lookedAt;
    const wish = spent <= 0 ? strideMax : (this.stride * blindMs) / spent;
    this.stride = wish > strideMax ? strideMax : wish < 1 ? 1 : wish | 0;
    this.left = this.stride;
    this.lookedAt = now;
    this.over = now >= this.budgetEnd;
    return this.over;
  }

  private plan(): void {
    this.planned = true;
    if (this.budgetEnd === 0 || !this.over) this.clock.micro(this.drain);
    else this.clock.soon(this.drain);
  }

  private readonly drain = (): void => this.outside(this.run);

  private readonly run = (): void => {
    this.planned = false;
    if (this.running) return;
    this.running = true;
    if (this.budgetEnd === 0) this.begin();
    this.over = false;
    const last = this.slices + slicesPerDrainMax;
    while (this.length !== 0) {
      const act = this.ring[this.first] as Activation;
      this.ring[this.first] = undefined;
      this.first = (this.first + 1) & this.mask;
      this.length--;
      act.flags &= ~queued;
      this.slices++;
      this.slice(act);
      if (this.over || this.slices === last) break;
    }
    this.running = false;
    if (this.length !== 0 && !this.planned) {
      this.planned = true;
      this.clock.soon(this.drain);
    }
  };

  private begin(): void {
    this.lookedAt = this.clock.mono();
    this.budgetEnd = this.lookedAt + budgetMs;
    this.left = this.stride;
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
