// Several threads of a process on one LMDB environment, and what is left behind by those that are gone.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { crc32 } from '../../src/storage/crc32.ts';
import { LmdbDisk } from '../../src/storage/lmdb-disk-store.ts';
import { openLmdb, processToken } from '../../src/storage/lmdb-env-store.ts';
import { LmdbShards, recordKey } from '../../src/storage/lmdb-shards-store.ts';
import { LmdbStore } from '../../src/storage/lmdb-store.ts';
import { startChild } from './child.ts';
import { bytes, chunksOf, contents, group, outcome, put, text } from './conformance.ts';

let dir: string;
const threads: Thread[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'troupe-threads-'));
});
afterEach(async () => {
  for (const thread of threads.splice(0)) await thread.worker.terminate();
  rmSync(dir, { recursive: true, force: true });
});

interface Thread {
  readonly worker: Worker;
  ask(what: object): Promise<unknown>;
  said(): Promise<unknown>;
}

function start(): Thread {
  const worker = new Worker(new URL('./engine-worker.ts', import.meta.url), { workerData: { dir } });
  let fail = (_: Error): void => {};
  worker.on('error', why => fail(why));
  const said = () =>
    new Promise<unknown>((done, failed) => {
      fail = failed;
      worker.once('message', done);
    });
  const thread = {
    worker,
    said,
    ask: (what: object) => {
      const answer = said();
      worker.postMessage(what);
      return answer;
    },
  };
  threads.push(thread);
  return thread;
}

describe('two threads', () => {
  it('see what the other one has committed, shards included', async () => {
    const [one, two] = [start(), start()];
    expect(await two.ask({ do: 'get', shard: 's', key: 'k' })).toBeUndefined();
    for (let round = 0; round < 10; round++) {
      const [writer, reader] = round % 2 ? [one, two] : [two, one];
      const puts = [['k', `${round}`]];
      expect(await writer.ask({ do: 'commit', shard: `s${round % 3}`, epoch: 1, fence: 'shard', puts })).toBe('ok');
      expect(await reader.ask({ do: 'get', shard: `s${round % 3}`, key: 'k' })).toBe(`${round}`);
    }
    expect([await one.ask({ do: 'names' }), await two.ask({ do: 'names' })]).toEqual([
      ['s0', 's1', 's2'],
      ['s0', 's1', 's2'],
    ]);
    expect([await one.ask({ do: 'close' }), await two.ask({ do: 'close' })]).toEqual(['closed', 'closed']);
  });

  it('are held by the same fences, of shards and of records', async () => {
    const [one, two] = [start(), start()];
    const write = (thread: Thread, epoch: number, fence: string, key: string) =>
      thread.ask({ do: 'commit', shard: 's', epoch, fence, puts: [[key, `${epoch}`]] });
    expect(await write(one, 5, 'shard', 'k')).toBe('ok');
    expect(await write(two, 4, 'shard', 'k')).toBe('FENCED');
    expect(await write(two, 6, 'shard', 'k')).toBe('ok');
    // The first one still believes in 5.
    expect(await write(one, 5, 'shard', 'k')).toBe('FENCED');
    expect(await write(one, 6, 'shard', 'l')).toBe('ok');
    expect(await write(one, 7, 'record', 'r')).toBe('ok');
    expect(await write(two, 6, 'record', 'r')).toBe('FENCED');
    expect(await write(two, 1, 'record', 'q')).toBe('ok');
  });

  it('give a new shard one place when both write to it first', async () => {
    const pair = [start(), start()];
    const write = (at: number, shard: string) =>
      (pair[at] as Thread).ask({ do: 'commit', shard, epoch: 1, fence: 'record', puts: [[`k${at}`, `${at}`]] });
    for (let round = 0; round < 8; round++) {
      expect(await Promise.all([write(0, `s${round}`), write(1, `s${round}`)])).toEqual(['ok', 'ok']);
      for (const thread of pair) expect(await thread.ask({ do: 'count', shard: `s${round}` })).toBe(2);
    }
  });

  it('find a shard again that the other one has dropped, or replaced', async () => {
    const [one, two] = [start(), start()];
    const write = (thread: Thread, epoch: number, key: string) =>
      thread.ask({ do: 'commit', shard: 's', epoch, fence: 'shard', puts: [[key, 'x']] });
    for (let round = 0; round < 4; round++) {
      const [dropper, other] = round % 2 ? [one, two] : [two, one];
      expect(await write(one, 9, 'old')).toBe('ok');
      // A thread sees what another has done from the next turn of its event loop on.
      await expect.poll(() => other.ask({ do: 'count', shard: 's' })).toBe(round === 0 ? 1 : 2);
      expect(await dropper.ask({ do: 'drop', shard: 's' })).toBe('ok');
      await expect
        .poll(async () => [
          await one.ask({ do: 'get', shard: 's', key: 'old' }),
          await two.ask({ do: 'count', shard: 's' }),
        ])
        .toEqual([undefined, 0]);
      // Whoever still had the old place writes to the new one, under a fence that is new too.
      expect(await write(other, 1, 'new')).toBe('ok');
      await expect
        .poll(async () => [await one.ask({ do: 'count', shard: 's' }), await two.ask({ do: 'count', shard: 's' })])
        .toEqual([1, 1]);
      expect(await write(other, 9, 'new')).toBe('ok');
    }
  });
});

