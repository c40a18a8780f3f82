// What is found at a start: sound logs, torn ones, damaged ones, and files nobody finished.

import { describe, expect, it } from 'vitest';
import { crc32 } from '../../../src/storage/crc32.ts';
import { writeU16, writeU32 } from '../../../src/storage/little-endian.ts';
import type { LogGroup, ReadHeader } from '../../../src/storage/log/log-frame.ts';
import { type RecoveryOptions, readLogs } from '../../../src/storage/log/log-recovery-store.ts';
import { frameAt, type ScanEnd } from '../../../src/storage/log/log-scan.ts';
import type { Segment } from '../../../src/storage/log/log-segment.ts';
import { LogStore } from '../../../src/storage/log/log-store.ts';
import { provenWhole } from '../../../src/storage/log/log-tail.ts';
import { dumpSegment, isDamage, verifyLogs } from '../../../src/storage/log/log-verify.ts';
import { op, plain, seedOf } from './groups.ts';
import { SimDisk } from './sim-disk.ts';

const start = 4_096;
const path = (id: number, kind = 'log', log = 'host-1'): string =>
  `/log/${log}-${String(id).padStart(12, '0')}.${kind}`;
const file = (id: number): string => path(id).slice(5);

const group = (lsn: number): LogGroup => ({
  lsn,
  shard: 1 + (lsn % 2),
  epoch: 7,
  ops: [op(1 + (lsn % 2), 7, `key-${lsn}`, new Uint8Array(50).fill(lsn))],
});
const bytesOfGroup = 120;

/** A log of closed segments, `perSegment` groups in each, every batch synced before the next. */
async function diskWith(segments: number, perSegment = 4, name = 'host-1', into = new SimDisk(), fromId = 0) {
  let id = fromId;
  const log = new LogStore({
    dir: '/log',
    name,
    segmentBytes: 8_192,
    sparesMax: 0,
    nextSegmentId: () => ++id,
    crc: crc32,
    files: into,
  });
  for (let lsn = 1; lsn <= segments * perSegment; lsn++) {
    log.append([group(lsn)]);
    await log.sync();
    if (lsn % perSegment === 0) await log.roll();
  }
  await log.close();
  return into;
}

type Logged = NonNullable<RecoveryOptions['logged']>;

function recover(disk: SimDisk, options: Partial<RecoveryOptions> = {}) {
  const groups: LogGroup[] = [];
  const visit = (at: number, { image }: Segment): number => groups.push(plain(frameAt(image, at)));
  const found = readLogs({ dir: '/log', crc: crc32, files: disk, seedOf, visit, ...options });
  return { ...found, groups, lsns: groups.map(({ lsn }) => lsn) };
}

const verify = (disk: SimDisk, logged?: Logged) => [
  ...verifyLogs(
    disk.list('/log').map(file => ({ file, bytes: disk.read(`/log/${file}`) })),
    { crc: crc32, seedOf, logged },
  ),
];
const states = (disk: SimDisk, logged?: Logged): string[] => verify(disk, logged).map(({ state }) => state);

function flip(disk: SimDisk, id: number, at: number, bit = 1): void {
  const bytes = disk.contents(path(id));
  bytes[at] = (bytes[at] as number) ^ bit;
}

function refusal(
  disk: SimDisk,
  options: Partial<RecoveryOptions> = {},
): { code: string; message: string; details: Record<string, unknown> } {
  try {
    recover(disk, options);
  } catch (why) {
    return why as ReturnType<typeof refusal>;
  }
  throw new Error('nothing was refused');
}

/** A segment that is torn at its eleventh group, and one behind it that was begun before its sync. */
function tornBehindAnother(): { disk: SimDisk; last: number } {
  const disk = new SimDisk();
  let id = 0;
  const log = new LogStore({
    dir: '/log',
    name: 'host-1',
    segmentBytes: 8_192,
    sparesMax: 0,
    nextSegmentId: () => ++id,
    crc: crc32,
    files: disk,
  });
  disk.hold();
  let lsn = 1;
  while (log.sealed.length === 0) log.append([group(lsn++)]);
  // Everything is on the disk but that.
  disk.powerLoss(() => 0.99);
  const last = lsn - 2;
  disk.plant(path(1), disk.read(path(1)).fill(0, start + 10 * bytesOfGroup, start + 11 * bytesOfGroup));
  return { disk, last };
}

