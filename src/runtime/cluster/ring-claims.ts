// What shall become of the ring, and who says so: one member, the claimant, writes all claims; the others ask it to.
//
//     commit(plan) on n3 ──'ring-commit'──▶ claimant n1 ──core──▶ stored ──▶ 'ring-state' to all
//     a member that is up and in no ring ──unchanged for foundAfterMs──▶ the claimant plans and commits its join
//     one that has left, and is gone ──▶ the claimant takes it out
//
// Intuition: a claim is a wish. Who the claimant is follows from the ring and from who is up, and two nodes may see that differently
// for a while; then two claims are written and one of them wins (compareRings). That loses a wish, never data: an owner is a
// register that only the owner itself writes. For the same reason a claim waits for no member that is down, whatever it owns: it
// takes whichever claim has won when it is back, and until then gives nothing away.
//
// Invariant: a claim is made from the effective ring of the moment it is stored in, and is durable here before anybody is told.

import { TroupeError } from '../../errors.ts';
import { foundAfterMs, ringCommitMs } from '../../limits.ts';
import type { Gateway } from '../gateway/gateway.ts';
import { inTime } from '../in-time.ts';
import type { MemberView } from '../membership/gossip-types.ts';
import type { AppState } from '../membership/member.ts';
import { claimed, effective, type RingState } from '../ownership/holdings.ts';
import { claimantOf, memberOf, type Ring, ringHash, type SeenRings } from '../ownership/ring.ts';
import {
  type Changes,
  type CommitRefusal,
  commit,
  forget,
  isRefusal,
  type PlanOptions,
  plan,
  type RingPlan,
} from '../ownership/ring-plan.ts';
import type { Cancel, World } from '../world.ts';
import type { RingKeeper } from './ring-keeper.ts';
import { planOf, tagIn } from './ring-text.ts';

export interface RingClaimsOptions {
  readonly cluster: string;
  readonly name: string;
  readonly partitions: number;
  readonly world: World;
  readonly gateway: Gateway;
  readonly keeper: RingKeeper;
  readonly linked: ReadonlyMap<string, number>;
  /** Take in whoever is up and in no ring. */
  readonly autoJoin: boolean;
  members(): readonly MemberView[];
  appOf(name: string): AppState | undefined;
}

export interface Committed {
  readonly epoch: number;
  readonly hash: string;
}

export class RingClaims {
  readonly #options: RingClaimsOptions;
  #isBusy = false;
  #stopped = false;
  #seen = '';
  #since = 0;
  #told = '';
  #cancel: Cancel | undefined;

  constructor(options: RingClaimsOptions) {
    const { cluster, partitions, gateway } = options;
    this.#options = options;
    gateway.on('ring-commit', (_from, planned) => this.#write(planOf(planned, cluster, partitions)));
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }

  // Asked for.

  /** Durable at the claimant, and on its way to everybody, when it resolves. */
  async commit(planned: RingPlan): Promise<Committed> {
    const { name, world, gateway, linked } = this.#options;
    const by = this.#claimant();
    if (by === name) return this.#write(planned);
    const number = linked.get(by);
    if (number === undefined) throw later(`there is no link to ${by}, who writes rings now`, { claimant: by });
    const late = (): TroupeError =>
      new TroupeError(
        'UNKNOWN_OUTCOME',
        `${by} has not said within ${ringCommitMs} ms whether it has committed the plan`,
      );
    return tagIn(await inTime(world.clock, ringCommitMs, gateway.asked(number, 'ring-commit', planned), late));
  }

  #claimant(): string {
    const { name, keeper } = this.#options;
    if (keeper.ring === undefined) throw later(`node ${name} has not joined a ring yet`);
    const alive = this.#alive();
    const by = claimantOf(keeper.ring, each => alive.has(each));
    if (by === undefined) throw later(`of the members that may write rings, ${name} sees none that is up`);
    return by;
  }

