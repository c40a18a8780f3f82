// Who is awake on this thread and who should go to sleep. The policy is passivation.ts; here are the tick, the conditions
// under which sleep would lose nothing, and the sleeping itself. While nobody can have become idle there is no sweep at all:
// a node at rest wakes no thread, and a test may move time by days.

import { residentsMaxDefault } from '../limits.ts';
import type { Activation } from './activation.ts';
import { Wake } from './failures.ts';
import { blocked, dead, freezing, moving } from './flags.ts';
import type { Host } from './host.ts';
import { hash32 } from './partition.ts';
import { type Departing, ResidentSet } from './passivation.ts';
import { presentOf } from './passivation-parts.ts';
import type { Millis } from './world.ts';

/** One tick of `usedTick`, and the shortest time between two sweeps. */
export const tickMs = 250;
/** Seventeen years. */
const tickMax = 0x7fff_ffff;
/** Actors looked at in one sweep: well below a millisecond of work. */
const sweepBudget = 4_096;

export class Residents {
  private readonly host: Host;
  private readonly cap: number;
  private readonly set: ResidentSet<Activation>;
  passivated = 0;
  evicted = 0;
  private readonly born: Millis;
  /** When the next sweep is due, Infinity while none is. */
  private sweepAt = Number.POSITIVE_INFINITY;
  /** The earliest tick in which one of those just looked at will be idle. */
  private earliest = Number.POSITIVE_INFINITY;
  private readonly wake = new Wake(() => this.sweep(), true);

  constructor(host: Host, cap: number = residentsMaxDefault) {
    this.host = host;
    this.cap = cap;
    this.born = host.now();
    this.set = new ResidentSet<Activation>({
      cap,
      idleTicksOf: act => {
        const ticks = ticksOf(act);
        this.earliest = Math.min(this.earliest, usedTickOf(act) + ticks);
        return ticks;
      },
      hashOf: act => hash32(act.id),
      walk: () => everyone(host),
    });
    host.scheduler.onBegin = now => this.moveTime(now);
  }

  get count(): number {
    return this.set.size;
  }

  get hasRoom(): boolean {
    return this.set.size < this.cap;
  }

  added(act: Activation): void {
    const now = this.host.now();
    this.moveTime(now);
    this.set.added(act);
    if (this.set.excess > sweepBudget) this.set.evict(sweepBudget, this.leave);
    this.sweepNoLaterThan(this.set.excess > 0 ? now + tickMs : this.timeOf(this.host.tick + ticksOf(act)));
  }

  removed(act: Activation): void {
    this.set.removed(act);
  }

  /** The tick follows the clock; it is looked at when actors run, so that what they leave in usedTick is right. */
  private moveTime(now: Millis): void {
    this.host.tick = Math.min(tickMax, Math.floor((now - this.born) / tickMs));
    this.set.tick = this.host.tick;
  }

  private timeOf(tick: number): Millis {
    return this.born + tick * tickMs;
  }

  private sweepNoLaterThan(at: Millis): void {
    if (at >= this.sweepAt || this.host.stopped) return;
    this.sweepAt = at;
    this.host.arm(this.wake, at);
  }

  /** A node at rest sweeps only when somebody in it may have become idle; one that is too full, or very full, every tick. */
  private sweep(): void {
    this.sweepAt = Number.POSITIVE_INFINITY;
    this.earliest = Number.POSITIVE_INFINITY;
    const now = this.host.now();
    this.moveTime(now);
    this.set.sweep(this.host.tick, sweepBudget, this.leave);
    const isSteady = this.set.excess === 0 && this.set.size <= sweepBudget;
    if (this.set.size > 0) this.sweepNoLaterThan(Math.max(now + tickMs, isSteady ? this.timeOf(this.earliest) : 0));
  }

  private readonly leave = (act: Activation, why: Departing): void => {
    if ((act.flags & dead) !== 0) return;
    if (!restful(act)) {
      this.set.kept(act);
      this.earliest = Math.min(this.earliest, this.host.tick + ticksOf(act));
      return;
    }
    this.host.stirred++;
    this.host.failures.retire(act, why, error => {
      if (error !== undefined) {
        act.log.warn({ err: error }, 'could not go to sleep');
        // It may have ended meanwhile.
        if ((act.flags & dead) !== 0) return;
        this.set.kept(act);
        this.sweepNoLaterThan(this.timeOf(this.host.tick + ticksOf(act)));
      } else if (why === 'idle') this.passivated++;
      else this.evicted++;
    });
  };

  describe(): object {
    return { ...this.set.describe(), passivated: this.passivated, evicted: this.evicted };
  }
}

function* everyone(host: Host): Iterator<Activation> {
  for (const hosted of host.types) yield* presentOf(hosted.live);
}

function ticksOf(act: Activation): number {
  return Math.ceil(act.hosted.spec.idleMs / tickMs);
}

/** passivation.ts keeps it complemented while nothing has run since it looked. */
function usedTickOf(act: Activation): number {
  return act.usedTick < 0 ? ~act.usedTick : act.usedTick;
}

/** Nothing would be lost or missed if it slept now. */
function restful(act: Activation): boolean {
  if ((act.flags & (blocked | dead | freezing | moving)) !== 0 || (act.box?.count ?? 0) !== 0 || act.waits !== null)
    return false;
  if (!act.hosted.idle(act)) return false;
  const extras = act.extras;
  if (extras === null) return true;
  const waiting = extras.stash.length + extras.control.length + extras.front.length + extras.waiters.length;
  return (
    waiting === 0 && (extras.timers?.size ?? 0) === 0 && (extras.children?.length ?? 0) === 0 && extras.watches === 0
  );
}
