// Opens the engine a thread asks for: what production passes as World.storage.open.

import { TroupeError } from '../errors.ts';
import type { Engine, EngineOptions } from './engine.ts';
import { LmdbStore } from './lmdb-store.ts';
import { MemoryStore } from './memory-store.ts';

export function openEngine(options: EngineOptions): Engine {
  const { kind, dir, onFatal } = options;
  if (kind === 'memory') return new MemoryStore(onFatal ? { onFatal } : {});
  if (kind === 'lmdb' && dir !== undefined) return new LmdbStore({ ...options, dir });
  throw new TroupeError(
    'BAD_OPTION',
    kind === 'lmdb' ? 'The lmdb engine needs a directory (dir).' : `There is no storage engine called ${String(kind)}.`,
    { details: { kind, dir: dir ?? null } },
  );
}
