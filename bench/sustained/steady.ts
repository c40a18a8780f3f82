// Puts for minutes on end: first as fast as 64 lanes get them acknowledged, then at a fixed rate whatever comes back, as the
// world outside asks. What happened is told a window at a time.
//
//     due (every ms) ──> put ──> acknowledged     latency: from the millisecond it was due, so that whoever holds up our event
//                            └─> refused          loop is charged for it (coordinated omission, G. Tene)
//
//     stall: puts are under way, and for so long none of them is acknowledged
//
// Invariant: every put that was due is counted once: acknowledged, refused with its code, or not offered because too many were
// under way already.

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Histogram } from '../../src/runtime/histogram.ts';
import { carries, keyOf, makeValue, type StoreSide } from '../store/side.ts';

/** Puts under way at once, at most: a second's worth. Past it the store is lost, and memory would be next. */
const underWayMax = 65_536;
/** Puts made before the event loop has its turn, when the loop has fallen behind. */
const burstMax = 512;
export const stallMsMax = 50;

export interface WindowTally {
  readonly seconds: number;
  readonly due: number;
  readonly acknowledged: number;
  readonly refused: Readonly<Record<string, number>>;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly longestStallMs: number;
  readonly stalls: number;
  /** How late our own event loop was, at most: a stall of this length is not the store's alone. */
  readonly loopMs: number;
  readonly underWay: number;
}

export class Steady {
  private readonly side: StoreSide;
  private readonly keys: number;
  private readonly random: () => number;
  /** The newest acknowledged put of each key; 0: none. */
  private readonly newest: Uint32Array;
  private readonly loop = monitorEventLoopDelay({ resolution: 1 });
  private stamps = 0;
  private underWay = 0;
  private progressAt = 0;
  private settled: () => void = () => undefined;
  private window = emptyWindow();
  private readonly total = emptyWindow();

  constructor(side: StoreSide, keys: number, random: () => number) {
    this.side = side;
    this.keys = keys;
    this.random = random;
    this.newest = new Uint32Array(keys);
  }

  /** Acknowledged puts a second with so many under way all the time. */
  async peak(inFlight: number, ms: number): Promise<number> {
    const began = performance.now();
    const lane = async (): Promise<void> => {
      while (performance.now() < began + ms) await this.put(performance.now());
    };
    await Promise.all(Array.from({ length: inFlight }, lane));
    const { acknowledged } = this.window;
    const perSecond = (acknowledged * 1_000) / (performance.now() - began);
    this.window = emptyWindow();
    Object.assign(this.total, emptyWindow());
    return perSecond;
  }

  /** Calls `tell` at the end of each window, and once more for the rest; resolves with the whole when all puts have settled. */
  async hold(
    perSecond: number,
    times: { ms: number; windowMs: number },
    tell: (tally: WindowTally) => Promise<void>,
  ): Promise<WindowTally> {
    this.loop.enable();
    const began = performance.now();
    const end = began + times.ms;
    let due = 0;
    let windowBegan = began;
    const telling: Promise<void>[] = [];
    const endWindow = (now: number): void => {
      telling.push(tell(this.tally(this.window, (now - windowBegan) / 1_000)));
      this.window = emptyWindow();
      this.loop.reset();
      windowBegan = now;
    };
    for (let now = began; now < end; now = performance.now()) {
      const wanted = Math.floor((Math.floor(now - began) * perSecond) / 1_000);
      let made = 0;
      for (; due < wanted && made < burstMax; made++) this.offer(began + Math.ceil((++due * 1_000) / perSecond));
      if (now - windowBegan >= times.windowMs) endWindow(now);
      if (due < wanted) await new Promise(resolve => setImmediate(resolve));
      else await new Promise(resolve => setTimeout(resolve, 1));
    }
    const seconds = (performance.now() - began) / 1_000;
    if (this.underWay > 0)
      await new Promise<void>(resolve => {
        this.settled = resolve;
      });
    endWindow(performance.now());
    await Promise.all(telling);
    this.loop.disable();
    return this.tally(this.total, seconds);
  }

  /** Random keys of those that were put: how many are gone or wrong, and how many hold less than was acknowledged. */
  async readBack(count: number): Promise<{ checked: number; lost: number; older: number }> {
    const result = { checked: 0, lost: 0, older: 0 };
    for (let at = 0; at < count; at++) {
      const key = Math.floor(this.random() * this.keys);
      const newest = this.newest[key] as number;
      if (newest === 0) continue;
      const value = await this.side.get(keyOf(key));
      result.checked++;
      if (!carries(value, key)) result.lost++;
      else if ((value as Buffer).readUInt32LE(4) < newest) result.older++;
    }
    return result;
  }

  private offer(dueAt: number): void {
    for (const window of [this.window, this.total]) window.due++;
    if (this.underWay < underWayMax) void this.put(dueAt);
    else this.refuse('not offered');
  }

  private async put(dueAt: number): Promise<void> {
    const key = Math.floor(this.random() * this.keys);
    const stamp = ++this.stamps;
    if (this.underWay++ === 0) this.progressAt = performance.now();
    try {
      await this.side.put(keyOf(key), makeValue(key, stamp));
      if ((this.newest[key] as number) < stamp) this.newest[key] = stamp;
      this.acknowledge(dueAt, performance.now());
    } catch (thrown) {
      const { code, message } = thrown as { code?: string; message: string };
      this.refuse(code ?? message);
    }
    if (--this.underWay === 0) this.settled();
  }

  private acknowledge(dueAt: number, now: number): void {
    const stallMs = now - this.progressAt;
    this.progressAt = now;
    for (const window of [this.window, this.total]) {
      window.acknowledged++;
      window.latencyUs.record((now - dueAt) * 1_000);
      window.longestStallMs = Math.max(window.longestStallMs, stallMs);
      if (stallMs > stallMsMax) window.stalls++;
    }
  }

  private refuse(code: string): void {
    for (const { refused } of [this.window, this.total]) refused[code] = (refused[code] ?? 0) + 1;
  }

  private tally(
    { due, acknowledged, refused, latencyUs, longestStallMs, stalls }: Counting,
    seconds: number,
  ): WindowTally {
    const loopMs = this.loop.max / 1e6;
    this.total.loopMs = Math.max(this.total.loopMs, loopMs);
    return {
      seconds,
      due,
      acknowledged,
      refused,
      p50Ms: latencyUs.quantile(0.5) / 1_000,
      p99Ms: latencyUs.quantile(0.99) / 1_000,
      maxMs: latencyUs.max / 1_000,
      longestStallMs,
      stalls,
      loopMs: latencyUs === this.total.latencyUs ? this.total.loopMs : loopMs,
      underWay: this.underWay,
    };
  }
}

interface Counting {
  due: number;
  acknowledged: number;
  refused: Record<string, number>;
  latencyUs: Histogram;
  longestStallMs: number;
  stalls: number;
  loopMs: number;
}

const emptyWindow = (): Counting => ({
  due: 0,
  acknowledged: 0,
  refused: {},
  latencyUs: new Histogram(),
  longestStallMs: 0,
  stalls: 0,
  loopMs: 0,
});
