// The bytes of a segment: what was written is read again, and nothing else ever is.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc32 } from '../../../src/storage/crc32.ts';
import { writeU16, writeU32 } from '../../../src/storage/little-endian.ts';
import {
  encodeHeader,
  frameBytes,
  type LogGroup,
  readHeader,
  recordBytesAt,
  sealBytes,
  segmentHeaderBytes,
  segmentSeed,
  writeFrame,
  writeSeal,
} from '../../../src/storage/log/log-frame.ts';
import { type ScanEnd, scanSegment } from '../../../src/storage/log/log-scan.ts';
import { chances, op, plain, randomGroup, seedOf } from './groups.ts';

const runs = { seed: 20_261_129, numRuns: 100 };
const start = segmentHeaderBytes;

interface Written {
  readonly bytes: Uint8Array;
  readonly ends: number[];
  readonly records: number[][];
}

/** A segment with these groups; `durable` says what each frame claims. */
function segmentOf(
  id: number,
  groups: readonly LogGroup[],
  { durable = (): number => start, seal = false, into = undefined as Uint8Array | undefined, room = 0 } = {} as {
    durable?: (index: number, at: number) => number;
    seal?: boolean;
    into?: Uint8Array | undefined;
    room?: number;
  },
): Written {
  const size = groups.reduce((sum, group) => sum + frameBytes(group), start) + (seal ? sealBytes : 0) + room;
  const bytes = into ?? new Uint8Array(size);
  bytes.set(encodeHeader(crc32, { id, previous: 0, log: 'host-1' }));
  const seed = segmentSeed(crc32, id);
  const ends: number[] = [];
  const records: number[][] = [];
  let at = start;
  for (const [index, group] of groups.entries()) {
    const places = new Int32Array(group.ops.length);
    at = writeFrame(bytes, at, group, { seed, durable: durable(index, at) }, crc32, places, 0);
    ends.push(at);
    records.push([...places]);
  }
  if (seal) writeSeal(bytes, at, groups.at(-1)?.lsn ?? 0, { seed, durable: at }, crc32);
  return { bytes, ends, records };
}

function scan(bytes: Uint8Array, segment = 9, seeds: (shard: number) => number | undefined = seedOf) {
  const groups: LogGroup[] = [];
  const ats: number[] = [];
  const end = scanSegment(bytes, { segment, crc: crc32, seedOf: seeds }, (group, at) => {
    groups.push(plain(group));
    ats.push(at);
  });
  return { groups, ats, end };
}

const some = (count: number, ops = 3, valueBytes = 60): LogGroup[] => {
  const chance = chances(count);
  return Array.from({ length: count }, (_, index) => randomGroup(chance, index + 1, 1 + (index % ops), valueBytes));
};

const state = ({ state, end }: ScanEnd): [string, number] => [state, end];

