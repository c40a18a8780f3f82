// Who is awake on this thread and who should go to sleep: those idle for longer than their type's idleMs, and, above the
// cap, those the admission policy values least (passivation.ts). A sweep looks at a bounded number of actors.

import { residentsMaxDefault } from '../limits.ts';
import type { Activation } from './activation.ts';
import { Wake } from './failures.ts';
import { blocked, dead } from './flags.ts';
import type { Host } from './host.ts';

/** How often a slice of the residents is looked at; also the length of one tick of `usedTick`. */
export const sweepEveryMs = 250;
/** Actors looked at in one sweep: 0.2 ms of work. */
const sweepBudget = 4_096;

export class Residents {
  private readonly host: Host;
  private readonly cap: number;
  count = 0;
  passivated = 0;
  evicted = 0;
  private walk: Iterator<Activation> | null = null;
  private walkType = 0;
  private ticking = false;

  constructor(host: Host, cap: number = residentsMaxDefault) {
    this.host = host;
    this.cap = cap;
  }

  added(act: Activation): void {
    this.count++;
    act.usedTick = this.host.tick;
    if (!this.ticking) this.start();
  }

  removed(act: Activation): void {
    if (typeof act.keyed === 'string') this.count--;
  }

  private start(): void {
    this.ticking = true;
    const wake = new Wake(() => {
      this.host.tick++;
      this.sweep();
      if (this.count === 0 || this.host.stopped) this.ticking = false;
      else this.host.arm(wake, this.host.now() + sweepEveryMs);
    });
    this.host.arm(wake, this.host.now() + sweepEveryMs);
  }

  private sweep(): void {
    const over = this.count - this.cap;
    let budget = sweepBudget;
    let toEvict = Math.max(0, over);
    const types = this.host.types;
    while (budget-- > 0) {
      if (this.walk === null) {
        const hosted = types[this.walkType++ % Math.max(1, types.length)];
        if (hosted === undefined) return;
        if (hosted.live.size === 0) {
          if (this.walkType >= types.length * 2) {
            this.walkType = 0;
            return;
          }
          continue;
        }
        this.walk = hosted.live.values();
      }
      const next = this.walk.next();
      if (next.done === true) {
        this.walk = null;
        if (this.walkType >= types.length) {
          this.walkType = 0;
          return;
        }
        continue;
      }
      const act = next.value;
      if (!restful(act)) continue;
      const idleMs = (this.host.tick - act.usedTick) * sweepEveryMs;
      if (idleMs >= act.hosted.spec.idleMs) this.sleep(act, 'idle');
      else if (toEvict > 0 && idleMs > 0) {
        toEvict--;
        this.sleep(act, 'evicted');
      }
    }
  }

  private sleep(act: Activation, why: 'idle' | 'evicted'): void {
    this.host.failures.retire(act, why, error => {
      if (error !== undefined) act.log.warn({ err: error }, 'could not go to sleep');
      else if (why === 'idle') this.passivated++;
      else this.evicted++;
    });
  }
}

/** Nothing would be lost or missed if it slept now. */
export function restful(act: Activation): boolean {
  if ((act.flags & (blocked | dead)) !== 0 || act.box !== null || act.waits !== null || !act.hosted.idle(act))
    return false;
  const extras = act.extras;
  if (extras === null) return true;
  return (
    (extras.timers?.size ?? 0) === 0 &&
    (extras.children?.length ?? 0) === 0 &&
    extras.stash.length === 0 &&
    extras.control.length === 0 &&
    extras.front.length === 0 &&
    extras.waiters.length === 0 &&
    extras.watches === 0
  );
}
