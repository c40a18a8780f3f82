// The three containers of passivation.ts: a hand that goes round, a queue of newcomers, a table of ghosts.

import { type Resident, recentBit, trackedBit } from './passivation.ts';

/**
 * Those in a map, and in spite of those who come meanwhile an end: they stand last, so the first `size` are those who were
 * there. Without the end a hand that puts one out for each that comes would follow the newest, and see nobody twice.
 */
export function* presentOf<T>(map: ReadonlyMap<unknown, T> | ReadonlySet<T>): Generator<T, void> {
  let left = map.size;
  for (const item of map.values()) {
    if (left-- === 0) return;
    yield item;
  }
}

/** Goes round and round along a walk. It holds the walk, so a table that has grown meanwhile is freed with its next step. */
export class Hand<T extends Resident> {
  private readonly walk: () => Iterator<T>;
  private at: Iterator<T> | null = null;

  constructor(walk: () => Iterator<T>) {
    this.walk = walk;
  }

  /** The next one whose standing has these of the masked bits; undefined when a whole round has none. */
  next(mask: number, bits: number): T | undefined {
    for (let ends = 0; ends < 2; ) {
      this.at ??= this.walk();
      const step = this.at.next();
      if (step.done === true) {
        this.at = null;
        ends++;
      } else if ((step.value.standing & mask) === bits) return step.value;
    }
    return undefined;
  }
}

/** A queue, oldest first. Who goes from its middle says so by his standing, and is passed over when his time comes. */
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
    item.standing = recentBit | trackedBit;
    this.size++;
  }

  /** Takes the oldest; its standing is the caller's to set. */
  shift(): T | undefined {
    this.skipGaps();
    if (this.span === 0) return undefined;
    const item = this.items[this.first];
    this.pass();
    this.size--;
    return item;
  }

  /** When the oldest came in. */
  firstTick(): number {
    this.skipGaps();
    return this.ticks[this.first] as number;
  }

  /** One of them is none any more, and its standing says so. */
  left(): void {
    this.size--;
  }

  private skipGaps(): void {
    while (this.span > 0 && !isRecent(this.items[this.first])) this.pass();
  }

  private pass(): void {
    this.items[this.first] = undefined;
    this.first = (this.first + 1) & (this.items.length - 1);
    this.span--;
  }

  private rebuild(room: number): void {
    const [items, ticks] = [this.items, this.ticks];
    this.items = new Array<undefined>(room).fill(undefined);
    this.ticks = new Int32Array(room);
    let to = 0;
    for (let position = 0; position < this.span; position++) {
      const slot = (this.first + position) & (items.length - 1);
      const item = items[slot];
      if (!isRecent(item)) continue;
      this.items[to] = item;
      this.ticks[to++] = ticks[slot] as number;
    }
    this.first = 0;
    this.span = to;
  }
}

function isRecent(item: Resident | undefined): boolean {
  return item !== undefined && (item.standing & recentBit) !== 0;
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
