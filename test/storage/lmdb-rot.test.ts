// Bits that turn around in the file: never a wrong value.

import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LmdbStore } from '../../src/storage/lmdb-store.ts';
import { startChild } from './child.ts';
import { bytes, contents, group, outcome, put, text } from './conformance.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'troupe-faults-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe('bit rot', () => {
  const fill = async (count = 50): Promise<string> => {
    const store = new LmdbStore({ dir: join(dir, 'db') });
    for (let n = 0; n < count; n++) {
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
    expect(() => contents(shard, { from: bytes('a81') })).not.toThrow();
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
    const file = await fill(1_000);
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
    for (let at = 0; at < 6; at += 2) await Promise.all([round(at), round(at + 1)]);
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
