// A scan over many partitions in key order: the partitions hand in sorted pages, and the merge gives out the smallest key.
//
//     p0: a d | more        the smallest head is given out; a source whose page is used up must be fed
//     p1: b   | end    ->   before anything else, since its next key may be the smallest
//     p2: c e | more
//
// Intuition: the textbook k-way merge with a heap of sources. A key lives in one partition, so no key comes twice; and each
// source continues after the last key it gave, so a key that exists throughout the scan is met exactly once, whatever is
// written meanwhile.
//
// Invariant: what comes out is strictly ascending. At most one page a source is held.

import { compareKeys } from '../storage/key.ts';

export interface Keyed {
  readonly key: Uint8Array;
}

interface Source<T> {
  page: readonly T[];
  at: number;
  /** Nothing comes after this page. */
  last: boolean;
}

export type Next<T> =
  | { readonly type: 'item'; readonly item: T; readonly from: number }
  | { readonly type: 'starved' }
  | { readonly type: 'end' };

export class ScanMerge<T extends Keyed> {
  private readonly sources: Source<T>[];
  /** Sources with something to give, as a heap by the key of their next item. */
  private readonly heap: number[] = [];
  private readonly starving: Set<number>;

  constructor(sources: number) {
    this.sources = Array.from({ length: sources }, () => ({ page: [], at: 0, last: false }));
    this.starving = new Set(this.sources.keys());
  }

  /** Sources that must be fed before next() can say anything. */
  wants(): number[] {
    return [...this.starving];
  }

  feed(source: number, page: readonly T[], last: boolean): void {
    if (!this.starving.has(source)) throw new RangeError(`source ${source} still has a page`);
    this.sources[source] = { page, at: 0, last };
    if (page.length > 0) this.push(source);
    if (page.length > 0 || last) this.starving.delete(source);
  }

  next(): Next<T> {
    if (this.starving.size > 0) return { type: 'starved' };
    const from = this.heap[0];
    if (from === undefined) return { type: 'end' };
    const source = this.sources[from] as Source<T>;
    const item = source.page[source.at++] as T;
    if (source.at < source.page.length) this.sink();
    else {
      this.pop();
      if (!source.last) this.starving.add(from);
    }
    return { type: 'item', item, from };
  }

  private keyAt(index: number): Uint8Array {
    const source = this.sources[this.heap[index] as number] as Source<T>;
    return (source.page[source.at] as T).key;
  }

  private push(source: number): void {
    const { heap } = this;
    let at = heap.push(source) - 1;
    while (at > 0 && compareKeys(this.keyAt(at), this.keyAt((at - 1) >> 1)) < 0) {
      this.swap(at, (at - 1) >> 1);
      at = (at - 1) >> 1;
    }
  }

  private pop(): void {
    const last = this.heap.pop() as number;
    if (this.heap.length === 0) return;
    this.heap[0] = last;
    this.sink();
  }

  private sink(): void {
    let at = 0;
    for (;;) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < this.heap.length && compareKeys(this.keyAt(child), this.keyAt(least)) < 0) least = child;
      }
      if (least === at) return;
      this.swap(at, least);
      at = least;
    }
  }

  private swap(a: number, b: number): void {
    const { heap } = this;
    [heap[a], heap[b]] = [heap[b] as number, heap[a] as number];
  }
}
