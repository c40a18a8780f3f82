// A disk that does not answer: a sync, or a write, that never comes back.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { stallLookMs, writesPendingMax } from '../../src/limits.ts';
import { DiskStall } from '../../src/storage/disk-stall.ts';
import { type LogFiles, realFiles } from '../../src/storage/log/log-files-store.ts';
import { WatchedFiles } from '../../src/storage/log/watched-files-store.ts';
import { SharedWords, sharedWordsBytes } from '../../src/storage/shared-words.ts';
import { StallWatch } from '../../src/storage/stall-watch-store.ts';
import { TroupeStore, type TroupeStoreOptions } from '../../src/storage/troupe-store.ts';
import type { Trouble } from '../../src/storage/upkeep.ts';
import { code, newDir, until } from '../bad-days/folders.ts';
import { bytes, group, put, text } from './conformance.ts';

/** A disk whose syncs wait until release(). */
function stallingFiles(): { readonly files: LogFiles; stall(): void; release(): void } {
  let held: (() => void)[] | undefined;
  const fdatasync = async (fd: number): Promise<void> => {
    if (held) await new Promise<void>(resolve => held?.push(resolve));
    return realFiles.fdatasync(fd);
  };
  const stall = (): void => {
    held = [];
  };
  const release = (): void => {
    const waiting = held ?? [];
    held = undefined;
    for (const go of waiting) go();
  };
  return { files: { ...realFiles, fdatasync }, stall, release };
}

async function open(more: Partial<TroupeStoreOptions>): Promise<{ store: TroupeStore; troubles: Trouble[] }> {
  const store = new TroupeStore({ dir: newDir(), segmentBytes: 1 << 20, ...more });
  const troubles: Trouble[] = [];
  store.upkeep?.onTrouble(trouble => troubles.push(trouble));
  onTestFinished(() => store.close());
  await store.ready();
  return { store, troubles };
}

const stalledMs = (store: TroupeStore): number => (store.describe().log as { stalledMs: number }).stalledMs;
const never = Number.POSITIVE_INFINITY;

describe('how long a disk stands still', () => {
  it('is the time in which something is under way and nothing gets done', () => {
    const stall = new DiskStall();
    const looks: readonly (readonly [boolean, number, number])[] = [
      [false, 7, 0],
      [true, 7, 250],
      [true, 7, 500],
      [true, 8, 0],
      [true, 8, 250],
      [false, 8, 0],
      [true, 8, 250],
    ];
    const seen = looks.map(([underWay, progress], at) => stall.look(underWay, progress, at * 250));
    expect(seen).toEqual(looks.map(([, , ms]) => ms));
  });

  it('does not count the time in which nobody looked: a process that was stopped, a thread that computes', () => {
    const stall = new DiskStall();
    stall.look(true, 1, 0);
    expect(stall.look(true, 1, 60_000)).toBe(2 * stallLookMs);
    expect(stall.look(true, 1, 60_000 + stallLookMs)).toBe(3 * stallLookMs);
  });
});

describe('the watch', () => {
  /** Two threads, the first of which tells. */
  function rig() {
    const words = new SharedWords(new SharedArrayBuffer(sharedWordsBytes()));
    const told: [number, boolean][] = [];
    const failed: string[] = [];
    const watches = [0, 1].map(thread => {
      const files = { begun: 0, ended: 0 };
      const tell = thread === 0 ? (other: number, ms: number) => void told.push([other, ms > 0]) : undefined;
      const fail = (why: Error): void => void failed.push(`${thread}: ${why.message}`);
      return {
        files,
        watch: new StallWatch({ words, thread, files, limits: { tellMs: 1_000, failMs: 3_000 }, tell, fail }),
      };
    });
    let now = 0;
    const pass = (ms: number): void => {
      for (const until = now + ms; now < until; now += stallLookMs) for (const { watch } of watches) watch.look(now);
    };
    return { words, told, failed, pass, files: watches.map(({ files }) => files) };
  }

  it('tells once of a thread that is kept by a call, again when it goes on, and ends the process when it never does', () => {
    const { words, told, failed, pass } = rig();
    words.turnPulse(1);
    pass(2_500);
    expect([told, failed]).toEqual([[[1, true]], []]);
    words.turnPulse(1);
    pass(500);
    expect([told, failed]).toEqual([
      [
        [1, true],
        [1, false],
      ],
      [],
    ]);
    words.turnPulse(0);
    pass(3_500);
    expect(failed[0]).toMatch(/^1: the disk has not answered the log of thread 0 for 3\d\d\d ms$/);
  });

  it('hears from a thread itself of what it waits for without being kept', () => {
    const { words, told, failed, pass, files } = rig();
    (files[1] as { begun: number }).begun = 1;
    pass(2_000);
    expect([told, failed, words.stalledMs(1) > 1_000]).toEqual([[[1, true]], [], true]);
    pass(2_000);
    expect(failed[0]).toMatch(/^1: .* thread 1 /);
  });

  it('takes a thread that died in such a call for no stall', () => {
    const { words, told, failed, pass } = rig();
    words.turnPulse(1);
    words.calmPulse(1);
    pass(6_000);
    expect([told, failed]).toEqual([[], []]);
  });
});

