// Which awake actors should go to sleep: those idle for long, and, above a cap, those least likely to be wanted again.
//
// Least recently used was the simpler idea and fails on a scan: a thousand actors woken once each push out a thousand that
// are used every second. This is S3-FIFO (Yang et al., SOSP 2023) without its queue of objects: a newcomer has to prove
// itself before it counts, and one that comes back soon after it was put out has proved itself.
//
//      woken ──▶ recent (a tenth of the cap, oldest first) ──used again in a later tick──▶ settled (a clock)
//        │            └──────────── not used again ──▶ asleep, remembered as a ghost           │ heat 3..0
//        └──── has a ghost ─────────────────────────────────────────────────────────▶ settled  └── cold ──▶ asleep
//
// Using an actor is one field write: usedTick = tick. The hand of the clock complements the field when it passes, which
// keeps the time and says "not used since": no second field, no counting on the hot path. How often the hand found it used
// (0 to 3) is part of its standing. Below three quarters of the cap there is only `settled` and no one is judged.
//
// There is no list of the settled. The hand walks along the table in which the actors are found by name: a Map may change
// while one of its iterators is under way. A list of our own, and each actor's place in it, cost 16 bytes an actor more.
//
// Memory: usedTick and four bits in the actor; under pressure 4 bytes a ghost (as many as the cap) and 12 bytes a newcomer.
// Work: a sweep judges `budget` actors at most, whatever their number.
//
// Invariant: an actor is tracked from added() or kept() until it is handed out or removed(), and the walk yields every tracked
// one. What else it yields is passed over.

import { residentsCapMax } from '../limits.ts';
import { Ghosts, Hand, Newcomers } from './passivation-parts.ts';

/** Embedded by whatever may be put to sleep. Start with { usedTick: 0, standing: 0 }. */
export interface Resident {
  /** The tick of the last use; complemented (negative) if not used since the hand passed. Write it as touch() does. */
  usedTick: number;
  /** Four bits: heat << 2 | recent | tracked. Kept by the set. */
  standing: number;
}

/** Bits of a standing: it is in the set; it is a newcomer. */
export const trackedBit = 1;
export const recentBit = 2;

export type Departing = 'idle' | 'evicted';

export interface ResidentSetOptions<T> {
  readonly cap: number;
  /** Ticks without use after which an actor is idle; Infinity for one that never is. */
  idleTicksOf(item: T): number;
  /** 32 bits of its name; asked only near the cap, so nothing needs to keep it. */
  hashOf(item: T): number;
  /** Once over everyone who is awake. Whoever comes while it is under way may be left out, but not who stays; it must end. */
  walk(): Iterator<T>;
}

const heatMax = 3;

export class ResidentSet<T extends Resident> {
  /** The present. Coarse: a tick should be 100 ms or more, so that a burst of messages is one use. */
  tick = 0;
  private readonly options: ResidentSetOptions<T>;
  private readonly pressedAt: number;
  private readonly relaxedAt: number;
  private readonly recentTarget: number;
  private settled = 0;
  private recent: Newcomers<T> | null = null;
  private ghosts: Ghosts | null = null;
  private pressed = false;
  private readonly hand: Hand<T>;
  private readonly idleHand: Hand<T>;

  constructor(options: ResidentSetOptions<T>) {
    const { cap } = options;
    if (!Number.isInteger(cap) || cap < 1 || cap > residentsCapMax) {
      throw new RangeError(`a cap must be a whole number from 1 to ${residentsCapMax}, got ${cap}`);
    }
    this.options = options;
    this.hand = new Hand(() => options.walk());
    this.idleHand = new Hand(() => options.walk());
    this.pressedAt = Math.ceil(cap * 0.75);
    this.relaxedAt = Math.floor(cap * 0.5);
    this.recentTarget = Math.max(1, Math.floor(cap / 10));
  }

  get size(): number {
    return this.settled + (this.recent === null ? 0 : this.recent.size);
  }

  /** How many too many: evict, now or with the next sweep. */
  get excess(): number {
    return Math.max(0, this.size - this.options.cap);
  }

  /** Hot path, meant to be inlined: a message reached it. */
  touch(item: T): void {
    item.usedTick = this.tick;
  }

  /** It woke up. Being touched in the same tick is the use that woke it and proves nothing yet. */
  added(item: T): void {
    if (isTracked(item)) throw new Error('a resident was added twice');
    if (!this.pressed && this.size + 1 >= this.pressedAt) this.becomePressed();
    item.usedTick = ~this.tick;
    if (!this.pressed || this.ghosts?.take(this.options.hashOf(item)) === true) this.settle(item, 0);
    else (this.recent as Newcomers<T>).push(item, this.tick);
  }

