// How a partition gets another owner when its own is lost: one who has all that was acknowledged asks the others of its group.
//
//     the owner is down ─▶ promise to oneself, durable ─▶ 'rep-vote' to the others ─▶ more than half agree ─▶ owner, under a later turn
//                                                             └─ no: one has more, or the owner was heard of, or a later turn is promised
//
// Intuition: this is how Raft chooses a leader (Ongaro 2014, 3.4 and 3.6.1), with the partition's turn for a term and its round for a log.
// Each agrees once a turn, and to nobody who has less than itself; so the new owner has whatever more than half have acknowledged.
//
// Invariants: a promise is durable before it is told; whoever has promised a turn acknowledges nothing of an earlier one.

import { TroupeError } from '../../errors.ts';
import { campaignYieldMs } from '../../limits.ts';
import { numberIn, textIn } from '../gateway/words.ts';
import type { Millis } from '../world.ts';
import { comparePositions, everybody, isQuorum, type Position } from './groups.ts';
import type { Lease } from './lease.ts';
import { positionOf, type ReplicaRecord, type ReplicaRecords } from './replica-records.ts';

export interface CampaignSeams {
  readonly self: string;
  readonly records: ReplicaRecords;
  readonly lease: Lease;
  ownerOf(partition: number): string | undefined;
  turnOf(partition: number): number;
  now(): Millis;
  /** Rejects when there is no link, or no answer in time. */
  ask<T>(name: string, word: string, payload: object): Promise<T>;
}

interface Vote {
  readonly agrees: boolean;
  readonly why: string;
  readonly promised: number;
  /** What ran under the last owner did so under epochs below it, as far as that one knows. */
  readonly epoch: number;
}

export interface Won {
  readonly turn: number;
  readonly epoch: number;
}

export class Campaigns {
  readonly #seams: CampaignSeams;
  /**
   * The latest turn that somebody of the group has asked for or promised, agreed to or not. Without it two would go on asking for the same
   * turn for ever: one that has less, and always asks first, and the other, who is always told that this turn is promised already.
   */
  readonly #heard = new Map<number, number>();
  /** Until when another one of the group is let go first: he has more than this node, and its turns would be in his way. */
  readonly #yields = new Map<number, Millis>();

  /** By partition: the owner, as it was then, who has been agreed to anew in this life. */
  readonly #anew = new Map<number, string>();

  constructor(seams: CampaignSeams) {
    this.#seams = seams;
  }

  heardOf(partition: number): number {
    return this.#heard.get(partition) ?? -1;
  }

