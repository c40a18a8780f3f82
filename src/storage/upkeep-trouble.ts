// What of the upkeep has failed and when to try it again. Pure: it is told the time.
//
//     failed ──▶ after 0.5 s ──▶ failed again ──▶ 1 s ... 8 s        a flush that finds the disk full: 0.5 s always, writers wait for it
//     went   ──▶ forgotten
//
// Invariant: whoever listens hears of a trouble once, and again only when it is another one.

import { isTroupeError } from '../errors.ts';
import { upkeepRetryMs, upkeepRetryMsMax } from '../limits.ts';
import type { Trouble } from './upkeep.ts';

interface Entry {
  readonly trouble: Trouble;
  readonly nextAt: number;
}

export class UpkeepTrouble {
  /** All failures so far. */
  count = 0;
  readonly #open = new Map<string, Entry>();

  /** What to tell, if it is news. */
  failed(what: string, why: Error, now: number, steady = false): Trouble | undefined {
    this.count++;
    const before = this.#open.get(what)?.trouble;
    const code = isTroupeError(why) ? why.code : 'REMOTE';
    const times = (before?.times ?? 0) + 1;
    const trouble: Trouble = { what, code, message: why.message, times };
    const waitMs = steady ? upkeepRetryMs : Math.min(upkeepRetryMs * 2 ** (times - 1), upkeepRetryMsMax);
    // The last one comes last.
    this.#open.delete(what);
    this.#open.set(what, { trouble, nextAt: now + waitMs });
    return before?.code === code ? undefined : trouble;
  }

  went(what: string): void {
    this.#open.delete(what);
  }

  /** Ms until this may be tried again; 0: now. */
  waitMs(what: string, now: number): number {
    const entry = this.#open.get(what);
    return entry === undefined ? 0 : Math.max(0, entry.nextAt - now);
  }

  get last(): Trouble | undefined {
    return [...this.#open.values()].at(-1)?.trouble;
  }
}
