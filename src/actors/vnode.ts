// What a vnode decides: from the record of a key as it is and a request, the record as it shall be, or why not. Nothing is
// read, written or timed here; the shell (vnode-keeper.ts) does that and must write `next` before it says anything.
//
//   put     what the client had seen is superseded, its value is added under a new dot
//   delete  the same with a tombstone; without a context it covers all this vnode holds
//   merge   another replica's record is joined in; no dot is made, so merging twice changes nothing
//
// Intuition: a value disappears in one of two ways only: somebody who had seen it wrote over it, or the store resolves by
// last writer (`siblings: false`) and it lost. Everything else stands beside each other until a client decides.
//
// Invariants: a corrupt record is an error and never "absent", for then its dots would be issued again (riak_kv #679); a
// refusal means nothing changes; clocks are pruned by a coordinated write to a store with one replica only (W10).

import type { TroupeCode } from '../errors.ts';
import { actorsPerKeyMax, recordBytesMax, siblingsMax } from '../limits.ts';
import { type Context, contextAfterWrite, contextOf, contextRefusal, emptyContext } from './context.ts';
import {
  type ActorId,
  type Dot,
  discard,
  dotted,
  emptySet,
  event,
  hasDot,
  keep,
  type Seen,
  sameSet,
  size,
  sync,
} from './dvv.ts';
import { laterStamp, receive, type Stamp } from './hlc.ts';
import { compareIds, isDead, newestFirst, type Sibling, type SiblingSet, stampOf } from './sibling.ts';
import { type Corrupt, isCorrupt, siblingBytes } from './version-codec.ts';

/** What the disk says of a key: nothing was ever written, this, or something we cannot read. */
export type Current = SiblingSet | undefined | Corrupt;

/** The options of a store, as far as a replica needs them. */
export interface StoreRules {
  readonly valueBytesMax: number;
  /** False: one value a key, the last writer's by hybrid clock. */
  readonly siblings: boolean;
  /** True when n is 1: this vnode knows every dot of its keys. */
  readonly alone: boolean;
}

/** Who writes, and when. */
export interface Turn {
  readonly actor: ActorId;
  /** Wall clock. */
  readonly now: number;
  /** The newest stamp this vnode gave or saw. */
  readonly stamp: Stamp;
  readonly rules: StoreRules;
}

export interface PutRequest {
  readonly value: Uint8Array;
  /** Undefined: a blind write. That is not the same as an empty context, which says "I looked, and there was nothing". */
  readonly context?: Context | undefined;
  readonly ifNoneMatch?: boolean | undefined;
  readonly ttlMs?: number | undefined;
  readonly opId?: string | undefined;
  /** The dot this operation was given when it was done before, from the vnode's memo. */
  readonly doneAs?: Dot | undefined;
}

export interface DeleteRequest {
  readonly context?: Context | undefined;
  readonly opId?: string | undefined;
  readonly doneAs?: Dot | undefined;
}

/** Write `next`, then answer with `context`. */
export interface Written {
  readonly type: 'write';
  readonly next: SiblingSet;
  readonly dot: Dot;
  readonly stamp: Stamp;
  readonly context: Context;
  /** Values that stand beside each other now; past siblingsWarn somebody should look. */
  readonly siblings: number;
  /** Concurrent values a last-writer-wins store gave up. */
  readonly lost: number;
}

/** Nothing to write: it was done before, or there is nothing to delete. Answer with `context`, once `current` is durable. */
export interface Unchanged {
  readonly type: 'unchanged';
  readonly why: 'repeated' | 'nothing-to-delete';
  readonly context: Context;
}

