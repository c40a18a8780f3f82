// One request and the replicas of its key: who is asked, when there are enough answers, what is repaired. It runs on the
// caller's own thread, so a request to one replica is one message there and one back.
//
//     put   caller ──▶ coordinating vnode: makes the dot, stores ──▶ its record to the other replicas ──▶ w of n ──▶ caller
//     get   caller ──▶ all replicas ──▶ r of n, joined ──▶ caller ··· the rest arrives ──▶ stale replicas are sent the join
//
// Intuition: the one who stores a write first also names it, and what travels on is the outcome, never the request: were
// the request forwarded, each replica would name it anew, and one write would become siblings (riak_kv #1046).
//
// Invariants: once a replica may have written, no other is asked to coordinate the same write; what a client is told came
// out of write-quorum.ts or read-quorum.ts.

import { fromWireError, TroupeError, toWireError } from '../errors.ts';
import { askDeadlineMsDefault } from '../limits.ts';
import type { Clock } from '../runtime/world.ts';
import { ReadQuorum } from './read-quorum.ts';
import type { SiblingSet } from './sibling.ts';
import type { Key } from './store-key.ts';
import type { StoreOptions } from './store-options.ts';
import { decodeSet, encodeSet, isCorrupt } from './version-codec.ts';
import {
  type Answer,
  accepted,
  packFlags,
  type RecordWire,
  type VnodeDoor,
  type WriteReply,
} from './vnode-messages.ts';
import { type Verdict, WriteQuorum } from './write-quorum.ts';

/** One place of a key's preference list. */
export interface Replica {
  readonly node: string;
  readonly kind: 'primary' | 'fallback';
  /** The vnode there; undefined: with the default deadline. */
  door(deadlineMs: number | undefined): VnodeDoor;
  /**
   * The record as it is committed, read on this thread without asking the vnode; null when there is none, undefined when the
   * vnode must be asked. Only where all threads see one disk. What a vnode elsewhere has under way is not there yet, and
   * nobody has been told of it. Throws CORRUPT, STOPPED.
   */
  peek?(store: string, key: Uint8Array): RecordWire | null | undefined;
}

/** Where keys live. The runtime and the cluster know; this is all a store needs of them. */
export interface Routing {
  readonly partitions: number;
  partitionOf(key: Key): number;
  /** The replicas of a partition to use now, best first; at most n, of different nodes as far as there are any. */
  replicas(partition: number, n: number): readonly Replica[];
}

/** Where a request goes. */
export interface Target {
  readonly partition: number;
  readonly key: Uint8Array;
  readonly deadlineMs: number | undefined;
}

export interface WriteOutcome {
  readonly context: Uint8Array;
  /** Different nodes that had it when the answer was given. */
  readonly acks: number;
  readonly wanted: number;
  /** The node that stored it first. */
  readonly coordinator: string;
  /** Copies kept by nodes that stand in for others. */
  readonly hinted: number;
}

export interface ReadOutcome {
  readonly set: SiblingSet;
  readonly replies: number;
  /** Replicas that were behind and have been, or are being, sent what they lack. */
  readonly repaired: number;
}

export interface CoordinatorSeams {
  readonly store: string;
  readonly options: StoreOptions;
  readonly routing: Routing;
  readonly clock: Clock;
}

/** Refusals that another replica may not share. All of them are definite: nothing was written. */
const worthAnother: ReadonlySet<string> = new Set(['DISK_FULL', 'OVERLOADED', 'FENCED', 'STOPPED', 'CORRUPT']);

export class Coordinator {
  private readonly store: string;
  private readonly options: StoreOptions;
  private readonly routing: Routing;
  private readonly clock: Clock;

  constructor({ store, options, routing, clock }: CoordinatorSeams) {
    this.store = store;
    this.options = options;
    this.routing = routing;
    this.clock = clock;
  }

  // ---- writing ----

  /** `send` asks the coordinating vnode; the others get the record it answers with. */
  write(
    target: Target,
    w: number,
    flush: boolean,
    send: (door: VnodeDoor) => Promise<Answer<WriteReply>>,
  ): Promise<WriteOutcome> {
    const replicas = this.routing.replicas(target.partition, this.options.n);
    const [only] = replicas;
    if (w === 1 && replicas.length === 1 && only !== undefined)
      return send(only.door(target.deadlineMs)).then(answer => {
        const [context] = accepted(answer);
        return { context, acks: 1, wanted: 1, coordinator: only.node, hinted: 0 };
      });
    return this.writeMany(replicas, target, w, flush, send);
  }

