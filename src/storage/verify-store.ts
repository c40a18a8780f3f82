// Looks over what the troupe engine has in a directory, for `troupe log verify` and `troupe log dump`: the manifest, the segments of the
// logs, every byte of every run, and the filters. Nothing is changed: LMDB opens a copy of the manifest, everything else is read.
//
// No node may be at work there: files would come and go while we look, and damage and upkeep could not be told apart.
//
// Invariant: `sound` exactly when a node would start on the directory without a word and find every run and filter as it was written.

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { crc32 } from 'node:zlib';
import { TroupeError } from '../errors.ts';
import { backupFile, dataPart } from './backup/backup-format.ts';
import { damageOf, readBackup } from './backup/restore-store.ts';
import { crc32 as ownCrc32 } from './crc32.ts';
import { acquireDirLock } from './dir-lock.ts';
import { parseFile } from './log/log-names.ts';
import {
  dumpSegment,
  type FrameReport,
  isDamage,
  type LogFile,
  type SegmentReport,
  verifyLogs,
} from './log/log-verify.ts';
import { shardSeed } from './record.ts';
import type { ManifestState } from './runs/manifest-format.ts';
import { ManifestStore } from './runs/manifest-store.ts';
import { type RunVerdict, verifyRun } from './runs/verify-job.ts';
import { importOf } from './troupe-runs-store.ts';

/** flushed: the manifest names its run; it is not read any more. */
export interface SegmentFinding extends Omit<SegmentReport, 'state'> {
  readonly state: SegmentReport['state'] | 'flushed';
}

export interface RunFinding extends RunVerdict {
  readonly bytes: number;
  readonly records: number;
  readonly deletes: number;
}

export interface Findings {
  readonly dir: string;
  readonly sound: boolean;
  /** Why the manifest cannot be read; empty when it can. Without it nobody knows which runs there should be. */
  readonly manifest: string;
  readonly segments: readonly SegmentFinding[];
  readonly runs: readonly RunFinding[];
  /** Files of a backup that are not as it says; empty for a data directory. */
  readonly files: readonly { readonly path: string; readonly damage: string }[];
}

export interface ShownFrame extends FrameReport {
  /** The shard's; null for one that was dropped, or without a manifest. */
  readonly name: string | null;
}

const crc = (bytes: Uint8Array, seed?: number): number =>
  bytes.length <= 128 ? ownCrc32(bytes, seed) : crc32(bytes, seed);

/** `each` hears of what it looks at next. Throws BAD_OPTION when there is nothing of the engine, or a node is at work. */
export async function verifyDirectory(dir: string, each: (what: string) => void = () => {}): Promise<Findings> {
  return await atRest(dir, async own => {
    const found = await manifestOf(own);
    const manifest = typeof found === 'string' ? found : '';
    const state = typeof found === 'string' ? undefined : found;
    const seedOf = seedsOf(state);
    const isFlushed = (id: number): boolean => state?.flushed.has(id) === true;
    const logs = segmentsOf(own);
    const waiting = logs.filter(({ id }) => !isFlushed(id));
    const looked = { crc, seedOf, logged: state?.logged };
    const segments: SegmentFinding[] = [...verifyLogs(read(own, waiting, each), looked)];
    for (const { file, log, id } of logs.filter(({ id }) => isFlushed(id)))
      segments.push({
        file,
        log,
        id,
        header: 'ok',
        state: 'flushed',
        groups: 0,
        lsnMax: 0,
        end: 0,
        bytes: 0,
        reason: '',
      });
    const runs: RunFinding[] = [];
    for (const run of state?.runs ?? []) {
      each(run.file);
      const { bytes, records, deletes } = run;
      runs.push({ ...(await verifyRun({ dir: join(own, 'runs'), run })), bytes, records, deletes });
    }
    const files = await damagedFiles(dir, each);
    const sound =
      manifest === '' &&
      files.length === 0 &&
      !segments.some(({ state, ...rest }) => state !== 'flushed' && isDamage({ ...rest, state })) &&
      runs.every(({ damage, filterDamage }) => damage === '' && filterDamage === '');
    return { dir: own, sound, manifest, segments: segments.sort((a, b) => a.id - b.id), runs, files };
  });
}

