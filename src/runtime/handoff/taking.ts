// Partitions that another node is about to hand to this one: what comes is stored and installed, and does nothing until it is ours.
//
//     begin: what an earlier try has left goes ─▶ records, pages of them ─▶ actors, installed ─▶ ready: durable
//        ready ──'handed'──▶ ours (handoffs.ts)        ready ──'off'──▶ discarded          not ready ──cancel, or another begin──▶ discarded
//
// Only the owner is listened to. Once it is ready the word may come from anybody who knows: the old owner, or a node that has heard of
// it. A word may be lost, or come before what it is about, so this node asks from time to time. What is stored stays until the owner says
// that it does not come: after a crash it may be ours. Where others keep it, too, another one may be agreed to meanwhile: then it does not.

import { TroupeError } from '../../errors.ts';
import { handoffAskMs, handoffStepMs, transfersInMax } from '../../limits.ts';
import type { FarRouter } from '../far-router.ts';
import type { Gateway } from '../gateway/gateway.ts';
import { numberIn, textIn } from '../gateway/words.ts';
import { inTime } from '../in-time.ts';
import type { Unit } from '../relocation-messages.ts';
import type { Crew } from './crew.ts';
import type { Packed } from './hands.ts';
import type { Span } from './hands-records.ts';
import type { Leftovers } from './leftovers.ts';
import { ringPartitionOf } from './ring-partition.ts';

interface Taking {
  readonly id: string;
  readonly from: string;
  readonly keep: readonly Unit[];
  /** Its records are here, as a copy for the owner, and stay: only actors come. */
  readonly isCopied: boolean;
  /** Of threads of this node, when it began. */
  readonly deaths: number;
  ready: boolean;
  watched: readonly Unit[];
}

export class Takings {
  readonly #router: FarRouter;
  readonly #gateway: Gateway;
  readonly #crew: Crew;
  readonly #leftovers: Leftovers;
  readonly #raiseEpochs: (above: number) => Promise<void>;
  readonly #takings = new Map<number, Taking>();
  /** What an earlier try has left is just going, on a disk that may be slow: nothing may come meanwhile. */
  readonly #cleaning = new Set<number>();
  /** Of tries that were broken off, what came of stores is still here. */
  readonly #broken = new Set<number>();

