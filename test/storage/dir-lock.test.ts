// A data directory is one process's at a time, and free as soon as that process is dead.

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { acquireDirLock } from '../../src/storage/dir-lock.ts';
import { startChild } from './child.ts';
import { outcome } from './conformance.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'troupe-lock-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

it('a second process is refused with the directory and a remedy, until the first is killed', async () => {
  const child = startChild('lock', dir);
  while (!child.said.includes('locked')) await child.more();
  await expect(acquireDirLock(dir)).rejects.toMatchObject({
    code: 'BAD_OPTION',
    message: expect.stringMatching(/in use by another node.*a directory of its own/),
    details: { dir },
  });
  child.process.kill('SIGKILL');
  expect(await child.end).toBe('SIGKILL');
  const lock = await acquireDirLock(dir);
  await lock.release();
});

it('a second node of the same process is refused too, by whatever path it comes', async () => {
  const lock = await acquireDirLock(dir);
  const link = `${dir}-link`;
  symlinkSync(dir, link);
  expect(await outcome(acquireDirLock(link))).toBe('BAD_OPTION');
  expect(await outcome(acquireDirLock(join(dir, '..', dir.slice(dir.lastIndexOf('/') + 1))))).toBe('BAD_OPTION');
  rmSync(link);
  await lock.release();
});

it('a released lock can be taken again, and another directory at any time', async () => {
  mkdirSync(join(dir, 'a'));
  const first = await acquireDirLock(join(dir, 'a'));
  // Made on the way.
  const other = await acquireDirLock(join(dir, 'b', 'c'));
  await first.release();
  const again = await acquireDirLock(join(dir, 'a'));
  await Promise.all([again.release(), other.release()]);
});

it('of many who try at once, one gets it', async () => {
  const tries = await Promise.allSettled(Array.from({ length: 8 }, () => acquireDirLock(dir)));
  const got = tries.flatMap(each => (each.status === 'fulfilled' ? [each.value] : []));
  expect(got).toHaveLength(1);
  await got[0]?.release();
});

it('leaves nothing behind of processes that were killed', async () => {
  for (let kill = 0; kill < 3; kill++) {
    const child = startChild('lock', dir);
    while (!child.said.includes('locked')) await child.more();
    child.process.kill('SIGKILL');
    await child.end;
  }
  const lock = await acquireDirLock(dir);
  expect(readdirSync(dir).filter(name => name.startsWith('troupe.lock'))).toHaveLength(
    process.platform === 'linux' ? 2 : 1,
  );
  await lock.release();
  expect(readdirSync(dir)).toEqual(process.platform === 'linux' ? [] : ['troupe.lock']);
});

// Making a network namespace takes root, or user namespaces; where there is neither, this cannot be tried.
const apart = spawnSync('unshare', ['-n', 'true']).status === 0;

it.skipIf(!apart)(
  'is seen from another network namespace, as that of another container on the same volume',
  async () => {
    const lock = await acquireDirLock(dir);
    const child = fileURLToPath(new URL('./store-child.ts', import.meta.url));
    const tried = spawnSync('unshare', ['-n', process.execPath, child, 'lock', dir], {
      encoding: 'utf8',
      timeout: 10_000,
    });
    expect(tried.stdout).toMatch(/died.*in use by another node/);
    await lock.release();
  },
);
