// What a job and whoever started it say to each other while it runs, in shared memory: the job reads no messages meanwhile.
//
//     | stop: not 0 | KiB read so far | pace | KiB a second | wakes |
//
// The last word rises with every change of the others: a job that rests waits for it (merge-job.ts), so it hears of everything at once.

import { TroupeError } from '../../errors.ts';
import type { Pace } from './pace.ts';

const stopAt = 0;
const readAt = 1;
const paceAt = 2;
const rateAt = 3;
const wakesAt = 4;
const words = 5;

const paces: readonly Pace[] = ['full', 'share', 'hold'];

export class JobControl {
  static readonly wakesIndex: number = wakesAt;
  /** For those who wait: see wakesIndex. */
  readonly words: Int32Array;

  /** Without memory nobody can stop the job, and nobody is told. */
  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(words * 4)) {
    this.words = new Int32Array(memory);
  }

  get memory(): SharedArrayBuffer {
    return this.words.buffer as SharedArrayBuffer;
  }

  /** The job ends with STOPPED within a few milliseconds, and leaves nothing behind. */
  stop(): void {
    this.#tell(stopAt, 1);
  }

  get stopped(): boolean {
    return Atomics.load(this.words, stopAt) !== 0;
  }

  get pace(): Pace {
    return paces[Atomics.load(this.words, paceAt)] as Pace;
  }

  setPace(pace: Pace): void {
    this.#tell(paceAt, paces.indexOf(pace));
  }

  /** Infinity: as many as it can. */
  get bytesPerSecond(): number {
    const kib = Atomics.load(this.words, rateAt);
    return kib === 0 ? Number.POSITIVE_INFINITY : kib * 1_024;
  }

  setBytesPerSecond(bytes: number): void {
    this.#tell(rateAt, Number.isFinite(bytes) ? Math.min(Math.max(1, Math.round(bytes / 1_024)), 0x7fffffff) : 0);
  }

  get wakes(): number {
    return Atomics.load(this.words, wakesAt);
  }

  get bytesRead(): number {
    return Atomics.load(this.words, readAt) * 1_024;
  }

  /** For the job: so far has it come. Throws STOPPED when it is to end. */
  reached(bytesRead: number): void {
    Atomics.store(this.words, readAt, Math.min(bytesRead / 1_024, 0x7fffffff));
    if (this.stopped) throw new TroupeError('STOPPED', 'The job was told to stop.');
  }

  #tell(at: number, value: number): void {
    if (Atomics.exchange(this.words, at, value) === value) return;
    Atomics.add(this.words, wakesAt, 1);
    Atomics.notify(this.words, wakesAt);
  }
}
