// The partitions of this node that change hands: which are handed on now, which come, and what the rest of the node has to know.
//
//     the ring wishes (next) ─▶ look ─▶ Handing (a few at a time) ─▶ cluster.handOn ─▶ before, routes, after: on every node
//
//     at the new owner   before: its threads keep their messages back     after: actors run; its own last word; then they may send
//     at the old owner                                                     after: watches, entries; handing.ts goes on
//     everywhere else                                                      after: what waited goes the new way; the last word the old way
//
// Invariant: a partition is begun again only after a wait that grows; whatever fails, it stays with its owner.

import { TroupeError } from '../../errors.ts';
import type { HandoffHooks, TransferStatus } from '../cluster/handoff-hooks.ts';
import type { FarRouter } from '../far-router.ts';
import type { Gateway } from '../gateway/gateway.ts';
import { type Change, hasMissed } from '../ownership/holdings.ts';
import type { Ring, Transfer } from '../ownership/ring.ts';
import { startable } from '../ownership/ring-plan.ts';
import { isSlot } from '../rebalance/slot-group.ts';
import type { Consent } from '../replicas/giving.ts';
import { Crew } from './crew.ts';
import { Handing } from './handing.ts';
import { Leftovers } from './leftovers.ts';
import { OneAtRest } from './one-at-rest.ts';
import { Retries } from './retries.ts';
import { ringPartitionOf } from './ring-partition.ts';
import { takenOver } from './settling.ts';
import { Takings } from './taking.ts';

/** What it needs of the cluster. */
export interface HandoffCluster {
  /** Makes it the other node's: durable, then everywhere. Rejects with nothing changed, or with the outcome 'unknown' as RingKeeper.handOn. */
  handOn(partition: number, to: string, turn?: number): Promise<unknown>;
  /** Resolves when what this node goes by is on its disk. Rejects when it cannot be stored. */
  ringStored(): Promise<void>;
  isUp(node: string): boolean;
  effectiveRing(): Ring | undefined;
}

export class Handoffs implements HandoffHooks {
  readonly leftovers: Leftovers;
  readonly #router: FarRouter;
  readonly #gateway: Gateway;
  readonly #crew: Crew;
  readonly #takings: Takings;
  readonly #rests = new OneAtRest();
  readonly #running = new Map<number, Handing>();
  /** Those whose new owner is just being written down here. */
  readonly #giving = new Map<number, Consent>();
  /** Given away, and its new owner has not said yet that he knows. */
  readonly #given = new Map<number, { readonly to: string; readonly turn: number }>();
  readonly #retries = new Retries();
  #cluster: HandoffCluster | undefined;
  #looking = false;
  #hasBegun = false;
  #tries = 0;
  #counts = { handed: 0, taken: 0, failed: 0, pausedMs: 0, pausedMsMax: 0 };

