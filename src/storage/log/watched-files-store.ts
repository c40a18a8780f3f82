// The files of a log, so that others can see whether the disk answers, and how fast.
//
//     calls that block this thread ─▶ pulse.enter() ... pulse.leave()     another thread has to notice: see stall-watch-store.ts
//     calls that do not            ─▶ begun, ended                        this thread notices by itself
//
// Invariant: what was begun and not ended is exactly what the disk owes us, also when calls fail.

import type { LogFiles } from './log-files-store.ts';

export interface Pulse {
  /** Told around every call that may keep this thread for as long as the disk likes. Calls do not nest. */
  enter(): void;
  leave(): void;
  /** Of any start, in ms. */
  now(): number;
  /** A sync of a file has taken so long, whatever came of it. */
  synced(ms: number): void;
}

export class WatchedFiles implements LogFiles {
  /** Calls off this thread. */
  begun = 0;
  ended = 0;
  readonly #files: LogFiles;
  readonly #pulse: Pulse;
  readonly #waiting = new Set<(why: Error) => void>();

  constructor(files: LogFiles, pulse: Pulse) {
    this.#files = files;
    this.#pulse = pulse;
  }

  /** Nobody waits any longer for what the disk has not answered. */
  giveUp(why: Error): void {
    for (const reject of this.#waiting) reject(why);
  }

  makeDir(dir: string): void {
    this.#now(() => this.#files.makeDir(dir));
  }

  list(dir: string): string[] {
    return this.#now(() => this.#files.list(dir));
  }

  size(path: string): number {
    return this.#now(() => this.#files.size(path));
  }

  read(path: string, bytesMax?: number): Uint8Array {
    return this.#now(() => this.#files.read(path, bytesMax));
  }

  open(path: string, create: boolean): number {
    return this.#now(() => this.#files.open(path, create));
  }

  close(fd: number): void {
    this.#now(() => this.#files.close(fd));
  }

  pwrite(fd: number, bytes: Uint8Array, at: number): void {
    this.#now(() => this.#files.pwrite(fd, bytes, at));
  }

  pwriteLater(fd: number, bytes: Uint8Array, at: number): Promise<void> {
    return this.#later(this.#files.pwriteLater(fd, bytes, at));
  }

  fdatasync(fd: number): Promise<void> {
    const began = this.#pulse.now();
    const synced = (): void => this.#pulse.synced(this.#pulse.now() - began);
    const call = this.#later(this.#files.fdatasync(fd));
    call.then(synced, synced);
    return call;
  }

  fdatasyncNow(fd: number): void {
    const began = this.#pulse.now();
    this.#now(() => this.#files.fdatasyncNow(fd));
    this.#pulse.synced(this.#pulse.now() - began);
  }

  syncDir(dir: string): Promise<void> {
    return this.#later(this.#files.syncDir(dir));
  }

  syncDirNow(dir: string): void {
    this.#now(() => this.#files.syncDirNow(dir));
  }

  rename(from: string, to: string): void {
    this.#now(() => this.#files.rename(from, to));
  }

  unlink(path: string): void {
    this.#now(() => this.#files.unlink(path));
  }

  #now<Result>(call: () => Result): Result {
    this.#pulse.enter();
    try {
      return call();
    } finally {
      this.#pulse.leave();
    }
  }

  #later(call: Promise<void>): Promise<void> {
    this.begun++;
    return new Promise<void>((resolve, reject) => {
      const answered = (): void => {
        this.ended++;
        this.#waiting.delete(reject);
      };
      this.#waiting.add(reject);
      call.then(
        () => {
          answered();
          resolve();
        },
        why => {
          answered();
          reject(why);
        },
      );
    });
  }
}
