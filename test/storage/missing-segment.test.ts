// Files of the log that somebody has taken away: missed by name when something acknowledged was in them, and never otherwise.

import {
  cpSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { crc32 } from '../../src/storage/crc32.ts';
import type { Ack } from '../../src/storage/engine.ts';
import { type LogFiles, realFiles } from '../../src/storage/log/log-files-store.ts';
import type { LoggedSegment } from '../../src/storage/log/log-names.ts';
import { createSharedDisk, SharedDisk } from '../../src/storage/shared-disk.ts';
import { TroupeLog } from '../../src/storage/troupe-log-store.ts';
import { TroupeStore } from '../../src/storage/troupe-store.ts';
import type { Upkeep } from '../../src/storage/upkeep-store.ts';
import { verifyDirectory } from '../../src/storage/verify-store.ts';
import { ending, newDir, smallDisk, until } from '../bad-days/folders.ts';
import { bytes, group, put, text } from './conformance.ts';

const segmentBytes = 1 << 20;

interface Rig {
  readonly dir: string;
  readonly store: TroupeStore;
  readonly upkeep: Upkeep;
}

async function opened(dir = join(newDir(), 'data')): Promise<Rig> {
  const store = new TroupeStore({ dir, segmentBytes });
  onTestFinished(() => store.close());
  await store.ready();
  return { dir, store, upkeep: store.upkeep as Upkeep };
}

const write = ({ store }: Pick<Rig, 'store'>, key: string, ack: Ack = 'flushed'): Promise<void> =>
  store.shard('kv/a').commit(group(1, [put(key, key.padEnd(1_000, '.'))]), ack);

const read = ({ store }: Pick<Rig, 'store'>, key: string): string | undefined =>
  text(store.shard('kv/a').get(bytes(key)))?.replaceAll('.', '');

const remembered = ({ upkeep }: Rig): string[] => [...upkeep.seams.manifest.state().logged.values()].map(l => l.file);

const logFiles = (dir: string): string[] =>
  readdirSync(join(dir, 'log'))
    .filter(name => name.endsWith('.log'))
    .sort();

/** As kill -9 would leave it now, when nothing is under way. */
function leftBehind({ dir }: Rig): string {
  const copy = join(newDir(), 'copy');
  cpSync(dir, copy, { recursive: true });
  return copy;
}

async function refusalOf(dir: string): Promise<unknown> {
  const store = new TroupeStore({ dir, segmentBytes });
  const why = await ending(store.ready());
  await store.close();
  return why;
}

/** Each alone; what the refusal leaves is as it was. */
async function expectMissed(dir: string, files: readonly string[]): Promise<void> {
  for (const file of files) {
    renameSync(join(dir, 'log', file), join(dir, file));
    expect(await refusalOf(dir)).toMatchObject({ code: 'CORRUPT', details: { file, files: [file] } });
    const { sound, segments } = await verifyDirectory(dir);
    expect([sound, segments.find(each => each.file === file)?.state]).toEqual([false, 'missing']);
    renameSync(join(dir, file), join(dir, 'log', file));
  }
}

describe('a log file that is taken away', () => {
  it('is missed from the first write on that was acknowledged as flushed', async () => {
    const rig = await opened();
    await write(rig, 'first');
    const dir = leftBehind(rig);
    await expectMissed(dir, logFiles(dir));
    expect(read(await opened(dir), 'first')).toBe('first');
  });

  it('is missed when nobody has asked for more than committed', async () => {
    const rig = await opened();
    await write(rig, 'first', 'committed');
    await until(() => remembered(rig).length === 1);
    const dir = leftBehind(rig);
    await expectMissed(dir, logFiles(dir));
  });

  it('is missed in every life until its run is named, and not any more then', async () => {
    const rig = await opened();
    rig.upkeep.pause();
    for (const key of ['a', 'b', 'c']) {
      await write(rig, key);
      await rig.store.settle();
    }
    expect(remembered(rig)).toHaveLength(3);
    const dir = leftBehind(rig);
    await expectMissed(dir, logFiles(dir));

    rig.upkeep.resume();
    await rig.store.settle();
    expect(remembered(rig)).toEqual([]);
    // Their files are removed, or used again, at any time from now on: a crash may come before, between and after.
    const crashed = leftBehind(rig);
    for (const file of logFiles(crashed).slice(0, 2)) renameSync(join(crashed, 'log', file), join(crashed, file));
    const again = await opened(crashed);
    expect(['a', 'b', 'c'].map(key => read(again, key))).toEqual(['a', 'b', 'c']);
    expect(remembered(again)).toEqual([]);
    await write(again, 'd');
    expect(remembered(again)).toHaveLength(1);
    await again.store.close();
    expect(read(await opened(crashed), 'd')).toBe('d');
  });

  it('is missed after a second crash too, when the life in between has flushed nothing', async () => {
    const rig = await opened();
    await write(rig, 'first');
    const dir = leftBehind(rig);
    const between = new TroupeStore({ dir, segmentBytes });
    between.upkeep?.pause();
    await between.ready();
    await between.close();
    await expectMissed(dir, logFiles(dir));
  });

  it('or whose last record is damaged is noticed when the log had time to say that it was on the disk', async () => {
    const rig = await opened();
    await write(rig, 'first');
    const log = (): { used: number } => (rig.store.describe() as { log: { active: { used: number } } }).log.active;
    const { used } = log();
    await until(() => log().used > used);
    const dir = leftBehind(rig);
    const [file = ''] = logFiles(dir);
    const image = readFileSync(join(dir, 'log', file));
    image[used - 20] = (image[used - 20] as number) ^ 1;
    writeFileSync(join(dir, 'log', file), image);
    expect(await refusalOf(dir)).toMatchObject({ code: 'CORRUPT', details: { file, at: 4_096 } });
  });

  it('or emptied is damage, not a file that a crash has left unfinished', async () => {
    const rig = await opened();
    await write(rig, 'first');
    for (const length of [0, 4_096, 4_200]) {
      const dir = leftBehind(rig);
      const [file = ''] = logFiles(dir);
      truncateSync(join(dir, 'log', file), length);
      expect(await refusalOf(dir)).toMatchObject({ code: 'CORRUPT', details: { file, at: 4_096 } });
      expect(await verifyDirectory(dir)).toMatchObject({ sound: false, segments: [{ file, state: 'hole' }] });
    }
  });
});

describe('a start on a disk without any room', () => {
  it('reads all there is, and misses what is not there', async context => {
    const disk = smallDisk(32 * segmentBytes);
    if (typeof disk === 'string') return context.skip(disk);
    const dir = join(disk.path, 'data');
    const options = { dir, segmentBytes, freeLowWater: 4 * segmentBytes };
    const first = new TroupeStore(options);
    await first.ready();
    // A segment of a shard that is dropped: nobody has to make room for it.
    first.upkeep?.pause();
    await first.shard('kv/b').commit(group(1, [put('gone', 'gone')]), 'flushed');
    await first.settle();
    await first.drop('kv/b');
    for (const key of ['a', 'b']) await write({ store: first }, key);
    await first.close();
    const file = logFiles(dir).at(-1) as string;
    expect(logFiles(dir)).toHaveLength(2);
    const { bavail, bsize } = statfsSync(disk.path);
    writeFileSync(join(disk.path, 'ballast'), new Uint8Array((bavail - 8) * bsize));

    const store = new TroupeStore(options);
    onTestFinished(() => store.close());
    await store.ready();
    expect([read({ store }, 'a'), read({ store }, 'b')]).toEqual(['a', 'b']);
    expect(await ending(write({ store }, 'c'))).toMatchObject({ code: 'DISK_FULL' });
    await store.close();
    rmSync(join(dir, 'log', file));
    expect(await refusalOf(dir)).toMatchObject({ code: 'CORRUPT', details: { file } });
  });
});

describe('a log', () => {
  /** What it has told the manifest, and how the manifest answers. */
  function told(files: LogFiles = realFiles) {
    const disk = new SharedDisk(createSharedDisk(1, segmentBytes));
    const calls: string[][] = [];
    const answers: ((why?: Error) => void)[] = [];
    const log = new TroupeLog({
      dir: join(newDir(), 'log'),
      thread: 0,
      disk,
      crc: crc32,
      files,
      note: (segments: ReadonlyMap<number, LoggedSegment>) =>
        new Promise<void>((resolve, reject) => {
          calls.push([...segments.values()].map(({ file }) => file));
          answers.push(why => (why === undefined ? resolve() : reject(why)));
        }),
      roomToFlush: () => undefined,
    });
    const append = async (): Promise<void> => {
      if (!log.fits([])) await log.next();
      log.stage({ number: 1, epoch: 1, ops: [{ key: bytes('k'), record: new Uint8Array(40) }] });
      log.publish();
    };
    const answer = (why?: Error): void => answers.shift()?.(why);
    return { log, disk, calls, append, answer };
  }

  async function isPending(promise: Promise<unknown>): Promise<boolean> {
    const turns = async (): Promise<'pending'> => {
      for (let turn = 0; turn < 50; turn++) await new Promise(resolve => setImmediate(resolve));
      return 'pending';
    };
    return (await Promise.race([promise, turns()])) === 'pending';
  }

  it('tells nobody flushed before the manifest knows of the segment, and asks it once a segment', async () => {
    const { log, calls, append, answer } = told();
    await append();
    const sync = log.sync();
    await until(() => calls.length === 1);
    expect(await isPending(sync)).toBe(true);
    answer();
    await sync;
    for (let n = 0; n < 5; n++) {
      await append();
      await log.sync();
    }
    expect(calls).toHaveLength(1);
    await log.close();
  });

  it('goes on when the manifest cannot hear of it, and tells it again with the next segment', async () => {
    const { log, calls, append, answer } = told();
    await append();
    const sync = log.sync();
    await until(() => calls.length === 1);
    answer(new Error('no room'));
    await sync;
    await log.seal();
    await append();
    await until(() => calls.length === 2);
    expect(calls[1]).toEqual([...(calls[0] as string[]), expect.stringMatching(/\.log$/)]);
    answer();
    await log.sync();
    await log.seal();
    await append();
    await until(() => calls.length === 3);
    expect(calls[2]).toHaveLength(1);
    answer();
    await log.close();
  });

  it('goes on when the file of a segment that is in a run can be neither used again nor removed', async () => {
    const asked: string[] = [];
    const size = (path: string): never => {
      asked.push(path);
      throw Object.assign(new Error('EACCES'), { code: 'EACCES' });
    };
    const { log, disk, calls, append, answer } = told({ ...realFiles, size });
    await append();
    await until(() => calls.length === 1);
    answer();
    await log.seal();
    for (const slot of disk.slots) if (slot.isLive) slot.flushed();
    await append();
    await until(() => calls.length === 2);
    answer();
    expect(asked).toEqual([expect.stringContaining((calls[0] as string[])[0] as string)]);
    await log.close();
  });
});
