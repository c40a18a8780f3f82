// Watches across threads: whoever wants to hear of the end of an actor elsewhere asks the thread it is on, and is told by it.

import type { FarRouter } from './far-router.ts';
import type { Unit } from './relocation-messages.ts';

export class FarWatches {
  private readonly router: FarRouter;

  constructor(router: FarRouter) {
    this.router = router;
    router.on('watch', (_from, { id, thread, isLate }) => this.watched(id, thread, isLate === true));
    router.on('departed', (_from, { id, reason }) => {
      if (router.gateway === null) router.host.watches.fire(id, reason);
      else router.gateway.watches.departed(id, reason);
    });
  }

  /** Another thread watches an actor that is, or was, here. */
  private watched(id: Unit, thread: number, isLate: boolean): void {
    const { host, gateway } = this.router;
    const { hosted, key } = host.split(id);
    if (hosted === undefined) return;
    const owner = this.router.ownerOf(hosted, key);
    if (owner >= this.router.threads) gateway?.watches.watch(id, thread, isLate);
    else if (owner !== host.thread) this.router.control(owner, 'watch', { id, thread, isLate });
    else if (thread !== host.thread) host.watches.report(id, thread, isLate);
  }
}
