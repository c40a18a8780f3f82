// The first ring of a cluster, agreed to by more than half of those that join each other (decree.ts).
//
//     founder ──'found-ask' ballot──▶ voters ──vote──▶ more than half ──'found-accept' ballot, ring──▶ voters ──vote──▶ more than half ──▶ it is the ring
//                                       └── has a ring by now ──its state──▶ the founder takes that one
//
// The intuition: a founder that stored its ring, and was lost before anybody heard of it, came back to a cluster that the others had
// founded meanwhile: two births, which never mix. So a ring is stored as one only when it cannot be another any more: whoever founds
// after a founder that was lost finds what it has proposed with one of its own voters, and goes on with that.
//
// Invariants: nobody hears of a vote before it is durable, its own node included; votes are written one after the other; whoever has a
// ring votes no more. Where not all name the same nodes in `join` it holds as far as any two majorities have a node in common.

import { TroupeError } from '../../errors.ts';
import { foundAskMs } from '../../limits.ts';
import type { Gateway } from '../gateway/gateway.ts';
import { inTime } from '../in-time.ts';
import type { RingState } from '../ownership/holdings.ts';
import type { Ring } from '../ownership/ring.ts';
import type { World } from '../world.ts';
import { accept, acceptedBy, type Ballot, hasAccepted, hasPromised, promise, type Vote } from './decree.ts';
import type { Voters } from './joining.ts';
import type { RingKeeper } from './ring-keeper.ts';
import type { RingMemory } from './ring-memory.ts';
import { ballotOf, ringOf, voteOf } from './ring-text.ts';

export interface FirstRingOptions {
  readonly cluster: string;
  readonly name: string;
  readonly partitions: number;
  readonly world: Pick<World, 'clock'>;
  readonly gateway: Pick<Gateway, 'on' | 'asked' | 'nameOf'>;
  readonly keeper: Pick<RingKeeper, 'state' | 'hear'>;
  readonly linked: ReadonlyMap<string, number>;
  readonly memory: Pick<RingMemory, 'vote' | 'saveVote'>;
}

export class FirstRing {
  readonly #options: FirstRingOptions;
  #vote: Vote<Ring> | undefined;
  #last: Promise<unknown> = Promise.resolve();
  /** The highest round that anybody spoke of. */
  #round = 0;

  constructor(options: FirstRingOptions) {
    this.#options = options;
    const { cluster, partitions, gateway, memory } = options;
    this.#vote = memory.vote;
    this.#round = memory.vote?.promised.round ?? 0;
    gateway.on('found-ask', (_from, asked) => this.#answer(this.#promise(ballotOf(asked))));
    gateway.on('found-accept', (_from, asked) => {
      const { ballot, ring } = (asked ?? {}) as { ballot?: unknown; ring?: unknown };
      return this.#answer(this.#accept(ballotOf(ballot), ringOf(ring, cluster, partitions)));
    });
  }

  /**
   * The first ring, `own` if none may have been agreed to before; undefined when there is a ring by now. Rejects with OVERLOADED, to be tried
   * again, when fewer than half have agreed in time, and with what keeps this node's own vote from the disk.
   */
  async decide(own: Ring, voters: Voters): Promise<Ring | undefined> {
    const ballot = { round: ++this.#round, by: this.#options.name };
    // Its own vote first: of a ballot that is on no disk its next life knows nothing.
    const promised = await this.#promise(ballot);
    const promises = await this.#poll(voters, promised, 'found-ask', ballot, vote => hasPromised(vote, ballot));
    if (promises === undefined) return undefined;
    const ring = acceptedBy(promises) ?? own;
    const accepted = await this.#accept(ballot, ring);
    const more = { ballot, ring };
    const votes = await this.#poll(voters, accepted, 'found-accept', more, vote => hasAccepted(vote, ballot));
    return votes && ring;
  }

  // Its own vote. Undefined: there is a ring by now.

  #promise(ballot: Ballot): Promise<Vote<Ring> | undefined> {
    return this.#change(vote => promise(vote, ballot));
  }

  #accept(ballot: Ballot, ring: Ring): Promise<Vote<Ring> | undefined> {
    return this.#change(vote => accept(vote, ballot, ring));
  }

  #change(make: (vote: Vote<Ring> | undefined) => Vote<Ring>): Promise<Vote<Ring> | undefined> {
    const { keeper, memory } = this.#options;
    const done = this.#last.then(async () => {
      if (keeper.state !== undefined) return undefined;
      const next = make(this.#vote);
      if (next !== this.#vote) await memory.saveVote(next);
      this.#vote = next;
      this.#round = Math.max(this.#round, next.promised.round);
      return keeper.state === undefined ? next : undefined;
    });
    this.#last = done.catch(() => undefined);
    return done;
  }

  async #answer(voting: Promise<Vote<Ring> | undefined>): Promise<{ vote: Vote<Ring> } | { state: RingState }> {
    const vote = await voting;
    return vote === undefined ? { state: this.#options.keeper.state as RingState } : { vote };
  }

  // The others'.

  /** The votes of more than half that hold; undefined when there is a ring by now. */
  #poll(
    voters: Voters,
    own: Vote<Ring> | undefined,
    word: string,
    payload: unknown,
    holds: (vote: Vote<Ring>) => boolean,
  ): Promise<Vote<Ring>[] | undefined> {
    const others = voters.names.filter(name => name !== this.#options.name);
    const votes: Vote<Ring>[] = [];
    let left = others.length + 1;
    let last: unknown;
    return new Promise((resolve, reject) => {
      const count = (vote: Vote<Ring> | undefined): void => {
        left--;
        if (this.#options.keeper.state !== undefined) return resolve(undefined);
        if (vote !== undefined && holds(vote)) votes.push(vote);
        if (votes.length * 2 > voters.size) resolve(votes);
        else if (left === 0) reject(tooFew(votes.length, voters.size, last));
      };
      count(own);
      for (const name of others)
        this.#ask(name, word, payload).then(count, error => {
          last = error;
          count(undefined);
        });
    });
  }

  async #ask(name: string, word: string, payload: unknown): Promise<Vote<Ring> | undefined> {
    const { cluster, partitions, world, gateway, keeper, linked } = this.#options;
    const number = linked.get(name);
    if (number === undefined) throw new TroupeError('OVERLOADED', `there is no link to ${name}`);
    const late = (): TroupeError => new TroupeError('DEADLINE', `${name} has not voted within ${foundAskMs} ms`);
    const answer = await inTime(world.clock, foundAskMs, gateway.asked(number, word, payload), late);
    const { vote, state } = (answer ?? {}) as { vote?: unknown; state?: unknown };
    if (state !== undefined) {
      keeper.hear(name, state);
      return undefined;
    }
    const theirs = voteOf(vote, cluster, partitions);
    this.#round = Math.max(this.#round, theirs.promised.round);
    return theirs;
  }
}

function tooFew(votes: number, of: number, cause: unknown): TroupeError {
  const why = `${votes} of ${of} have agreed to the first ring, and more than half must: those that 'join' names, and this node`;
  return new TroupeError('OVERLOADED', why, { cause, details: { votes, of } });
}
