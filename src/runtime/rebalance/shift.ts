// One slot that changes threads, t1 to t2, as thread 0 leads it: the steps, and what is given up when one of them fails.
//
//     all threads: keep back (held.ts) ─▶ flush, twice ─▶ t1: at rest, packed ─▶ t2: installed ─▶ the table says t2 (the moment)
//         │              anything fails, any thread dies: t2 discards, t1 thaws, all let go: nothing has changed
//         └ after it    t2 runs ─▶ t1 sends on what waited in front of its actors, and ends them ─▶ flush ─▶ t2, t1, all let go
//
// The intuition: the same as a partition between nodes (handing.ts), but both threads see the same records, so only what is awake
// travels; and the table, which thread 0 alone changes, is the word that decides.
//
// Order: what t1 has of a sender is on its link to t2 and read there before that sender lets go of anything. What others have published
// or sent through thread 0 waits on the thread it came to, in line. So who lets go first matters only for t2 itself: before all others.
//
// Invariant: whatever fails or dies, and at whichever step, in the end no thread keeps anything back.

import { TroupeError } from '../../errors.ts';
import { shiftFreezeMs, shiftStepMs } from '../../limits.ts';
import type { FarRouter } from '../far-router.ts';
import { Crew } from '../handoff/crew.ts';
import type { Packed } from '../handoff/hands.ts';
import { inTime } from '../in-time.ts';
import type { Overseer } from '../overseer.ts';
import { groupOfSlot } from './slot-group.ts';

export interface ShiftStats {
  readonly slot: number;
  readonly from: number;
  readonly to: number;
  /** From when senders began to keep back until the last of them let go. */
  readonly pausedMs: number;
  readonly actors: number;
}

type Phase = 'looking' | 'holding' | 'freezing' | 'installing' | 'committed';

export class Shift {
  readonly slot: number;
  readonly from: number;
  readonly to: number;
  readonly group: number;
  phase: Phase = 'looking';
  readonly #router: FarRouter;
  readonly #overseer: Overseer;
  readonly #crew: Crew;
  /** Why it is called off. */
  #off: string | null = null;
  #heldAt = 0;

  constructor(router: FarRouter, overseer: Overseer, { slot, from, to }: Pick<ShiftStats, 'slot' | 'from' | 'to'>) {
    this.#router = router;
    this.#overseer = overseer;
    this.#crew = new Crew(router);
    this.slot = slot;
    this.from = from;
    this.to = to;
    this.group = groupOfSlot(router, slot);
  }

  /** Ends before the commit, or not at all. */
  callOff(why: string): void {
    this.#off ??= why;
  }

  /** Resolves when the slot is the other thread's. Rejects, unchanged, with the reason. */
  async run(): Promise<ShiftStats> {
    let actors = 0;
    try {
      await this.#look();
      await this.#hold();
      const packed = await this.#freeze();
      actors = packed.actors.length;
      await this.#install(packed);
      this.#goesOn();
      this.#overseer.moveSlot(this.slot, this.to);
      this.phase = 'committed';
    } catch (error) {
      await this.#stay();
      throw error;
    }
    await this.#go();
    const { slot, from, to } = this;
    return { slot, from, to, actors, pausedMs: this.#router.host.now() - this.#heldAt };
  }

  #goesOn(): void {
    if (this.#off !== null)
      throw new TroupeError('STOPPED', `the move of slot ${this.slot} was called off: ${this.#off}`);
  }

  async #step<T>(what: string, work: Promise<T>): Promise<T> {
    const why = `slot ${this.slot} was not moved: not all threads could ${what} within ${shiftStepMs} ms`;
    const done = await inTime(this.#router.host.world.clock, shiftStepMs, work, () => new TroupeError('DEADLINE', why));
    this.#goesOn();
    return done;
  }

  /** While it serves. */
  async #look(): Promise<void> {
    const { from, group } = this;
    // A thread with a million actors goes through them for longer than a step takes.
    await this.#crew.all('part-track', group);
    this.#goesOn();
    const { clock } = this.#router.host.world;
    const busy = `slot ${this.slot} was not moved: a thread has not answered within ${shiftFreezeMs} ms`;
    await inTime(clock, shiftFreezeMs, this.#crew.all('part-echo', null), () => new TroupeError('OVERLOADED', busy));
    const looked = this.#crew.ask<{ why: string | null }>(from, 'slot-look', group);
    const { why } = await this.#step('look', looked);
    if (why !== null) throw new TroupeError('OVERLOADED', `slot ${this.slot} was not moved: ${why}`);
  }

  async #hold(): Promise<void> {
    this.phase = 'holding';
    this.#heldAt = this.#router.host.now();
    await this.#step('keep back', this.#crew.all('part-hold', { partition: this.group, stage: 'leaving' }));
    // Twice: one that a thread has moved on to another is sent on once.
    await this.#step('flush', this.#crew.all('part-flush', null));
    await this.#step('flush', this.#crew.all('part-flush', null));
  }

  async #freeze(): Promise<Packed> {
    this.phase = 'freezing';
    await this.#step('come to rest', this.#crew.ask(this.from, 'slot-still', this.group));
    // Nothing is let through to it any more, and what was is there.
    await this.#step('keep all back', this.#crew.all('slot-shut', this.group));
    await this.#step('flush', this.#crew.all('part-flush', null));
    return this.#step('freeze', this.#crew.ask<Packed>(this.from, 'part-freeze', this.group));
  }

  async #install({ actors, sleepers, topics }: Packed): Promise<void> {
    this.phase = 'installing';
    const packed = { partition: this.group, actors, sleepers, topics };
    await this.#step('install', this.#crew.ask(this.to, 'part-install', packed));
  }

  async #stay(): Promise<void> {
    const { from, to, group } = this;
    if (this.phase !== 'looking') {
      const discarded = this.#surely(to, 'part-discard');
      await this.#surely(from, 'part-thaw');
      // Before the others: what it has kept of itself is there by then, and it takes what they have.
      await this.#surely(from, 'part-release');
      await this.#crew.surely('part-release', group);
      await discarded;
    }
    await this.#crew.surely('part-untrack', group);
  }

  /** What is decided is done, whoever dies over it. */
  async #go(): Promise<void> {
    const { from, to } = this;
    await this.#surely(to, 'part-run');
    await this.#surely(from, 'part-gone');
    await this.#surely(from, 'slot-flush', to);
    await this.#surely(to, 'part-release');
    // And what it has kept besides.
    await this.#surely(from, 'part-release');
    await this.#surely(from, 'slot-flush', to);
    await this.#crew.surely('part-release', this.group);
    await this.#crew.surely('part-untrack', this.group);
  }

  /** Of a thread that dies meanwhile nothing is wanted any more. */
  async #surely(thread: number, word: string, payload: number = this.group): Promise<void> {
    if (!this.#overseer.isLive(thread)) return;
    try {
      await this.#crew.ask(thread, word, payload);
    } catch (error) {
      const { slot } = this;
      this.#router.host.world.log.warn({ err: error, thread, word, slot }, 'a thread could not do its part for a slot');
    }
  }
}
