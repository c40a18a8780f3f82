// A backup shows one moment, also while threads write, flush and merge; it is whole or it is no backup; what is restored from it
// is what was there.

import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type BackupSource, makeBackup } from '../../../src/storage/backup/backup-store.ts';
import { readBackup, restoreBackup, restorePartition } from '../../../src/storage/backup/restore-store.ts';
import type { Engine } from '../../../src/storage/engine.ts';
import { LmdbStore } from '../../../src/storage/lmdb-store.ts';
import { MemoryStore } from '../../../src/storage/memory-store.ts';
import { type NodeFile, openNodeFile } from '../../../src/storage/node-file.ts';
import { openEngine } from '../../../src/storage/open-engine.ts';
import { SplitStore } from '../../../src/storage/split-store.ts';
import { TroupeStore } from '../../../src/storage/troupe-store.ts';
import type { Upkeep } from '../../../src/storage/upkeep-store.ts';
import { until } from '../../bad-days/folders.ts';
import { bytes, text } from '../conformance.ts';

let folder: string;
let dataDir: string;
let file: NodeFile;
let engine: Engine;
let own: TroupeStore;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'troupe-backup-'));
  dataDir = join(folder, 'data');
  file = await openNodeFile(dataDir, { name: 'n1' });
  const small = new LmdbStore({ dir: join(dataDir, 'lmdb') });
  own = new TroupeStore({ dir: join(dataDir, 'troupe'), segmentBytes: 256 << 10 });
  engine = new SplitStore(own, small);
  await engine.ready?.();
});
afterEach(async () => {
  await engine.close();
  rmSync(folder, { recursive: true, force: true });
});

const put = (to: Engine, shard: string, key: string, value: string, epoch = 1): Promise<void> =>
  to
    .shard(shard)
    .commit(
      { epoch, fence: 'shard', ops: [{ type: 'put', key: bytes(key), version: bytes(''), value: bytes(value) }] },
      'committed',
    );
const get = (from: Engine, shard: string, key: string): string | undefined => text(from.shard(shard).get(bytes(key)));

const back = (dir: string, more: Partial<BackupSource> = {}) =>
  makeBackup({ engine, dir, node: () => file.content, now: () => Date.now(), ...more });

async function restored<T>(dir: string, use: (engine: Engine) => T): Promise<T> {
  const to = join(folder, `restored-${readdirSync(folder).length}`);
  await restoreBackup({ backup: dir, dataDir: to, now: () => Date.now() });
  const other = openEngine({ kind: 'troupe', dir: to });
  await other.ready?.();
  try {
    return await use(other);
  } finally {
    await other.close();
  }
}

/** The files of runs, when those that were merged away are gone. */
async function ownRuns(): Promise<string[]> {
  await until(() => (own.upkeep as Upkeep).status().unneeded === 0);
  return readdirSync(join(dataDir, 'troupe', 'runs')).filter(name => name.endsWith('.mdb'));
}

const pad = 'x'.repeat(1_000);
/** As many as fill a few of the small segments. */
async function fill(tag: string, count = 1_000): Promise<void> {
  const all = Array.from({ length: count }, (_, index) => put(engine, `kv/s/${index % 4}`, `${tag}${index}`, pad));
  await Promise.all(all);
}
const countOf = (from: Engine): number =>
  [0, 1, 2, 3].reduce((sum, shard) => sum + from.shard(`kv/s/${shard}`).count(), 0);

