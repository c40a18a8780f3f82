// Rows of a segment against the most obvious way to the same: a Map of texts, sorted.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc32 } from '../../../src/storage/crc32.ts';
import { type LogGroup, segmentHeaderBytes, segmentSeed, writeFrame } from '../../../src/storage/log/log-frame.ts';
import { encodeEntry, entryBytes, placeOf } from '../../../src/storage/runs/run-format.ts';
import { SegmentRows } from '../../../src/storage/runs/segment-rows.ts';
import { recordOf } from './run-kit.ts';

const seed = segmentSeed(crc32, 3);

function rowsOf(groups: readonly LogGroup[], shared: boolean): SegmentRows {
  const bytes = shared ? new Uint8Array(new SharedArrayBuffer(1 << 20)) : new Uint8Array(1 << 20);
  const rows = new SegmentRows(bytes);
  let at: number = segmentHeaderBytes;
  for (const group of groups) {
    const end = writeFrame(bytes, at, group, { seed, durable: 0 }, crc32, new Int32Array(group.ops.length), 0);
    rows.add(at);
    at = end;
  }
  return rows.settle();
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** As the writer of runs would see them: place and value of each. */
function shown(rows: SegmentRows): string[] {
  return Array.from({ length: rows.count }, (_, at) => {
    const place = rows.place(at);
    const value = new Uint8Array(11 + rows.recordBytes(at));
    rows.encode(at, place, value);
    expect([rows.placeBytes(at), rows.head(at).deleted]).toEqual([place.length, value.length === 11]);
    return `${hex(place)} ${hex(value)}`;
  });
}

function expected(groups: readonly LogGroup[]): string[] {
  const newest = new Map<string, string>();
  for (const { lsn, shard, ops } of groups)
    for (const { key, record } of ops) {
      const entry = { place: placeOf(shard, key), lsn, record };
      const value = new Uint8Array(entryBytes(entry));
      encodeEntry(value, entry);
      newest.set(hex(entry.place), hex(value));
    }
  return [...newest].sort(([a], [b]) => (a < b ? -1 : 1)).map(([place, value]) => `${place} ${value}`);
}

describe('the rows of a segment', () => {
  // Few letters and common beginnings: that is where sorting goes wrong.
  const key = fc.oneof(
    fc.uint8Array({ maxLength: 3 }),
    fc.array(fc.constantFrom(0, 1, 255), { maxLength: 40 }).map(letters => Uint8Array.from(letters)),
    fc.tuple(fc.constant('key-000000000'), fc.nat(60)).map(([start, n]) => Buffer.from(start + n)),
  );
  const ops = fc.array(fc.tuple(key, fc.option(fc.string({ maxLength: 9 }))), { maxLength: 6 });
  const shard = fc.constantFrom(1, 2, 255, 256, 0xfffffffe);

  it('are the newest of each key, in the order of their places, whatever memory it lies in', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(shard, ops), { maxLength: 80 }), fc.boolean(), (some, shared) => {
        const groups = some.map(([number, writes], at): LogGroup => {
          const each = writes.map(([name, value]) => ({
            key: name,
            record: value === null ? undefined : recordOf(number, name, value),
          }));
          return { lsn: 100 + at, shard: number, epoch: 7, ops: each };
        });
        const rows = rowsOf(groups, shared);
        expect(shown(rows)).toEqual(expected(groups));
        expect(new Set(rows.epochs.keys())).toEqual(new Set(groups.map(each => each.shard)));
      }),
      { seed: 20_261_129, numRuns: 150 },
    );
  });

  it.each(['rising', 'falling', 'all the same', 'one the beginning of the next'])(
    'are in order when many keys are %s',
    how => {
      const keyAt = (n: number): string => {
        if (how === 'rising') return `k${String(n).padStart(6, '0')}`;
        if (how === 'falling') return `k${String(9_999 - n).padStart(6, '0')}`;
        return how === 'all the same' ? 'k' : 'k'.repeat(1 + (n % 700));
      };
      const groups = Array.from({ length: 5_000 }, (_, n): LogGroup => {
        return { lsn: n + 1, shard: 1, epoch: 1, ops: [{ key: Buffer.from(keyAt(n)), record: undefined }] };
      });
      const few = how === 'one the beginning of the next' ? groups.slice(0, 1_400) : groups;
      expect(shown(rowsOf(few, true))).toEqual(expected(few));
    },
  );

  it('know what they take', () => {
    const name = Buffer.from('ab');
    const record = recordOf(1, name, 'value');
    const rows = rowsOf(
      [1, 2].map(lsn => ({ lsn, shard: 1, epoch: lsn, ops: [{ key: name, record }] })),
      true,
    );
    expect([rows.count, rows.bytes, [...rows.epochs]]).toEqual([1, 4 + 2 + record.length, [[1, 2]]]);
  });
});
