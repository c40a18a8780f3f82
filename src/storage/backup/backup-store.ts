// Makes a backup while the node serves.
//
//     target empty ──▶ backup.part.json ──▶ cut ──▶ segments ──▶ LMDB ──▶ manifest ──▶ runs ──▶ every file summed ──▶ backup.json
//                          ▲                                                            │
//                          └──── a later call: a new cut; runs that are there are kept ─┘ broken off
//
// Runs are linked, which takes no room and no time; on another file system they are copied. Everything else is small and written anew.
//
// Invariant: backup.json is there only when every file it names is there, whole, compared with its checksum, and on the disk.

import { statSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { TroupeError } from '../../errors.ts';
import { diskFreeLowWater } from '../../limits.ts';
import type { Engine } from '../engine.ts';
import { freeBytes } from '../lmdb-env-store.ts';
import type { Pin } from '../lmdb-walk-store.ts';
import type { NodeFileContent } from '../node-file.ts';
import { diskFull, stopped } from '../refusals.ts';
import type { ManifestState } from '../runs/manifest-format.ts';
import { openManifest } from '../runs/manifest-store.ts';
import { filterFile, type RunInfo } from '../runs/run-format.ts';
import { readFilter } from '../runs/run-store.ts';
import {
  type BackupFile,
  backupFile,
  backupFormat,
  checkFormat,
  damaged,
  dataPart,
  encodeBackup,
  underWayFile,
} from './backup-format.ts';
import type { Cut, TroupeCut } from './cut.ts';
import { freshDir, linkOrCopy, madeDir, sumFile, syncDirsOf, writePieces, writeText } from './files-store.ts';
import { copyLmdb } from './lmdb-copy-store.ts';

export interface BackupProgress {
  /** What is being looked at, below the target. */
  readonly file: string;
  readonly bytes: number;
  readonly bytesTotal: number;
}

export interface BackupOptions {
  /** Called after each piece of a file. */
  readonly onProgress?: ((progress: BackupProgress) => void) | undefined;
}

export interface BackupResult {
  readonly dir: string;
  /** The moment it shows, in milliseconds since 1970. */
  readonly at: number;
  readonly files: number;
  readonly bytes: number;
  readonly runs: number;
  /** Runs and filters that were linked, copied, or there already from a call that was broken off. */
  readonly linked: number;
  readonly copied: number;
  readonly kept: number;
  /** Of the log. */
  readonly segments: number;
  /** Of the LMDB environment. */
  readonly records: number;
}

export interface BackupSource extends BackupOptions {
  readonly engine: Engine;
  readonly dir: string;
  node(): NodeFileContent;
  /** Wall clock. */
  now(): number;
  /** When it is aborted the backup ends, to be gone on with. */
  readonly signal?: AbortSignal | undefined;
}

/** Throws BAD_OPTION (what is in the directory), CORRUPT (a run is damaged), DISK_FULL, STOPPED. */
export async function makeBackup(source: BackupSource): Promise<BackupResult> {
  const { engine } = source;
  const dir = resolve(source.dir);
  if (engine.cut === undefined)
    throw new TroupeError('BAD_OPTION', 'This node keeps everything in memory: there is nothing to back up.');
  await prepare(dir, source.node().id);
  await engine.ready?.();
  const at = source.now();
  const cut = engine.cut();
  try {
    return await new Backup(source, dir, cut, at).make();
  } finally {
    cut.release();
  }
}

/** Empty, or one of this node's that was broken off. */
async function prepare(dir: string, id: string): Promise<void> {
  const names = await madeDir(dir);
  if (names.includes(backupFile)) throw refuse(dir, 'it holds a backup already. Name another directory, or remove it.');
  if (names.length > 0 && !names.includes(underWayFile))
    throw refuse(dir, 'it is not empty. A backup needs a directory of its own.');
  if (names.length > 0) {
    const begun = await underWay(join(dir, underWayFile));
    checkFormat(begun.format, join(dir, underWayFile));
    if (begun.id !== id) throw refuse(dir, 'it holds the beginning of a backup of another node.');
  } else await writeText(dir, underWayFile, JSON.stringify({ format: backupFormat, id }));
}

async function underWay(path: string): Promise<{ readonly format?: unknown; readonly id?: unknown }> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) ?? {};
  } catch (cause) {
    throw damaged(path, 'it cannot be read; remove the directory and begin anew', cause);
  }
}

class Backup {
  private readonly source: BackupSource;
  private readonly dir: string;
  private readonly data: string;
  private readonly cut: Cut;
  private readonly at: number;
  private readonly files: BackupFile[] = [];
  private readonly counts = { linked: 0, copied: 0, kept: 0 };
  private bytes = 0;
  private bytesTotal = 0;

  constructor(source: BackupSource, dir: string, cut: Cut, at: number) {
    this.source = source;
    this.dir = dir;
    this.data = join(dir, dataPart);
    this.cut = cut;
    this.at = at;
  }

