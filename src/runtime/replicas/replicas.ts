// The partitions that are kept by several nodes, as the thread sees them that speaks for its node: those it owns have followers, of those
// it follows it may become the owner.
//
//     owner lost ─▶ campaign (campaign.ts) ─▶ cluster.takeOver ─▶ became ─▶ followers are brought up to date ─▶ established: it serves
//     owned ─▶ look: who shall keep it ─▶ followers get copies ─▶ the group changes
//     founded with others ─▶ they are its first group: nothing of it runs before a quorum of them follows it
//
// The intuition: a node serves what it owns only once more than half of the group have all that it has, under its turn; and stops when it
// has not been heard of for a lease, or somebody else has been agreed to. So of two who think that they own a partition at most one is heard.
//
// Invariant: nothing is led that the ring says is another's, and nothing that is followed runs.

import { TroupeError } from '../../errors.ts';
import { followerRetryMs, leaseBeatMs, replicasLookMs, roundsPerEpoch } from '../../limits.ts';
import { epochLimit } from '../epochs.ts';
import type { FarRouter } from '../far-router.ts';
import type { Gateway } from '../gateway/gateway.ts';
import { Crew } from '../handoff/crew.ts';
import type { Part } from '../handoff/hands-records.ts';
import type { Ring } from '../ownership/ring.ts';
import { FollowerLinks } from './follower-links.ts';
import { Following } from './following.ts';
import { Giving, promisedAway } from './giving.ts';
import { everybody, firstGroups, type Groups, isAlone, type Position, wishedIn } from './groups.ts';
import { Leading } from './leading.ts';
import { Lease } from './lease.ts';
import { MissingCopies } from './missing-copies.ts';
import { ReplicaRecords } from './replica-records.ts';
import type { ReplicaCluster, ReplicasOptions } from './replicas-options.ts';
import { Takeovers } from './takeovers.ts';

/** One that has become this node's, until a quorum has all of it. */
interface Beginning {
  readonly established: Promise<void>;
  readonly isEstablished: () => void;
  /** Resolves when it is led, or not to be led any more. */
  begun: Promise<void>;
}

export class Replicas {
  readonly following: Following;
  readonly giving: Giving;
  readonly #router: FarRouter;
  readonly #gateway: Gateway;
  readonly #options: ReplicasOptions;
  readonly #crew: Crew;
  readonly #records: ReplicaRecords;
  readonly #lease: Lease;
  readonly #takeovers: Takeovers;
  readonly #links: FollowerLinks;
  readonly #leading = new Map<number, Leading>();
  /** Those that are not established yet. */
  readonly #beginnings = new Map<number, Beginning>();
  /** Of partitions that have just been founded, until they are led. */
  #firstGroups = new Map<number, string[]>();
  readonly #missing: MissingCopies;
  #cluster: ReplicaCluster | undefined;
  #ring: () => Ring | undefined = () => undefined;
  #hasStarted = false;
  #hasRoutes = false;
  #deposed = 0;

