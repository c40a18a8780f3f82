// Whether the disk has room for a batch, decided before anything is written: LMDB does not survive finding out itself
// (research/pitfalls.md F4).
//
//     0        lowWater/2         lowWater                          free
//     |  deletes  |     deletes      |  puts, within the margin ───────|
//
// Between two looks at the free space every thread of the process may commit, and other processes may write: so a batch
// gets an eighth of the room above half the low water, and what does not fit waits for the next look.
//
// Invariant: groups are let through in order, and what is let through would fit eight times over.

import { diskSharersMax } from '../limits.ts';

export type Admission = 'go' | 'again' | 'full';

export interface RoomSeeker {
  readonly puts: boolean;
  /** Bytes the file may grow by: see growthOf. */
  readonly growth: number;
}

const pageBytes = 4_096;
/** A value this large gets pages of its own; below, it shares a leaf. */
const ownPagesAbove = 1_900;
/** The pages of the root, of the free list and of our own directory, in each transaction. */
const batchGrowth: number = 64 << 10;

/** A write copies its leaf, and now and then splits it or copies a branch: two pages, and those of a large value. */
export function growthOf(recordBytes: readonly number[]): number {
  let growth = 0;
  for (const bytes of recordBytes) {
    growth += 2 * pageBytes + (bytes > ownPagesAbove ? Math.ceil(bytes / pageBytes) * pageBytes : 0);
  }
  return growth;
}

/** `lowWater` 0 lets everything through. */
export function admit(groups: readonly RoomSeeker[], free: number, lowWater: number): Admission[] {
  if (lowWater === 0) return groups.map(() => 'go');
  const share = Math.max(0, free - lowWater / 2) / diskSharersMax;
  let grown = batchGrowth;
  let put = 0;
  let waiting = false;
  return groups.map(({ puts, growth }) => {
    if (waiting) return 'again';
    if (!hasRoom(puts, growth + batchGrowth, free, lowWater)) return 'full';
    if (put > 0 && grown + growth > share) {
      waiting = true;
      return 'again';
    }
    put++;
    grown += growth;
    return 'go';
  });
}

/** A group alone: one that stores needs the low water to be there now, and half of it afterwards. */
function hasRoom(puts: boolean, growth: number, free: number, lowWater: number): boolean {
  if (puts) return free >= lowWater && growth <= free - lowWater / 2;
  return growth <= free / 2;
}
