// What one thread does otherwise when it is a slot that leaves it, and not a partition of the ring (hands.ts): both threads see the same
// records, and what follows goes over the links between threads.
//
// Invariant: when settle() resolves, all that this thread has written for the slot can be read by the next one.

import { TroupeError } from '../../errors.ts';
import { shiftActorsMax, shiftSleepersMax } from '../../limits.ts';
import type { Activation } from '../activation.ts';
import { ended } from '../call.ts';
import { drain } from '../drain.ts';
import type { FarMessage } from '../far-moves.ts';
import type { FarRouter } from '../far-router.ts';
import { dead, frozen } from '../flags.ts';
import { overfull, retire, unmovable } from '../moves.ts';
import type { BaseRef } from '../refs.ts';
import { groupName, isUnitIn } from './slot-group.ts';

export class SlotHands {
  readonly #router: FarRouter;
  /** What those that have been installed, and do not run yet, are subscribed to: until then their old thread delivers. */
  #topics: (readonly [unit: string, topics: readonly string[]])[] = [];

  constructor(router: FarRouter) {
    this.#router = router;
    router.on('slot-look', (_from, group: number) => this.#look(group));
    router.on('slot-shut', (_from, group: number) => {
      const now = router.held.get(group);
      if (now !== undefined) now.stage = 'frozen';
    });
    router.on('slot-flush', (_from, to: number) => router.query(to, 'part-echo', null));
    router.on('slot-table', (_from, { slot, thread, version }) => router.deaths.slotMoved(slot, thread, version));
  }

  /** Would it be in vain to stop the slot? How many actors of it are awake. */
  #look(group: number): { awake: number; why: string | null } {
    const acts = this.#router.awakeIn.of(group);
    const name = groupName(this.#router, group);
    const sleeping = this.#router.host.persistence.sleepers.count;
    if (sleeping > shiftSleepersMax)
      return {
        awake: acts.length,
        why: `${sleeping} actors sleep in the memory of its thread, more than ${shiftSleepersMax}`,
      };
    if (acts.length > shiftActorsMax)
      return { awake: acts.length, why: `${acts.length} actors of ${name} are awake, more than ${shiftActorsMax}` };
    for (const act of acts) {
      const why = unmovable(act) ?? overfull(act);
      if (why !== undefined) return { awake: acts.length, why: `${act.id} cannot move now: ${why}` };
    }
    return { awake: acts.length, why: null };
  }

  /**
   * There was no moment at which all were at rest, for behind each turn the next one waits: then no turn begins any more, and each comes
   * to rest by itself. Those that wait for each other would not.
   */
  mayFreezeEach(group: number, acts: readonly Activation[]): boolean {
    const { moves } = this.#router;
    if (acts.some(act => (act.flags & (frozen | dead)) !== 0)) return false;
    return !moves.any || !moves.route.unitsInMotion().some(unit => isUnitIn(this.#router, group, unit));
  }

  /** Its reminders fire no more, and what was written is there for everybody. `goesOn`: it has not been called off. */
  async settle(group: number, goesOn: () => boolean): Promise<void> {
    const { host } = this.#router;
    host.reminders.suspendThose(unit => isUnitIn(this.#router, group, unit));
    await host.engine.sync('committed');
    if (!goesOn()) throw new TroupeError('STOPPED', `the move of ${groupName(this.#router, group)} was called off`);
  }

  loadReminders(group: number): void {
    const { host } = this.#router;
    host.reminders.load([group - host.partitions], unit => isUnitIn(this.#router, group, unit));
  }

  keepTopics(unit: string, topics: readonly string[]): readonly string[] {
    this.#topics.push([unit, topics]);
    return [];
  }

  /** It is ours. */
  take(): void {
    const { host } = this.#router;
    for (const [unit, topics] of this.#topics.splice(0)) host.topics.give(unit, topics);
    host.engine.refresh();
  }

  discard(): void {
    this.#topics = [];
  }

  /** It is another thread's, and everybody goes by that: what waits here in front of its actors goes there, and they end. */
  gone(group: number, acts: readonly Activation[]): void {
    const { held, host } = this.#router;
    this.#sendWatchers(group);
    // Should it be ours again, for its new thread has died: then what waited wakes its actors here.
    const now = held.get(group);
    if (now !== undefined) now.stage = 'leaving';
    const waiting = acts.map(act => [act.id, drain(act)] as const);
    for (const act of acts) retire(host, act);
    for (const [unit, messages] of waiting) for (const message of messages) this.#sendOn(host.refById(unit), message);
    for (const { ref, message } of held.takeLate(group)) this.#sendOn(ref, message);
  }

  /** Whoever wants to hear of the end of one of its actors asks the thread it is on now. */
  #sendWatchers(group: number): void {
    const { watches } = this.#router.host;
    const isOurs = (unit: string): boolean => isUnitIn(this.#router, group, unit);
    for (const id of watches.reported().filter(isOurs))
      for (const thread of watches.takeReports(id)) this.#watchAnew(id, thread);
    for (const id of watches.watched().filter(isOurs)) this.#watchAnew(id, this.#router.host.thread);
  }

  #watchAnew(id: string, thread: number): void {
    const { hosted, key } = this.#router.host.split(id);
    if (hosted !== undefined) this.#router.control(this.#router.threadOf(hosted, key), 'watch', { id, thread });
  }

  /** On the link to its new thread, before anything that was kept back. */
  #sendOn(ref: BaseRef, message: FarMessage): void {
    if (message.call?.state === ended) return;
    const { held, host } = this.#router;
    try {
      if (this.#router.threadFor(ref) === host.thread) held.deliver(ref, message, host.thread);
      else this.#router.forward(host.thread, ref, message);
    } catch (error) {
      held.refuse(ref, message, error);
    }
  }
}
