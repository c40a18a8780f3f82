// Hot path: one segment of the commit log in shared memory, with an index of its records. The log writes into it, every thread of the
// process reads from it, so a read never crosses to another thread, and a shard that moves to another thread takes nothing along. A
// thread that dies leaves everything it had committed.
//
//     | header | index: 2^18 entries of 4 words | image: the bytes of the segment file |
//     entry:     hash | offset of the op in the image | shard | lsn - base
//
//     free ──take──▶ (taken) ──▶ active ──seal──▶ sealed ──its run is named──▶ flushed ──nobody reads──▶ free
//
// One thread writes, without locks: an entry is complete before its hash is stored, and a newer version of a key replaces offset and
// lsn. Readers may run at any moment of that, also while the segment is given up and used again: so they look at the version before
// and after, and whatever they have read in between is believed only if it is the same. Nothing they do may throw on nonsense.
//
// Invariant: what the index names is committed. bench/cores watches get and put.

import { pinsMax } from '../limits.ts';
import { newBytes } from './byte-pieces.ts';
import { readU16, readU32 } from './little-endian.ts';
import { opHeaderBytes } from './log/log-frame.ts';

const stateAt = 0;
const versionAt = 1;
const endAt = 2;
const entriesAt = 3;
const logAt = 4;
const threadAt = 5;
const words64At = 8;
const idAt = 0;
const baseAt = 1;
const newestAt = 2;
const pinsAt = 16;
const headerWords: number = pinsAt + pinsMax;

const indexSlots: number = 1 << 18;
const entryWords = 4;
/** A fuller index is a slower one: a miss looks at three entries when seven of ten are taken. */
export const indexEntriesMax: number = (indexSlots * 7) / 10;
/** The lsn of an entry is kept as its distance from the first one, in 26 bits beside an offset. */
export const lsnDistanceMax: number = 2 ** 26 - 1;

export const slotState = { free: 0, active: 1, sealed: 2, flushed: 3, taken: 4 } as const;
export type SlotState = (typeof slotState)[keyof typeof slotState];

/** What an op of the log begins with when it deletes: see log/log-frame.ts. */
const opDelete = 2;

/** A thread that was restarted writes another log: what its last life had begun may not be whole. */
export interface LogId {
  readonly thread: number;
  readonly number: number;
}

export interface Hit {
  readonly lsn: number;
  /** The caller's own bytes; undefined: deleted. */
  readonly record: Uint8Array | undefined;
}

export function slotBytes(segmentBytes: number): number {
  return (headerWords + indexSlots * entryWords) * 4 + segmentBytes;
}

