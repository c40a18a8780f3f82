// One thread's deadlines and timers: a timing wheel and the one real timer that is armed for its next entry.
//
// Invariant: while anything waits in the wheel, a timer of the world is armed for its time or earlier.

import type { Activation } from './activation.ts';
import { Call } from './call.ts';
import type { HostTimer } from './host-types.ts';
import { TimerWheel, type WheelEntry } from './timer-wheel.ts';
import { ActorTimer, fireTimer } from './timers.ts';
import type { Cancel, Millis, World } from './world.ts';

export abstract class Alarms {
  readonly world: World;
  protected readonly wheel: TimerWheel<WheelEntry>;
  private armedAt = Number.POSITIVE_INFINITY;
  private disarmTimer: Cancel | null = null;
  /** Counts what deadlines and timers have set in motion: the test kit asks whether anything happened. */
  stirred = 0;
  /** Open calls without a deadline: in no wheel, but somebody waits for them all the same. */
  private readonly endless = new Set<Call>();

  constructor(world: World) {
    this.world = world;
    this.wheel = new TimerWheel(world.clock.mono());
  }

  now(): Millis {
    return this.world.clock.mono();
  }

  /** A call's deadline has passed. */
  protected abstract expired(call: Call): void;
  /** Runs fn as nobody's turn. */
  abstract outside(fn: () => void): void;

  arm(entry: WheelEntry, at: Millis): void {
    this.wheel.add(entry, at);
    if (at < this.armedAt) this.rearm(at);
  }

  disarm(entry: WheelEntry): void {
    this.wheel.cancel(entry);
  }

  /** A call is open from now on, for so long at most. */
  expect(call: Call, deadlineMs: Millis): void {
    if (deadlineMs === Number.POSITIVE_INFINITY) this.endless.add(call);
    else this.arm(call, this.now() + deadlineMs);
  }

  /** It has ended. */
  settled(call: Call): void {
    if (!this.wheel.cancel(call)) this.endless.delete(call);
  }

  /** All open calls that were made here or arrived here. Visits every deadline: for rare occasions. */
  protected *calls(): IterableIterator<Call> {
    for (const entry of this.wheel.entries()) if (entry instanceof Call) yield entry;
    yield* this.endless;
  }

  private rearm(at: Millis): void {
    this.disarmTimer?.();
    this.armedAt = at;
    this.disarmTimer =
      at === Number.POSITIVE_INFINITY ? null : this.world.clock.timer(Math.max(0, at - this.now()), this.onTimer);
  }

  private readonly onTimer = (): void => {
    this.outside(this.fireDue);
  };

  private readonly fireDue = (): void => {
    this.armedAt = Number.POSITIVE_INFINITY;
    this.disarmTimer = null;
    const now = this.now();
    this.wheel.advance(now, entry => {
      if (entry instanceof Call) {
        this.stirred++;
        this.expired(entry);
      } else if (entry instanceof ActorTimer) {
        this.stirred++;
        fireTimer(entry, now);
      } else {
        if ((entry as HostTimer).quiet !== true) this.stirred++;
        (entry as HostTimer).fire(now);
      }
    });
    const next = this.wheel.nextAt();
    if (next < this.armedAt) this.rearm(next);
  };

  /** Calls made on this thread that an actor here has not answered. */
  callsTo(act: Activation): Call[] {
    return [...this.calls()].filter(call => call.act === act);
  }

  /** A call from another thread that has not ended. Looks at every deadline: for the rare verdict only. */
  arrivedCall(peer: number, id: number): Call | undefined {
    for (const call of this.calls()) if (call.arrived && call.peer === peer && call.id === id) return call;
    return undefined;
  }

  protected stopAlarms(): void {
    this.disarmTimer?.();
    this.disarmTimer = null;
  }
}
