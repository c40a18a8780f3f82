// Notices a disk that does not answer: a write or a sync of a log that does not come back.
//
//     stands still for stallTellMs ──▶ told, by thread 0      answers ──▶ forgotten      for commitStallMs ──▶ fail-stop
//
// A thread cannot look while a call of its own blocks it, so the others do: it raises a word in shared memory before and after each such
// call, and an odd number that stays is a thread that is stuck. What it does off the thread it watches itself, because only
// it knows whether its event loop has had a chance to hear of the end; and it tells the others how long that has been.
//
// With one thread (`threads: 0`) nobody is there to see a call that blocks it. What waits for it is bounded all the same.

import { commitStallMs, pinsMax, stallLookMs, stallTellMs } from '../limits.ts';
import { DiskStall } from './disk-stall.ts';
import type { WatchedFiles } from './log/watched-files-store.ts';
import type { SharedWords } from './shared-words.ts';

/** When a disk that stands still is spoken of, and when it is given up. */
export interface StallLimits {
  readonly tellMs: number;
  readonly failMs: number;
}

export const stallLimits: StallLimits = { tellMs: stallTellMs, failMs: commitStallMs };

export interface StallWatchSeams {
  readonly words: SharedWords;
  readonly thread: number;
  readonly files: Pick<WatchedFiles, 'begun' | 'ended'>;
  readonly limits: StallLimits;
  /** The log of a thread stands still for so long; 0: it goes on. Undefined: somebody else tells. */
  readonly tell: ((thread: number, ms: number) => void) | undefined;
  readonly fail: (why: Error) => void;
}

export class StallWatch {
  readonly #seams: StallWatchSeams;
  readonly #own = new DiskStall();
  readonly #others: readonly DiskStall[] = Array.from({ length: pinsMax }, () => new DiskStall());
  readonly #told = new Set<number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(seams: StallWatchSeams) {
    this.#seams = seams;
  }

  start(): this {
    // Not a reason to go on: who waits for the disk keeps the process alive by what it waits for.
    this.#timer = setInterval(() => this.look(performance.now()), stallLookMs).unref();
    return this;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#seams.words.tellStalled(this.#seams.thread, 0);
  }

  look(now: number): void {
    const { words, thread, files, tell } = this.#seams;
    const own = this.#own.look(files.begun !== files.ended, files.ended, now);
    words.tellStalled(thread, own);
    this.#judge(thread, own);
    for (const [other, stall] of this.#others.entries()) {
      if (other === thread) continue;
      const pulse = words.pulseOf(other);
      this.#judge(other, stall.look(pulse % 2 !== 0, pulse, now));
      if (tell !== undefined) this.#say(other, Math.max(stall.ms, words.stalledMs(other)));
    }
    if (tell !== undefined) this.#say(thread, own);
  }

  #judge(thread: number, ms: number): void {
    if (ms < this.#seams.limits.failMs) return;
    this.stop();
    this.#seams.fail(new Error(`the disk has not answered the log of thread ${thread} for ${Math.round(ms)} ms`));
  }

  #say(thread: number, ms: number): void {
    const { tell, limits } = this.#seams;
    if (this.#told.has(thread) === ms >= limits.tellMs) return;
    if (!this.#told.delete(thread)) this.#told.add(thread);
    tell?.(thread, ms >= limits.tellMs ? ms : 0);
  }
}