export class SegmentSlot {
  readonly memory: SharedArrayBuffer;
  /** The bytes of the file. */
  readonly image: Uint8Array;
  private readonly header: Int32Array;
  private readonly long: BigInt64Array;
  private readonly index: Int32Array;

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory;
    this.header = new Int32Array(memory, 0, headerWords);
    this.long = new BigInt64Array(memory, words64At * 4, 4);
    this.index = new Int32Array(memory, headerWords * 4, indexSlots * entryWords);
    const imageFrom = (headerWords + indexSlots * entryWords) * 4;
    this.image = new Uint8Array(memory, imageFrom, memory.byteLength - imageFrom);
  }

  get state(): SlotState {
    return Atomics.load(this.header, stateAt) as SlotState;
  }

  get id(): number {
    return Number(Atomics.load(this.long, idAt));
  }

  /** Which log wrote it: the number of that log, and the thread. */
  get log(): LogId {
    return { thread: Atomics.load(this.header, threadAt), number: Atomics.load(this.header, logAt) };
  }

  /** Committed bytes. */
  get end(): number {
    return Atomics.load(this.header, endAt);
  }

  get entries(): number {
    return Atomics.load(this.header, entriesAt);
  }

  get version(): number {
    return Atomics.load(this.header, versionAt);
  }

  /** The highest lsn in it. */
  get newest(): number {
    return Number(Atomics.load(this.long, newestAt));
  }

  get base(): number {
    return Number(Atomics.load(this.long, baseAt));
  }

  /** Holds records that no run has yet. */
  get isLive(): boolean {
    const { state } = this;
    return state === slotState.active || state === slotState.sealed;
  }

  /** Makes a free one this log's; false when it is not free. */
  take(id: number, log: LogId, base: number): boolean {
    // A state of its own: another thread may be giving back what is flushed just now.
    const { free, taken } = slotState;
    if (!this.isUnread || Atomics.compareExchange(this.header, stateAt, free, taken) !== free) return false;
    Atomics.add(this.header, versionAt, 1);
    this.index.fill(0);
    Atomics.store(this.long, idAt, BigInt(id));
    Atomics.store(this.long, baseAt, BigInt(base));
    Atomics.store(this.long, newestAt, 0n);
    Atomics.store(this.header, endAt, 0);
    Atomics.store(this.header, entriesAt, 0);
    Atomics.store(this.header, logAt, log.number);
    Atomics.store(this.header, threadAt, log.thread);
    Atomics.store(this.header, stateAt, slotState.active);
    return true;
  }

  /** The id is known only when its file is made. */
  name(id: number): void {
    Atomics.store(this.long, idAt, BigInt(id));
  }

  seal(): void {
    Atomics.compareExchange(this.header, stateAt, slotState.active, slotState.sealed);
  }

  /** Its records are in a run that the manifest names: from here on they are read there. */
  flushed(): void {
    Atomics.store(this.header, stateAt, slotState.flushed);
    Atomics.add(this.header, versionAt, 1);
  }

  /** Gives a flushed one back; false while somebody walks through it. */
  free(): boolean {
    const { flushed, free } = slotState;
    return this.isUnread && Atomics.compareExchange(this.header, stateAt, flushed, free) === flushed;
  }

  private get isUnread(): boolean {
    for (let thread = 0; thread < pinsMax; thread++) if (Atomics.load(this.header, pinsAt + thread) !== 0) return false;
    return true;
  }

  /** While pinned, the bytes of a segment stay as they are. Check the state afterwards: it may just have been given up. */
  pin(thread: number): void {
    Atomics.add(this.header, pinsAt + thread, 1);
  }

  unpin(thread: number): void {
    Atomics.sub(this.header, pinsAt + thread, 1);
  }

  /** That thread is dead: it walks no more. */
  forget(thread: number): void {
    Atomics.store(this.header, pinsAt + thread, 0);
  }

  // The writer.

  /** Names an op whose bytes are committed. `hash` is hashOf(shard, key). */
  put(hash: number, shard: number, at: number, keyBytes: number, lsn: number): void {
    const { index, image, header } = this;
    const distance = lsn - this.base;
    let slot = (hash & (indexSlots - 1)) * entryWords;
    for (;;) {
      const found = index[slot];
      if (found === 0) break;
      if (found === hash && index[slot + 2] === shard && sameKey(image, index[slot + 1] as number, at, keyBytes)) {
        // A reader may take the new offset with the old lsn, which says less than the truth: the version would have to
        // be newer elsewhere at once for that to matter, and nobody else writes this shard.
        Atomics.store(index, slot + 1, at);
        Atomics.store(index, slot + 3, distance);
        return;
      }
      slot = (slot + entryWords) & (indexSlots * entryWords - 1);
    }
    index[slot + 1] = at;
    index[slot + 2] = shard;
    index[slot + 3] = distance;
    Atomics.store(index, slot, hash);
    header[entriesAt] = (header[entriesAt] as number) + 1;
  }

  /** Everything up to `end` has been named. */
  committed(end: number, lsn: number): void {
    Atomics.store(this.long, newestAt, BigInt(lsn));
    Atomics.store(this.header, endAt, end);
  }

  // Readers.

  /** The version of this key in this segment; undefined when there is none, or the segment has just been given up. */
  get(hash: number, shard: number, key: Uint8Array): Hit | undefined {
    const { version } = this;
    if (!this.isLive) return undefined;
    const at = this.find(hash, shard, key);
    if (at < 0) return undefined;
    const lsn = this.base + (this.index[at + 3] as number);
    const record = this.recordAt(Atomics.load(this.index, at + 1));
    return this.version === version && this.isLive ? { lsn, record } : undefined;
  }

  private find(hash: number, shard: number, key: Uint8Array): number {
    const { index, image } = this;
    let slot = (hash & (indexSlots - 1)) * entryWords;
    // Bounded, because what is read may be nonsense.
    for (let looks = 0; looks < indexSlots; looks++) {
      const found = Atomics.load(index, slot);
      if (found === 0) return -1;
      if (found === hash && index[slot + 2] === shard && isKey(image, index[slot + 1] as number, key)) return slot;
      slot = (slot + entryWords) & (indexSlots * entryWords - 1);
    }
    return -1;
  }

  /** A copy of the record of the op at this offset; undefined for a deletion, or for nonsense. */
  recordAt(at: number): Uint8Array | undefined {
    const { image } = this;
    if (image[at] === opDelete) return undefined;
    const from = at + opHeaderBytes + readU16(image, at + 1);
    return copyOf(image, from, from + readU32(image, at + 3));
  }
}

/** What the index is addressed by. Never 0. FNV-1a, and a last stir: its low bits alone are weak. */
export function hashOf(shard: number, bytes: Uint8Array, from = 0, to: number = bytes.length): number {
  let hash = 0x811c9dc5 ^ shard;
  for (let at = from; at < to; at++) hash = Math.imul(hash ^ (bytes[at] as number), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  hash ^= hash >>> 13;
  return hash === 0 ? 1 : hash;
}

/** Not slice(): a view of shared memory gives shared memory. */
function copyOf(image: Uint8Array, from: number, to: number): Uint8Array {
  const copy = newBytes(Math.max(0, Math.min(to, image.length) - from));
  copy.set(image.subarray(from, from + copy.length));
  return copy;
}

function sameKey(image: Uint8Array, one: number, other: number, keyBytes: number): boolean {
  if (readU16(image, one + 1) !== keyBytes) return false;
  for (let at = opHeaderBytes; at < opHeaderBytes + keyBytes; at++)
    if (image[one + at] !== image[other + at]) return false;
  return true;
}

function isKey(image: Uint8Array, op: number, key: Uint8Array): boolean {
  if (readU16(image, op + 1) !== key.length) return false;
  for (let at = 0; at < key.length; at++) if (image[op + opHeaderBytes + at] !== key[at]) return false;
  return true;
}
