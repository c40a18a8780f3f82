// Runs on a real disk: written once, read as a sorted map would be, and never wrong.

import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bloomHash } from '../../../src/storage/bloom.ts';
import { placeOf, type RunEntry, type RunInfo } from '../../../src/storage/runs/run-format.ts';
import { RunStore } from '../../../src/storage/runs/run-store.ts';
import { RunWriter, removeRunFiles, writeRun } from '../../../src/storage/runs/run-writer-store.ts';
import { rebuildFilter, verifyRun } from '../../../src/storage/runs/verify-job.ts';
import { bytes } from '../conformance.ts';
import { entry, inOrder, makeDir, none, recordOf, rowOf, valueIn, write } from './run-kit.ts';

let dir: string;
let id = 0;
beforeEach(() => {
  dir = makeDir();
});
afterEach(() => rmSync(join(dir, '..'), { recursive: true, force: true }));

const entries = (count: number, shards = 3): RunEntry[] =>
  Array.from({ length: count }, (_, n) =>
    entry(1 + (n % shards), `k${n}`, n + 1, n % 7 === 0 ? undefined : `value ${n}`.padEnd(n % 300, '.'), n),
  );

describe('a run', () => {
  it('is read as the sorted map that was written: keys, ranges, deletions, what is not there', async () => {
    const keys = fc.array(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.uint8Array({ maxLength: 6 }), fc.boolean()), {
      minLength: 1,
      maxLength: 60,
    });
    const probe = fc.tuple(
      fc.integer({ min: 0, max: 4 }),
      fc.uint8Array({ maxLength: 6 }),
      fc.uint8Array({ maxLength: 6 }),
    );
    await fc.assert(
      fc.asyncProperty(keys, fc.array(probe, { maxLength: 20 }), async (some, probes) => {
        const model = new Map<string, RunEntry>();
        some.forEach(([shard, key, deleted], at) => {
          const record = deleted ? undefined : recordOf(shard, key, `${at}`);
          model.set(`${shard}:${Buffer.from(key).toString('hex')}`, {
            place: placeOf(shard, key),
            lsn: at + 1,
            record,
          });
        });
        const sorted = inOrder(model.values());
        const info = await write(dir, ++id, sorted);
        const run = new RunStore(dir, info);
        expect([...run.entries()].map(rowOf)).toEqual(sorted.map(rowOf));
        for (const [shard, key, to] of [...probes, ...some.map(([shard, key]) => [shard, key, none] as const)]) {
          const expected = model.get(`${shard}:${Buffer.from(key).toString('hex')}`);
          const found = run.get(shard, key);
          expect(found?.lsn).toBe(expected?.lsn);
          expect(found?.record).toEqual(expected?.record);
          expect(run.mayHold(shard, key) || expected === undefined).toBe(true);
          const walked = [...run.walk(shard, key, to)].map(({ key: name, lsn }) => [name, lsn]);
          const inRange = sorted.filter(({ place }) => {
            const [from, end] = [placeOf(shard, key), placeOf(shard, to)];
            return Buffer.compare(place, from) >= 0 && Buffer.compare(place, end) < 0;
          });
          expect(walked).toEqual(inRange.map(({ place, lsn }) => [place.subarray(4), lsn]));
        }
        run.close();
        removeRunFiles(dir, info.file);
      }),
      { seed: 20_260_807, numRuns: 60 },
    );
  });

  it('says what it holds, in the manifest and in its own file', async () => {
    const info = await write(dir, 7, [entry(2, 'a', 5, 'x', 9), entry(2, 'b', 3), entry(4, 'c', 8, 'y', 2)], {
      epochs: new Map([
        [2, 11],
        [3, 6],
      ]),
    });
    const empty = { records: 0, deletes: 0, minLsn: 0, maxLsn: 0, firstKey: none, lastKey: none };
    const about = {
      id: 7,
      records: 2,
      deletes: 1,
      minLsn: 3,
      maxLsn: 8,
      shards: [
        {
          number: 2,
          records: 1,
          deletes: 1,
          minLsn: 3,
          maxLsn: 5,
          maxEpoch: 11,
          firstKey: bytes('a'),
          lastKey: bytes('b'),
        },
        { ...empty, number: 3, maxEpoch: 6 },
        {
          number: 4,
          records: 1,
          deletes: 0,
          minLsn: 8,
          maxLsn: 8,
          maxEpoch: 0,
          firstKey: bytes('c'),
          lastKey: bytes('c'),
        },
      ],
    };
    expect(info).toEqual({ ...about, file: 'run-7.mdb', bytes: expect.any(Number), crc: expect.any(Number) });
    const run = new RunStore(dir, info);
    expect(run.about()).toEqual(about);
    expect(structuredClone(info)).toEqual(info);
    run.close();
  });

  it('keeps records of every size, up to the largest', async () => {
    const sizes = [0, 1, 1_900, 2_000, 2_100, 4_096, 70_000, (16 << 20) - 5_000];
    const all = sizes.map((size, at) => ({
      place: placeOf(1, bytes(`k${at}`)),
      lsn: at + 1,
      record: new Uint8Array(size).fill(at + 1),
    }));
    const run = new RunStore(dir, await write(dir, 1, all));
    sizes.forEach((size, at) => {
      expect(run.get(1, bytes(`k${at}`))?.record?.length).toBe(size);
    });
    expect([...run.walk(1)].map(({ record }) => record?.length)).toEqual(sizes);
    run.close();
    const large = [{ place: placeOf(1, none), lsn: 1, record: new Uint8Array(16 << 20) }];
    await expect(write(dir, 2, large)).rejects.toMatchObject({ code: 'TOO_LARGE' });
    expect(readdirSync(dir).filter(name => name.startsWith('run-2'))).toEqual([]);
  });

  it('hands out bytes that belong to the caller', async () => {
    const run = new RunStore(dir, await write(dir, 1, [entry(1, 'a', 1, 'one'), entry(1, 'b', 2, 'two')]));
    const first = run.get(1, bytes('a'));
    const walked = [...run.walk(1)];
    run.get(1, bytes('b'));
    first?.record?.fill(0, 14);
    expect(valueIn(1, bytes('a'), run.get(1, bytes('a'))?.record)).toBe('one');
    expect(walked.map(({ key, record }) => valueIn(1, key, record))).toEqual(['one', 'two']);
    expect(Object.getPrototypeOf(first?.record)).toBe(Uint8Array.prototype);
    run.close();
  });

  it('opens no file for a key that its filter, its shards or its key range rule out', async () => {
    const info = await write(dir, 1, entries(1_000));
    const run = new RunStore(dir, info);
    const hash = new Uint32Array(2);
    let perhaps = 0;
    for (let n = 0; n < 1_000; n++) {
      bloomHash(1, bytes(`k${n}x`), hash);
      if (run.mayHoldHash(1, bytes(`k${n}x`), hash)) perhaps++;
    }
    expect(perhaps).toBeLessThan(50);
    expect([run.mayHold(9, bytes('k1')), run.mayHold(1, bytes('a')), run.mayHold(1, bytes('z'))]).toEqual([
      false,
      false,
      false,
    ]);
    expect([...run.walk(9)]).toEqual([]);
    expect(run.describe()).toMatchObject({ state: 'lazy', filter: 'ok' });
    expect(existsSync(join(dir, `${info.file}-lock`))).toBe(false);
  });
});

