// A sibling set as bytes, split as the storage record wants it: `version` holds the clock, `value` the siblings. The split
// lets a digest or a repair compare clocks without touching values.
//
//   version   format 1 | actors | per actor, in order of id: id | counter | dots | each dot as its distance below the one
//             before it (the first below the counter, so a key with one value writes a 0)
//   value     format 1 | per dot, in the same order: flags | ms (6 bytes) | tick | [expiry, 6 bytes] | [opId] | length | bytes
//
// One value by one actor costs 16 bytes beside the actor's id and the value itself, 19 for a large value and many writes.
//
// Invariants: equal sets have equal bytes, whatever way they came together; decoding accepts nothing that encoding would
// not write, never throws, and never allocates more than it was given. The values it returns are views of the input.

import { actorIdBytesMax, counterMax, opIdBytesMax } from '../limits.ts';
import { newBytes } from '../storage/byte-pieces.ts';
import type { ActorId, Entry } from './dvv.ts';
import { compareIds, type Sibling, type SiblingSet } from './sibling.ts';
import { ByteReader, ByteWriter, varintBytes } from './strict-bytes.ts';

export interface RecordBytes {
  readonly version: Uint8Array;
  readonly value: Uint8Array;
}

/** A record that is not what we write. It is never "absent": that would issue old dots again (riak_kv #679). */
export interface Corrupt {
  readonly corrupt: string;
}

export function isCorrupt(decoded: object | undefined): decoded is Corrupt {
  return decoded !== undefined && 'corrupt' in decoded;
}

export const recordFormat = 1;
export const isTombstone = 1;
export const hasExpiry = 2;
const hasOpId = 4;
const stampBytes = 6;

const writer = new ByteWriter();

export function encodeSet(set: SiblingSet): RecordBytes {
  const entries = inOrder(set);
  return { version: encodeVersion(entries), value: encodeValues(entries) };
}

type Entries = readonly (readonly [ActorId, Entry<Sibling>])[];

function inOrder(set: SiblingSet): Entries {
  const entries = [...set];
  return entries.length < 2 ? entries : entries.sort((a, b) => compareIds(a[0], b[0]));
}

function encodeVersion(entries: Entries): Uint8Array {
  writer.byte(recordFormat);
  writer.varint(entries.length);
  for (const [actor, { counter, dots }] of entries) {
    writer.ascii(actor);
    writer.varint(counter);
    writer.varint(dots.length);
    let above = counter + 1;
    for (const dot of dots) {
      writer.varint(above - dot - 1);
      above = dot;
    }
  }
  return writer.done();
}

/** Sized first and written once: values may be a megabyte, and this runs for every put. */
function encodeValues(entries: Entries): Uint8Array {
  let bytes = 1;
  for (const [, entry] of entries) for (const sibling of entry.values) bytes += siblingBytes(sibling);
  const made = newBytes(bytes);
  made[0] = recordFormat;
  let at = 1;
  for (const [, entry] of entries) {
    for (const sibling of entry.values) {
      writeHead(sibling);
      const head = writer.done();
      made.set(head, at);
      made.set(sibling.value, at + head.length);
      at += head.length + sibling.value.length;
    }
  }
  return made;
}

function writeHead({ value, tombstone, stamp, expiresAt, opId }: Sibling): void {
  writer.byte((tombstone ? isTombstone : 0) | (expiresAt !== 0 ? hasExpiry : 0) | (opId !== undefined ? hasOpId : 0));
  writer.fixed(stamp.ms, stampBytes);
  writer.varint(stamp.tick);
  if (expiresAt !== 0) writer.fixed(expiresAt, stampBytes);
  if (opId !== undefined) writer.ascii(opId);
  writer.varint(value.length);
}

