// The keys of one shard in one segment of the commit log, in order: what a scan walks. Single reads go to the index of the
// segment (segment-slot.ts); this is made by whoever scans, of what the log holds, and costs those nothing who only write.
//
//     name ─▶ a number that says where its newest version lies
//
// Set is a Map.set. Order is made when a walk begins: names that came since the last time are sorted and merged in.
//
// Invariant: a walk shows the table as it was when the walk began, whatever is set meanwhile: while walks are open, what is
// replaced is remembered for them.

import type { KeyName } from './key.ts';

export class Memtable {
  readonly #places = new Map<KeyName, number>();
  #sorted: readonly KeyName[] = [];
  #fresh: KeyName[] = [];
  readonly #walks = new Set<MemtableWalk>();

  get size(): number {
    return this.#places.size;
  }

  set(name: KeyName, place: number): void {
    const before = this.#walks.size === 0 ? undefined : this.#places.get(name);
    for (const walk of this.#walks) walk.keep(name, before);
    const { size } = this.#places;
    this.#places.set(name, place);
    if (this.#places.size !== size) this.#fresh.push(name);
  }

  /** From `from` (inclusive) to `to` (exclusive). It must be walked to its end, or be ended. */
  walk(from: KeyName | undefined, to: KeyName | undefined): MemtableWalk {
    const names = this.#inOrder();
    const first = from === undefined ? 0 : firstNotBelow(names, from);
    const end = to === undefined ? names.length : firstNotBelow(names, to);
    const walk: MemtableWalk = new MemtableWalk(names, first, end, this.#places, () => this.#walks.delete(walk));
    this.#walks.add(walk);
    return walk;
  }

  #inOrder(): readonly KeyName[] {
    if (this.#fresh.length === 0) return this.#sorted;
    const fresh = this.#fresh.sort(compareNames);
    this.#sorted = this.#sorted.length === 0 ? fresh : mergeNames(this.#sorted, fresh);
    this.#fresh = [];
    return this.#sorted;
  }
}

export class MemtableWalk {
  private readonly names: readonly KeyName[];
  private at: number;
  private readonly last: number;
  private readonly places: ReadonlyMap<KeyName, number>;
  private readonly onEnd: () => void;
  /** What has been replaced since this walk began; undefined: the key was not there. */
  private readonly kept = new Map<KeyName, number | undefined>();

  constructor(
    names: readonly KeyName[],
    first: number,
    end: number,
    places: ReadonlyMap<KeyName, number>,
    onEnd: () => void,
  ) {
    this.names = names;
    this.at = first;
    this.last = end;
    this.places = places;
    this.onEnd = onEnd;
  }

  keep(name: KeyName, before: number | undefined): void {
    if (!this.kept.has(name)) this.kept.set(name, before);
  }

  /** The next name, undefined at the end. */
  next(): KeyName | undefined {
    if (this.at < this.last) return this.names[this.at++];
    this.end();
    return undefined;
  }

  /** The place of a name that next() has given, as it was when the walk began. */
  placeOf(name: KeyName): number {
    return (this.kept.size === 0 ? undefined : this.kept.get(name)) ?? (this.places.get(name) as number);
  }

  end(): void {
    this.at = this.last;
    this.onEnd();
  }
}

function compareNames(a: KeyName, b: KeyName): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function mergeNames(a: readonly KeyName[], b: readonly KeyName[]): KeyName[] {
  const merged: KeyName[] = new Array(a.length + b.length);
  let i = 0;
  let j = 0;
  for (let at = 0; at < merged.length; at++) {
    const [left, right] = [a[i], b[j]];
    const takesLeft = right === undefined || (left !== undefined && left < right);
    merged[at] = (takesLeft ? left : right) as KeyName;
    if (takesLeft) i++;
    else j++;
  }
  return merged;
}

function firstNotBelow(names: readonly KeyName[], name: KeyName): number {
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((names[middle] as KeyName) < name) low = middle + 1;
    else high = middle;
  }
  return low;
}
