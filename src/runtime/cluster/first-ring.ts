// The first ring of a cluster, agreed to by more than half of those that join each other (decree.ts).
//
//     founder ──'found-ask' ballot──▶ voters ──vote──▶ more than half ──'found-accept' ballot, ring──▶ voters ──vote──▶ more than half ──▶ it is the ring
//                                       ├── has a ring by now ──its state──▶ the founder takes that one
//                                       └── has other options (partitions ...) ──▶ neither of them is ready: somebody has to change that
//
// The intuition: a founder that stored its ring, and was lost before anybody heard of it, came back to a cluster that the others had
// founded meanwhile: two births, which never mix. So a ring is stored as one only when it cannot be another any more: whoever founds
// after a founder that was lost finds what it has proposed with one of its own voters, and goes on with that.
//
// Invariants: a founder keeps nothing as its ring that more than half have not voted for, durably (ballot-box.ts). It holds among nodes with a
// disk that all name the same ones in `join`: one without a disk forgets what it voted for.

import { TroupeError } from '../../errors.ts';
import { foundAskMs, foundAskMsMax } from '../../limits.ts';
import type { Gateway } from '../gateway/gateway.ts';
import { inTime } from '../in-time.ts';
import type { RingState } from '../ownership/holdings.ts';
import type { Ring } from '../ownership/ring.ts';
import type { World } from '../world.ts';
import { BallotBox } from './ballot-box.ts';
import { acceptedBy, hasAccepted, hasPromised, type Vote } from './decree.ts';
import type { Voters } from './joining.ts';
import type { RingKeeper } from './ring-keeper.ts';
import type { RingMemory } from './ring-memory.ts';
import { ballotOf, checkFits, ringOf, voteOf } from './ring-text.ts';

export interface FirstRingOptions {
  readonly cluster: string;
  readonly name: string;
  readonly partitions: number;
  readonly world: Pick<World, 'clock'>;
  readonly gateway: Pick<Gateway, 'on' | 'asked' | 'nameOf'>;
  readonly keeper: Pick<RingKeeper, 'state' | 'hear'>;
  readonly linked: ReadonlyMap<string, number>;
  readonly memory: Pick<RingMemory, 'vote' | 'saveVote'>;
  /** Whoever founds has options that do not go together with those of this node. */
  onForeign(from: string, error: TroupeError): void;
}

export class FirstRing {
  readonly #options: FirstRingOptions;
  readonly #box: BallotBox;
  #patienceMs = foundAskMs;

  constructor(options: FirstRingOptions) {
    this.#options = options;
    const { gateway, memory, keeper } = options;
    this.#box = new BallotBox(memory, () => keeper.state !== undefined);
    gateway.on('found-ask', (from, asked) => this.#onAsk(gateway.nameOf(from) ?? '', asked));
    gateway.on('found-accept', (_from, asked) => this.#onAccept(asked));
  }

  /**
   * The first ring, `own` if none may have been agreed to before; undefined when there is a ring by now. Rejects with OVERLOADED, to be tried
   * again, when fewer than half have agreed in time; with BAD_OPTION when that is so because the options of some are others; and with what keeps
   * this node's own vote from the disk.
   */
  async decide(own: Ring, voters: Voters): Promise<Ring | undefined> {
    const { name, cluster, partitions } = this.#options;
    const ballot = this.#box.next(name);
    // Its own vote first: of a ballot that is on no disk its next life knows nothing.
    const promised = await this.#box.promise(ballot);
    const asked = { ballot, cluster, partitions };
    const promises = await this.#poll(voters, promised, 'found-ask', asked, vote => hasPromised(vote, ballot));
    if (promises === undefined) return undefined;
    const ring = acceptedBy(promises) ?? own;
    const accepted = await this.#box.accept(ballot, ring);
    const more = { ballot, ring };
    const votes = await this.#poll(voters, accepted, 'found-accept', more, vote => hasAccepted(vote, ballot));
    return votes && ring;
  }

  // Asked by others.

  #onAsk(from: string, asked: unknown): Promise<{ vote: Vote<Ring> } | { state: RingState }> {
    const { ballot, ...theirs } = (asked ?? {}) as { ballot?: unknown; cluster?: unknown; partitions?: unknown };
    const { cluster, partitions, keeper, onForeign } = this.#options;
    try {
      checkFits(theirs, cluster, partitions);
    } catch (error) {
      if (keeper.state === undefined && (error as TroupeError).code === 'BAD_OPTION')
        onForeign(from, error as TroupeError);
      throw error;
    }
    return this.#answer(this.#box.promise(ballotOf(ballot)));
  }

  #onAccept(asked: unknown): Promise<{ vote: Vote<Ring> } | { state: RingState }> {
    const { ballot, ring } = (asked ?? {}) as { ballot?: unknown; ring?: unknown };
    const { cluster, partitions } = this.#options;
    return this.#answer(this.#box.accept(ballotOf(ballot), ringOf(ring, cluster, partitions)));
  }

