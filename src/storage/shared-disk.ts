// The memory that all threads of a process share for one data directory: the words, and the slots that hold segments of their logs.
//
// There are as many slots as may hold records that no run has yet. Who finds none free waits for a flush: that is the bound of the
// memory, and the back-pressure of the disk. A slot nobody has used is address space, not memory; the one used last is taken first.
//
// Invariant: made once a life of the directory, by the thread that opens it first, and handed to the others.

import { logsPerNodeMax, segmentBytesDefault, slotsPerLog } from '../limits.ts';
import { type LogId, SegmentSlot, slotBytes } from './segment-slot.ts';
import { SharedWords, sharedWordsBytes } from './shared-words.ts';

/** Plain data: goes to other threads with their task. */
export interface SharedDiskMemory {
  readonly words: SharedArrayBuffer;
  readonly slots: readonly SharedArrayBuffer[];
  readonly segmentBytes: number;
}

/** `logs`: threads that write. */
export function createSharedDisk(logs: number, segmentBytes: number = segmentBytesDefault): SharedDiskMemory {
  const count = Math.min(logs, logsPerNodeMax) * slotsPerLog + 1;
  return {
    words: new SharedArrayBuffer(sharedWordsBytes()),
    slots: Array.from({ length: count }, () => new SharedArrayBuffer(slotBytes(segmentBytes))),
    segmentBytes,
  };
}

export class SharedDisk {
  readonly words: SharedWords;
  readonly slots: readonly SegmentSlot[];
  readonly segmentBytes: number;

  constructor(memory: SharedDiskMemory) {
    this.words = new SharedWords(memory.words);
    this.slots = memory.slots.map(slot => new SegmentSlot(slot));
    this.segmentBytes = memory.segmentBytes;
  }

  /** A free slot, now of this log and for this segment; undefined when all hold what is not flushed yet. */
  take(id: number, log: LogId, base: number): SegmentSlot | undefined {
    return this.slots.find(slot => slot.take(id, log, base));
  }

  slotOf(segment: number): SegmentSlot | undefined {
    return this.slots.find(slot => slot.isLive && slot.id === segment);
  }

  /** Those whose records are in a run and which nobody reads any more are free again. */
  sweep(): void {
    for (const slot of this.slots) slot.free();
  }

  /** A thread is dead: it reads no more, and waits for no disk. */
  forget(thread: number): void {
    for (const slot of this.slots) slot.forget(thread);
    this.words.calmPulse(thread);
    this.words.endLook(thread);
  }
}