  constructor(
    router: FarRouter,
    gateway: Gateway,
    parts: { crew: Crew; leftovers: Leftovers; raiseEpochs: (above: number) => Promise<void> },
  ) {
    this.#router = router;
    this.#gateway = gateway;
    this.#crew = parts.crew;
    this.#leftovers = parts.leftovers;
    this.#raiseEpochs = parts.raiseEpochs;
    gateway.on('handoff-begin', (from, asked) => this.#begin(from, asked));
    gateway.on('handoff-records', (from, asked) => this.#records(this.#known(from, asked), asked));
    gateway.on('handoff-same', (from, asked) => this.#same(this.#known(from, asked), asked));
    gateway.on('handoff-drop', (from, asked) => this.#drop(this.#known(from, asked), asked));
    gateway.on('handoff-settle', (from, asked) => this.#known(from, asked) && this.#settle());
    gateway.on('handoff-actors', (from, asked) => this.#actors(this.#known(from, asked), asked));
    gateway.on('handoff-ready', (from, asked) => this.#ready(this.#known(from, asked), asked));
    gateway.on('handoff-cancel', (from, told) => this.#cancel(from, told));
  }

  get any(): boolean {
    return this.#takings.size !== 0;
  }

  has(partition: number): boolean {
    return this.#takings.has(partition);
  }

  /** It is ours: what was waiting for that is no try any more. Actors whose end is to be told to the old owner. */
  taken(partition: number): readonly Unit[] {
    const taking = this.#takings.get(partition);
    this.#takings.delete(partition);
    this.#broken.delete(partition);
    return taking?.watched ?? [];
  }

  /**
   * Another node owns it by now. Where others keep it, too, it may have been taken over from the one who was giving it to us, who is not back to say
   * that it is off: what he has packed would run instead of what was written since, should it become ours later.
   */
  passed(partition: number, to: string): void {
    const taking = this.#takings.get(partition);
    if (taking?.isCopied === true && taking.from !== to) void this.#discard(partition, taking);
  }

  /** Throws BAD_MESSAGE when it is not the owner who speaks. */
  #owner(from: number, asked: { partition?: unknown } | null | undefined): string {
    const partition = numberIn(asked?.partition);
    const name = this.#gateway.nameOf(from);
    if (name !== undefined && this.#gateway.nodes.ownerOf(partition) === name) return name;
    throw new TroupeError('BAD_MESSAGE', `node ${name} is not the owner of partition ${partition}`);
  }

  #known(from: number, asked: { partition?: unknown; id?: unknown } | null | undefined): Taking {
    const name = this.#owner(from, asked);
    const taking = this.#takings.get(numberIn(asked?.partition));
    if (taking !== undefined && taking.from === name && taking.id === asked?.id) return taking;
    const why = `node ${this.#router.host.node} is not taking partition ${asked?.partition} in; begin again`;
    throw new TroupeError('STOPPED', why);
  }

  /** Answers with the shards of stores that lie here of an earlier try. */
  async #begin(
    from: number,
    asked: { partition: number; id: unknown; keep: unknown; isCopied: unknown },
  ): Promise<string[]> {
    await this.#router.shifts?.rest();
    const name = this.#owner(from, asked);
    const { partition } = asked;
    const { host } = this.#router;
    const keep = Array.isArray(asked.keep) ? asked.keep.map(textIn) : [];
    if (this.#leftovers.isClearing(partition) || this.#cleaning.has(partition))
      throw new TroupeError(
        'OVERLOADED',
        `node ${host.node} is still clearing away what partition ${partition} has left`,
      );
    const before = this.#takings.get(partition);
    if (before === undefined && this.#takings.size >= transfersInMax)
      throw new TroupeError('OVERLOADED', `node ${host.node} takes in ${transfersInMax} partitions already`, {
        details: { takes: transfersInMax },
      });
    const isCopied = asked.isCopied === true;
    const deaths = this.#router.deaths.count;
    const taking: Taking = { id: textIn(asked.id), from: name, keep, isCopied, deaths, ready: false, watched: [] };
    this.#takings.set(partition, taking);
    this.#askLater(partition, taking);
    this.#cleaning.add(partition);
    // Or it would run when the partition is ours, in the place of what has come with it.
    this.#gateway.guests.callOff(unit => ringPartitionOf(host, unit) === partition && !keep.includes(unit));
    try {
      if (before !== undefined) await this.#crew.all('part-discard', partition);
      const left = isCopied ? [] : await this.#crew.all<string[]>('part-clean', { partition, keep });
      this.#isStill(partition, taking);
      await this.#crew.all('part-track', partition);
      return [...new Set(left.flat())];
    } finally {
      this.#cleaning.delete(partition);
    }
  }

  #same(
    _taking: Taking,
    { partition, span, digest }: { partition: number; span: Span; digest: unknown },
  ): Promise<boolean> {
    if (!(digest instanceof Uint8Array)) throw new TroupeError('BAD_MESSAGE', 'a digest is bytes');
    return this.#crew.ask(this.#crew.keeperOfShard(span?.shard, partition), 'part-same', { span, digest });
  }

  async #drop(_taking: Taking, { partition, shard }: { partition: number; shard: unknown }): Promise<void> {
    await this.#crew.ask(this.#crew.keeperOfShard(shard, partition), 'part-drop', shard);
  }

  async #records(
    _taking: Taking,
    { partition, parts, span }: { partition: number; parts: unknown; span?: Span },
  ): Promise<void> {
    await this.#crew.store(partition, parts, { span });
  }

  /** Resolves when all that has come is on the disk. Asked for once before it is to be ready, too, so that there is little to wait for then. */
  async #settle(): Promise<void> {
    await this.#crew.all('part-settle', null);
  }

  async #actors(taking: Taking, asked: Packed & { partition: number; epoch: unknown }): Promise<void> {
    const { partition } = asked;
    await this.#raiseEpochs(numberIn(asked.epoch));
    const byThread = new Map<number, { actors: unknown[]; sleepers: unknown[]; topics: unknown[] }>();
    for (const kind of ['actors', 'sleepers', 'topics'] as const)
      for (const each of asked[kind] ?? []) {
        const thread = this.#crew.threadFor(textIn(each?.[0]));
        const own = byThread.get(thread) ?? { actors: [], sleepers: [], topics: [] };
        byThread.set(thread, own);
        own[kind].push(each);
      }
    this.#isStill(partition, taking);
    const installs = [...byThread].map(([thread, packed]) =>
      this.#crew.ask(thread, 'part-install', { partition, ...packed }),
    );
    await Promise.all(installs);
  }

  #isStill(partition: number, taking: Taking): void {
    if (this.#takings.get(partition) !== taking)
      throw new TroupeError('STOPPED', `the handoff of partition ${partition} was called off`);
    if (taking.deaths === this.#router.deaths.count) return;
    // What it had stored may be in no log that is synced, and what was installed there is gone: its old owner has all of it still.
    throw new TroupeError('OVERLOADED', `a thread died while partition ${partition} came; it is copied anew`);
  }

  async #ready(
    taking: Taking,
    { partition, epoch, watched }: { partition: number; epoch: unknown; watched: unknown },
  ): Promise<void> {
    // What wakes here later, from its records, must be above what it was over there.
    await this.#raiseEpochs(numberIn(epoch));
    await this.#settle();
    if (taking.isCopied) await this.#gateway.replicas?.giving.promise(partition);
    this.#isStill(partition, taking);
    taking.watched = Array.isArray(watched) ? watched.map(textIn) : [];
    taking.ready = true;
  }

  /** The word that it is ours may be lost with its link, and so may the one that it is not; or the partition has gone to another node. */
  #askLater(partition: number, taking: Taking): void {
    const { clock } = this.#router.host.world;
    const again = (): void => this.#askLater(partition, taking);
    this.#gateway.timers.later(handoffAskMs, () => {
      if (this.#takings.get(partition) !== taking) return;
      const number = this.#gateway.linked(taking.from);
      if (number === undefined) return again();
      const asked = this.#gateway.asked(number, 'handoff-where', { partition, id: taking.id });
      inTime(clock, handoffStepMs, asked, () => new Error('no answer')).then(answer => {
        if (answer === 'off' && this.#takings.get(partition) === taking) void this.#discard(partition, taking);
        else again();
      }, again);
    });
  }

  #cancel(from: number, told: { partition?: unknown; id?: unknown } | null | undefined): void {
    const partition = numberIn(told?.partition);
    const taking = this.#takings.get(partition);
    if (taking === undefined || taking.id !== told?.id || taking.from !== this.#gateway.nameOf(from)) return;
    void this.#discard(partition, taking);
  }

  async #discard(partition: number, taking: Taking): Promise<void> {
    this.#takings.delete(partition);
    if (taking.isCopied) {
      for (const word of ['part-discard', 'part-untrack', 'part-keep']) await this.#crew.surely(word, partition);
      return;
    }
    // What has come of its stores stays for the next try, as long as the ring wishes for one.
    this.#broken.add(partition);
    await this.#leftovers.clearing(partition, async () => {
      await this.#crew.surely('part-discard', partition);
      await this.#crew.surely('part-untrack', partition);
      await this.#clear(partition, { keep: taking.keep, what: 'actors' });
    });
  }

  /** What is left of tries that nobody wants to go on with. `wished`: partitions that shall come here. */
  sweep(wished: ReadonlySet<number>): void {
    for (const partition of this.#broken) {
      if (wished.has(partition) || this.#takings.has(partition)) continue;
      this.#broken.delete(partition);
      // Not what belongs to actors: by now a guest may have come, and that went when the try was broken off.
      void this.#leftovers.clearing(partition, () => this.#clear(partition, { keep: [], what: 'stores' }));
    }
  }

  async #clear(partition: number, what: object): Promise<void> {
    // It may have become ours in the meantime.
    if (this.#gateway.nodes.ownerOf(partition) === this.#router.host.node) return;
    const clears = this.#crew.keepers.map(thread => this.#crew.ask(thread, 'part-clear', { partition, ...what }));
    await Promise.all(clears);
  }

  /** A session has ended: a try that was not ready is over. */
  lost(name: string): void {
    for (const [partition, taking] of this.#takings)
      if (taking.from === name && !taking.ready) void this.#discard(partition, taking);
  }

  describe(): object[] {
    return [...this.#takings].map(([partition, { from, ready }]) => ({ partition, from, ready }));
  }
}
