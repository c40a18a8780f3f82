// The context: what a client has seen of one key, as a token it hands back with its next write. To the client it is
// opaque text; inside is the version vector that decides which values that write replaces.
//
//   version 1 | store, 4 bytes | key, 4 bytes | newest stamp seen: ms (6), tick | entries | per entry, in order of id:
//   id | counter | exceptions | each as its distance below the one before it, from the counter | crc32 of all that
//
// Intuition: a context comes back from strangers, so it is checked three times. The token: length, checksum, canonical
// form. Its address: it was made for this store and this key (a counter of one key means nothing for another). Its
// claims: nobody has seen a write that was never made. The checksum finds accidents; a client that forges one can only
// name what contextRefusal() lets through, and so harm no more than the key it may write anyway.
//
// Invariant: BAD_CONTEXT means nothing was changed. A context that leaves something out is always safe: at worst a value
// stays as a sibling that could have been replaced.

import { actorIdBytesMax, clockAheadMsMax, contextBytesMax, contextEntriesMax, counterMax } from '../limits.ts';
import { crc32 } from '../storage/crc32.ts';
import { type ActorId, type Dot, type DvvSet, join, joinAfterWrite, nothingSeen, type Seen } from './dvv.ts';
import { aheadMs, beginning, compareStamps, laterStamp, type Stamp } from './hlc.ts';
import { compareIds, type SiblingSet, stampOf } from './sibling.ts';
import { ByteReader, ByteWriter } from './strict-bytes.ts';

export interface Context {
  readonly seen: Seen;
  /** A write with this context is stamped later than this, so that last-writer-wins never goes against causality. */
  readonly stamp: Stamp;
}

/** Which key of which store a context belongs to, as two numbers. */
export interface Place {
  readonly store: number;
  readonly key: number;
}

export interface BadContext {
  readonly badContext: string;
}

export function isBadContext<T extends object>(decoded: T | BadContext): decoded is BadContext {
  return 'badContext' in decoded;
}

export const emptyContext: Context = { seen: nothingSeen, stamp: beginning };

/** A store's name as a number; whoever makes many places keeps it. */
export function storeNumber(store: string): number {
  return crc32(new TextEncoder().encode(store));
}

export function placeOf(store: number, key: Uint8Array): Place {
  return { store, key: crc32(key) };
}

/** What somebody has seen who was shown the whole set. */
export function contextOf(set: SiblingSet): Context {
  return { seen: withinLimit(join(set), set), stamp: stampOf(set) };
}

/** What a writer has seen after his write `own` made `set`. */
export function contextAfterWrite(set: SiblingSet, before: Context, own: Dot): Context {
  const seen = joinAfterWrite(set, before.seen, own);
  return { seen: withinLimit(seen, set), stamp: laterStamp(before.stamp, stampOf(set)) };
}

/** Leaves out actors until the rest fits: first those without a current value, for they replace nothing here. */
function withinLimit(seen: Seen, set: DvvSet<unknown>): Seen {
  if (seen.upTo.size <= contextEntriesMax) return seen;
  const hasValue = (actor: ActorId): number => ((set.get(actor)?.dots.length ?? 0) > 0 ? 0 : 1);
  const kept = [...seen.upTo]
    .sort(([a], [b]) => hasValue(a) - hasValue(b) || compareIds(b, a))
    .slice(0, contextEntriesMax);
  const upTo = new Map(kept);
  return { upTo, except: new Map([...seen.except].filter(([actor]) => upTo.has(actor))) };
}

// ---- as bytes ----

export const contextVersion = 1;
const crcBytes = 4;
const stampBytes = 6;
const writer = new ByteWriter();

export function encodeContext({ seen, stamp }: Context, place: Place): Uint8Array {
  writer.byte(contextVersion);
  writer.fixed(place.store, 4);
  writer.fixed(place.key, 4);
  writer.fixed(stamp.ms, stampBytes);
  writer.varint(stamp.tick);
  const entries = [...seen.upTo];
  if (entries.length > 1) entries.sort((a, b) => compareIds(a[0], b[0]));
  writer.varint(entries.length);
  for (const [actor, counter] of entries) {
    writer.ascii(actor);
    writer.varint(counter);
    writeExceptions(counter, seen.except.get(actor) ?? []);
  }
  const body = writer.done();
  writer.raw(body);
  writer.fixed(crc32(body), crcBytes);
  return writer.done();
}

function writeExceptions(counter: number, ascending: readonly number[]): void {
  writer.varint(ascending.length);
  let above = counter + 1;
  for (const dot of ascending.toReversed()) {
    writer.varint(above - dot - 1);
    above = dot;
  }
}

