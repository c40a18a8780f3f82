// LMDB and the disk below it, as the rest of the engine sees them: writes that settle in time, and room for them.
//
// Invariant: settle() settles. LMDB itself leaves promises pending for ever when a transaction cannot even begin.

import { commitLookMs, commitStallMs } from '../limits.ts';
import { admit, growthOf } from './disk-room.ts';
import type { EngineClock } from './engine.ts';
import type { Lmdb } from './lmdb-env-store.ts';
import { diskFull } from './refusals.ts';

export interface LmdbDiskSeams {
  /** Free bytes on the disk. */
  free(): number;
  readonly lowWater: number;
  readonly timer: EngineClock['timer'];
}

export class LmdbDisk {
  readonly db: Lmdb;
  readonly #seams: LmdbDiskSeams;

  constructor(db: Lmdb, seams: LmdbDiskSeams) {
    this.db = db;
    this.#seams = seams;
  }

  get free(): number {
    return this.lowWater === 0 ? Number.POSITIVE_INFINITY : this.#seams.free();
  }

  get lowWater(): number {
    return this.#seams.lowWater;
  }

  /** Throws DISK_FULL unless there is room for so many records of so many bytes. */
  needRoom(puts: boolean, recordBytes: readonly number[]): void {
    const { free, lowWater } = this;
    const [admission] = admit([{ puts, growth: growthOf(recordBytes) }], free, lowWater);
    if (admission === 'full') throw diskFull(free, lowWater);
  }

  /** The outcomes of writes handed to LMDB in this turn. Rejects when the transaction failed or does not come back. */
  async settle(writes: readonly Promise<boolean>[]): Promise<boolean[]> {
    let cancel = (): void => {};
    const stalled = new Promise<never>((_, reject) => {
      // In steps, and each begins when the one before was heard of: a process that was stopped for a minute has waited for one of them,
      // and hears of its commit before the next. The timer keeps the process alive: with nothing else to do it would end here, and
      // nobody would hear why.
      const wait = (leftMs: number): void => {
        cancel = this.#seams.timer(commitLookMs, () => {
          if (leftMs > commitLookMs) wait(leftMs - commitLookMs);
          else reject(new Error(`no commit in ${commitStallMs} ms`));
        });
      };
      wait(commitStallMs);
    });
    try {
      return await Promise.race([Promise.all(writes), stalled]);
    } catch (why) {
      // lmdb-js rejects a second promise with the details; nobody else listens to it.
      const { commitError } = why as { commitError?: Promise<unknown> };
      commitError?.catch(() => {});
      throw why;
    } finally {
      cancel();
    }
  }
}
