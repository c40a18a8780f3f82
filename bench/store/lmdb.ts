// lmdb-js as it comes: one environment, one transaction a group of puts that were made together. `committed` resolves when
// the group is visible to other processes, `flushed` when it has been synced (research/pitfalls.md F7).

import { join } from 'node:path';
import { open, type RootDatabase } from 'lmdb';
import type { StoreSide } from './side.ts';

export function lmdbSide(ack: 'committed' | 'flushed'): StoreSide {
  let db: RootDatabase<Buffer, string>;
  return {
    open(folder) {
      db = open<Buffer, string>({ path: join(folder, 'lmdb'), encoding: 'binary' });
    },
    async put(key, value) {
      await db.put(key, value);
      if (ack === 'flushed') await db.flushed;
    },
    // A copy. getBinaryFast is faster still, but its bytes are only valid until the next get.
    get: key => db.getBinary(key),
    close: () => db.close(),
  };
}
