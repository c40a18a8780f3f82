// The new owner after the switch, while the old one still forwards: direct messages of a host wait until everything which
// that host had sent to the old owner has come.
//
//   holding --parted, or the old owner's death--> settled
//
// One queue for each sending host. `passed(A)` opens A's queue for good. Hosts that joined after the switch never sent
// anything to the old owner: they are not in `hosts` and wait for nothing.
//
// Invariant: a direct message of host A is delivered only when no message of A can come by the old owner any more.

import type { Epoch, HostEffect, HostId, MoveStats, RelocationLimits, Unit } from './relocation-messages.ts';

export interface HoldFacts {
  readonly unit: Unit;
  readonly epoch: Epoch;
  readonly via: HostId;
  readonly hosts: Iterable<HostId>;
  readonly directory: HostId;
}

export type HoldInput<P> =
  | { readonly type: 'direct'; readonly from: HostId; readonly payload: P }
  | { readonly type: 'forward'; readonly from: HostId; readonly payload: P }
  | { readonly type: 'passed'; readonly from: HostId }
  | { readonly type: 'parted'; readonly stats: Omit<MoveStats, 'held'> }
  | { readonly type: 'died'; readonly host: HostId };

export class HoldTable<P> {
  readonly kind = 'hold';
  readonly unit: Unit;
  readonly epoch: Epoch;
  readonly via: HostId;
  readonly deadlineAt: number = Number.POSITIVE_INFINITY;
  state: 'holding' | 'settled' = 'holding';
  /** Messages that had to wait, in all. */
  held = 0;
  readonly #directory: HostId;
  readonly #limits: RelocationLimits;
  readonly #queues: Map<HostId, P[]>;
  #heldNow = 0;

  constructor(facts: HoldFacts, limits: RelocationLimits) {
    this.unit = facts.unit;
    this.epoch = facts.epoch;
    this.via = facts.via;
    this.#directory = facts.directory;
    this.#limits = limits;
    this.#queues = new Map(Array.from(facts.hosts, host => [host, []]));
  }

  step(input: HoldInput<P>): HostEffect<P>[] {
    switch (input.type) {
      case 'direct':
        return this.#onDirect(input.from, input.payload);
      case 'forward':
        return [this.#deliver(input.from, input.payload, true)];
      case 'passed':
        return this.#release(input.from);
      case 'parted':
        return this.becomeSettled({ ...input.stats, held: this.held });
      case 'died':
        // Only the old owner's death matters here. That of a sender is told by the old owner, behind what it had forwarded.
        return input.host === this.via ? this.becomeSettled(undefined) : [];
    }
  }

  #onDirect(from: HostId, payload: P): HostEffect<P>[] {
    const queue = this.#queues.get(from);
    if (queue === undefined) return [this.#deliver(from, payload, false)];
    if (this.#heldNow >= this.#limits.heldMax) return [{ type: 'refuse', unit: this.unit, from, payload, by: 'held' }];
    queue.push(payload);
    this.held++;
    this.#heldNow++;
    return [];
  }

  #release(from: HostId): HostEffect<P>[] {
    const queue = this.#queues.get(from) ?? [];
    this.#queues.delete(from);
    this.#heldNow -= queue.length;
    return queue.map(payload => this.#deliver(from, payload, true));
  }

  #deliver(from: HostId, payload: P, accepted: boolean): HostEffect<P> {
    return { type: 'deliver', unit: this.unit, from, payload, accepted };
  }

  becomeSettled(stats: MoveStats | undefined): HostEffect<P>[] {
    const { unit, epoch } = this;
    const released = [...this.#queues.keys()].flatMap(from => this.#release(from));
    this.state = 'settled';
    return [...released, { type: 'send', to: this.#directory, message: { type: 'settled', unit, epoch, stats } }];
  }

  describe(): object {
    const { unit, epoch, via, state, held } = this;
    return {
      role: this.kind,
      unit,
      epoch,
      via,
      state,
      held,
      heldNow: this.#heldNow,
      awaiting: [...this.#queues.keys()],
    };
  }
}
