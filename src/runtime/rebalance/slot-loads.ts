// Which slots keep this thread busy, by samples: the scheduler says now and then who has just run and how long that took.
//
// The intuition: the scheduler looks at the clock after every 0.1 ms of messages anyway (scheduler.ts). What has passed since its last
// look is laid at the door of whoever ran just then: wrong for each single one, right on average. Every eighth time is written down,
// with what the seven before it took, so that a key is hashed once in a millisecond and nothing is done for a message.
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

const looksPerSample = 8;

export class SlotLoads {
  readonly #partitions: number;
  readonly #ms = new Map<number, number>();
  #restMs = 0;
  #owed = 0;
  #looks = 0;

  constructor(partitions: number) {
    this.#partitions = partitions;
  }

  /** About every 0.1 ms of a busy thread. */
  readonly ran = (act: Activation, ms: number): void => {
    this.#owed += ms;
    if (++this.#looks < looksPerSample) return;
    this.#looks = 0;
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
