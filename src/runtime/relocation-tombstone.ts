// What is left of a unit on its old host after the switch: a forwarding address that knows when it is no longer needed.
//
//   forwarding --marker of each host, or its death--> parted
//
// Each host sends a marker behind its last message to the old owner; the tombstone sends on the messages, and behind them
// the marker, as `passed`. All of it takes the one link to the new owner, so there the order of each sending host is: what
// came by the old owner, `passed`, what came directly and was held until then. After the last marker nothing can come any
// more (links are FIFO and every host knows the new owner), so the tombstone says `parted` and goes.
//
// Invariant: everything that arrives is sent on, in order of arrival; nothing is sent on after `parted`.

import type { Epoch, HostEffect, HostId, MoveStats, Unit } from './relocation-messages.ts';

export interface TombstoneFacts {
  readonly unit: Unit;
  readonly epoch: Epoch;
  readonly to: HostId;
  readonly hosts: Iterable<HostId>;
  readonly stats: Omit<MoveStats, 'held'>;
}

export type TombstoneInput<P> =
  | { readonly type: 'arrive'; readonly from: HostId; readonly payload: P }
  | { readonly type: 'marker'; readonly from: HostId }
  | { readonly type: 'died'; readonly host: HostId };

export class Tombstone<P> {
  readonly kind = 'tombstone';
  readonly unit: Unit;
  readonly epoch: Epoch;
  readonly to: HostId;
  readonly deadlineAt: number = Number.POSITIVE_INFINITY;
  state: 'forwarding' | 'parted' | 'orphaned' = 'forwarding';
  readonly #awaiting: Set<HostId>;
  readonly #stats: { pausedMs: number; shipped: number; forwarded: number };

  constructor(facts: TombstoneFacts) {
    this.unit = facts.unit;
    this.epoch = facts.epoch;
    this.to = facts.to;
    this.#awaiting = new Set(facts.hosts);
    this.#stats = { ...facts.stats };
  }

  step(input: TombstoneInput<P>): HostEffect<P>[] {
    switch (input.type) {
      case 'arrive':
        return this.#onArrive(input.from, input.payload);
      case 'marker':
        return this.#onMarker(input.from);
      case 'died':
        return this.#onDied(input.host);
    }
  }

  get stats(): Omit<MoveStats, 'held'> {
    return this.#stats;
  }

  #onArrive(from: HostId, payload: P): HostEffect<P>[] {
    const { unit, epoch, to } = this;
    this.#stats.forwarded++;
    return [{ type: 'send', to, message: { type: 'forward', unit, epoch, from, payload } }];
  }

  #onMarker(from: HostId): HostEffect<P>[] {
    const { unit, epoch, to } = this;
    if (this.state !== 'forwarding' || !this.#awaiting.delete(from)) return [];
    const passed: HostEffect<P> = { type: 'send', to, message: { type: 'passed', unit, epoch, from } };
    return this.#awaiting.size > 0 ? [passed] : [passed, ...this.becomeParted()];
  }

  /** A dead host has said its last: nothing more is taken from its link, which is as good as its marker. */
  #onDied(host: HostId): HostEffect<P>[] {
    if (host !== this.to) return this.#onMarker(host);
    // The directory names another owner right behind this; until then the route parks what comes, for there is nobody to send it to.
    this.becomeOrphaned();
    return [];
  }

  becomeParted(): HostEffect<P>[] {
    const { unit, epoch, to } = this;
    this.state = 'parted';
    return [{ type: 'send', to, message: { type: 'parted', unit, epoch, stats: { ...this.#stats } } }];
  }

  becomeOrphaned(): void {
    this.state = 'orphaned';
  }

  describe(): object {
    const { unit, epoch, to, state } = this;
    return { role: this.kind, unit, epoch, to, state, awaiting: [...this.#awaiting], ...this.#stats };
  }
}
