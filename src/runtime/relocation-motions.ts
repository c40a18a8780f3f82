// The units of one host that are not calm: for each the machine that knows what to do, and the messages from the future.
//
// A unit has at most one machine on a host: it is leaving (source), has left (tombstone), is coming (target) or has just
// come (hold). A machine is reached only under the epoch it was made for; whatever comes under another one is late and
// meets nothing. A machine that is done is removed here, with its numbers counted.
//
// Invariant: a unit without a machine and without parked messages has no entry, so `has` is the router's only question.

import type { HoldTable } from './relocation-hold.ts';
import type { DataMessage, Epoch, HostEffect, HostId, Unit } from './relocation-messages.ts';
import type { SourceMove } from './relocation-source.ts';
import type { TargetMove } from './relocation-target.ts';
import type { Tombstone } from './relocation-tombstone.ts';
import type { Millis } from './world.ts';

export type Role<P> = SourceMove<P> | Tombstone<P> | TargetMove<P> | HoldTable<P>;

export interface Parked<P> {
  readonly from: HostId;
  readonly message: DataMessage<P>;
}

interface Motion<P> {
  role: Role<P> | undefined;
  parked: Parked<P>[];
}

type Act<R, P> = (role: R) => HostEffect<P>[];

export class Motions<P> {
  readonly #motions = new Map<Unit, Motion<P>>();
  readonly counters = {
    shipped: 0,
    forwarded: 0,
    held: 0,
    parked: 0,
    parted: 0,
    pauses: 0,
    pausedMs: 0,
    pausedMsMax: 0,
  };

  has(unit: Unit): boolean {
    return this.#motions.size > 0 && this.#motions.has(unit);
  }

  get any(): boolean {
    return this.#motions.size !== 0;
  }

  units(): Unit[] {
    return [...this.#motions.keys()];
  }

  roleOf(unit: Unit): Role<P> | undefined {
    return this.#motions.get(unit)?.role;
  }

  get deadlineAt(): Millis | undefined {
    let earliest = Number.POSITIVE_INFINITY;
    for (const { role } of this.#motions.values()) earliest = Math.min(earliest, role?.deadlineAt ?? earliest);
    return earliest === Number.POSITIVE_INFINITY ? undefined : earliest;
  }

  become(unit: Unit, role: Role<P> | undefined): void {
    if (role === undefined && !this.#motions.has(unit)) return;
    this.#motionOf(unit).role = role;
    this.#tidy(unit);
  }

  parkedCount(unit: Unit): number {
    return this.#motions.get(unit)?.parked.length ?? 0;
  }

  park(unit: Unit, parked: Parked<P>): void {
    this.#motionOf(unit).parked.push(parked);
    this.counters.parked++;
  }

  /** Everything parked for the unit, in order; the caller reads it again, which may park some of it anew. */
  unpark(unit: Unit): readonly Parked<P>[] {
    const motion = this.#motions.get(unit);
    if (motion === undefined) return [];
    const { parked } = motion;
    motion.parked = [];
    this.#tidy(unit);
    return parked;
  }

  onSource(unit: Unit, epoch: Epoch, act: Act<SourceMove<P>, P>): HostEffect<P>[] {
    const role = this.roleOf(unit);
    return role?.kind === 'source' && role.epoch === epoch ? act(role) : [];
  }

  onTarget(
    unit: Unit,
    epoch: Epoch,
    act: Act<TargetMove<P>, P>,
    otherwise: readonly HostEffect<P>[] = [],
  ): HostEffect<P>[] {
    const role = this.roleOf(unit);
    if (role?.kind !== 'target' || role.epoch !== epoch) return [...otherwise];
    const effects = act(role);
    if (role.state === 'gone') this.become(unit, undefined);
    return effects;
  }

  onTombstone(unit: Unit, epoch: Epoch, act: Act<Tombstone<P>, P>): HostEffect<P>[] {
    const role = this.roleOf(unit);
    if (role?.kind !== 'tombstone' || role.epoch !== epoch) return [];
    const effects = act(role);
    if (role.state === 'parted') this.#onParted(role);
    return effects;
  }

  onHold(unit: Unit, epoch: Epoch, act: Act<HoldTable<P>, P>): HostEffect<P>[] {
    const role = this.roleOf(unit);
    if (role?.kind !== 'hold' || role.epoch !== epoch) return [];
    const effects = act(role);
    if (role.state === 'settled') this.#onSettled(role);
    return effects;
  }

  onTick(now: Millis): HostEffect<P>[] {
    return [...this.#motions.keys()].flatMap(unit => {
      const role = this.roleOf(unit);
      if (role?.kind === 'source') return role.step({ type: 'tick' }, now);
      if (role?.kind !== 'target') return [];
      return this.onTarget(unit, role.epoch, target => target.step({ type: 'tick' }, now));
    });
  }

  onDied(host: HostId): HostEffect<P>[] {
    return [...this.#motions.keys()].flatMap(unit => {
      const role = this.roleOf(unit);
      if (role?.kind === 'tombstone') return this.onTombstone(unit, role.epoch, it => it.step({ type: 'died', host }));
      if (role?.kind === 'hold') return this.onHold(unit, role.epoch, it => it.step({ type: 'died', host }));
      return []; // a source or a target hears from the directory what becomes of the move
    });
  }

  /** The verdict on a source has come: how long did its unit stand still? */
  pausedBy(role: SourceMove<P>, now: Millis): Millis {
    const pausedMs = now - role.frozenAt;
    this.counters.pauses++;
    this.counters.pausedMs += pausedMs;
    this.counters.pausedMsMax = Math.max(this.counters.pausedMsMax, pausedMs);
    return pausedMs;
  }

  #onParted(role: Tombstone<P>): void {
    this.counters.parted++;
    this.counters.shipped += role.stats.shipped;
    this.counters.forwarded += role.stats.forwarded;
    this.become(role.unit, undefined);
  }

  #onSettled(role: HoldTable<P>): void {
    this.counters.held += role.held;
    this.become(role.unit, undefined);
  }

  #motionOf(unit: Unit): Motion<P> {
    let motion = this.#motions.get(unit);
    if (motion === undefined) {
      motion = { role: undefined, parked: [] };
      this.#motions.set(unit, motion);
    }
    return motion;
  }

  #tidy(unit: Unit): void {
    const motion = this.#motions.get(unit);
    if (motion !== undefined && motion.role === undefined && motion.parked.length === 0) this.#motions.delete(unit);
  }

  describe(): object[] {
    return [...this.#motions].map(([unit, { role, parked }]) => ({ unit, parked: parked.length, ...role?.describe() }));
  }
}
