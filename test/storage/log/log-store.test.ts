// One log: where records lie, who shares a sync, how segments come and go, and what a failing disk does.

import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { logAheadBytes } from '../../../src/limits.ts';
import { crc32 } from '../../../src/storage/crc32.ts';
import type { LogFiles } from '../../../src/storage/log/log-files-store.ts';
import type { LogGroup } from '../../../src/storage/log/log-frame.ts';
import { readLogs } from '../../../src/storage/log/log-recovery-store.ts';
import { frameAt } from '../../../src/storage/log/log-scan.ts';
import { LogStore } from '../../../src/storage/log/log-store.ts';
import { SyncHere } from '../../../src/storage/log/sync-here.ts';
import { op, plain, seedOf } from './groups.ts';
import { SimDisk } from './sim-disk.ts';

const segmentBytes = 8_192;

const noOptions: { name?: string; sparesMax?: number; from?: number; here?: SyncHere } = {};

function logOn(files: LogFiles, dir = '/log', options = noOptions): LogStore {
  const { name = 'host-1', sparesMax = 2, from = 0, here } = options;
  let id = from;
  return new LogStore({ dir, name, segmentBytes, sparesMax, nextSegmentId: () => ++id, crc: crc32, files, here });
}

const group = (lsn: number, valueBytes = 100): LogGroup => ({
  lsn,
  shard: 1,
  epoch: 7,
  ops: [op(1, 7, `key-${lsn}`, new Uint8Array(valueBytes).fill(lsn))],
});

function recover(disk: LogFiles, dir = '/log') {
  const groups: LogGroup[] = [];
  const found = readLogs({
    dir,
    crc: crc32,
    files: disk,
    seedOf,
    visit: (at, { image }) => groups.push(plain(frameAt(image, at))),
  });
  return { groups, lsns: groups.map(({ lsn }) => lsn), ...found };
}

/** Fills the active segment until the next group, or so many bytes, would not fit. Returns the next lsn. */
function fill(log: LogStore, from: number, margin = 208): number {
  let lsn = from;
  const { segment } = log.append([group(lsn++)]);
  while (segment.used + margin <= segmentBytes) log.append([group(lsn++)]);
  return lsn;
}

describe('append', () => {
  it('says where each record lies, and the segment gives it back', () => {
    const log = logOn(new SimDisk());
    const both = { lsn: 2, shard: 1, epoch: 1, ops: [op(1, 1, 'gone', undefined), ...group(2).ops] };
    const { segment, records } = log.append([group(1), both, group(3, 0)]);
    expect(records.length).toBe(4);
    expect(records[1]).toBe(-1);
    expect(segment.record(records[0] as number, 5)).toEqual(group(1).ops[0]?.record);
    expect(segment.record(records[2] as number, 5)).toEqual(group(2).ops[0]?.record);
    expect(segment.record(records[3] as number, 5)).toEqual(group(3, 0).ops[0]?.record);
    expect(segment).toMatchObject({ groups: 3, lsnMin: 1, lsnMax: 3, sealed: false });
    segment.release();
    expect(() => segment.record(records[0] as number, 5)).toThrow('was released');
  });

  it('writes a batch with one call, and begins a segment only when it does not fit', async () => {
    const disk = new SimDisk();
    const log = logOn(disk);
    log.append([group(1)]);
    const calls = disk.calls;
    log.append(Array.from({ length: 5 }, (_, index) => group(2 + index)));
    expect(disk.calls).toBe(calls + 1);
    const first = log.active;
    const next = fill(log, 7);
    expect(log.active).toBe(first);
    log.append([group(next)]);
    expect(log.active).not.toBe(first);
    expect(log.sealed).toEqual([first]);
    await log.close();
    expect(recover(disk).lsns).toEqual(Array.from({ length: next }, (_, index) => index + 1));
  });

  it('gives a group that is larger than a segment one of its own', async () => {
    const disk = new SimDisk();
    const log = logOn(disk);
    const { segment } = log.append([group(1, 20_000)]);
    expect(segment.bytes).toBeGreaterThan(20_000);
    log.append([group(2)]);
    log.append([group(3, 30_000)]);
    expect(log.append([group(4)]).segment.bytes).toBe(segmentBytes);
    await log.close();
    const [huge] = log.sealed;
    expect(recover(disk).lsns).toEqual([1, 2, 3, 4]);
    await logOn(disk).recycle(huge as NonNullable<typeof huge>);
    expect(disk.list('/log').some(file => file.endsWith('.spare'))).toBe(false);
  });

  it('leaves an empty segment behind for such a group, which is used again', async () => {
    const disk = new SimDisk();
    const log = logOn(disk);
    log.append([]);
    const { segment } = log.append([group(1, 20_000)]);
    expect(log.sealed).toEqual([]);
    await log.sync();
    await log.prepare();
    expect(disk.list('/log').sort()).toEqual(
      [1, 2, 3].map(id => `host-1-00000000000${id}.${id === 2 ? 'log' : 'spare'}`),
    );
    expect(log.active).toBe(segment);
    await log.close();
    expect(recover(disk).lsns).toEqual([1]);
  });
});