/** Every valid frame, oldest segment first. `segment`: only of the one with this id. Throws BAD_OPTION when there is none such. */
export async function dumpDirectory(
  dir: string,
  segment: number | undefined,
  show: (frame: ShownFrame) => Promise<void>,
): Promise<void> {
  await atRest(dir, async own => {
    const found = await manifestOf(own);
    const state = typeof found === 'string' ? undefined : found;
    const files = segmentsOf(own).filter(({ id }) => segment === undefined || id === segment);
    if (files.length === 0 && segment !== undefined)
      throw new TroupeError('BAD_OPTION', `${join(own, 'log')} has no segment ${segment}.`, { details: { segment } });
    for (const file of read(own, files, () => {}))
      for (const frame of dumpSegment(file, { crc, seedOf: seedsOf(state) }))
        await show({ ...frame, name: frame.kind !== 'group' ? null : (state?.names.get(frame.shard) ?? null) });
  });
}

/** With the engine's own directory, which `dir` is, or is above: of a data directory, or of a backup. */
async function atRest<T>(dir: string, look: (own: string) => Promise<T>): Promise<T> {
  const parts = existsSync(join(dir, backupFile)) ? [`${dataPart}/troupe`] : ['.', 'troupe'];
  const place = parts.map(part => join(resolve(dir), part));
  const own = place.find(each => existsSync(join(each, 'log')) && existsSync(join(each, 'runs')));
  if (own === undefined)
    throw new TroupeError('BAD_OPTION', `There is no log and there are no runs of the engine 'troupe' in ${dir}.`, {
      details: { dir },
    });
  const lock = await acquireDirLock(dirname(own));
  try {
    return await look(own);
  } finally {
    await lock.release();
  }
}

async function damagedFiles(dir: string, each: (what: string) => void): Promise<{ path: string; damage: string }[]> {
  if (!existsSync(join(dir, backupFile))) return [];
  const found = [];
  for (const file of (await readBackup(dir)).files) {
    each(file.path);
    const damage = await damageOf(join(dir, dataPart, file.path), file);
    if (damage !== '') found.push({ path: file.path, damage });
  }
  return found;
}

/** Or why there is none. */
async function manifestOf(own: string): Promise<ManifestState | string> {
  const file = join(own, 'manifest', 'data.mdb');
  if (!existsSync(file)) return 'it is not there';
  const copy = mkdtempSync(join(tmpdir(), 'troupe-manifest-'));
  try {
    await copyFile(file, join(copy, 'data.mdb'));
    const onFatal = (why: Error): never => {
      throw why;
    };
    const manifest = new ManifestStore({ dir: copy, owner: 'troupe', onFatal });
    try {
      return manifest.state();
    } finally {
      await manifest.close();
    }
  } catch (why) {
    return (why as Error).message;
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

function segmentsOf(own: string) {
  return readdirSync(join(own, 'log'))
    .map(parseFile)
    .filter(name => name?.kind === 'log')
    .map(name => name as NonNullable<typeof name>)
    .sort((a, b) => a.id - b.id);
}

function* read(
  own: string,
  names: Iterable<{ readonly file: string }>,
  each: (what: string) => void,
): Generator<LogFile> {
  for (const { file } of names) {
    each(file);
    yield { file, bytes: readFileSync(join(own, 'log', file)) };
  }
}

function seedsOf(state: ManifestState | undefined): (shard: number) => number | undefined {
  return shard => {
    const name = state?.names.get(shard);
    return name === undefined ? undefined : shardSeed(crc, importOf(name) ?? name);
  };
}