describe('recovery', () => {
  it('of nothing finds nothing', () => {
    expect(recover(new SimDisk())).toMatchObject({ segments: [], lsnMax: 0, idMax: 0, cuts: [], dropped: [] });
  });

  it('reads each log in its order, and leaves sound ones as they are', async () => {
    const disk = await diskWith(3);
    await diskWith(2, 3, 'host-2', disk, 10);
    const before = disk.list('/log').map(file => [file, disk.read(`/log/${file}`)]);
    const { lsns, segments, idMax, lsnMax, cuts, dropped } = recover(disk);
    expect(lsns).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 1, 2, 3, 4, 5, 6]);
    expect(segments.map(({ log, id, lsnMin, lsnMax }) => [log, id, lsnMin, lsnMax])).toEqual([
      ['host-1', 1, 1, 4],
      ['host-1', 2, 5, 8],
      ['host-1', 3, 9, 12],
      ['host-2', 11, 1, 3],
      ['host-2', 12, 4, 6],
    ]);
    expect({ idMax, lsnMax, cuts, dropped }).toEqual({ idMax: 12, lsnMax: 12, cuts: [], dropped: [] });
    expect(disk.list('/log').map(file => [file, disk.read(`/log/${file}`)])).toEqual(before);
    expect(states(disk)).toEqual(Array.from({ length: 5 }, () => 'sealed'));
  });

  it('of one log leaves the others alone, which may be open', async () => {
    const disk = await diskWith(1);
    await diskWith(1, 3, 'host-2', disk, 10);
    disk.plant(path(20, 'spare', 'host-2'), new Uint8Array(10));
    disk.plant(path(21, 'spare'), new Uint8Array(10));
    expect(recover(disk, { log: 'host-1' })).toMatchObject({ lsns: [1, 2, 3, 4], idMax: 21 });
    expect(disk.list('/log').sort()).toEqual(
      [path(1), path(11, 'log', 'host-2'), path(20, 'spare', 'host-2')].map(at => at.slice(5)),
    );
  });

  it('takes no offence at segments that are missing: they were recycled when their runs were named', async () => {
    const disk = await diskWith(4);
    disk.unlink(path(2));
    disk.unlink(path(3));
    expect(recover(disk).lsns).toEqual([1, 2, 3, 4, 13, 14, 15, 16]);
  });

  it('does not read segments whose runs are named, and removes them, damaged or not', async () => {
    const disk = await diskWith(3);
    flip(disk, 2, start + 50);
    expect(recover(disk, { flushed: id => id <= 2 })).toMatchObject({ lsns: [9, 10, 11, 12], idMax: 3 });
    expect(disk.list('/log')).toEqual([file(3)]);
  });

  it('passes over the groups of dropped shards, and knows their lsn', async () => {
    const disk = await diskWith(1);
    expect(recover(disk, { seedOf: shard => (shard === 1 ? undefined : seedOf(shard)) })).toMatchObject({
      lsns: [1, 3],
      lsnMax: 4,
    });
  });

  it('removes spares and unfinished files, and counts on from their numbers', async () => {
    const disk = await diskWith(1);
    disk.plant(path(7, 'spare'), new Uint8Array(100));
    disk.plant(path(5), new Uint8Array(0));
    disk.plant(path(6), new Uint8Array(8_192));
    disk.plant('/log/notes.txt', new Uint8Array(3));
    expect(states(disk)).toEqual(['sealed', 'empty', 'empty']);
    expect(recover(disk)).toMatchObject({ lsns: [1, 2, 3, 4], idMax: 7, cuts: [], dropped: [] });
    expect(disk.list('/log').sort()).toEqual([file(1), 'notes.txt']);
  });

  it('cuts a torn tail, says where, and does not find it torn again', async () => {
    const disk = await diskWith(2);
    // As if the last group and the seal had only half got to the disk.
    disk.contents(path(2)).fill(0, start + 3 * bytesOfGroup + 60);
    expect(states(disk)).toEqual(['sealed', 'torn']);
    const { lsns, cuts } = recover(disk);
    expect(lsns).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(cuts).toEqual([
      { file: file(2), at: start + 3 * bytesOfGroup, reason: expect.stringContaining('checksum') },
    ]);
    expect(states(disk)).toEqual(['sealed', 'sealed']);
    disk.powerLoss(() => 0);
    expect(recover(disk)).toMatchObject({ lsns, cuts: [] });
    await diskWith(1, 4, 'host-1', disk, 2);
    expect(recover(disk).cuts).toEqual([]);
  });

  it('removes what was written behind a torn segment before that was on the disk', () => {
    const { disk, last } = tornBehindAnother();
    expect(states(disk)).toEqual(['torn', 'dropped']);
    expect(last).toBeGreaterThan(20);
    const { lsns, dropped } = recover(disk);
    expect(lsns).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(dropped).toEqual([file(2)]);
    expect(recover(disk)).toMatchObject({ lsns, dropped: [] });
  });

  it('finds the same after a crash at any of its own steps', () => {
    for (let steps = 0; steps < 12; steps++) {
      const { disk } = tornBehindAnother();
      disk.callsLeft = steps;
      let failed = false;
      try {
        recover(disk);
      } catch {
        failed = true;
      }
      expect([steps, failed]).toEqual([steps, steps < 6]);
      disk.powerLoss(() => 0);
      expect([steps, recover(disk).lsns]).toEqual([steps, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]]);
    }
  });

  it('refuses a hole with file and offset, at every byte of a segment with others behind it, and touches nothing', async () => {
    const disk = await diskWith(3);
    const { length } = disk.contents(path(2));
    for (let at = start; at < length; at++) {
      flip(disk, 2, at, 1 << (at % 8));
      const frame = start + Math.min(4, Math.floor((at - start) / bytesOfGroup)) * bytesOfGroup;
      const { code, message, details } = refusal(disk);
      expect([at, code, details]).toEqual([at, 'CORRUPT', expect.objectContaining({ file: file(2), at: frame })]);
      if (at % 50 === 0) {
        expect(message).toContain(`${file(2)} is damaged at byte ${frame}`);
        expect(states(disk)).toEqual(['sealed', 'hole', 'sealed']);
      }
      flip(disk, 2, at, 1 << (at % 8));
    }
    expect(disk.list('/log').length).toBe(3);
    expect(recover(disk).lsns.length).toBe(12);
  });

  it('refuses a hole in the last segment too, when a frame behind it was written after its sync', async () => {
    const disk = await diskWith(2);
    flip(disk, 2, start + 60);
    expect(refusal(disk)).toMatchObject({ code: 'CORRUPT', details: { file: file(2), at: start } });
    // Of what stands at the very end nobody can tell whether it was there: it counts as torn.
    flip(disk, 2, start + 60);
    flip(disk, 2, disk.contents(path(2)).length - 1);
    expect(recover(disk).cuts).toMatchObject([{ file: file(2), at: start + 4 * bytesOfGroup }]);
  });

  it('refuses a log whose segment was cut short or emptied although another follows', async () => {
    for (const length of [0, start, start + bytesOfGroup, start + 4 * bytesOfGroup]) {
      const disk = await diskWith(3);
      disk.plant(path(2), disk.read(path(2)).slice(0, length));
      expect([length, refusal(disk).details]).toEqual([length, expect.objectContaining({ file: file(2) })]);
    }
  });

  it('does not need a header to read a segment: its number and its frames say the same', async () => {
    const disk = await diskWith(3);
    flip(disk, 2, 10);
    expect(verify(disk)[1]).toMatchObject({ header: 'missing', state: 'sealed' });
    expect(recover(disk).lsns.length).toBe(12);
  });

  it('refuses a segment of a newer format by name, and leaves every file as it was', async () => {
    const disk = await diskWith(3);
    const header = disk.contents(path(3)).subarray(0, start);
    writeU16(header, 4, 9);
    writeU32(header, start - 4, crc32(header.subarray(0, start - 4)));
    disk.plant(path(8, 'spare'), new Uint8Array(100));
    const calls = disk.calls;
    const { code, message, details } = refusal(disk);
    expect(code).toBe('BAD_OPTION');
    expect(message).toBe(`The log segment ${file(3)} has format 9; this version knows formats up to 1.`);
    expect(details).toEqual({ file: file(3), format: 9, known: 1 });
    expect(disk.calls).toBe(calls);
    expect(verify(disk).map(isDamage)).toEqual([false, false, true]);
  });
});

