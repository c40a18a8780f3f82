// The work of a vnode: read a record, let the core (vnode.ts) decide, hand the outcome to the disk, and answer once it is
// there. The actor (vnode-actor.ts) is only the door to it.
//
//     put ──▶ read ──▶ decide ──▶ commit ··· durable ──▶ answer        no await between read and commit: the engine shows
//     get ──▶ read ─────────────────· · · durable ─────▶ answer        each write what was handed in before it
//
// Intuition: requests for one key may overlap while they wait for the disk, and still behave as if one came after the
// other, since each is computed from all before it, and the engine refuses whatever rests on a write that failed.
//
// Invariants: nothing is answered or shown before it is durable; a refusal is data, not an exception (an exception restarts
// the vnode); a record that cannot be read is an error for every request about its key.

import { TroupeError } from '../errors.ts';
import { scanPageRecordsMax, siblingsWarn } from '../limits.ts';
import type { Ack, Engine, StoredRecord, WriteOp } from '../storage/engine.ts';
import {
  type Context,
  decodeContext,
  encodeContext,
  isBadContext,
  type Place,
  placeOf,
  storeNumber,
} from './context.ts';
import { size } from './dvv.ts';
import { beginning, laterStamp, type Stamp } from './hlc.ts';
import { type Operations, OpMemo } from './op-memo.ts';
import { plainContext, plainPut } from './plain-put.ts';
import { type SiblingSet, stampOf } from './sibling.ts';
import { prefixRange } from './store-key.ts';
import { type Corrupt, decodeSet, encodeSet, isCorrupt } from './version-codec.ts';
import { type Current, merge, put, type Refused, remove, type Turn, type Unchanged, type Written } from './vnode.ts';
import { type CommitTimes, VnodeCommits } from './vnode-commits.ts';
import {
  type Answer,
  type DeleteWire,
  type DigestReply,
  type InspectReply,
  type MergeWire,
  type PageReply,
  type PutWire,
  type RecordWire,
  refusal,
  type ScanWire,
  type Soon,
  unpackFlags,
  type WriteFlags,
  type WriteReply,
} from './vnode-messages.ts';
import { digestOf, pageOf } from './vnode-pages.ts';
import { currentOf, type ShardPlace, shardNameOf, VnodeShard } from './vnode-shard.ts';

export interface KeeperPlace extends ShardPlace, CommitTimes {
  readonly engine: Pick<Engine, 'shard'>;
  /** Done lately, before this activation. Left out: none are known. */
  readonly operations?: Operations;
  /** A write was refused because a later activation of this vnode writes already: this one must end. */
  onFenced(): void;
}

export interface KeeperStats {
  puts: number;
  deletes: number;
  merges: number;
  /** Requests that were recognised as done before. */
  repeated: number;
  /** Writes that left a key with more siblings than anybody wants. */
  manySiblings: number;
  /** Concurrent values that last-writer-wins stores gave up. */
  lost: number;
  refused: number;
}

/** A key, and what is there. */
interface Spot {
  readonly store: string;
  readonly key: Uint8Array;
  readonly shard: VnodeShard;
  readonly found: StoredRecord | Corrupt | undefined;
}

interface Write extends Spot {
  readonly place: Place;
  readonly flags: WriteFlags;
  readonly opId: string | undefined;
  readonly turn: Turn;
  readonly context: Context | undefined;
  readonly current: Current;
}

export class VnodeKeeper {
  readonly stats: KeeperStats = { puts: 0, deletes: 0, merges: 0, repeated: 0, manySiblings: 0, lost: 0, refused: 0 };
  private readonly place: KeeperPlace;
  private readonly shards = new Map<string, VnodeShard>();
  private readonly memo: OpMemo;
  private stamp: Stamp = beginning;
  private readonly commits: VnodeCommits;

  constructor(place: KeeperPlace) {
    this.place = place;
    this.memo = new OpMemo(place.operations);
    this.commits = new VnodeCommits(place);
  }

  put(store: string, key: Uint8Array, wire: PutWire): Soon<WriteReply> {
    const [value, context, bits, ttlMs, opId, valueBytesMax] = wire;
    return this.guarded(() => {
      const spot = this.look(store, key);
      const plain = this.plainPut(spot, wire);
      if (plain !== undefined) return plain;
      const write = this.begin(spot, context, bits, opId, valueBytesMax);
      const { flags, turn, current } = write;
      const request = {
        value,
        context: write.context,
        ifNoneMatch: flags.ifNoneMatch,
        ttlMs: ttlMs === 0 ? undefined : ttlMs,
        opId: write.opId,
        doneAs: this.doneAs(write),
      };
      const verdict = put(current, request, turn);
      if (verdict.type === 'write') this.stats.puts++;
      return this.carryOut(write, verdict, () => this.put(store, key, wire));
    });
  }

