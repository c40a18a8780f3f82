// Where a node gets its ring from, and how it notices that others know more of it.
//
//     no ring    somebody who is linked gossips one ──▶ ask for it          nobody does ──▶ founding.ts ──▶ make one
//     a ring     a tag of other birth ──▶ another cluster                   a later tag, another hash ──▶ ask for it
//
// Intuition: rings are told to whoever is linked, at the beginning of a session and at each change, so there is seldom something to
// ask for. Epochs only rise, and of two states that lack something of each other the join is above both: so it is enough to ask
// those that are not behind, and the others will ask us.

import { TroupeError } from '../../errors.ts';
import { foundAfterMs, ownersLookMs, ownersPatienceMs } from '../../limits.ts';
import type { Gateway } from '../gateway/gateway.ts';
import type { MemberView } from '../membership/gossip-types.ts';
import type { AppState } from '../membership/member.ts';
import type { RingState } from '../ownership/holdings.ts';
import { emptyRing, type Ring, type RingMember } from '../ownership/ring.ts';
import { commit, isRefusal, plan } from '../ownership/ring-plan.ts';
import type { Cancel, Millis, World } from '../world.ts';
import { FirstRing } from './first-ring.ts';
import { Founding } from './founding.ts';
import type { Voters } from './joining.ts';
import { RingFetch, type RingHolder } from './ring-fetch.ts';
import type { RingKeeper } from './ring-keeper.ts';
import type { RingMemory } from './ring-memory.ts';

export interface RingSearchOptions {
  readonly cluster: string;
  readonly name: string;
  readonly partitions: number;
  readonly world: World;
  readonly gateway: Gateway;
  readonly keeper: RingKeeper;
  readonly linked: ReadonlyMap<string, number>;
  /** All that gossip knows, this node included; none before it has begun. */
  members(): readonly MemberView[];
  appOf(name: string): AppState | undefined;
  onForeign(from: string, error?: TroupeError): void;
  readonly memory: RingMemory;
  /** Whoever comes later is taken in, so nobody waits for one that is down. */
  readonly autoJoin: boolean;
  voters(): Voters;
  /** Once: there is a ring, it is stored, somebody of it knows this node, and there are links to those who own something and are up. */
  onReady(): void;
  onFailed(error: TroupeError): void;
}

type Founder = Pick<RingMember, 'name' | 'zone' | 'rack' | 'weight'>;

export class RingSearch {
  readonly #options: RingSearchOptions;
  readonly #founding: Founding;
  readonly #first: FirstRing;
  readonly #fetch: RingFetch;
  #isFounding = false;
  #isStored = false;
  #isReady = false;
  #stopped = false;
  #cancel: Cancel | undefined;
  #cancelReady: Cancel | undefined;

  constructor(options: RingSearchOptions) {
    const { name, world, gateway, keeper } = options;
    this.#options = options;
    this.#founding = new Founding(name, foundAfterMs);
    this.#first = new FirstRing(options);
    this.#fetch = new RingFetch({
      clock: world.clock,
      ask: from => gateway.asked(gateway.numberOfName(from), 'ring', null),
      onAnswer: (from, value) => keeper.hear(from, value),
      onDone: error => error && this.#failed(error),
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
    this.#cancelReady?.();
  }

  /** With what an earlier life has stored. */
  begin(state: RingState): void {
    this.#options.keeper.begin(state);
    this.#becomeReady();
  }

  onStored(): void {
    this.#isStored = true;
    this.look();
  }

