// The keys of a segment in order, shard by shard, for scans. Made by the thread that scans, from the frames that are committed, and
// brought up to date before each walk.
//
//     frames [0 .. upTo) ─▶ a table a shard        a walk sees the frames up to the moment it began
//
// Invariant: a walk pins its segment, so the bytes under it stay, and unpins it when it ends.

import { type KeyName, nameOf } from './key.ts';
import { segmentHeaderBytes } from './log/log-frame.ts';
import { eachOp } from './log/log-scan.ts';
import { Memtable, type MemtableWalk } from './memtable.ts';
import type { Stream } from './newest.ts';
import type { SegmentSlot } from './segment-slot.ts';

/** A place is [lsn - base | offset] in one number: 26 and 27 bits. */
const offsets = 2 ** 27;

export class SegmentOrder {
  readonly id: number;
  private readonly slot: SegmentSlot;
  private readonly tables = new Map<number, Memtable>();
  private upTo: number = segmentHeaderBytes;

  constructor(slot: SegmentSlot) {
    this.slot = slot;
    this.id = slot.id;
  }

  /** The keys of a shard as of now; undefined when the segment holds none, or was given up. */
  walk(shard: number, from: KeyName | undefined, to: KeyName | undefined, thread: number): Stream | undefined {
    const { slot } = this;
    slot.pin(thread);
    if (slot.id !== this.id || !slot.isLive) {
      slot.unpin(thread);
      return undefined;
    }
    this.catchUp();
    const table = this.tables.get(shard);
    if (table !== undefined) return new TableStream(slot, table.walk(from, to), () => slot.unpin(thread));
    slot.unpin(thread);
    return undefined;
  }

  private catchUp(): void {
    const { slot, tables } = this;
    const { end, base, image } = slot;
    if (end <= this.upTo) return;
    eachOp(image, this.upTo, end, (shard, at, keyAt, keyEnd, lsn) => {
      let table = tables.get(shard);
      if (table === undefined) {
        table = new Memtable();
        tables.set(shard, table);
      }
      table.set(nameOf(image.subarray(keyAt, keyEnd)), (lsn - base) * offsets + at);
    });
    this.upTo = end;
  }
}

class TableStream implements Stream {
  name: KeyName | undefined;
  rank = 0;
  private place = 0;
  private readonly slot: SegmentSlot;
  private readonly walk: MemtableWalk;
  private onEnd: (() => void) | undefined;

  constructor(slot: SegmentSlot, walk: MemtableWalk, onEnd: () => void) {
    this.slot = slot;
    this.walk = walk;
    this.onEnd = onEnd;
    this.advance();
  }

  take(): Uint8Array | undefined {
    return this.slot.recordAt(this.place % offsets);
  }

  advance(): void {
    this.name = this.walk.next();
    if (this.name === undefined) return this.end();
    this.place = this.walk.placeOf(this.name);
    this.rank = this.slot.base + Math.floor(this.place / offsets);
  }

  end(): void {
    this.name = undefined;
    this.walk.end();
    this.onEnd?.();
    this.onEnd = undefined;
  }
}