  private async writeMany(
    replicas: readonly Replica[],
    target: Target,
    w: number,
    flush: boolean,
    send: (door: VnodeDoor) => Promise<Answer<WriteReply>>,
  ): Promise<WriteOutcome> {
    const deadlineMs = target.deadlineMs ?? askDeadlineMsDefault;
    const deadline = this.clock.mono() + deadlineMs;
    const quorum = new WriteQuorum({ nodes: nodesOf(replicas), wanted: w, deadline });
    if (hasFailed(quorum)) throw quorum.failure();
    const { slot, reply } = await this.coordinate(quorum, replicas, deadlineMs, send);
    const [context, , record] = reply;
    const wire = mergeWire(record, this.options, flush);
    const others = slots(replicas).filter(other => other > slot);
    await this.decided(quorum, deadline, others, other => {
      quorum.ask(other);
      return this.replicate(replicas[other] as Replica, target.key, wire, deadline).then(
        () => quorum.onAck(other),
        error => quorum.onError(other, asTroupe(error)),
      );
    });
    if (hasFailed(quorum)) throw quorum.failure();
    const coordinator = (replicas[slot] as Replica).node;
    return { context, acks: quorum.acks, wanted: w, coordinator, hinted: 0 };
  }

  /** The first replica that takes the write. Another is tried only after a definite refusal. */
  private async coordinate(
    quorum: WriteQuorum,
    replicas: readonly Replica[],
    deadlineMs: number,
    send: (door: VnodeDoor) => Promise<Answer<WriteReply>>,
  ): Promise<{ slot: number; reply: WriteReply }> {
    for (const [slot, replica] of replicas.entries()) {
      quorum.ask(slot);
      try {
        const reply = accepted(await send(replica.door(deadlineMs)));
        quorum.onAck(slot);
        return { slot, reply };
      } catch (thrown) {
        const error = asTroupe(thrown);
        const verdict = quorum.onError(slot, error);
        if (verdict === 'failed') throw quorum.failure();
        if (error.outcome === 'unknown' || !worthAnother.has(error.code)) throw error;
      }
    }
    throw quorum.failure();
  }

  private async replicate(replica: Replica, key: Uint8Array, wire: MergeWireOf, deadline: number): Promise<void> {
    const leftMs = Math.max(0, deadline - this.clock.mono());
    accepted(await replica.door(leftMs).merge(this.store, key, wire));
  }

  // ---- reading ----

  /** The record of the only replica, when it can be seen from here: null when there is none, undefined when somebody must be asked. */
  peek(target: Target, r: number): RecordWire | null | undefined {
    const replicas = this.routing.replicas(target.partition, this.options.n);
    if (r !== 1 || replicas.length !== 1 || target.deadlineMs === 0) return undefined;
    return (replicas[0] as Replica).peek?.(this.store, target.key);
  }

  async read(target: Target, r: number): Promise<ReadOutcome> {
    const here = this.peek(target, r);
    if (here !== undefined) return { set: setOf(here) ?? new Map(), replies: 1, repaired: 0 };
    const replicas = this.routing.replicas(target.partition, this.options.n);
    const [only] = replicas;
    if (r === 1 && replicas.length === 1 && only !== undefined) {
      const record = accepted(await only.door(target.deadlineMs).get(this.store, target.key));
      return { set: setOf(record) ?? new Map(), replies: 1, repaired: 0 };
    }
    return this.readMany(replicas, target, r);
  }

