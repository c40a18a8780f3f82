// What only a real disk and real processes show: kills, bit rot, a full disk, a commit that fails or never returns.

import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { commitStallMs } from '../../src/limits.ts';
import { type Lmdb, openLmdb } from '../../src/storage/lmdb-env-store.ts';
import { LmdbStore } from '../../src/storage/lmdb-store.ts';
import { startChild } from './child.ts';
import { bytes, contents, del, group, outcome, outcomes, put, text } from './conformance.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'troupe-faults-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Numbers of a file of acknowledgements, without a last line that was cut. */
function acknowledged(file: string): number[] {
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1).map(Number) : [];
}

/** Which of the numbered groups of store-child.ts are not there whole. */
function missing(store: LmdbStore, numbers: readonly number[]): number[] {
  return numbers.filter(n => {
    const shard = store.shard(`s/${n % 4}`);
    return ['a', 'b'].some(part => text(shard.get(bytes(`${part}${n}`))) !== `${n}`.padEnd(500, '.'));
  });
}

/** Groups of which one record is there and the other is not. */
function torn(store: LmdbStore): string[] {
  return [0, 1, 2, 3].flatMap(s => {
    const keys = new Set([...store.shard(`s/${s}`).scan()].map(({ key }) => new TextDecoder().decode(key)));
    return [...keys].filter(key => !keys.has(`${key.startsWith('a') ? 'b' : 'a'}${key.slice(1)}`));
  });
}