  /** Something has changed of who there is, or of what they hold. */
  look(): void {
    const { name, linked, keeper, world, autoJoin } = this.#options;
    const views = this.#options.members();
    if (this.#stopped || this.#isFounding || views.length === 0) return;
    const holders = views.flatMap((member): RingHolder[] => {
      const app = member.name === name ? undefined : this.#options.appOf(member.name);
      return app === undefined ? [] : [{ name: member.name, app }];
    });
    const near = holders.filter(holder => linked.has(holder.name));
    if (keeper.tag !== undefined) {
      const isUp = (who: string): boolean => views.some(each => each.name === who && each.status === 'up');
      this.#greet(near.find(holder => isUp(holder.name)));
      return this.#compare(keeper.tag, holders, near);
    }
    if (near.length > 0) return this.#fetch.from(near);
    const hasRing = (who: string): boolean => holders.some(holder => holder.name === who);
    const known = views
      .filter(({ name: who, status }) => !isGone(status) && !(autoJoin && status === 'down' && !hasRing(who)))
      .map(each => ({ name: each.name, isUp: each.status === 'up', hasRing: hasRing(each.name) }));
    // Linked, and not heard of yet: in a moment it is a member.
    const strangers = [...linked.keys()].filter(each => !views.some(member => member.name === each));
    known.push(...strangers.map(each => ({ name: each, isUp: false, hasRing: false })));
    const up = views.filter(({ status }) => status === 'up');
    const voters = this.#options.voters();
    if (this.#founding.mayFound(known, isMost(voters), world.clock.mono()))
      void this.found(up, voters).catch(error => this.#failed(error));
    else this.#lookAgain();
  }

  #lookAgain(): void {
    this.#cancel?.();
    this.#cancel = this.#options.world.clock.timer(foundAfterMs / 4, () => this.look());
  }

  /** What fails (a full disk, a link that ends) is tried again; but for what only a person can change. */
  #failed(error: TroupeError): void {
    this.#options.onFailed(error);
    if (error.code !== 'BAD_OPTION') this.#lookAgain();
  }

  /** A ring of others counts when one of them has answered: its answer is behind our gossip, so it knows this node by then. */
  #greet(other: RingHolder | undefined): void {
    if (this.#isReady || !this.#isStored || other === undefined) return;
    this.#isStored = false;
    const { gateway, linked } = this.#options;
    gateway.asked(linked.get(other.name) as number, 'ring', null).then(
      () => this.#becomeReady(),
      () => {
        this.#isStored = true;
        this.#lookAgain();
      },
    );
  }

  #becomeReady(): void {
    this.#isReady = true;
    const { world } = this.#options;
    this.#readyWhenLinked(world.clock.mono() + ownersPatienceMs);
  }

  /**
   * Whoever is told that this node is ready may send to anybody at once. An owner who cannot be reached, or of whom nothing has been heard since
   * this node was started again, does not keep it waiting for long.
   */
  #readyWhenLinked(until: Millis): void {
    const { name, linked, keeper, world, onReady } = this.#options;
    const statuses = new Map(this.#options.members().map(member => [member.name, member.status]));
    const isMissing = (owner: string): boolean =>
      owner !== name && !linked.has(owner) && ['up', 'joining', undefined].includes(statuses.get(owner));
    const owners = new Set(keeper.ring?.owners);
    if (![...owners].some(isMissing) || world.clock.mono() >= until) onReady();
    else this.#cancelReady = world.clock.timer(ownersLookMs, () => this.#readyWhenLinked(until));
  }

  #compare(own: AppState, holders: readonly RingHolder[], near: readonly RingHolder[]): void {
    for (const { name, app } of holders) if (app.blob !== own.blob) this.#options.onForeign(name);
    const ahead = near.filter(({ app }) => app.blob === own.blob && app.hash !== own.hash && app.epoch >= own.epoch);
    if (ahead.length === 0) return;
    this.#fetch.from(ahead);
    this.#lookAgain();
  }

  /** With all of these, unless another ring has been agreed to, or heard of. Without voters there is nobody to ask. Rejects when it cannot be stored. */
  async found(members: readonly Founder[], voters?: Voters): Promise<void> {
    this.#isFounding = true;
    let ring: Ring | undefined = this.#firstRing(members);
    try {
      if (voters !== undefined) ring = await this.#first.decide(ring, voters);
      if (ring !== undefined) await this.#options.keeper.found(ring);
    } finally {
      this.#isFounding = false;
    }
    if (ring === undefined) this.look();
    else this.#becomeReady();
  }

  #firstRing(members: readonly Founder[]): Ring {
    const { cluster, partitions, name } = this.#options;
    const nobodys = emptyRing({ cluster, partitions, claimant: name });
    const join = members.map(each => ({ name: each.name, zone: each.zone, rack: each.rack, weight: each.weight }));
    const planned = plan(nobodys, { join });
    const ring = isRefusal(planned) ? planned : commit(nobodys, planned, name, new Map());
    if (isRefusal(ring))
      throw new TroupeError('BAD_OPTION', `there can be no ring of ${join.length} nodes: ${ring.error}`);
    return ring as Ring;
  }
}

/** More than half are there. */
function isMost({ names, size }: Voters): boolean {
  return names.length * 2 > size;
}

function isGone(status: MemberView['status']): boolean {
  return status === 'left' || status === 'removed';
}