describe('closing a run', () => {
  it('while walks are open ends them with STOPPED, and nothing else', async () => {
    const info = await write(dir, 1, entries(100));
    const [run, other] = [new RunStore(dir, info), new RunStore(dir, info)];
    const walk = run.entries();
    const mine = other.entries();
    walk.next();
    mine.next();
    run.close();
    run.close();
    expect(() => walk.next()).toThrow(expect.objectContaining({ code: 'STOPPED' }));
    expect(() => run.get(1, bytes('k1'))).toThrow(expect.objectContaining({ code: 'STOPPED' }));
    expect([...mine]).toHaveLength(99);
    other.close();
  });

  it('when it is retired waits for the last walk, and its file may be gone by then', async () => {
    const run = new RunStore(dir, await write(dir, 1, entries(100)));
    const walk = run.entries();
    walk.next();
    run.retire();
    removeRunFiles(dir, 'run-1.mdb');
    expect([...walk]).toHaveLength(99);
    expect(run.describe()).toMatchObject({ state: 'closed', walks: 0 });
    const late = new RunStore(dir, run.info);
    expect(() => late.get(1, bytes('k1'))).toThrow(
      expect.objectContaining({ code: 'CORRUPT', details: expect.objectContaining({ missing: true }) }),
    );
  });

  it('happens often, with walks broken off, and leaves no file open', async () => {
    const info = await write(dir, 1, entries(200));
    const files = readdirSync('/proc/self/fd').length;
    for (let round = 0; round < 50; round++) {
      const run = new RunStore(dir, info);
      for (const { lsn } of run.walk(1)) if (lsn > 50) break;
      run.walk(2).next();
      run.get(1, bytes('k1'));
      run.close();
    }
    expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(files + 1);
  });
});

