// Dotted version vector sets (Almeida, Baquero, Gonçalves et al., "Scalable and accurate causality tracking for
// eventually consistent stores", 2014): the clock of a key and its concurrent values in one structure.
//
// Intuition: each write gets a *dot*, (actor, counter), which names that one write for ever. A set remembers, per actor,
// how far it has seen (`counter`) and which of those writes are still current (`dots`, with their `values`). What was
// seen and is not current has been superseded. So merging needs no comparing of values: a value survives when both
// sides have it, or when one side has it and the other has never seen its dot.
//
//     a: counter 5, dots 5 4      seen a1 .. a5; a5 and a4 are siblings; a1 a2 a3 are history
//     b: counter 2, dots -        seen b1 b2, both superseded
//
// The paper keeps the dots of an actor contiguous ("the newest k"), so they need no names. We name them, because a writer
// who was told of his own write but not of a sibling before it supersedes a5 and not a4. With contiguous dots one must
// either drop a4, which is an acknowledged value nobody has read, or keep both and pile up siblings.
//
// Invariants: dots are strictly descending, each in 1..counter, and values[i] belongs to dots[i]; a counter never falls;
// only an actor itself makes events with its id, and it never makes the same dot twice (see actor-id.ts).
// Maps, never objects: ids come from other machines.

export type ActorId = string;

export interface Dot {
  readonly actor: ActorId;
  readonly counter: number;
}

/** What a set knows of one actor. */
export interface Entry<V> {
  readonly counter: number;
  /** Current writes, newest first. */
  readonly dots: readonly number[];
  readonly values: readonly V[];
}

export type DvvSet<V> = ReadonlyMap<ActorId, Entry<V>>;
export type VersionVector = ReadonlyMap<ActorId, number>;

/**
 * What somebody has seen: every write up to the vector, except some. A reader has seen all; a writer has seen what he had
 * read and his own write, but not the siblings that stand beside it. `except` holds their dots, ascending.
 */
export interface Seen {
  readonly upTo: VersionVector;
  readonly except: ReadonlyMap<ActorId, readonly number[]>;
}

export type Order = 'equal' | 'before' | 'after' | 'concurrent';

const none: readonly never[] = Object.freeze([]);
const noExceptions: ReadonlyMap<ActorId, readonly number[]> = new Map();
export const nothingSeen: Seen = { upTo: new Map(), except: noExceptions };

export function emptySet<V>(): DvvSet<V> {
  return new Map();
}

// ---- a write ----

/** A coordinated write: what the writer had seen is superseded, then `value` is added under a new dot of `actor`. */
export function update<V>(set: DvvSet<V>, seen: Seen, value: V, actor: ActorId): DvvSet<V> {
  return event(discard(set, seen), actor, value);
}

/** Adds a value under the next dot of `actor`, beside whatever is there. */
export function event<V>(set: DvvSet<V>, actor: ActorId, value: V): DvvSet<V> {
  const next = new Map(set);
  const entry = set.get(actor);
  const counter = (entry?.counter ?? 0) + 1;
  if (entry === undefined || entry.dots.length === 0) next.set(actor, { counter, dots: [counter], values: [value] });
  else next.set(actor, { counter, dots: [counter, ...entry.dots], values: [value, ...entry.values] });
  return next;
}

/** Drops the values that were seen and remembers, as far as it may, that they are superseded. */
export function discard<V>(set: DvvSet<V>, seen: Seen): DvvSet<V> {
  if (seen.upTo.size === 0) return set;
  const next = new Map(set);
  for (const [actor, seenTo] of seen.upTo) {
    const entry = set.get(actor) ?? { counter: 0, dots: none, values: none };
    const reach = reachOf(entry.counter, seenTo, seen.except.get(actor));
    next.set(
      actor,
      filterEntry(entry, Math.max(entry.counter, reach), dot => !covers(seen, actor, dot)),
    );
  }
  return next;
}

/**
 * How far `counter` may be raised by somebody who has seen up to `seenTo`. A write he has *not* seen and that we do not
 * know either must stay unknown here: claiming it as history would erase it from every replica that still holds it.
 */
function reachOf(counter: number, seenTo: number, except: readonly number[] | undefined): number {
  const unknown = except?.find(dot => dot > counter);
  return unknown === undefined ? seenTo : unknown - 1;
}

export function covers(seen: Seen, actor: ActorId, counter: number): boolean {
  if (counter > (seen.upTo.get(actor) ?? 0)) return false;
  return !(seen.except.get(actor)?.includes(counter) ?? false);
}

// ---- a merge ----

/** Everything either side knows. Commutative, associative, idempotent; the order of actors is that of `a`, then `b`. */
export function sync<V>(a: DvvSet<V>, b: DvvSet<V>): DvvSet<V> {
  if (a === b || b.size === 0) return a;
  if (a.size === 0) return b;
  const merged = new Map(a);
  for (const [actor, theirs] of b) {
    const ours = a.get(actor);
    merged.set(actor, ours === undefined ? theirs : syncEntry(ours, theirs));
  }
  return merged;
}

