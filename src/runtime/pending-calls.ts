// Hot path: asks sent to other threads, by number, until their answer comes. A flat array with a free list.
//
//     number = place + 2^20 * life + 2^37 * losses      life: of this thread; an answer to its predecessor finds nobody
//
// Nearly every ask that is sent gets one answer, however late. So a call that has ended without one (deadline, abort) keeps its
// place until the answer has come: a place given away before would let a late answer pass for that of somebody else.
// Counting all uses of a place makes that rare, not impossible: quick asks use one place thousands of times a second.
//
// Where an answer was given up, the place is free and its losses are counted: the thread that was asked has died, and mostly nobody answers. But an ask
// may have gone on to another thread with its actor just before, and that one does.
//
// Invariant: a number is given again only when no answer to its last call can come any more.

import { asksPerThreadMax } from '../limits.ts';
import { type Call, ended } from './call.ts';

const places: number = asksPerThreadMax;
const placeMask: number = places - 1;
const livesMax: number = 1 << 17;
/** Nobody is late by so many losses. */
const lossesMax: number = 1 << 16;

export class PendingCalls {
  private readonly base: number;
  /** By place: how many answers to it were given up. */
  private readonly losses: number[] = [];
  private readonly calls: (Call | null)[] = [];
  private readonly sent: boolean[] = [];
  private readonly free: number[] = [];
  /** Calls that wait, and those that have ended without an answer. */
  size = 0;

  /** `life`: how often this thread has been restarted. */
  constructor(life = 0) {
    this.base = (life % livesMax) * places;
  }

  /** Gives the call its number. False when every place waits for an answer. */
  add(call: Call): boolean {
    let place = this.free.pop();
    if (place === undefined) {
      if (this.calls.length === places && !this.reclaim()) return false;
      place = this.free.pop() ?? this.more();
    }
    this.calls[place] = call;
    this.sent[place] = false;
    this.size++;
    call.id = this.base + place + places * livesMax * (this.losses[place] as number);
    return true;
  }

  private more(): number {
    this.losses.push(0);
    return this.calls.push(null) - 1;
  }

  /** It has left this thread: an answer will come. */
  markSent(call: Call): void {
    if (this.holds(call)) this.sent[call.id & placeMask] = true;
  }

  wasSent(call: Call): boolean {
    return this.holds(call) && this.sent[call.id & placeMask] === true;
  }

  /** The call of this number; undefined when there is none. */
  at(id: number): Call | undefined {
    const call = this.calls[id & placeMask];
    return call != null && call.id === id ? call : undefined;
  }

  /** The call of this number, whose answer is here: its place is free again. */
  take(id: number): Call | undefined {
    const call = this.at(id);
    if (call !== undefined) this.release(id & placeMask);
    return call;
  }

  /** No answer to it is waited for: if one comes after all, it finds nobody. */
  drop(call: Call): void {
    if (!this.holds(call)) return;
    const place = call.id & placeMask;
    if (this.sent[place] === true) this.losses[place] = ((this.losses[place] as number) + 1) % lossesMax;
    this.release(place);
  }

  /** It has ended on this side. */
  forget(call: Call): void {
    if (!this.wasSent(call)) this.drop(call);
  }

  *all(): IterableIterator<Call> {
    for (const call of this.calls) if (call !== null) yield call;
  }

  private holds(call: Call): boolean {
    return this.calls[call.id & placeMask] === call;
  }

  private release(place: number): void {
    this.calls[place] = null;
    this.free.push(place);
    this.size--;
  }

  /** A million turns that never ended have used up all places: those nobody waits for are given away after all. */
  private reclaim(): boolean {
    for (const call of this.calls) if (call !== null && call.state === ended) this.drop(call);
    return this.free.length !== 0;
  }
}