describe('mark', () => {
  it('says once that all is on the disk, is in nobody’s way, and is covered by the next sync', async () => {
    const disk = new SimDisk();
    const log = logOn(disk);
    log.mark();
    log.append([group(1)]);
    log.mark();
    expect(log.active?.used).toBe(4_096 + 168);
    await log.sync();
    const { calls } = disk;
    log.mark();
    log.mark();
    expect([disk.calls, log.active?.used]).toEqual([calls + 1, 4_096 + 168 + 40]);
    await log.sync();
    log.mark();
    expect(log.active?.used).toBe(4_096 + 168 + 40);
    const { segment, records } = log.append([group(2)]);
    expect(segment.record(records[0] as number, group(2).ops[0]?.key.length as number)).toEqual(
      group(2).ops[0]?.record,
    );
    expect(segment).toMatchObject({ groups: 2, lsnMin: 1, lsnMax: 2 });
    await log.close();
    log.mark();
    expect(recover(disk).lsns).toEqual([1, 2]);
  });

  it('leaves the room for the seal, and is no reason to begin a segment', async () => {
    const disk = new SimDisk();
    const log = logOn(disk);
    const next = fill(log, 1, 168 + 40);
    const { active } = log;
    await log.sync();
    for (let n = 0; n < 20; n++) {
      log.mark();
      await log.sync();
    }
    expect(log.active).toBe(active);
    expect(active?.used).toBeLessThanOrEqual(segmentBytes - 40);
    log.append([group(next)]);
    await log.close();
    expect(recover(disk).lsns).toEqual(Array.from({ length: next }, (_, index) => index + 1));
  });
});

describe('sync', () => {
  it('is shared by everyone who asks while one is under way', async () => {
    const disk = new SimDisk();
    const log = logOn(disk);
    log.append([group(1)]);
    await log.sync();
    log.append([group(2)]);
    disk.hold();
    const before = disk.syncs;
    const first = log.sync();
    expect(log.sync()).toBe(first);
    log.append([group(3)]);
    const second = log.sync();
    log.append([group(4)]);
    expect(log.sync()).toBe(second);
    let done = false;
    second.then(() => {
      done = true;
    });
    expect(disk.syncs).toBe(before + 1);
    disk.release();
    await first;
    expect(done).toBe(false);
    await second;
    expect(disk.syncs).toBe(before + 2);
    await log.sync();
    expect(disk.syncs).toBe(before + 2);
    expect(log.active?.durable).toBe(log.active?.used);
  });

  it('that stalls keeps nobody from writing, and nothing counts as durable meanwhile', async () => {
    const disk = new SimDisk();
    const log = logOn(disk);
    disk.hold();
    log.append([group(1)]);
    const flushed = log.sync();
    const next = fill(log, 2);
    log.append([group(next)]);
    expect(log.sealed[0]?.durable).toBe(4_096);
    disk.release();
    await flushed;
    await log.sync();
    expect(log.sealed[0]?.durable).toBe(log.sealed[0]?.used);
  });

  it('is begun without being asked for when much waits for it, once at a time', async () => {
    const disk = new SimDisk();
    let id = 0;
    const large = { segmentBytes: 4 * logAheadBytes, nextSegmentId: () => ++id };
    const log = new LogStore({
      dir: '/log',
      name: 'host-1',
      crc: crc32,
      files: disk,
      here: new SyncHere(() => 0),
      ...large,
    });
    const megabyte = (lsn: number) => log.append([group(lsn, 1 << 20)]).segment;
    const most = logAheadBytes >> 20;
    for (let lsn = 1; lsn < most; lsn++) megabyte(lsn);
    expect(disk.syncs).toBe(0);
    disk.hold();
    const segment = megabyte(most);
    const begun = segment.used;
    for (let lsn = most + 1; lsn < most * 2; lsn++) megabyte(lsn);
    expect(disk.syncs).toBe(1);
    disk.release();
    await log.sync();
    expect(segment.durable).toBeGreaterThanOrEqual(begun);
    expect(log.describe()).toMatchObject({ stopped: null });
    await log.close();
  });

  it('does not let a third segment begin before the first is on the disk', async () => {
    const disk = new SimDisk();
    const log = logOn(disk);
    disk.hold();
    const second = fill(log, 1);
    const third = fill(log, second);
    expect(log.describe()).toMatchObject({ blocked: 1 });
    log.append([group(third)]);
    expect(log.describe()).toMatchObject({ blocked: 2 });
    disk.powerLoss(() => 0);
    expect(recover(disk).lsns.length).toBeGreaterThanOrEqual(second - 1);
  });

  it('that fails is never tried again: the log has stopped, for everyone', async () => {
    const disk = new SimDisk();
    const log = logOn(disk);
    log.append([group(1)]);
    disk.failSyncs = true;
    const under = log.sync();
    log.append([group(2)]);
    const waiting = log.sync();
    const stopped = expect.objectContaining({ code: 'STOPPED', message: 'The log host-1 cannot go on: EIO' });
    await expect(under).rejects.toEqual(stopped);
    await expect(waiting).rejects.toEqual(stopped);
    disk.failSyncs = false;
    const calls = disk.calls;
    expect(() => log.append([group(3)])).toThrow(stopped);
    await expect(log.sync()).rejects.toEqual(stopped);
    await expect(log.roll()).rejects.toEqual(stopped);
    expect(disk.calls).toBe(calls);
    await expect(log.close()).rejects.toEqual(stopped);
    expect(disk.openFiles).toBe(0);
  });
});