describe('a thread that is terminated under load', () => {
  it('leaves whole groups only, and does not hold up the others', async () => {
    let survived = 0;
    for (let round = 0; round < 3; round++) {
      const child = startChild('flood', dir, `s${round}`);
      const end = await child.end;
      // One time in some thousands lmdb-js, caught in a call of its own, ends the process with it (README). Then that was it.
      if (end !== 'SIGABRT') {
        expect([end, child.said, child.errors()]).toEqual([0, ['terminated'], '']);
        survived++;
      }
      const store = new LmdbStore({ dir });
      const keys = new Set([...store.shard(`s${round}`).scan()].map(({ key }) => new TextDecoder().decode(key)));
      expect(keys.size).toBeGreaterThan(600);
      expect([...keys].filter(key => !keys.has(`${key.startsWith('a') ? 'b' : 'a'}${key.slice(1)}`))).toEqual([]);
      expect(store.shard('mine').count()).toBe(survived);
      await store.close();
    }
    expect(survived).toBeGreaterThan(1);
  });
});

describe('what nobody asks for any more', () => {
  const puts = (count: number) => Array.from({ length: count }, (_, index) => put(`k${index}`, 'x'.repeat(100)));
  /** Every key of the environment, except those that stay: names, fences, the counter, the probe, the token. */
  const leftovers = async (): Promise<string[]> => {
    const db = openLmdb(dir);
    const keys = [...db.getKeys({})].map(key => Buffer.from(key));
    await db.close();
    return keys
      .filter(key => key.readUInt32BE(0) !== 0 || 'xi'.includes(String.fromCharCode(key[4] as number)))
      .map(String);
  };

  it('is removed after a drop, and after a restart if there was no time before', async () => {
    const store = new LmdbStore({ dir });
    await store.shard('s').commit(group(1, puts(1_000)), 'committed');
    await store.shard('t').commit(group(1, puts(1_000)), 'committed');
    await store.drop('s');
    await store.drop('t');
    await store.close();
    expect((await leftovers()).length).toBeGreaterThan(0);
    const again = new LmdbStore({ dir });
    for (let turn = 0; turn < 12; turn++) await again.sync('committed');
    await again.close();
    expect(await leftovers()).toEqual([]);
  });

  it('is removed when an import failed, and the imported shard stays out of sight', async () => {
    const store = new LmdbStore({ dir });
    await store.shard('s').commit(group(1, puts(1_000)), 'committed');
    const chunks = await chunksOf(store, 's');
    expect(await outcome(store.import('t', chunks.slice(0, -1)))).toBe('CORRUPT');
    await store.drop('s');
    for (let turn = 0; turn < 16; turn++) await store.sync('committed');
    expect(store.shards()).toEqual([]);
    await store.close();
    expect(await leftovers()).toEqual([]);
  });

  it('includes the import of a process that was killed, but not that of a living one', async () => {
    const child = startChild('import', dir);
    while (!child.said.includes('half')) await child.more();
    child.process.kill('SIGKILL');
    await child.end;
    expect((await leftovers()).length).toBeGreaterThan(400);
    const db = openLmdb(dir);
    const shards = new LmdbShards(new LmdbDisk(db, { free: () => 0, lowWater: 0, timer: () => () => {} }), crc32);
    const mine = await shards.beginImport(processToken());
    await db.put(recordKey(mine, bytes('k')), bytes('v'), 1);
    expect(shards.garbage(processToken())).toHaveLength(1);
    await db.close();
    const store = new LmdbStore({ dir });
    expect(store.shards()).toEqual(['s/0', 's/1', 's/2', 's/3']);
    for (let turn = 0; turn < 8; turn++) await store.sync('committed');
    for (const name of store.shards()) await store.drop(name);
    for (let turn = 0; turn < 24; turn++) await store.sync('committed');
    await store.close();
    // One mark and one record: those of the import that goes on.
    expect(await leftovers()).toHaveLength(2);
  });

  it('never includes a shard that a name points to, whatever a damaged mark says', async () => {
    const store = new LmdbStore({ dir });
    await store.shard('s').commit(group(1, puts(10)), 'committed');
    await store.close();
    const db = openLmdb(dir);
    const shards = new LmdbShards(new LmdbDisk(db, { free: () => 0, lowWater: 0, timer: () => () => {} }), crc32);
    await shards.abandonImport(shards.locate('s'));
    expect(shards.garbage('')).toEqual([]);
    await db.close();
    const again = new LmdbStore({ dir });
    for (let turn = 0; turn < 4; turn++) await again.sync('committed');
    expect([again.shard('s').count(), contents(again.shard('s')).length]).toEqual([10, 10]);
    expect(text(again.shard('s').get(bytes('k3')))).toBe('x'.repeat(100));
    await again.close();
  });
});