  constructor(router: FarRouter, gateway: Gateway, raiseEpochs: (above: number) => Promise<void>) {
    this.#router = router;
    this.#gateway = gateway;
    this.#crew = new Crew(router);
    this.leftovers = new Leftovers(router, gateway, this.#crew);
    this.#takings = new Takings(router, gateway, { crew: this.#crew, leftovers: this.leftovers, raiseEpochs });
    gateway.on('handoff-flush', () => undefined);
    gateway.on('handoff-where', (_from, asked) => this.#where(asked?.partition, asked?.id));
  }

  /** From now on what the ring wishes is done. */
  attach(cluster: HandoffCluster): HandoffHooks {
    this.#cluster = cluster;
    this.#gateway.replicas?.wishes(() => cluster.effectiveRing());
    return this;
  }

  /** Throws OVERLOADED while an actor cannot be moved because its partition is. */
  refuseMove(unit: string, partition: number): void {
    if (this.#gateway.replicas !== null)
      throw new TroupeError(
        'BAD_OPTION',
        `${unit} cannot be moved to another node by itself: its records are kept by several nodes, and go with its partition`,
        { details: { unit, partition } },
      );
    const handing = this.#running.get(partition);
    if (handing === undefined && this.#router.held.get(partition) === undefined) return;
    const where = handing === undefined ? 'just arriving' : `on its way to ${handing.to}`;
    throw new TroupeError('OVERLOADED', `${unit} cannot be moved: its partition is ${where}; try again later`);
  }

  /**
   * Would a guest of it be lost that comes now? Its home gives its partition to nobody meanwhile: what still comes here of it was begun by
   * an earlier owner, or has been called off without our knowing.
   */
  mayClear(partition: number): boolean {
    return this.leftovers.isClearing(partition) || this.#takings.has(partition);
  }

  isHanding(partition: number): boolean {
    return this.#running.has(partition);
  }

  /** Is a partition on its way from here, or to here? */
  get isBusy(): boolean {
    return this.#running.size !== 0 || this.#takings.any;
  }

  #where(partition: unknown, id: unknown): 'deciding' | 'off' {
    return this.#running.get(partition as number)?.id === id ? 'deciding' : 'off';
  }

  /** A thread that has just come up. */
  tellThread(thread: number): void {
    for (const { partition, stage } of this.#router.held.all())
      if (!isSlot(this.#router, partition)) this.#router.control(thread, 'part-hold', { partition, stage });
  }

  // What the ring wishes.

  ringChanged(): void {
    if (this.#looking || this.#cluster === undefined) return;
    this.#looking = true;
    this.#router.host.world.clock.soon(() => {
      this.#looking = false;
      this.#look();
    });
  }

  #look(): void {
    this.#gateway.replicas?.ringChanged();
    const cluster = this.#cluster;
    const ring = cluster?.effectiveRing();
    const { host } = this.#router;
    if (cluster === undefined || ring === undefined || host.closing) return;
    if (!this.#hasBegun) this.leftovers.resume();
    this.#hasBegun = true;
    this.#takings.sweep(new Set(ring.next.filter(({ to }) => to === host.node).map(({ partition }) => partition)));
    const own = ring.next.filter(({ from }) => from === host.node);
    for (const [partition, handing] of this.#running)
      if (!own.some(transfer => transfer.partition === partition && transfer.to === handing.to)) handing.callOff();
    const running = [...this.#running.values()].map(({ partition, to }) => ({ partition, from: host.node, to }));
    const next = own.filter(transfer => this.#whyNot(transfer) === null);
    for (const transfer of startable({ ...ring, next }, running, name => this.#reaches(name))) this.#begin(transfer);
  }

  #reaches(node: string): boolean {
    return this.#cluster?.isUp(node) === true && this.#gateway.linked(node) !== undefined;
  }

  /** Why that transfer is not begun. */
  #whyNot({ partition, to }: Transfer): string | null {
    const { host, held } = this.#router;
    const hasFailed = this.#retries.whyNot(partition, host.now());
    if (hasFailed !== null) return hasFailed;
    if (!this.#reaches(to)) return `node ${to} cannot be reached`;
    const noCopy = this.#gateway.replicas?.giving.whyNot(partition, to);
    if (noCopy !== undefined) return noCopy;
    if (this.#router.shifts?.isBusy === true) return 'a slot is just changing threads here';
    if (held.get(partition)?.stage === 'settling' || !this.#gateway.lastWords.isSettled(partition))
      return 'it has just arrived, and its senders have not all heard of it';
    return null;
  }

  #begin({ partition, to }: Transfer): void {
    const { host } = this.#router;
    const id = `${host.node} ${host.epochs.next()} ${++this.#tries}`;
    const cluster = this.#cluster as HandoffCluster;
    const handing = new Handing({
      router: this.#router,
      gateway: this.#gateway,
      crew: this.#crew,
      rests: this.#rests,
      patienceMs: this.#retries.patienceMs(partition, id),
      handOn: () => this.give(partition, to),
      ringStored: () => cluster.ringStored(),
      ...{ partition, to, id },
    });
    this.#running.set(partition, handing);
    host.events.emit('partition-leaving', { partition, to });
    handing.run().then(
      async stats => {
        this.#counts.handed++;
        this.#counts.pausedMs += stats.pausedMs;
        this.#counts.pausedMsMax = Math.max(this.#counts.pausedMsMax, stats.pausedMs);
        this.#retries.succeeds(partition);
        host.events.emit('partition-left', { partition, to, ...stats });
        // What is kept here for its owner goes when he says so.
        if (this.#gateway.replicas === null) await this.leftovers.clear(partition);
        this.#over(partition);
      },
      error => {
        this.#fails(partition, to, error);
        this.#over(partition);
      },
    );
  }

  #over(partition: number): void {
    this.#running.delete(partition);
    this.ringChanged();
  }

  #fails(partition: number, to: string, error: Error): void {
    const { host } = this.#router;
    const { waitMs, isQueued } = this.#retries.fails(partition, error, host.now());
    this.#gateway.timers.later(waitMs + 1, () => this.ringChanged());
    if (isQueued) return;
    this.#counts.failed++;
    host.world.log.warn(
      { err: error, partition, to, againInMs: waitMs },
      'a partition could not be handed on; it stays',
    );
    host.events.emit('partition-stays', { partition, to, reason: error.message });
  }

  heard(node: string, turnOf: (partition: number) => number): void {
    this.#gateway.lastWords.knows(node, turnOf);
    for (const [partition, { to, turn }] of this.#given)
      if (to === node && turnOf(partition) >= turn) this.#given.delete(partition);
  }

  status(): TransferStatus[] {
    const from = this.#router.host.node;
    const own = (this.#cluster?.effectiveRing()?.next ?? []).filter(transfer => transfer.from === from);
    return own.map(transfer => {
      const { partition, to } = transfer;
      const handing = this.#running.get(partition);
      const { phase = 'pending', bytes = 0, records = 0, etaMs = null } = handing ?? {};
      const why = handing === undefined ? (this.#whyNot(transfer) ?? 'others are on their way') : handing.why;
      return { partition, from, to, phase, bytes, records, etaMs, why };
    });
  }

  // A partition changes hands.

  before(changes: readonly Change[]): void {
    for (const change of changes) {
      const { partition, from, to, turn } = change;
      if (to !== this.#router.host.node || this.#isRenewed(change)) continue;
      this.#gateway.replicas?.willLead(partition);
      const isTaken = this.#gateway.replicas?.isTaken(partition, turn) === true;
      this.#gateway.lastWords.begin(partition, turn, from, isTaken);
      if (isTaken) this.#gateway.lastWords.cut(partition, turn, from);
      this.#router.hands.hold(partition, 'settling');
      // Threads hear of it in this order, on one link each: keep back, the new routes, run.
      this.#router.broadcast('part-hold', { partition, stage: 'settling' });
    }
  }

  /** It was led here all the time: its group has agreed to this node once more. */
  #isRenewed({ partition, from, to }: Change): boolean {
    return from === to && to === this.#router.host.node && this.#gateway.replicas?.leads(partition) === true;
  }

  after(changes: readonly Change[]): void {
    for (const change of changes) {
      if (this.#isRenewed(change)) this.#gateway.replicas?.renewed(change.partition, change.turn);
      else if (change.to === this.#router.host.node) this.#enter(change);
      else if (change.from === this.#router.host.node) {
        this.#leave(change);
        void this.#lose(change);
      } else this.#pass(change);
    }
    this.ringChanged();
  }

  #enter(change: Change): void {
    const { partition, from } = change;
    const { homes, watches, lastWords } = this.#gateway;
    const { host, hands } = this.#router;
    this.#counts.taken++;
    this.#given.delete(partition);
    const watched = this.#takings.taken(partition);
    this.#guard(partition, () => homes.enter(partition));
    const number = this.#gateway.linked(from);
    if (number !== undefined) for (const unit of watched) watches.watch(unit, number);
    this.#guard(partition, () => hands.run(partition));
    this.#router.broadcast('part-run', partition);
    this.#watchAnew(partition);
    // Each answers behind whatever it has sent here before it heard.
    const heard = this.#crew.surely('part-hold', { partition, stage: 'settling' });
    lastWords.say(change);
    const established = this.#gateway.replicas?.became(partition);
    void Promise.all([heard, lastWords.own(partition), established]).then(() => this.#open(partition));
    host.events.emit('partition-arrived', { partition, from });
  }

  /** What this thread has kept for others is older than what they keep themselves: it has to be there first. */
  async #open(partition: number): Promise<void> {
    this.#router.held.release(partition);
    await this.#crew.ask(this.#router.host.thread, 'part-flush', null).catch(() => undefined);
    this.#router.broadcast('part-release', partition);
    await this.#crew.surely('part-untrack', partition);
    this.ringChanged();
  }

  /** What is kept by others, too. */
  async #lose({ partition, to, turn }: Change): Promise<void> {
    const { replicas } = this.#gateway;
    if (replicas === null) return;
    const consent = this.#giving.get(partition);
    // While it was being written others may have agreed to somebody else, who had no word of this node's and waits for nothing from here.
    if (consent?.turn === turn && consent.holds()) {
      this.#given.set(partition, { to, turn });
      replicas.gave(partition);
    } else {
      this.#gateway.lastWords.cut(partition, turn);
      this.#gateway.watches.handed(partition, false);
      this.#running.get(partition)?.callOff();
      this.#router.held.dropWaiting(
        partition,
        `node ${to} owns partition ${partition} by now; the message was not sent`,
      );
      await replicas.deposed(partition, to);
      this.#router.held.release(partition);
      this.#router.broadcast('part-release', partition);
    }
  }

  /** It is about to become that node's: by this one's own word, if it does. */
  private async give(partition: number, to: string): Promise<void> {
    const { replicas } = this.#gateway;
    const consent = await replicas?.giving.consent(partition, to);
    if (consent !== undefined) this.#giving.set(partition, consent);
    try {
      await (this.#cluster as HandoffCluster).handOn(partition, to, consent?.turn);
    } finally {
      this.#giving.delete(partition);
    }
  }

  /** Messages to it wait, on all threads, until then. */
  holdUntil(partition: number, then: Promise<void>): void {
    this.#router.hands.hold(partition, 'settling');
    this.#router.broadcast('part-hold', { partition, stage: 'settling' });
    void then.then(() => this.#open(partition));
  }

  #leave(change: Change): void {
    const { partition, to } = change;
    const { watches, homes, lastWords } = this.#gateway;
    for (const unit of watches.unitsOf(partition)) this.#guard(partition, () => watches.moved(unit, to));
    homes.leave(partition);
    lastWords.gave(change);
    this.#watchAnew(partition);
  }

  #pass(change: Change): void {
    const { partition, from, to, turn } = change;
    const { lastWords, replicas } = this.#gateway;
    this.#takings.passed(partition, to);
    this.#gateway.watches.handed(partition, this.#gateway.linked(from) !== undefined && !hasMissed(change));
    const number = this.#gateway.linked(from);
    const isOf = (unit: string): boolean => ringPartitionOf(this.#router.host, unit) === partition;
    const waiting = number === undefined ? [] : (this.#router.peers[number]?.takeWaitingOf(isOf) ?? []);
    // It was taken over from here before anybody had heard that it was given away: what others had sent here is not sent on.
    const isLost = this.#given.delete(partition);
    this.#router.host.outside(() => {
      for (const message of waiting)
        if (isLost) message.fail(takenOver(partition, message.to));
        else message.again();
    });
    lastWords.say(change);
    // It may have been given to this node, and taken over from it, without a word of that having come.
    const isUnheard = replicas !== null && hasMissed(change);
    if (isLost || isUnheard) lastWords.cut(partition, turn);
    // What is lost passes nothing on that it had before it knows of that turn.
    if (replicas?.isDown(from) === true) lastWords.cut(partition, turn, from);
    this.#watchAnew(partition);
  }

  #watchAnew(partition: number): void {
    this.#router.hands.watchAnew(partition);
    this.#router.broadcast('part-watched', partition);
  }

  #guard(partition: number, step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#router.host.world.log.error({ err: error, partition }, 'a partition that changed hands');
    }
  }

  /** A session has ended. */
  lost(name: string): void {
    this.#takings.lost(name);
    this.ringChanged();
  }

  describe(): object {
    return {
      ...this.#counts,
      running: [...this.#running.values()].map(({ partition, to, phase, bytes }) => ({ partition, to, phase, bytes })),
      taking: this.#takings.describe(),
      retries: this.#retries.describe(),
    };
  }
}