describe('a sync that the thread of the log waits for itself', () => {
  const quick = () => new SyncHere(() => 0);

  it('is done when it is asked for; the first of a segment is handed over, for its name', async () => {
    const disk = new SimDisk();
    const log = logOn(disk, '/log', { here: quick() });
    log.append([group(1)]);
    await log.sync();
    expect(log.describe()).toMatchObject({ syncs: 1, syncsHere: 0 });
    const { segment } = log.append([group(2)]);
    const handedOver = disk.syncs;
    const done = log.sync();
    expect(segment.durable).toBe(segment.used);
    expect(log.describe()).toMatchObject({ syncs: 2, syncsHere: 1 });
    await done;
    expect(disk.syncs).toBe(handedOver);
    disk.powerLoss(() => 0);
    expect(recover(disk).lsns).toEqual([1, 2]);
  });

  it('waits behind one that was handed over', async () => {
    const disk = new SimDisk();
    const log = logOn(disk, '/log', { here: quick() });
    disk.hold();
    log.append([group(1)]);
    void log.sync();
    const { segment } = log.append([group(2)]);
    const done = log.sync();
    expect(segment.durable).toBe(4_096);
    disk.release();
    await done;
    expect(segment.durable).toBe(segment.used);
  });

  it('stops the log when it fails, as any other', async () => {
    const disk = new SimDisk();
    const log = logOn(disk, '/log', { here: quick() });
    log.append([group(1)]);
    await log.sync();
    log.append([group(2)]);
    disk.failSyncs = true;
    const stopped = expect.objectContaining({ code: 'STOPPED', message: 'The log host-1 cannot go on: EIO' });
    await expect(log.sync()).rejects.toEqual(stopped);
    expect(() => log.append([group(3)])).toThrow(stopped);
  });

  it('is handed over again while the disk is slow', async () => {
    let now = 0;
    const disk = new SimDisk();
    const log = logOn(disk, '/log', { here: new SyncHere(() => now++) });
    for (let lsn = 1; lsn <= 40; lsn++) {
      log.append([group(lsn, 20)]);
      await log.sync();
    }
    // Each takes 1 ms by this clock: 19 bring the average of 64 above 0.25.
    expect(log.describe()).toMatchObject({ syncs: 40, syncsHere: 19 });
  });
});

describe('a full disk', () => {
  it('refuses an append with DISK_FULL, of which nothing is left, and takes what fits', async () => {
    const disk = new SimDisk();
    const log = logOn(disk);
    log.append([group(1)]);
    disk.capacity = disk.size('/log/host-1-000000000001.log') + 300;
    const full = expect.objectContaining({ code: 'DISK_FULL', details: expect.objectContaining({ log: 'host-1' }) });
    // The first two of its frames get to the disk.
    expect(() => log.append([2, 3, 4, 5].map(lsn => group(lsn)))).toThrow(full);
    expect(log.active?.groups).toBe(1);
    disk.kill();
    disk.capacity = 0;
    expect(() => recover(disk)).not.toThrow();
    expect(recover(disk).lsns).toEqual([1]);
  });

  it('does not keep a log from going on when there is room again', async () => {
    const disk = new SimDisk();
    const log = logOn(disk);
    log.append([group(1)]);
    disk.capacity = disk.size('/log/host-1-000000000001.log') + 300;
    expect(() => log.append([2, 3, 4, 5].map(lsn => group(lsn)))).toThrow();
    log.append([group(2)]);
    disk.capacity = Number.POSITIVE_INFINITY;
    log.append([group(3)]);
    await log.close();
    expect(recover(disk).lsns).toEqual([1, 2, 3]);
  });

  it('when a segment cannot be begun leaves the old one in use for what still fits', async () => {
    const disk = new SimDisk();
    const log = logOn(disk, '/log', { sparesMax: 0 });
    const again = fill(log, fill(log, 1), 400);
    await log.sync();
    // Enough for a seal or a deletion, not for a header.
    disk.capacity = disk.list('/log').reduce((sum, file) => sum + disk.size(`/log/${file}`), 100);
    expect(() => log.append([group(again, 500)])).toThrow(expect.objectContaining({ code: 'DISK_FULL' }));
    expect(disk.list('/log').length).toBe(2);
    log.append([{ lsn: again, shard: 1, epoch: 1, ops: [op(1, 1, 'k', undefined)] }]);
    disk.capacity = Number.POSITIVE_INFINITY;
    await log.close();
    expect(recover(disk).lsns.at(-1)).toBe(again);
  });

  it('is never met in a file that was made ready, or used before', async () => {
    const disk = new SimDisk();
    const log = logOn(disk);
    await log.prepare();
    let next = fill(log, 1);
    await log.prepare();
    disk.capacity = 0;
    for (let round = 0; round < 10; round++) {
      next = fill(log, next);
      await log.sync();
      for (const segment of log.sealed) await log.recycle(segment);
    }
    expect(log.describe()).toMatchObject({ grown: 0, spares: { ready: 1 } });
    await log.close();
  });
});

