// Slots that change threads, one at a time. On thread 0, beside the overseer, whose table says where each slot is.
//
// Invariants: while a slot is on its way no partition changes hands between nodes and no actor of it moves by itself; and the other
// way round. It ends, and then nothing is kept back for it.

import { TroupeError } from '../../errors.ts';
import { shiftStepMs } from '../../limits.ts';
import type { FarRouter } from '../far-router.ts';
import { inTime } from '../in-time.ts';
import type { Overseer } from '../overseer.ts';
import { partitionOf } from '../partition.ts';
import { Shift, type ShiftStats } from './shift.ts';
import { groupOfSlot, isUnitIn } from './slot-group.ts';

export class Shifts {
  readonly #router: FarRouter;
  readonly #overseer: Overseer;
  #now: Shift | undefined;
  #over: Promise<unknown> = Promise.resolve();
  #counts = { moved: 0, calledOff: 0, pausedMs: 0, pausedMsMax: 0 };

  constructor(router: FarRouter, overseer: Overseer) {
    this.#router = router;
    this.#overseer = overseer;
  }

  get isBusy(): boolean {
    return this.#now !== undefined;
  }

  /** Resolves when no slot is on its way. */
  async rest(): Promise<void> {
    while (this.isBusy) await this.#over;
  }

  /** Why no slot can ever be moved here; null when it can. */
  get impossible(): string | null {
    const { host, threads } = this.#router;
    if (threads < 3) return 'the node has fewer than two host threads';
    if (!host.engine.shared)
      return "what actors keep lies in their thread's memory; give the node a dataDir, then threads share it";
    return null;
  }

  /** Why no slot can be moved now. */
  get waitsFor(): string | null {
    const { host, gateway, held } = this.#router;
    if (host.closing) return `node ${host.node} is stopping`;
    if (this.#now !== undefined) return `slot ${this.#now.slot} is on its way`;
    return gateway?.handoffs.isBusy === true || held.any ? 'partitions are changing hands between nodes' : null;
  }

  /** Why that one cannot be moved now. Throws BAD_OPTION for what is no slot, or no host thread. */
  #whyNot(slot: number, to: number): string | null {
    const { threads, places } = this.#router;
    const { table } = places;
    if (!Number.isInteger(slot) || slot < 0 || slot >= table.length)
      throw new TroupeError('BAD_OPTION', `a slot is a whole number from 0 to ${table.length - 1}, not ${slot}`);
    if (!Number.isInteger(to) || to < 1 || to >= threads)
      throw new TroupeError('BAD_OPTION', `slots live on host threads, 1 to ${threads - 1}, not on ${to}`);
    const from = table[slot] as number;
    if (from === to) throw new TroupeError('BAD_OPTION', `slot ${slot} is on thread ${to} already`);
    const { waitsFor } = this;
    if (waitsFor !== null) return waitsFor;
    for (const thread of [from, to]) if (!this.#overseer.isLive(thread)) return `thread ${thread} is being replaced`;
    const moving = this.#overseer.inMotion(unit => isUnitIn(this.#router, groupOfSlot(this.#router, slot), unit));
    return moving === undefined ? null : `${moving} is just being moved`;
  }

  /** Moves a slot to another host thread. Rejects, with nothing changed, with OVERLOADED, DEADLINE, STOPPED, BAD_OPTION. */
  async move(slot: number, to: number): Promise<ShiftStats> {
    const impossible = this.impossible;
    if (impossible !== null) throw new TroupeError('BAD_OPTION', `slots are not moved: ${impossible}`);
    const why = this.#whyNot(slot, to);
    if (why !== null) throw new TroupeError('OVERLOADED', `slot ${slot} was not moved: ${why}; try again later`);
    const shift = new Shift(this.#router, this.#overseer, {
      slot,
      from: this.#router.places.table[slot] as number,
      to,
    });
    this.#now = shift;
    // To some thread a unit the directory knows may be one that never moved: now they all know.
    this.#overseer.tellOwners(unit => this.#isOfSlot(unit, slot));
    const work = shift.run();
    this.#over = work.catch(() => undefined);
    try {
      const stats = await work;
      this.#counts.moved++;
      this.#counts.pausedMs += stats.pausedMs;
      this.#counts.pausedMsMax = Math.max(this.#counts.pausedMsMax, stats.pausedMs);
      return stats;
    } catch (error) {
      this.#counts.calledOff++;
      throw error;
    } finally {
      this.#now = undefined;
      this.#router.gateway?.handoffs.ringChanged();
    }
  }

  /**
   * The thread on which one lives from now on that comes from elsewhere. What something had moved by itself before its thread died is placed by the
   * directory: else it would live by the table, and not go with its slot, for having been moved once.
   */
  place(unit: string): number | undefined {
    return this.#overseer.place(unit);
  }

  /** By its key alone, whoever moves it. */
  #isOfSlot(unit: string, slot: number): boolean {
    const { hosted, key } = this.#router.host.split(unit);
    return hosted !== undefined && partitionOf(key, this.#router.host.partitions) === slot;
  }

  /** Throws OVERLOADED while an actor cannot be moved because its slot is. */
  refuseMove(unit: string): void {
    const slot = this.#now?.slot;
    if (slot === undefined || !this.#isOfSlot(unit, slot)) return;
    throw new TroupeError('OVERLOADED', `${unit} cannot be moved: its slot is changing threads; try again later`);
  }

  threadDied(thread: number): void {
    this.#now?.callOff(`thread ${thread} has died`);
  }

  /** One that has just come up keeps back what the others do. */
  tellThread(thread: number): void {
    const { held } = this.#router;
    if (held.slot !== undefined)
      this.#router.control(thread, 'part-hold', { partition: held.slot.partition, stage: 'leaving' });
  }

  /** Of a node that stops. */
  async stop(): Promise<void> {
    this.#now?.callOff('the node is stopping');
    // A thread that is stuck in a turn must not hold it up.
    const late = new Error('a slot is still on its way');
    await inTime(this.#router.host.world.clock, shiftStepMs, this.rest(), () => late).catch(() => undefined);
  }

  describe(): object {
    const now = this.#now;
    const moving = now === undefined ? null : { slot: now.slot, from: now.from, to: now.to, phase: now.phase };
    return { ...this.#counts, moving };
  }
}