describe('a backup', () => {
  it('holds what is in runs, in segments and in LMDB, deletions included, and nothing that came later', async () => {
    await fill('a');
    await put(engine, 'a/1', 'actor', 'state');
    await engine
      .shard('kv/s/0')
      .commit({ epoch: 2, fence: 'shard', ops: [{ type: 'delete', key: bytes('a0') }] }, 'committed');
    const making = back(join(folder, 'b'));
    await Promise.resolve();
    const done = await making;
    await put(engine, 'kv/s/1', 'late', 'x', 3);
    expect(done).toMatchObject({ kept: 0, copied: 0 });
    expect(done.segments).toBeGreaterThan(0);
    expect(readdirSync(join(folder, 'b')).sort()).toEqual(['backup.json', 'data']);
    await restored(join(folder, 'b'), from => {
      expect(countOf(from)).toBe(999);
      expect([get(from, 'kv/s/0', 'a0'), get(from, 'kv/s/1', 'late')]).toEqual([undefined, undefined]);
      expect([get(from, 'kv/s/1', 'a1'), get(from, 'a/1', 'actor')]).toEqual([pad, 'state']);
    });
  });

  it('keeps the fences: an epoch that was passed is refused in what is restored', async () => {
    await put(engine, 'kv/s/0', 'k', 'v', 77);
    await put(engine, 'kv/s/1', 'k', 'v', 88);
    await own.settle();
    await put(engine, 'kv/s/1', 'k', 'v', 89);
    await back(join(folder, 'b'));
    await restored(join(folder, 'b'), async from => {
      await expect(put(from, 'kv/s/0', 'k', 'w', 76)).rejects.toMatchObject({ code: 'FENCED' });
      await expect(put(from, 'kv/s/1', 'k', 'w', 88)).rejects.toMatchObject({ code: 'FENCED' });
      await put(from, 'kv/s/0', 'k', 'w', 77);
    });
  });

  it('shows one moment: what was written after something else is not there without it', {
    timeout: 30_000,
  }, async () => {
    let n = 0;
    let going = true;
    // One writer, one order: in the log, in another shard of it, in LMDB, and again.
    const writing = (async () => {
      for (; going; n++) {
        await put(engine, 'kv/s/0', `first${n}`, pad);
        await put(engine, 'a/1', `second${n}`, 'x');
        await put(engine, 'kv/s/1', `third${n}`, 'x');
        // So that segments are flushed and runs merged meanwhile.
        if (n % 5 === 0) await fill('noise', 100);
      }
    })();
    for (let round = 0; round < 3; round++) {
      while (n < (round + 1) * 20) await new Promise(done => setImmediate(done));
      const before = n;
      const dir = join(folder, `b${round}`);
      await back(dir);
      await restored(dir, from => {
        let last = 0;
        const seen = (tag: string, shard: string) => (at: number) => get(from, shard, `${tag}${at}`) !== undefined;
        const [first, second, third] = [seen('first', 'kv/s/0'), seen('second', 'a/1'), seen('third', 'kv/s/1')];
        while (first(last)) last++;
        expect(last).toBeGreaterThanOrEqual(before);
        for (let at = 0; at < last - 1; at++) expect([second(at), third(at)]).toEqual([true, true]);
        expect(third(last - 1) && !second(last - 1)).toBe(false);
        for (let at = last; at <= n; at++) expect([first(at), second(at), third(at)]).toEqual([false, false, false]);
      });
    }
    going = false;
    await writing;
  });

  it('leaves out of a segment what has a number from the moment on, and looks again when one was taken meanwhile', async () => {
    const { words } = (own.upkeep as Upkeep).seams.disk;
    for (let at = 0; at < 10; at++) await put(engine, `kv/s/${at % 2}`, `k${at}`, 'v');
    const moment = words.lsn;
    for (let at = 10; at < 20; at++) await put(engine, `kv/s/${at % 2}`, `k${at}`, 'v');
    let looks = 0;
    // Three looks at which another thread takes a number in between, then it is quiet.
    Object.defineProperty(words, 'lsn', { configurable: true, get: () => moment - Math.max(0, 6 - looks++) });
    const cut = engine.cut?.();
    expect([looks, cut?.lsn]).toEqual([8, moment]);
    cut?.release();
    await back(join(folder, 'b'));
    Reflect.deleteProperty(words, 'lsn');
    await restored(join(folder, 'b'), from => {
      const keys = (shard: string): string[] =>
        [...from.shard(shard).scan()].map(({ key }) => Buffer.from(key).toString());
      expect([keys('kv/s/0'), keys('kv/s/1')]).toEqual([
        ['k0', 'k2', 'k4', 'k6', 'k8'],
        ['k1', 'k3', 'k5', 'k7', 'k9'],
      ]);
    });
  });

  it('that is made while runs are merged has all of them', async () => {
    for (let round = 0; round < 12; round++) {
      await fill(`r${round}-`, 400);
      if (round % 3 === 2) void own.settle();
    }
    const dir = join(folder, 'b');
    let held = 0;
    await back(dir, {
      onProgress: () => {
        if (held++ === 0) void own.settle();
      },
    });
    await own.settle();
    await restored(dir, from => expect(countOf(from)).toBe(4_800));
    const names = await ownRuns();
    expect(names.length).toBe((own.describe().upkeep as { runs: number }).runs);
  });

  it('keeps the files of runs that are merged away as long as it needs them, and no longer', async () => {
    const runs = join(dataDir, 'troupe', 'runs');
    for (let round = 0; round < 3; round++) await fill(`r${round}-`, 300).then(() => own.settle());
    const first = engine.cut?.();
    const second = engine.cut?.();
    const files = first?.troupe?.state.runs.map(({ file }) => file) ?? [];
    for (let round = 3; round < 9; round++) await fill(`r${round}-`, 300).then(() => own.settle());
    const gone = files.filter(
      name => !(own.upkeep as Upkeep).seams.manifest.state().runs.some(run => run.file === name),
    );
    expect(gone.length).toBeGreaterThan(0);
    const there = (): string[] => gone.filter(name => existsSync(join(runs, name)));
    first?.release();
    first?.release();
    expect(there()).toEqual(gone);
    second?.release();
    await until(() => there().length === 0);
  });

  it('links runs on its own file system and copies them to another', { skip: !existsSync('/dev/shm') }, async () => {
    await fill('a');
    await own.settle();
    const here = await back(join(folder, 'b'));
    expect(here.linked).toBeGreaterThan(0);
    const [run] = await ownRuns();
    expect(statSync(join(folder, 'b', 'data', 'troupe', 'runs', run as string)).nlink).toBe(2);
    const elsewhere = mkdtempSync('/dev/shm/troupe-backup-');
    try {
      const there = await back(elsewhere);
      expect(there).toMatchObject({ linked: 0, copied: here.linked });
      await restored(elsewhere, from => expect(countOf(from)).toBe(1_000));
    } finally {
      rmSync(elsewhere, { recursive: true });
    }
  });

  it('that was broken off is gone on with: runs that are whole stay, others are made again', async () => {
    await fill('a');
    await own.settle();
    await fill('b');
    await own.settle();
    const dir = join(folder, 'b');
    const runs = join(dir, 'data', 'troupe', 'runs');
    const stop = new AbortController();
    const broken = back(dir, {
      signal: stop.signal,
      onProgress: ({ file }) => {
        if (file.endsWith('.bloom')) stop.abort();
      },
    });
    await expect(broken).rejects.toMatchObject({ code: 'STOPPED' });
    expect(existsSync(join(dir, 'backup.json'))).toBe(false);
    await expect(readBackup(dir)).rejects.toThrow(/broken off/);
    const there = readdirSync(runs).filter(name => name.endsWith('.mdb'));
    expect(there.length).toBeGreaterThan(0);
    // One that does not belong there, and rubbish.
    writeFileSync(join(runs, 'run-999.mdb'), 'x');
    await fill('c', 100);
    const done = await back(dir);
    expect(done.kept).toBe(there.length);
    await restored(dir, from => expect(countOf(from)).toBe(2_100));
    expect(readdirSync(runs)).not.toContain('run-999.mdb');
  });

  it('takes no run that is there for whole without looking at it', async () => {
    await fill('a');
    await own.settle();
    const dir = join(folder, 'b');
    await expect(
      back(dir, {
        onProgress: ({ file }) => {
          if (file.endsWith('.bloom')) throw new Error('enough');
        },
      }),
    ).rejects.toThrow('enough');
    const runs = join(dir, 'data', 'troupe', 'runs');
    const [run] = readdirSync(runs).filter(name => name.endsWith('.mdb')) as [string];
    const whole = readFileSync(join(runs, run));
    unlinkSync(join(runs, run));
    whole[whole.length - 1_000] = (whole[whole.length - 1_000] as number) ^ 1;
    writeFileSync(join(runs, run), whole);
    expect(await back(dir)).toMatchObject({ kept: 0 });
    await restored(dir, from => expect(countOf(from)).toBe(1_000));
  });

  it('of a damaged run is refused, with its name', async () => {
    await fill('a');
    await own.settle();
    const runs = join(dataDir, 'troupe', 'runs');
    const [run] = (await ownRuns()) as [string];
    const whole = readFileSync(join(runs, run));
    whole[whole.length - 1_000] = (whole[whole.length - 1_000] as number) ^ 1;
    writeFileSync(join(runs, run), whole);
    await expect(back(join(folder, 'b'))).rejects.toMatchObject({
      code: 'CORRUPT',
      message: expect.stringContaining(run),
    });
    expect(existsSync(join(folder, 'b', 'backup.json'))).toBe(false);
  });

  it('goes into an empty directory of its own', async () => {
    await put(engine, 'kv/s/0', 'k', 'v');
    const full = join(folder, 'full');
    mkdirSync(full);
    writeFileSync(join(full, 'x'), '');
    await expect(back(full)).rejects.toThrow(/not empty/);
    await expect(back(dataDir)).rejects.toThrow(/not empty/);
    await back(join(folder, 'b'));
    await expect(back(join(folder, 'b'))).rejects.toThrow(/holds a backup already/);
    const others = join(folder, 'others');
    mkdirSync(others);
    for (const [begun, says] of [
      [{ format: 1, id: 'f'.repeat(32) }, /another node/],
      [{ format: 2, id: file.content.id }, /format 2/],
    ] as const) {
      writeFileSync(join(others, 'backup.part.json'), JSON.stringify(begun));
      await expect(back(others)).rejects.toThrow(says);
    }
    writeFileSync(join(folder, 'plain'), '');
    await expect(back(join(folder, 'plain'))).rejects.toMatchObject({ code: 'BAD_OPTION' });
    await expect(back(join(folder, 'm'), { engine: new MemoryStore() })).rejects.toThrow(/in memory/);
  });

  it('of the LMDB engine is its environment', async () => {
    const small = new LmdbStore({ dir: join(folder, 'old', 'lmdb') });
    await put(small, 'kv/s/0', 'k', 'v', 5);
    await put(small, 'a/1', 'k', 'w', 6);
    expect(await back(join(folder, 'b'), { engine: small })).toMatchObject({ runs: 0, segments: 0, files: 1 });
    await small.close();
    await restoreBackup({ backup: join(folder, 'b'), dataDir: join(folder, 'new'), now: () => 0 });
    const again = openEngine({ kind: 'lmdb', dir: join(folder, 'new') });
    expect([get(again, 'kv/s/0', 'k'), get(again, 'a/1', 'k')]).toEqual(['v', 'w']);
    await expect(put(again, 'kv/s/0', 'k', 'x', 4)).rejects.toMatchObject({ code: 'FENCED' });
    await again.close();
  });
});