/** The context in the bytes, if they are one of ours, whole, and made for this key of this store. */
export function decodeContext(bytes: Uint8Array, place: Place): Context | BadContext {
  if (bytes.length > contextBytesMax) {
    return { badContext: `the context has ${bytes.length} bytes; the most is ${contextBytesMax}` };
  }
  const end = bytes.length - crcBytes;
  const damaged = { badContext: 'the context is damaged, or not one of ours' };
  if (end < 1 || bytes[0] !== contextVersion) return damaged;
  const reader = new ByteReader(bytes, end);
  const checksum = new ByteReader(bytes.subarray(end)).fixed('the checksum', crcBytes);
  if (checksum !== crc32(bytes.subarray(0, end))) return damaged;
  reader.byte('the version');
  const store = reader.fixed('the store', 4);
  const key = reader.fixed('the key', 4);
  const stamp = { ms: reader.fixed('the stamp', stampBytes), tick: reader.varint('the tick') };
  const seen = readSeen(reader);
  reader.finish();
  if (!reader.ok) return { badContext: `the context is malformed: ${reader.why}` };
  if (store !== place.store) return { badContext: 'the context belongs to another store' };
  if (key !== place.key) return { badContext: 'the context belongs to another key' };
  return { seen, stamp };
}

function readSeen(reader: ByteReader): Seen {
  const upTo = new Map<ActorId, number>();
  const except = new Map<ActorId, readonly number[]>();
  const entries = reader.count('the number of actors', 4);
  if (entries > contextEntriesMax) reader.fail(`there are ${entries} actors; the most is ${contextEntriesMax}`);
  let before = '';
  for (let i = 0; i < entries && reader.ok; i++) {
    const actor = reader.ascii('an actor id', actorIdBytesMax);
    if (reader.ok && before !== '' && compareIds(before, actor) >= 0) reader.fail('actor ids are out of order');
    const counter = reader.varint('a counter');
    if (reader.ok && (counter < 1 || counter > counterMax)) reader.fail(`a counter is ${counter}`);
    const dots = readExceptions(reader, counter);
    upTo.set(actor, counter);
    if (dots.length > 0) except.set(actor, dots);
    before = actor;
  }
  return { upTo, except };
}

function readExceptions(reader: ByteReader, counter: number): number[] {
  const dots: number[] = [];
  const count = reader.count('the number of exceptions');
  let above = counter + 1;
  for (let i = 0; i < count && reader.ok; i++) {
    above = above - 1 - reader.varint('an exception');
    if (above < 1) reader.fail('an exception is below 1');
    dots.push(above);
  }
  return dots.reverse();
}

// ---- as text ----

export function toToken(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');
}

/** The bytes of a token. Text that is not exactly what toToken() writes is refused. */
export function fromToken(token: unknown): Uint8Array | BadContext {
  if (token instanceof Uint8Array) return token;
  if (typeof token !== 'string')
    return { badContext: `a context is text, not ${token === null ? 'null' : typeof token}` };
  if (token.length > Math.ceil((contextBytesMax * 4) / 3)) {
    return { badContext: `the context has ${token.length} characters: too long to be one of ours` };
  }
  const bytes = Buffer.from(token, 'base64url');
  if (bytes.toString('base64url') !== token) return { badContext: 'the context is damaged, or not one of ours' };
  return bytes;
}

// ---- its claims ----

export interface Claims {
  /** The clock of the key as the vnode knows it. */
  readonly clock: DvvSet<unknown>;
  /** The actor that would write: the only one who makes dots with this id, so he knows how many there are. */
  readonly actor: ActorId;
  /** True when this is the only replica: then nobody else can have made a dot either. */
  readonly alone: boolean;
  /** The newest stamp this vnode gave or saw, and its wall clock. */
  readonly stamp: Stamp;
  readonly now: number;
}

/** Why a context may not be believed, or undefined. */
export function contextRefusal({ seen, stamp }: Context, claims: Claims): string | undefined {
  for (const [actor, counter] of seen.upTo) {
    const entry = claims.clock.get(actor);
    const knowsAll = actor === claims.actor || (claims.alone && entry !== undefined);
    if (knowsAll && counter > (entry?.counter ?? 0)) {
      return `the context names write ${counter} of ${actor}, who has made ${entry?.counter ?? 0}`;
    }
  }
  // Ahead of every clock we know. Measured from the wall clock alone: measured from the newest stamp, each forged context
  // could push it a little further.
  if (compareStamps(stamp, claims.stamp) > 0 && aheadMs(stamp, claims.now) > clockAheadMsMax) {
    return `the context was made ${Math.ceil(aheadMs(stamp, claims.now))} ms in the future`;
  }
  return undefined;
}