  /** The short way, for what is nearly every put; undefined: this one is not for it. */
  private plainPut({ key, shard, found }: Spot, wire: PutWire): Promise<Answer<WriteReply>> | undefined {
    const [value, context, bits, ttlMs, opId, valueBytesMax] = wire;
    const { siblings, alone, ifNoneMatch, flushed } = unpackFlags(bits);
    if (!alone || ifNoneMatch || opId !== null || isCorrupt(found)) return undefined;
    const writer = shard.writerFor(found?.version);
    if (writer === undefined) return undefined;
    const place = placeOf(shard.store, key);
    const turn = { writer, place, now: this.place.now(), stamp: this.stamp, rules: { siblings, valueBytesMax } };
    const made = plainPut(found, { value, context, ttlMs }, turn);
    if (made === undefined) return undefined;
    this.stats.puts++;
    this.stamp = made.stamp;
    const op = { type: 'put', key, version: made.version, value: made.head, rest: value } as const;
    return this.commits.commit(
      shard,
      op,
      flushed ? 'flushed' : 'committed',
      [plainContext(made, turn), 1, null],
      this.refused,
    );
  }

  delete(store: string, key: Uint8Array, wire: DeleteWire): Soon<WriteReply> {
    const [context, bits, opId] = wire;
    return this.guarded(() => {
      const write = this.begin(this.look(store, key), context, bits, opId, 0);
      const request = { context: write.context, opId: write.opId, doneAs: this.doneAs(write) };
      const verdict = remove(write.current, request, write.turn);
      if (verdict.type === 'write') this.stats.deletes++;
      const again = (): Soon<WriteReply> => this.delete(store, key, wire);
      const done = this.carryOut(write, verdict, again);
      // A tombstone needs room, and deleting is how people make room.
      if (verdict.type !== 'write' || !write.flags.alone || !(done instanceof Promise)) return done;
      return done.then(answer => (isDiskFull(answer) ? this.erase(store, key, wire, answer) : answer));
    });
  }

  /** Joins in another replica's record. True when it brought something new. */
  merge(store: string, key: Uint8Array, [version, value, bits]: MergeWire): Soon<boolean> {
    return this.guarded(() => {
      const shard = this.shardOf(store);
      const flags = unpackFlags(bits);
      const incoming = decodeSet({ version, value });
      if (isCorrupt(incoming))
        throw new TroupeError('BAD_MESSAGE', `a record to merge is damaged: ${incoming.corrupt}`);
      const merged = merge(shard.current(key), incoming, { ...flags, valueBytesMax: 0 });
      if (merged.type === 'refused') throw errorOf(merged);
      this.stamp = laterStamp(this.stamp, stampOf(incoming));
      if (!merged.changed)
        return (
          shard.underWay(key)?.then(
            () => false,
            () => this.merge(store, key, [version, value, bits]),
          ) ?? false
        );
      this.stats.merges++;
      this.stats.lost += merged.lost;
      return this.commits.commit(shard, putOf(key, merged.next), ackOf(flags), true, this.refused);
    });
  }

  get(store: string, key: Uint8Array): Soon<RecordWire | null> {
    return this.read(store, key, record => (record === undefined ? null : [record.version, record.value]));
  }

  inspect(store: string, key: Uint8Array): Soon<InspectReply | null> {
    return this.read(store, key, record =>
      record === undefined ? null : [record.version, record.value, record.epoch],
    );
  }

  scan(store: string, [from, to, records]: ScanWire): Soon<PageReply> {
    return this.guarded(() => {
      const shard = this.shardOf(store);
      const page = pageOf(shard.shard, from, to, Math.min(records, scanPageRecordsMax), this.place.now());
      return (
        shard.allUnderWay()?.then(
          () => page,
          () => this.scan(store, [from, to, records]),
        ) ?? page
      );
    });
  }

  digest(store: string, from: Uint8Array | null): Soon<DigestReply> {
    return this.guarded(() => {
      const shard = this.shardOf(store);
      const part = digestOf(shard.shard, from ?? prefixRange().from, this.place.now());
      return (
        shard.allUnderWay()?.then(
          () => part,
          () => this.digest(store, from),
        ) ?? part
      );
    });
  }

  count(store: string): Soon<number> {
    return this.guarded(() => this.shardOf(store).count());
  }

  /** See purge.ts. */
  floor(store: string): Soon<number> {
    return this.guarded(() => this.shardOf(store).floor());
  }

  // ---- a write ----

  private look(store: string, key: Uint8Array): Spot {
    this.commits.refuseLate();
    const shard = this.shardOf(store);
    return { store, key, shard, found: shard.record(key) };
  }

  private begin(
    spot: Spot,
    contextBytes: Uint8Array | null,
    bits: number,
    opId: string | null,
    valueBytesMax: number,
  ): Write {
    const flags = unpackFlags(bits);
    const { key, shard } = spot;
    const place = placeOf(shard.store, key);
    const context = contextBytes === null ? undefined : decodeContext(contextBytes, place);
    if (context !== undefined && isBadContext(context)) throw new TroupeError('BAD_CONTEXT', context.badContext);
    const rules = { valueBytesMax, siblings: flags.siblings, alone: flags.alone };
    const current = currentOf(spot.found);
    const actor = shard.actorFor(isCorrupt(current) ? undefined : current);
    const turn = { actor, now: this.place.now(), stamp: this.stamp, rules };
    return { ...spot, place, flags, opId: opId ?? undefined, turn, context, current };
  }

