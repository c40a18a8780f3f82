// Files that are ready to become segments: full of old bytes or zeros, so that writing to one allocates nothing. Its sync is
// twice as fast as that of a growing file, and it cannot meet a full disk.
//
//     nothing ──prepare──┐
//                        ├──> renamed .spare ──directory synced──> filled up, synced ──> ready ──take──> a segment
//     sealed ──recycle───┘         (until then the old segment could come back under its old name, overwritten)
//
// They do not outlive the process: after a crash nobody can tell what was written to one, so recovery removes them.
//
// Invariant: no more than `max` files are here or on their way; a file that could not be made ready is gone.

import { join } from 'node:path';
import { logFillBytes } from '../../limits.ts';
import type { LogFiles } from './log-files-store.ts';
import { fileOf } from './log-names.ts';

export interface Spare {
  readonly path: string;
  readonly fd: number;
}

export interface SparesOptions {
  readonly files: LogFiles;
  readonly dir: string;
  readonly log: string;
  /** The size of each. */
  readonly bytes: number;
  readonly max: number;
  nextId(): number;
}

const zeros: Uint8Array = new Uint8Array(logFillBytes);

export class Spares {
  readonly #options: SparesOptions;
  readonly #ready: Spare[] = [];
  readonly #coming = new Set<Promise<void>>();
  #closed = false;
  #trouble: string | undefined;

  constructor(options: SparesOptions) {
    this.#options = options;
  }

  /** Ready, or on their way. */
  get count(): number {
    return this.#ready.length + this.#coming.size;
  }

  /** One that is ready. */
  take(): Spare | undefined {
    return this.#ready.shift();
  }

  /** Makes one unless there is one or one is coming. Resolves when there is, or when it failed: then segments grow instead. */
  async prepare(): Promise<void> {
    const { files, dir, log, max, nextId } = this.#options;
    if (this.#closed || max === 0) return;
    if (this.count === 0) {
      const path = join(dir, fileOf(log, nextId(), 'spare'));
      this.#come(async () => this.#makeReady(path, files.open(path, true), 0));
    }
    await Promise.all(this.#coming);
  }

  /** Makes a spare of the file of a segment that nobody needs any more, or removes it. */
  async recycle(path: string, id: number): Promise<void> {
    const { files, dir, log, max, bytes } = this.#options;
    const size = files.size(path);
    if (this.#closed || this.count >= max || size > bytes) return files.unlink(path);
    await this.#come(async () => {
      const spare = join(dir, fileOf(log, id, 'spare'));
      files.rename(path, spare);
      await files.syncDir(dir);
      return this.#makeReady(spare, files.open(spare, false), size);
    });
  }

  /** Resolves when nothing is under way any more; the files are gone. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#coming);
    for (const { path, fd } of this.#ready.splice(0)) this.#remove(path, fd);
  }

  describe(): Record<string, unknown> {
    return { ready: this.#ready.length, coming: this.#coming.size, trouble: this.#trouble ?? null };
  }

  /** Never rejects: without spares segments grow, which is slower, and whether the disk is full is seen there. */
  #come(make: () => Promise<Spare>): Promise<void> {
    const coming = make().then(
      spare => {
        this.#coming.delete(coming);
        this.#ready.push(spare);
      },
      (why: unknown) => {
        this.#coming.delete(coming);
        this.#trouble = String(why);
      },
    );
    this.#coming.add(coming);
    return coming;
  }

  /** Writes what is missing, in steps: the log's own syncs go through the same disk. */
  async #makeReady(path: string, fd: number, from: number): Promise<Spare> {
    const { files, bytes } = this.#options;
    try {
      for (let at = from; at < bytes && !this.#closed; at += zeros.length) {
        await files.pwriteLater(fd, zeros.subarray(0, Math.min(zeros.length, bytes - at)), at);
        await files.fdatasync(fd);
      }
    } catch (why) {
      this.#remove(path, fd);
      throw why;
    }
    return { path, fd };
  }

  #remove(path: string, fd: number): void {
    this.#options.files.close(fd);
    this.#options.files.unlink(path);
  }
}
