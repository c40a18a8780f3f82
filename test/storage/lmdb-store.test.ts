// The LMDB engine passes the suite of all engines. What only a real disk can show is in lmdb-disk, lmdb-rot, lmdb-failure and lmdb-threads.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LmdbStore } from '../../src/storage/lmdb-store.ts';
import { engineConformance } from './conformance.ts';

engineConformance('lmdb', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'troupe-lmdb-'));
  let engine = new LmdbStore({ dir });
  return {
    engine,
    reopen: async () => {
      await engine.close();
      engine = new LmdbStore({ dir });
      return engine;
    },
    end: async () => {
      await engine.close();
      rmSync(dir, { recursive: true });
    },
  };
});