function syncEntry<V>(a: Entry<V>, b: Entry<V>): Entry<V> {
  const dots: number[] = [];
  const values: V[] = [];
  let i = 0;
  let j = 0;
  while (i < a.dots.length || j < b.dots.length) {
    const ours = a.dots[i] ?? 0;
    const theirs = b.dots[j] ?? 0;
    const dot = Math.max(ours, theirs);
    const survives = ours === theirs || (ours > theirs ? ours > b.counter : theirs > a.counter);
    if (survives) {
      dots.push(dot);
      values.push((ours === dot ? a.values[i] : b.values[j]) as V);
    }
    if (ours === dot) i++;
    if (theirs === dot) j++;
  }
  return { counter: Math.max(a.counter, b.counter), dots, values };
}

// ---- what was seen ----

/** What a reader of the whole set has seen. */
export function join<V>(set: DvvSet<V>): Seen {
  const upTo = new Map<ActorId, number>();
  for (const [actor, entry] of set) upTo.set(actor, entry.counter);
  return { upTo, except: noExceptions };
}

/**
 * What a writer has seen after his write `own` made `set`: what he had seen before, his write, and all history; but not
 * the values that stand beside it. Were they included, his next write would silently drop values nobody ever read.
 */
export function joinAfterWrite<V>(set: DvvSet<V>, before: Seen, own: Dot): Seen {
  const seen = join(set);
  if (size(set) <= 1) return seen;
  const except = new Map<ActorId, readonly number[]>();
  for (const [actor, entry] of set) {
    const unseen = entry.dots.filter(
      dot => !(actor === own.actor && dot === own.counter) && !covers(before, actor, dot),
    );
    if (unseen.length > 0) except.set(actor, unseen.reverse());
  }
  return { upTo: seen.upTo, except };
}

/** How two vectors stand; an actor that is missing counts as 0. Equal vectors are equal, not a conflict. */
export function compare(a: VersionVector, b: VersionVector): Order {
  const aCovers = descends(a, b);
  const bCovers = descends(b, a);
  if (aCovers) return bCovers ? 'equal' : 'after';
  return bCovers ? 'before' : 'concurrent';
}

/** True when `a` has seen everything `b` has. */
export function descends(a: VersionVector, b: VersionVector): boolean {
  for (const [actor, counter] of b) if ((a.get(actor) ?? 0) < counter) return false;
  return true;
}

// ---- looking inside ----

/** True when both sets have seen and kept the same writes. Values need no comparing: a dot names one write. */
export function sameSet<V>(a: DvvSet<V>, b: DvvSet<V>): boolean {
  if (a === b) return true;
  if (a.size !== b.size) return false;
  for (const [actor, entry] of a) {
    const other = b.get(actor);
    if (other === undefined || other.counter !== entry.counter || other.dots.length !== entry.dots.length) return false;
    if (entry.dots.some((dot, index) => dot !== other.dots[index])) return false;
  }
  return true;
}

export function hasDot<V>(set: DvvSet<V>, dot: Dot): boolean {
  return (set.get(dot.actor)?.counter ?? 0) >= dot.counter;
}

/** Number of values, that is of siblings when more than one. */
export function size<V>(set: DvvSet<V>): number {
  let count = 0;
  for (const entry of set.values()) count += entry.dots.length;
  return count;
}

export function values<V>(set: DvvSet<V>): V[] {
  return [...set.values()].flatMap(entry => entry.values);
}

/** Each value with the dot that names it. */
export function* dotted<V>(set: DvvSet<V>): Generator<{ readonly dot: Dot; readonly value: V }> {
  for (const [actor, entry] of set) {
    for (const [index, counter] of entry.dots.entries()) {
      yield { dot: { actor, counter }, value: entry.values[index] as V };
    }
  }
}

/** The same knowledge with fewer values: those that `keeps` refuses become history. */
export function keep<V>(set: DvvSet<V>, keeps: (value: V, actor: ActorId, counter: number) => boolean): DvvSet<V> {
  const next = new Map<ActorId, Entry<V>>();
  for (const [actor, entry] of set) {
    next.set(
      actor,
      filterEntry(entry, entry.counter, (dot, value) => keeps(value, actor, dot)),
    );
  }
  return next;
}

function filterEntry<V>(entry: Entry<V>, counter: number, keeps: (dot: number, value: V) => boolean): Entry<V> {
  const kept = entry.dots.map((dot, index) => keeps(dot, entry.values[index] as V));
  if (counter === entry.counter && kept.every(Boolean)) return entry;
  return {
    counter,
    dots: entry.dots.filter((_, index) => kept[index]),
    values: entry.values.filter((_, index) => kept[index]),
  };
}