describe('files that are watched', () => {
  it('owe nothing for a call that has failed, blocking or not', async () => {
    let pulses = 0;
    const turn = (): void => void pulses++;
    const synced: number[] = [];
    let now = 7;
    const pulse = { enter: turn, leave: turn, now: () => now++, synced: (ms: number) => void synced.push(ms) };
    const files = new WatchedFiles(realFiles, pulse);
    expect(() => files.pwrite(987_654, bytes('x'), 0)).toThrow('EBADF');
    expect(await code(files.fdatasync(987_654))).toBe('EBADF');
    expect([pulses, files.begun, files.ended, synced]).toEqual([2, 1, 1, [1]]);
  });
});

describe('a sync that does not come back', () => {
  it('holds writers up within bounds, is told once, seen in describe(), and forgotten when it has come back', async () => {
    const disk = stallingFiles();
    const { store, troubles } = await open({ files: disk.files, stall: { tellMs: 300, failMs: never } });
    const shard = store.shard('kv/a');
    await shard.commit(group(1, [put('a', 'before')]), 'flushed');
    disk.stall();
    const flushed = code(shard.commit(group(1, [put('b', 'b')]), 'flushed'));
    await until(() => troubles.length > 0);
    const more: Promise<string>[] = [];
    for (let n = 0; n < writesPendingMax + 100; n++)
      more.push(code(shard.commit(group(1, [put(`k${n}`, 'x')]), 'committed')));
    const refused = await Promise.race([Promise.all(more.slice(-100)), flushed]);
    expect(new Set(refused)).toEqual(new Set(['OVERLOADED']));
    const { pendingWrites } = store.stats();
    expect(pendingWrites).toBe(writesPendingMax);
    expect(text(shard.get(bytes('a')))).toBe('before');
    expect(troubles.map(({ what, code: why }) => `${what} ${why}`)).toEqual(['log/t0 OVERLOADED']);
    expect(stalledMs(store)).toBeGreaterThanOrEqual(300);
    expect(store.upkeep?.status().trouble).toMatchObject({ what: 'log/t0', times: 1 });
    disk.release();
    expect(await flushed).toBe('ok');
    expect(new Set(await Promise.all(more.slice(0, 1_000)))).toEqual(new Set(['ok']));
    await until(() => store.upkeep?.status().trouble === null);
    await until(() => store.stats().pendingWrites === 0);
  });

  it('ends the store after the deadline, as any other failure of the log does, and nobody waits for ever', async () => {
    const disk = stallingFiles();
    const fatal: string[] = [];
    const onFatal = (why: Error): void => void fatal.push(why.message);
    const { store } = await open({ files: disk.files, stall: { tellMs: 100, failMs: 500 }, onFatal });
    const shard = store.shard('kv/a');
    await shard.commit(group(1, [put('a', 'a')]), 'flushed');
    disk.stall();
    const first = code(shard.commit(group(1, [put('b', 'b')]), 'flushed'));
    await until(() => stalledMs(store) > 0);
    const second = code(shard.commit(group(1, [put('c', 'c')]), 'committed'));
    expect(await first).toBe('UNKNOWN_OUTCOME');
    expect(await second).toBe('STOPPED');
    expect(fatal).toEqual([expect.stringMatching(/^the disk has not answered the log of thread 0 for \d+ ms$/)]);
    expect(await code(shard.commit(group(1, [put('d', 'd')]), 'committed'))).toBe('STOPPED');
    disk.release();
  });
});

describe('a write that does not come back', () => {
  it('keeps its thread, so another one tells of it and ends the process; what was acknowledged is there afterwards', async () => {
    const dir = newDir();
    const child = join(import.meta.dirname, 'stall-child.ts');
    const ended = await new Promise<{ signal: unknown; out: string; err: string }>(resolve =>
      execFile(process.execPath, [child, dir], { timeout: 20_000 }, (why, out, err) =>
        resolve({ signal: why?.signal, out, err }),
      ),
    );
    expect(ended).toMatchObject({ signal: 'SIGKILL', out: 'committed\nlog/t1 OVERLOADED\n' });
    expect(ended.err).toMatch(/the disk has not answered the log of thread 1 for \d+ ms/);
    const { store } = await open({ dir });
    expect(text(store.shard('kv/b').get(bytes('before')))).toBe('b');
    expect(store.shard('kv/b').get(bytes('never'))).toBeUndefined();
  });
});
