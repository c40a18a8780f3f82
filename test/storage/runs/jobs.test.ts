// The jobs: segments become runs, runs become one, and whatever goes wrong leaves what was there before.

import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LogGroup } from '../../../src/storage/log/log-frame.ts';
import { type FlushArgument, flushSegment } from '../../../src/storage/runs/flush-job.ts';
import { JobControl } from '../../../src/storage/runs/job-control.ts';
import { mergeRuns } from '../../../src/storage/runs/merge-job.ts';
import type { RunInfo } from '../../../src/storage/runs/run-format.ts';
import { RunStore } from '../../../src/storage/runs/run-store.ts';
import { sweep } from '../../../src/storage/runs/sweep-store.ts';
import { bytes } from '../conformance.ts';
import { entry, makeDir, type Row, recordOf, rowOf, seedOf, write, writeSegment } from './run-kit.ts';

let dir: string;
let id = 0;
beforeEach(() => {
  dir = makeDir();
});
afterEach(() => rmSync(join(dir, '..'), { recursive: true, force: true }));

function rows(info: RunInfo | undefined): Row[] {
  if (!info) return [];
  const run = new RunStore(dir, info);
  const found = [...run.entries()].map(rowOf);
  run.close();
  return found;
}

const flush = (segment: number, shards: readonly number[], more: Partial<FlushArgument> = {}) =>
  flushSegment({
    segmentPath: join(dir, `t-${segment}.sealed`),
    segment,
    dir,
    runId: ++id,
    seeds: shards.map(shard => [shard, seedOf(shard)]),
    reserve: 0,
    ...more,
  });

describe('a flush', () => {
  const op = fc.tuple(fc.constantFrom('a', 'b', 'c', 'dd', ''), fc.boolean());
  const groups = fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.array(op, { maxLength: 4 })), { maxLength: 15 });

  it('makes a run of the newest version of each key of the shards there are', async () => {
    await fc.assert(
      fc.asyncProperty(groups, async some => {
        const model = new Map<string, Row>();
        const fences = new Map<number, number>();
        const written = some.map(([shard, ops], at): LogGroup => {
          const [lsn, epoch] = [10 * at + 1, 100 - at];
          if (shard !== 4) fences.set(shard, Math.max(fences.get(shard) ?? 0, epoch));
          return {
            lsn,
            shard,
            epoch,
            ops: ops.map(([key, deleted], index) => {
              const value = `${lsn}.${index}`;
              if (shard !== 4) model.set(`${shard}${key}`, [shard, key, lsn, deleted ? undefined : value]);
              return { key: bytes(key), record: deleted ? undefined : recordOf(shard, bytes(key), value, epoch) };
            }),
          };
        });
        writeSegment(join(dir, 't-9.sealed'), 9, written);
        const { run, ...rest } = await flush(9, [1, 2, 3]);
        const expected = [...model.values()].sort(([a, b], [c, d]) => a - c || (b < d ? -1 : 1));
        expect(rows(run)).toEqual(expected);
        expect(rest).toEqual({ groups: some.length, lsnMax: written.at(-1)?.lsn ?? 0, fences: expect.any(Array) });
        expect(new Map(rest.fences)).toEqual(fences);
        expect(run?.shards.every(({ number, maxEpoch }) => maxEpoch === fences.get(number)) ?? true).toBe(true);
      }),
      { seed: 20_260_807, numRuns: 60 },
    );
  });

  it('of a segment with a bit turned around anywhere says CORRUPT and where, and leaves nothing', async () => {
    const path = join(dir, 't-3.sealed');
    const group = (lsn: number): LogGroup => {
      return { lsn, shard: 1, epoch: 1, ops: [{ key: bytes('k'), record: recordOf(1, bytes('k'), `value ${lsn}`) }] };
    };
    writeSegment(path, 3, [group(1), group(2)]);
    const good = readFileSync(path);
    const end = good.findLastIndex(byte => byte !== 0);
    for (let at = 4_096; at <= end; at += 3) {
      const bad = Buffer.from(good);
      bad[at] = (bad[at] as number) ^ 1;
      writeFileSync(path, bad);
      await expect(flush(3, [1])).rejects.toMatchObject({
        code: 'CORRUPT',
        details: { file: path, at: expect.any(Number) },
      });
    }
    expect(readdirSync(dir)).toEqual(['t-3.sealed']);
  });
});

