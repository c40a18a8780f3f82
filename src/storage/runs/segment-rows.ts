// The rows a segment becomes in a run: of each key the newest version, in the order of their places. Hot: flat arrays, and nothing is
// allocated for a row; bench/engine/flush.ts measures it.
//
//     segment ── add(frame) ──▶ places [shard BE, key | shard BE, key | ...]   ops [offset]   lsns [lsn]
//     settle() ──▶ order [numbers of rows], sorted by place, the last one of each key alone
//
// Sorting: three-way radix quicksort (Bentley and Sedgewick, "Fast algorithms for sorting and searching strings", 1997) over the bytes of the
// places, which lie side by side. It never looks twice at what two keys have in common, and common beginnings are what keys have.
// Strings in a Map and Array.sort() took three times as long, and made garbage.
//
// Invariant: groups of one log come by rising lsn, operations of a group in order, so of two rows of one key the later one is the newer.

import { readU16, readU32 } from '../little-endian.ts';
import { opHeaderBytes } from '../log/log-frame.ts';
import { epochAt, isDelete, lsnAt, opsOf, shardAt } from '../log/log-scan.ts';
import { type EntryHead, encodeHead, entryHeadBytes } from './run-format.ts';

/** Below this, insertion is faster. */
const fewRows = 12;

/** What a run writer reads, row by row; see run-writer-store.ts. */
export interface RunRows {
  readonly count: number;
  /** A view that is overwritten by the next call. */
  place(row: number): Uint8Array;
  placeBytes(row: number): number;
  recordBytes(row: number): number;
  head(row: number): EntryHead;
  /** Writes what encodeEntry() would for the row, whose place this is. */
  encode(row: number, place: Uint8Array, into: Uint8Array): void;
}

export class SegmentRows implements RunRows {
  /** The highest epoch of each shard. */
  readonly epochs = new Map<number, number>();
  count = 0;
  /** Of keys and records, numbers of shards included. */
  bytes = 0;
  readonly #segment: Uint8Array;
  #rows = 0;
  #places: Uint8Array = new Uint8Array(1 << 20);
  #placesEnd = 0;
  #placeAts: Int32Array = new Int32Array(1 << 12);
  #ops: Int32Array = new Int32Array(1 << 12);
  #lsns: Float64Array = new Float64Array(1 << 12);
  #order: Int32Array = new Int32Array(0);
  readonly #views: Uint8Array[] = [];
  readonly #head = { lsn: 0, deleted: false };

  constructor(segment: Uint8Array) {
    this.#segment = segment;
  }

