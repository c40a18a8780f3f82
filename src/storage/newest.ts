// Several ordered streams of one shard as one: of each key the newest version, deletions left out.
//
//     own tables     a c e       newer than anything below; among themselves the younger segment first
//     inherited      a d         by lsn
//     runs           a b c d     by lsn
//     ───────────────────────
//     shown          a b c d e
//
// There are a handful of streams, so the smallest head is found by looking at all of them.
//
// Invariant: every stream is ended, whether the walk reaches its end or is broken off.

import type { KeyName } from './key.ts';
import type { Found } from './shard-handle.ts';

export interface Stream {
  /** The key it stands at; undefined when it is over. */
  readonly name: KeyName | undefined;
  /** Of versions of one key the one with the highest rank is the newest. */
  readonly rank: number;
  /** The record it stands at, the caller's own bytes; undefined for a deletion. */
  take(): Uint8Array | undefined;
  advance(): void;
  end(): void;
}

/** Above every lsn: what this thread has written itself. `age` 0 is the youngest. */
export const ownRank = (age: number): number => Number.MAX_SAFE_INTEGER - age;

export class Newest implements Iterable<Found>, Iterator<Found, undefined> {
  readonly #streams: readonly Stream[];
  readonly #keyOf: (name: KeyName) => Uint8Array;

  constructor(streams: readonly Stream[], keyOf: (name: KeyName) => Uint8Array) {
    this.#streams = streams;
    this.#keyOf = keyOf;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<Found, undefined> {
    for (;;) {
      const newest = this.#head();
      if (newest === undefined) return this.return();
      const name = newest.name as KeyName;
      const bytes = newest.take();
      for (const stream of this.#streams) if (stream.name === name) stream.advance();
      if (bytes !== undefined) return { done: false, value: { key: this.#keyOf(name), bytes } };
    }
  }

  return(): IteratorReturnResult<undefined> {
    for (const stream of this.#streams) stream.end();
    return { done: true, value: undefined };
  }

  /** The stream with the smallest name, and of several the newest. */
  #head(): Stream | undefined {
    let best: Stream | undefined;
    for (const stream of this.#streams) {
      if (stream.name === undefined) continue;
      if (best === undefined || stream.name < (best.name as KeyName)) best = stream;
      else if (stream.name === best.name && stream.rank > best.rank) best = stream;
    }
    return best;
  }
}
