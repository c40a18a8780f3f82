// A store as its users hold it: put, get, delete, scan, inspect, digest. Docs: API.md section 3.
//
// Intuition: this is the border between what a user passes and bytes. Every option is checked here, once, before anything
// is sent; keys and values are encoded here, once; what comes back is decoded here. Everything behind speaks bytes.
//
// Invariant: a request that is refused here, or with an error whose outcome is 'failed', has changed nothing.

import { TroupeError } from '../errors.ts';
import { opIdBytesMax, ttlMsMax } from '../limits.ts';
import { show } from '../runtime/show.ts';
import type { Clock } from '../runtime/world.ts';
import { contextOf, encodeContext, fromToken, isBadContext, placeOf, storeNumber, toToken } from './context.ts';
import { Coordinator, type Routing, setOf, type Target } from './coordinator.ts';
import { dotted, join } from './dvv.ts';
import { withContext } from './lazy-context.ts';
import { compareIds, isDead, type SiblingSet, viewOf } from './sibling.ts';
import { decodeKey, encodeKey, type Key } from './store-key.ts';
import { badOption, quorumOf, rulesOf, type StoreOptions } from './store-options.ts';
import { type ScanOptions, scanStore } from './store-scan.ts';
import { decodeValue, encodeValue, type ValueCodec, valueTagBytes } from './store-value.ts';
import { decodeSet, decodeSole, isCorrupt } from './version-codec.ts';
import type { StoreRules } from './vnode.ts';
import { accepted, type DigestReply, packFlags, type RecordWire, type VnodeDoor } from './vnode-messages.ts';
import type { WriteAdmission } from './write-admission.ts';

export type { Key } from './store-key.ts';
export type { StoreOptions, StoreOptionsInput } from './store-options.ts';
export type { ScanOptions } from './store-scan.ts';

export interface RequestOptions {
  /** Time for the whole request; default 5,000 ms. */
  readonly deadlineMs?: number | undefined;
}

export interface WriteOptions extends RequestOptions {
  /** What the writer has seen: the context of a get, or of an earlier write. */
  readonly context?: string | Uint8Array | undefined;
  /** Different nodes that must have it; default the store's w. */
  readonly w?: number | undefined;
  /** 'committed' (default) survives the process, 'flushed' the loss of power. */
  readonly ack?: 'committed' | 'flushed' | undefined;
  /** Names the request: sent again with the same id it is done once. Printable ASCII, at most 64. */
  readonly opId?: string | undefined;
}

export interface PutOptions extends WriteOptions {
  /** Write only if the key has no value; refused with EXISTS otherwise. */
  readonly ifNoneMatch?: boolean | undefined;
  /** After so many ms the value reads as deleted, on every replica at the same moment. */
  readonly ttlMs?: number | undefined;
}

export interface GetOptions extends RequestOptions {
  readonly r?: number | undefined;
}

export interface WriteResult {
  /** What the writer has seen now: his own write, and what his context covered. */
  readonly context: string;
  readonly acks: number;
  readonly wanted: number;
  readonly coordinator: string;
  readonly hinted: number;
}

export interface GetResult {
  readonly found: boolean;
  /** The newest value, undefined when there is none. */
  readonly value: unknown;
  /** All concurrent values, the newest first. */
  readonly values: unknown[];
  /** Hand it to the next put or delete of this key. */
  readonly context: string;
  /** True when a deletion stands beside the values, or instead of them; also for what has expired. */
  readonly tombstone: boolean;
  readonly repaired: number;
  readonly replies: number;
}

export interface ScanItem {
  readonly key: Key;
  readonly values: unknown[];
  readonly context: string;
}

/** What one replica holds, as it is. */
export interface ReplicaView {
  readonly node: string;
  readonly kind: 'primary' | 'fallback';
  /** Writes it has seen, by actor. */
  readonly clock: Record<string, number>;
  readonly values: unknown[];
  readonly siblings: readonly SiblingView[];
}

export interface SiblingView {
  readonly dot: string;
  readonly value: unknown;
  readonly tombstone: boolean;
  /** 0: never. */
  readonly expiresAt: number;
  readonly stamp: { readonly ms: number; readonly tick: number };
}

export interface Inspection {
  readonly partition: number;
  readonly preference: readonly ReplicaView[];
}

export interface PartitionDigest {
  readonly partition: number;
  readonly node: string;
  /** Live keys. */
  readonly keys: number;
  /** Equal on two replicas exactly when they hold the same writes. */
  readonly root: string;
}

export interface StoreSeams {
  readonly name: string;
  readonly options: StoreOptions;
  readonly routing: Routing;
  readonly clock: Clock;
  readonly codec: ValueCodec;
  /** Of all stores on this thread. */
  readonly admission: WriteAdmission;
}

const noOptions = Object.freeze({});

export class Store {
  readonly name: string;
  readonly options: StoreOptions;
  private readonly seams: StoreSeams;
  private readonly coordinator: Coordinator;
  private readonly rules: StoreRules;
  private readonly number: number;

