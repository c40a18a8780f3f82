// What all threads of a process share about one data directory, in a few words of memory: the order of writes, and news.
//
//     lsn         one number a group, for all logs of the node: of two versions of a key the higher number is the newer one
//     segment     the next segment id
//     generation  rises when the manifest has changed: whoever reads runs looks at it again
//     sealed      rises when a segment is full, or a log is left behind: there is something to flush
//     seals       rises when every thread shall hand its segment over: somebody wants all of it flushed
//     doubts      rises when somebody has found the filter of a run damaged
//     pulses      of each thread: odd while a call blocks it that the disk has to answer; how long its other calls have waited
//     looks       of each thread: the generation of the oldest manifest whose runs it may have open, plus 1; 0: it has none open
//     fences      the highest epoch that has written to a shard: [number + 1, epoch] at the shard's number, modulo the slots
//
// Invariant: numbers are never handed out twice in one life of the directory; the next life begins above what the disk holds.

import { fencesMax, pinsMax } from '../limits.ts';

const lsnAt = 0;
const segmentAt = 1;
const words64 = 2;
const generationAt = 0;
const sealedAt = 1;
const sealsAt = 2;
const doubtsAt = 3;
const words32 = 4;
const pulsesFrom = words64 * 8 + words32 * 4;
const pulseWords = 2;
const looksFrom: number = pulsesFrom + pinsMax * pulseWords * 4;
const fencesFrom: number = looksFrom + pinsMax * 4;

export function sharedWordsBytes(): number {
  return fencesFrom + fencesMax * 16;
}

export class SharedWords {
  readonly memory: SharedArrayBuffer;
  /** For those who wait: see generationIndex, sealedIndex. */
  readonly news: Int32Array;
  readonly #counters: BigInt64Array;
  readonly #pulses: Int32Array;
  readonly #looks: Int32Array;
  readonly #fences: BigInt64Array;

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory;
    this.#counters = new BigInt64Array(memory, 0, words64);
    this.news = new Int32Array(memory, words64 * 8, words32);
    this.#pulses = new Int32Array(memory, pulsesFrom, pinsMax * pulseWords);
    this.#looks = new Int32Array(memory, looksFrom, pinsMax);
    this.#fences = new BigInt64Array(memory, fencesFrom, fencesMax * 2);
  }

  static readonly generationIndex: number = generationAt;
  static readonly sealedIndex: number = sealedAt;

  /** The first of `count` numbers. */
  takeLsns(count: number): number {
    return Number(Atomics.add(this.#counters, lsnAt, BigInt(count)));
  }

  /** The next number that will be taken. */
  get lsn(): number {
    return Number(Atomics.load(this.#counters, lsnAt));
  }

  takeSegmentId(): number {
    return Number(Atomics.add(this.#counters, segmentAt, 1n));
  }

  /** Before anybody else looks: what the disk holds already is below. */
  beginAt(lsn: number, segment: number): void {
    Atomics.store(this.#counters, lsnAt, BigInt(lsn));
    Atomics.store(this.#counters, segmentAt, BigInt(segment));
  }

  get generation(): number {
    return Atomics.load(this.news, generationAt);
  }

  /** The manifest has changed. */
  turnGeneration(): void {
    Atomics.add(this.news, generationAt, 1);
    Atomics.notify(this.news, generationAt);
  }

  /** Wakes those who wait for the generation to look again. */
  tellIdle(): void {
    Atomics.notify(this.news, generationAt);
  }

  /** There is something to flush. */
  tellSealed(): void {
    Atomics.add(this.news, sealedAt, 1);
    Atomics.notify(this.news, sealedAt);
  }

  get sealed(): number {
    return Atomics.load(this.news, sealedAt);
  }

  get seals(): number {
    return Atomics.load(this.news, sealsAt);
  }

  wantSeals(): void {
    Atomics.add(this.news, sealsAt, 1);
  }

  get doubts(): number {
    return Atomics.load(this.news, doubtsAt);
  }

  tellDoubt(): void {
    Atomics.add(this.news, doubtsAt, 1);
    this.tellSealed();
  }

  /** Before and after a call that blocks this thread until the disk answers. */
  turnPulse(thread: number): void {
    Atomics.add(this.#pulses, thread * pulseWords, 1);
  }

  /** Odd: it is in such a call. */
  pulseOf(thread: number): number {
    return Atomics.load(this.#pulses, thread * pulseWords);
  }

  /** For so long the disk has answered none of the calls that do not block. */
  tellStalled(thread: number, ms: number): void {
    Atomics.store(this.#pulses, thread * pulseWords + 1, ms);
  }

  stalledMs(thread: number): number {
    return Atomics.load(this.#pulses, thread * pulseWords + 1);
  }

  /** A new life of a thread, or its end: nothing of it is under way. */
  calmPulse(thread: number): void {
    Atomics.store(this.#pulses, thread * pulseWords, 0);
    this.tellStalled(thread, 0);
  }

  /**
   * From now on this thread has no run open that was not named in this generation, or later. The first time: before it reads the manifest,
   * so that who has looked here already has changed the manifest before that.
   */
  tellLook(thread: number, generation: number): void {
    Atomics.store(this.#looks, thread, generation + 1);
  }

  /** It has none open, and opens none without telling first. */
  endLook(thread: number): void {
    Atomics.store(this.#looks, thread, 0);
  }

  /** Has every thread closed what the manifest of this generation does not name? */
  allHaveLooked(generation: number): boolean {
    for (let thread = 0; thread < pinsMax; thread++) {
      const look = Atomics.load(this.#looks, thread);
      if (look !== 0 && look <= generation) return false;
    }
    return true;
  }

  /**
   * Raises the fence of a shard; what it is then. Numbers that meet in one slot (far more shards in one life than any node
   * has) share none: their fence is that of the thread alone.
   */
  raiseFence(shard: number, epoch: number): number {
    const slot = (shard % fencesMax) * 2;
    const tag = BigInt(shard) + 1n;
    const before = Atomics.compareExchange(this.#fences, slot, 0n, tag);
    if (before !== 0n && before !== tag) return epoch;
    const wanted = BigInt(epoch);
    for (;;) {
      const now = Atomics.load(this.#fences, slot + 1);
      if (now >= wanted) return Number(now);
      if (Atomics.compareExchange(this.#fences, slot + 1, now, wanted) === now) return epoch;
    }
  }
}