describe('a restore', () => {
  const restore = (backup: string, to: string, now = () => Date.now()) => restoreBackup({ backup, dataDir: to, now });

  it('begins above every epoch that the node can have used since, as another node of that name', async () => {
    await put(engine, 'kv/s/0', 'k', 'v');
    const { at } = await back(join(folder, 'b'));
    const { node } = await restore(join(folder, 'b'), join(folder, 'r'), () => at);
    expect(node).toMatchObject({ name: 'n1', partitions: 64, epochChunkLimit: 1 + 2 ** 22 });
    expect(node.id).not.toBe(file.content.id);
    const later = await restore(join(folder, 'b'), join(folder, 'r2'), () => at + 10_001);
    expect(later.node.epochChunkLimit).toBe(1 + 2 ** 22 + 2 * 2 ** 16);
    expect((await openNodeFile(join(folder, 'r'), {})).content).toEqual(node);
  });

  it('never touches what is there already', async () => {
    await put(engine, 'kv/s/0', 'k', 'v');
    await back(join(folder, 'b'));
    const to = join(folder, 'r');
    mkdirSync(to);
    writeFileSync(join(to, 'mine'), 'x');
    await expect(restore(join(folder, 'b'), to)).rejects.toThrow(/not empty/);
    expect(readdirSync(to)).toEqual(['mine']);
    await expect(restore(folder, join(folder, 'r2'))).rejects.toThrow(/holds no backup/);
  });

  it('of a damaged, cut or missing file leaves nothing behind, and names the file', async () => {
    await fill('a');
    await own.settle();
    await fill('b', 10);
    await back(join(folder, 'b'));
    const { files } = await readBackup(join(folder, 'b'));
    expect(files.length).toBeGreaterThan(4);
    const harm: ((path: string) => void)[] = [
      path => {
        const content = readFileSync(path);
        content[content.length >> 1] = (content[content.length >> 1] as number) ^ 4;
        unlinkSync(path);
        writeFileSync(path, content);
      },
      path => truncateSync(path, 10),
      path => appendFileSync(path, 'x'),
      path => unlinkSync(path),
    ];
    for (const [index, { path }] of files.entries()) {
      const copy = join(folder, `harmed-${index}`);
      cpSync(join(folder, 'b'), copy, { recursive: true });
      (harm[index % harm.length] as (path: string) => void)(join(copy, 'data', path));
      const to = join(folder, 'r');
      await expect(restore(copy, to)).rejects.toMatchObject({
        code: 'CORRUPT',
        message: expect.stringContaining(path),
      });
      expect(readdirSync(to)).toEqual([]);
    }
  });

  it('that did not come to its end is nothing a node starts on; nor is a backup', async () => {
    await put(engine, 'kv/s/0', 'k', 'v');
    await back(join(folder, 'b'));
    await expect(openNodeFile(join(folder, 'b'), {})).rejects.toThrow(/is a backup/);
    await expect(openNodeFile(join(folder, 'b', 'data'), {})).rejects.toThrow(/not restored to the end/);
  });

  it('leaves the backup as it is, whatever becomes of the restored directory', async () => {
    await fill('a');
    await own.settle();
    await back(join(folder, 'b'));
    await restored(join(folder, 'b'), async from => {
      for (let round = 0; round < 3; round++) {
        await Promise.all(Array.from({ length: 500 }, (_, at) => put(from, 'kv/s/0', `new${round}-${at}`, pad)));
      }
    });
    await restored(join(folder, 'b'), from => expect(countOf(from)).toBe(1_000));
  });

  it('of one partition replaces it in the stores that are there, and nothing else', async () => {
    await fill('a');
    for (const store of ['s', 't']) for (let p = 0; p < 4; p++) await put(engine, `kv/${store}/${p}`, 'old', 'v', 3);
    await back(join(folder, 'b'));
    for (const store of ['s', 't', 'young'])
      for (let p = 0; p < 4; p++) {
        await put(engine, `kv/${store}/${p}`, 'old', 'changed', 9);
        await put(engine, `kv/${store}/${p}`, 'new', 'v', 9);
      }
    await engine.close();
    const options = { backup: join(folder, 'b'), dataDir, now: () => Date.now() };
    const done = await restorePartition({ ...options, partition: 2, stores: ['s', 'young'] });
    expect(done).toMatchObject({ restored: [{ store: 's', records: 251 }], left: ['young'] });
    await expect(restorePartition({ ...options, partition: 64, stores: ['s'] })).rejects.toThrow(/0 to 63/);
    expect(readdirSync(dataDir).sort()).toEqual(['lmdb', 'troupe', 'troupe.json']);
    engine = openEngine({ kind: 'troupe', dir: dataDir });
    await engine.ready?.();
    expect([get(engine, 'kv/s/2', 'old'), get(engine, 'kv/s/2', 'new')]).toEqual(['v', undefined]);
    for (const shard of ['kv/s/1', 'kv/t/2', 'kv/young/2'])
      expect([get(engine, shard, 'old'), get(engine, shard, 'new')]).toEqual(['changed', 'v']);
    // The backup can be used again.
    await restored(join(folder, 'b'), from => expect(get(from, 'kv/t/2', 'old')).toBe('v'));
  });
});
