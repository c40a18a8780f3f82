// Actors of a partition, or of a slot, that come to rest on this thread, and go on if they stay.
//
//     running ──still: all at rest──────────▶ frozen ──stir, thaw──▶ running
//        └─────each: no turn begins──▶ ... ─────┘
//
// The intuition: while one of them is in a turn the others have to be there for what it asks of them. So all come to rest at one moment. Where
// timers leave no such moment, each is frozen at the end of its turn; those that wait for each other then do not come to rest in time.

import { TroupeError } from '../../errors.ts';
import { shiftCalmMs, shiftFreezeMs } from '../../limits.ts';
import type { Activation } from '../activation.ts';
import type { FarRouter } from '../far-router.ts';
import { dead, freezing, frozen } from '../flags.ts';
import { freeze, overfull, thaw, unmovable } from '../moves.ts';
import { groupName, isSlot, isUnitIn } from '../rebalance/slot-group.ts';
import type { SlotHands } from '../rebalance/slot-hands.ts';
import type { Unit } from '../relocation-messages.ts';

export class Rest {
  readonly #router: FarRouter;
  readonly #slots: SlotHands;
  readonly #frozen = new Map<number, readonly Activation[]>();

  constructor(router: FarRouter, slots: SlotHands) {
    this.#router = router;
    this.#slots = slots;
    router.on('slot-still', (_from, group: number) => this.#slotStill(group));
    router.on('part-still', (_from, partition: number) => this.#still(partition));
    router.on('part-each', (_from, { partition, ms, inAll }) => this.#freezeEach(partition, ms, inAll));
    router.on('part-stir', (_from, partition: number) => this.#stir(partition));
    router.on('part-thaw', (_from, partition: number) => this.thaw(partition));
  }

  /** Undefined once they have been thawed. */
  frozen(group: number): readonly Activation[] | undefined {
    return this.#frozen.get(group);
  }

  /** They leave. */
  forget(group: number): void {
    this.#frozen.delete(group);
  }

  /** It stays. */
  thaw(partition: number): void {
    const { host, held } = this.#router;
    const acts = this.#frozen.get(partition) ?? [];
    this.#frozen.delete(partition);
    for (const act of acts) thaw(host, act, host.epochs.next());
    held.stir(partition);
    if (isSlot(this.#router, partition)) this.#slots.loadReminders(partition);
    else host.reminders.load([partition]);
  }

  /** Freezes them, unless one of them is in a turn, or writes: its name then. */
  #still(partition: number): Unit | null {
    const { host, held } = this.#router;
    const now = held.get(partition);
    if (now === undefined) throw new TroupeError('STOPPED', `the handoff of ${this.#name(partition)} was called off`);
    const acts = held.awake(partition);
    const restless = acts.find(act => !this.#isStill(act))?.id ?? this.#inMotion(partition);
    if (restless !== undefined) return restless;
    for (const act of acts) {
      const why = unmovable(act, true) ?? overfull(act);
      if (why !== undefined) throw new TroupeError('OVERLOADED', `${act.id} cannot move now: ${why}`);
    }
    this.#frozen.set(partition, acts);
    now.stage = 'frozen';
    for (const act of acts) freeze(host, act, () => undefined);
    return null;
  }

  #isStill(act: Activation): boolean {
    const isOpen = act.extras?.gate?.open ?? true;
    return isOpen && this.#router.host.isQuiet(act) && (act.flags & (frozen | dead)) === 0;
  }

  /** Those of another thread were not at rest, and may ask these: they go on. Nothing has left, so under the epochs they have. */
  #stir(partition: number): void {
    const { host, held } = this.#router;
    const acts = this.#frozen.get(partition) ?? [];
    this.#frozen.delete(partition);
    for (const act of acts) thaw(host, act, act.epochNumber);
    held.stir(partition);
  }

  /** Resolves when those of a slot are at rest. Where there is no moment at which all are, no turn begins any more. */
  async #slotStill(group: number): Promise<void> {
    const { host, held } = this.#router;
    const [until, calmUntil] = [host.now() + shiftFreezeMs, host.now() + shiftCalmMs];
    for (;;) {
      const restless = this.#still(group);
      const now = held.get(group);
      if (restless === null || now === undefined) return;
      if (host.now() >= calmUntil && this.#slots.mayFreezeEach(group, held.awake(group)))
        return this.#freezeEach(group, shiftFreezeMs);
      if (host.now() >= until)
        throw new TroupeError('DEADLINE', `${restless} did not come to rest within ${shiftFreezeMs} ms`);
      await new Promise<void>(done => host.world.clock.timer(1, done));
    }
  }

  /** No turn of theirs begins any more. Resolves when those that run have ended. `inAll`: with what had been waited before. */
  async #freezeEach(group: number, ms: number, inAll = ms): Promise<void> {
    const { host, held } = this.#router;
    const now = held.get(group);
    if (now === undefined) throw new TroupeError('STOPPED', `the handoff of ${this.#name(group)} was called off`);
    const acts = held.awake(group);
    this.#frozen.set(group, acts);
    now.stage = 'frozen';
    for (const act of acts) freeze(host, act, () => undefined);
    for (const until = host.now() + ms; ; ) {
      // One that was falling asleep, or has ended, is not there any more.
      const restless = held.awake(group).find(act => (act.flags & (frozen | freezing)) !== frozen);
      if (this.#frozen.get(group) !== acts)
        throw new TroupeError('STOPPED', `the handoff of ${this.#name(group)} was called off`);
      const why = restless === undefined ? this.#inMotion(group) : restless.id;
      if (why === undefined) break;
      if (host.now() >= until) {
        this.thaw(group);
        throw new TroupeError('DEADLINE', `${why} did not come to rest within ${inAll} ms`);
      }
      await new Promise<void>(done => host.world.clock.timer(1, done));
    }
    this.#frozen.set(group, held.awake(group));
  }

  /** One that is just being moved between threads. */
  #inMotion(partition: number): Unit | undefined {
    const { moves } = this.#router;
    return moves.any ? moves.route.unitsInMotion().find(unit => isUnitIn(this.#router, partition, unit)) : undefined;
  }

  #name(group: number): string {
    return groupName(this.#router, group);
  }
}
