// The directory of runs at start: what the manifest does not name was never finished, or had been replaced; what it names
// must be there. Nobody else has the directory open yet.

import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { ManifestState } from './manifest-format.ts';
import { runCorrupt } from './run-env-store.ts';
import { lockFile, runFile, runOfFile } from './run-format.ts';
import { syncDir } from './run-writer-store.ts';

/** Removes what is garbage and returns its names. Throws CORRUPT when a run is missing or too short; then nothing was removed. */
export function sweep(dir: string, { runs }: Pick<ManifestState, 'runs'>): string[] {
  for (const { file, bytes } of runs) {
    const size = statSync(join(dir, file), { throwIfNoEntry: false })?.size;
    if (size === undefined) throw runCorrupt(join(dir, file), 'the manifest names it, and it is not there');
    if (size !== bytes) throw runCorrupt(join(dir, file), `it has ${size} bytes, and was written with ${bytes}`);
  }
  const live = new Set(runs.map(({ id }) => id));
  const garbage = readdirSync(dir).filter(name => {
    const id = runOfFile(name);
    // A lock file is of use to nobody but those who have the run open.
    return id !== undefined && (!live.has(id) || name === lockFile(runFile(id)));
  });
  for (const name of garbage) rmSync(join(dir, name), { force: true });
  if (garbage.length > 0) syncDir(dir);
  return garbage.sort();
}
