// Fencing epochs: rising numbers that are never used twice, neither by two threads nor after a crash.
//
// Intuition: one shared counter hands out chunks of 64 epochs to threads; how far the counter may go is written to disk
// ahead of use, so the next start of the process begins beyond everything this one can have used.
//
//     stored limit  ────────────────────────────▶ |            (node file, synced)
//     shared counter ──────▶ |  chunks go to threads in rising order
//     a thread's chunk  [e, e+63]
//
// Two activations of one actor on two threads need rising epochs too: a thread that hears of a move takes a fresh chunk
// (`renew`), which lies above every chunk handed out before.

import { TroupeError } from '../errors.ts';

export const epochsPerChunk = 64;
/**
 * Chunks reserved on disk at a time: 4 million activations, refilled from half. Small on purpose: an epoch below 2^31 is a
 * small integer in every activation, and a reserve is spent by each start of the process.
 */
export const chunksPerReserve: number = 1 << 16;

/** Cells of the shared counter: next chunk of this run, and how many are reserved, both counted from `base`. */
const nextCell = 0;
const limitCell = 1;

export interface EpochMemory {
  /** First chunk of this run of the process. */
  readonly base: number;
  readonly cells: Int32Array;
}

/** `base`: the limit the last run has stored, or 1. The caller has stored `base + chunksPerReserve` before. */
export function epochMemory(base: number): EpochMemory {
  const cells = new Int32Array(new SharedArrayBuffer(8));
  cells[limitCell] = chunksPerReserve;
  return { base, cells };
}

/** True when the owner of the node file should reserve more. */
export function reserveRunsLow(memory: EpochMemory): boolean {
  return Atomics.load(memory.cells, limitCell) - Atomics.load(memory.cells, nextCell) < chunksPerReserve / 2;
}

/** The limit to store; call `reserved` once it is synced. */
export function nextReserve(memory: EpochMemory): number {
  return memory.base + Atomics.load(memory.cells, limitCell) + chunksPerReserve;
}

/** Up to that limit, which is synced. Not so many more than there are: raiseEpochs may have raised it since, and has stored no more than that. */
export function reserved(memory: EpochMemory, limit: number): void {
  raise(memory, limitCell, limit - memory.base);
}

/** Where the next run begins: above every chunk that this one may have handed out. */
export function chunkAfter(memory: EpochMemory): number {
  return memory.base + Atomics.load(memory.cells, limitCell);
}

/** Below it are all that are handed out until the reserve is raised. `raisedAbove`: as it is when they have been raised above that one. */
export function epochsBelow(memory: EpochMemory, raisedAbove: number = -1): number {
  return Math.max(chunkAfter(memory), Math.floor(raisedAbove / epochsPerChunk) + 1 + chunksPerReserve) * epochsPerChunk;
}

/** Above every epoch that is handed out before the reserve has been raised twice more. `raisedAbove`: when they have been raised above that one. */
export function epochLimit(memory: EpochMemory, raisedAbove?: number): number {
  return epochsBelow(memory, raisedAbove) + 2 * chunksPerReserve * epochsPerChunk;
}

/** From now on all epochs are above this one. `store`: resolves when no later run of the process begins below that limit. */
export async function raiseEpochs(
  memory: EpochMemory,
  above: number,
  store: (limit: number) => Promise<void>,
): Promise<void> {
  const chunk = Math.floor(above / epochsPerChunk) + 1 - memory.base;
  if (chunk <= Atomics.load(memory.cells, nextCell)) return;
  // With half of the reserve above it nobody waits for a disk: a partition may stand still meanwhile.
  if (Atomics.load(memory.cells, limitCell) - chunk < chunksPerReserve / 2) {
    const limit = chunk + chunksPerReserve;
    await store(memory.base + limit);
    raise(memory, limitCell, limit);
  }
  raise(memory, nextCell, chunk);
}

function raise({ cells }: EpochMemory, cell: number, to: number): void {
  for (let now = Atomics.load(cells, cell); now < to; now = Atomics.load(cells, cell))
    Atomics.compareExchange(cells, cell, now, to);
}

export class Epochs {
  private readonly memory: EpochMemory;
  private at = 0;
  private end = 0;

  constructor(memory: EpochMemory) {
    this.memory = memory;
  }

  next(): number {
    if (this.at === this.end) this.take();
    return this.at++;
  }

  /** The next epoch will be above every epoch handed out to any thread so far. */
  renew(): void {
    this.at = this.end;
  }

  private take(): void {
    const chunk = Atomics.add(this.memory.cells, nextCell, 1);
    if (chunk >= Atomics.load(this.memory.cells, limitCell)) {
      throw new TroupeError(
        'OVERLOADED',
        'epochs are used faster than they can be reserved on disk; try again in a moment',
      );
    }
    this.at = (this.memory.base + chunk) * epochsPerChunk;
    this.end = this.at + epochsPerChunk;
  }
}
