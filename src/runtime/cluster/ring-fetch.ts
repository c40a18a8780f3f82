// Asking for a ring that somebody gossips to have and this node has not. What changes is told to all that are linked, so this is
// for what was lost with a session, or while there was none; and for whoever has no ring yet.
//
// Invariant: one question at a time, and about one hash to one member at most every `ringFetchAgainMs`: gossip lags behind what it
// speaks of, and a member that answers with something else must not be asked in a circle.

import { TroupeError } from '../../errors.ts';
import { membersMax, ringFetchAgainMs, ringFetchMs } from '../../limits.ts';
import { inTime } from '../in-time.ts';
import type { AppState } from '../membership/member.ts';
import type { Clock } from '../world.ts';

export interface RingHolder {
  readonly name: string;
  readonly app: AppState;
}

export interface RingFetchOptions {
  readonly clock: Clock;
  ask(name: string): Promise<unknown>;
  /** May throw, as it does for what is no ring. */
  onAnswer(from: string, value: unknown): void;
  /** After an answer, or in place of one. */
  onDone(error?: TroupeError): void;
}

export class RingFetch {
  readonly #options: RingFetchOptions;
  /** Who was asked about what, and when. */
  readonly #asked = new Map<string, { readonly hash: string; readonly at: number }>();
  #isBusy = false;

  constructor(options: RingFetchOptions) {
    this.#options = options;
  }

  /** Asks one of them, unless it is too early. */
  from(holders: readonly RingHolder[]): void {
    if (this.#isBusy) return;
    const { clock, ask, onAnswer } = this.#options;
    const now = clock.mono();
    const holder = holders.find(({ name, app }) => {
      const last = this.#asked.get(name);
      return last?.hash !== app.hash || now - last.at >= ringFetchAgainMs;
    });
    if (holder === undefined) return;
    const { name, app } = holder;
    if (this.#asked.size >= membersMax) this.#asked.clear();
    this.#asked.set(name, { hash: app.hash, at: now });
    this.#isBusy = true;
    const late = (): TroupeError =>
      new TroupeError('DEADLINE', `${name} has not sent its ring within ${ringFetchMs} ms`);
    inTime(clock, ringFetchMs, ask(name), late)
      .then(value => onAnswer(name, value))
      .then(
        () => this.#become(),
        error => this.#become(error),
      );
  }

  #become(error?: TroupeError): void {
    this.#isBusy = false;
    this.#options.onDone(error);
  }
}
