// A shard as its users see it: pending writes over committed records, checked on the way out.
//
//     get ──> pending write? ──> committed bytes ──> checksum ──> record | nothing | CORRUPT
//
// Both engines use it; what differs between them is the Medium below: where committed bytes are found.
//
// Invariant: bytes handed out are never shared with what is stored or pending, so a caller may do with them as it likes.

import { TroupeError } from '../errors.ts';
import type { Crc32 } from './crc32.ts';
import type { Ack, ScanRange, Shard, StoredRecord, WriteGroup, WriteOp } from './engine.ts';
import type { GroupCommit } from './group-commit.ts';
import { checkKey, type KeyName, nameOf } from './key.ts';
import { type PendingWrite, PendingWrites } from './pending-writes.ts';
import { type DecodedRecord, decodeChecked, decodeRecord, encodeRecord, shardSeed, versionBytesMax } from './record.ts';
import { corrupt } from './refusals.ts';

/** A committed record, still encoded. The bytes belong to whoever receives them. */
export interface Found {
  readonly key: Uint8Array;
  readonly bytes: Uint8Array;
}

/** Where the committed records of an engine are. `At` is what it needs to know about one shard. */
export interface Medium<At> {
  readonly crc: Crc32;
  readonly commits: GroupCommit<ShardHandle<At>>;
  find(shard: ShardHandle<At>, key: Uint8Array): Uint8Array | undefined;
  /** What find() has just returned comes from memory that was checked when it was filled. */
  readonly isChecked?: boolean;
  /** In key order, as of the call. */
  walk(shard: ShardHandle<At>, from: Uint8Array | undefined, to: Uint8Array | undefined): Iterable<Found>;
  countCommitted(shard: ShardHandle<At>): number;
  noteCorrupt(): void;
}

export class ShardHandle<At> implements Shard {
  readonly name: string;
  /** The shard's part of each checksum. */
  readonly seed: number;
  readonly writes: PendingWrites = new PendingWrites();
  readonly at: At;
  readonly #medium: Medium<At>;

  constructor(name: string, medium: Medium<At>, at: At) {
    this.name = name;
    this.seed = shardSeed(medium.crc, name);
    this.at = at;
    this.#medium = medium;
  }

  get(key: Uint8Array): StoredRecord | undefined {
    this.#medium.commits.check();
    // Most shards have nothing pending most of the time; a key's name is a tenth of the price of a read.
    const pending = this.writes.size > 0 ? this.writes.get(nameOf(key)) : undefined;
    if (pending) return pending.record && this.open(key, pending.record.slice());
    const bytes = this.#medium.find(this, key);
    if (bytes === undefined) return undefined;
    return this.#medium.isChecked === true ? this.#take(key, decodeChecked(key, bytes)) : this.open(key, bytes);
  }

  pending(key: Uint8Array): boolean {
    return this.writes.size > 0 && this.writes.get(nameOf(key)) !== undefined;
  }

  scan(range: ScanRange = {}): Iterable<StoredRecord> {
    this.#medium.commits.check();
    const { from, to, limit = Number.POSITIVE_INFINITY, onCorrupt } = range;
    // Both sides are taken now; the generator itself starts only when the first record is asked for.
    const pending = this.writes.within(from && nameOf(from), to && nameOf(to));
    return this.#records(overlay(pending, this.#medium.walk(this, from, to)), limit, onCorrupt);
  }

  commit(group: WriteGroup, ack: Ack): Promise<void> {
    try {
      checkEpoch(group.epoch);
      const { epoch, fence, ops } = group;
      const writes: PendingWrite[] = [];
      let bytes = 0;
      let puts = false;
      for (let index = 0; index < ops.length; index++) {
        const write = this.#write(epoch, ops[index] as WriteOp);
        const { key, record } = write;
        bytes += key.length + (record === undefined ? 0 : record.length);
        puts ||= record !== undefined;
        writes.push(write);
      }
      return this.#medium.commits.submit({ owner: this, epoch, fence, writes, ack, bytes, puts });
    } catch (refusal) {
      return Promise.reject(refusal);
    }
  }

  count(): number {
    this.#medium.commits.check();
    let count = this.#medium.countCommitted(this);
    for (const { key, record } of this.writes.within(undefined, undefined)) {
      if (this.#medium.find(this, key)) count--;
      if (record) count++;
    }
    return count;
  }

  /** The record in committed bytes, which must be the caller's own. Throws CORRUPT. */
  open(key: Uint8Array, bytes: Uint8Array): StoredRecord {
    return this.#take(key, decodeRecord(this.#medium.crc, this.seed, key, bytes));
  }

  #take(key: Uint8Array, decoded: DecodedRecord): StoredRecord {
    if (decoded.type === 'corrupt') throw this.corrupt(key, decoded.reason);
    return decoded.record;
  }

  /** The error for a damaged record, counted. */
  corrupt(key: Uint8Array, reason: string): TroupeError {
    this.#medium.noteCorrupt();
    return corrupt(this.name, key, reason);
  }

  *#records(
    found: Iterable<Found>,
    limit: number,
    onCorrupt: ScanRange['onCorrupt'],
  ): Generator<StoredRecord, void, undefined> {
    if (limit <= 0) return;
    let count = 0;
    for (const { key, bytes } of found) {
      const decoded = decodeRecord(this.#medium.crc, this.seed, key, bytes);
      if (decoded.type === 'corrupt' && onCorrupt !== undefined) {
        onCorrupt(this.corrupt(key, decoded.reason));
        continue;
      }
      yield this.#take(key, decoded);
      if (++count >= limit) return;
    }
  }

  /** Copies whatever the caller may change after the call. */
  #write(epoch: number, op: WriteOp): PendingWrite {
    checkKey(op.key);
    const key = new Uint8Array(op.key);
    if (op.type === 'delete') return { name: nameOf(key), key, record: undefined };
    checkVersion(op.version);
    const record = encodeRecord(this.#medium.crc, this.seed, key, epoch, op.version, op.value, op.rest);
    return { name: nameOf(key), key, record };
  }
}

/** Two ordered streams as one: where both have a key, the pending write hides the committed record. */
function* overlay(pending: readonly PendingWrite[], committed: Iterable<Found>): Generator<Found, void, undefined> {
  let at = 0;
  for (const found of committed) {
    // The name of a committed key is only needed while something pending may come before it.
    const name: KeyName | undefined = at < pending.length ? nameOf(found.key) : undefined;
    while (name !== undefined && at < pending.length && (pending[at] as PendingWrite).name < name) {
      yield* live(pending[at++] as PendingWrite);
    }
    if (name !== undefined && pending[at]?.name === name) yield* live(pending[at++] as PendingWrite);
    else yield found;
  }
  while (at < pending.length) yield* live(pending[at++] as PendingWrite);
}

function* live({ key, record }: PendingWrite): Generator<Found, void, undefined> {
  if (record) yield { key, bytes: record.slice() };
}

function checkEpoch(epoch: number): void {
  if (Number.isSafeInteger(epoch) && epoch >= 0) return;
  throw new TroupeError('BAD_OPTION', `An epoch is a whole number from 0 to 2^53 - 1, not ${epoch}.`);
}

function checkVersion(version: Uint8Array): void {
  if (version.length <= versionBytesMax) return;
  throw new TroupeError('TOO_LARGE', `A version has ${version.length} bytes; ${versionBytesMax} are allowed.`, {
    details: { bytes: version.length, bytesMax: versionBytesMax },
  });
}