  constructor(router: FarRouter, gateway: Gateway, options: ReplicasOptions) {
    const { host } = router;
    this.#router = router;
    this.#gateway = gateway;
    this.#options = options;
    this.#crew = new Crew(router);
    this.#records = new ReplicaRecords(host);
    this.#missing = new MissingCopies(host, options.replicas);
    const turnOf = (partition: number): number => this.#cluster?.turnOf(partition) ?? -1;
    const onDenied = (partition: number, turn: number): void => this.#takeovers.begin(partition, turn);
    this.#lease = new Lease(host, gateway, {
      ...{ words: options.words, clockShift: options.clockShift, epochs: options.epochs },
      denies: name => this.#records.promisedAgainst(name, partition => gateway.nodes.ownerOf(partition), turnOf),
      records: this.#records,
      leading: () => this.#leading.values(),
      ...{ isDown: name => this.isDown(name), onDenied },
    });
    this.following = new Following(router, gateway, { crew: this.#crew, records: this.#records, turnOf });
    this.#takeovers = new Takeovers({
      ...{ host, gateway, self: host.node, records: this.#records, lease: this.#lease },
      ownerOf: partition => gateway.nodes.ownerOf(partition),
      ...{ turnOf, now: () => host.now() },
      ask: (name, word, payload) => this.#links.ask(name, word, payload),
      isBeingGiven: partition => gateway.handoffs.isHanding(partition),
      ...{ isDown: name => this.isDown(name), raiseEpochs: above => this.raiseEpochs(above) },
      takeOver: async (partition, turn) => this.#cluster?.takeOver(partition, turn),
    });
    this.#links = new FollowerLinks({
      ...{ router, gateway, crew: this.#crew },
      ...{ epochLimit: () => epochLimit(options.epochs), onDenied },
    });
    this.giving = new Giving({
      ...{ host, records: this.#records, campaigns: this.#takeovers.campaigns, lease: this.#lease },
      turnOf,
      leadingOf: partition => this.#leading.get(partition),
    });
    gateway.on('rep-vote', (from, asked) => this.#takeovers.campaigns.vote(gateway.nameOf(from) ?? '', asked));
    router.on('rep-push', (_from, { partition, parts }) => this.#push(partition, parts));
  }

  attach(cluster: ReplicaCluster): void {
    this.#cluster = cluster;
  }

  /** The ring with what shall move. */
  wishes(ring: () => Ring | undefined): void {
    this.#ring = ring;
  }

  load(): void {
    this.#records.load();
  }

  #push(partition: number, parts: readonly Part[]): Promise<void> {
    const leading = this.#leading.get(partition);
    if (leading !== undefined) return leading.push(parts);
    const beginning = this.#beginnings.get(partition);
    if (beginning !== undefined) return beginning.begun.then(() => this.#push(partition, parts));
    const why = `partition ${partition} is not this node's any more; whether its owner has what was written is not known`;
    return Promise.reject(new TroupeError('FENCED', why, { outcome: 'unknown' }));
  }

  // The ring.

  /** There is a ring, or another one; a node or a link has come or gone. */
  ringChanged(): void {
    if (!this.#hasStarted && this.#ring() !== undefined) {
      this.#hasStarted = true;
      this.#lease.beat();
      this.#lookLater();
    }
    this.look();
  }

  /**
   * The first routes are about to hold: what this node owned in an earlier life waits until the others of its group have agreed that it
   * still does; what has just been founded, until they follow it.
   */
  routes(): void {
    const { node } = this.#router.host;
    if (this.#hasRoutes || this.#gateway.nodes.ownerOf(0) === undefined) return;
    this.#hasRoutes = true;
    const kept = this.#records.kept().filter(([, { groups }]) => !isAlone(groups, node));
    for (const partition of [...kept.map(([partition]) => partition), ...this.#founded()])
      if (this.#gateway.nodes.ownerOf(partition) === node) {
        this.willLead(partition);
        this.#gateway.handoffs.holdUntil(partition, this.became(partition));
      }
  }

  /** Also of a ring of one there is a record of each before anything runs: without one nothing can have been written. */
  #founded(): Iterable<number> {
    const ring = this.#ring();
    if (ring !== undefined)
      this.#firstGroups = firstGroups(ring, {
        ...{ owner: this.#router.host.node, replicas: this.#options.replicas },
        isUp: name => this.#gateway.linked(name) !== undefined,
        isFirst: partition => this.#records.get(partition).turn < 0,
      });
    return this.#firstGroups.keys();
  }

  #lookLater(): void {
    this.#gateway.timers.later(replicasLookMs, () => {
      // Transfers, too, may have waited for what has changed meanwhile.
      this.#gateway.handoffs.ringChanged();
      this.#lookLater();
    });
  }

  look(): void {
    const ring = this.#ring();
    const { host } = this.#router;
    if (ring === undefined || !this.#hasStarted || host.closing) return;
    const downs = new Map<string, boolean>();
    const isDown = (name: string): boolean => {
      const known = downs.get(name) ?? this.#cluster?.isDown(name) === true;
      downs.set(name, known);
      return known;
    };
    for (const [partition, owner] of ring.owners.entries())
      if (owner === host.node) this.#lookAt(ring, partition, isDown);
      else if (isDown(owner)) this.#takeovers.begin(partition);
    this.#missing.look(ring, partition => this.#leading.get(partition)?.copies ?? 1);
  }

  #lookAt(ring: Ring, partition: number, isDown: (name: string) => boolean): void {
    const { host } = this.#router;
    const leading = this.#leading.get(partition);
    const wished = wishedIn(ring, partition, {
      ...{ owner: host.node, groups: leading?.groups ?? [[host.node]], replicas: this.#options.replicas },
      isUp: name => !isDown(name) && this.#gateway.linked(name) !== undefined,
    });
    if (leading === undefined) {
      if (wished.length < 2 || this.#beginnings.has(partition)) return;
      void this.became(partition);
      return;
    }
    const gone = leading.look(wished);
    for (const name of gone) {
      const number = this.#gateway.linked(name);
      if (number !== undefined) this.#gateway.say(number, 'rep-out', { partition, turn: leading.turn });
    }
    if (leading.isAlone && wished.length < 2 && leading.followers.size === 0) {
      // From now on it writes without rounds.
      this.following.isSure(partition, false);
      this.#endLeading(partition, null);
    } else this.#lease.renew(leading);
  }

  // Owning.

  /** From now on what is written of it counts when a quorum has it: said to each thread before it may run anything of it. */
  willLead(partition: number): void {
    const { host } = this.#router;
    // Until it is established nothing of it runs, though what has come is there, and messages wait in front of it.
    this.#lease.set(partition, Number.NEGATIVE_INFINITY);
    void Promise.resolve(this.#router.handlerOf('rep-lead')?.(host.thread, partition)).catch(() => undefined);
    this.#router.broadcast('rep-lead', partition);
  }

  /** Resolves when a quorum has all that is here, under the present turn; or it is not this node's any more. */
  became(partition: number): Promise<void> {
    const before = this.#beginnings.get(partition);
    if (before !== undefined) return before.established;
    const { promise: established, resolve: isEstablished } = Promise.withResolvers<void>();
    const beginning: Beginning = { established, isEstablished, begun: Promise.resolve() };
    this.#beginnings.set(partition, beginning);
    beginning.begun = this.#lead(partition, beginning);
    return established;
  }

  async #lead(partition: number, beginning: Beginning): Promise<void> {
    const { host } = this.#router;
    const isStill = (): boolean => this.#beginnings.get(partition) === beginning;
    while (isStill()) {
      const turn = this.#cluster?.turnOf(partition) ?? 0;
      const origin = this.following.origin(partition);
      const first = this.#firstGroups.get(partition) ?? [host.node];
      try {
        host.epochs.renew();
        const round = host.epochs.next() * roundsPerEpoch;
        const record = await this.#records.change(partition, now => {
          // It has followed a later owner; what the ring on its disk says is older than that.
          if (now.turn > turn) throw promisedAway(partition, now.turn);
          const groups = everybody(now.groups).includes(host.node) ? now.groups : [first];
          return { ...now, turn, groups, round, whole: true, led: true, promised: Math.max(now.promised, turn) };
        });
        if (!isStill()) return;
        await Promise.all(this.#crew.each('rep-lead', partition));
        if (isStill() && this.#cluster?.turnOf(partition) === turn)
          return this.#begin(partition, { turn, groups: record.groups, origin, round });
      } catch (error) {
        const { turn: later } = this.#records.get(partition);
        if (later > turn) this.#takeovers.begin(partition, later);
        else host.world.log.error({ err: error, partition }, 'a partition cannot be served; it is tried again');
        await new Promise<void>(again => this.#gateway.timers.later(followerRetryMs, again));
      }
    }
  }

  #begin(partition: number, from: { turn: number; groups: Groups; round: number; origin: Position | undefined }): void {
    const { host } = this.#router;
    this.#firstGroups.delete(partition);
    this.following.isSure(partition, true);
    const leading = new Leading({
      ...{ self: host.node, partition, turn: from.turn, groups: from.groups, round: from.round },
      isHeardBy: groups => this.#lease.wouldHold(partition, groups),
      store: async (next, at) => {
        await this.#records.change(partition, now => {
          if (now.promised > leading.turn) throw promisedAway(partition, now.promised);
          return { ...now, groups: next, round: at };
        });
      },
      onStored: () => this.#lease.renew(leading),
      follower: (name, of, isFirst) => this.#links.follower(name, of, isFirst ? from.origin : undefined),
      onEstablished: () => host.world.clock.micro(() => void this.#onEstablished(leading)),
      onGroups: () => this.#gateway.handoffs.ringChanged(),
    });
    this.#leading.set(partition, leading);
    this.look();
  }

  async #onEstablished(leading: Leading): Promise<void> {
    // Nothing is said before the lease holds: where nobody has answered yet that it has heard of this node.
    const { host } = this.#router;
    while (!leading.isOver && !this.#lease.holds(leading)) {
      await this.#lease.ask(everybody(leading.groups).filter(name => name !== host.node));
      if (!this.#lease.holds(leading)) await new Promise<void>(again => host.world.clock.timer(leaseBeatMs, again));
    }
    this.#lease.renew(leading);
    if (leading.isOver) return;
    this.#beginnings.get(leading.partition)?.isEstablished();
    this.#beginnings.delete(leading.partition);
    this.look();
  }

  /** A thread that has just come up. */
  tellThread(thread: number): void {
    for (const partition of this.#leading.keys()) this.#router.control(thread, 'rep-lead', partition);
  }

  /** What it had written, and not told anybody of, is here: so the copies are not like it any more. */
  threadDied(): void {
    for (const leading of this.#leading.values()) {
      this.#lease.set(leading.partition, Number.NEGATIVE_INFINITY);
      leading.beginAnew();
    }
  }

  /**
   * All epochs are above this one from now on. Where that is more than the others have been told of, they are told before anything runs under them:
   * whoever takes over from here goes by what they know.
   */
  raiseEpochs(above: number): Promise<void> {
    return this.#lease.raising(above, () => this.#options.raiseEpochs(above));
  }

  isDown(name: string): boolean {
    return this.#cluster?.isDown(name) === true;
  }

  isTaken(partition: number, turn: number): boolean {
    return this.#takeovers.isTaken(partition, turn);
  }

  leads(partition: number): boolean {
    return this.#leading.has(partition);
  }

  /** It is this node's once more, under a later turn: nothing here changes but that. */
  renewed(partition: number, turn: number): void {
    const leading = this.#leading.get(partition);
    if (leading === undefined) return;
    leading.turn = turn;
    const { round } = leading;
    this.#records
      .change(partition, now => ({ ...now, turn, round, whole: true, led: true }))
      .catch(error => {
        this.#router.host.world.log.error(
          { err: error, partition },
          'that a partition is still served here could not be stored',
        );
      });
  }

  /** It has been given to another node, with all there is. */
  gave(partition: number): void {
    this.#endLeading(partition, null);
  }

  /** Another node has been agreed to: whatever of it runs here ends, and what it was about to say is not said. */
  async deposed(partition: number, to: string): Promise<void> {
    this.#deposed++;
    this.#lease.set(partition, Number.NEGATIVE_INFINITY);
    const why = `node ${to} owns partition ${partition} by now: nobody here speaks for it any more`;
    const error = new TroupeError('FENCED', why, { outcome: 'unknown', retryable: true });
    this.following.isSure(partition, false);
    // Each thread hears these in this order: what it commits in between nobody is told of.
    const ended = this.#crew.surely('part-depose', { partition, why });
    this.#endLeading(partition, error);
    await ended;
    // Nothing of it is here any more that could run.
    if (!this.#beginnings.has(partition)) this.#lease.set(partition, Number.POSITIVE_INFINITY);
  }

  #endLeading(partition: number, error: TroupeError | null): void {
    const leading = this.#leading.get(partition);
    this.#leading.delete(partition);
    this.#beginnings.get(partition)?.isEstablished();
    this.#beginnings.delete(partition);
    leading?.end(error ?? new TroupeError('STOPPED', `partition ${partition} is not led here any more`));
    this.#crew.each('rep-end', { partition, why: error?.message ?? null });
    this.#lease.set(partition, error === null ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY);
  }

  // What is asked.

  /** Is anything of another node kept here? */
  get follows(): boolean {
    const { node } = this.#router.host;
    return this.#records.kept().some(([partition]) => this.#gateway.nodes.ownerOf(partition) !== node);
  }

  describe(): object {
    return {
      ...{ deposed: this.#deposed, refused: this.#links.refused, takenOver: this.#takeovers.taken },
      leaseMs: this.#lease.leftMs,
      copies: this.#missing.describe(),
      leading: [...this.#leading.values()].map(leading => leading.describe()),
      following: this.#records
        .kept()
        .filter(([partition]) => !this.#leading.has(partition))
        .map(([partition, record]) => ({ partition, ...record })),
      asking: this.#takeovers.describe(),
    };
  }
}
