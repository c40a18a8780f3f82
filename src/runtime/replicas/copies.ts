// One thread's part in having its writes agreed on: which keys of the partitions that this node leads it has written, and who waits for
// them to be with the others.
//
//     handed in ─▶ noted ─▶ push: their present state ─▶ thread 0 (leading.ts) ─▶ a quorum has it ┬─▶ the commit resolves
//         │          ▲            one push a partition at a time: what is written meanwhile goes with the next
//         └──▶ durable here ─────────────────────────────────────────────────────────────────────┘
//
// Intuition: it is the present state of a key that is sent, not the write. So two writes of one key may go as one, and what is sent twice
// changes nothing.
//
// Invariants: a commit resolves after a push that began when it could be read here; of two pushes of one thread the later holds the later state;
// what is refused here is told so, and is over, only when the others have what is there instead: they may have been sent the refused one.

import { TroupeError } from '../../errors.ts';
import { nameOf } from '../../storage/key.ts';
import type { FarRouter } from '../far-router.ts';
import type { Change, Part } from '../handoff/hands-records.ts';
import type { Copying, LedEngine } from './led-engine.ts';

const noop = (): void => undefined;

interface Led {
  dirty: Map<string, Change>;
  waiting: { readonly done: () => void; readonly failed: (error: unknown) => void }[];
  isPushing: boolean;
  /** Writes that have been handed in, until it is known what became of them. */
  open: Set<Promise<void>>;
  /** Why it is led no more. */
  over: TroupeError | null | undefined;
}

export class Copies {
  readonly #router: FarRouter;
  readonly #engine: LedEngine;
  readonly #led = new Map<number, Led>();

  constructor(router: FarRouter, engine: LedEngine) {
    this.#router = router;
    this.#engine = engine;
    engine.copying = (partition, shard, keys) => this.#copying(partition, shard, keys);
    engine.keeping = partition => this.#keeping(partition);
    router.on('rep-lead', (_from, partition: number) => this.#lead(partition));
    router.on('rep-settle', (_from, partition: number) => this.#settle(partition));
    router.on('rep-barrier', (_from, partition: number) => this.#barrier(partition));
    router.on('rep-end', (_from, { partition, why }) => this.#end(partition, why));
  }

  /** Resolves when all that was written before can be read: from then on what is written is pushed. */
  async #lead(partition: number): Promise<void> {
    if (!this.#led.has(partition))
      this.#led.set(partition, { dirty: new Map(), waiting: [], isPushing: false, open: new Set(), over: undefined });
    await this.#engine.sync('committed');
  }

  /** Resolves when nothing is under way, for there is nobody who writes any more. */
  async #settle(partition: number): Promise<void> {
    const led = this.#led.get(partition);
    while (led !== undefined && led.open.size > 0) await Promise.allSettled(led.open);
  }

  /** Resolves when all that is under way now has been pushed, or is over. */
  async #barrier(partition: number): Promise<void> {
    await Promise.allSettled([...(this.#led.get(partition)?.open ?? [])]);
  }

  /** Nobody else has to have it from now on; or, with a reason, it is another node's, and nobody knows what it has of ours. */
  #end(partition: number, why: string | null): void {
    const led = this.#led.get(partition);
    if (led === undefined) return;
    this.#led.delete(partition);
    led.over = why === null ? null : new TroupeError('FENCED', why, { outcome: 'unknown', retryable: true });
    for (const { done, failed } of led.waiting.splice(0))
      if (led.over === null) done();
      else failed(led.over);
  }

  #copying(partition: number, shard: string, keys: readonly Uint8Array[]): ReturnType<Copying> {
    const led = this.#led.get(partition);
    if (led === undefined) return undefined;
    const { records } = this.#router.hands;
    const own = keys.filter(key => records.travels(shard, key));
    if (own.length === 0) return undefined;
    return stored => {
      // The others store it while this disk does.
      const copy = (): Promise<void> => this.#copied(led, partition, shard, own);
      const sent = copy();
      sent.catch(noop);
      const counts = stored.then(
        () => sent,
        async error => {
          await sent.then(copy, copy);
          throw error;
        },
      );
      const known: Promise<void> = counts.then(noop, noop).then(() => void led.open.delete(known));
      led.open.add(known);
      return counts;
    };
  }

  async #copied(led: Led, partition: number, shard: string, own: readonly Uint8Array[]): Promise<void> {
    if (led.over === null) return;
    // Written while it was still ours: nobody has been sent it, and nobody will be.
    if (led.over !== undefined) throw led.over;
    for (const key of own) led.dirty.set(`${shard} ${nameOf(key)}`, [shard, key]);
    return this.#pushed(partition, led);
  }

  /** A push that may bring nothing: it counts when all that is here does, written by this life or found by it. */
  #keeping(partition: number): Promise<void> | undefined {
    const led = this.#led.get(partition);
    return led === undefined ? undefined : this.#pushed(partition, led);
  }

  #pushed(partition: number, led: Led): Promise<void> {
    const { promise, resolve: done, reject: failed } = Promise.withResolvers<void>();
    led.waiting.push({ done, failed });
    if (!led.isPushing) {
      led.isPushing = true;
      // What is written in the same go goes along.
      this.#router.host.world.clock.micro(() => void this.#push(partition, led));
    }
    return promise;
  }

  async #push(partition: number, led: Led): Promise<void> {
    const router = this.#router;
    while (led.waiting.length > 0) {
      const { dirty, waiting } = led;
      led.dirty = new Map();
      led.waiting = [];
      try {
        // In one go, and as one: a group of writes must not come to anybody in parts.
        const parts: Part[] = [];
        for (let changes = [...dirty.values()]; changes.length > 0; ) {
          const page = router.hands.records.read(changes);
          parts.push(...page.parts);
          changes = changes.slice(page.read);
        }
        await router.query(0, 'rep-push', { partition, parts });
        for (const { done } of waiting) done();
      } catch (error) {
        for (const { failed } of waiting) failed(error);
      }
    }
    led.isPushing = false;
  }
}
