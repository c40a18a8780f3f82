// Moves slots from busy threads of this node to idle ones. Thread 0's; what it decides is rebalance-plan.ts, how is shifts.ts.
//
//     every rebalanceEveryMs: ask all threads what they did ─▶ loads, fading ─▶ the plan ─▶ move a slot, or say why not
//
// Invariant: at most rebalanceMovesPerMinute moves a minute, and one at a time; what has moved, or could not be moved, rests.

import { TroupeError } from '../../errors.ts';
import {
  rebalanceBusyMin,
  rebalanceEveryMs,
  rebalanceGainMin,
  rebalanceMemoryMs,
  rebalanceMovesPerMinute,
  rebalanceReportMax,
  rebalanceRestMs,
  rebalanceRestMsMax,
  rebalanceSeenMsMin,
  shiftStepMs,
} from '../../limits.ts';
import type { FarRouter } from '../far-router.ts';
import { inTime } from '../in-time.ts';
import type { Cancel, Millis } from '../world.ts';
import { type Loads, nextStep, type Step, threadLoads } from './rebalance-plan.ts';
import type { ShiftStats } from './shift.ts';
import type { Shifts } from './shifts.ts';
import type { ThreadLoad } from './slot-loads.ts';

export interface RebalancerMove extends ShiftStats {
  /** By the clock of the wall. */
  readonly at: number;
  readonly reason: string;
}

export interface RebalancerRefusal {
  readonly slot: number;
  readonly to: number;
  readonly at: number;
  readonly why: string;
}

export interface RebalancerReport {
  readonly state: 'active' | 'suspended' | 'unavailable';
  /** What it is waiting for, or why it does nothing. */
  readonly why: string;
  /** Part of a core that actors keep busy, by thread; a thread that is being replaced has null. */
  readonly load: readonly (number | null)[];
  /** By slot: its thread. */
  readonly table: readonly number[];
  /** The last ones, oldest first. */
  readonly moves: readonly RebalancerMove[];
  readonly refused: readonly RebalancerRefusal[];
  /** Null: it does not look. */
  readonly nextLookInMs: number | null;
}

/** What a node offers of it. */
export type RebalancerDoor = Pick<Rebalancer, 'suspend' | 'resume' | 'report' | 'move'>;

interface Rest {
  readonly ms: Millis;
  readonly until: Millis;
}

export interface RebalancerOptions {
  readonly everyMs?: number;
}

export class Rebalancer {
  readonly #router: FarRouter;
  readonly #shifts: Shifts | null;
  readonly #everyMs: Millis;
  readonly #slots: number[];
  readonly #rest: number[];
  readonly #known: Set<number> = new Set();
  readonly #resting = new Map<number, Rest>();
  /** When the last moves were begun. */
  readonly #begun: Millis[] = [];
  readonly #moves: RebalancerMove[] = [];
  readonly #refused: RebalancerRefusal[] = [];
  #state: 'active' | 'suspended' = 'suspended';
  #why = 'it has been suspended';
  #cancel: Cancel | null = null;
  #lookAt: Millis = 0;
  #lookedAt: Millis | null = null;
  #seenMs: Millis = 0;
  /** How much of a full average the loads are: they begin at nothing. */
  #weight = 0;

  /** `shifts`: null where there are no threads. */
  constructor(router: FarRouter, { everyMs = rebalanceEveryMs }: RebalancerOptions = {}) {
    this.#router = router;
    this.#shifts = router.shifts;
    this.#everyMs = everyMs;
    this.#slots = new Array<number>(router.host.partitions).fill(0);
    this.#rest = new Array<number>(router.threads).fill(0);
  }

