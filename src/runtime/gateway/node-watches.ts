// Watches across nodes: the word of an end comes to the thread that speaks for the node, from whichever side, and goes on from there.

import type { FarRouter } from '../far-router.ts';
import type { Gateway } from './gateway.ts';
import { textIn } from './words.ts';

export class NodeWatches {
  readonly #router: FarRouter;
  /** By actor: peers that want to hear of its end, which is told to this thread first. */
  readonly #watchers = new Map<string, Set<number>>();

  constructor(router: FarRouter, gateway: Gateway) {
    this.#router = router;
    gateway.on('watch', (from, asked) => this.watch(textIn(asked?.id), from));
    gateway.on('departed', (_from, gone) => this.departed(textIn(gone?.id), gone.reason));
  }

  watch(id: string, by: number): void {
    const { host } = this.#router;
    const hosted = host.byName.get(id.slice(0, id.indexOf('/')));
    if (hosted === undefined) return;
    const owner = this.#router.ownerOf(hosted, id.slice(id.indexOf('/') + 1));
    if (owner === host.thread) {
      host.watches.report(id, by);
      return;
    }
    const watchers = this.#watchers.get(id) ?? new Set();
    this.#watchers.set(id, watchers);
    watchers.add(by);
    if (this.#router.peers[owner]?.gone === true) this.departed(id, 'thread-lost');
    else this.#router.control(owner, 'watch', { id, thread: host.thread });
  }

  departed(id: string, reason: unknown): void {
    const why = reason === 'stopped' || reason === 'failed' || reason === 'shutdown' ? reason : 'thread-lost';
    this.#router.host.watches.fire(id, why);
    const watchers = this.#watchers.get(id);
    this.#watchers.delete(id);
    for (const peer of watchers ?? []) this.#router.control(peer, 'departed', { id, reason: why });
  }

  /** A session has ended: whatever lived behind it is gone as far as anybody here can tell. */
  lost(lost: number): void {
    const { host } = this.#router;
    const wasThere = (id: string): boolean => {
      const hosted = host.byName.get(id.slice(0, id.indexOf('/')));
      return hosted !== undefined && this.#router.where(hosted, id.slice(id.indexOf('/') + 1)) === lost;
    };
    for (const watchers of this.#watchers.values()) watchers.delete(lost);
    for (const id of [...this.#watchers.keys()]) if (wasThere(id)) this.departed(id, 'thread-lost');
    host.watches.threadLost(wasThere, lost);
  }
}