describe('the last batch of a log that was killed', () => {
  /** Four groups, each synced, and what was written after the last sync. */
  async function killed(after: (log: LogStore) => void): Promise<SimDisk> {
    const disk = new SimDisk();
    let id = 0;
    const nextSegmentId = (): number => ++id;
    const log = new LogStore({
      dir: '/log',
      name: 'host-1',
      segmentBytes: 8_192,
      nextSegmentId,
      crc: crc32,
      files: disk,
    });
    for (let lsn = 1; lsn <= 4; lsn++) {
      log.append([group(lsn)]);
      await log.sync();
    }
    after(log);
    disk.kill();
    return disk;
  }
  const last = start + 3 * bytesOfGroup;
  const mark = start + 4 * bytesOfGroup;

  it('is damage at any byte when a mark says that it was on the disk, and without one looks torn', async () => {
    const disk = await killed(log => log.mark());
    for (let at = last; at < mark; at++) {
      flip(disk, 1, at, 1 << (at % 8));
      expect([at, refusal(disk)]).toEqual([
        at,
        expect.objectContaining({ details: expect.objectContaining({ at: last }) }),
      ]);
      flip(disk, 1, at, 1 << (at % 8));
    }
    expect(recover(disk)).toMatchObject({ lsns: [1, 2, 3, 4], lsnMax: 4, cuts: [{ at: mark + 40 }] });
    const unmarked = await killed(() => {});
    flip(unmarked, 1, last + 60);
    expect(recover(unmarked)).toMatchObject({ lsns: [1, 2, 3], cuts: [{ at: last }] });
  });

  it('is whole when the mark itself is torn or damaged', async () => {
    for (let at = mark; at < mark + 40; at++) {
      const disk = await killed(log => log.mark());
      if (at % 2 === 0) flip(disk, 1, at);
      else disk.contents(path(1)).fill(0, at);
      const { lsns, cuts } = recover(disk);
      // The last bytes of a mark are zeros.
      expect([at, lsns, cuts[0]?.at === mark || at > mark + 35]).toEqual([at, [1, 2, 3, 4], true]);
      expect(recover(disk).cuts).toEqual([]);
    }
  });

  it('is followed by one mark, and by none before its sync', async () => {
    const ends = async (after: (log: LogStore) => void): Promise<number> =>
      recover(await killed(after)).cuts[0]?.at as number;
    const twice = (log: LogStore): void => {
      log.mark();
      log.mark();
    };
    expect(await ends(twice)).toBe(mark + 40);
    const unsynced = (log: LogStore): void => {
      log.append([group(5)]);
      log.mark();
    };
    expect(await ends(unsynced)).toBe(mark + bytesOfGroup);
  });

  it('is shown with its mark', async () => {
    const disk = await killed(log => log.mark());
    const shown = [...dumpSegment({ file: file(1), bytes: disk.read(path(1)) }, { crc: crc32, seedOf })];
    expect(shown.map(({ kind, lsn }) => [kind, lsn])).toEqual([
      ...[1, 2, 3, 4].map(lsn => ['group', lsn]),
      ['mark', 4],
    ]);
    expect(verify(disk)).toMatchObject([{ state: 'torn', groups: 4, lsnMax: 4 }]);
  });
});

