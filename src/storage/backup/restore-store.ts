// From a backup to a data directory.
//
//     whole        directory empty ──▶ every file copied ──▶ every copy summed ──▶ troupe.json, of a successor     only now it can start
//     a partition  backup summed ──▶ restored beside the directory, runs by links ──▶ shards exported, imported ──▶ removed
//
// The node that was backed up may have gone on: epochs above its limit are left out, and the restored node has another id.
//
// Invariant: a directory that was not restored to the end has no troupe.json, and no node starts on it. The backup is only read.

import { existsSync, statSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { TroupeError } from '../../errors.ts';
import { acquireDirLock } from '../dir-lock.ts';
import type { Engine, EngineKind } from '../engine.ts';
import { makeDir } from '../make-dir-store.ts';
import { type NodeFileContent, nodeFileName, readNodeFile, writeSuccessor } from '../node-file.ts';
import { openEngine } from '../open-engine.ts';
import {
  type BackupAbout,
  type BackupFile,
  backupFile,
  damaged,
  dataPart,
  decodeBackup,
  underWayFile,
} from './backup-format.ts';
import type { BackupProgress } from './backup-store.ts';
import { copyWhole, freshDir, linkOrCopy, madeDir, sumFile, syncDirsOf } from './files-store.ts';

export interface RestoreOptions {
  /** The directory that makeBackup() has made. */
  readonly backup: string;
  readonly dataDir: string;
  /** Wall clock. */
  now(): number;
  readonly onProgress?: ((progress: BackupProgress) => void) | undefined;
}

export interface RestoreResult {
  readonly dataDir: string;
  readonly node: NodeFileContent;
  /** The moment the backup shows, in milliseconds since 1970. */
  readonly at: number;
  readonly files: number;
  readonly bytes: number;
}

export interface PartitionOptions extends RestoreOptions {
  readonly partition: number;
  /** That the directory has: of others nothing is restored, for nobody could read it. */
  readonly stores: readonly string[];
}

export interface PartitionResult {
  readonly dataDir: string;
  readonly partition: number;
  readonly at: number;
  /** Stores whose partition is now as it was, and how many records it has. */
  readonly restored: readonly { readonly store: string; readonly records: number }[];
  /** Stores the backup does not know: left as they are. */
  readonly left: readonly string[];
}

/** What a backup says of itself. Throws BAD_OPTION when it is none, or of a newer version; CORRUPT. */
export async function readBackup(dir: string): Promise<BackupAbout> {
  const path = join(dir, backupFile);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    const half = existsSync(join(dir, underWayFile)) ? ' It was broken off before its end.' : '';
    throw new TroupeError('BAD_OPTION', `${dir} holds no backup.${half}`, { cause, details: { dir } });
  }
  return decodeBackup(text, path);
}

/** Throws BAD_OPTION unless the directory is empty; CORRUPT when a file of the backup is damaged, and then leaves nothing behind. */
export async function restoreBackup(options: RestoreOptions): Promise<RestoreResult> {
  const [backup, dataDir] = [resolve(options.backup), resolve(options.dataDir)];
  const about = await readBackup(backup);
  const names = await madeDir(dataDir);
  if (names.length > 0)
    throw new TroupeError('BAD_OPTION', `${dataDir} is not empty, and a restored node needs a directory of its own.`, {
      details: { dataDir },
    });
  const lock = await acquireDirLock(dataDir);
  try {
    const bytes = await fill(dataDir, backup, about, copyWhole, options);
    const node = await writeSuccessor(dataDir, about.node, options.now() - about.at);
    return { dataDir, node, at: about.at, files: about.files.length, bytes };
  } catch (why) {
    for (const name of await readdir(dataDir)) await rm(join(dataDir, name), { recursive: true, force: true });
    throw why;
  } finally {
    await lock.release();
  }
}

/** The partition of every store is as the backup has it. Throws BAD_OPTION when the two do not belong together. */
export async function restorePartition(options: PartitionOptions): Promise<PartitionResult> {
  const [backup, dataDir] = [resolve(options.backup), resolve(options.dataDir)];
  const about = await readBackup(backup);
  const node = await readNodeFile(dataDir);
  if (node === undefined) throw new TroupeError('BAD_OPTION', `${dataDir} is not a data directory of Troupe.`);
  checkPartition(options.partition, about, node);
  const lock = await acquireDirLock(dataDir);
  const beside = join(dataDir, 'partition.restore');
  try {
    await freshDir(beside);
    // Nothing is written to a run, so links do.
    const place = (from: string, to: string): Promise<unknown> =>
      from.includes('/troupe/runs/') ? linkOrCopy(from, to) : copyWhole(from, to);
    await fill(beside, backup, about, place, options);
    return await withEngine(beside, from => withEngine(dataDir, to => replace(from, to, options, about.at)));
  } finally {
    await rm(beside, { recursive: true, force: true });
    await lock.release();
  }
}

