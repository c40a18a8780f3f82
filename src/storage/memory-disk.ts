// What lies below the memory stores of one process: the committed records of each shard, which of them a loss of power would take, and the
// faults a disk has. Several stores may write to it, one a thread, as to one directory.
//
//     write ──▶ committed, and how to take it back ──flush──▶ nothing takes it back any more
//
// Invariant: `undo` holds, newest last, how to take back each thing that is committed and not flushed.

import { type KeyName, nameOf } from './key.ts';
import { OrderedMap } from './ordered-map.ts';
import type { PendingWrite } from './pending-writes.ts';
import { crashed } from './refusals.ts';

/** Everything a disk holds, by shard; the next store on the same simulated disk begins with it. */
export type MemoryImage = ReadonlyMap<
  string,
  { readonly records: readonly (readonly [string, Uint8Array])[]; readonly fence: number }
>;

/** A shard, as it is committed. */
export interface Place {
  records: OrderedMap<Uint8Array>;
  /** The highest epoch a group with a shard fence carried. */
  fence: number;
  /** Written to, and not dropped since. */
  used: boolean;
}

/** What was there before: of one record, or of a shard. */
type Undo =
  | { readonly at: Place; readonly name: KeyName; readonly before: Uint8Array | undefined }
  | { readonly at: Place; readonly name: undefined; readonly before: Partial<Place> };

export class MemoryDisk {
  /** While true, groups that store anything are refused with DISK_FULL. */
  full = false;
  /** When set, the next commit fails with it. */
  broken: Error | undefined;
  /** ... but what it was to write is written. */
  breaksLate = false;
  /** Counts crashes: what was under way before one must not go on after it. */
  life = 0;
  readonly #flushSoon: (fn: () => void) => void;
  readonly #places = new Map<string, Place>();
  #undo: Undo[] = [];
  /** How long `undo` was after each group: a power loss keeps whole groups. */
  #marks: number[] = [];
  #held: (() => void)[] | undefined;
  #flushing: Promise<void> | undefined;

  constructor(flushSoon: (fn: () => void) => void, image: MemoryImage | undefined) {
    this.#flushSoon = flushSoon;
    for (const [name, { records, fence }] of image ?? []) {
      const place = this.place(name);
      for (const [key, bytes] of records) place.records.set(key, bytes.slice());
      Object.assign(place, { fence, used: true });
    }
  }

  place(name: string): Place {
    let place = this.#places.get(name);
    if (place === undefined) {
      place = { records: new OrderedMap(), fence: 0, used: false };
      this.#places.set(name, place);
    }
    return place;
  }

  /** Those that are written to. */
  *used(): Iterable<string> {
    for (const [name, { used }] of this.#places) if (used) yield name;
  }

  /** A group, whole. `fence`: it raises that of the shard to so much. */
  write(at: Place, fence: number | undefined, writes: readonly PendingWrite[]): void {
    const raised = fence !== undefined && fence > at.fence;
    if (raised || !at.used) this.#become(at, { fence: raised ? fence : at.fence, used: true });
    const { records } = at;
    for (const { name, record } of writes) {
      const before = records.get(name);
      this.#undo.push({ at, name, before });
      if (record) records.set(name, record);
      else records.delete(name);
    }
    this.#marks.push(this.#undo.length);
    this.#flushLater();
  }

  replace(at: Place, next: Place): void {
    this.#become(at, next);
    this.#marks.push(this.#undo.length);
    this.#flushLater();
  }

  #become(at: Place, next: Partial<Place>): void {
    const before = next.records === undefined ? { fence: at.fence, used: at.used } : { ...at };
    this.#undo.push({ at, name: undefined, before });
    Object.assign(at, next);
  }

  /** Every disk writes back in the end; without it `undo` would grow for ever. */
  #flushLater(): void {
    this.flush().catch(() => {});
  }

  /** One flush takes along whatever is committed until it happens. */
  flush(): Promise<void> {
    this.#flushing ??= new Promise((resolve, reject) => {
      const { life } = this;
      this.#flushSoon(() => {
        if (life !== this.life) return reject(crashed());
        this.#flushing = undefined;
        this.#undo = [];
        this.#marks = [];
        resolve();
      });
    });
    return this.#flushing;
  }

  /** Calls back when it is not held. Throws what it is broken by. */
  free(go: () => void): void {
    if (this.broken) throw this.broken;
    if (this.#held) this.#held.push(go);
    else go();
  }

  hold(): void {
    this.#held ??= [];
  }

  release(): void {
    const held = this.#held;
    this.#held = undefined;
    for (const go of held ?? []) go();
  }

  /** Its process dies, and starts again on it. */
  crash(): void {
    this.life++;
    this.#flushing = undefined;
    this.release();
    this.#flushLater();
  }

  /** What was not flushed is gone. */
  losePower(): void {
    this.#forget(0);
  }

  /** See MemoryStore.remains(). */
  remains(kept: number): MemoryImage {
    const groups = Math.floor(kept * this.#marks.length + 1e-9);
    this.#forget(groups === 0 ? 0 : (this.#marks[groups - 1] as number));
    return new Map(
      [...this.used()].map(name => {
        const { records, fence } = this.place(name);
        const entries = [...records.range()].map(entry => [entry.name, entry.value.slice()] as const);
        return [name, { records: entries, fence }];
      }),
    );
  }

  /** The bytes of that record as a loss of power would leave them, if nothing that is not flushed were kept. */
  flushed(at: Place, key: Uint8Array): Uint8Array | undefined {
    const wanted = nameOf(key);
    // What the first change since the last flush has found there.
    for (const undo of this.#undo) {
      if (undo.at !== at) continue;
      if (undo.name === wanted) return undo.before;
      if (undo.name === undefined && undo.before.records !== undefined) return undo.before.records.get(wanted);
    }
    return at.records.get(wanted);
  }

  /** Takes back what is committed and not flushed, down to a length of `undo`. */
  #forget(length: number): void {
    for (const { at, name, before } of this.#undo.splice(length).reverse())
      if (name === undefined) Object.assign(at, before);
      else if (before === undefined) at.records.delete(name);
      else at.records.set(name, before);
    this.#marks = this.#marks.filter(mark => mark <= length);
  }
}
