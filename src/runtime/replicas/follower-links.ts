// How an owner reaches its followers, and its own threads for the pages they copy: each step in its time.

import { TroupeError } from '../../errors.ts';
import { followerRetryMs, handoffStepMs } from '../../limits.ts';
import type { FarRouter } from '../far-router.ts';
import type { Gateway } from '../gateway/gateway.ts';
import type { Crew } from '../handoff/crew.ts';
import { Pages } from '../handoff/pages.ts';
import { inTime } from '../in-time.ts';
import { Follower } from './follower.ts';
import type { Position } from './groups.ts';
import type { Leading } from './leading.ts';

export interface FollowerLinksSeams {
  readonly router: FarRouter;
  readonly gateway: Gateway;
  readonly crew: Crew;
  /** What runs here does so under epochs below it. */
  epochLimit(): number;
  /** A follower has agreed to another owner, under that turn. */
  onDenied(partition: number, turn: number): void;
}

export class FollowerLinks {
  readonly #seams: FollowerLinksSeams;
  /** Steps that did not work. */
  refused = 0;

  constructor(seams: FollowerLinksSeams) {
    this.#seams = seams;
  }

  /** Rejects when there is no link, or no answer in time. */
  ask<T>(name: string, word: string, payload: object): Promise<T> {
    const number = this.#seams.gateway.linked(name);
    if (number === undefined) return Promise.reject(new TroupeError('OVERLOADED', `there is no link to node ${name}`));
    const why = `node ${name} did not answer '${word}' within ${handoffStepMs} ms`;
    return inTime(
      this.#seams.router.host.world.clock,
      handoffStepMs,
      this.#seams.gateway.asked(number, word, payload) as Promise<T>,
      () => new TroupeError('DEADLINE', why),
    );
  }

  follower(name: string, leading: Leading, origin: Position | undefined): Follower {
    const { partition } = leading;
    return new Follower({
      ...{ name, origin },
      ask: (word, payload) =>
        this.ask(name, word, {
          partition,
          turn: leading.turn,
          life: leading.life,
          epoch: this.#seams.epochLimit(),
          ...payload,
        }),
      isLinked: () => this.#seams.gateway.linked(name) !== undefined,
      pages: goesOn =>
        new Pages({
          ...{ router: this.#seams.router, crew: this.#seams.crew, partition, goesOn },
          askThread: (thread, word, payload) => this.#askThread(thread, word, payload),
        }),
      inTurn: copy => leading.inTurn(copy),
      barrier: () => this.#seams.crew.all('rep-barrier', partition),
      round: () => leading.round,
      groups: () => leading.groups,
      onAcked: () => leading.acked(),
      onFailed: error => this.#onFailed(leading, name, error),
    });
  }

  #askThread<T>(thread: number, word: string, payload: unknown): Promise<T> {
    const why = `thread ${thread} did not answer '${word}' within ${handoffStepMs} ms`;
    const asked = this.#seams.crew.ask<T>(thread, word, payload);
    return inTime(this.#seams.router.host.world.clock, handoffStepMs, asked, () => new TroupeError('DEADLINE', why));
  }

  async #onFailed({ partition, turn }: Leading, name: string, error: unknown): Promise<void> {
    const { host } = this.#seams.router;
    this.refused++;
    host.world.log.debug?.({ err: error, partition, follower: name }, 'a follower could not be brought up to date');
    const { code, details } = error as TroupeError;
    // It has agreed to a later turn: this node has to be agreed to once more, or hears soon whose it is.
    if (code === 'FENCED' && Number(details?.promised) > turn)
      this.#seams.onDenied(partition, Number(details.promised));
    await new Promise<void>(again => host.world.clock.timer(followerRetryMs, again));
  }
}
