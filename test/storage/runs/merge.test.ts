// Merging entries and choosing what to merge: the cores, against the most obvious way of doing it.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { runsMax } from '../../../src/limits.ts';
import { mergeEntries } from '../../../src/storage/runs/merge-entries.ts';
import type { RunEntry } from '../../../src/storage/runs/run-format.ts';
import { forgetBelow, nextMerge, type RunSize, tierOf } from '../../../src/storage/runs/tiers.ts';
import { entry, inOrder, rowOf } from './run-kit.ts';

const all = { forgetBelow: 0 };
const rows = (entries: Iterable<RunEntry>) => [...entries].map(rowOf);

describe('a merge of entries', () => {
  const streams = fc.array(
    fc.array(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.constantFrom('a', 'b', 'bb', 'c', ''), fc.boolean()), {
      maxLength: 12,
    }),
    { maxLength: 7 },
  );

  it('gives each key once, in order, in its newest version, by all of its rules', () => {
    fc.assert(
      fc.property(
        streams,
        fc.nat(40),
        fc.uint8Array({ max: 3, maxLength: 2 }),
        fc.infiniteStream(fc.nat(1e6)),
        (some, forget, dead, luck) => {
          const lsns = some.flat().map((_, at) => at + 1);
          // Lsns in any order over the streams: they may be merged in any order.
          const shuffled = lsns.map(lsn => [luck.next().value as number, lsn] as const).sort(([a], [b]) => a - b);
          const tables = some.map(table => {
            const newest = new Map<string, RunEntry>();
            for (const [shard, key, deleted] of table) {
              const [, lsn] = shuffled.pop() as readonly [number, number];
              newest.set(`${shard}${key}`, entry(shard, key, lsn, deleted ? undefined : `${lsn}`));
            }
            return inOrder(newest.values());
          });
          const live = new Set([1, 2, 3].filter(shard => !dead.includes(shard)));
          const purge = ({ lsn }: RunEntry): boolean => lsn % 5 === 0;
          const model = new Map<string, RunEntry>();
          for (const one of tables.flat()) {
            const name = Buffer.from(one.place).toString('hex');
            if ((model.get(name)?.lsn ?? 0) < one.lsn) model.set(name, one);
          }
          const expected = inOrder(model.values()).filter(one => {
            const [shard, , lsn, value] = rowOf(one);
            return live.has(shard) && (lsn >= forget || (value !== undefined && !purge(one)));
          });
          expect(rows(mergeEntries(tables, { forgetBelow: forget, live, purge }))).toEqual(rows(expected));
        },
      ),
      { seed: 20_260_807, numRuns: 500 },
    );
  });

  it('keeps a deletion as long as an older version may lie outside, and hides that version', () => {
    const newer = [entry(1, 'k', 5)];
    expect(rows(mergeEntries([newer], { forgetBelow: 5 }))).toEqual([[1, 'k', 5, undefined]]);
    expect(rows(mergeEntries([newer], { forgetBelow: 6 }))).toEqual([]);
    expect(rows(mergeEntries([[entry(1, 'k', 3, 'old')], newer], all))).toEqual([[1, 'k', 5, undefined]]);
    expect(rows(mergeEntries([[entry(1, 'k', 3, 'old')], newer], { forgetBelow: 6 }))).toEqual([]);
  });

  it('that is broken off ends every stream', () => {
    const ended: number[] = [];
    const stream = function* (from: number): Generator<RunEntry> {
      try {
        for (let n = from; ; n += 2) yield entry(1, `${1_000 + n}`, n + 1, 'x');
      } finally {
        ended.push(from);
      }
    };
    for (const _ of mergeEntries([stream(0), stream(1)], all)) break;
    expect(ended.sort()).toEqual([0, 1]);
  });
});