describe('a process that is killed under load', () => {
  it('has lost no acknowledged write, and has left no half of a group', async () => {
    const acks = join(dir, 'acks');
    let known = 0;
    for (let kill = 0; kill < 4; kill++) {
      const child = startChild('write', join(dir, 'db'), acks);
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

describe('bit rot', () => {
  const fill = async (): Promise<string> => {
    const store = new LmdbStore({ dir: join(dir, 'db') });
    for (let n = 0; n < 1_000; n++) {
      const ops = ['a', 'b'].map(part => put(`${part}${n}`, `${n}`.padEnd(500, '.')));
      void store.shard(`s/${n % 4}`).commit(group(3, ops), 'committed');
    }
    await store.close();
    return join(dir, 'db', 'data.mdb');
  };

  /** Turns one bit of the file around, at so many bytes from where the record of a key begins. */
  function damage(file: string, key: string, at: (record: number) => number): void {
    const content = readFileSync(file);
    // Freed pages keep old copies; damage them all.
    const value = Buffer.from(`${key.slice(1)}`.padEnd(500, '.'));
    let found = 0;
    for (let where = content.indexOf(value); where !== -1; where = content.indexOf(value, where + 1)) {
      const record = where - 14;
      // On the page a node is: sizes, flags, key, value (8 bytes of stamp, then the record).
      if (content.subarray(record - 8 - key.length, record - 8).toString() !== key) continue;
      content[at(record)] = (content[at(record)] as number) ^ 4;
      found++;
    }
    expect(found).toBeGreaterThan(0);
    writeFileSync(file, content);
  }

  it.each([
    ['its value', (record: number) => record + 14 + 100],
    ['its epoch', (record: number) => record + 5],
    ['its checksum', (record: number) => record],
    ['what LMDB compares as its fence', (record: number) => record - 3],
  ])('in a record, in %s: CORRUPT names shard and key, the others go on, and writing heals', async (_, at) => {
    damage(await fill(), 'a8', at);
    const store = new LmdbStore({ dir: join(dir, 'db') });
    const shard = store.shard('s/0');
    expect(() => shard.get(bytes('a8'))).toThrow(
      expect.objectContaining({ code: 'CORRUPT', details: expect.objectContaining({ shard: 's/0', key: 'a8' }) }),
    );
    expect(text(shard.get(bytes('b8')))).toBe('8'.padEnd(500, '.'));
    expect(() => contents(shard)).toThrow(expect.objectContaining({ code: 'CORRUPT' }));
    expect(() => contents(shard, { from: bytes('a80') })).not.toThrow();
    const exported = (async () => {
      for await (const _chunk of store.export('s/0'));
    })();
    expect(await outcome(exported)).toBe('CORRUPT');
    expect(store.stats().corrupt).toBe(3);
    await shard.commit(group(3, [put('a8', 'healed')]), 'committed');
    expect(text(shard.get(bytes('a8')))).toBe('healed');
    await store.close();
  });

  it('anywhere in the file never makes a wrong value: CORRUPT, missing, or a process that dies', async () => {
    const file = await fill();
    const good = join(dir, 'good');
    copyFileSync(file, good);
    const size = statSync(good).size;
    let random = 99;
    const below = (limit: number): number => {
      random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
      return Math.floor((random / 2 ** 32) * limit);
    };
    const total = { ok: 0, wrong: 0, corrupt: 0, missing: 0, died: 0 };
    // Two at a time: as many as we have cores.
    const round = async (at: number): Promise<void> => {
      const place = join(dir, `rot${at}`);
      mkdirSync(place);
      const content = readFileSync(good);
      // The first two pages are the roots; without them there is no file.
      for (let bit = 0; bit < 30; bit++) {
        const where = 8_192 + below(size - 8_192);
        content[where] = (content[where] as number) ^ (1 << below(8));
      }
      writeFileSync(join(place, 'data.mdb'), content);
      const child = startChild('read', place);
      await child.end;
      const [found] = child.said as [typeof total | undefined];
      if (found?.ok === undefined) total.died++;
      else for (const what of ['ok', 'wrong', 'corrupt', 'missing'] as const) total[what] += found[what];
    };
    for (let at = 0; at < 8; at += 2) await Promise.all([round(at), round(at + 1)]);
    expect(total.wrong).toBe(0);
    expect(total.corrupt).toBeGreaterThan(10);
    expect(total.ok).toBeGreaterThan(1_000);
  });

  it.each<[string, (content: Buffer) => Buffer]>([
    ['in the first page', content => content.fill(0x55, 0, 4_096)],
    ['in the second page', content => content.fill(0x55, 4_096, 8_192)],
    ['in one flag of a page', content => content.fill(0, 4_096 + 18, 4_096 + 20)],
    ['of a version to come', content => content.fill(9, 28, 29)],
    ['cut in the second page', content => content.subarray(0, 5_000)],
    ['cut before the root', content => content.subarray(0, 8_192)],
    ['of one byte', content => content.subarray(0, 1)],
  ])('%s is told at the door, where LMDB would die of it', async (_, change) => {
    const file = await fill();
    writeFileSync(file, change(readFileSync(file)));
    expect(() => new LmdbStore({ dir: join(dir, 'db') })).toThrow(expect.objectContaining({ code: 'CORRUPT' }));
  });

  it('is not what a wrong path is, nor an empty file', async () => {
    const file = await fill();
    expect(() => new LmdbStore({ dir: join(file, 'below') })).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }));
    writeFileSync(file, '');
    const store = new LmdbStore({ dir: join(dir, 'db') });
    expect(store.shards()).toEqual([]);
    // And one environment is opened once a thread: LMDB would break.
    expect(() => new LmdbStore({ dir: join(dir, 'db', '..', 'db') })).toThrow(
      expect.objectContaining({ code: 'BAD_OPTION' }),
    );
    await store.close();
    await new LmdbStore({ dir: join(dir, 'db') }).close();
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

  it('refuses puts with DISK_FULL before LMDB notices; reads and deletions go on; freed space is used again', async () => {
    const disk = mount('8m');
    // Where we may not mount, the free space is what we say it is.
    let said = 8 * MiB;
    const place = typeof disk === 'string' ? join(dir, 'elsewhere') : disk.path;
    if (typeof disk === 'string') console.warn(`no tmpfs (${disk}): the free space is injected instead`);
    else disks.push(disk);
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

describe('a commit', () => {
  /** LMDB with writes that go wrong from the moment we say so. */
  function rig(how: 'rejects' | 'hangs') {
    let broken = false;
    const calls: string[] = [];
    const timers: (() => void)[] = [];
    const fatal: Error[] = [];
    let db: Lmdb | undefined;
    const store = new LmdbStore({
      dir: join(dir, 'db'),
      onFatal: why => fatal.push(why),
      timer: (delay, fn) => {
        expect(delay).toBe(commitStallMs);
        timers.push(fn);
        return () => timers.splice(timers.indexOf(fn), 1);
      },
      open: place => {
        const real = openLmdb(place);
        db = real;
        return new Proxy(real, {
          get(target, name) {
            const member = Reflect.get(target, name, target);
            if (typeof member !== 'function') return member;
            return (...args: unknown[]) => {
              if (!broken) return member.apply(target, args);
              calls.push(String(name));
              if (how === 'hangs') return new Promise(() => {});
              const details = Promise.reject(new Error('I/O'));
              return Promise.reject(Object.assign(new Error('Commit failed'), { commitError: details }));
            };
          },
        });
      },
    });
    return {
      store,
      fatal,
      timers,
      calls,
      sabotage: () => {
        broken = true;
      },
      end: () => db?.close(),
    };
  }

  it.each(['rejects', 'hangs'] as const)('that %s is fatal: everyone is told, and LMDB is left alone', async how => {
    const { store, fatal, timers, calls, sabotage, end } = rig(how);
    const shard = store.shard('s');
    await shard.commit(group(1, [put('k', '1')]), 'committed');
    const scan = shard.scan()[Symbol.iterator]();
    expect(timers).toEqual([]);
    sabotage();
    const underWay = shard.commit(group(1, [put('k', '2')]), 'committed');
    underWay.catch(() => {});
    await new Promise(resolve => setImmediate(resolve));
    await new Promise(resolve => setImmediate(resolve));
    const waiting = outcomes([
      shard.commit(group(1, [put('l', '2')]), 'flushed'),
      store.sync('committed'),
      store.drop('s'),
    ]);
    if (how === 'hangs') {
      expect(timers).toHaveLength(1);
      (timers[0] as () => void)();
    }
    await expect(underWay).rejects.toMatchObject({ code: 'UNKNOWN_OUTCOME', outcome: 'unknown', retryable: false });
    expect(await waiting).toEqual(['STOPPED', 'STOPPED', 'STOPPED']);
    expect(fatal.map(({ message }) => message)).toEqual([how === 'hangs' ? 'no commit in 30000 ms' : 'Commit failed']);
    calls.length = 0;
    const reads = [() => shard.get(bytes('k')), () => shard.count(), () => store.shards(), () => scan.next()];
    for (const read of reads) expect(read).toThrow(expect.objectContaining({ code: 'STOPPED' }));
    expect(await outcomes([shard.commit(group(1, []), 'committed'), store.close(), store.close()])).toEqual([
      'STOPPED',
      'ok',
      'ok',
    ]);
    expect(calls).toEqual([]);
    await end();
  });
});