describe('a run that is not what was written', () => {
  it('is never given to LMDB when it was cut, or is something else', async () => {
    const info = await write(dir, 1, entries(100));
    const refused = expect.objectContaining({ code: 'CORRUPT', details: expect.objectContaining({ file: info.file }) });
    const good = readFileSync(join(dir, info.file));
    truncateSync(join(dir, info.file), info.bytes - 4_096);
    expect(() => new RunStore(dir, info).get(1, bytes('k1'))).toThrow(refused);
    writeFileSync(join(dir, info.file), new Uint8Array(info.bytes));
    expect(() => new RunStore(dir, info).get(1, bytes('k1'))).toThrow(refused);
    expect(await verifyRun({ dir, run: info })).toMatchObject({ damage: 'the checksum of the file differs' });
    writeFileSync(join(dir, info.file), good);
    expect(await verifyRun({ dir, run: info })).toEqual({ file: info.file, damage: '', filterDamage: '' });
  });

  it('with a bit turned around in any entry is found by verify, and never read as something else', async () => {
    const all = Array.from({ length: 20 }, (_, n) =>
      entry(1, `key-${n}`, 1_000 + n, n % 5 === 0 ? undefined : `value-${n}`),
    );
    const info = await write(dir, 1, all);
    const good = readFileSync(join(dir, info.file));
    const rows = new Map(all.map(rowOf).map(row => [row[1], row]));
    // The nodes of the one leaf: wherever a key stands, from there to the end of its record.
    for (const { place, record } of all) {
      const at = good.indexOf(place);
      for (let where = at; where < at + place.length + 11 + (record?.length ?? 0); where++) {
        const bad = Buffer.from(good);
        bad[where] = (bad[where] as number) ^ 0x10;
        const file = join(dir, info.file);
        rmSync(file);
        writeFileSync(file, bad);
        expect((await verifyRun({ dir, run: info })).damage).toBe('the checksum of the file differs');
        const run = new RunStore(dir, info);
        for (const [key, row] of rows) {
          try {
            const found = run.get(1, bytes(key));
            if (found) expect([1, key, found.lsn, valueIn(1, bytes(key), found.record)]).toEqual(row);
          } catch (why) {
            // The record's own checksum is the reader's to check: valueIn does.
            expect(String(why)).toMatch(/damaged|record: the checksum differs/);
          }
        }
        run.close();
      }
    }
  });

  it('in its filter says perhaps, never no, and the filter can be made again', async () => {
    const info = await write(dir, 1, entries(500));
    const path = join(dir, `${info.file}.bloom`);
    const good = readFileSync(path);
    for (const damage of [good.subarray(0, 20), Buffer.from(good).fill(0, 30, 60), undefined]) {
      rmSync(path);
      if (damage) writeFileSync(path, damage);
      const run = new RunStore(dir, info);
      expect(run.mayHold(1, bytes('k1x'))).toBe(true);
      expect((await verifyRun({ dir, run: info })).filterDamage).not.toBe('');
      run.close();
    }
    await rebuildFilter({ dir, run: info });
    expect(readFileSync(path).equals(good)).toBe(true);
  });
});

