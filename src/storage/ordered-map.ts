// An ordered map of key names: a Map for the lookups, and beside it the entries in order, in small pieces.
//
//     chunks: [a b c] [d e f] [g h]      a piece that is written to is replaced, never changed
//
// So a snapshot is a copy of the list of pieces, and stays as it is whatever is written later: that is what a scan walks.
// Inserting costs a binary search and a copy of one piece (at most 256 entries), deleting the same.
//
// Invariant: the pieces hold exactly the entries of the Map, each piece is non-empty, and their order is that of the keys.

import type { KeyName } from './key.ts';

export interface Entry<V> {
  readonly name: KeyName;
  readonly value: V;
}

const pieceMax = 256;

export class OrderedMap<V> {
  readonly #entries = new Map<KeyName, V>();
  #pieces: (readonly Entry<V>[])[] = [];

  get size(): number {
    return this.#entries.size;
  }

  get(name: KeyName): V | undefined {
    return this.#entries.get(name);
  }

  set(name: KeyName, value: V): void {
    const entry = { name, value };
    const known = this.#entries.has(name);
    this.#entries.set(name, value);
    if (this.#pieces.length === 0) {
      this.#pieces = [[entry]];
      return;
    }
    const index = Math.max(0, this.#pieceOf(name));
    const piece = this.#pieces[index] as readonly Entry<V>[];
    this.#replace(index, piece.toSpliced(placeIn(piece, name), known ? 1 : 0, entry));
  }

  delete(name: KeyName): void {
    if (!this.#entries.delete(name)) return;
    const index = this.#pieceOf(name);
    const piece = this.#pieces[index] as readonly Entry<V>[];
    this.#replace(index, piece.toSpliced(placeIn(piece, name), 1));
  }

  /** The entries from `from` (inclusive) to `to` (exclusive), in order, as they are now. */
  range(from: KeyName = '', to?: KeyName): Iterable<Entry<V>> {
    return walk(this.#pieces.slice(), Math.max(0, this.#pieceOf(from)), from, to);
  }

  /** The last piece that begins at or before the name; -1 when all begin behind it. */
  #pieceOf(name: KeyName): number {
    let low = 0;
    let high = this.#pieces.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (((this.#pieces[middle] as readonly Entry<V>[])[0] as Entry<V>).name <= name) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  #replace(index: number, piece: readonly Entry<V>[]): void {
    if (piece.length === 0) this.#pieces.splice(index, 1);
    else if (piece.length <= pieceMax) this.#pieces[index] = piece;
    else this.#pieces.splice(index, 1, piece.slice(0, pieceMax / 2), piece.slice(pieceMax / 2));
  }
}

/** Where the name is in the piece, or belongs. */
function placeIn(piece: readonly { readonly name: KeyName }[], name: KeyName): number {
  let low = 0;
  let high = piece.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((piece[middle] as { readonly name: KeyName }).name < name) low = middle + 1;
    else high = middle;
  }
  return low;
}

function* walk<V>(
  pieces: readonly (readonly Entry<V>[])[],
  first: number,
  from: KeyName,
  to: KeyName | undefined,
): Generator<Entry<V>, void, undefined> {
  for (let index = first; index < pieces.length; index++) {
    for (const entry of pieces[index] as readonly Entry<V>[]) {
      if (entry.name < from) continue;
      if (to !== undefined && entry.name >= to) return;
      yield entry;
    }
  }
}
