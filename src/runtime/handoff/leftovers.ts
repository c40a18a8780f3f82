// What a partition leaves behind on the node that has given it away: cleared, also when that node crashes in between.
//
//     mark, durable ─▶ commit ─▶ clear ─▶ the mark goes last            a start finds a mark: ours still ─▶ unmark    not ours ─▶ clear
//
// The mark is a record of h/<partition> under a key that no actor has; it does not travel. Where there is none, nothing is ever cleared:
// a node that has taken a partition in and has not heard yet that it is his looks just the same. So it is put only when the ring on
// the disk says that the partition is ours (handing.ts): by an older one, which names whoever had it before, what is ours would go.

import { leftoversAgainMs } from '../../limits.ts';
import type { Shard, WriteOp } from '../../storage/engine.ts';
import type { FarRouter } from '../far-router.ts';
import type { Gateway } from '../gateway/gateway.ts';
import type { Crew } from './crew.ts';
import { leftKey } from './ring-partition.ts';

const nothing = new Uint8Array(0);

export class Leftovers {
  readonly #router: FarRouter;
  readonly #gateway: Gateway;
  readonly #crew: Crew;
  /** How much of each is still to be done. */
  readonly #clearing = new Map<number, number>();

  constructor(router: FarRouter, gateway: Gateway, crew: Crew) {
    this.#router = router;
    this.#gateway = gateway;
    this.#crew = crew;
  }

  isClearing(partition: number): boolean {
    return this.#clearing.has(partition);
  }

  async mark(partition: number): Promise<void> {
    await this.#change(partition, { type: 'put', key: leftKey, version: nothing, value: nothing });
  }

  async unmark(partition: number): Promise<void> {
    if (this.#shard(partition).get(leftKey) !== undefined)
      await this.#change(partition, { type: 'delete', key: leftKey });
  }

  #shard(partition: number): Shard {
    return this.#router.host.engine.shard(`h/${partition}`);
  }

  #change(partition: number, op: WriteOp): Promise<void> {
    const { epochs } = this.#router.host;
    epochs.renew();
    return this.#shard(partition).commit({ epoch: epochs.next(), fence: 'record', ops: [op] }, 'flushed');
  }

  /** It is another node's. Resolves when it has been tried: what cannot be removed now is told, and removed later. */
  clear(partition: number): Promise<void> {
    return this.clearing(partition, async () => {
      const what = { partition, keep: [], what: 'all' };
      await Promise.all(this.#crew.keepers.map(thread => this.#crew.ask(thread, 'part-clear', what)));
    });
  }

  /**
   * Meanwhile no guest of that partition is taken in, nor the partition itself: what came would go. Where it fails, as on a disk that was
   * full for a moment, it is tried again: nothing that is in its way comes until then.
   */
  async clearing(partition: number, work: () => Promise<void>): Promise<void> {
    this.#clearing.set(partition, (this.#clearing.get(partition) ?? 0) + 1);
    await this.#try(partition, work);
  }

  async #try(partition: number, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const why = 'what a partition has left behind could not be removed; it is tried again';
      this.#router.host.world.log.warn({ err: error, partition }, why);
      this.#gateway.timers.later(leftoversAgainMs, () => void this.#try(partition, work));
      return;
    }
    const left = (this.#clearing.get(partition) as number) - 1;
    if (left > 0) this.#clearing.set(partition, left);
    else this.#clearing.delete(partition);
  }

  /** After a start, with the ring that was stored. */
  resume(): void {
    const { homes, nodes } = this.#gateway;
    // Read before the ring was known: of a partition that was given away, or is only about to come.
    for (const partition of homes.partitions())
      if (nodes.ownerOf(partition) !== this.#router.host.node) homes.leave(partition);
    for (const name of this.#router.host.engine.shards()) {
      const partition = name.startsWith('h/') ? Number(name.slice(2)) : -1;
      if (partition < 0) continue;
      if (this.#shard(partition).get(leftKey) === undefined) continue;
      if (this.#gateway.nodes.ownerOf(partition) === this.#router.host.node)
        void this.unmark(partition).catch(() => undefined);
      else void this.clear(partition);
    }
  }
}