  constructor(seams: StoreSeams) {
    this.name = seams.name;
    this.options = seams.options;
    this.seams = seams;
    this.coordinator = new Coordinator({ ...seams, store: seams.name });
    this.rules = rulesOf(seams.options);
    this.number = storeNumber(seams.name);
  }

  put(key: Key, value: unknown, options: PutOptions = noOptions): Promise<WriteResult> {
    // Not async: of each promise on the way of a put one sees the price.
    try {
      checkNames(options, putNames);
      this.admit(options);
      const target = this.target(key, options);
      const { valueBytesMax } = this.options;
      const body = encodeValue(this.seams.codec, value, valueBytesMax);
      const { w, flush, context, opId } = this.writing(options);
      const ttlMs = options.ttlMs === undefined ? 0 : wholeMs('ttlMs', options.ttlMs, ttlMsMax);
      const flags = packFlags(this.rules, flush, truth('ifNoneMatch', options.ifNoneMatch));
      return this.write(body.length, target, w, flush, door =>
        door.put(this.name, target.key, [body, context, flags, ttlMs, opId, valueBytesMax + valueTagBytes]),
      );
    } catch (refusal) {
      return Promise.reject(refusal);
    }
  }

  async delete(key: Key, options: WriteOptions = noOptions): Promise<WriteResult> {
    checkNames(options, writeNames);
    this.admit(options);
    const target = this.target(key, options);
    const { w, flush, context, opId } = this.writing(options);
    const covers = context ?? (await this.seen(target));
    const flags = packFlags(this.rules, flush);
    return this.write(0, target, w, flush, door => door.delete(this.name, target.key, [covers, flags, opId]));
  }

  async get(key: Key, options: GetOptions = noOptions): Promise<GetResult> {
    checkNames(options, getNames);
    const target = this.target(key, options);
    const r = quorumOf('r', options.r, this.options.r, this.options.n);
    const here = this.coordinator.peek(target, r);
    const sole = here ? decodeSole({ version: here[0], value: here[1] }) : undefined;
    if (sole !== undefined) {
      const live = !isDead(sole, this.seams.clock.now());
      const values = live ? [decodeValue(this.seams.codec, sole.value, true)] : [];
      return this.result(target.key, () => setOf(here as RecordWire) as SiblingSet, values, !live, 0, 1);
    }
    const { set, replies, repaired } = await this.coordinator.read(target, r);
    const { values, tombstone } = this.show(set);
    return this.result(target.key, () => set, values, tombstone, repaired, replies);
  }

  private result(
    key: Uint8Array,
    set: () => SiblingSet,
    values: unknown[],
    tombstone: boolean,
    repaired: number,
    replies: number,
  ): GetResult {
    const answer = { found: values.length > 0, value: values[0], values, tombstone, repaired, replies };
    return withContext(answer, () => this.token(key, set()));
  }

  /** Live keys in the order of their bytes, strings before bytes. A key that exists throughout is met exactly once. */
  async *scan(options: ScanOptions = noOptions): AsyncGenerator<ScanItem, void, undefined> {
    checkNames(options, scanNames);
    for await (const { key, set } of scanStore(this.name, this.seams.routing, options, this.seams.clock)) {
      const { values } = this.show(set);
      if (values.length > 0) yield { key: decodeKey(key), values, context: this.token(key, set) };
    }
  }

  /** What each replica holds of a key; repairs nothing. */
  async inspect(key: Key): Promise<Inspection> {
    const { partition, key: encoded } = this.target(key, noOptions);
    const replicas = this.seams.routing.replicas(partition, this.options.n);
    const preference = replicas.map(async (replica): Promise<ReplicaView> => {
      const { node, kind } = replica;
      const held = accepted(await replica.door(undefined).inspect(this.name, encoded));
      const set = held === null ? new Map() : wholeSet(held[0], held[1]);
      return { node, kind, ...this.uncover(set) };
    });
    return { partition, preference: await Promise.all(preference) };
  }

  /** One row a partition and replica: how many keys, and a sum over all records that is equal when they are. */
  async digest(): Promise<PartitionDigest[]> {
    const { routing } = this.seams;
    const rows: Promise<PartitionDigest>[] = [];
    for (let partition = 0; partition < routing.partitions; partition++) {
      for (const replica of routing.replicas(partition, this.options.n)) {
        rows.push(this.digestOne(partition, replica.node, replica.door(undefined)));
      }
    }
    return Promise.all(rows);
  }

  private async digestOne(partition: number, node: string, door: VnodeDoor): Promise<PartitionDigest> {
    let keys = 0;
    const sums = [0, 0, 0, 0];
    let from: Uint8Array | null = null;
    do {
      const part: DigestReply = accepted(await door.digest(this.name, from));
      keys += part[0];
      for (let i = 0; i < sums.length; i++) sums[i] = ((sums[i] as number) + (part[1][i] as number)) >>> 0;
      from = part[2];
    } while (from !== null);
    return { partition, node, keys, root: sums.map(sum => sum.toString(16).padStart(8, '0')).join('') };
  }

  // ---- what a request says ----