describe('a merge', () => {
  const some = (from: number, count: number, lsn: number, value?: string) =>
    Array.from({ length: count }, (_, n) => entry(1, `k${from + n}`.padStart(6, '0'), lsn + n, value));

  it('makes one run of many: newest version, no dropped shards, no deletions that hide nothing, nothing that has expired', async () => {
    const runs = [
      await write(dir, ++id, [...some(0, 50, 100, 'old'), entry(2, 'dropped', 1, 'x')]),
      await write(dir, ++id, [...some(25, 50, 200, 'new'), entry(3, 'expired', 9, 'x')]),
      await write(dir, ++id, some(10, 5, 300)),
    ];
    const module = join(dir, 'purge.mjs');
    writeFileSync(module, 'export const expired = lsn => entry => entry.lsn === lsn;');
    const purge = { module: pathToFileURL(module).href, name: 'expired', argument: 9 };
    const argument = { dir, runs, runId: ++id, forgetBelow: Number.POSITIVE_INFINITY, live: [1, 3], purge, reserve: 0 };
    const { run, entriesRead } = await mergeRuns(structuredClone(argument));
    const expected = [...some(0, 10, 100, 'old'), ...some(15, 10, 115, 'old'), ...some(25, 50, 200, 'new')];
    expect(rows(run)).toEqual(expected.map(rowOf));
    expect(entriesRead).toBe(107);
    const kept = await mergeRuns({ dir, runs, runId: ++id, forgetBelow: 100, reserve: 0 });
    expect(kept.run).toMatchObject({ records: 77 - 5, deletes: 5 });
    expect(sweep(dir, { runs: [...runs, run as RunInfo] })).toContain(`run-${id}.mdb`);
    const nothing = await mergeRuns({ dir, runs, runId: ++id, forgetBelow: 0, live: [], reserve: 0 });
    expect(nothing.run).toBeUndefined();
  });

  it('of a run in which any bit has turned around says CORRUPT and names it, and leaves nothing', async () => {
    const runs = [await write(dir, ++id, some(0, 50, 1, 'x')), await write(dir, ++id, some(0, 50, 100, 'y'))];
    const bad = runs[1] as RunInfo;
    const path = join(dir, bad.file);
    const good = readFileSync(path);
    const before = readdirSync(dir)
      .filter(name => !name.endsWith('-lock'))
      .sort();
    for (let at = 100; at < good.length; at += 1_499) {
      const damaged = Buffer.from(good);
      damaged[at] = (damaged[at] as number) ^ 1;
      writeFileSync(path, damaged);
      const merged = mergeRuns({ dir, runs, runId: ++id, forgetBelow: 0, reserve: 0 });
      await expect(merged).rejects.toMatchObject({ code: 'CORRUPT', details: { file: bad.file } });
    }
    expect(
      readdirSync(dir)
        .filter(name => !name.endsWith('-lock'))
        .sort(),
    ).toEqual(before);
  });

  it('of a run that is not there says which', async () => {
    const runs = [await write(dir, ++id, some(0, 5, 1, 'x'))];
    rmSync(join(dir, `run-${id}.mdb`));
    const merged = mergeRuns({ dir, runs, runId: ++id, forgetBelow: 0, reserve: 0 });
    await expect(merged).rejects.toMatchObject({ code: 'CORRUPT', details: { file: `run-${id - 1}.mdb` } });
  });

  it('says how far it is, and ends when it is told to, with nothing left behind', async () => {
    const runs = [await write(dir, ++id, some(0, 2_000, 1, 'x')), await write(dir, ++id, some(0, 2_000, 5_000, 'y'))];
    const control = new JobControl();
    const argument = { dir, runs, runId: ++id, forgetBelow: 0, control: control.memory, reserve: 0 };
    const { bytesRead } = await mergeRuns(argument);
    expect(bytesRead).toBeCloseTo(
      runs.reduce((sum, run) => sum + run.bytes, 0),
      -1,
    );
    expect(control.bytesRead).toBeGreaterThan(bytesRead * 0.8);
    control.stop();
    await expect(mergeRuns({ ...argument, runId: ++id })).rejects.toMatchObject({ code: 'STOPPED' });
    expect(readdirSync(dir).filter(name => name.startsWith(`run-${id}`))).toEqual([]);
  });
});

describe('a process that dies', () => {
  it('between writing a run and naming it, or in the middle of writing, leaves only garbage that the next start removes', async () => {
    const named = await write(dir, ++id, [entry(1, 'a', 1, 'x')]);
    const unnamed = await write(dir, ++id, [entry(1, 'b', 1, 'x')]);
    writeFileSync(join(dir, 'run-99.mdb'), 'half a file');
    writeFileSync(join(dir, 'other.txt'), 'somebody else');
    expect(sweep(dir, { runs: [named] })).toEqual(['run-99.mdb', unnamed.file, `${unnamed.file}.bloom`].sort());
    expect(readdirSync(dir).sort()).toEqual(['other.txt', named.file, `${named.file}.bloom`].sort());
    expect(rows(named)).toHaveLength(1);
  });

  it.each(['missing', 'cut'])(
    'and finds a run %s that the manifest names says which, and removes nothing',
    async how => {
      const runs = [await write(dir, ++id, [entry(1, 'a', 1, 'x')]), await write(dir, ++id, [entry(1, 'b', 1, 'x')])];
      const { file } = runs[1] as RunInfo;
      if (how === 'missing') rmSync(join(dir, file));
      else writeFileSync(join(dir, file), 'half');
      writeFileSync(join(dir, 'run-99.mdb'), 'garbage');
      expect(() => sweep(dir, { runs })).toThrow(
        expect.objectContaining({ code: 'CORRUPT', details: expect.objectContaining({ file }) }),
      );
      expect(readdirSync(dir)).toContain('run-99.mdb');
    },
  );

  it('in the middle of a merge leaves the runs it was merging as they were', async () => {
    const runs = await Promise.all(
      [0, 1].map(n =>
        write(
          dir,
          1_000 + n,
          Array.from({ length: 3_000 }, (_, at) => entry(1, `${10_000 + at}`, n + 1, `${n}`)),
        ),
      ),
    );
    const before = runs.map(rows);
    for (let round = 0; round < 4; round++) {
      const control = new JobControl();
      const argument = { dir, runs, runId: 2_000 + round, forgetBelow: 0, control: control.memory, reserve: 0 };
      const worker = new Worker(new URL('./merge-worker.ts', import.meta.url), { workerData: argument });
      const enough = (round / 5) * runs.reduce((sum, run) => sum + run.bytes, 0);
      await expect.poll(() => control.bytesRead > enough, { interval: 1, timeout: 15_000 }).toBe(true);
      await worker.terminate();
      expect(runs.map(rows)).toEqual(before);
    }
    sweep(dir, { runs });
    expect(readdirSync(dir).filter(name => name.startsWith('run-2'))).toEqual([]);
  });
});