  async make(): Promise<BackupResult> {
    const { troupe, lmdb, lsn } = this.cut;
    this.needRoom();
    if (troupe !== undefined) await this.writeSegments(troupe);
    await freshDir(join(this.data, 'lmdb'));
    const records = await copyLmdb(lmdb as Pin, join(this.data, 'lmdb'), () => this.go('lmdb/data.mdb', 0));
    await this.sum('lmdb/data.mdb');
    if (troupe !== undefined) {
      await this.writeManifest(troupe.state);
      await this.placeRuns(troupe);
    }
    const paths = this.files.map(({ path }) => path);
    await syncDirsOf(this.data, paths);
    await syncDirsOf(this.dir, []);
    this.go(backupFile, 0);
    const engine = troupe === undefined ? 'lmdb' : 'troupe';
    const about = { at: this.at, engine, lsn, node: this.source.node(), files: this.files } as const;
    await writeText(this.dir, backupFile, encodeBackup(about));
    await rm(join(this.dir, underWayFile));
    return {
      dir: this.dir,
      at: this.at,
      files: this.files.length,
      bytes: this.files.reduce((sum, { bytes }) => sum + bytes, 0),
      runs: troupe?.state.runs.length ?? 0,
      ...this.counts,
      segments: troupe?.segments.length ?? 0,
      records,
    };
  }

  /** What cannot be linked has to fit; a half-made copy is no use to anybody. */
  private needRoom(): void {
    const { troupe } = this.cut;
    const runs = (troupe?.state.runs ?? []).reduce((sum, { bytes }) => sum + bytes, 0);
    const segments = (troupe?.segments ?? []).reduce((sum, { bytes }) => sum + bytes, 0);
    this.bytesTotal = runs + segments;
    const linked = troupe !== undefined && statSync(troupe.runDir).dev === statSync(this.dir).dev;
    const wanted = segments + (linked ? 0 : runs) + diskFreeLowWater;
    const free = freeBytes(this.dir);
    if (free < wanted) throw diskFull(free, wanted);
  }

  private async writeSegments({ segments }: TroupeCut): Promise<void> {
    await freshDir(join(this.data, 'troupe', 'log'));
    for (const segment of segments) {
      const path = `troupe/log/${segment.file}`;
      this.go(path, 0);
      await writePieces(join(this.data, path), segment.pieces());
      segment.release();
      await this.sum(path);
    }
  }

  private async writeManifest({ shards, runs, next }: ManifestState): Promise<void> {
    const dir = join(this.data, 'troupe', 'manifest');
    await freshDir(dir);
    const onFatal = (why: Error): never => {
      throw why;
    };
    const manifest = await openManifest({ dir, owner: 'troupe', onFatal });
    const numbers = [...shards].map(([name, { number }]) => [name, number] as const);
    await manifest.edit({ names: numbers, next });
    const fences = [...shards.values()].map(({ number, fence }) => [number, fence] as const);
    await manifest.edit({ add: runs, fences });
    await manifest.close();
    await rm(join(dir, 'lock.mdb'), { force: true });
    await this.sum('troupe/manifest/data.mdb');
  }

  private async placeRuns({ runDir, state }: TroupeCut): Promise<void> {
    const dir = join(this.data, 'troupe', 'runs');
    const wanted = new Set(state.runs.flatMap(({ file }) => [file, filterFile(file)]));
    for (const name of await madeDir(dir)) if (!wanted.has(name)) await rm(join(dir, name), { recursive: true });
    for (const run of state.runs) {
      await this.placeRun(runDir, dir, run);
      await this.placeFilter(runDir, dir, run);
    }
  }

  private async placeRun(from: string, to: string, { file, bytes, crc }: RunInfo): Promise<void> {
    const path = `troupe/runs/${file}`;
    const isIt = async (where: string, counted: boolean): Promise<boolean> => {
      if (statSync(where, { throwIfNoEntry: false })?.size !== bytes) return false;
      const sum = await sumFile(where, piece => this.go(path, counted ? piece : 0));
      return sum.bytes === bytes && sum.crc === crc;
    };
    const before = this.bytes;
    if (await isIt(join(to, file), true)) this.counts.kept++;
    else {
      this.bytes = before;
      await rm(join(to, file), { force: true });
      const how = await linkOrCopy(join(from, file), join(to, file));
      this.counts[how]++;
      if (!(await isIt(join(to, file), true))) {
        await rm(join(to, file), { force: true });
        throw damaged(join(from, file), 'its checksum differs from that in the manifest');
      }
    }
    this.files.push({ path, bytes, crc });
  }

  /** One that is damaged stays behind: a run is read without it, only more often in vain. */
  private async placeFilter(from: string, to: string, { file, crc }: RunInfo): Promise<void> {
    const name = filterFile(file);
    const isSound = (dir: string): boolean => typeof readFilter(join(dir, file), crc) !== 'string';
    if (!isSound(to)) {
      await rm(join(to, name), { force: true });
      if (!isSound(from)) return;
      await linkOrCopy(join(from, name), join(to, name));
    }
    await this.sum(`troupe/runs/${name}`);
  }

  private async sum(path: string): Promise<void> {
    this.files.push({ path, ...(await sumFile(join(this.data, path), piece => this.go(path, piece))) });
  }

  /** Between two pieces: says how far it is, and hears whether to go on. */
  private go(file: string, piece: number): void {
    if (this.source.signal?.aborted === true) throw stopped();
    this.bytes += piece;
    this.bytesTotal = Math.max(this.bytesTotal, this.bytes);
    this.source.onProgress?.({ file, bytes: this.bytes, bytesTotal: this.bytesTotal });
  }
}

function refuse(dir: string, why: string): TroupeError {
  return new TroupeError('BAD_OPTION', `${dir} cannot take a backup: ${why}`, { details: { dir } });
}
