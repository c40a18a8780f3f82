// What the log asks of a file system, and the real one. Tests put a disk in its place that loses power (sim-disk.ts there).
//
// What may be relied upon, and what not: bytes are on the disk after fdatasync of their file, names after a sync of their
// directory, each only if it was there before the sync began. Until then either may be there in part, or in any order.

import {
  closeSync,
  constants,
  fdatasync,
  fdatasyncSync,
  fsync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  statSync,
  unlinkSync,
  write,
  writeSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';

export interface LogFiles {
  /** With all directories above it, unless it is there; their names are on the disk then. */
  makeDir(dir: string): void;
  /** The names in a directory; none when there is no directory. */
  list(dir: string): string[];
  size(path: string): number;
  /** The whole file, or its first bytes. */
  read(path: string, bytesMax?: number): Uint8Array;
  /** For reading and writing. `create` makes the file when it is missing. */
  open(path: string, create: boolean): number;
  close(fd: number): void;
  /** Writes all of the bytes, or throws; then some of them may be written. */
  pwrite(fd: number, bytes: Uint8Array, at: number): void;
  /** The same, off this thread. */
  pwriteLater(fd: number, bytes: Uint8Array, at: number): Promise<void>;
  fdatasync(fd: number): Promise<void>;
  fdatasyncNow(fd: number): void;
  syncDir(dir: string): Promise<void>;
  syncDirNow(dir: string): void;
  rename(from: string, to: string): void;
  unlink(path: string): void;
}

/** Windows cannot open a directory; there a rename is written through. */
const syncsDirs = process.platform !== 'win32';

export const realFiles: LogFiles = {
  makeDir,
  list: listDir,
  size: path => statSync(path).size,
  read,
  open: (path, create) => openSync(path, constants.O_RDWR | (create ? constants.O_CREAT : 0), 0o644),
  close: closeSync,
  pwrite: writeAll,
  pwriteLater: writeAllLater,
  fdatasync: fd => outcome(done => fdatasync(fd, done)),
  fdatasyncNow: fdatasyncSync,
  syncDir: syncDirLater,
  syncDirNow: syncDirNow,
  rename: renameSync,
  unlink: unlinkSync,
};

/** Of a file that was not finished: it may not even be there. Under the name of a spare it means nothing. */
export function discard(files: LogFiles, fd: number | undefined, path: string): void {
  try {
    if (fd !== undefined) files.close(fd);
    files.unlink(path);
  } catch {
    // The next start removes it.
  }
}

function makeDir(dir: string): void {
  const first = mkdirSync(dir, { recursive: true });
  if (first === undefined) return;
  for (let made = resolve(dir); made.length >= resolve(first).length; made = dirname(made)) syncDirNow(dirname(made));
}

function read(path: string, bytesMax?: number): Uint8Array {
  if (bytesMax === undefined) return plain(readFileSync(path));
  const bytes = new Uint8Array(bytesMax);
  const fd = openSync(path, constants.O_RDONLY);
  try {
    return bytes.subarray(0, readSync(fd, bytes, 0, bytesMax, 0));
  } finally {
    closeSync(fd);
  }
}

function listDir(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch (why) {
    if ((why as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw why;
  }
}

function writeAll(fd: number, bytes: Uint8Array, at: number): void {
  let written = writeSync(fd, bytes, 0, bytes.length, at);
  while (written < bytes.length) written += writeSync(fd, bytes, written, bytes.length - written, at + written);
}

async function writeAllLater(fd: number, bytes: Uint8Array, at: number): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    written += await new Promise<number>((resolve, reject) => {
      write(fd, bytes, written, bytes.length - written, at + written, (why, count) =>
        why ? reject(why) : resolve(count),
      );
    });
  }
}

async function syncDirLater(dir: string): Promise<void> {
  if (!syncsDirs) return;
  const fd = openSync(dir, constants.O_RDONLY);
  try {
    await outcome(done => fsync(fd, done));
  } finally {
    closeSync(fd);
  }
}

function syncDirNow(dir: string): void {
  if (!syncsDirs) return;
  const fd = openSync(dir, constants.O_RDONLY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function outcome(begin: (done: (why: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => begin(why => (why ? reject(why) : resolve())));
}

function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}
