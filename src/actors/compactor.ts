// The compactor as a user of the node holds it: its actor's messages behind plain functions.

import { TroupeError } from '../errors.ts';
import { checkOptionNames } from '../runtime/option-names.ts';
import { show } from '../runtime/show.ts';
import type { UpkeepStatus } from '../storage/upkeep.ts';
import { type Answer, accepted } from './vnode-messages.ts';

export interface CompactorDoor {
  /** What goes on behind the writers. */
  status(): Promise<UpkeepStatus>;
  /** Begins nothing any more, and calls off a merge under way. Writers go on until the log is full, 4 segments a thread. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /**
   * Flushes everything and does the merges that are due, and resolves when they are done; `all`: makes one run of all there is, which
   * also purges what has been deleted or has expired. Rejects with what went wrong: DISK_FULL, CORRUPT, BAD_OPTION while it is
   * paused, STOPPED when the node stops.
   */
  run(options?: { readonly all?: boolean }): Promise<void>;
  /** What merges may read and write in a second. Null: as much as they can. It does not hold while there are more than 64 runs. */
  setBudget(budget: { readonly bytesPerSecond: number | null }): Promise<void>;
}

/** What a ref to the actor offers. */
export interface CompactorRef {
  status(): Promise<UpkeepStatus>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  run(all: boolean): Promise<Answer<null>>;
  setBudget(bytesPerSecond: number | null): Promise<Answer<null>>;
}

/** `patient`: the same ref, for what may take hours. */
export function compactorDoor(ref: CompactorRef, patient: CompactorRef): CompactorDoor {
  return {
    status: () => ref.status(),
    pause: () => ref.pause(),
    resume: () => ref.resume(),
    run: async (options = {}) => void accepted(await patient.run(isAll(options))),
    setBudget: async budget => {
      checkOptionNames('setBudget()', budget, ['bytesPerSecond']);
      accepted(await ref.setBudget(budget.bytesPerSecond));
    },
  };
}

function isAll(options: { readonly all?: boolean }): boolean {
  checkOptionNames('run()', options, ['all']);
  const { all = false } = options;
  if (typeof all === 'boolean') return all;
  throw new TroupeError('BAD_OPTION', `all must be true or false, not ${show(all)}`, { details: { option: 'all' } });
}

/** Of an engine without an upkeep: memory, or LMDB, which writes in place. */
export const nothingToKeepUp: UpkeepStatus = Object.freeze({
  state: 'none',
  waiting: 0,
  segments: 0,
  memoryBytes: 0,
  runs: 0,
  bytes: 0,
  tiers: [],
  backlog: 0,
  unneeded: 0,
  jobs: [],
  bytesPerSecond: null,
  flushes: 0,
  merges: 0,
  bytesIn: 0,
  bytesOut: 0,
  bytesFlushed: 0,
  purged: 0,
  filtersMended: 0,
  failures: 0,
  trouble: null,
  damaged: [],
});

/** The one key of this type. */
export const compactorKey = 'node';
