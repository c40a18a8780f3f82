// The three containers of passivation.ts: a dense list without large copies, a queue of newcomers, a table of ghosts.

import type { Resident } from './passivation.ts';

const chunkBits = 12;
const chunkMask: number = (1 << chunkBits) - 1;

/** A list in pieces of 4,096: growing to a million never copies, and no slot is kept in reserve beyond one piece. */
export class Chunks<T> {
  size = 0;
  private readonly chunks: (T | undefined)[][] = [];

  /** Appends, and says where. */
  push(item: T): number {
    const index = this.size++;
    const chunk = index >> chunkBits;
    if (chunk === this.chunks.length) this.chunks.push(chunk === 0 ? [] : new Array<undefined>(chunkMask + 1));
    (this.chunks[chunk] as T[])[index & chunkMask] = item;
    return index;
  }

  pop(): T | undefined {
    if (this.size === 0) return undefined;
    const index = --this.size;
    const chunk = this.chunks[index >> chunkBits] as (T | undefined)[];
    const item = chunk[index & chunkMask];
    chunk[index & chunkMask] = undefined;
    // One empty piece stays: a size that hovers at the edge of a piece must not allocate each time.
    if (this.chunks.length > (index >> chunkBits) + 2) this.chunks.pop();
    return item;
  }

  get(index: number): T {
    return (this.chunks[index >> chunkBits] as T[])[index & chunkMask] as T;
  }

  set(index: number, item: T): void {
    (this.chunks[index >> chunkBits] as T[])[index & chunkMask] = item;
  }
}

/** A queue, oldest first, from whose middle items may go: they leave a gap that closes when the queue fills up. */
export class Newcomers<T extends Resident> {
  size = 0;
  /** Positions in use, gaps included. */
  span = 0;
  private first = 0;
  private items: (T | undefined)[] = new Array<undefined>(64).fill(undefined);
  private ticks: Int32Array = new Int32Array(64);

  push(item: T, tick: number): void {
    if (this.span === this.items.length) this.rebuild(this.size * 2 > this.span ? this.span * 2 : this.span);
    const slot = (this.first + this.span++) & (this.items.length - 1);
    this.items[slot] = item;
    this.ticks[slot] = tick;
    item.place = (slot << 3) | 1;
    this.size++;
  }

  /** Takes the oldest; its place is the caller's to set. */
  shift(): T | undefined {
    this.skipGaps();
    const item = this.items[this.first];
    if (item !== undefined) this.remove(this.first);
    return item;
  }

  /** When the oldest came in. */
  firstTick(): number {
    this.skipGaps();
    return this.ticks[this.first] as number;
  }

  remove(slot: number): void {
    this.items[slot] = undefined;
    this.size--;
  }

  /** By position from the oldest; a gap is undefined. */
  at(position: number): T | undefined {
    return position < this.span ? this.items[(this.first + position) & (this.items.length - 1)] : undefined;
  }

  private skipGaps(): void {
    while (this.span > 0 && this.items[this.first] === undefined) {
      this.first = (this.first + 1) & (this.items.length - 1);
      this.span--;
    }
  }

  private rebuild(room: number): void {
    const [items, ticks] = [this.items, this.ticks];
    this.items = new Array<undefined>(room).fill(undefined);
    this.ticks = new Int32Array(room);
    let to = 0;
    for (let position = 0; position < this.span; position++) {
      const slot = (this.first + position) & (items.length - 1);
      const item = items[slot];
      if (item === undefined) continue;
      this.items[to] = item;
      this.ticks[to] = ticks[slot] as number;
      item.place = (to++ << 3) | 1;
    }
    this.first = 0;
    this.span = to;
  }
}

/**
 * The names that were put out lately, as 16-bit fingerprints in a table as large as the cap, each with a 16-bit time in
 * departures. A collision forgets the older one; a wrong match (1 in 65,536) lets a newcomer settle unproved.
 */
export class Ghosts {
  private readonly table: Uint32Array;
  private readonly unit: number;
  private readonly unitsMax: number;
  private departures = 0;

  /** Remembers the last `count` departures. */
  constructor(count: number) {
    this.table = new Uint32Array(2 ** Math.ceil(Math.log2(Math.max(2, count))));
    this.unit = Math.max(1, Math.ceil(count / 1_024));
    this.unitsMax = Math.ceil(count / this.unit);
  }

  add(hash: number): void {
    this.departures++;
    this.table[hash & (this.table.length - 1)] = ((hash & 0xffff_0000) | this.now()) >>> 0;
  }

  /** Was it put out lately? It is forgotten with the answer. */
  take(hash: number): boolean {
    const slot = hash & (this.table.length - 1);
    const found = this.table[slot] as number;
    if (found === 0 || ((found ^ hash) & 0xffff_0000) !== 0) return false;
    this.table[slot] = 0;
    return ((this.now() - found) & 0xffff) <= this.unitsMax;
  }

  private now(): number {
    return Math.floor(this.departures / this.unit) & 0xffff;
  }
}
