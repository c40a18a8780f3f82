// A clock that a test moves by hand, with nothing asynchronous in it: timers in order of time, then of their making.

import type { Cancel, Clock } from '../../../src/runtime/world.ts';

export class HandClock implements Clock {
  private time = 0;
  private order = 0;
  private timers: { at: number; order: number; fn: () => void }[] = [];

  now(): number {
    return this.time;
  }

  mono(): number {
    return this.time;
  }

  timer(delayMs: number, fn: () => void): Cancel {
    const timer = { at: this.time + Math.max(0, delayMs), order: this.order++, fn };
    let low = 0;
    for (let high = this.timers.length; low < high; ) {
      const middle = (low + high) >> 1;
      if ((this.timers[middle] as { at: number }).at <= timer.at) low = middle + 1;
      else high = middle;
    }
    this.timers.splice(low, 0, timer);
    return () => {
      const at = this.timers.indexOf(timer);
      if (at >= 0) this.timers.splice(at, 1);
    };
  }

  soon(fn: () => void): void {
    this.timer(0, fn);
  }

  micro(fn: () => void): void {
    this.timer(0, fn);
  }

  /** Fires what is due within so many ms, without letting promises go on in between. */
  advance(ms: number): void {
    const until = this.time + ms;
    for (let next = this.timers[0]; next !== undefined && next.at <= until; next = this.timers[0]) {
      this.timers.shift();
      this.time = next.at;
      next.fn();
    }
    this.time = until;
  }

  /** The process was stopped for so long: nothing fires, and all that was due meanwhile is due at the end. */
  sleep(ms: number): void {
    this.time += ms;
    for (const timer of this.timers) timer.at = Math.max(timer.at, this.time);
  }

  /** As advance(), and promises go on after each moment. */
  async run(ms: number): Promise<void> {
    const until = this.time + ms;
    for (;;) {
      for (let i = 0; i < 8; i++) await null;
      const next = this.timers[0];
      if (next === undefined || next.at > until) break;
      this.advance(next.at - this.time);
    }
    this.time = until;
  }
}