  async #answer(voting: Promise<Vote<Ring> | undefined>): Promise<{ vote: Vote<Ring> } | { state: RingState }> {
    const vote = await voting;
    return vote === undefined ? { state: this.#options.keeper.state as RingState } : { vote };
  }

  // Asking them.

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
    const refusals: Refusal[] = [];
    let left = others.length + 1;
    return new Promise((resolve, reject) => {
      const count = (vote: Vote<Ring> | undefined): void => {
        left--;
        if (this.#options.keeper.state !== undefined) return resolve(undefined);
        if (vote !== undefined && holds(vote)) votes.push(vote);
        if (votes.length * 2 > voters.size) resolve(votes);
        else if (left === 0) reject(this.#tooFew(votes.length, voters.size, refusals));
      };
      count(own);
      for (const name of others)
        this.#ask(name, word, payload).then(count, error => {
          refusals.push({ name, error });
          count(undefined);
        });
    });
  }

  async #ask(name: string, word: string, payload: unknown): Promise<Vote<Ring> | undefined> {
    const { cluster, partitions, world, gateway, keeper, linked } = this.#options;
    const number = linked.get(name);
    if (number === undefined) throw new TroupeError('OVERLOADED', 'there is no link to it');
    const ms = this.#patienceMs;
    const late = (): TroupeError => new TroupeError('DEADLINE', `it has not voted within ${ms} ms`);
    const answer = await inTime(world.clock, ms, gateway.asked(number, word, payload), late);
    const { vote, state } = (answer ?? {}) as { vote?: unknown; state?: unknown };
    if (state !== undefined) {
      keeper.hear(name, state);
      return undefined;
    }
    const theirs = voteOf(vote, cluster, partitions);
    this.#box.hear(theirs.promised);
    return theirs;
  }

  #tooFew(votes: number, of: number, refusals: readonly Refusal[]): TroupeError {
    // A disk that is slow is no faster when it is asked again before it is done.
    if (refusals.some(({ error }) => error.code === 'DEADLINE'))
      this.#patienceMs = Math.min(2 * this.#patienceMs, foundAskMsMax);
    const misfit = refusals.find(({ error }) => error.code === 'BAD_OPTION');
    if (misfit !== undefined)
      return new TroupeError(
        'BAD_OPTION',
        `${misfit.name} does not vote for a ring of this node: ${misfit.error.message}`,
        {
          details: { ...misfit.error.details, by: misfit.name },
        },
      );
    const why = refusals.map(({ name, error }) => `; ${name}: ${error.message}`).join('');
    const most = `${votes} of ${of} have agreed to the first ring, and more than half must: those that 'join' names, and this node`;
    return new TroupeError('OVERLOADED', `${most}${why}`, { details: { votes, of } });
  }
}

interface Refusal {
  readonly name: string;
  readonly error: TroupeError;
}