  /** By gossip; whoever leaves is there until its data is not. */
  #alive(): Set<string> {
    const up = this.#options.members().filter(({ status }) => status === 'up' || status === 'leaving');
    return new Set([this.#options.name, ...up.map(({ name }) => name)]);
  }

  async #write(planned: RingPlan): Promise<Committed> {
    const { name } = this.#options;
    await this.#claim(ring => {
      const by = this.#claimant();
      if (by !== name) throw later(`${name} may not write rings now: by what it sees ${by} may`, { claimant: by });
      const next = commit(ring, planned, name, this.#seenOf(ring));
      if (isRefusal<CommitRefusal>(next)) throw refused(next);
      return next;
    });
    const { epoch, hash } = this.#options.keeper.tag as AppState;
    return { epoch, hash };
  }

  async #claim(next: (ring: Ring) => Ring): Promise<void> {
    const { keeper } = this.#options;
    let made: RingState | undefined;
    await keeper.durably(state => {
      if (state === undefined) throw later('there is no ring yet');
      const ring = effective(state);
      const after = next(ring);
      made = after === ring ? state : claimed(state, after);
      return made;
    });
    if (keeper.state?.claim !== made?.claim)
      throw later('another claim was written at the same time, and has won; plan again', { reason: 'plan-changed' });
  }

  /** What each has gossiped to hold. Who is down is not waited for: see above. */
  #seenOf(ring: Ring): SeenRings {
    const { name, appOf } = this.#options;
    const own = ringHash(ring);
    const alive = this.#alive();
    const seenBy = (member: string): string =>
      member === name || !alive.has(member) ? own : (appOf(member)?.hash ?? '');
    return new Map(ring.members.map(member => [member.name, seenBy(member.name)]));
  }

  // Of itself.

  /** Something has changed: is there somebody to take in, or out? */
  look(): void {
    const { name, world, keeper, autoJoin } = this.#options;
    const { ring } = keeper;
    if (ring === undefined || this.#stopped || this.#isBusy) return;
    const now = world.clock.mono();
    const views = this.#options.members();
    const seen = JSON.stringify(views.map(each => [each.name, each.status === 'up']));
    if (seen !== this.#seen) {
      this.#seen = seen;
      this.#since = now;
    }
    const alive = this.#alive();
    if (claimantOf(ring, each => alive.has(each)) !== name) return;
    const gone = ring.members.filter(each => each.status === 'exiting' && isGone(views, each.name));
    if (gone.length > 0) return this.#try(() => this.#claim(of => forgotten(of, gone, name)));
    const newcomers = autoJoin ? views.filter(view => this.#isNew(ring, view)) : [];
    if (newcomers.length === 0) return;
    if (now - this.#since < foundAfterMs) return this.#lookAgain();
    this.#try(async () => {
      const join = newcomers.map(each => ({ name: each.name, zone: each.zone, rack: each.rack, weight: each.weight }));
      await this.#write(planOrThrow(ring, { join }));
    });
  }

  /** Up, in no ring, and it goes by this one: of another cluster it would be whose nodes are in theirs. */
  #isNew(ring: Ring, { name, status }: MemberView): boolean {
    const isIn = !['joining', undefined].includes(memberOf(ring, name)?.status);
    return status === 'up' && !isIn && this.#options.appOf(name)?.blob === this.#options.keeper.state?.birth;
  }

  /** What is refused now (somebody has not heard of the ring yet, the disk is full) is tried again. */
  #try(work: () => Promise<unknown>): void {
    this.#isBusy = true;
    work()
      .then(
        () => true,
        error => this.#onFailed(error),
      )
      .then(isDone => {
        this.#isBusy = false;
        if (isDone) this.look();
        else this.#lookAgain();
      });
  }

  #onFailed(error: TroupeError): boolean {
    const isUsual = error.code === 'OVERLOADED' || error.details?.reason === 'plan-changed';
    if (!isUsual && !this.#stopped && this.#told !== error.message)
      this.#options.world.log.error({ err: error }, 'the members of the ring could not be changed; it is tried again');
    if (!isUsual) this.#told = error.message;
    return false;
  }

  #lookAgain(): void {
    this.#cancel?.();
    if (!this.#stopped) this.#cancel = this.#options.world.clock.timer(foundAfterMs / 4, () => this.look());
  }
}

/** Throws BAD_OPTION, with the reason in `details`. */
export function planOrThrow(ring: Ring, changes: Changes, options: PlanOptions = {}): RingPlan {
  const planned = plan(ring, changes, options);
  if (!isRefusal(planned)) return planned;
  const { error, ...details } = planned;
  const about = Object.values(details).join(', ');
  throw new TroupeError('BAD_OPTION', `no such plan: ${error}${about === '' ? '' : ` (${about})`}`, {
    details: { reason: error, ...details },
  });
}

function forgotten(ring: Ring, gone: readonly { readonly name: string }[], by: string): Ring {
  return gone.reduce((rest, { name }) => forget(rest, name, by), ring);
}

function isGone(views: readonly MemberView[], name: string): boolean {
  const status = views.find(view => view.name === name)?.status;
  return status === undefined || status === 'left' || status === 'removed' || status === 'down';
}

function refused(refusal: CommitRefusal): TroupeError {
  const { error, ...details } = refusal;
  if (refusal.error === 'ring-not-ready') {
    const who = refusal.waitingFor.join(', ');
    return later(`not before ${who} has heard of the ring there is; try again`, { reason: error, ...details });
  }
  return new TroupeError('BAD_OPTION', 'the ring is not the one that was planned on; plan again', {
    details: { reason: error, ...details },
  });
}

function later(why: string, details: Readonly<Record<string, unknown>> = {}): TroupeError {
  return new TroupeError('OVERLOADED', why, { details });
}
