// A node that wants to leave for good: it stays until nothing is left on it.
//
//     plan({ leave }) ──commit──▶ 'leaving': its partitions go, one by one ──▶ owns nothing, no guests, nothing passes ──▶ 'left', to everybody
//          ▲                              │
//          └── the wish was lost, or something came by an older wish ◀──┘
//
// Intuition: a claim is a wish and may be lost, so it is looked at again and again whether the ring still says that this node goes.
// Only what no waiting helps against ends it: nobody would be left.

import { TroupeError } from '../../errors.ts';
import { leaveLookMs } from '../../limits.ts';
import { memberOf, type Ring } from '../ownership/ring.ts';
import type { RingPlan } from '../ownership/ring-plan.ts';
import type { World } from '../world.ts';
import { planOrThrow } from './ring-claims.ts';

export interface LeaveOptions {
  readonly name: string;
  readonly world: World;
  /** Throws when there is none. */
  ring(): Ring;
  commit(planned: RingPlan): Promise<unknown>;
  /** The ring says that it goes: told to everybody. */
  onLeaving(): void;
  /** Sends home the actors that are guests here; how many are here still. */
  recalled(): Promise<number>;
  /** Does it keep copies of what others own? They let go of them once the ring says that it goes. */
  keeps(): boolean;
  /** It owns nothing any more: resolves when nothing is on its way through it either. */
  passed(): Promise<void>;
  onLeft(): void;
}

export class Leave {
  readonly #options: LeaveOptions;
  #stopped = false;
  #ends: Promise<void> | undefined;

  constructor(options: LeaveOptions) {
    this.#options = options;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Resolves when this node owns nothing. Asked twice it leaves once; after a refusal it may be asked again. */
  begin(): Promise<void> {
    this.#ends ??= this.#leave().catch(error => {
      this.#ends = undefined;
      throw error;
    });
    return this.#ends;
  }

  async #leave(): Promise<void> {
    const { name, world, onLeaving, onLeft } = this.#options;
    for (let hasTold = false; ; ) {
      if (this.#stopped) throw new TroupeError('STOPPED', `node ${name} has stopped before it had left`);
      const ring = this.#options.ring();
      const status = memberOf(ring, name)?.status;
      if (!ring.owners.includes(name) && (status === undefined || status === 'exiting')) return this.#goes(onLeft);
      if (status === 'leaving' && !hasTold) {
        hasTold = true;
        onLeaving();
      }
      if (!(await this.#wishes(ring))) await new Promise<void>(again => world.clock.timer(leaveLookMs, again));
    }
  }

  async #goes(onLeft: () => void): Promise<void> {
    const { world, recalled, keeps, passed } = this.#options;
    while (((await recalled()) > 0 || keeps()) && !this.#stopped)
      await new Promise<void>(again => world.clock.timer(leaveLookMs, again));
    await passed();
    if (this.#stopped) throw new TroupeError('STOPPED', `node ${this.#options.name} has stopped before it had left`);
    onLeft();
  }

  /** True: a new wish is written. False: there is none to write, or not now. */
  async #wishes(ring: Ring): Promise<boolean> {
    const { name, commit } = this.#options;
    try {
      await commit(planOrThrow(ring, { leave: [name] }));
      return true;
    } catch (error) {
      const { code, details } = error as TroupeError;
      // All of it is wished for already, the ring is another by now, or nobody can write it down.
      const passes = details?.reason === 'unknown-member' || details?.reason === 'plan-changed';
      if (!passes && code !== 'OVERLOADED' && code !== 'UNKNOWN_OUTCOME') throw error;
      return false;
    }
  }
}
