// Files as backups need them: linked or copied, summed, on the disk. Off the event loop, or in pieces of half a millisecond.

import { existsSync, constants as flags } from 'node:fs';
import { copyFile, type FileHandle, link, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { TroupeError } from '../../errors.ts';
import { backupPieceBytes } from '../../limits.ts';
import { makeDir } from '../make-dir-store.ts';
import { isDiskFull } from '../refusals.ts';

export interface Sum {
  readonly bytes: number;
  readonly crc: number;
}

/** Called again and again; may throw, and what was going on ends with that. */
export type Watch = (bytes: number) => void;

/** What a file system says when it has no link to give, though a copy may be made: another one, or one without links. */
const unlinkable: ReadonlySet<string | undefined> = new Set('EXDEV EPERM ENOTSUP EOPNOTSUPP ENOSYS EMLINK'.split(' '));

/** A second name for a file that never changes; where that cannot be, a copy that is on the disk when this resolves. */
export async function linkOrCopy(from: string, to: string): Promise<'linked' | 'copied'> {
  try {
    await link(from, to);
    return 'linked';
  } catch (why) {
    if (!unlinkable.has((why as NodeJS.ErrnoException).code)) throw why;
  }
  await copyWhole(from, to);
  return 'copied';
}

/** Under its name it is whole. A file system that can share blocks does. */
export async function copyWhole(from: string, to: string): Promise<void> {
  const part = `${to}.part`;
  try {
    await copyFile(from, part, flags.COPYFILE_FICLONE);
    await syncFile(part);
    await rename(part, to);
  } catch (why) {
    await rm(part, { force: true });
    throw asDiskFull(to, why);
  }
}

/** Of a whole file. */
export async function sumFile(path: string, watch: Watch = () => {}): Promise<Sum> {
  const file = await open(path, 'r');
  try {
    const piece = new Uint8Array(backupPieceBytes);
    let crc = 0;
    let bytes = 0;
    for (;;) {
      const { bytesRead } = await file.read(piece, 0, piece.length, bytes);
      if (bytesRead === 0) return { bytes, crc };
      crc = crc32(piece.subarray(0, bytesRead), crc);
      bytes += bytesRead;
      watch(bytesRead);
    }
  } finally {
    await file.close();
  }
}

/** A new file, on the disk when this resolves. */
export async function writePieces(path: string, pieces: Iterable<Uint8Array>): Promise<void> {
  const file = await open(path, 'w');
  try {
    for (const piece of pieces) await writeAll(file, piece);
    await file.datasync();
  } catch (why) {
    throw asDiskFull(path, why);
  } finally {
    await file.close();
  }
}

/** Whole or not at all, and on the disk with its name. */
export async function writeText(dir: string, name: string, text: string): Promise<void> {
  await writePieces(join(dir, `${name}.new`), [new TextEncoder().encode(text)]);
  await rename(join(dir, `${name}.new`), join(dir, name));
  await syncDir(dir);
}

export async function syncDir(dir: string): Promise<void> {
  // Windows cannot open a directory; there a rename is written through.
  if (process.platform !== 'win32') await syncFile(dir, 'r');
}

/** The names in the directories above these files, up to the top one. */
export async function syncDirsOf(top: string, files: readonly string[]): Promise<void> {
  const dirs = new Set<string>([top]);
  for (const file of files)
    for (let dir = dirname(join(top, file)); dir.length > top.length; dir = dirname(dir)) dirs.add(dir);
  for (const dir of dirs) await syncDir(dir);
}

/** Makes the directory, or takes it as it is; the names in it. */
export async function madeDir(dir: string): Promise<string[]> {
  try {
    await makeDir(dir);
    return await readdir(dir);
  } catch (cause) {
    throw new TroupeError('BAD_OPTION', `${dir} cannot be used as a directory: ${(cause as Error).message}`, { cause });
  }
}

/** Empty, whatever was there. */
export async function freshDir(dir: string): Promise<void> {
  if (existsSync(dir)) await rm(dir, { recursive: true });
  await makeDir(dir);
}

async function syncFile(path: string, mode: 'r' | 'r+' = 'r+'): Promise<void> {
  const file = await open(path, mode);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at, bytes.length - at)).bytesWritten;
}

function asDiskFull(path: string, why: unknown): unknown {
  if (!isDiskFull(why)) return why;
  return new TroupeError('DISK_FULL', `${path} cannot be written: ${(why as Error).message}`, {
    cause: why,
    details: { path },
  });
}
