// What a coordinator and a vnode say to each other. Tuples of bytes and numbers: one such message a request crosses
// threads and machines, and the values in it were encoded once, by the caller.
//
// Trouble that is expected travels as data, in `refused`: thrown, it would be taken for a failure of the vnode and
// restart it. So an answer is what was asked for, or a Refusal.

import { fromWireError, type TroupeError, toWireError, type WireError } from '../errors.ts';
import type { StoreRules } from './vnode.ts';

export interface Refusal {
  readonly refused: WireError;
}

export type Answer<T> = T | Refusal;
/** A vnode answers at once when nothing it would show is still on its way to the disk. */
export type Soon<T> = Answer<T> | Promise<Answer<T>>;

/** A record as it is stored: clock, siblings. */
export type RecordWire = readonly [version: Uint8Array, value: Uint8Array];

export type PutWire = readonly [
  value: Uint8Array,
  context: Uint8Array | null,
  flags: number,
  ttlMs: number,
  opId: string | null,
  valueBytesMax: number,
];
export type DeleteWire = readonly [context: Uint8Array | null, flags: number, opId: string | null];
export type MergeWire = readonly [version: Uint8Array, value: Uint8Array, flags: number];

/** The writer's new context, how many siblings there are now, and the record to replicate where n > 1. */
export type WriteReply = readonly [context: Uint8Array, siblings: number, record: RecordWire | null];

export type ScanWire = readonly [from: Uint8Array, to: Uint8Array | null, records: number];
export type PageItem = readonly [key: Uint8Array, version: Uint8Array, value: Uint8Array];
/** Live keys in order, and where the next page begins; null: the range is finished. */
export type PageReply = readonly [items: readonly PageItem[], next: Uint8Array | null];

/** A part of a digest: live keys, and four sums; parts are added up. */
export type DigestReply = readonly [keys: number, sums: readonly number[], next: Uint8Array | null];
export type InspectReply = readonly [version: Uint8Array, value: Uint8Array, epoch: number];

/** A vnode as its callers see it: what a ref to one offers. */
export interface VnodeDoor {
  put(store: string, key: Uint8Array, write: PutWire): Promise<Answer<WriteReply>>;
  delete(store: string, key: Uint8Array, write: DeleteWire): Promise<Answer<WriteReply>>;
  merge(store: string, key: Uint8Array, record: MergeWire): Promise<Answer<boolean>>;
  get(store: string, key: Uint8Array): Promise<Answer<RecordWire | null>>;
  inspect(store: string, key: Uint8Array): Promise<Answer<InspectReply | null>>;
  scan(store: string, page: ScanWire): Promise<Answer<PageReply>>;
  digest(store: string, from: Uint8Array | null): Promise<Answer<DigestReply>>;
  count(store: string): Promise<Answer<number>>;
}

// The rules of the store and the yes-or-no options of a request, in one number.

const siblings = 1;
const alone = 2;
const ifNoneMatch = 4;
const flushed = 8;

export interface WriteFlags {
  readonly siblings: boolean;
  readonly alone: boolean;
  readonly ifNoneMatch: boolean;
  readonly flushed: boolean;
}

export function packFlags(rules: Pick<StoreRules, 'siblings' | 'alone'>, flush: boolean, onlyIfAbsent = false): number {
  return (
    (rules.siblings ? siblings : 0) |
    (rules.alone ? alone : 0) |
    (onlyIfAbsent ? ifNoneMatch : 0) |
    (flush ? flushed : 0)
  );
}

export function unpackFlags(flags: number): WriteFlags {
  return {
    siblings: (flags & siblings) !== 0,
    alone: (flags & alone) !== 0,
    ifNoneMatch: (flags & ifNoneMatch) !== 0,
    flushed: (flags & flushed) !== 0,
  };
}

export function refusal(error: TroupeError): Refusal {
  return { refused: toWireError(error) };
}

export function isRefusal(answer: unknown): answer is Refusal {
  return typeof answer === 'object' && answer !== null && 'refused' in answer;
}

/** The answer, or the error it stands for, thrown. */
export function accepted<T>(answer: Answer<T>): T {
  if (isRefusal(answer)) throw fromWireError(answer.refused);
  return answer;
}
