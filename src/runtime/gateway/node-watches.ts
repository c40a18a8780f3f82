// Watches across nodes: the word of an end comes to the thread that speaks for the node, from whichever side, and goes on from there.

import { watchLinkMs, watchLookMs } from '../../limits.ts';
import type { FarRouter } from '../far-router.ts';
import { ringPartitionOf } from '../handoff/ring-partition.ts';
import type { Gateway } from './gateway.ts';
import { textIn } from './words.ts';

export class NodeWatches {
  readonly #router: FarRouter;
  readonly #gateway: Gateway;
  /** By actor: peers that want to hear of its end, which is told to this thread first. */
  readonly #watchers = new Map<string, Set<number>>();
  /** Partitions of which nobody who owned them before passes on to this node what their owner of now sees. */
  readonly #unseen = new Set<number>();

  constructor(router: FarRouter, gateway: Gateway) {
    this.#router = router;
    this.#gateway = gateway;
    gateway.on('watch', (from, asked) => this.watch(textIn(asked?.id), from, asked?.isLate === true));
    gateway.on('departed', (_from, gone) => this.departed(textIn(gone?.id), gone.reason));
  }

  /** `isLate`: asked for before it was known to live here; if it does no more its end has been missed. */
  watch(id: string, by: number, isLate = false): void {
    const { host } = this.#router;
    const { hosted, key } = host.split(id);
    if (hosted === undefined) return;
    const owner = this.#router.ownerOf(hosted, key);
    // Its home asks: it is a guest of ours.
    if (owner === host.thread || this.#gateway.isHome(by, hosted, key)) {
      host.watches.report(id, by, isLate);
      return;
    }
    const watchers = this.#watchers.get(id) ?? new Set();
    this.#watchers.set(id, watchers);
    watchers.add(by);
    this.#askFor(id, owner, isLate);
  }

  #askFor(id: string, owner: number, isLate = false): void {
    this.#router.control(owner, 'watch', { id, thread: this.#router.host.thread, isLate });
  }

  /** There is no session with its node: not yet, or not any more, and then what lives there is gone as far as anybody here can tell. */
  unlinked(id: string): void {
    const { host } = this.#router;
    const until = host.now() + watchLinkMs;
    const look = (): void => {
      const { hosted, key } = host.split(id);
      if (hosted === undefined || !(this.#watchers.has(id) || host.watches.isWatched(id))) return;
      const owner = this.#router.ownerOf(hosted, key);
      if (owner < this.#router.threads || this.#router.peers[owner]?.gone === false)
        this.#askFor(id, owner, this.#unseen.has(ringPartitionOf(host, id) ?? -1));
      else if (host.now() >= until) this.departed(id, 'thread-lost');
      else this.#gateway.timers.later(watchLookMs, look);
    };
    this.#gateway.timers.later(1, look);
  }

  /** An actor of this node's lives on another one from now on, or here again: that is where its end is seen. */
  moved(unit: string, to: string): void {
    const { node, watches } = this.#router.host;
    const watchers = new Set([...(this.#watchers.get(unit) ?? []), ...watches.takeReports(unit)]);
    this.#watchers.delete(unit);
    if (to === node) for (const peer of watchers) watches.report(unit, peer);
    else {
      if (watchers.size > 0) this.#watchers.set(unit, watchers);
      if (watchers.size > 0 || watches.isWatched(unit)) this.#askFor(unit, this.#gateway.numberOfName(to));
    }
  }

  /** It has changed hands. `isSeen`: whoever had it is linked, and passes on what he is told of its actors; or this node gave it itself. */
  handed(partition: number, isSeen: boolean): void {
    if (isSeen) this.#unseen.delete(partition);
    else this.#unseen.add(partition);
  }

  /** Actors of a partition of whose end somebody wants to hear by this thread. */
  unitsOf(partition: number): string[] {
    const { host } = this.#router;
    const all = new Set([...this.#watchers.keys(), ...host.watches.reported()]);
    return [...all].filter(id => ringPartitionOf(host, id) === partition);
  }

  departed(id: string, reason: unknown): void {
    const why = reason === 'stopped' || reason === 'failed' || reason === 'shutdown' ? reason : 'thread-lost';
    this.#router.host.watches.fire(id, why);
    const watchers = this.#watchers.get(id);
    this.#watchers.delete(id);
    for (const peer of watchers ?? []) this.#router.control(peer, 'departed', { id, reason: why });
  }

  /** A thread of this node has come up, which nobody could ask. */
  joined(thread: number): void {
    for (const id of this.#watchers.keys()) if (this.#router.deaths.livedOn(id, thread)) this.#askFor(id, thread);
  }

  /** A session has ended: whatever lived behind it is gone as far as anybody here can tell. */
  lost(lost: number): void {
    const { host, deaths } = this.#router;
    const wasThere = (id: string): boolean => deaths.livedOn(id, lost);
    for (const [id, watchers] of [...this.#watchers]) {
      watchers.delete(lost);
      if (watchers.size === 0) this.#watchers.delete(id);
      else if (wasThere(id)) this.departed(id, 'thread-lost');
    }
    host.watches.threadLost(wasThere, lost);
  }
}