  /** It was handed out and stays awake after all (a turn is open, a timer is set): it counts as just used. */
  kept(item: T): void {
    if (isTracked(item)) return;
    item.usedTick = this.tick;
    this.settle(item, 0);
  }

  /** It has ended, moved away or gone to sleep. Nothing happens if it was handed out already. */
  removed(item: T): void {
    const { standing } = item;
    if ((standing & trackedBit) === 0) return;
    item.standing = 0;
    if ((standing & recentBit) !== 0) (this.recent as Newcomers<T>).left();
    else this.settled--;
  }

  /**
   * Brings the number down to the cap, looking at no more than `budget` actors; says how many of them it did not need. What
   * is handed out is no longer tracked; `leave` may call kept, added and removed.
   */
  evict(budget: number, leave: (item: T, why: Departing) => void): number {
    let left = Math.floor(budget);
    while (this.excess > 0 && left > 0) {
      left--;
      const item = this.recentIsFull() ? this.judgeNewcomer() : this.turnHand();
      if (item !== undefined) leave(item, 'evicted');
    }
    return left;
  }

  /** Moves time on, evicts, and looks at the next actors in turn for idleness: no more than `budget` in all. */
  sweep(nowTick: number, budget: number, leave: (item: T, why: Departing) => void): void {
    if (!Number.isInteger(nowTick) || nowTick < 0 || nowTick > 0x7fff_ffff) {
      throw new RangeError(`a tick is a whole number below 2^31, got ${nowTick}`);
    }
    this.tick = Math.max(this.tick, nowTick);
    let left = this.evict(budget, leave);
    if (this.size < this.relaxedAt) this.pressed = false;
    if (!this.pressed) left = this.becomeRelaxed(left);
    for (let looks = Math.min(left, this.size); looks > 0; looks--) {
      const item = this.nextIdle();
      if (item !== undefined) leave(item, 'idle');
    }
  }

  describe(): { size: number; cap: number; settled: number; recent: number; ghosts: boolean } {
    const recent = this.recent?.size ?? 0;
    return { size: this.size, cap: this.options.cap, settled: this.settled, recent, ghosts: this.ghosts !== null };
  }

  private becomePressed(): void {
    this.pressed = true;
    this.recent ??= new Newcomers<T>();
    this.ghosts ??= new Ghosts(this.options.cap);
  }

  /** Pours the newcomers into `settled`, as far as the budget goes, then lets go of what only pressure needs. */
  private becomeRelaxed(budget: number): number {
    const recent = this.recent;
    if (recent === null) return budget;
    let left = budget;
    while (left > 0 && recent.size > 0) {
      left--;
      this.settle(recent.shift() as T, 0);
    }
    if (recent.size > 0) return left;
    this.recent = null;
    this.ghosts = null;
    return left;
  }

  private recentIsFull(): boolean {
    return this.recent !== null && (this.recent.size > this.recentTarget || this.settled === 0);
  }

  /** The oldest newcomer settles if it was used in a later tick than it came in; else it leaves a ghost. */
  private judgeNewcomer(): T | undefined {
    const recent = this.recent as Newcomers<T>;
    const cameAt = recent.firstTick();
    const item = recent.shift() as T;
    if (item.usedTick > cameAt) {
      item.usedTick = ~item.usedTick;
      this.settle(item, 0);
      return undefined;
    }
    item.standing = 0;
    this.ghosts?.add(this.options.hashOf(item));
    return item;
  }

  /** One step of the clock: a used actor gains heat, an unused one loses it, a cold one goes. */
  private turnHand(): T | undefined {
    const item = this.hand.next(trackedBit | recentBit, trackedBit);
    if (item === undefined) return undefined;
    const heat = heatOf(item);
    if (item.usedTick >= 0) {
      item.usedTick = ~item.usedTick;
      item.standing = settledStanding(Math.min(heatMax, heat + 1));
      return undefined;
    }
    if (heat > 0) {
      item.standing = settledStanding(heat - 1);
      return undefined;
    }
    this.removed(item);
    this.ghosts?.add(this.options.hashOf(item));
    return item;
  }

  /** The next in turn, if it is idle. */
  private nextIdle(): T | undefined {
    const item = this.idleHand.next(trackedBit, trackedBit);
    if (item === undefined) return undefined;
    const usedTick = item.usedTick < 0 ? ~item.usedTick : item.usedTick;
    if (this.tick - usedTick < this.options.idleTicksOf(item)) return undefined;
    this.removed(item);
    return item;
  }

  private settle(item: T, heat: number): void {
    item.standing = settledStanding(heat);
    this.settled++;
  }
}

function isTracked(item: Resident): boolean {
  return (item.standing & trackedBit) !== 0;
}

function heatOf(item: Resident): number {
  return item.standing >> 2;
}

function settledStanding(heat: number): number {
  return (heat << 2) | trackedBit;
}
