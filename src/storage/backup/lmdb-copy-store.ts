// A copy of an LMDB environment as of one moment: record by record into a new one. lmdb-js can copy the file, but only as of the moment
// at which its own thread comes to it; this one is that of the snapshot. 5 us a record on the calling thread, in batches.

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { backupBatchBytesMax, backupBatchRecordsMax, diskFreeLowWater } from '../../limits.ts';
import { LmdbDisk } from '../lmdb-disk-store.ts';
import { freeBytes, openLmdb } from '../lmdb-env-store.ts';
import type { Pin } from '../lmdb-walk-store.ts';
import type { Watch } from './files-store.ts';

/** The number of records. `dir` is empty; `data.mdb` is in it, and on the disk, when this resolves. */
export async function copyLmdb(image: Pin, dir: string, watch: Watch): Promise<number> {
  const db = openLmdb(dir);
  const disk = new LmdbDisk(db, { free: () => freeBytes(dir), lowWater: diskFreeLowWater, timer: realTimer });
  let records = 0;
  try {
    for (;;) {
      const batch = nextBatch(image);
      if (batch.length === 0) break;
      const sizes = batch.map(({ key, value }) => key.length + value.length);
      disk.needRoom(true, sizes);
      await disk.settle(batch.map(({ key, value, version }) => db.put(key, value, version)));
      records += batch.length;
      watch(0);
    }
  } finally {
    await db.close();
  }
  await rm(join(dir, 'lock.mdb'), { force: true });
  return records;
}

function nextBatch(image: Pin) {
  const batch = [];
  for (let bytes = 0; batch.length < backupBatchRecordsMax && bytes < backupBatchBytesMax; ) {
    const entry = image.next();
    if (entry === undefined) break;
    bytes += entry.key.length + entry.value.length;
    batch.push(entry);
  }
  return batch;
}

function realTimer(delayMs: number, fn: () => void): () => void {
  const handle = setTimeout(fn, delayMs);
  return () => clearTimeout(handle);
}