  private carryOut(
    write: Write,
    verdict: Written | Unchanged | Refused,
    again: () => Soon<WriteReply>,
  ): Soon<WriteReply> {
    const { shard, key, place, flags } = write;
    switch (verdict.type) {
      case 'refused':
        throw errorOf(verdict);
      case 'unchanged': {
        if (verdict.why === 'repeated') this.stats.repeated++;
        const current = shard.current(key) as SiblingSet | undefined;
        const reply = replyOf(encodeContext(verdict.context, place), current ?? new Map(), flags);
        const underWay = shard.underWay(key);
        if (underWay !== undefined) return underWay.then(() => reply, again);
        // An earlier life may have written it, and died before anybody else had it.
        const kept = shard.shard.kept?.();
        return kept?.then(() => reply, this.refused) ?? reply;
      }
      case 'write': {
        this.note(write, verdict);
        const reply = replyOf(encodeContext(verdict.context, place), verdict.next, flags);
        const { opId } = write;
        return this.commits.commit(shard, putOf(key, verdict.next), ackOf(flags), reply, why => {
          if (opId !== undefined) this.memo.forget(write.store, key, opId);
          return this.refuse(why);
        });
      }
    }
  }

  private note(write: Write, { dot, stamp, siblings, lost }: Written): void {
    this.stamp = stamp;
    this.stats.lost += lost;
    if (siblings >= siblingsWarn) this.stats.manySiblings++;
    if (write.opId !== undefined) this.memo.remember(write.store, write.key, write.opId, dot);
  }

  /**
   * A delete when the disk has no room for a tombstone. Where this is the only replica the record itself may go: nothing
   * can bring it back. Its dots go with it, so the vnode writes under another actor from here on.
   */
  private erase(store: string, key: Uint8Array, wire: DeleteWire, full: Soon<WriteReply>): Soon<WriteReply> {
    return this.guarded(() => {
      const write = this.begin(this.look(store, key), wire[0], wire[1], null, 0);
      const verdict = remove(write.current, { context: write.context }, write.turn);
      if (verdict.type !== 'write') return this.carryOut(write, verdict, () => this.delete(store, key, wire));
      // Something the client has not seen stands beside what it deletes: that must stay.
      if (size(verdict.next) > 1) return full;
      const erased = write.shard.commit({ type: 'delete', key }, ackOf(write.flags));
      write.shard.retireActor();
      const reply = replyOf(
        encodeContext({ ...verdict.context, seen: nothing.seen }, write.place),
        new Map(),
        write.flags,
      );
      return erased.then(
        () => reply,
        error => this.refuse(error),
      );
    });
  }

  private doneAs({ store, key, opId }: Write): ReturnType<OpMemo['dotOf']> {
    return opId === undefined ? undefined : this.memo.dotOf(store, key, opId);
  }

  // ---- a read ----

  private read<T>(store: string, key: Uint8Array, show: (record: StoredRecord | undefined) => T): Soon<T> {
    return this.guarded((): Soon<T> => {
      const shard = this.shardOf(store);
      const shown = show(shard.shard.get(key));
      return (
        shard.underWay(key)?.then(
          () => shown,
          () => this.read(store, key, show),
        ) ?? shown
      );
    });
  }

  // ---- both ----

  private shardOf(store: string): VnodeShard {
    const known = this.shards.get(store);
    if (known !== undefined) return known;
    const made = new VnodeShard(
      storeNumber(store),
      this.place.engine.shard(shardNameOf(store, this.place.partition)),
      this.place,
    );
    this.shards.set(store, made);
    return made;
  }

  private guarded<T>(work: () => Soon<T>): Soon<T> {
    try {
      return work();
    } catch (error) {
      return this.refuse(error);
    }
  }

  private readonly refused = (error: unknown): ReturnType<typeof refusal> => this.refuse(error);

  private refuse(error: unknown): ReturnType<typeof refusal> {
    if (!(error instanceof TroupeError)) throw error;
    this.stats.refused++;
    if (error.code === 'FENCED') this.place.onFenced();
    return refusal(error);
  }
}

const nothing = { seen: { upTo: new Map(), except: new Map() } };

function ackOf({ flushed }: WriteFlags): Ack {
  return flushed ? 'flushed' : 'committed';
}

function errorOf({ code, message, details }: Refused): TroupeError {
  return new TroupeError(code, message, { details });
}

function isDiskFull(answer: unknown): boolean {
  return (answer as Partial<ReturnType<typeof refusal>>).refused?.[0] === 'DISK_FULL';
}

function replyOf(context: Uint8Array, set: SiblingSet, { alone }: WriteFlags): WriteReply {
  if (alone) return [context, size(set), null];
  const { version, value } = encodeSet(set);
  return [context, size(set), [version, value]];
}

function putOf(key: Uint8Array, set: SiblingSet): WriteOp {
  return { type: 'put', key, ...encodeSet(set) };
}