describe('segments', () => {
  it('are rolled on demand, not when they are empty, and the next begins with the next write', async () => {
    const disk = new SimDisk();
    const log = logOn(disk);
    await log.roll();
    expect(disk.list('/log')).toEqual([]);
    const { segment } = log.append([group(1)]);
    await log.roll();
    expect(log.active).toBe(undefined);
    expect(segment).toMatchObject({ sealed: true, durable: segment.used });
    await log.roll();
    expect(log.append([group(2)]).segment.id).toBe(2);
  });

  it('go round: no more spares than wanted, the rest is removed, no file stays open', async () => {
    const disk = new SimDisk();
    const log = logOn(disk);
    for (let lsn = 1; lsn <= 5; lsn++) {
      log.append([group(lsn)]);
      await log.roll();
    }
    await Promise.all(log.sealed.map(segment => log.recycle(segment)));
    expect(log.sealed).toEqual([]);
    const spares = ['host-1-000000000001.spare', 'host-1-000000000002.spare'];
    expect(disk.list('/log').sort()).toEqual(spares);
    for (const file of spares) expect(disk.size(`/log/${file}`)).toBe(segmentBytes);
    log.append([group(6)]);
    expect(log.describe()).toMatchObject({ segments: 6, grown: 5 });
    await log.close();
    expect(disk.openFiles).toBe(0);
    expect(recover(disk).lsns).toEqual([6]);
  });

  it('of a closed log are all sealed, its spares gone, and it takes nothing more', async () => {
    const disk = new SimDisk();
    const log = logOn(disk);
    await log.prepare();
    log.append([group(1)]);
    await log.prepare();
    await log.close();
    await log.close();
    expect(disk.list('/log')).toEqual(['host-1-000000000002.log']);
    expect(disk.openFiles).toBe(0);
    expect(() => log.append([group(2)])).toThrow(expect.objectContaining({ code: 'STOPPED' }));
    const { cuts, lsns } = recover(disk);
    expect({ cuts, lsns }).toEqual({ cuts: [], lsns: [1] });
  });

  it('are named by what a log may be called', () => {
    for (const name of ['', 'A', 'a/b', '-a', 'x'.repeat(33)]) {
      expect(() => logOn(new SimDisk(), '/log', { name })).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }));
    }
  });
});

it('a log on a real disk is read again, over several lives', async () => {
  const dir = join(mkdtempSync(join(tmpdir(), 'troupe-log-')), 'a', 'b');
  try {
    const { realFiles } = await import('../../../src/storage/log/log-files-store.ts');
    let lsn = 1;
    let from = 0;
    for (let life = 0; life < 3; life++) {
      const log = logOn(realFiles, dir, { from });
      await log.prepare();
      lsn = fill(log, lsn);
      lsn = fill(log, lsn);
      await log.sync();
      await log.recycle(log.sealed[0] as NonNullable<(typeof log.sealed)[0]>);
      lsn = fill(log, lsn);
      expect(statSync(log.active?.path as string).size).toBe(segmentBytes);
      await log.close();
      const { idMax, lsnMax, cuts } = recover(realFiles, dir);
      expect({ lsnMax, cuts }).toEqual({ lsnMax: lsn - 1, cuts: [] });
      from = idMax;
    }
    expect(readdirSync(dir).filter(file => file.endsWith('.spare'))).toEqual([]);
    expect(recover(realFiles, dir).segments.length).toBe(6);
  } finally {
    rmSync(join(dir, '..', '..'), { recursive: true, force: true });
  }
});
