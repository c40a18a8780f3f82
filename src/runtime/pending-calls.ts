// Hot path: asks sent to other threads, by number, until their answer comes. A flat array with a free list; the number of
// a call carries how often its place has been used, so a late answer to an old call finds nobody.
//
//     number = place + uses * 2^20

import type { Call } from './call.ts';

const placeBits = 20;
const places: number = 1 << placeBits;

export class PendingCalls {
  private readonly calls: (Call | null)[] = [];
  private readonly uses: number[] = [];
  private readonly free: number[] = [];
  size = 0;

  /** The caller has checked asksPerThreadMax, which is the number of places. */
  add(call: Call): number {
    let place = this.free.pop();
    if (place === undefined) {
      place = this.calls.length;
      this.calls.push(null);
      this.uses.push(0);
    }
    this.calls[place] = call;
    this.size++;
    return (this.uses[place] as number) * places + place;
  }

  /** The call of this number, which is then forgotten; undefined when it has ended before. */
  take(id: number): Call | undefined {
    const place = id % places;
    const call = this.calls[place];
    if (call == null || call.id !== id) return undefined;
    this.calls[place] = null;
    // 32 bits travel, so uses wrap after 4,096: a stale answer would have to be that late.
    this.uses[place] = ((this.uses[place] as number) + 1) % 4_096;
    this.free.push(place);
    this.size--;
    return call;
  }

  *all(): IterableIterator<Call> {
    for (const call of this.calls) if (call !== null) yield call;
  }
}
