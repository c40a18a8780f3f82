// Files of runs that nobody needs any more: each goes a piece at a time, and none of it on this thread.
//
//     merged away ──nobody has it open, nobody holds it──▶ shorter, a rest, shorter ... ──▶ its name, its filter, its lock file
//
// A file system gives back what a file took in one go, and where the disk is told of it (mount option `discard`) the disk does so as
// well: 400 MiB kept the thread that removed them busy for 0.2 s here, and a sync of the log waiting for 76 ms. In pieces neither is seen.
//
// Invariant: a file is made shorter only when no thread can have it open, and no backup has a name for it. Whoever reads in memory what
// is gone from the file is killed by SIGBUS.

import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { removalLookMs, removalPieceBytes, removalRestMs } from '../../limits.ts';
import { removeRunFiles } from './run-writer-store.ts';

export interface RunRemovalSeams {
  readonly dir: string;
  /** No thread has a run open that the manifest of this generation does not name. */
  nobodyReads(generation: number): boolean;
  /** A file is gone; or it could not be removed for this reason, and the next start does it. */
  removed(why?: Error): void;
}

interface Unneeded {
  readonly file: string;
  readonly bytes: number;
  readonly generation: number;
}

export class RunRemoval {
  readonly #seams: RunRemovalSeams;
  #files: Unneeded[] = [];
  #holds = 0;
  #running: Promise<void> | undefined;
  readonly #stopped = new AbortController();

  constructor(seams: RunRemovalSeams) {
    this.#seams = seams;
  }

  /** Bytes that are still to be given back. */
  get bytes(): number {
    return this.#files.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** `generation`: the first in which the manifest does not name them any more. */
  add(runs: readonly { readonly file: string; readonly bytes: number }[], generation: number): void {
    this.#files.push(...runs.map(({ file, bytes }) => ({ file, bytes, generation })));
    this.#go();
  }

  /** Files stay as they are until it is given back. */
  hold(): () => void {
    this.#holds++;
    let held = true;
    return () => {
      if (held) this.#holds--;
      held = false;
    };
  }

  /** What is left goes at once: nobody waits for this disk any more. Unless it is held; then the next start does it. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#running;
    if (this.#holds > 0) return;
    for (const { file } of this.#files.splice(0)) this.#unlink(file);
  }

  get #isStopped(): boolean {
    return this.#stopped.signal.aborted;
  }

  /** Keeps no process alive, and ends when it is stopped. */
  #rest(ms: number): Promise<void> {
    return sleep(ms, undefined, { ref: false, signal: this.#stopped.signal }).catch(() => {});
  }

  #go(): void {
    if (this.#running !== undefined || this.#isStopped) return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  async #run(): Promise<void> {
    for (;;) {
      const [next] = this.#files;
      if (next === undefined || this.#isStopped) return;
      if (!this.#seams.nobodyReads(next.generation) || this.#holds > 0) await this.#rest(removalLookMs);
      else {
        await this.#shrink(next.file);
        // Begun: now it has to go, whoever holds what.
        this.#unlink(next.file);
        this.#files.shift();
      }
    }
  }

  async #shrink(file: string): Promise<void> {
    try {
      const handle = await open(join(this.#seams.dir, file), 'r+');
      try {
        const { nlink, size } = await handle.stat();
        // A backup has it too: nothing is given back, and nothing may be cut.
        if (nlink > 1) return;
        for (let left = size - removalPieceBytes; left > 0 && !this.#isStopped; left -= removalPieceBytes) {
          await handle.truncate(left);
          await this.#rest(removalRestMs);
        }
      } finally {
        await handle.close();
      }
    } catch {
      // Then all at once.
    }
  }

  #unlink(file: string): void {
    try {
      removeRunFiles(this.#seams.dir, file);
    } catch (why) {
      return this.#seams.removed(why as Error);
    }
    this.#seams.removed();
  }
}
