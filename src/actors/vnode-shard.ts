// A vnode's share of one store: its shard, under which actor it makes dots there, and which of its writes are under way.
//
// Intuition: the engine shows a write on this thread before it is durable. That is right for whoever computes the next
// write, and wrong for whoever answers a client: a value that was seen must not be gone after a crash. So a write that is
// under way is remembered with its key, and what would show that key waits for it.
//
// Invariants: an actor id is used only together with, or after, the storing of its epoch; underWay(key) settles after
// every write of the key that was handed in before has settled, and rejects when the newest of them was refused.

import { TroupeError } from '../errors.ts';
import { actorsOwnMax } from '../limits.ts';
import type { Ack, Shard, StoredRecord, WriteOp } from '../storage/engine.ts';
import { type KeyName, nameOf } from '../storage/key.ts';
import { actorIdOf, freshEpoch } from './actor-id.ts';
import type { ActorId, DvvSet } from './dvv.ts';
import { isBy, type PlainWriter, plainWriter } from './plain-put.ts';
import { ownKey } from './store-key.ts';
import { ByteReader, ByteWriter } from './strict-bytes.ts';
import { type Corrupt, decodeSet, isCorrupt } from './version-codec.ts';
import type { Current } from './vnode.ts';

export interface ShardPlace {
  readonly node: string;
  readonly partition: number;
  /** The fencing epoch of the vnode, for each group. */
  fence(): number;
  /** Wall clock. */
  now(): number;
}

/** Where a partition of a store lies in the engine. */
export const shardNameOf = (store: string, partition: number): string => `kv/${store}/${partition}`;

const format = 1;
const nothing = new Uint8Array(0);

interface Writer extends PlainWriter {
  readonly epoch: number;
  stored: boolean;
}

export class VnodeShard {
  /** The store, as contexts name it. */
  readonly store: number;
  readonly shard: Shard;
  private readonly place: ShardPlace;
  private readonly writes = new Map<KeyName, Promise<void>>();
  private writer: Writer | undefined;
  private lastEpoch: number | undefined;
  /** Of this activation, the newest first. */
  private writers: readonly PlainWriter[] = [];

  constructor(store: number, shard: Shard, place: ShardPlace) {
    this.store = store;
    this.shard = shard;
    this.place = place;
  }

  /** What the disk says of a key, pending writes included. */
  record(key: Uint8Array): StoredRecord | Corrupt | undefined {
    try {
      return this.shard.get(key);
    } catch (error) {
      if (error instanceof TroupeError && error.code === 'CORRUPT') return { corrupt: error.message };
      throw error;
    }
  }

  current(key: Uint8Array): Current {
    return currentOf(this.record(key));
  }

  /**
   * Who writes a key that has this record. One of ours that is named there goes on: its counter is there too, and the clock does not
   * grow with each actor that is opened. A key without a record is written by the newest: only he is certain never to have written
   * it. Throws CORRUPT when the record of the last epoch cannot be read: without it none is safe to take.
   */
  actorFor(clock: DvvSet<unknown> | undefined): ActorId {
    const newest = this.openWriter();
    if (clock === undefined) return newest.actor;
    return (this.writers.find(({ actor }) => clock.has(actor)) ?? newest).actor;
  }

  /** The same for a record that names only one actor, as it is stored; undefined: it names another's, or several. */
  writerFor(version: Uint8Array | undefined): PlainWriter | undefined {
    const newest = this.openWriter();
    if (version === undefined) return newest;
    return this.writers.find(writer => isBy(version, writer));
  }

  /** From now on another actor writes what has no record: what the old one wrote to some key has left the disk without a trace. */
  retireActor(): void {
    this.writer = undefined;
  }

  /** The same, because a merge will do that to many keys. The new one's epoch, which nothing that is stored now can name. */
  floor(): number {
    this.retireActor();
    return this.openWriter().epoch;
  }

  /** Hands in one operation, fenced by the vnode's epoch. Rejects as Shard.commit() does. */
  commit(op: WriteOp, ack: Ack): Promise<void> {
    const writer = op.type === 'put' ? this.openWriter() : undefined;
    const ops = writer === undefined || writer.stored ? [op] : [ownRecord(writer.epoch), op];
    return this.remember(
      nameOf(op.key),
      this.shard.commit({ epoch: this.place.fence(), fence: 'shard', ops }, ack),
      writer,
    );
  }

  /** Settles when what a reader sees of the key now has become durable, or was refused. Undefined: it is durable. */
  underWay(key: Uint8Array): Promise<void> | undefined {
    return this.writes.size === 0 ? undefined : this.writes.get(nameOf(key));
  }

  /** The same for the whole shard. */
  allUnderWay(): Promise<unknown> | undefined {
    return this.writes.size === 0 ? undefined : Promise.all(this.writes.values());
  }

  /** Keys with a record, live or dead. */
  count(): number {
    return this.shard.count() - (this.hasOwnRecord() ? 1 : 0);
  }

  /** Under way until `done` has settled, and all that was handed in before it. What is handed back settles with `done`. */
  private remember(name: KeyName, done: Promise<void>, writer: Writer | undefined): Promise<void> {
    const before = this.writes.get(name);
    const forget = (settled: Promise<void>): void => {
      if (this.writes.get(name) === settled) this.writes.delete(name);
    };
    const own = done.then(
      () => {
        if (writer !== undefined) writer.stored = true;
        forget(own);
      },
      (why: unknown) => {
        forget(own);
        throw why;
      },
    );
    if (before === undefined) {
      this.writes.set(name, own);
      return own;
    }
    const both = Promise.allSettled([before, own]).then(() => own);
    this.writes.set(name, both);
    const settled = (): void => forget(both);
    both.then(settled, settled);
    return own;
  }

  private openWriter(): Writer {
    if (this.writer !== undefined) return this.writer;
    const stored = this.storedEpoch();
    const last = Math.max(stored ?? 0, this.lastEpoch ?? 0);
    const epoch = freshEpoch(last === 0 ? undefined : last, this.place.now());
    this.lastEpoch = epoch;
    const actor = actorIdOf(this.place.node, this.place.partition, epoch);
    this.writer = { ...plainWriter(actor), epoch, stored: false };
    this.writers = [this.writer, ...this.writers].slice(0, actorsOwnMax);
    return this.writer;
  }

  private storedEpoch(): number | undefined {
    const record = this.shard.get(ownKey);
    if (record === undefined) return undefined;
    const reader = new ByteReader(record.value);
    if (reader.byte('the format') !== format) reader.fail('the format is unknown');
    const epoch = reader.varint('the epoch');
    reader.finish();
    if (reader.ok) return epoch;
    throw new TroupeError('CORRUPT', `the vnode's own record in ${this.shard.name} is damaged: ${reader.why}`);
  }

  private hasOwnRecord(): boolean {
    try {
      return this.shard.get(ownKey) !== undefined;
    } catch {
      return true;
    }
  }
}

/** The siblings in a record. */
export function currentOf(record: StoredRecord | Corrupt | undefined): Current {
  return record === undefined || isCorrupt(record) ? record : decodeSet(record);
}

const bytes = new ByteWriter();

function ownRecord(epoch: number): WriteOp {
  bytes.byte(format);
  bytes.varint(epoch);
  return { type: 'put', key: ownKey, version: nothing, value: bytes.done() };
}
