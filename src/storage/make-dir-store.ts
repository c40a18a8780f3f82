// Makes a directory, and those above it that are not there.
//
// Not by mkdir with `recursive`: Node 24 never comes back from that, and keeps a core busy, where mkdir says ENOENT although the directory
// above is there. That is so behind a link to a volume that is not mounted, and in /proc.

import { mkdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/** Rejects with what the file system says; ENOENT also when a name on the way is a link to nowhere. */
export async function makeDir(dir: string): Promise<void> {
  const missing: string[] = [];
  for (let at = resolve(dir); !(await isThere(at)); at = dirname(at)) missing.push(at);
  for (const each of missing.reverse()) await makeOne(each);
}

async function makeOne(dir: string): Promise<void> {
  try {
    await mkdir(dir);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    // Somebody else has just made it; or it has no other end.
    if (await isThere(dir)) return;
    const message = `ENOENT: ${dir} is a link to something that is not there; is its volume mounted?`;
    throw Object.assign(new Error(message, { cause: error }), { code: 'ENOENT' });
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory() || refuseFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

function refuseFile(path: string): never {
  throw Object.assign(new Error(`ENOTDIR: ${path} is not a directory`), { code: 'ENOTDIR' });
}
