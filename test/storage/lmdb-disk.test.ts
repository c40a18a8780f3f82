// A killed process, and a full disk: what was acknowledged is there afterwards.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LmdbStore } from '../../src/storage/lmdb-store.ts';
import { acknowledged, missing, startChild, torn } from './child.ts';
import { bytes, del, group, outcome, outcomes, put } from './conformance.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'troupe-faults-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe('a process that is killed under load', () => {
  it('has lost no acknowledged write, and has left no half of a group', async () => {
    const acks = join(dir, 'acks');
    let known = 0;
    for (let kill = 0; kill < 4; kill++) {
      const child = startChild('write', join(dir, 'db'), acks, `${kill * 1_000_000}`);
      while (acknowledged(acks).length < known + 150 * (kill + 1)) {
        expect(child.process.exitCode).toBeNull();
        await new Promise(resolve => setTimeout(resolve, 5));
      }
      child.process.kill('SIGKILL');
      expect(await child.end).toBe('SIGKILL');
      const numbers = acknowledged(acks);
      expect(numbers.length).toBeGreaterThan(known);
      known = numbers.length;
      const store = new LmdbStore({ dir: join(dir, 'db') });
      expect([missing(store, numbers), torn(store)]).toEqual([[], []]);
      // The fence has survived too.
      expect(await outcome(store.shard('s/1').commit(group(2, []), 'committed'))).toBe('FENCED');
      await store.close();
    }
  });
});

/** A small disk of our own, or the reason why there is none. */
function mount(size: string): { path: string; end(): void } | string {
  const path = join(dir, 'disk');
  mkdirSync(path);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', path], { stdio: 'pipe' });
    return { path, end: () => void execFileSync('umount', ['-l', path]) };
  } catch (why) {
    return String((why as { stderr?: unknown }).stderr ?? why).trim();
  }
}

describe('a full disk', () => {
  const MiB = 1 << 20;
  const disks: { end(): void }[] = [];
  afterEach(() => {
    for (const disk of disks.splice(0)) disk.end();
  });

  it.each(['a disk of 8 MiB', 'free space as the test says it is'])(
    '(%s) refuses puts with DISK_FULL before LMDB notices; reads and deletions go on; freed space is used again',
    async how => {
      const disk = how === 'a disk of 8 MiB' ? mount('8m') : 'not wanted';
      // Where we may not mount, the free space is what we say it is.
      let said = 8 * MiB;
      const place = typeof disk === 'string' ? join(dir, 'elsewhere') : disk.path;
      if (typeof disk !== 'string') disks.push(disk);
      else if (disk !== 'not wanted') console.warn(`no tmpfs (${disk}): the free space is injected instead`);
      const ballast = join(place, 'ballast');
      mkdirSync(place, { recursive: true });
      writeFileSync(ballast, new Uint8Array(2 * MiB));
      if (typeof disk === 'string') said -= 2 * MiB;
      const spent = (): number =>
        existsSync(join(place, 'db', 'data.mdb')) ? statSync(join(place, 'db', 'data.mdb')).size : 0;
      const fatal: Error[] = [];
      const store = new LmdbStore({
        dir: join(place, 'db'),
        freeLowWater: 2 * MiB,
        onFatal: why => fatal.push(why),
        ...(typeof disk === 'string' ? { free: () => said - spent() } : {}),
      });
      const shard = store.shard('s');
      const value = new Uint8Array(1_000).fill(7);
      const written: string[] = [];
      let refused = '';
      for (let n = 0; refused === '' && n < 20_000; n += 20) {
        const keys = Array.from({ length: 20 }, (_, index) => `k${n + index}`);
        const ends = await outcomes(keys.map(key => shard.commit(group(1, [put(key, value)]), 'committed')));
        written.push(...keys.filter((_, index) => ends[index] === 'ok'));
        refused = ends.find(end => end !== 'ok') ?? '';
      }
      expect(refused).toBe('DISK_FULL');
      expect(written.length).toBeGreaterThan(1_000);
      expect(store.stats().diskFull).toBeGreaterThan(0);
      const before = shard.commit(group(1, [put('more', value)]), 'flushed');
      await expect(before).rejects.toMatchObject({ code: 'DISK_FULL', retryable: true, outcome: 'failed' });
      expect(written.filter(key => shard.get(bytes(key))?.value.length !== 1_000)).toEqual([]);
      expect(shard.count()).toBe(written.length);
      const gone = written.slice(0, 200);
      expect(new Set(await outcomes(gone.map(key => shard.commit(group(1, [del(key)]), 'committed'))))).toEqual(
        new Set(['ok']),
      );
      expect(
        await outcome(
          store.import(
            'copy',
            await (async () => {
              const chunks = [];
              for await (const chunk of store.export('s')) chunks.push(chunk);
              return chunks;
            })(),
          ),
        ),
      ).toBe('DISK_FULL');
      rmSync(ballast);
      if (typeof disk === 'string') said += 2 * MiB;
      await shard.commit(group(1, [put('more', value)]), 'flushed');
      expect(shard.count()).toBe(written.length - 199);
      await store.drop('s');
      await store.close();
      expect(fatal).toEqual([]);
    },
  );

  it('has no room for a new store: DISK_FULL at the door, where LMDB would die of it', context => {
    const disk = mount('512k');
    if (typeof disk === 'string') return context.skip(`no tmpfs: ${disk}`);
    disks.push(disk);
    expect(() => new LmdbStore({ dir: join(disk.path, 'db') })).toThrow(expect.objectContaining({ code: 'DISK_FULL' }));
  });

  it('found out by LMDB itself ends the process at once, and every acknowledged write is there afterwards', async context => {
    const disk = mount('8m');
    if (typeof disk === 'string') return context.skip(`no tmpfs: ${disk}`);
    disks.push(disk);
    const acks = join(dir, 'acks');
    const child = startChild('fill', join(disk.path, 'db'), acks);
    expect(await child.end).toBe('SIGKILL');
    expect(child.errors()).toContain('the storage has failed, and the process with it');
    execFileSync('mount', ['-o', 'remount,size=64m', disk.path]);
    const numbers = acknowledged(acks);
    expect(numbers.length).toBeGreaterThan(1_000);
    const store = new LmdbStore({ dir: join(disk.path, 'db'), freeLowWater: MiB });
    expect([missing(store, numbers), torn(store)]).toEqual([[], []]);
    await store.close();
  });

  it('with an onFatal of one\u2019s own: it is called once, and every promise settles with a code', async context => {
    const disk = mount('4m');
    if (typeof disk === 'string') return context.skip(`no tmpfs: ${disk}`);
    disks.push(disk);
    const child = startChild('fatal', join(disk.path, 'db'));
    expect(await child.end).toBe('SIGKILL');
    const [fatal, last, ...more] = child.said as [
      { fatal: string },
      { ends: { UNKNOWN_OUTCOME?: number }; codes: string[] },
    ];
    expect(fatal.fatal).toBeTypeOf('string');
    expect(Object.keys(last.ends)).toEqual(['UNKNOWN_OUTCOME']);
    expect([last.ends.UNKNOWN_OUTCOME, last.codes, more]).toEqual([32, ['STOPPED', 'STOPPED'], []]);
  });
});
