// One node that talks to some actors, wherever they live: numbered tells in bursts, and behind each burst an ask.
//
// Invariants: the numbers to an actor begin at 0 and leave none out, over all that is said in the life of this process. A number is
// sent again only when it was refused for certain.

import { call, type Node, type Ref, TroupeError, tell } from '../../index.ts';
import { type Ledger, LogbookT } from './actors.ts';

export interface Talked {
  /** By actor: numbers sent so far, 0 to sent - 1. */
  readonly sent: Record<string, number>;
  /** Tells and asks that were refused and said again. */
  readonly repeated: number;
  readonly problems: string[];
}

/** Tells between two asks. */
const burstOf = 20;
/** An ask may wait for a whole move on a busy machine. */
const patienceMs = 30_000;
/** After a refusal. */
const retryMs = 20;

export class Talking {
  readonly #node: Node;
  readonly #name: string;
  readonly #sent: Record<string, number> = {};
  #goesOn = false;
  #repeated = 0;

  constructor(node: Node, name: string) {
    this.#node = node;
    this.#name = name;
  }

  hush(): void {
    this.#goesOn = false;
  }

  /** Bursts to each of these actors in turn, until hush(). */
  async run(keys: readonly string[]): Promise<Talked> {
    this.#goesOn = true;
    this.#repeated = 0;
    const problems: string[] = [];
    while (this.#goesOn)
      await Promise.all(
        keys.map(async key => {
          const newest = await this.#burst(this.#node.ref(LogbookT, key), key);
          const count = this.#sent[key] ?? 0;
          if (newest !== count - 1)
            problems.push(`${this.#name} asked ${key} behind ${count} tells, and it knew of ${newest + 1}`);
        }),
      );
    return { sent: this.#sent, repeated: this.#repeated, problems };
  }

  async #burst(ref: Ref<Ledger>, key: string): Promise<number> {
    const teller = tell(ref);
    for (let i = 0; i < burstOf; i++) {
      const n = this.#sent[key] ?? 0;
      await this.#insist(async () => void (await teller.note(this.#name, n)));
      this.#sent[key] = n + 1;
    }
    return this.#insist(() => call(ref, { deadlineMs: patienceMs }).newest(this.#name));
  }

  /** OVERLOADED: nothing was sent, so it may be said again. */
  async #insist<T>(say: () => Promise<T>): Promise<T> {
    const until = performance.now() + patienceMs;
    for (;;) {
      try {
        return await say();
      } catch (error) {
        if (!(error instanceof TroupeError) || error.code !== 'OVERLOADED' || performance.now() > until) throw error;
        this.#repeated++;
        await new Promise(resolve => setTimeout(resolve, retryMs));
      }
    }
  }
}
