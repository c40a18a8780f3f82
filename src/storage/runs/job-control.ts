// What a job and whoever started it say to each other while it runs, in shared memory: the job reads no messages meanwhile.
//
//     | stop: not 0 | KiB read so far |

import { TroupeError } from '../../errors.ts';

export class JobControl {
  readonly #words: Int32Array;

  /** Without memory nobody can stop the job, and nobody is told. */
  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(8)) {
    this.#words = new Int32Array(memory);
  }

  get memory(): SharedArrayBuffer {
    return this.#words.buffer as SharedArrayBuffer;
  }

  /** The job ends with STOPPED within a few milliseconds, and leaves nothing behind. */
  stop(): void {
    Atomics.store(this.#words, 0, 1);
  }

  get bytesRead(): number {
    return Atomics.load(this.#words, 1) * 1_024;
  }

  /** For the job: so far has it come. Throws STOPPED when it is to end. */
  reached(bytesRead: number): void {
    Atomics.store(this.#words, 1, Math.min(bytesRead / 1_024, 0x7fffffff));
    if (Atomics.load(this.#words, 0) !== 0) throw new TroupeError('STOPPED', 'The job was told to stop.');
  }
}
