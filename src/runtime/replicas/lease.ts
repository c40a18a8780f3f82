// How long a node may still speak for the partitions that it owns: as long as a quorum of each has heard of it so lately that none of
// them agrees to another owner yet.
//
//     owner   asks at 3.0 ──────▶ n2 hears it at 3.1     n2 agrees to nobody else before 3.1 + leaseMs and a margin
//             answer at 3.2 ◀─────                       the owner counts from when it asked: until 3.0 + leaseMs
//
// Intuition: each side counts from a moment that it has seen itself, and the owner from the earlier one: so no two clocks are compared, only
// how fast they go. A process that was stopped finds that its time is over by looking at its clock.
//
// Source: Gray and Cheriton 1989; Ongaro 2014, 6.4.1.

import { TroupeError } from '../../errors.ts';
import { leaseBeatMs, leaseMarginMs, leaseMs, leaseWriteMs } from '../../limits.ts';
import { type EpochMemory, epochLimit, epochsBelow } from '../epochs.ts';
import type { Gateway } from '../gateway/gateway.ts';
import { numberIn } from '../gateway/words.ts';
import type { Host } from '../host.ts';
import { inTime } from '../in-time.ts';
import { everybody, type Groups, heardSince } from './groups.ts';
import type { Leading } from './leading.ts';
import type { LeaseWords } from './lease-guard.ts';
import type { ReplicaRecords } from './replica-records.ts';

/** Partitions, and the turn under which another owner has been agreed to. */
export type Denied = readonly (readonly [partition: number, turn: number])[];

interface Alive {
  readonly denied: Denied;
  /** All epochs that the node which asked may use are below it, as far as is written down here. */
  readonly below: number;
}

/** By the clock that never goes back, and by the one on the wall. */
interface Moment {
  readonly mono: number;
  readonly wall: number;
}

export interface LeaseSeams {
  /** Of this node: it may run under those only that the others know of, or whoever takes over from it may begin below them. */
  readonly epochs: EpochMemory;
  /** Partitions of that node for which this one has agreed to another owner: for them it has not heard of it. */
  denies(name: string): Denied;
  /** Of what this node has promised to anybody, itself too, and of the epochs of others. */
  readonly records: Pick<ReplicaRecords, 'get' | 'hearEpochs' | 'epochsOf'>;
  leading(): Iterable<Leading>;
  /** Of gossip. */
  isDown(name: string): boolean;
  /** Somebody has agreed to another owner, or this node has asked for it in vain, under that turn: no group can change before a later one. */
  onDenied(partition: number, turn: number): void;
  /** What threads look at (lease-guard.ts), and what it counts in, less this thread's own clock. */
  readonly words: LeaseWords;
  readonly clockShift: number;
}

export class Lease {
  readonly #host: Host;
  readonly #gateway: Gateway;
  /** When that node was asked what it has answered since. */
  readonly #askedAt = new Map<string, Moment>();
  readonly #heardAt = new Map<string, number>();
  /** The limit of epochs of this node that that one knows of. */
  readonly #told = new Map<string, number>();
  /** All may be handed out that are below. */
  #needed = 0;
  /** By node, by partition: since when it has been denied that one, at each beat. */
  readonly #denies = new Map<string, ReadonlyMap<number, number>>();
  /** By node: partitions of ours for which it has agreed to another owner. */
  readonly #deniedBy = new Map<string, ReadonlyMap<number, number>>();
  readonly #seams: LeaseSeams;
  /** Nodes whose epochs could not be written down. */
  readonly #unwritten = new Set<string>();
  /** What an earlier life has heard just before is not known. */
  readonly #startedAt: number;

  constructor(host: Host, gateway: Gateway, seams: LeaseSeams) {
    this.#host = host;
    this.#gateway = gateway;
    this.#seams = seams;
    this.#startedAt = host.now();
    gateway.on('rep-alive', (from, epoch) => this.#heard(from, numberIn(epoch)));
  }

  /** Answered with what its next life would know of, too; what cannot be written soon is no reason to let a lease end that does without it. */
  async #heard(from: number, epoch: number): Promise<Alive> {
    const name = this.#gateway.nameOf(from) ?? '';
    const { records } = this.#seams;
    const hearing = records.hearEpochs(name, epoch);
    if (hearing !== undefined) await this.#written(name, hearing);
    return { denied: this.#answer(name), below: records.epochsOf(name) };
  }

  async #written(name: string, hearing: Promise<void>): Promise<void> {
    const { clock, log } = this.#host.world;
    try {
      await inTime(clock, leaseWriteMs, hearing, () => new TroupeError('DEADLINE', `not within ${leaseWriteMs} ms`));
      this.#unwritten.delete(name);
    } catch (error) {
      if (!this.#unwritten.has(name))
        log.warn(
          { err: error, node: name },
          'how far the epochs of a node have got could not be written down; it is tried again',
        );
      this.#unwritten.add(name);
    }
  }

  #answer(name: string): Denied {
    this.#heardAt.set(name, this.#host.now());
    const denied = this.#seams.denies(name);
    const before = this.#denies.get(name);
    const now = this.#host.now();
    this.#denies.set(name, new Map(denied.map(([partition]) => [partition, before?.get(partition) ?? now])));
    return denied;
  }

  /** May another node be agreed to, as far as that one is concerned? */
  isOver(name: string): boolean {
    return this.#host.now() > (this.#heardAt.get(name) ?? this.#startedAt) + leaseMs + leaseMarginMs;
  }

  /** What an earlier life has answered may hold still. */
  get isYoung(): boolean {
    return this.#host.now() <= this.#startedAt + leaseMs + leaseMarginMs;
  }

