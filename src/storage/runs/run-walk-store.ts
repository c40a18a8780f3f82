// A walk over a run: LMDB's cursor, closed exactly once, and before the transaction it belongs to: the other order is SIGSEGV.
//
//     RunStore ── knows ──> RunCursor <── holds ── RunWalk <── holds ── who walks
//
// The store must be able to close the cursor, and the garbage collector to tell us of a walk that was just forgotten: so the
// store knows the cursor and not the walk.

import type { RunEntry } from './run-format.ts';

export interface RunWalkSeams {
  /** Throws CORRUPT. */
  decode(place: Uint8Array, bytes: Uint8Array): { readonly lsn: number; readonly record: Uint8Array | undefined };
  /** What to throw when LMDB could not go on. */
  unreadable(why: unknown): Error;
  /** Hears of the end, once. */
  ended(): void;
}

type Rows = Iterable<{ readonly key: Uint8Array; readonly value: Uint8Array }>;

export class RunCursor {
  readonly #rows: Iterator<{ readonly key: Uint8Array; readonly value: Uint8Array }>;
  readonly #seams: RunWalkSeams;
  #ended: Error | true | undefined;

  /** The rows begin now: LMDB's cursor is opened by asking for its iterator. */
  constructor(rows: Rows, seams: RunWalkSeams) {
    this.#rows = rows[Symbol.iterator]();
    this.#seams = seams;
  }

  next(): RunEntry | undefined {
    if (this.#ended === true) return undefined;
    if (this.#ended) throw this.#ended;
    const row = this.#step();
    if (row === undefined) {
      this.end();
      return undefined;
    }
    const { lsn, record } = this.#seams.decode(row.key, row.value);
    return { place: row.key, lsn, record, encoded: row.value };
  }

  /** With a reason, whoever asks for more is told it. */
  end(why?: Error): void {
    if (this.#ended) return;
    this.#ended = why ?? true;
    this.#rows.return?.();
    this.#seams.ended();
  }

  #step(): { readonly key: Uint8Array; readonly value: Uint8Array } | undefined {
    try {
      const { done, value } = this.#rows.next();
      return done ? undefined : value;
    } catch (why) {
      throw this.#seams.unreadable(why);
    }
  }
}

const forgotten = new FinalizationRegistry<RunCursor>(cursor => cursor.end());

/** To be walked once. `entryOf` makes what is handed out of what is read. */
export class RunWalk<T> implements IterableIterator<T> {
  readonly #cursor: RunCursor;
  readonly #entryOf: (entry: RunEntry) => T;

  constructor(cursor: RunCursor, entryOf: (entry: RunEntry) => T) {
    this.#cursor = cursor;
    this.#entryOf = entryOf;
    forgotten.register(this, cursor);
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<T> {
    const entry = this.#cursor.next();
    return entry ? { done: false, value: this.#entryOf(entry) } : { done: true, value: undefined };
  }

  return(): IteratorResult<T> {
    this.#cursor.end();
    return { done: true, value: undefined };
  }
}
