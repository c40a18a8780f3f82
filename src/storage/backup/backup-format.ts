// backup.json: what a backup holds, written last. A directory without it is no backup, but the beginning of one.
//
//     target/backup.json                  this
//     target/data/lmdb/...                small mutable state
//     target/data/troupe/runs|log|manifest
//
// Paths in it are data that somebody may have changed: they are believed only if they stay inside the directory.
//
// Invariant: what decodeBackup returns was written by encodeBackup, every byte of it.

import { TroupeError } from '../../errors.ts';
import { crc32 } from '../crc32.ts';
import type { NodeFileContent } from '../node-file.ts';

export const backupFormat = 1;
export const backupFile = 'backup.json';
/** Stands in a target directory until the backup is whole, and says whose it will be. */
export const underWayFile = 'backup.part.json';
/** Everything else is below. */
export const dataPart = 'data';

export interface BackupFile {
  /** Below `data`, with forward slashes. */
  readonly path: string;
  readonly bytes: number;
  /** CRC-32 of the whole file. */
  readonly crc: number;
}

export interface BackupAbout {
  /** The moment it shows, in milliseconds since 1970. */
  readonly at: number;
  readonly engine: 'troupe' | 'lmdb';
  /** Groups of the log below this number are in it, and no others. */
  readonly lsn: number;
  /** The node as it was when the backup was finished: none of the epochs it uses later is below its limit. */
  readonly node: NodeFileContent;
  readonly files: readonly BackupFile[];
}

export function encodeBackup(about: BackupAbout): string {
  const body = { what: 'troupe-backup', format: backupFormat, ...about };
  return `${JSON.stringify({ ...body, crc: sumOf(body) }, undefined, 1)}\n`;
}

/** Throws CORRUPT; BAD_OPTION for the format of a newer version. */
export function decodeBackup(text: string, path: string): BackupAbout {
  let read: Record<string, unknown>;
  try {
    read = JSON.parse(text) as Record<string, unknown>;
  } catch (cause) {
    throw damaged(path, 'it is not JSON', cause);
  }
  if (typeof read !== 'object' || read === null || read.what !== 'troupe-backup') throw damaged(path, 'it is none');
  checkFormat(read.format, path);
  const { crc, ...body } = read;
  if (crc !== sumOf(body)) throw damaged(path, 'its checksum differs');
  const { what: _, format: __, ...about } = body;
  for (const { path: file } of (about as unknown as BackupAbout).files)
    if (!isInside(file)) throw damaged(path, `it names ${file}`);
  return about as unknown as BackupAbout;
}

/** Throws BAD_OPTION. */
export function checkFormat(format: unknown, path: string): void {
  if (format === backupFormat) return;
  throw new TroupeError(
    'BAD_OPTION',
    `${path} has format ${String(format)}, this version knows ${backupFormat}. Use the newer version that wrote it.`,
    { details: { path, format: format as number, known: backupFormat } },
  );
}

export function damaged(path: string, reason: string, cause?: unknown): TroupeError {
  return new TroupeError('CORRUPT', `The backup's ${path} is damaged: ${reason}.`, {
    details: { path, reason },
    cause,
  });
}

function isInside(file: string): boolean {
  return /^(lmdb|troupe)(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$/.test(file);
}

function sumOf(body: object): number {
  return crc32(new TextEncoder().encode(JSON.stringify(body)));
}
