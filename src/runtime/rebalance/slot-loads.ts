// Which slots keep this thread busy, by samples: the scheduler says now and then who has just run and how long that took.
//
// The intuition: the scheduler looks at the clock after every 0.1 ms of messages anyway (scheduler.ts). What has passed since its last
// look is laid at the door of whoever ran just then: wrong for each single one, right on average. About every eighth time is written
// down, with what those before it took, so that a key is hashed once in a millisecond and nothing is done for a message.
//
// Tried: exactly every eighth. Eight actors in turn, and one of them was the whole load.
//
// Not seen: what an actor does behind an await, and what thread 0's callers do outside of actors.

import type { Activation } from '../activation.ts';
import { partitionOf } from '../partition.ts';

/** What a thread says of itself: ms of work since it was last asked. */
export interface ThreadLoad {
  readonly slots: readonly (readonly [slot: number, ms: number])[];
  /** Of actors that no slot moves: pinned ones, pools, children. */
  readonly restMs: number;
}

/** On average: 1 to 15. */
const looksPerSample = 8;

export class SlotLoads {
  readonly #partitions: number;
  readonly #ms = new Map<number, number>();
  #restMs = 0;
  #owed = 0;
  #left = looksPerSample;
  #dice = 1;

  constructor(partitions: number) {
    this.#partitions = partitions;
  }

  /** About every 0.1 ms of a busy thread. */
  readonly ran = (act: Activation, ms: number): void => {
    this.#owed += ms;
    if (--this.#left > 0) return;
    // Park and Miller; its high bits.
    this.#dice = (this.#dice * 48_271) % 2_147_483_647;
    this.#left = 1 + ((this.#dice >>> 8) % (2 * looksPerSample - 1));
    this.#charge(act);
    this.#owed = 0;
  };

  #charge({ hosted, keyed }: Activation): void {
    const { placement } = hosted.spec;
    if (typeof keyed !== 'string' || (placement !== 'ring' && placement !== 'local')) {
      this.#restMs += this.#owed;
      return;
    }
    const slot = partitionOf(keyed, this.#partitions);
    this.#ms.set(slot, (this.#ms.get(slot) ?? 0) + this.#owed);
  }

  /** And forgets it. */
  take(): ThreadLoad {
    const load: ThreadLoad = { slots: [...this.#ms], restMs: this.#restMs };
    this.#ms.clear();
    this.#restMs = 0;
    return load;
  }
}