  private target(key: Key, options: RequestOptions): Target {
    const { deadlineMs } = options;
    if (deadlineMs !== undefined && !(typeof deadlineMs === 'number' && deadlineMs >= 0)) {
      throw badOption('deadlineMs', `deadlineMs must be 0 or more; got ${show(deadlineMs)}`);
    }
    const encoded = encodeKey(key);
    return { partition: this.seams.routing.partitionOf(key), key: encoded, deadlineMs };
  }

  private writing(options: WriteOptions): {
    w: number;
    flush: boolean;
    context: Uint8Array | null;
    opId: string | null;
  } {
    const { ack, context, opId } = options;
    if (ack !== undefined && ack !== 'committed' && ack !== 'flushed') {
      throw badOption('ack', `ack must be 'committed' or 'flushed'; got ${show(ack)}`);
    }
    if (opId !== undefined && !(typeof opId === 'string' && opId.length <= opIdBytesMax && /^[!-~]+$/.test(opId))) {
      throw badOption('opId', `opId must be 1 to ${opIdBytesMax} printable ASCII characters without spaces`);
    }
    const token = context === undefined ? null : fromToken(context);
    if (token !== null && isBadContext(token)) throw new TroupeError('BAD_CONTEXT', token.badContext);
    const w = quorumOf('w', options.w, this.options.w, this.options.n);
    return { w, flush: ack === 'flushed', context: token, opId: opId ?? null };
  }

  /** Before anything is copied or encoded: what is too much should cost nothing. */
  private admit({ deadlineMs }: RequestOptions): void {
    const refusal = this.seams.admission.refusal(deadlineMs);
    if (refusal !== undefined) throw refusal;
  }

  private write(bytes: number, ...request: Parameters<Coordinator['write']>): Promise<WriteResult> {
    const { admission, clock } = this.seams;
    const begun = clock.mono();
    const outcome = this.coordinator.write(...request);
    admission.begin(bytes, begun);
    return outcome.then(
      written => {
        admission.end(bytes, begun, clock.mono(), true);
        return { ...written, context: toToken(written.context) };
      },
      (error: unknown) => {
        admission.end(bytes, begun, clock.mono(), !isWaste(error));
        throw error;
      },
    );
  }

  /** What a delete without a context covers. The only replica knows best itself; several are asked first. */
  private async seen(target: Target): Promise<Uint8Array | null> {
    if (this.rules.alone) return null;
    const { set } = await this.coordinator.read(target, this.options.r);
    return encodeContext(contextOf(set), placeOf(this.number, target.key));
  }

  // ---- what a user is shown ----

  private show(set: SiblingSet): { values: unknown[]; tombstone: boolean } {
    const { live, tombstone } = viewOf(set, this.seams.clock.now());
    return { values: live.map(sibling => decodeValue(this.seams.codec, sibling.value)), tombstone };
  }

  private token(key: Uint8Array, set: SiblingSet): string {
    return toToken(encodeContext(contextOf(set), placeOf(this.number, key)));
  }

  private uncover(set: SiblingSet): Pick<ReplicaView, 'clock' | 'values' | 'siblings'> {
    const clock = Object.fromEntries([...join(set).upTo].sort(([a], [b]) => compareIds(a, b)));
    const siblings = [...dotted(set)].map(({ dot, value: { value, tombstone, expiresAt, stamp } }) => ({
      dot: `${dot.actor}#${dot.counter}`,
      value: tombstone ? undefined : decodeValue(this.seams.codec, value),
      tombstone,
      expiresAt,
      stamp,
    }));
    return { clock, values: this.show(set).values, siblings };
  }
}

/** Nobody heard of its end, or somebody on the way had too much: neither says how fast writes are served. */
function isWaste(error: unknown): boolean {
  const { code } = error as TroupeError;
  return code === 'OVERLOADED' || code === 'DEADLINE' || code === 'UNKNOWN_OUTCOME';
}

const getNames = new Set(['r', 'deadlineMs']);
const scanNames = new Set(['prefix', 'limit']);
const writeNames = new Set(['context', 'w', 'ack', 'deadlineMs', 'opId']);
const putNames = new Set([...writeNames, 'ifNoneMatch', 'ttlMs']);

/** A misspelt option would otherwise be a wish that silently does not come true. */
function checkNames(options: object, known: ReadonlySet<string>): void {
  if (typeof options !== 'object' || options === null)
    throw badOption('options', `the options of a request are an object; got ${show(options)}`);
  for (const name in options) {
    if (!known.has(name)) throw badOption(name, `no option '${name}' here; there are ${[...known].join(', ')}`);
  }
}

function truth(option: string, value: boolean | undefined): boolean {
  if (value === undefined || typeof value === 'boolean') return value ?? false;
  throw badOption(option, `${option} must be true or false; got ${show(value)}`);
}

function wholeMs(option: string, value: unknown, max: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw badOption(option, `${option} must be a whole number of ms from 1 to ${max}; got ${show(value)}`);
}

function wholeSet(version: Uint8Array, value: Uint8Array): SiblingSet {
  const set = decodeSet({ version, value });
  if (isCorrupt(set)) throw new TroupeError('CORRUPT', `the record is damaged: ${set.corrupt}`);
  return set;
}
