// What the kernel knows of a process and its files: memory, handles, bytes written. Linux only; elsewhere a row says so.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Unavailable } from './harness.ts';

type Process = number | 'self';

/** Resident bytes without the pages of files: those of a mapped database are the kernel's to take back. */
export function anonymousBytes(pid: Process = 'self'): number {
  return 1_024 * field(pid, 'status', /^RssAnon:\s+(\d+) kB$/m);
}

/**
 * Bytes the process, with its threads and the children it has waited for, has had the kernel write to a disk. Pages count
 * when they become dirty, so one that is changed twice before the kernel gets round to it counts once; what was taken
 * back before it was written (a file removed) is subtracted.
 */
export function writtenBytes(pid: Process = 'self'): number {
  return field(pid, 'io', /^write_bytes: (\d+)$/m) - field(pid, 'io', /^cancelled_write_bytes: (\d+)$/m);
}

export function handlesCount(pid: Process = 'self'): number {
  return linuxOnly(() => readdirSync(`/proc/${pid}/fd`).length);
}

/** What the files of a folder take on the disk. They may come and go meanwhile. */
export function bytesOnDisk(folder: string): number {
  let bytes = 0;
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const stat = statSync(join(folder, name), { throwIfNoEntry: false });
    if (stat?.isFile()) bytes += stat.blocks * 512;
  }
  return bytes;
}

function field(pid: Process, file: string, pattern: RegExp): number {
  return linuxOnly(() => {
    const value = pattern.exec(readFileSync(`/proc/${pid}/${file}`, 'utf8'))?.[1];
    if (value === undefined) throw new Error(`/proc/${pid}/${file} does not say ${pattern.source}`);
    return Number(value);
  });
}

function linuxOnly<Value>(read: () => Value): Value {
  if (process.platform !== 'linux') throw new Unavailable('not Linux: no /proc');
  return read();
}
