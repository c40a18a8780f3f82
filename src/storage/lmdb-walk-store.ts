// A walk over committed records in an LMDB snapshot: as of the moment it was begun, however long it takes.
//
// A snapshot that is not given back keeps every page it can see from being used again, and the file grows. So it is given
// back when the walk ends, when its user breaks off, when the engine closes; and, should the user just forget about it,
// when the garbage collector finds the walk.
//
// Invariant: the snapshot and its cursor are given back exactly once, the cursor first.

import type { Lmdb, LmdbEntry, Snapshot } from './lmdb-env-store.ts';
import type { Found } from './shard-handle.ts';

export interface WalkRange {
  readonly start: Uint8Array;
  readonly end: Uint8Array;
}

/** What a walk holds on to. Kept apart from the walk itself, so that the engine can list it without keeping the walk alive. */
export class Pin {
  readonly #db: Lmdb;
  readonly #range: WalkRange;
  readonly #snapshot: Snapshot;
  readonly #released: () => void;
  #cursor: Iterator<LmdbEntry> | undefined;
  #ended: Error | true | undefined;

  /** `released` hears of the end, once. */
  constructor(db: Lmdb, range: WalkRange, released: () => void) {
    this.#db = db;
    this.#range = range;
    this.#released = released;
    this.#snapshot = db.useReadTransaction();
  }

  next(): LmdbEntry | undefined {
    if (this.#ended) {
      if (this.#ended === true) return undefined;
      throw this.#ended;
    }
    this.#cursor ??= this.#db
      .getRange({ ...this.#range, transaction: this.#snapshot, versions: true })
      [Symbol.iterator]();
    const { done, value } = this.#cursor.next();
    if (!done) return value;
    this.end();
    return undefined;
  }

  /** With a reason, whoever asks for more is told it. */
  end(why?: Error): void {
    if (this.#ended) return;
    this.#ended = why ?? true;
    this.#cursor?.return?.();
    this.#snapshot.done();
    this.#released();
  }

  /** Ends without touching LMDB, which has failed. */
  forsake(why: Error): void {
    this.#ended ??= why;
  }
}

const forgotten = new FinalizationRegistry<Pin>(pin => pin.end());

export interface WalkChecks {
  /** The bytes, if they are what the stamp says; throws CORRUPT. */
  check(key: Uint8Array, bytes: Uint8Array, stamp: number): Uint8Array | undefined;
  /** What to throw when LMDB could not go on from this key. */
  unreadable(key: Uint8Array, why: unknown): Error;
}

export class LmdbWalk implements IterableIterator<Found> {
  readonly #pin: Pin;
  readonly #checks: WalkChecks;
  #last: Uint8Array = new Uint8Array(0);

  constructor(pin: Pin, checks: WalkChecks) {
    this.#pin = pin;
    this.#checks = checks;
    forgotten.register(this, pin, pin);
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<Found> {
    for (;;) {
      const entry = this.#read();
      if (!entry) return { done: true, value: undefined };
      this.#last = entry.key.subarray(4);
      const bytes = this.#checks.check(this.#last, entry.value, entry.version);
      if (bytes) return { done: false, value: { key: this.#last, bytes } };
    }
  }

  return(): IteratorResult<Found> {
    this.#pin.end();
    return { done: true, value: undefined };
  }

  #read(): LmdbEntry | undefined {
    try {
      return this.#pin.next();
    } catch (why) {
      throw this.#checks.unreadable(this.#last, why);
    }
  }
}