describe('a segment', () => {
  it('has the format it has always had', () => {
    const group = {
      lsn: 2 ** 47 + 5,
      shard: 3,
      epoch: 2 ** 53 - 1,
      ops: [op(3, 1, 'k', Uint8Array.of(1, 2)), op(3, 1, 'gone', undefined)],
    };
    const { bytes } = segmentOf(2 ** 40 + 1, [group], { seal: true });
    expect(Buffer.from(bytes.subarray(0, 34)).toString('hex')).toMatchInlineSnapshot(
      `"5452504c010001000000000100000000000006686f73742d31000000000000000000"`,
    );
    expect(Buffer.from(bytes.subarray(start - 4)).toString('hex')).toMatchInlineSnapshot(
      `"988f5483ce6987695b901630480000000010000005000000008003000000ffffffffffff1f020001010100110000006bb11dba510101000000000000010007010202040000000000676f6e65bfae4443bfae44432800000048100000050000000080000000000000000000000000000200000000"`,
    );
  });

  it('gives back the groups that were written, and where their records lie', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(12), fc.boolean(), (seed, count, seal) => {
        const chance = chances(seed);
        const groups = Array.from({ length: count }, (_, index) =>
          randomGroup(chance, index + 1, Math.floor(chance() * 5), 200),
        );
        const { bytes, ends, records } = segmentOf(9, groups, { seal, room: seal ? 0 : 64 });
        const found = scan(bytes);
        expect(found.groups).toEqual(groups.map(plain));
        expect(found.ats).toEqual([start, ...ends].slice(0, count));
        expect(found.end).toMatchObject({
          state: seal ? 'sealed' : 'open',
          end: ends.at(-1) ?? start,
          groups: count,
          lsnMax: count,
          more: false,
        });
        groups.forEach(({ ops }, index) => {
          ops.forEach(({ key, record }, place) => {
            const at = records[index]?.[place] as number;
            const found = at < 0 ? undefined : bytes.subarray(at, at + recordBytesAt(bytes, at, key.length));
            expect(found).toEqual(record);
          });
        });
      }),
      runs,
    );
  });

  it('does not hold more than 65,535 operations in a group', () => {
    const ops = Array.from({ length: 65_536 }, () => op(1, 1, '', undefined));
    expect(() => frameBytes({ lsn: 1, shard: 1, epoch: 1, ops })).toThrow(
      expect.objectContaining({ code: 'TOO_LARGE' }),
    );
    const most = { lsn: 1, shard: 1, epoch: 1, ops: ops.slice(1) };
    expect(scan(segmentOf(9, [most]).bytes).groups[0]?.ops.length).toBe(65_535);
  });

  it('passes over the groups of dropped shards, whatever is in their records', () => {
    const groups = some(6);
    const { bytes, records } = segmentOf(9, groups, { seal: true });
    const at = records.flat().find(place => place >= 0) as number;
    const dropped = groups[records.findIndex(places => places.includes(at))]?.shard as number;
    bytes[at + 9] = (bytes[at + 9] as number) ^ 1;
    const { groups: found, end } = scan(bytes, 9, shard => (shard === dropped ? undefined : seedOf(shard)));
    expect(found).toEqual(groups.filter(({ shard }) => shard !== dropped).map(plain));
    expect(end).toMatchObject({ state: 'sealed', groups: 6, lsnMax: 6 });
  });
});

