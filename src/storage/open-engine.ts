// Opens the engine a thread asks for: what production passes as World.storage.open.
//
//     dir/lmdb     small mutable state, and everything where the engine is lmdb
//     dir/troupe   what stores keep: log, runs, manifest

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { TroupeError } from '../errors.ts';
import type { Engine, EngineOptions } from './engine.ts';
import { LmdbStore } from './lmdb-store.ts';
import { MemoryStore } from './memory-store.ts';
import { SplitStore } from './split-store.ts';
import { TroupeStore } from './troupe-store.ts';

export function openEngine(options: EngineOptions): Engine {
  const { kind, dir, onFatal } = options;
  if (kind === 'memory') {
    if (dir !== undefined && existsSync(join(dir, 'lmdb', 'data.mdb')))
      throw bad(
        options,
        `${dir} holds what another engine has stored, and the memory engine would not see it; leave 'engine' out.`,
      );
    return new MemoryStore(onFatal ? { onFatal } : {});
  }
  if (kind !== 'lmdb' && kind !== 'troupe') throw bad(options, `There is no storage engine called ${String(kind)}.`);
  if (dir === undefined) throw bad(options, `The ${kind} engine needs a directory (dir).`);
  const ownDir = join(dir, 'troupe');
  if (kind === 'lmdb' && existsSync(ownDir))
    throw bad(
      options,
      `${dir} was written by the engine 'troupe', which keeps its stores in ${ownDir}; open it with that one.`,
    );
  const small = new LmdbStore({ ...options, dir: join(dir, 'lmdb') });
  if (kind === 'lmdb') return small;
  try {
    return new SplitStore(new TroupeStore({ ...options, dir: ownDir }), small);
  } catch (why) {
    small.close().catch(() => {});
    throw why;
  }
}

function bad({ kind, dir }: EngineOptions, message: string): TroupeError {
  return new TroupeError('BAD_OPTION', message, { details: { kind, dir: dir ?? null } });
}
