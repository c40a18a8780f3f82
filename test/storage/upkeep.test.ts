// The upkeep of the troupe engine on bad days: damaged files, a disk without room, merges in the way of writers, an end in the middle.

import { readdirSync, readFileSync, statfsSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { TroupeError } from '../../src/errors.ts';
import { removalLookMs, runFanIn } from '../../src/limits.ts';
import { Jobs } from '../../src/runtime/thread-jobs.ts';
import type { RunJob } from '../../src/storage/engine.ts';
import { type SegmentSlot, slotState } from '../../src/storage/segment-slot.ts';
import { TroupeStore, type TroupeStoreOptions } from '../../src/storage/troupe-store.ts';
import type { Trouble } from '../../src/storage/upkeep.ts';
import type { Upkeep } from '../../src/storage/upkeep-store.ts';
import { newDir, smallDisk, until } from '../bad-days/folders.ts';
import { bytes, group, outcome, put, text } from './conformance.ts';

const MiB = 1 << 20;

interface Rig {
  readonly dir: string;
  readonly store: TroupeStore;
  readonly upkeep: Upkeep;
  readonly troubles: Trouble[];
}

async function open(dir: string, more: Partial<TroupeStoreOptions> = {}): Promise<Rig> {
  const store = new TroupeStore({ dir, segmentBytes: MiB, ...more });
  onTestFinished(() => store.close());
  const upkeep = store.upkeep as Upkeep;
  const troubles: Trouble[] = [];
  upkeep.onTrouble(trouble => troubles.push(trouble));
  await store.ready();
  return { dir, store, upkeep, troubles };
}

/** Threads of their own for jobs, as a node has them. `seen` hears of each before it begins. */
function pool(seen: (name: string) => void | Promise<void> = () => {}): RunJob {
  const jobs = new Jobs();
  onTestFinished(() => jobs.stop());
  return async (module, name, argument, lane) => {
    await seen(name);
    return jobs.run(module.href, name, argument, {}, lane);
  };
}

async function fill({ store }: Rig, mark: string, count = 100, size = 1_000): Promise<void> {
  const shard = store.shard('kv/a');
  const all = Array.from({ length: count }, (_, n) =>
    shard.commit(group(1, [put(`k${mark}${n}`, `${mark}${n}`.padEnd(size, '.'))]), 'committed'),
  );
  await Promise.all(all);
}

function read({ store }: Rig, key: string): string | undefined {
  return text(store.shard('kv/a').get(bytes(key)))?.replaceAll('.', '');
}

/** Several runs, no two of which are due to be merged. */
async function someRuns(rig: Rig, count: number): Promise<string[]> {
  for (let n = 0; n < count; n++) {
    await fill(rig, String.fromCharCode(97 + n));
    await rig.store.settle();
  }
  expect(rig.upkeep.status()).toMatchObject({ runs: count, state: 'idle', waiting: 0, backlog: 0, trouble: null });
  return runFiles(rig);
}

const runFiles = ({ dir }: Rig): string[] =>
  readdirSync(join(dir, 'runs'))
    .filter(name => name.endsWith('.mdb'))
    .sort();

function turnBit(path: string, at: number): void {
  const file = readFileSync(path);
  file[at] = (file[at] as number) ^ 4;
  writeFileSync(path, file);
}

describe('run()', () => {
  it('flushes what is in memory, `all` makes one run of all, and both resolve when it is done', async () => {
    const rig = await open(newDir());
    await fill(rig, 'a');
    await rig.upkeep.run();
    expect(rig.upkeep.status()).toMatchObject({ runs: 1, flushes: 1, merges: 0, state: 'idle' });
    await fill(rig, 'b');
    await rig.upkeep.run({ all: true });
    expect(rig.upkeep.status()).toMatchObject({ runs: 1, flushes: 2, merges: 1, jobs: [] });
    expect([read(rig, 'ka7'), read(rig, 'kb7')]).toEqual(['a7', 'b7']);
    await rig.upkeep.run({ all: true });
    expect(rig.upkeep.status()).toMatchObject({ runs: 1, merges: 2 });
  });

  it('is refused while it is paused, and ends with STOPPED when the store is closed', async () => {
    const rig = await open(newDir(), { runJob: pool() });
    await someRuns(rig, 2);
    rig.upkeep.pause();
    expect(rig.upkeep.status().state).toBe('paused');
    expect(await outcome(rig.upkeep.run())).toBe('BAD_OPTION');
    await fill(rig, 'z');
    rig.upkeep.resume();
    rig.upkeep.setBytesPerSecond(MiB / 16);
    const running = outcome(rig.upkeep.run({ all: true }));
    await until(() => rig.upkeep.status().jobs.some(({ what }) => what === 'merge'));
    expect(rig.upkeep.status()).toMatchObject({ state: 'working', bytesPerSecond: MiB / 16 });
    rig.upkeep.finish();
    expect(await running).toBe('STOPPED');
    expect(await outcome(rig.upkeep.run())).toBe('STOPPED');
  });
});

describe('a damaged filter', () => {
  it.each(['from an earlier life', 'found by a reader'])(
    '%s is made again, and readers believe the new one',
    async how => {
      const dir = newDir();
      let rig = await open(dir);
      const [file] = (await someRuns(rig, 2)) as [string];
      const filter = join(dir, 'runs', `${file}.bloom`);
      const whole = readFileSync(filter);
      if (how === 'from an earlier life') {
        await rig.store.close();
        turnBit(filter, 40);
        rig = await open(dir);
      } else turnBit(filter, 40);
      expect(read(rig, 'ka7')).toBe('a7');
      expect(read(rig, 'kb7')).toBe('b7');
      expect(read(rig, 'ka44x')).toBeUndefined();
      await until(() => rig.upkeep.status().filtersMended === 1);
      expect(readFileSync(filter)).toEqual(whole);
      const filters = (): unknown[] =>
        (rig.store.describe() as { runs: { runs: { filter: string }[] } }).runs.runs.map(run => run.filter);
      expect(read(rig, 'ka55x')).toBeUndefined();
      expect(filters()).toEqual(['ok', 'ok']);
      expect(rig.upkeep.status()).toMatchObject({ damaged: [], trouble: null });
    },
  );

  it('of a run that is damaged itself is not: keys it does not show would be gone for good', async () => {
    const dir = newDir();
    let rig = await open(dir);
    const [file] = (await someRuns(rig, 2)) as [string];
    await rig.store.close();
    turnBit(join(dir, 'runs', `${file}.bloom`), 40);
    turnBit(join(dir, 'runs', file), 20_000);
    rig = await open(dir);
    await until(() => rig.troubles.length > 0);
    expect(rig.troubles).toMatchObject([{ what: `run/${file}`, code: 'CORRUPT' }]);
    expect(rig.upkeep.status()).toMatchObject({ filtersMended: 0, damaged: [{ file }] });
    expect(read(rig, 'kb7')).toBe('b7');
  });
});

describe('a damaged run', () => {
  it('is set aside by the merge that finds it, told once and shown, and the others are merged', async () => {
    const jobs: string[] = [];
    const rig = await open(newDir(), { runJob: pool(name => void jobs.push(name)) });
    const files = await someRuns(rig, runFanIn - 1);
    const damaged = files[1] as string;
    turnBit(join(rig.dir, 'runs', damaged), 20_000);
    // Two more, so that four are left without the damaged one.
    for (const mark of ['x', 'y']) {
      await fill(rig, mark);
      await rig.store.settle();
    }
    expect(rig.troubles).toMatchObject([
      { what: `run/${damaged}`, code: 'CORRUPT', message: expect.stringMatching(damaged) },
    ]);
    expect(rig.upkeep.status()).toMatchObject({ runs: 2, merges: 1, damaged: [{ file: damaged }], state: 'idle' });
    expect(rig.upkeep.status().trouble).toMatchObject({ what: `run/${damaged}`, times: 1 });
    const merges = (): number => jobs.filter(name => name === 'mergeRuns').length;
    const before = merges();
    await new Promise(resolve => setTimeout(resolve, 1_200));
    expect(merges()).toBe(before);
    for (const key of ['ka7', 'kc7', 'kx7', 'ky7']) expect(read(rig, key)).toBe(key.slice(1));
    expect(await outcome(rig.upkeep.run({ all: true }))).toBe('ok');
    expect(rig.upkeep.status()).toMatchObject({ runs: 2 });
  });

  it('that makes run() fail says so, when what is left has been done', async () => {
    const rig = await open(newDir());
    const files = await someRuns(rig, 3);
    turnBit(join(rig.dir, 'runs', files[0] as string), 20_000);
    expect(await outcome(rig.upkeep.run({ all: true }))).toBe('CORRUPT');
    expect(await outcome(rig.upkeep.run({ all: true }))).toBe('ok');
    expect(rig.upkeep.status()).toMatchObject({ runs: 2, merges: 1 });
  });
});

describe('a segment', () => {
  /** Two that wait to be flushed, and the file of the first. */
  async function twoWaiting(rig: Rig): Promise<string> {
    rig.upkeep.pause();
    await fill(rig, 'a');
    await rig.store.settle();
    const log = join(rig.dir, 'log');
    const [file] = readdirSync(log).filter(each => each.endsWith('.log')) as [string];
    await fill(rig, 'b');
    await rig.store.settle();
    expect(rig.upkeep.status()).toMatchObject({ waiting: 2, runs: 0, state: 'paused' });
    return join(log, file);
  }

  async function flushed(rig: Rig): Promise<void> {
    rig.upkeep.resume();
    await until(() => rig.upkeep.status().waiting === 0);
    expect(rig.upkeep.status()).toMatchObject({ runs: 2, trouble: null });
    await rig.store.close();
    const again = await open(rig.dir);
    for (const key of ['ka0', 'ka99', 'kb7']) expect(read(again, key)).toBe(key.slice(1));
  }

  it('is flushed from memory: damage of its file is no matter then', async () => {
    const rig = await open(newDir());
    turnBit(await twoWaiting(rig), 20_000);
    await flushed(rig);
    expect([rig.troubles, rig.upkeep.status().failures]).toEqual([[], 0]);
  });

  it('that is damaged in memory is told, holds up no other, and is flushed from its file', async () => {
    const rig = await open(newDir());
    await twoWaiting(rig);
    const [slot] = rig.upkeep.seams.disk.slots.filter(({ state }) => state === slotState.sealed) as [SegmentSlot];
    slot.image[20_000] = (slot.image[20_000] as number) ^ 4;
    await flushed(rig);
    expect(rig.troubles).toMatchObject([{ what: `flush/${slot.id}`, code: 'CORRUPT', times: 1 }]);
  });

  it('that is damaged in both is in no run, and told once; what was not damaged is flushed', async () => {
    const rig = await open(newDir());
    turnBit(await twoWaiting(rig), 20_000);
    const [slot] = rig.upkeep.seams.disk.slots.filter(({ state }) => state === slotState.sealed) as [SegmentSlot];
    slot.image[20_000] = (slot.image[20_000] as number) ^ 4;
    rig.upkeep.resume();
    await until(() => rig.upkeep.status().failures >= 3);
    expect(rig.troubles).toMatchObject([{ what: `flush/${slot.id}`, code: 'CORRUPT' }]);
    expect(rig.upkeep.status()).toMatchObject({ runs: 1, waiting: 1 });
  });
});

describe('segments for which there is no slot at a start', () => {
  /** A directory with so many of them as one life can leave. */
  async function crowded(): Promise<string> {
    const rig = await open(newDir(), { writers: 2 });
    rig.upkeep.pause();
    for (let n = 0; n < 7; n++) {
      await fill(rig, String.fromCharCode(97 + n), 3);
      await rig.store.settle();
    }
    await rig.store.close();
    return rig.dir;
  }

  it('are flushed before it is over, two at a time', async () => {
    const dir = await crowded();
    let atOnce = 0;
    let most = 0;
    const run = pool();
    const rig = await open(dir, {
      runJob: async (...job) => {
        most = Math.max(most, ++atOnce);
        return await run(...job).finally(() => atOnce--);
      },
    });
    expect(most).toBe(2);
    expect(rig.upkeep.status().flushes).toBeGreaterThanOrEqual(4);
    for (const key of ['ka0', 'kd1', 'kg2']) expect(read(rig, key)).toBe(key.slice(1));
  });

  it('whose flush fails end the start when nobody is at work any more, and nothing is lost', async () => {
    const dir = await crowded();
    const jobs: string[] = [];
    let finish = (): void => {};
    const held = new Promise<void>(resolve => {
      finish = resolve;
    });
    const run = pool();
    const runJob: RunJob = async (...job) => {
      jobs.push(job[1]);
      if (jobs.length === 1) throw new TroupeError('OVERLOADED', 'no thread for it');
      await held;
      return run(...job);
    };
    const store = new TroupeStore({ dir, segmentBytes: MiB, runJob });
    onTestFinished(() => store.close());
    let over = false;
    const ready = outcome(store.ready()).then(how => {
      over = true;
      return how;
    });
    await until(() => jobs.length === 2);
    for (let turn = 0; turn < 20; turn++) await new Promise(resolve => setImmediate(resolve));
    expect(over).toBe(false);
    finish();
    expect([await ready, jobs]).toEqual(['OVERLOADED', ['flushSegment', 'flushSegment']]);
    expect(store.upkeep?.status()).toMatchObject({ flushes: 1, runs: 1 });
    await store.close();
    const rig = await open(dir);
    for (const key of ['ka0', 'kd1', 'ke0', 'kf1', 'kg2']) expect(read(rig, key)).toBe(key.slice(1));
  });

  it('leave the others in slots that say how far they go', async () => {
    const { upkeep } = await open(await crowded(), { runJob: pool() });
    const live = upkeep.seams.disk.slots.filter(({ isLive }) => isLive);
    const lsns = live.map(({ base, newest }) => [base, newest]).sort(([a], [b]) => Number(a) - Number(b));
    expect(lsns.slice(0, 3)).toEqual([1, 4, 7].map(lsn => [lsn, lsn + 2]));
    for (const slot of live) expect(slot.end).toBeGreaterThan(4_096 + 3 * 1_000);
  });

  it('with nothing in them but what was dropped leave no file behind', async () => {
    const first = await open(newDir(), { writers: 2 });
    first.upkeep.pause();
    await fill(first, 'a', 3);
    await first.store.settle();
    await first.store.drop('kv/a');
    await first.store.close();
    const { dir, upkeep } = await open(first.dir);
    await until(() => upkeep.status().state === 'idle');
    expect(readdirSync(join(dir, 'log'))).toEqual([]);
  });
});

describe('a log in which little is written', () => {
  it('hands its segment over when its oldest record is old, once, and goes on in another one', async () => {
    const rig = await open(newDir(), { segmentAgeMs: 300 });
    await fill(rig, 'a', 3);
    await until(() => rig.upkeep.status().flushes === 1);
    expect([read(rig, 'ka0'), rig.upkeep.status().runs]).toEqual(['a0', 1]);
    await fill(rig, 'b', 3);
    await until(() => rig.upkeep.status().flushes === 2);
    await rig.store.close();
    const again = await open(rig.dir);
    expect(again.upkeep.status()).toMatchObject({ waiting: 0, runs: 2 });
    expect([read(again, 'ka2'), read(again, 'kb2')]).toEqual(['a2', 'b2']);
  });
});

describe('a disk without room', () => {
  it('lets flushes and merges wait, shows it, tells it once, and all goes on when there is room', async context => {
    const disk = smallDisk(48 * MiB);
    if (typeof disk === 'string') return context.skip(disk);
    const ballast = join(disk.path, 'ballast');
    const fillDisk = (left: number): void => {
      const { bavail, bsize } = statfsSync(disk.path);
      writeFileSync(ballast, new Uint8Array(bavail * bsize - left));
    };
    const jobs: string[] = [];
    const runJob = pool(name => void jobs.push(name));
    const rig = await open(join(disk.path, 'data'), { runJob, freeLowWater: 4 * MiB });
    await someRuns(rig, 2);
    await fill(rig, 'z', 300);

    fillDisk(MiB);
    const settled = rig.store.settle();
    await until(() => rig.upkeep.status().failures >= 2);
    expect(rig.troubles).toMatchObject([{ what: 'flush', code: 'DISK_FULL' }]);
    expect(rig.upkeep.status()).toMatchObject({ waiting: 1, trouble: { what: 'flush', code: 'DISK_FULL' } });
    expect(['retrying', 'working']).toContain(rig.upkeep.status().state);
    for (const key of ['ka7', 'kb7', 'kz7']) expect(read(rig, key)).toBe(key.slice(1));
    await rm(ballast);
    await settled;
    expect(rig.upkeep.status()).toMatchObject({ waiting: 0, runs: 3, trouble: null, state: 'idle' });

    fillDisk(3 * MiB);
    const flushes = jobs.length;
    expect(await outcome(rig.upkeep.run({ all: true }))).toBe('DISK_FULL');
    expect(jobs.slice(flushes)).toEqual(['mergeRuns']);
    expect(rig.troubles).toMatchObject([{ what: 'flush' }, { what: 'merge', code: 'DISK_FULL' }]);
    const { dir } = rig;
    expect(readdirSync(join(dir, 'runs')).filter(name => name.endsWith('.mdb'))).toHaveLength(3);
    await rm(ballast);
    await rig.upkeep.run({ all: true });
    expect(rig.upkeep.status()).toMatchObject({ runs: 1, trouble: null });
    for (const key of ['ka7', 'kb7', 'kz7']) expect(read(rig, key)).toBe(key.slice(1));
  });
});

describe('a disk that is full to the last byte', () => {
  it('refuses what is written to a shard for the first time, deletes, too, and nothing ends', async () => {
    let free = 2 ** 40;
    const fatal: Error[] = [];
    const rig = await open(newDir(), { free: () => free, onFatal: why => fatal.push(why) });
    await fill(rig, 'a', 1);
    const fresh = rig.store.shard('kv/fresh');
    const write = (op: Parameters<typeof group>[1][number]) => outcome(fresh.commit(group(1, [op]), 'flushed'));
    free = 0;
    const both = [write(put('k', 'v')), write({ type: 'delete', key: bytes('k') })];
    const known = outcome(rig.store.shard('kv/a').commit(group(1, [put('k', 'v')]), 'flushed'));
    expect(await Promise.all([...both, known])).toEqual(['DISK_FULL', 'DISK_FULL', 'DISK_FULL']);
    expect([read(rig, 'ka0'), fresh.get(bytes('k')), fatal]).toEqual(['a0', undefined, []]);
    free = 2 ** 40;
    expect(await write(put('k', 'v'))).toBe('ok');
    expect(text(fresh.get(bytes('k')))).toBe('v');
  });
});

describe('what was merged away', () => {
  it('is read to its end by a scan that goes on, and removed afterwards', async () => {
    const rig = await open(newDir(), { runJob: pool() });
    const before = await someRuns(rig, 3);
    const scan = rig.store.shard('kv/a').scan()[Symbol.iterator]();
    expect(scan.next().done).toBe(false);
    await rig.upkeep.run({ all: true });
    const leaving = (): unknown[] => (rig.store.describe().runs as { leaving: unknown[] }).leaving;
    await until(() => leaving().length === 3);
    // Nothing happens: the time of some looks at it, which nobody can move.
    await sleep(3 * removalLookMs);
    expect(runFiles(rig)).toEqual(expect.arrayContaining(before));
    expect(rig.upkeep.status().unneeded).toBeGreaterThan(0);
    let rest = 0;
    while (!scan.next().done) rest++;
    expect(rest).toBe(299);
    await until(() => rig.upkeep.status().unneeded === 0);
    expect(runFiles(rig)).toHaveLength(1);
    expect(runFiles(rig)).not.toEqual(expect.arrayContaining(before.slice(0, 1)));
  });

  it('is closed and removed also where nobody reads any more', async () => {
    const rig = await open(newDir(), { runJob: pool() });
    await someRuns(rig, 2);
    read(rig, 'ka7');
    await rig.upkeep.run({ all: true });
    await until(() => rig.upkeep.status().unneeded === 0);
    expect(runFiles(rig)).toHaveLength(1);
  });
});

describe('a merge that is under way', () => {
  it('holds still while a segment is flushed, and goes on afterwards instead of beginning anew', async () => {
    let merges = 0;
    const held: boolean[] = [];
    const merge = () => rig.upkeep.status().jobs.find(({ what }) => what === 'merge');
    const runJob = pool(async name => {
      if (name === 'mergeRuns') merges++;
      if (name !== 'flushSegment' || merges === 0) return;
      await until(() => merge()?.pace === 'hold');
      // It has noticed after one stretch of work.
      await new Promise(resolve => setTimeout(resolve, 50));
      const bytes = merge()?.bytesRead;
      await new Promise(resolve => setTimeout(resolve, 200));
      held.push(bytes === merge()?.bytesRead);
    });
    const rig = await open(newDir(), { runJob });
    await someRuns(rig, 3);
    rig.upkeep.setBytesPerSecond(MiB / 2);
    const running = rig.upkeep.run({ all: true });
    await until(() => (merge()?.bytesRead ?? 0) > 0);
    for (let n = 0; n < 3; n++) await fill(rig, `w${n}`, 600);
    await until(() => held.length > 0);
    expect(merge()).toMatchObject({ why: 'asked', bytes: expect.any(Number) });
    rig.upkeep.setBytesPerSecond(Number.POSITIVE_INFINITY);
    await running;
    expect([merges, new Set(held)]).toEqual([1, new Set([true])]);
    expect(read(rig, 'kw2599')).toBe('w2599');
  });

  it.each(['close', 'pause'] as const)('ends quickly at %s, and leaves nothing behind', async how => {
    const rig = await open(newDir(), { runJob: pool() });
    const files = await someRuns(rig, 3);
    rig.upkeep.setBytesPerSecond(MiB / 16);
    void outcome(rig.upkeep.run({ all: true }));
    await until(() => rig.upkeep.status().jobs.some(({ what }) => what === 'merge'));
    const since = performance.now();
    if (how === 'close') await rig.store.close();
    else {
      rig.upkeep.pause();
      await until(() => rig.upkeep.status().jobs.length === 0);
    }
    expect(performance.now() - since).toBeLessThan(3_000);
    expect(runFiles(rig)).toEqual(files);
    expect(rig.troubles).toEqual([]);
    if (how === 'pause') return;
    const again = await open(rig.dir);
    for (const key of ['ka7', 'kb7', 'kc7']) expect(read(again, key)).toBe(key.slice(1));
  });
});