  private async readMany(replicas: readonly Replica[], target: Target, r: number): Promise<ReadOutcome> {
    const deadlineMs = target.deadlineMs ?? askDeadlineMsDefault;
    const deadline = this.clock.mono() + deadlineMs;
    const quorum = new ReadQuorum({ nodes: nodesOf(replicas), wanted: r, deadline }, this.options.siblings);
    if (hasFailed(quorum)) throw quorum.failure();
    const answers = await this.decided(quorum, deadline, slots(replicas), async slot => {
      try {
        const record = accepted(await (replicas[slot] as Replica).door(deadlineMs).get(this.store, target.key));
        return quorum.onSet(slot, setOf(record));
      } catch (error) {
        return quorum.onError(slot, asTroupe(error));
      }
    });
    if (hasFailed(quorum)) throw quorum.failure();
    const set = quorum.merged();
    const replies = quorum.replies;
    const stale = quorum.stale();
    const mend = (slot: number, record: SiblingSet): Promise<void> =>
      this.replicate(replicas[slot] as Replica, target.key, mergeWire(recordOf(record), this.options, false), deadline);
    switch (this.options.readRepair) {
      case 'none':
        return { set, replies, repaired: 0 };
      case 'blocking':
        await this.mendEnough(quorum, replicas, r, deadline, slot => mend(slot, set));
        return { set, replies, repaired: stale.length };
      case 'background':
        // Slow replicas are heard first: a repair should know all there is, and who needs it.
        void Promise.allSettled(answers).then(() => {
          const all = quorum.merged();
          return Promise.allSettled(quorum.stale().map(slot => mend(slot, all)));
        });
        return { set, replies, repaired: stale.length };
    }
  }

  /** Waits until r replicas hold what the client is about to be shown, and for no more than that (W36). */
  private async mendEnough(
    read: ReadQuorum,
    replicas: readonly Replica[],
    r: number,
    deadline: number,
    mend: (slot: number) => Promise<void>,
  ): Promise<void> {
    const stale = read.stale();
    const answered = slots(replicas).filter(slot => read.hasAnswered(slot));
    const nodes = answered.map(slot => (replicas[slot] as Replica).node);
    const quorum = new WriteQuorum({ nodes, wanted: r, deadline });
    for (const [index, slot] of answered.entries()) if (!stale.includes(slot)) quorum.onAck(index);
    await this.decided(quorum, deadline, stale, slot =>
      mend(slot).then(
        () => quorum.onAck(answered.indexOf(slot)),
        error => quorum.onError(answered.indexOf(slot), asTroupe(error)),
      ),
    );
    if (hasFailed(quorum)) throw quorum.failure();
  }

  // ---- both ----

  /** Asks the given slots, and waits until the quorum has a verdict or its deadline passes. What they answer later, too. */
  private async decided(
    quorum: { readonly verdict: Verdict; tick(now: number): Verdict },
    deadline: number,
    asked: readonly number[],
    ask: (slot: number) => Promise<Verdict>,
  ): Promise<Promise<Verdict>[]> {
    const answers = asked.map(ask);
    if (quorum.verdict !== 'pending') return answers;
    await new Promise<void>(resolve => {
      const settle = (): void => {
        if (quorum.verdict === 'pending') return;
        cancel();
        resolve();
      };
      const cancel = this.clock.timer(Math.max(0, deadline - this.clock.mono()), () => {
        quorum.tick(this.clock.mono());
        settle();
      });
      for (const answer of answers) void answer.then(settle);
    });
    return answers;
  }
}

/** Asked anew each time: verdicts change while we wait. */
const hasFailed = (quorum: { readonly verdict: Verdict }): boolean => quorum.verdict === 'failed';

type MergeWireOf = Parameters<VnodeDoor['merge']>[2];

const slots = (replicas: readonly Replica[]): number[] => [...replicas.keys()];
const nodesOf = (replicas: readonly Replica[]): string[] => replicas.map(replica => replica.node);

function mergeWire(record: RecordWire | null, options: StoreOptions, flush: boolean): MergeWireOf {
  if (record === null) throw new TypeError('a write to several replicas was answered without its record');
  return [record[0], record[1], packFlags({ siblings: options.siblings, alone: options.n === 1 }, flush)];
}

function recordOf(set: SiblingSet): RecordWire {
  const { version, value } = encodeSet(set);
  return [version, value];
}

export function setOf(record: RecordWire | null): SiblingSet | undefined {
  if (record === null) return undefined;
  const set = decodeSet({ version: record[0], value: record[1] });
  if (isCorrupt(set)) throw new TroupeError('CORRUPT', `the record is damaged: ${set.corrupt}`);
  return set;
}

function asTroupe(thrown: unknown): TroupeError {
  return thrown instanceof TroupeError ? thrown : fromWireError(toWireError(thrown));
}
