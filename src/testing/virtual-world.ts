// A World whose time stands still until it is told to move, and whose chance comes from a seed. No threads, no disk.
//
// Intuition: messages need no time, so they flow as always (microtasks, setImmediate); only timers wait for advance().
// Moving time goes from one due timer to the next and lets everything come to rest in between, so `every(100)` under
// advance(1000) runs ten times, each at its own moment.

import { AsyncLocalStorage } from 'node:async_hooks';
import {
  type Cancel,
  type Clock,
  type ContextSeam,
  type Log,
  type Millis,
  type Random,
  silentLog,
  type World,
} from '../runtime/world.ts';
import { MemoryStore } from '../storage/memory-store.ts';

/** Wall time at virtual zero: a round number in the past of nobody's tests. */
export const wallStart: Millis = Date.UTC(2026, 0, 1);

interface Timer {
  readonly at: Millis;
  readonly order: number;
  readonly fn: () => void;
  dead: boolean;
}

export class VirtualClock implements Clock {
  private time: Millis = 0;
  private wallShift: Millis = 0;
  private order = 0;
  private timers: Timer[] = [];
  private soonQueue: (() => void)[] = [];
  private soonPlanned = false;
  private moving: Promise<void> = Promise.resolve();
  /** Lets everything that can happen at this moment happen. Set by the kit. */
  rest: () => Promise<void> = () => Promise.resolve();
  /** Fires a timer; false when it has set nothing in motion, so that there is nothing to wait for. Set by the kit. */
  stirs: (fire: () => void) => boolean = fire => {
    fire();
    return true;
  };

  now(): Millis {
    return wallStart + this.time + this.wallShift;
  }

  mono(): Millis {
    return this.time;
  }

  timer(delayMs: Millis, fn: () => void): Cancel {
    const timer: Timer = { at: this.time + Math.max(0, delayMs), order: this.order++, fn, dead: false };
    this.timers.push(timer);
    return () => {
      timer.dead = true;
    };
  }

  soon(fn: () => void): void {
    this.soonQueue.push(fn);
    if (this.soonPlanned) return;
    this.soonPlanned = true;
    setImmediate(() => {
      this.soonPlanned = false;
      for (const each of this.soonQueue.splice(0)) each();
    });
  }

  micro(fn: () => void): void {
    queueMicrotask(fn);
  }

  /** Moves time forward; timers fire on the way. Await it, or settle(), to see their effects. */
  advance(ms: Millis): Promise<void> {
    if (!(Number.isFinite(ms) && ms >= 0)) throw new RangeError(`time only moves forward: advance(${String(ms)})`);
    this.moving = this.moving.then(() => this.move(ms));
    return this.moving;
  }

  /** Resolves after one turn of the real event loop: everything that needed no time has happened. */
  loopTurn(): Promise<void> {
    return new Promise(resolve => setImmediate(resolve));
  }

  /** Shifts the wall clock only, as an operator or NTP would. Monotonic time does not notice. */
  shiftWall(ms: Millis): void {
    this.wallShift += ms;
  }

  /** Something will run in the next turn of the event loop. */
  get isBusy(): boolean {
    return this.soonPlanned;
  }

  /** Resolves when no advance() is under way. */
  still(): Promise<void> {
    return this.moving;
  }

  get pendingTimers(): number {
    return this.timers.filter(timer => !timer.dead).length;
  }

  private async move(ms: Millis): Promise<void> {
    const target = this.time + ms;
    await this.rest();
    for (;;) {
      const next = this.nextDue(target);
      if (next === undefined) break;
      this.time = Math.max(this.time, next.at);
      next.dead = true;
      if (this.stirs(next.fn)) await this.rest();
    }
    this.time = target;
    await this.rest();
  }

  private nextDue(target: Millis): Timer | undefined {
    this.timers = this.timers.filter(timer => !timer.dead);
    let next: Timer | undefined;
    for (const timer of this.timers) {
      if (timer.at > target) continue;
      if (next === undefined || timer.at < next.at || (timer.at === next.at && timer.order < next.order)) next = timer;
    }
    return next;
  }
}

/** splitmix32: small, fast, good enough to shuffle tests. Not for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const u32 = (): number => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
  return {
    u32,
    float: () => u32() / 2 ** 32,
    bytes: count => Uint8Array.from({ length: count }, () => u32() & 255),
  };
}

export interface VirtualWorld extends World {
  readonly clock: VirtualClock;
}

export function virtualWorld(options: { seed: number; log?: Log | undefined }): VirtualWorld {
  const clock = new VirtualClock();
  return {
    clock,
    random: seededRandom(options.seed),
    context: context(),
    transport: { peers: () => [0] },
    storage: { open: engineOptions => new MemoryStore({ ...engineOptions, soon: fn => clock.soon(fn) }) },
    spawner: { threads: 0 },
    log: options.log ?? silentLog,
  };
}

/** Turns planned ahead: one trip of the event loop for so many of them, each with its microtasks before the next. */
const turnsPlanned = 64;
const immediate = setImmediate;

/**
 * Calls `step` until it says false. Between two calls everything that was set in motion comes to rest: all microtasks, however
 * long their chain. A fixed number of `await`s would be quicker and wrong (research/reliability.md 3.2).
 */
export function drive(step: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    let over = false;
    const one = (): void => {
      if (over) return;
      try {
        if (step()) return;
        over = true;
        resolve();
      } catch (error) {
        over = true;
        reject(error);
      }
    };
    const more = (): void => {
      if (over) return;
      for (let turn = 0; turn < turnsPlanned; turn++) immediate(one);
      immediate(more);
    };
    more();
  });
}

export function context(): ContextSeam {
  const storage = new AsyncLocalStorage<object>();
  return { run: (token, fn) => storage.run(token, fn), get: () => storage.getStore(), active: () => true };
}
