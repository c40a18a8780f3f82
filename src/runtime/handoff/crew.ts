// All threads of this node, as thread 0 asks them to do their part in a handoff (hands.ts).

import { TroupeError } from '../../errors.ts';
import type { Ack } from '../../storage/engine.ts';
import { type FarRouter, inDoubt } from '../far-router.ts';
import { textIn } from '../gateway/words.ts';
import { homeOf } from '../placement.ts';
import type { Unit } from '../relocation-messages.ts';
import { type Part, type Span, splitParts } from './hands-records.ts';
import { isShardOf } from './ring-partition.ts';

export class Crew {
  readonly #router: FarRouter;

  constructor(router: FarRouter) {
    this.#router = router;
  }

  get threads(): number[] {
    const { threads, peers } = this.#router;
    return Array.from({ length: threads }, (_, thread) => thread).filter(thread => peers[thread]?.gone !== true);
  }

  /** The answers of all of them. Rejects with the first that fails, or dies. */
  all<T>(word: string, payload: unknown): Promise<T[]> {
    return Promise.all(this.threads.map(thread => this.#router.query(thread, word, payload) as Promise<T>));
  }

  /** What is decided is done, whoever fails at it; the failures are told. */
  async surely(word: string, payload: unknown): Promise<void> {
    await Promise.all(this.each(word, payload));
  }

  /** The same, of each by itself: the thread that asks is the first. */
  each(word: string, payload: unknown): Promise<void>[] {
    return this.threads.map(async thread => {
      try {
        await this.#router.query(thread, word, payload);
      } catch (error) {
        this.#router.host.world.log.warn({ err: error, thread, word }, 'a thread could not do its part in a handoff');
      }
    });
  }

  ask<T>(thread: number, word: string, payload: unknown): Promise<T> {
    return this.#router.query(thread, word, payload) as Promise<T>;
  }

  /** Those that have records of their own: one, where all see the same. */
  get keepers(): number[] {
    return this.#router.host.engine.shared ? [0] : this.threads;
  }

  /** Where the records of a shard are looked after: there they are read and written. `owner`: the actor that one of them belongs to. */
  keeperOf(shard: string, partition: number, owner?: Unit): number {
    const { host } = this.#router;
    const { table } = this.#router.places;
    if (shard.startsWith('h/')) return 0;
    // Where threads do not see each other's, it is found only where the actor will look for it.
    if (owner !== undefined && !host.engine.shared) return this.threadFor(owner);
    if (!shard.startsWith('kv/')) return table[partition] as number;
    const keeper = this.#router.host.types.find(({ spec }) => spec.ownsShards);
    return keeper === undefined ? (table[partition] as number) : this.threadFor(`${keeper.name}/${partition}`);
  }

  /** The same of a shard as another node has called it. Throws BAD_MESSAGE. */
  keeperOfShard(shard: unknown, partition: number): number {
    const name = textIn(shard);
    if (isShardOf(name, partition)) return this.keeperOf(name, partition, undefined);
    throw new TroupeError('BAD_MESSAGE', `${name} is no shard of partition ${partition}`);
  }

  /**
   * What another node has sent, each where it is looked after. Resolves when it is committed, or flushed. Throws BAD_MESSAGE, or what a write
   * may end with.
   */
  async store(partition: number, parts: unknown, how: { span?: Span | undefined; ack?: Ack }): Promise<void> {
    const { span, ack } = how;
    if (!Array.isArray(parts)) throw new TroupeError('BAD_MESSAGE', 'records come in parts');
    if (span !== undefined) {
      await this.ask(this.keeperOfShard(span.shard, partition), 'part-store', { partition, parts, span });
      return;
    }
    const byKeeper = splitParts(parts as Part[], (shard, owner) => this.keeperOf(textIn(shard), partition, owner));
    await Promise.all(
      [...byKeeper].map(([thread, own]) => this.ask(thread, 'part-store', { partition, parts: own, ack })),
    );
  }

  /** The thread that an actor which comes here will live on. */
  threadFor(unit: Unit): number {
    const { host, moves, places, threads, shifts } = this.#router;
    const known = moves.any ? moves.threadOf(unit) : undefined;
    const moved = known === inDoubt ? shifts?.place(unit) : known;
    if (moved !== undefined && moved >= 0) return moved;
    const { hosted, key } = host.split(unit);
    return hosted === undefined ? 0 : homeOf(hosted.spec, key, places.table, 0, threads);
  }
}