/** Goes on from a data directory that was copied: its node is another one from now on, with epochs of its own. */
export async function adoptDirectory(dataDir: string, now: number): Promise<NodeFileContent> {
  if (!existsSync(join(dataDir, nodeFileName)))
    throw new TroupeError('BAD_OPTION', `${dataDir} is not a data directory of Troupe.`);
  const lock = await acquireDirLock(dataDir);
  try {
    // Written when the node started or took more epochs, or when it was copied: not later than the copy was made.
    const { mtimeMs } = statSync(join(dataDir, nodeFileName));
    return await writeSuccessor(dataDir, (await readNodeFile(dataDir)) as NodeFileContent, now - mtimeMs);
  } finally {
    await lock.release();
  }
}

/** Copies the files of the backup and looks each copy over. Returns the bytes. */
async function fill(
  into: string,
  backup: string,
  { files }: BackupAbout,
  place: (from: string, to: string) => Promise<unknown>,
  { onProgress }: RestoreOptions,
): Promise<number> {
  const bytesTotal = files.reduce((sum, { bytes }) => sum + bytes, 0);
  let bytes = 0;
  for (const file of files) {
    const from = join(backup, dataPart, file.path);
    const to = join(into, file.path);
    if (!existsSync(from)) throw damaged(from, 'it is not there');
    await makeDir(dirname(to));
    await place(from, to);
    const damage = await damageOf(to, file, piece => {
      bytes += piece;
      onProgress?.({ file: file.path, bytes, bytesTotal });
    });
    if (damage !== '') throw damaged(from, damage);
  }
  const paths = files.map(({ path }) => path);
  await syncDirsOf(into, paths);
  return bytes;
}

/** What is not as the backup says; empty when all is. */
export async function damageOf(
  path: string,
  file: BackupFile,
  watch: (bytes: number) => void = () => {},
): Promise<string> {
  if (!existsSync(path)) return 'it is not there';
  const sum = await sumFile(path, watch);
  if (sum.bytes !== file.bytes) return `it has ${sum.bytes} bytes, and was written with ${file.bytes}`;
  return sum.crc === file.crc ? '' : 'its checksum differs';
}

function checkPartition(partition: number, { node }: BackupAbout, { partitions }: NodeFileContent): void {
  const refuse = (why: string): TroupeError =>
    new TroupeError('BAD_OPTION', why, { details: { partition, partitions, backup: node.partitions } });
  if (node.partitions !== partitions)
    throw refuse(`The backup has ${node.partitions} partitions and the directory ${partitions}: keys lie elsewhere.`);
  if (partition >= partitions) throw refuse(`There are partitions 0 to ${partitions - 1}, and no ${partition}.`);
}

async function withEngine<T>(dir: string, use: (engine: Engine) => Promise<T>): Promise<T> {
  const engine = openEngine({ kind: kindOf(dir), dir });
  try {
    await engine.ready?.();
    return await use(engine);
  } finally {
    await engine.close();
  }
}

/** What a directory was written by. */
export function kindOf(dataDir: string): EngineKind {
  const isLmdb = !existsSync(join(dataDir, 'troupe')) && existsSync(join(dataDir, 'lmdb'));
  return isLmdb ? 'lmdb' : 'troupe';
}

async function replace(from: Engine, to: Engine, options: PartitionOptions, at: number): Promise<PartitionResult> {
  const { dataDir, partition, stores } = options;
  const held = new Set(from.shards());
  const known = new Set([...held].map(storeOf));
  const restored = [];
  for (const store of stores) {
    if (!known.has(store)) continue;
    const name = `kv/${store}/${partition}`;
    if (held.has(name)) await to.import(name, from.export(name));
    else await to.drop(name);
    restored.push({ store, records: to.shard(name).count() });
  }
  await to.sync('flushed');
  return { dataDir, partition, at, restored, left: stores.filter(store => !known.has(store)) };
}

/** As shardNameOf() in src/actors has it, which stands above us: kv/store/partition. */
function storeOf(shard: string): string | undefined {
  return /^kv\/(.+)\/\d+$/.exec(shard)?.[1];
}
