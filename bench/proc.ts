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
 * Bytes the process, with its threads and the children it has waited for, has given to write() and the like.
 *
 * Not `write_bytes`, which sounds better: the kernel counts a whole folio when a part of it becomes dirty, and since files have large
 * ones (Linux 6.18, ext4) that is up to 1 MiB for each 8 KiB written and synced: 128 times what the device was given.
 */
export function writtenBytes(pid: Process = 'self'): number {
  return field(pid, 'io', /^wchar: (\d+)$/m);
}

/** Bytes that were written to the device of a folder since the machine began, by whomever. Undefined: no such device is known. */
export function deviceBytes(folder: string): number | undefined {
  return linuxOnly(() => {
    const { dev } = statSync(folder);
    const device = `${(dev >> 8) & 0xfff} ${dev & 0xff}`;
    const lines = readFileSync('/proc/diskstats', 'utf8').split('\n');
    const fields = lines.map(line => line.trim().split(/\s+/)).find(([major, minor]) => `${major} ${minor}` === device);
    return fields === undefined ? undefined : Number(fields[sectorsWrittenField]) * 512;
  });
}

/** Linux, Documentation/admin-guide/iostats.rst: field 7 of a device, after three that name it. */
const sectorsWrittenField = 9;

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