  #hear(partition: number, turn: number): void {
    if (turn > this.heardOf(partition)) this.#heard.set(partition, turn);
  }

  /** Had this node better not ask now? */
  yields(partition: number): boolean {
    return (this.#yields.get(partition) ?? 0) > this.#seams.now();
  }

  /** Asks the others to agree that `to` owns it under that turn. `isGiven`: its owner asks, who gives it away. Throws QUORUM. */
  async agree(partition: number, turn: number, to: string, isGiven: boolean): Promise<Won> {
    const { self, records, ask } = this.#seams;
    const own = await records.change(partition, now => {
      if (now.promised > turn || (now.promised === turn && now.promisedTo !== to))
        throw this.#refused(partition, `it has promised turn ${now.promised} to ${now.promisedTo}`, now.promised);
      if (!isGiven && !now.whole) throw this.#refused(partition, 'its copy is not whole', now.promised);
      const speaks = isGiven ? undefined : this.#mayStillSpeak(partition, now, to);
      if (speaks !== undefined) throw this.#refused(partition, speaks, now.promised);
      return now.promised === turn ? undefined : { ...now, promised: turn, promisedTo: to };
    });
    // Heard of while that was written: whoever hears of it from now on is told of the promise.
    if (!isGiven && !this.#isLost(partition, to)) throw this.#refused(partition, 'its owner was heard of', turn);
    const position = isGiven ? null : positionOf(own);
    const agreed = new Set([self]);
    if (to !== self && isGiven) agreed.add(to);
    const isAgreed = (): boolean => isQuorum(own.groups, name => agreed.has(name));
    let epoch = Math.max(own.epoch, records.epochsOf(this.#seams.ownerOf(partition) ?? ''));
    let promised = turn;
    const refusals: string[] = [];
    const others = everybody(own.groups).filter(name => !agreed.has(name));
    const votes = others.map(async name => {
      try {
        const vote = await ask<Vote>(name, 'rep-vote', { partition, turn, to, position });
        epoch = Math.max(epoch, numberIn(vote.epoch));
        promised = Math.max(promised, numberIn(vote.promised));
        if (vote.agrees) agreed.add(name);
        else refusals.push(`${name}: ${vote.why}`);
      } catch (error) {
        refusals.push(`${name}: ${(error as Error).message}`);
      }
      return isAgreed();
    });
    // Whoever is lost does not keep the others waiting.
    if (!isAgreed()) await anyOf(votes);
    this.#hear(partition, promised);
    if (isAgreed()) return { turn, epoch };
    throw this.#refused(partition, refusals.join('; '), promised);
  }

  #refused(partition: number, why: string, promised: number): TroupeError {
    return new TroupeError('QUORUM', `no quorum agrees to another owner of partition ${partition}: ${why}`, {
      // Whoever wanted to give it away knows that it stays: nothing was written.
      outcome: 'failed',
      details: { partition, promised },
    });
  }

  /** Somebody asks this node. */
  async vote(name: string, asked: Record<string, unknown> | null): Promise<Vote> {
    const { records } = this.#seams;
    const [partition, turn, to] = [numberIn(asked?.partition), numberIn(asked?.turn), textIn(asked?.to)];
    const position = asked?.position == null ? undefined : positionIn(asked.position);
    let why: string | undefined;
    const record = await records.change(partition, now => {
      why = this.#whyNot(now, { partition, name, turn, to, position });
      if (why !== undefined || now.promised === turn) return undefined;
      return { ...now, promised: turn, promisedTo: to };
    });
    if (why === undefined && position !== undefined && !this.#isLost(partition, name)) why = 'its owner was heard of';
    if (why === undefined && this.#seams.ownerOf(partition) === name) this.#anew.set(partition, name);
    if (isMember(record, { to, position })) this.#hear(partition, turn);
    const hasMore = position !== undefined && comparePositions(position, positionOf(record)) > 0;
    if (hasMore) this.#yields.set(partition, this.#seams.now() + campaignYieldMs);
    const epoch = Math.max(record.epoch, this.#seams.records.epochsOf(this.#seams.ownerOf(partition) ?? ''));
    return { agrees: why === undefined, why: why ?? '', promised: record.promised, epoch };
  }

  /** As far as this node has heard, or it is the owner itself who asks. */
  #isLost(partition: number, asker: string): boolean {
    const owner = this.#seams.ownerOf(partition) ?? '';
    return owner === asker || this.#seams.lease.isOver(owner);
  }

  #whyNot(
    now: ReplicaRecord,
    asked: { partition: number; name: string; turn: number; to: string; position: Position | undefined },
  ): string | undefined {
    const { lease, ownerOf, turnOf } = this.#seams;
    const { partition, name, turn, to, position } = asked;
    const owner = ownerOf(partition) ?? '';
    if (turn < now.promised || (turn === now.promised && now.promisedTo !== to))
      return `turn ${now.promised} is promised to ${now.promisedTo}`;
    if (turn <= turnOf(partition)) return `turn ${turnOf(partition)} is ${owner}'s`;
    if (!isMember(now, { to, position })) return `${to} is not of its group`;
    // The owner says so itself: what it has acknowledged is where it says.
    if (position === undefined) return name === owner ? undefined : `${name} is not its owner`;
    if (comparePositions(positionOf(now), position) > 0) return 'it has more here';
    if (name !== owner && !lease.isOver(owner)) return `${owner} was heard of`;
    return this.#mayStillSpeak(partition, now, name);
  }

  /**
   * Whoever was agreed to as the owner anew, under a turn that is later than the one under which another has become it since: where nobody has
   * told him, he speaks for it until his lease is over.
   */
  #mayStillSpeak(partition: number, { promised, promisedTo }: ReplicaRecord, asker: string): string | undefined {
    const { lease, ownerOf, turnOf } = this.#seams;
    const mayBe = this.#anew.get(partition) === promisedTo || lease.isYoung;
    const isOther = mayBe && ![asker, ownerOf(partition), ''].includes(promisedTo);
    if (!isOther || promised <= turnOf(partition) || !lease.maySpeak(promisedTo, partition)) return undefined;
    return `it has promised turn ${promised} to ${promisedTo}, who may speak yet`;
  }
}

/**
 * As far as this node knows. A group changes by a round: one who has later ones knows a later group, and whether it is of it; this one is asked
 * because it is. (Raft, too, goes by the configuration of the candidate: Ongaro 2014, 4.1.)
 */
function isMember(now: ReplicaRecord, { to, position }: { to: string; position: Position | undefined }): boolean {
  if (everybody(now.groups).includes(to)) return true;
  return position !== undefined && comparePositions(position, positionOf(now)) > 0;
}

/** Resolves with the first that is true, or when none of them is. They do not reject. */
async function anyOf(all: readonly Promise<boolean>[]): Promise<void> {
  const isOne = all.map(each =>
    each.then(is => {
      if (!is) throw new Error('not that one');
    }),
  );
  await Promise.any(isOne).catch(() => undefined);
}

function positionIn(value: unknown): Position {
  const { turn, round } = (value ?? {}) as { turn?: unknown; round?: unknown };
  return { turn: numberIn(turn), round: numberIn(round) };
}
