// Who is awake on this thread and who should go to sleep. The policy is passivation.ts; here are the tick, the conditions
// under which sleep would lose nothing, and the sleeping itself.

import { residentsMaxDefault } from '../limits.ts';
import type { Activation } from './activation.ts';
import { Wake } from './failures.ts';
import { blocked, dead, freezing, moving } from './flags.ts';
import type { Host } from './host.ts';
import { hash32 } from './partition.ts';
import { type Departing, ResidentSet } from './passivation.ts';

/** How often some residents are looked at; also the length of one tick of `usedTick`. */
export const sweepEveryMs = 250;
/** Actors looked at in one sweep: well below a millisecond of work. */
const sweepBudget = 4_096;

export class Residents {
  private readonly host: Host;
  private readonly cap: number;
  private readonly set: ResidentSet<Activation>;
  passivated = 0;
  evicted = 0;
  private ticking = false;

  constructor(host: Host, cap: number = residentsMaxDefault) {
    this.host = host;
    this.cap = cap;
    this.set = new ResidentSet<Activation>({
      cap,
      idleTicksOf: act => Math.ceil(act.hosted.spec.idleMs / sweepEveryMs),
      hashOf: act => hash32(act.id),
    });
  }

  get count(): number {
    return this.set.size;
  }

  get hasRoom(): boolean {
    return this.set.size < this.cap;
  }

  added(act: Activation): void {
    this.set.added(act);
    if (!this.ticking) this.start();
    else if (this.set.excess > sweepBudget) this.set.evict(sweepBudget, this.leave);
  }

  removed(act: Activation): void {
    this.set.removed(act);
  }

  private start(): void {
    this.ticking = true;
    const wake = new Wake(() => {
      this.host.tick++;
      this.set.sweep(this.host.tick, sweepBudget, this.leave);
      if (this.set.size === 0 || this.host.stopped) this.ticking = false;
      else this.host.arm(wake, this.host.now() + sweepEveryMs);
    });
    this.host.arm(wake, this.host.now() + sweepEveryMs);
  }

  private readonly leave = (act: Activation, why: Departing): void => {
    if ((act.flags & dead) !== 0) return;
    if (!restful(act)) {
      this.set.kept(act);
      return;
    }
    this.host.failures.retire(act, why, error => {
      if (error !== undefined) {
        act.log.warn({ err: error }, 'could not go to sleep');
        this.set.kept(act);
      } else if (why === 'idle') this.passivated++;
      else this.evicted++;
    });
  };

  describe(): object {
    return { ...this.set.describe(), passivated: this.passivated, evicted: this.evicted };
  }
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
