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

function damageOf(path: string, run: RunInfo): string {
  try {
    const { crc, bytes } = sumFile(path);
    if (bytes !== run.bytes) return `it has ${bytes} bytes, and was written with ${run.bytes}`;
    return crc === run.crc ? '' : 'the checksum of the file differs';
  } catch (why) {
    return (why as Error).message;
  }
}
