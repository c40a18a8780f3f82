// Which thread delivers what another one publishes, while a subscriber moves from one to the other.
//
// A value is published to all threads at once, by one link each, and each delivers it to the subscribers it has. For a moving
// subscriber both owners would do it, or neither. So the publisher decides, by what it knows when it publishes: as long as
// it has not read of the switch, the old owner delivers (and sends on); from then on the new one. To the old owner its marker
// says when that was; to the new one it says `switched`, in the same moment.
//
//     publisher P ──value 1──▶ both      old owner: P has not marked yet: delivers     new owner: P has not switched: does not
//                 ──marker──▶ old, switched ──▶ new
//                 ──value 2──▶ both      old owner: P has marked: does not             new owner: delivers, behind what P's old
//                                                                                      owner sends on (relocation-hold.ts)
//
// Invariant: for each publisher and each value exactly one of the two delivers.

import type { FarMoves } from './far-moves.ts';
import { threadOf } from './far-moves.ts';
import type { FarRouter } from './far-router.ts';
import { topicMethod } from './hosted-type.ts';
import { isUnitIn } from './rebalance/slot-group.ts';
import type { Epoch, Moved, Unit } from './relocation-messages.ts';
import type { TopicGate } from './topics.ts';

interface Coming {
  /** Threads that have switched before we had read of the move ourselves, and the epoch it has. */
  readonly early: Map<number, Epoch>;
  /** Threads whose values the old owner still delivers; undefined before the switch: all. */
  awaiting: Set<number> | undefined;
}

export class FarTopics implements TopicGate {
  private readonly router: FarRouter;
  private readonly moves: FarMoves;
  private readonly leaving = new Map<Unit, Set<number>>();
  /** Threads whose marker came before we had read of the move ourselves. */
  private readonly marks = new Map<Unit, Set<number>>();
  private readonly coming = new Map<Unit, Coming>();

  constructor(router: FarRouter, moves: FarMoves) {
    this.router = router;
    this.moves = moves;
    router.on('switched', (from, { unit, epoch }) => this.switched(unit, from, epoch));
  }

  hears(unit: Unit, from: number): boolean {
    const leaving = this.leaving.get(unit);
    if (leaving !== undefined) return leaving.has(from);
    const coming = this.coming.get(unit);
    if (coming === undefined) return this.marks.get(unit)?.has(from) !== true;
    return coming.awaiting === undefined ? coming.early.has(from) : !coming.awaiting.has(from);
  }

  get apart(): number | undefined {
    return this.router.held.slot?.partition;
  }

  later(group: number, topic: string, value: unknown): void {
    this.router.held.topics.later(group, topic, value);
  }

  isIn(group: number, unit: Unit): boolean {
    return isUnitIn(this.router, group, unit);
  }

  relay(unit: Unit, from: number, topic: string, value: unknown): boolean {
    if (this.router.held.topics.relay(unit, from, topic, value)) return true;
    if (from === this.router.host.thread || !this.moves.any || !this.moves.inMotion(unit)) return false;
    const payload = { code: (topicMethod << 2) | 2, a0: topic, a1: value, call: null };
    // Published by somebody who has read of a switch that we have not: the route keeps it until we have.
    const epoch = this.coming.get(unit)?.early.get(from) ?? this.moves.epochOf(unit);
    this.moves.arrived(from, unit, epoch, payload);
    return true;
  }

  /** A packed subscriber is here and does not run yet. */
  installed(unit: Unit): void {
    if (this.router.host.topics.of(unit).length > 0) this.coming.set(unit, { early: new Map(), awaiting: undefined });
  }

  discarded(unit: Unit): void {
    this.coming.delete(unit);
  }

  /** Read of a switch; what the old owner has to know of its subscriptions was taken before. */
  moved({ unit, epoch, to, via, hosts }: Moved, topics: readonly string[]): void {
    const { host } = this.router;
    const owner = threadOf(to);
    if (via >= 0 && owner !== host.thread) this.router.control(owner, 'switched', { unit, epoch });
    const marks = this.marks.get(unit);
    this.marks.delete(unit);
    if (via >= 0 && threadOf(via) === host.thread && topics.length > 0) {
      host.topics.give(unit, topics);
      this.leaving.set(unit, new Set(hosts.map(threadOf).filter(thread => marks?.has(thread) !== true)));
      this.marked(unit, host.thread);
    }
    const coming = owner === host.thread ? this.coming.get(unit) : undefined;
    if (coming === undefined) return;
    coming.awaiting = new Set(hosts.map(threadOf).filter(thread => !coming.early.has(thread)));
    this.switched(unit, host.thread, epoch);
  }

  /** That thread publishes for the new owner from now on. */
  marked(unit: Unit, thread: number): void {
    const leaving = this.leaving.get(unit);
    if (leaving === undefined) {
      if (this.router.host.topics.of(unit).length === 0) return;
      const marks = this.marks.get(unit) ?? new Set();
      this.marks.set(unit, marks.add(thread));
      return;
    }
    leaving.delete(thread);
    if (leaving.size !== 0) return;
    this.leaving.delete(unit);
    this.router.host.topics.drop(unit);
  }

  private switched(unit: Unit, thread: number, epoch: Epoch): void {
    const coming = this.coming.get(unit);
    if (coming === undefined) return;
    if (coming.awaiting === undefined) coming.early.set(thread, epoch);
    else coming.awaiting.delete(thread);
    if (coming.awaiting?.size === 0) this.coming.delete(unit);
  }

  died(thread: number): void {
    for (const unit of [...this.leaving.keys()]) this.marked(unit, thread);
    for (const [unit, { awaiting }] of [...this.coming]) if (awaiting !== undefined) this.switched(unit, thread, 0);
  }
}
