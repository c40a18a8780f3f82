// Which actors of a partition, or of a slot (slot-group.ts), are awake on this thread. A thread may have a million, and a key's hash takes
// a third of a microsecond: so before anything is held they are gone through in slices, and from then on each that wakes is looked at.
//
//     track ─▶ slices of handoffSliceKeys, the event loop turns in between ─▶ known: of() is a list ─▶ untrack
//
// Invariant: what of() says is complete, tracked or not; tracked it costs no walk.

import { handoffSliceKeys } from '../../limits.ts';
import type { Activation } from '../activation.ts';
import type { FarRouter } from '../far-router.ts';
import { dead } from '../flags.ts';
import type { Host } from '../host.ts';
import type { HostedType } from '../hosted-type.ts';
import { inGroup, mayHave } from '../rebalance/slot-group.ts';

interface Tracked {
  readonly acts: Set<Activation>;
  /** All that were awake when it began have been looked at. */
  isWhole: boolean;
}

export class Awake {
  readonly #host: Host;
  readonly #router: FarRouter;
  readonly #tracked = new Map<number, Tracked>();

  constructor(router: FarRouter) {
    this.#router = router;
    this.#host = router.host;
  }

  async track(partition: number): Promise<void> {
    if (this.#tracked.has(partition)) return;
    const tracked: Tracked = { acts: new Set(), isWhole: !mayHave(this.#router, partition) };
    this.#tracked.set(partition, tracked);
    if (tracked.isWhole) return;
    let left = handoffSliceKeys;
    for (const hosted of this.#host.types) {
      if (!mayBeIn(hosted)) continue;
      for (const [key, act] of hosted.live) {
        if (inGroup(this.#router, partition, hosted, key)) tracked.acts.add(act);
        if (--left > 0) continue;
        left = handoffSliceKeys;
        await new Promise<void>(turned => this.#host.world.clock.soon(turned));
      }
    }
    tracked.isWhole = true;
  }

  untrack(partition: number): void {
    this.#tracked.delete(partition);
  }

  /** One has woken, or has come from another thread. */
  woke(act: Activation): void {
    if (this.#tracked.size === 0 || !mayBeIn(act.hosted)) return;
    for (const [group, { acts }] of this.#tracked) if (inGroup(this.#router, group, act.hosted, act.key)) acts.add(act);
  }

  of(partition: number): Activation[] {
    const tracked = this.#tracked.get(partition);
    const isHere = (act: Activation): boolean => (act.flags & dead) === 0 && act.hosted.live.get(act.key) === act;
    if (tracked?.isWhole === true) {
      for (const act of tracked.acts) if (!isHere(act)) tracked.acts.delete(act);
      return [...tracked.acts];
    }
    const acts: Activation[] = [];
    for (const hosted of this.#host.types)
      if (mayBeIn(hosted))
        for (const [key, act] of hosted.live) if (inGroup(this.#router, partition, hosted, key)) acts.push(act);
    return acts;
  }
}

function mayBeIn({ spec }: HostedType): boolean {
  return spec.placement === 'ring' || spec.placement === 'local';
}