  /** From now on it looks, and moves. */
  resume(): void {
    if (this.#state === 'active' || this.#router.host.closing) return;
    this.#state = 'active';
    this.#why = 'it has just begun to look';
    this.#lookedAt = null;
    if (this.#impossible === null) this.#lookLater();
  }

  /** A move that is under way is finished; no other is begun. */
  suspend(): void {
    this.#state = 'suspended';
    this.#why = 'it has been suspended';
    this.#cancel?.();
    this.#cancel = null;
  }

  get #impossible(): string | null {
    return this.#shifts === null ? 'the node has fewer than two host threads' : this.#shifts.impossible;
  }

  /** By hand: whatever the loads are. Rejects, with nothing changed, with the reason. */
  async move(slot: number, thread: number): Promise<RebalancerMove> {
    if (this.#shifts === null) throw new TroupeError('BAD_OPTION', `slots are not moved: ${this.#impossible}`);
    return this.#move(this.#shifts, { slot, to: thread }, 'asked for');
  }

  #lookLater(): void {
    const { host } = this.#router;
    this.#lookAt = host.now() + this.#everyMs;
    this.#cancel = host.world.clock.timer(this.#everyMs, () => {
      this.#cancel = null;
      void this.#look().finally(() => {
        if (this.#state === 'active' && this.#cancel === null && !host.closing) this.#lookLater();
      });
    });
  }

  async #look(): Promise<void> {
    const { host } = this.#router;
    try {
      await this.#measure();
      const next = this.#next();
      if (typeof next === 'string') this.#why = next;
      else if (this.#state === 'active') await this.#try(next);
    } catch (error) {
      this.#why = `it could not look: ${(error as Error).message}`;
      host.world.log.warn({ err: error }, 'the rebalancer');
    }
  }

  get #threads(): number[] {
    const { threads, peers } = this.#router;
    return Array.from({ length: threads }, (_, thread) => thread).filter(thread => peers[thread]?.gone !== true);
  }

  async #measure(): Promise<void> {
    const { host } = this.#router;
    const { clock } = host.world;
    const asked = this.#threads.map(async thread => {
      const load = this.#router.query(thread, 'load', null) as Promise<ThreadLoad>;
      // A thread that is too busy to answer keeps what it has: it will say so next time.
      return [thread, await inTime(clock, shiftStepMs, load, () => new Error('late')).catch(() => null)] as const;
    });
    const answers = await Promise.all(asked);
    const now = host.now();
    const passed = this.#lookedAt === null ? null : now - this.#lookedAt;
    this.#lookedAt = now;
    // What came before the first look is of nobody knows how long.
    if (passed === null || passed <= 0) return;
    const keep = Math.exp(-passed / rebalanceMemoryMs);
    const share = (1 - keep) / passed;
    for (let slot = 0; slot < this.#slots.length; slot++) this.#slots[slot] = (this.#slots[slot] as number) * keep;
    this.#known.clear();
    for (const [thread, load] of answers) {
      if (load === null) continue;
      this.#known.add(thread);
      this.#rest[thread] = (this.#rest[thread] as number) * keep + load.restMs * share;
      for (const [slot, ms] of load.slots) this.#slots[slot] = (this.#slots[slot] as number) + ms * share;
    }
    this.#weight = this.#weight * keep + 1 - keep;
    this.#seenMs += passed;
  }

  #next(): Step | string {
    const { host, places } = this.#router;
    const { table } = places;
    const now = host.now();
    if (this.#seenMs < rebalanceSeenMsMin) return `it looks for ${rebalanceSeenMsMin} ms before it decides`;
    const waitsFor = this.#shifts?.waitsFor ?? null;
    if (waitsFor !== null) return waitsFor;
    while (this.#begun.length > 0 && (this.#begun[0] as number) <= now - 60_000) this.#begun.shift();
    if (this.#begun.length >= rebalanceMovesPerMinute) return `${rebalanceMovesPerMinute} slots were moved in a minute`;
    return nextStep({
      loads: this.#measured,
      table,
      threads: this.#threads.filter(thread => thread !== 0 && this.#known.has(thread)),
      busyMin: rebalanceBusyMin,
      gainMin: rebalanceGainMin,
      resting: slot => (this.#resting.get(slot)?.until ?? 0) > now,
    });
  }

  async #try({ slot, from, to, gain }: Step): Promise<void> {
    const percent = (load: number): string => `${Math.round(load * 100)} %`;
    const loads = this.#loads();
    const reason = `thread ${from} was at ${percent(loads.get(from) ?? 0)}, thread ${to} at ${percent(loads.get(to) ?? 0)}; it wins ${percent(gain)}`;
    this.#begun.push(this.#router.host.now());
    try {
      await this.#move(this.#shifts as Shifts, { slot, to }, reason);
      this.#why = `slot ${slot} was moved`;
    } catch (error) {
      this.#why = (error as Error).message;
    }
  }

  async #move(shifts: Shifts, { slot, to }: Pick<Step, 'slot' | 'to'>, reason: string): Promise<RebalancerMove> {
    const { host } = this.#router;
    try {
      const stats = await shifts.move(slot, to);
      const move = { ...stats, at: host.world.clock.now(), reason };
      remember(this.#moves, move);
      this.#becomeResting(slot, rebalanceRestMs);
      host.events.emit('slot-moved', move);
      return move;
    } catch (error) {
      const why = (error as Error).message;
      remember(this.#refused, { slot, to, at: host.world.clock.now(), why });
      const before = this.#resting.get(slot)?.ms ?? rebalanceRestMs / 2;
      if ((error as TroupeError).code !== 'BAD_OPTION')
        this.#becomeResting(slot, Math.min(before * 2, rebalanceRestMsMax));
      throw error;
    }
  }

  #becomeResting(slot: number, ms: Millis): void {
    this.#resting.set(slot, { ms, until: this.#router.host.now() + ms });
  }

  get #measured(): Loads {
    const weigh = (load: number): number => (this.#weight === 0 ? 0 : load / this.#weight);
    return { slots: this.#slots.map(weigh), rest: this.#rest.map(weigh) };
  }

  #loads(): Map<number, number> {
    return threadLoads({ loads: this.#measured, table: this.#router.places.table, threads: this.#threads });
  }

  report(): RebalancerReport {
    const impossible = this.#impossible;
    const loads = this.#loads();
    const isLooking = impossible === null && this.#state === 'active';
    return {
      state: impossible === null ? this.#state : 'unavailable',
      why: impossible ?? this.#why,
      load: Array.from({ length: this.#router.threads }, (_, thread) => rounded(loads.get(thread))),
      table: [...this.#router.places.table],
      moves: [...this.#moves],
      refused: [...this.#refused],
      nextLookInMs: isLooking ? Math.max(0, Math.round(this.#lookAt - this.#router.host.now())) : null,
    };
  }

  /** Of a node that stops: resolves when no slot is on its way. */
  async stop(): Promise<void> {
    this.suspend();
    await this.#shifts?.stop();
  }

  describe(): object {
    const { table: _table, ...report } = this.report();
    return { ...report, shifts: this.#shifts?.describe() ?? null };
  }
}

/** Of a node whose only thread is the calling one. */
export function noRebalancer(partitions: number): RebalancerDoor {
  const why = 'the node has fewer than two host threads';
  const table = new Array<number>(partitions).fill(0);
  return {
    suspend: () => undefined,
    resume: () => undefined,
    move: () => Promise.reject(new TroupeError('BAD_OPTION', `slots are not moved: ${why}`)),
    report: () => ({ state: 'unavailable', why, load: [0], table, moves: [], refused: [], nextLookInMs: null }),
  };
}

function rounded(load: number | undefined): number | null {
  return load === undefined ? null : Math.round(load * 1_000) / 1_000;
}

function remember<T>(list: T[], entry: T): void {
  list.push(entry);
  if (list.length > rebalanceReportMax) list.shift();
}
