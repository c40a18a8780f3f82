// Many sorted streams of entries into one: in order, and of each key only the newest version.
//
//     a  1  4  7           every stream's next entry stands in a heap, the smallest place on top, of equal places the
//     b  2  4  9    ──>    highest lsn; what has the place of the one just handed out is older, and left out
//
// A deletion is an entry like any other, because it hides older versions in tables that are not part of this merge. It may
// go when there can be none: if its lsn is below everything that lies outside (`forgetBelow`).
//
// Invariant: what comes out is in strict order of the places; nothing but streams is kept in memory.

import { compareKeys } from '../key.ts';
import { type RunEntry, shardOf } from './run-format.ts';

export interface MergeRules {
  /**
   * Deletions with an lsn below this are left out. 0 keeps all. It must not be higher than the lowest lsn that any run outside
   * the merge, any memtable and any log segment not yet in a run may hold.
   */
  readonly forgetBelow: number;
  /** Numbers of the shards there are; the others were dropped. Undefined: all. */
  readonly live?: ReadonlySet<number> | undefined;
  /**
   * True for a record that has no meaning any more (it expired). Left out like a deletion: below `forgetBelow`, since an
   * older version outside would come to light.
   */
  readonly purge?: ((entry: RunEntry) => boolean) | undefined;
}

interface Stream {
  entry: RunEntry;
  readonly rest: Iterator<RunEntry>;
}

/** Streams must be in strict order, each. When this is broken off, they are ended. */
export function* mergeEntries(streams: readonly Iterable<RunEntry>[], rules: MergeRules): Generator<RunEntry> {
  const rests = streams.map(stream => stream[Symbol.iterator]());
  const heap: Stream[] = [];
  try {
    for (const rest of rests) {
      const { done, value } = rest.next();
      if (!done) push(heap, { entry: value, rest });
    }
    let last: Uint8Array | undefined;
    while (heap.length > 0) {
      const { entry } = heap[0] as Stream;
      const older = last !== undefined && compareKeys(entry.place, last) === 0;
      if (!older) {
        last = entry.place;
        if (stays(entry, rules)) yield entry;
      }
      advance(heap);
    }
  } finally {
    for (const rest of rests) rest.return?.();
  }
}

function stays(entry: RunEntry, { forgetBelow, live, purge }: MergeRules): boolean {
  if (live !== undefined && !live.has(shardOf(entry.place))) return false;
  if (entry.lsn >= forgetBelow) return true;
  return entry.record !== undefined && (purge === undefined || !purge(entry));
}

function before(a: RunEntry, b: RunEntry): boolean {
  const order = compareKeys(a.place, b.place);
  return order === 0 ? a.lsn > b.lsn : order < 0;
}

// A binary heap in an array: the children of `at` are 2 at + 1 and 2 at + 2.

function advance(heap: Stream[]): void {
  const top = heap[0] as Stream;
  const { done, value } = top.rest.next();
  if (!done) {
    top.entry = value;
    sink(heap);
    return;
  }
  const last = heap.pop() as Stream;
  if (heap.length === 0) return;
  heap[0] = last;
  sink(heap);
}

function sink(heap: Stream[]): void {
  const moving = heap[0] as Stream;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && before((heap[child + 1] as Stream).entry, (heap[child] as Stream).entry)) child++;
    if (!before((heap[child] as Stream).entry, moving.entry)) break;
    heap[at] = heap[child] as Stream;
    at = child;
  }
  heap[at] = moving;
}

function push(heap: Stream[], stream: Stream): void {
  let at = heap.push(stream) - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!before(stream.entry, (heap[parent] as Stream).entry)) break;
    heap[at] = heap[parent] as Stream;
    at = parent;
  }
  heap[at] = stream;
}