describe('a segment that the manifest remembers', () => {
  const logged = (...entries: (readonly [id: number, bytes: number])[]): Logged =>
    new Map(entries.map(([id, bytes]) => [id, { file: file(id), bytes }]));

  it.each([1, 2, 3])('and whose file is gone is missed by name, and nothing is touched (%i of 3)', async id => {
    const disk = await diskWith(3);
    disk.unlink(path(id));
    disk.plant(path(9, 'spare'), new Uint8Array(10));
    const calls = disk.calls;
    const all = logged([1, start + 1], [2, start + 1], [3, start + 1]);
    const { code, message, details } = refusal(disk, { logged: all });
    expect([code, details]).toEqual(['CORRUPT', { file: file(id), files: [file(id)], dir: '/log' }]);
    expect(message).toMatch(/^The log segment host-1-0+\d\.log of \/log is missing\. .* restore a backup/);
    expect(disk.calls).toBe(calls);
    expect(verify(disk, all).filter(isDamage)).toMatchObject([{ id, log: 'host-1', file: file(id), state: 'missing' }]);
    // In a run: its file may be there or not.
    expect(recover(disk, { logged: all, flushed: each => each === id }).lsns).toHaveLength(8);
  });

  it('is missed with all others that are, and when its file has become a spare', async () => {
    const disk = await diskWith(3);
    disk.rename(path(2), path(2, 'spare'));
    disk.unlink(path(3));
    const all = logged([1, start], [2, start], [3, start]);
    expect(refusal(disk, { logged: all })).toMatchObject({ details: { file: file(2), files: [file(2), file(3)] } });
    expect(recover(disk, { logged: all, log: 'host-2' }).lsns).toEqual([]);
  });

  it('may end where it ended then, and not before', async () => {
    const disk = await diskWith(1);
    const ends = start + 2 * bytesOfGroup;
    disk.plant(path(1), disk.read(path(1)).slice(0, ends + 30));
    expect(states(disk, logged([1, ends]))).toEqual(['torn']);
    expect(states(disk, logged([1, ends + 8]))).toEqual(['hole']);
    expect(refusal(disk, { logged: logged([1, ends + 8]) })).toMatchObject({
      code: 'CORRUPT',
      message: expect.stringMatching(/damaged at byte 4336: .* The manifest says/),
      details: { file: file(1), at: ends },
    });
    expect(recover(disk, { logged: logged([1, ends]) }).lsns).toEqual([1, 2]);
    // And again, when it was cut.
    expect(recover(disk, { logged: logged([1, ends]) }).lsns).toEqual([1, 2]);
  });

  it.each([0, 100, start, start + 8])(
    'is not taken for an unfinished one when only %i bytes are left',
    async length => {
      const disk = await diskWith(1);
      disk.plant(path(1), disk.read(path(1)).slice(0, length));
      const all = logged([1, start + bytesOfGroup]);
      expect(refusal(disk, { logged: all })).toMatchObject({ code: 'CORRUPT', details: { file: file(1), at: start } });
      expect(recover(disk).lsns).toEqual([]);
    },
  );

  it('says that the one before it was whole: what is torn there is damage', () => {
    const { disk } = tornBehindAnother();
    const all = logged([2, start + 8]);
    expect(states(disk, all)).toEqual(['hole', 'torn']);
    const at = start + 10 * bytesOfGroup;
    expect(refusal(disk, { logged: all })).toMatchObject({ code: 'CORRUPT', details: { file: file(1), at } });
    expect(recover(disk, { logged: logged([1, at]) }).dropped).toEqual([file(2)]);
  });
});

