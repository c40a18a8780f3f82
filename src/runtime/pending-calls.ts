// Hot path: asks sent to other threads, by number, until their answer comes. A flat array with a free list.
//
//     number = place + life * 2^20          the life of this thread: an answer to its predecessor finds nobody
//
// Every ask that is sent gets one answer, however late. So a call that has ended without one (deadline, abort) keeps its
// place until the answer has come: a place given away before would let a late answer pass for that of somebody else.
// Counting the uses of a place makes that rare, not impossible: quick asks use one place thousands of times a second.
//
// Invariant: a place is free only when no answer to its last call can come any more.

import { asksPerThreadMax } from '../limits.ts';
import { type Call, ended } from './call.ts';

const places: number = asksPerThreadMax;

export class PendingCalls {
  private readonly base: number;
  private readonly calls: (Call | null)[] = [];
  private readonly sent: boolean[] = [];
  private readonly free: number[] = [];
  /** Calls that wait, and those that have ended without an answer. */
  size = 0;

  /** `life`: how often this thread has been restarted. */
  constructor(life = 0) {
    this.base = life * places;
  }

  /** Gives the call its number. False when every place waits for an answer. */
  add(call: Call): boolean {
    let place = this.free.pop();
    if (place === undefined) {
      if (this.calls.length === places && !this.reclaim()) return false;
      place = this.free.pop() ?? this.calls.push(null) - 1;
    }
    this.calls[place] = call;
    this.sent[place] = false;
    this.size++;
    call.id = this.base + place;
    return true;
  }

  /** It has left this thread: an answer will come. */
  markSent(call: Call): void {
    if (this.holds(call)) this.sent[call.id - this.base] = true;
  }

  wasSent(call: Call): boolean {
    return this.holds(call) && this.sent[call.id - this.base] === true;
  }

  /** The call of this number; undefined when there is none. */
  at(id: number): Call | undefined {
    return this.calls[id - this.base] ?? undefined;
  }

  /** The call of this number, whose answer is here: its place is free again. */
  take(id: number): Call | undefined {
    const place = id - this.base;
    const call = this.calls[place];
    if (call == null) return undefined;
    this.calls[place] = null;
    this.free.push(place);
    this.size--;
    return call;
  }

  /** No answer to it can come. */
  drop(call: Call): void {
    if (this.holds(call)) this.take(call.id);
  }

  /** It has ended on this side. */
  forget(call: Call): void {
    if (!this.wasSent(call)) this.drop(call);
  }

  *all(): IterableIterator<Call> {
    for (const call of this.calls) if (call !== null) yield call;
  }

  private holds(call: Call): boolean {
    return this.calls[call.id - this.base] === call;
  }

  /** A million turns that never ended have used up all places: those nobody waits for are given away after all. */
  private reclaim(): boolean {
    for (const call of this.calls) if (call !== null && call.state === ended) this.take(call.id);
    return this.free.length !== 0;
  }
}