describe('a scan', () => {
  it('of a file cut anywhere gives the groups that are whole, and calls the rest open', () => {
    const groups = some(5);
    const { bytes, ends } = segmentOf(9, groups, { seal: true });
    for (let length = 0; length < bytes.length; length++) {
      const { groups: found, end } = scan(bytes.slice(0, length));
      const whole = ends.filter(end => end <= length).length;
      expect([length, found]).toEqual([length, groups.slice(0, whole).map(plain)]);
      expect([length, ...state(end)]).toEqual([length, 'open', ends[whole - 1] ?? start]);
    }
  });

  it('of a last batch torn anywhere, over zeros or older frames, gives what is before it and never a hole', () => {
    const before = some(3);
    const last = some(8).slice(3);
    const older = segmentOf(4, some(12), { seal: true, room: 2_000 }).bytes;
    const lastAt = segmentOf(9, before).ends[2] as number;
    const whole = segmentOf(9, [...before, ...last], { durable: (index, at) => (index < 3 ? at : lastAt) });
    for (const under of [new Uint8Array(older.length), older]) {
      for (let torn = lastAt; torn < (whole.ends.at(-1) as number); torn++) {
        const bytes = under.slice();
        bytes.set(whole.bytes.subarray(0, torn));
        const { groups, end } = scan(bytes);
        expect([torn, end.state]).toEqual([torn, 'open']);
        expect(groups).toEqual([...before, ...last].slice(0, groups.length).map(plain));
        expect(groups.length).toBeGreaterThanOrEqual(3);
        // The other way round: the end of the batch has reached the disk, its beginning has not.
        const late = under.slice();
        late.set(whole.bytes.subarray(0, lastAt));
        late.set(whole.bytes.subarray(torn), torn);
        if (torn > lastAt) expect([torn, ...state(scan(late).end)]).toEqual([torn, 'open', lastAt]);
      }
    }
  });

  it('never takes frames of an earlier life of the file for its own, also where they begin where its own end', () => {
    const groups = some(6, 1, 1);
    const bytes = segmentOf(4, groups, { seal: true }).bytes;
    segmentOf(9, groups.slice(0, 2), { into: bytes });
    expect(scan(bytes).groups).toEqual(groups.slice(0, 2).map(plain));
    expect(scan(bytes).end).toMatchObject({ state: 'open', more: false });
  });

  it('notices every bit that turns around, and says where', () => {
    const groups = some(5, 2, 20);
    const { bytes, ends } = segmentOf(9, groups, { seal: true, durable: (_, at) => at });
    for (let bit = start * 8; bit < bytes.length * 8; bit++) {
      const damaged = bytes.slice();
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
      const hit = ends.filter(end => end <= bit >> 3).length;
      const { groups: found, end } = scan(damaged);
      expect([bit, found.length]).toEqual([bit, hit]);
      expect(found).toEqual(groups.slice(0, hit).map(plain));
      // Only the seal has nobody behind it who knows better.
      expect([bit, ...state(end)]).toEqual([bit, hit === groups.length ? 'open' : 'hole', ends[hit - 1] ?? start]);
      expect(end.reason).not.toBe('');
    }
  });

  it('calls a bad frame a hole only when a later one was written after it was on the disk', () => {
    const groups = some(4, 1, 40);
    const [first, second] = segmentOf(9, groups).ends as [number, number];
    const cases: [claim: number, expected: string][] = [
      [0, 'open'],
      [start, 'open'],
      [first, 'open'],
      [first + 8, 'hole'],
      [second, 'hole'],
    ];
    for (const [claim, expected] of cases) {
      const { bytes } = segmentOf(9, groups, { durable: index => (index === 3 ? claim : 0) });
      bytes[first + 40] = (bytes[first + 40] as number) ^ 16;
      expect([claim, ...state(scan(bytes).end)]).toEqual([claim, expected, first]);
      expect(scan(bytes).end).toMatchObject({ more: true, durableMax: claim });
    }
  });

  it('is not kept busy by values that look like frames without end', () => {
    const bytes = new Uint8Array(start + (4 << 20));
    const fake = new Uint8Array(16);
    for (let at = start; at < bytes.length; at += 16) {
      writeU32(fake, 8, 1 << 20);
      fake[0] = 2;
      fake[1] = 9;
      fake[3] = 1;
      bytes.set(fake, at);
    }
    const views: number[] = [];
    const counting = (part: Uint8Array, seed?: number): number => {
      views.push(part.length);
      return crc32(part, seed);
    };
    scanSegment(bytes, { segment: 9, crc: counting, seedOf }, () => {});
    expect(views.length).toBeLessThanOrEqual(bytes.length / 8);
    expect(Math.max(...views.slice(0, 1_000))).toBeLessThan(40);
  });

  it('does not throw, and finds nothing, in bytes that are none of ours', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), tail => {
        const bytes = new Uint8Array(start + tail.length);
        bytes.set(tail, start);
        expect(scan(bytes)).toMatchObject({ groups: [], end: { state: 'open', end: start } });
      }),
      runs,
    );
  });
});

describe('a header', () => {
  const bytes = encodeHeader(crc32, { id: 2 ** 47 + 3, previous: 17, log: 'host-12.a_b' });

  it('is read as it was written', () => {
    expect(readHeader(bytes, crc32)).toEqual({
      type: 'ok',
      header: { id: 2 ** 47 + 3, previous: 17, log: 'host-12.a_b' },
    });
  });

  it('is not believed with any byte changed, or missing', () => {
    for (let at = 0; at < bytes.length; at++) {
      const damaged = bytes.slice();
      damaged[at] = (damaged[at] as number) ^ 0x40;
      expect([at, readHeader(damaged, crc32).type]).toEqual([at, 'none']);
    }
    expect(readHeader(bytes.subarray(1), crc32).type).toBe('none');
    expect(readHeader(new Uint8Array(0), crc32).type).toBe('none');
  });

  it('of a newer format is recognized as that', () => {
    const newer = bytes.slice();
    writeU16(newer, 4, 2);
    writeU32(newer, start - 4, crc32(newer.subarray(0, start - 4)));
    expect(readHeader(newer, crc32)).toEqual({ type: 'newer', format: 2 });
  });
});