describe('a segment whose end is bad', () => {
  const scan: ScanEnd = { state: 'open', end: start, groups: 1, lsnMax: 1, durableMax: 0, more: false, reason: '' };
  const header = (id: number, previous: number): ReadHeader => ({
    type: 'ok',
    header: { id, previous, log: 'host-1' },
  });
  const missing: ReadHeader = { type: 'none', reason: 'no header' };

  it.each([
    ['nothing behind it', false, []],
    ['a successor that was begun before its sync', false, [{ id: 8, header: header(8, 7), scan }]],
    ['a successor that saw its sync', true, [{ id: 8, header: header(8, 7), scan: { ...scan, durableMax: start } }]],
    ['a successor of another one, begun after its sync', true, [{ id: 9, header: header(9, 8), scan }]],
    [
      'the same, with damage of its own',
      true,
      [{ id: 9, header: header(9, 8), scan: { ...scan, groups: 0, more: true } }],
    ],
    ['one without groups', false, [{ id: 9, header: header(9, 8), scan: { ...scan, groups: 0 } }]],
    ['one whose header did not get to the disk', false, [{ id: 8, header: missing, scan }]],
    ['one with the header of an earlier life of its file', false, [{ id: 8, header: header(4, 3), scan }]],
  ])('with %s: a hole? %s', (_, expected, later) => {
    expect(provenWhole(7, later)).toBe(expected);
  });
});

describe('a dump', () => {
  it('shows every frame with its operations, the seal last', async () => {
    const disk = await diskWith(1, 2);
    const frames = [
      ...dumpSegment(
        { file: file(1), bytes: disk.read(path(1)) },
        { crc: crc32, seedOf: n => (n === 1 ? undefined : seedOf(n)) },
      ),
    ];
    expect(frames).toEqual([
      {
        file: file(1),
        at: start,
        bytes: bytesOfGroup,
        kind: 'group',
        lsn: 1,
        shard: 2,
        epoch: 7,
        durable: start,
        ops: [{ type: 'put', key: 'key-1', recordAt: start + 48, recordBytes: 65, record: 'ok' }],
      },
      expect.objectContaining({
        at: start + bytesOfGroup,
        lsn: 2,
        shard: 1,
        ops: [expect.objectContaining({ record: 'unchecked' })],
      }),
      expect.objectContaining({ kind: 'seal', lsn: 2, bytes: 40, durable: start + 2 * bytesOfGroup, ops: [] }),
    ]);
  });

  it('goes on behind damage, and shows a damaged record as that', async () => {
    const disk = await diskWith(1);
    flip(disk, 1, start + 20);
    flip(disk, 1, start + bytesOfGroup + 80);
    const frames = [...dumpSegment({ file: file(1), bytes: disk.read(path(1)) }, { crc: crc32, seedOf })];
    expect(frames.map(({ at, lsn, ops }) => [(at - start) / bytesOfGroup, lsn, ops[0]?.record])).toEqual([
      [1, 2, 'damaged'],
      [2, 3, 'ok'],
      [3, 4, 'ok'],
      [4, 4, undefined],
    ]);
    expect([...dumpSegment({ file: 'notes.txt', bytes: new Uint8Array(9_000) }, { crc: crc32, seedOf })]).toEqual([]);
  });
});