  /** May that node still speak for a partition by what it was answered here? */
  maySpeak(name: string, partition: number): boolean {
    const since = this.#denies.get(name)?.get(partition);
    return !this.isOver(name) && (since === undefined || this.#host.now() <= since + leaseMs + leaseMarginMs);
  }

  // What threads look at.

  /** Tells those that keep what is led here that this node is alive, again and again. */
  beat(): void {
    const { leading, onDenied, records } = this.#seams;
    void this.ask(this.#others()).then(() => {
      for (const each of leading()) {
        this.renew(each);
        const under = Math.max(this.#deniedUnder(each.partition), records.get(each.partition).promised);
        if (under > each.turn) onDenied(each.partition, under);
      }
    });
    this.#gateway.timers.later(leaseBeatMs, () => this.beat());
  }

  #others(): Set<string> {
    const names = new Set([...this.#seams.leading()].flatMap(({ groups }) => everybody(groups)));
    names.delete(this.#host.node);
    return names;
  }

  /** All epochs are about to be above that one: the others are told before they are, and of what is led with those who do not know the lease is over. */
  async raising(above: number, raise: () => Promise<void>): Promise<void> {
    const { epochs, leading, isDown } = this.#seams;
    const below = epochsBelow(epochs, above);
    if (below > epochsBelow(epochs)) {
      // Whoever is down is not waited for.
      const names = [...this.#others()].filter(name => !isDown(name));
      await this.ask(names, epochLimit(epochs, above));
      this.#needed = Math.max(this.#needed, below);
      for (const each of leading()) this.renew(each);
    }
    await raise();
  }

  holds({ partition, groups }: Pick<Leading, 'partition' | 'groups'>): boolean {
    return this.#until(partition, groups, 'mono') >= this.#host.now();
  }

  /** Would it hold with them to decide? Whoever is new among them is asked first. */
  async wouldHold(partition: number, groups: Groups): Promise<boolean> {
    if (!this.holds({ partition, groups })) await this.ask(everybody(groups).filter(name => name !== this.#host.node));
    return this.holds({ partition, groups });
  }

  renew(leading: Leading): void {
    const { partition, groups, isEstablished, isOver } = leading;
    if (isEstablished && !isOver)
      this.set(partition, this.#until(partition, groups, 'mono'), this.#until(partition, groups, 'wall'));
  }

  /** Renewed before its time, if there is little left of it: for what is begun under it, and has to end under it. */
  async freshen(leading: Leading): Promise<void> {
    const { groups } = leading;
    if (this.#until(leading.partition, groups, 'mono') - this.#host.now() > leaseMs / 2) return;
    await this.ask(everybody(groups).filter(name => name !== this.#host.node));
    this.renew(leading);
  }

  /** Infinity: it needs none. -Infinity: nothing of it may run. */
  set(partition: number, until: number, wallUntil: number = until): void {
    const { words, clockShift } = this.#seams;
    const half = words.length / 2;
    words[partition + 1] = until + clockShift;
    words[half + partition + 1] = wallUntil;
    for (const first of [0, half]) {
      let earliest = Number.POSITIVE_INFINITY;
      for (let at = first + 1; at < first + half; at++) earliest = Math.min(earliest, words[at] as number);
      words[first] = earliest;
    }
  }

  /**
   * The lease as it is now: true as long as it lasts. Until then nobody is agreed to but whom this node itself asks for, so what it gives away
   * meanwhile is its own to give.
   */
  lasting(partition: number): () => boolean {
    const { words, clockShift } = this.#seams;
    const [until, wallUntil] = [words[partition + 1] as number, words[words.length / 2 + partition + 1] as number];
    return () => this.#host.now() + clockShift <= until && this.#host.world.clock.now() <= wallUntil;
  }

  /** Of the partition that has the least, at most leaseMs. */
  get leftMs(): number {
    const { words, clockShift } = this.#seams;
    return Math.min(leaseMs, (words[0] as number) - clockShift - this.#host.now());
  }

  /** The latest turn under which anybody has agreed to another owner; -1: nobody has, as far as is known. */
  #deniedUnder(partition: number): number {
    return Math.max(-1, ...[...this.#deniedBy.values()].map(denied => denied.get(partition) ?? -1));
  }

  /** Until when this node may speak for a partition of theirs. */
  #until(partition: number, groups: Groups, by: keyof Moment): number {
    const never = Number.NEGATIVE_INFINITY;
    const needed = Math.max(this.#needed, epochsBelow(this.#seams.epochs));
    const askedAt = (name: string): number =>
      this.#deniedBy.get(name)?.has(partition) === true || (this.#told.get(name) ?? 0) < needed
        ? never
        : (this.#askedAt.get(name)?.[by] ?? never);
    return heardSince(groups, this.#host.node, askedAt) + leaseMs;
  }

  /** Resolves when all have answered, or it is time to ask again. */
  async ask(names: Iterable<string>, limit: number = epochLimit(this.#seams.epochs)): Promise<void> {
    const { clock } = this.#host.world;
    const asked = [...names].map(async name => {
      const number = this.#gateway.linked(name);
      if (number === undefined) return;
      const at = { mono: this.#host.now(), wall: clock.now() };
      const answer = this.#gateway.asked(number, 'rep-alive', limit);
      const alive = (await inTime(clock, leaseBeatMs, answer, () => new Error('late'))) as Partial<Alive> | null;
      const below = numberIn(alive?.below);
      this.#deniedBy.set(name, new Map(Array.isArray(alive?.denied) ? alive.denied : []));
      if (at.mono >= (this.#askedAt.get(name)?.mono ?? 0)) this.#askedAt.set(name, at);
      this.#told.set(name, Math.max(below, this.#told.get(name) ?? 0));
    });
    await Promise.allSettled(asked);
  }
}