  /** A frame of the segment that is known to be whole. */
  add(frame: number): void {
    const segment = this.#segment;
    const shard = shardAt(segment, frame);
    const epoch = epochAt(segment, frame);
    if (epoch > (this.epochs.get(shard) ?? -1)) this.epochs.set(shard, epoch);
    const lsn = lsnAt(segment, frame);
    opsOf(segment, frame, (at, keyAt, keyEnd) => this.#addRow(shard, lsn, at, keyAt, keyEnd));
  }

  #addRow(shard: number, lsn: number, op: number, keyAt: number, keyEnd: number): void {
    const row = this.#rows++;
    const from = this.#placesEnd;
    const end = from + 4 + keyEnd - keyAt;
    if (row + 1 >= this.#ops.length) this.#growRows();
    if (end > this.#places.length) this.#growPlaces(end);
    const places = this.#places;
    places[from] = shard >>> 24;
    places[from + 1] = shard >>> 16;
    places[from + 2] = shard >>> 8;
    places[from + 3] = shard;
    // A loop: keys are short, and a view of the segment for set() costs more.
    for (let to = from + 4, at = keyAt; at < keyEnd; ) places[to++] = this.#segment[at++] as number;
    this.#placeAts[row] = from;
    this.#placeAts[row + 1] = end;
    this.#ops[row] = op;
    this.#lsns[row] = lsn;
    this.#placesEnd = end;
  }

  /** All frames have been added. */
  settle(): this {
    const order = new Int32Array(this.#rows);
    for (let row = 0; row < order.length; row++) order[row] = row;
    this.#sort(order, 0, order.length, 0);
    let kept = 0;
    for (let at = 0; at < order.length; at++) {
      const row = order[at] as number;
      const before = kept === 0 ? -1 : (order[kept - 1] as number);
      if (before >= 0 && this.#compare(before, row, 0) === 0) order[kept - 1] = Math.max(before, row);
      else order[kept++] = row;
    }
    this.#order = order.subarray(0, kept);
    this.count = kept;
    for (let at = 0; at < kept; at++) this.bytes += this.placeBytes(at) + this.recordBytes(at);
    return this;
  }

  // As the writer reads them.

  place(at: number): Uint8Array {
    const row = this.#order[at] as number;
    const from = this.#placeAts[row] as number;
    const bytes = (this.#placeAts[row + 1] as number) - from;
    let view = this.#views[bytes];
    if (view === undefined) {
      view = new Uint8Array(bytes);
      this.#views[bytes] = view;
    }
    for (let index = 0; index < bytes; index++) view[index] = this.#places[from + index] as number;
    return view;
  }

  placeBytes(at: number): number {
    const row = this.#order[at] as number;
    return (this.#placeAts[row + 1] as number) - (this.#placeAts[row] as number);
  }

  recordBytes(at: number): number {
    return readU32(this.#segment, (this.#ops[this.#order[at] as number] as number) + 3);
  }

  head(at: number): EntryHead {
    const row = this.#order[at] as number;
    this.#head.lsn = this.#lsns[row] as number;
    this.#head.deleted = isDelete(this.#segment, this.#ops[row] as number);
    return this.#head;
  }

  encode(at: number, place: Uint8Array, into: Uint8Array): void {
    const segment = this.#segment;
    encodeHead(into, place, this.head(at));
    const op = this.#ops[this.#order[at] as number] as number;
    const from = op + opHeaderBytes + readU16(segment, op + 1);
    const bytes = readU32(segment, op + 3);
    if (bytes > 0) into.set(segment.subarray(from, from + bytes), entryHeadBytes);
  }

  // Room.

  #growRows(): void {
    const length = 2 * this.#ops.length;
    const grown = <T extends Int32Array | Float64Array>(into: T, from: T): T => {
      into.set(from);
      return into;
    };
    this.#ops = grown(new Int32Array(length), this.#ops);
    this.#placeAts = grown(new Int32Array(length), this.#placeAts);
    this.#lsns = grown(new Float64Array(length), this.#lsns);
  }

  #growPlaces(least: number): void {
    const grown = new Uint8Array(Math.max(least, 2 * this.#places.length));
    grown.set(this.#places);
    this.#places = grown;
  }

  // Order.

  /** The byte of a row's place at this depth; -1 behind its end. */
  #byte(row: number, depth: number): number {
    const at = (this.#placeAts[row] as number) + depth;
    return at < (this.#placeAts[row + 1] as number) ? (this.#places[at] as number) : -1;
  }

  /** Their places agree below `depth`. */
  #compare(one: number, other: number, depth: number): number {
    for (let at = depth; ; at++) {
      const difference = this.#byte(one, at) - this.#byte(other, at);
      if (difference !== 0 || this.#byte(one, at) < 0) return difference;
    }
  }

  /** Rows from `from` to `to` of the order, whose places agree below `depth`. */
  #sort(order: Int32Array, from: number, to: number, depth: number): void {
    while (to - from > fewRows) {
      const pivot = this.#median(order, from, to, depth);
      let below = from;
      let above = to;
      for (let at = from; at < above; ) {
        const row = order[at] as number;
        const byte = this.#byte(row, depth);
        if (byte < pivot) {
          order[at++] = order[below] as number;
          order[below++] = row;
        } else if (byte > pivot) {
          order[at] = order[--above] as number;
          order[above] = row;
        } else at++;
      }
      this.#sort(order, from, below, depth);
      this.#sort(order, above, to, depth);
      // Those whose places end here are equal.
      if (pivot < 0) return;
      from = below;
      to = above;
      depth++;
    }
    this.#insert(order, from, to, depth);
  }

  /** A byte of the middle: keys often come in order already, or in that of a hash. */
  #median(order: Int32Array, from: number, to: number, depth: number): number {
    const a = this.#byte(order[from] as number, depth);
    const b = this.#byte(order[(from + to) >>> 1] as number, depth);
    const c = this.#byte(order[to - 1] as number, depth);
    return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
  }

  #insert(order: Int32Array, from: number, to: number, depth: number): void {
    for (let at = from + 1; at < to; at++) {
      const row = order[at] as number;
      let place = at;
      for (; place > from && this.#compare(order[place - 1] as number, row, depth) > 0; place--)
        order[place] = order[place - 1] as number;
      order[place] = row;
    }
  }
}
