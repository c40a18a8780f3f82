// Looks a run over, and makes its filter again. For a thread of the jobs pool.

import { join } from 'node:path';
import { runFilterRate } from '../../limits.ts';
import { bloomFor } from '../bloom.ts';
import { keyOf, type RunInfo, shardOf } from './run-format.ts';
import { RunStore, readFilter } from './run-store.ts';
import { sumFile, writeFilter } from './run-writer-store.ts';

export interface VerifyArgument {
  readonly dir: string;
  readonly run: RunInfo;
}

/** Empty strings: nothing is wrong. */
export interface RunVerdict {
  readonly file: string;
  readonly damage: string;
  readonly filterDamage: string;
}

/** Every byte of the file against its checksum (2 GB a second from memory), and the filter against its own. */
export async function verifyRun({ dir, run }: VerifyArgument): Promise<RunVerdict> {
  const path = join(dir, run.file);
  const filter = readFilter(path, run.crc);
  return { file: run.file, damage: damageOf(path, run), filterDamage: typeof filter === 'string' ? filter : '' };
}

/** From the keys of the run, which must be whole. Readers that have it open find the new one when they open it again. */
export async function rebuildFilter({ dir, run }: VerifyArgument): Promise<void> {
  const store = new RunStore(dir, run);
  try {
    const bloom = bloomFor(run.records + run.deletes, runFilterRate);
    for (const { place } of store.entries()) bloom.add(shardOf(place), keyOf(place));
    writeFilter(dir, run, bloom);
  } finally {
    store.close();
  }
}

export interface MendArgument {
  readonly dir: string;
  readonly runs: readonly RunInfo[];
}

export interface MendResult {
  /** Files whose filters were made again. */
  readonly mended: readonly string[];
  /** Runs from which none can be made, because they are damaged themselves. */
  readonly damaged: readonly { readonly file: string; readonly reason: string }[];
}

/** Makes every filter again that cannot be believed. Throws what the disk says when one cannot be written. */
export async function mendFilters({ dir, runs }: MendArgument): Promise<MendResult> {
  const mended: string[] = [];
  const damaged: { file: string; reason: string }[] = [];
  for (const run of runs) {
    if (typeof readFilter(join(dir, run.file), run.crc) !== 'string') continue;
    // A filter without a key that has disappeared from a damaged run would make that final.
    const reason = damageOf(join(dir, run.file), run);
    if (reason === '') {
      await rebuildFilter({ dir, run });
      mended.push(run.file);
    } else damaged.push({ file: run.file, reason });
  }
  return { mended, damaged };
}

function damageOf(path: string, run: RunInfo): string {
  try {
    const { crc, bytes } = sumFile(path);
    if (bytes !== run.bytes) return `it has ${bytes} bytes, and was written with ${run.bytes}`;
    return crc === run.crc ? '' : 'the checksum of the file differs';
  } catch (why) {
    return (why as Error).message;
  }
}