export interface Refused {
  readonly type: 'refused';
  readonly code: TroupeCode;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

export function put(current: Current, request: PutRequest, turn: Turn): Written | Unchanged | Refused {
  if (isCorrupt(current)) return refuseCorrupt(current);
  const bytes = request.value.length;
  if (bytes > turn.rules.valueBytesMax) return refuseValue(bytes, turn.rules.valueBytesMax);
  const set = current ?? emptySet<Sibling>();
  const done = doneBefore(set, request);
  if (done !== undefined) return repeated(set, request, done);
  const lie = refuseContext(set, request.context, turn);
  if (lie !== undefined) return lie;
  const onlyIfAbsent = request.ifNoneMatch === true;
  if (onlyIfAbsent && hasLive(set, turn.now)) return refuseExisting(set);

  // A writer without a context has seen nothing a deletion could be concurrent with, and one who asked for absence has
  // found it: both replace tombstones and expired values, which would otherwise stand beside the new value for ever.
  const replacesDead = request.context === undefined || onlyIfAbsent;
  const base = replacesDead ? keep(set, sibling => !isDead(sibling, turn.now)) : set;
  const expiresAt = request.ttlMs === undefined ? 0 : Math.floor(turn.now) + request.ttlMs;
  return write(set, base, { value: request.value, tombstone: false, expiresAt }, request, turn);
}

export function remove(current: Current, request: DeleteRequest, turn: Turn): Written | Unchanged | Refused {
  if (isCorrupt(current)) return refuseCorrupt(current);
  const set = current ?? emptySet<Sibling>();
  const done = doneBefore(set, request);
  if (done !== undefined) return repeated(set, request, done);
  const lie = refuseContext(set, request.context, turn);
  if (lie !== undefined) return lie;
  const context = request.context ?? contextOf(set);
  // What is deleted already needs no second tombstone; but to delete what only other replicas hold, one is needed here.
  const nothingNew = turn.rules.alone || sameSet(discard(set, context.seen), set);
  if (nothingNew && !hasLive(set, turn.now)) {
    return { type: 'unchanged', why: 'nothing-to-delete', context: contextOf(set) };
  }
  const tombstone = { value: new Uint8Array(0), tombstone: true, expiresAt: 0 };
  return write(set, set, tombstone, { ...request, context }, turn);
}

/** Another replica's record, or the outcome of a read, joined in. */
export function merge(
  current: Current,
  incoming: SiblingSet,
  rules: StoreRules,
): { readonly type: 'merged'; readonly next: SiblingSet; readonly changed: boolean; readonly lost: number } | Refused {
  if (isCorrupt(current)) return refuseCorrupt(current);
  const set = current ?? emptySet<Sibling>();
  const joined = sync(set, incoming);
  const next = rules.siblings ? joined : lastWriter(joined);
  const lost = rules.siblings ? 0 : size(joined) - size(next);
  return { type: 'merged', next, changed: !sameSet(set, next), lost };
}

/** A last-writer-wins store keeps the newest of what is concurrent, the same on every replica. */
export function lastWriter(set: SiblingSet): SiblingSet {
  if (size(set) < 2) return set;
  const { dot } = newestFirst(set)[0] as { dot: Dot };
  return keep(set, (_, actor, counter) => actor === dot.actor && counter === dot.counter);
}

// ---- the steps of a write ----

type Content = Pick<Sibling, 'value' | 'tombstone' | 'expiresAt'>;
type Source = Pick<PutRequest, 'context' | 'opId'>;

function write(set: SiblingSet, base: SiblingSet, content: Content, from: Source, turn: Turn): Written | Refused {
  const { actor, rules } = turn;
  const before = from.context ?? emptyContext;
  // Stamped after everything the writer had seen and everything it stands beside: the clock of last-writer-wins then never
  // disagrees with causality, which would make replicas keep different winners.
  const stamp = receive(laterStamp(turn.stamp, stampOf(set)), before.stamp, turn.now);
  const sibling = from.opId === undefined ? { ...content, stamp } : { ...content, stamp, opId: from.opId };
  const left = discard(base, known(before.seen, set, rules));
  const grown = event(rules.alone ? prune(left, actor) : left, actor, sibling);
  const next = rules.siblings ? grown : lastWriter(grown);
  const tooMany = refuseGrowth(set, next);
  if (tooMany !== undefined) return tooMany;
  const dot = { actor, counter: next.get(actor)?.counter as number };
  const lost = from.context === undefined ? 0 : size(grown) - size(next);
  return { type: 'write', next, dot, stamp, context: contextAfterWrite(next, before, dot), siblings: size(next), lost };
}

/**
 * What of a context concerns this replica. Where it is the only one, an actor it does not know was pruned, or lost with a
 * disk: it has no values left that could be superseded, and its name must not come back into the clock.
 */
function known(seen: Seen, set: SiblingSet, rules: StoreRules): Seen {
  if (!rules.alone || [...seen.upTo.keys()].every(actor => set.has(actor))) return seen;
  return { upTo: new Map([...seen.upTo].filter(([actor]) => set.has(actor))), except: seen.except };
}

/** Each restart brings a new actor id; those of long ago that hold no value say nothing any more when n is 1. */
function prune(set: SiblingSet, actor: ActorId): SiblingSet {
  if (set.size < actorsPerKeyMax) return set;
  const silent = [...set].filter(([id, entry]) => id !== actor && entry.dots.length === 0).map(([id]) => id);
  const dropped = silent.sort(compareIds).slice(0, set.size + 1 - actorsPerKeyMax);
  return new Map([...set].filter(([id]) => !dropped.includes(id)));
}

function doneBefore(set: SiblingSet, request: Pick<PutRequest, 'opId' | 'doneAs'>): Dot | undefined {
  if (request.opId === undefined) return undefined;
  if (request.doneAs !== undefined && hasDot(set, request.doneAs)) return request.doneAs;
  for (const { dot, value } of dotted(set)) if (value.opId === request.opId) return dot;
  return undefined;
}

function repeated(set: SiblingSet, { context }: Source, dot: Dot): Unchanged {
  return { type: 'unchanged', why: 'repeated', context: contextAfterWrite(set, context ?? emptyContext, dot) };
}

function hasLive(set: SiblingSet, now: number): boolean {
  for (const { value } of dotted(set)) if (!isDead(value, now)) return true;
  return false;
}

// ---- refusals ----

function refuseCorrupt({ corrupt }: Corrupt): Refused {
  const message = `the record is damaged (${corrupt}); a write over it could bring back or lose what it held`;
  return { type: 'refused', code: 'CORRUPT', message, details: { why: corrupt } };
}

function refuseValue(bytes: number, bytesMax: number): Refused {
  const message = `the value has ${bytes} bytes; the most is ${bytesMax}`;
  return { type: 'refused', code: 'TOO_LARGE', message, details: { bytes, bytesMax } };
}

function refuseContext(set: SiblingSet, context: Context | undefined, turn: Turn): Refused | undefined {
  if (context === undefined) return undefined;
  const { actor, rules, now } = turn;
  const stamp = laterStamp(turn.stamp, stampOf(set));
  const message = contextRefusal(context, { clock: set, actor, alone: rules.alone, stamp, now });
  return message === undefined ? undefined : { type: 'refused', code: 'BAD_CONTEXT', message, details: {} };
}

function refuseExisting(set: SiblingSet): Refused {
  const message = 'the key has a value, and the write asked that it have none';
  return { type: 'refused', code: 'EXISTS', message, details: { siblings: size(set) } };
}

/** The bounds of a record. A write that resolves siblings passes even above them, or a full key could never be mended. */
function refuseGrowth(set: SiblingSet, next: SiblingSet): Refused | undefined {
  const siblings = size(next);
  if (siblings <= 1 || siblings <= size(set)) return undefined;
  const bytes = bytesOf(next);
  if (siblings <= siblingsMax && bytes <= recordBytesMax) return undefined;
  const message =
    siblings > siblingsMax
      ? `the key has ${siblings - 1} siblings, the most is ${siblingsMax}; read it and write with the context you got`
      : `the siblings of the key would take ${bytes} bytes, the most is ${recordBytesMax}; read it and write with the context`;
  const details = { siblings: siblings - 1, siblingsMax, bytes, bytesMax: recordBytesMax };
  return { type: 'refused', code: 'TOO_MANY_SIBLINGS', message, details };
}

function bytesOf(set: SiblingSet): number {
  let bytes = 0;
  for (const { value } of dotted(set)) bytes += siblingBytes(value);
  return bytes;
}