/** Bytes a sibling takes in a record; what the bound on a record's size is counted in. */
export function siblingBytes({ value, stamp, expiresAt, opId }: Sibling): number {
  const optional = (expiresAt !== 0 ? stampBytes : 0) + (opId !== undefined ? 1 + opId.length : 0);
  return 1 + stampBytes + varintBytes(stamp.tick) + optional + varintBytes(value.length) + value.length;
}

// ---- reading ----

export function decodeSet(record: RecordBytes): SiblingSet | Corrupt {
  const clock = new ByteReader(record.version);
  const siblings = new ByteReader(record.value);
  if (siblings.byte('the format of the value') !== recordFormat) siblings.fail('the value has an unknown format');
  const set = new Map<ActorId, Entry<Sibling>>();
  readClock(clock, (actor, counter, dots) => {
    set.set(actor, { counter, dots, values: dots.map(() => readSibling(siblings)) });
  });
  siblings.finish();
  if (!clock.ok) return { corrupt: `version: ${clock.why}` };
  if (!siblings.ok) return { corrupt: `value: ${siblings.why}` };
  return set;
}

/**
 * The value of a record that has only one, as nearly all have, without a set around it: for readers who will not write. Undefined:
 * there are several, or something is wrong with it; decodeSet knows what.
 */
export function decodeSole({ version, value }: RecordBytes): Sibling | undefined {
  if (version[0] !== recordFormat || version[1] !== 1) return undefined;
  let at = 3 + (version[2] as number);
  while ((version[at++] as number) >= 128);
  if (version[at] !== 1 || at + 1 >= version.length) return undefined;
  const siblings = new ByteReader(value);
  if (siblings.byte('the format of the value') !== recordFormat) return undefined;
  const sole = readSibling(siblings);
  siblings.finish();
  return siblings.ok ? sole : undefined;
}

function readClock(reader: ByteReader, onEntry: (actor: ActorId, counter: number, dots: number[]) => void): void {
  if (reader.byte('the format of the version') !== recordFormat) reader.fail('the version has an unknown format');
  const actors = reader.count('the number of actors', 4);
  let before = '';
  for (let i = 0; i < actors && reader.ok; i++) {
    const actor = reader.ascii('an actor id', actorIdBytesMax);
    if (reader.ok && before !== '' && compareIds(before, actor) >= 0) reader.fail('actor ids are out of order');
    const counter = reader.varint('a counter');
    if (reader.ok && (counter < 1 || counter > counterMax)) reader.fail(`a counter is ${counter}`);
    const dots = readDots(reader, counter);
    if (reader.ok) onEntry(actor, counter, dots);
    before = actor;
  }
  reader.finish();
}

function readDots(reader: ByteReader, counter: number): number[] {
  const dots: number[] = [];
  const count = reader.count('the number of dots');
  let above = counter + 1;
  for (let i = 0; i < count && reader.ok; i++) {
    above = above - 1 - reader.varint('a dot');
    if (above < 1) reader.fail('a dot is below 1');
    dots.push(above);
  }
  return dots;
}

function readSibling(reader: ByteReader): Sibling {
  const flags = reader.byte('the flags of a sibling');
  if (flags > (isTombstone | hasExpiry | hasOpId)) reader.fail(`the flags of a sibling are ${flags}`);
  const ms = reader.fixed('a stamp', stampBytes);
  const tick = reader.varint('the tick of a stamp');
  const expiresAt = flags & hasExpiry ? reader.fixed('an expiry', stampBytes) : 0;
  if (flags & hasExpiry && expiresAt === 0) reader.fail('an expiry is 0');
  const opId = flags & hasOpId ? reader.ascii('an operation id', opIdBytesMax) : undefined;
  const value = reader.raw('a value', reader.varint('the length of a value'));
  const tombstone = (flags & isTombstone) !== 0;
  if (tombstone && (value.length > 0 || expiresAt !== 0)) reader.fail('a tombstone has a value');
  const sibling = { value, tombstone, stamp: { ms, tick }, expiresAt };
  return opId === undefined ? sibling : { ...sibling, opId };
}
