// A partition that this node owns and others keep copies of: what is written counts when more than half have it.
//
//     push ─▶ round 17 ─▶ followers ─▶ acknowledged by more than half ─▶ the push is answered, and with it whoever waits for the write
//
//     groups change (groups.ts) by a round like any other: they hold here from the moment they are stored, and so does the lease by them
//
// Invariants: rounds are answered in their order; nothing is answered once somebody else owns the partition; `established` when a
// quorum has all that is here, which no answer may precede.

import type { TroupeError } from '../../errors.ts';
import type { Part } from '../handoff/hands-records.ts';
import type { Follower } from './follower.ts';
import { everybody, type Groups, isAlone, isKept, isQuorum, nextGroups } from './groups.ts';

export interface LeadingSeams {
  readonly self: string;
  readonly partition: number;
  readonly turn: number;
  readonly groups: Groups;
  /** Rounds of this life begin above it. */
  readonly round: number;
  /** False: too few of them have heard of this node lately for it to go on speaking when they are to decide. */
  isHeardBy(groups: Groups): Promise<boolean>;
  /** Stores the groups; resolves when they survive the power. */
  store(groups: Groups, round: number): Promise<void>;
  /** They hold from now on, and nobody has been told. */
  onStored(): void;
  /** `isFirst`: nothing has been pushed yet, so it is told of everything that is. */
  follower(name: string, leading: Leading, isFirst: boolean): Follower;
  onEstablished(): void;
  /** They are agreed to. */
  onGroups(): void;
}

interface Waiting {
  readonly round: number;
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

export class Leading {
  readonly partition: number;
  turn: number;
  groups: Groups;
  round: number;
  isEstablished = false;
  readonly followers = new Map<string, Follower>();
  readonly #seams: LeadingSeams;
  /** Of this node's: each time it leads a partition it is a later one. */
  readonly life: number;
  #waiting: Waiting[] = [];
  #copied: Promise<unknown> = Promise.resolve();
  /** The round that a quorum has when it has all that was here at first. */
  #establishedBy: number;
  #isChanging = false;
  #wished: readonly string[] = [];
  #error: TroupeError | undefined;

  constructor(seams: LeadingSeams) {
    this.#seams = seams;
    this.partition = seams.partition;
    this.turn = seams.turn;
    this.groups = seams.groups;
    // The first round says whose it is.
    this.round = seams.round + 1;
    this.life = this.round;
    this.#establishedBy = this.round;
    for (const name of everybody(this.groups)) this.#follow(name, true);
    this.#look();
  }

  /** Copies are made one after the other. */
  inTurn(copy: () => Promise<void>): Promise<void> {
    const done = this.#copied.then(copy);
    this.#copied = done.catch(() => undefined);
    return done;
  }

  /** There is something here that nobody was sent, and nobody shall be told of before a quorum has it. */
  beginAnew(): void {
    this.isEstablished = false;
    this.#establishedBy = ++this.round;
    for (const follower of this.followers.values()) follower.anew();
    this.#look();
  }

  get isAlone(): boolean {
    return isAlone(this.groups, this.#seams.self);
  }

  /** How many of its group have all there is, this node included; not those that are away. */
  get copies(): number {
    const { self } = this.#seams;
    const group = this.groups.at(-1) ?? [];
    return group.filter(name => name === self || this.followers.get(name)?.isThere === true).length;
  }

  get isOver(): boolean {
    return this.#error !== undefined;
  }

  /** Resolves when more than half have it. Rejects as unknown when somebody else owns the partition by now. */
  push(parts: readonly Part[]): Promise<void> {
    if (this.#error !== undefined) return Promise.reject(this.#error);
    for (const follower of this.followers.values()) follower.add(parts);
    return this.#next();
  }

  /** Resolves when more than half have all that was pushed before. */
  #next(): Promise<void> {
    const { promise, resolve: done, reject: failed } = Promise.withResolvers<void>();
    this.#waiting.push({ round: ++this.round, done, failed });
    for (const follower of this.followers.values()) follower.look();
    this.#look();
    return promise;
  }

  hasReached(name: string, round: number): boolean {
    const follower = this.followers.get(name);
    return follower?.isFollowing === true && follower.acked >= round;
  }

  // Followers.

  #follow(name: string, isFirst: boolean): void {
    if (name === this.#seams.self || this.followers.has(name)) return;
    this.followers.set(name, this.#seams.follower(name, this, isFirst));
  }

  /** Some of them are up, others shall be among them: called whenever something has changed. Those that are not any more are returned. */
  look(wished: readonly string[]): string[] {
    if (this.#error !== undefined) return [];
    const all = new Set([...everybody(this.groups), ...wished]);
    for (const name of all) this.#follow(name, false);
    // Until the new group is agreed to, those of the old one may be needed.
    const gone = this.#isChanging ? [] : [...this.followers.keys()].filter(name => !all.has(name));
    for (const name of gone) {
      this.followers.get(name)?.end();
      this.followers.delete(name);
    }
    for (const follower of this.followers.values()) follower.look();
    this.#wished = wished;
    this.#step();
    return gone;
  }

  /** The next groups, when enough of them have a copy, and the ones before are agreed on. */
  #step(): void {
    if (this.#isChanging || !this.isEstablished || this.isOver || this.#wished.length === 0) return;
    const { self } = this.#seams;
    const hasCopy = (name: string): boolean => name === self || this.followers.get(name)?.isFollowing === true;
    const next = nextGroups(this.groups, this.#wished, hasCopy);
    if (next === undefined) return;
    this.#isChanging = true;
    void this.#change(next).then(hasChanged => {
      this.#isChanging = false;
      if (hasChanged) this.#step();
      if (hasChanged) this.#seams.onGroups();
    });
  }

  /** False: the disk is full, they cannot be heard, or it is another's. It is looked at again. */
  async #change(next: Groups): Promise<boolean> {
    try {
      if (!(await this.#seams.isHeardBy(next)) || this.isOver) return false;
      await this.#seams.store(next, this.round);
      if (this.isOver) return false;
      this.groups = next;
      this.#seams.onStored();
      await this.#next();
      return true;
    } catch {
      return false;
    }
  }

  acked(): void {
    this.#look();
    this.#step();
  }

  #has(round: number): (name: string) => boolean {
    const { self } = this.#seams;
    return name => name === self || (this.followers.get(name)?.acked ?? -1) >= round;
  }

  #look(): void {
    if (this.#error !== undefined) return;
    if (!this.isEstablished && isQuorum(this.groups, this.#has(this.#establishedBy))) {
      this.isEstablished = true;
      this.#seams.onEstablished();
    }
    const waits = this.#waiting.findIndex(({ round }) => !isKept(this.groups, this.#has(round)));
    for (const { done } of this.#waiting.splice(0, waits < 0 ? this.#waiting.length : waits)) done();
  }

  /** Somebody else owns it, or nobody else has to keep it: what waits is told so. */
  end(error: TroupeError): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    for (const follower of this.followers.values()) follower.end();
    for (const { failed } of this.#waiting.splice(0)) failed(error);
  }

  describe(): object {
    const followers = [...this.followers].map(([name, { isFollowing, acked }]) => ({
      name,
      isFollowing,
      behind: acked < 0 ? null : this.round - acked,
    }));
    const { partition, turn, groups, copies, isEstablished } = this;
    return { partition, turn, groups, copies, established: isEstablished, waiting: this.#waiting.length, followers };
  }
}