describe('the choice of runs to merge', () => {
  const size = (id: number, bytes: number, more: Partial<RunSize> = {}): RunSize => {
    return { id, bytes, records: bytes, deletes: 0, minLsn: id, maxLsn: id, shards: [], ...more };
  };
  const rules = { unflushedLsn: Number.POSITIVE_INFINITY, tierBytesMin: 100, fanIn: 4, runsMax: 10 };

  it.each([
    [50, 0],
    [100, 0],
    [190, 0],
    [250, 1],
    [400, 1],
    [700, 1],
    [1_600, 2],
  ])('counts %d bytes to tier %d', (bytes, tier) => {
    expect(tierOf(bytes, rules)).toBe(tier);
  });

  it.each<[string, RunSize[], number[] | undefined]>([
    ['nothing: nothing', [], undefined],
    ['three of a size: not yet', [size(1, 90), size(2, 90), size(3, 90)], undefined],
    ['four of a size: these', [size(1, 90), size(2, 90), size(9, 4_000), size(3, 90), size(4, 90)], [1, 2, 3, 4]],
    ['two full tiers: the lower one', [1, 2, 3, 4].flatMap(n => [size(n, 400), size(n + 4, 90)]), [5, 6, 7, 8]],
    [
      'many of a size: eight at a time',
      Array.from({ length: 12 }, (_, n) => size(n + 1, 90 + n)),
      [1, 2, 3, 4, 5, 6, 7, 8],
    ],
    [
      'too many in all: the smallest',
      Array.from({ length: 12 }, (_, n) => size(n + 1, 90 * 4 ** (n >> 1))),
      [1, 2, 3, 4],
    ],
  ])('with %s', (_, runs, expected) => {
    expect(nextMerge(runs, rules)?.runs.toSorted((a, b) => a - b)).toEqual(expected);
  });

  it('lets deletions go that are older than everything outside the merge', () => {
    const runs = [size(1, 90, { minLsn: 10 }), size(2, 90, { minLsn: 20 }), size(3, 90, { minLsn: 30 })];
    expect(forgetBelow(runs, runs, rules)).toBe(Number.POSITIVE_INFINITY);
    expect(forgetBelow(runs, runs, { ...rules, unflushedLsn: 25 })).toBe(25);
    expect(forgetBelow(runs.slice(1), runs, rules)).toBe(10);
    expect(forgetBelow(runs.slice(0, 2), runs, rules)).toBe(30);
  });

  it('makes one run of all when a quarter is deletions that can go, or records of dropped shards', () => {
    const runs = [size(1, 4_000), size(2, 90, { records: 700, deletes: 1_600 })];
    expect(nextMerge(runs, rules)).toEqual({
      why: 'garbage',
      runs: [2, 1],
      forgetBelow: Number.POSITIVE_INFINITY,
      bytes: 4_090,
    });
    expect(nextMerge(runs, { ...rules, unflushedLsn: 2 })).toBeUndefined();
    const shard = { number: 5, records: 3_000, deletes: 0, minLsn: 1, maxLsn: 1, maxEpoch: 1 };
    const none = new Uint8Array(0);
    const dropped = [size(1, 4_000, { shards: [{ ...shard, firstKey: none, lastKey: none }] })];
    expect(nextMerge(dropped, { ...rules, live: new Set([5]) })).toBeUndefined();
    expect(nextMerge(dropped, { ...rules, live: new Set([6]) })?.why).toBe('garbage');
  });

  it('keeps the number of runs low over 10,000 flushes, and rewrites each record a few times only', () => {
    const MiB = 1 << 20;
    let random = 7;
    const below = (limit: number): number => {
      random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
      return Math.floor((random / 2 ** 32) * limit);
    };
    let runs: RunSize[] = [];
    let [most, flushed, rewritten, id] = [0, 0, 0, 0];
    for (let flush = 0; flush < 10_000; flush++) {
      // Segments that rolled full, and some that rolled early.
      const bytes = below(10) === 0 ? below(64 * MiB) + 1 : 85 * MiB;
      runs.push(size(++id, bytes));
      flushed += bytes;
      for (;;) {
        const plan = nextMerge(runs, { unflushedLsn: Number.POSITIVE_INFINITY });
        if (!plan) break;
        rewritten += plan.bytes;
        const inside = new Set(plan.runs);
        expect(inside.size).toBeGreaterThan(1);
        const minLsn = Math.min(...runs.filter(run => inside.has(run.id)).map(run => run.minLsn));
        runs = runs.filter(run => !inside.has(run.id));
        runs.push(size(++id, plan.bytes, { minLsn }));
      }
      most = Math.max(most, runs.length);
    }
    expect(most).toBeLessThanOrEqual(24);
    expect(most).toBeLessThan(runsMax);
    expect(rewritten / flushed).toBeLessThan(7);
  });
});