describe('writing a run', () => {
  it('without room for it writes nothing; when room runs out on the way it leaves nothing', async () => {
    await expect(write(dir, 1, entries(10), { free: () => 1 << 20 })).rejects.toMatchObject({ code: 'DISK_FULL' });
    expect(readdirSync(dir)).toEqual([]);
    let looks = 0;
    const free = (): number => (++looks > 2 ? 1 << 20 : 1e12);
    const large = Array.from({ length: 20 }, (_, n) => entry(1, `k${n}`, n + 1, 'x'.repeat(1 << 20)));
    await expect(write(dir, 2, large, { free })).rejects.toMatchObject({ code: 'DISK_FULL' });
    expect(readdirSync(dir)).toEqual([]);
  });

  it('whose bytes the disk does not take says why, and leaves nothing', async () => {
    const large = Array.from({ length: 20 }, (_, n) => entry(1, `k${10 + n}`, n + 1, 'x'.repeat(1 << 20)));
    for (const [code, said] of [
      ['ENOSPC', { code: 'DISK_FULL' }],
      ['EDQUOT', { code: 'DISK_FULL' }],
      ['EIO', { code: 'EIO' }],
    ] as const) {
      let syncs = 0;
      const sync = (): void => {
        if (++syncs === 3) throw Object.assign(new Error('no'), { code });
      };
      await expect(write(dir, 1, large, { sync })).rejects.toMatchObject(said);
      expect(syncs).toBe(3);
      expect(readdirSync(dir)).toEqual([]);
    }
  });

  it('of nothing makes no file; broken off, or fed out of order, it leaves none', async () => {
    expect(await write(dir, 1, [])).toBeUndefined();
    const options = { dir, id: 2, entriesMax: 10, bytes: 100 };
    const writer = new RunWriter(options);
    writer.add(entry(1, 'b', 1, 'x'));
    expect(() => writer.add(entry(1, 'b', 2, 'x'))).toThrow('comes after');
    expect(() => writer.add(entry(1, 'a', 2, 'x'))).toThrow('comes after');
    await writer.abort();
    const broken = function* (): Generator<RunEntry> {
      yield entry(1, 'a', 1, 'x');
      throw new Error('the source broke');
    };
    await expect(writeRun(broken(), { ...options, id: 3 })).rejects.toThrow('the source broke');
    expect(readdirSync(dir)).toEqual([]);
  });
});

describe('several threads', () => {
  it('read one run at once, and one that is terminated disturbs nobody', async () => {
    const all = entries(2_000);
    const info: RunInfo = await write(dir, 1, all);
    const run = new RunStore(dir, info);
    const start = (): Promise<Worker> =>
      new Promise((done, failed) => {
        const worker = new Worker(new URL('./run-worker.ts', import.meta.url), { workerData: { dir, info } });
        worker.once('message', () => done(worker));
        worker.once('error', failed);
      });
    for (let round = 0; round < 3; round++) {
      const workers = await Promise.all([start(), start()]);
      expect(run.get(1, bytes('k3'))?.lsn).toBe(4);
      await Promise.all(
        workers.map(async worker => {
          worker.postMessage('hold');
          await once(worker, 'message');
          await worker.terminate();
        }),
      );
    }
    expect([...run.entries()]).toHaveLength(2_000);
    run.close();
  });
});
