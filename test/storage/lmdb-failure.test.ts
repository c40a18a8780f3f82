// A commit that fails, or does not come back.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { commitLookMs, commitStallMs } from '../../src/limits.ts';
import { become, type LmdbShard } from '../../src/storage/lmdb-commit-store.ts';
import { type Lmdb, openLmdb } from '../../src/storage/lmdb-env-store.ts';
import { LmdbStore } from '../../src/storage/lmdb-store.ts';
import { bytes, group, outcomes, put } from './conformance.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'troupe-faults-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe('a commit', () => {
  /** LMDB with writes that go wrong from the moment we say so. */
  function rig(how: 'rejects' | 'hangs') {
    let broken = false;
    const calls: string[] = [];
    const timers: (() => void)[] = [];
    const fatal: Error[] = [];
    let db: Lmdb | undefined;
    const store = new LmdbStore({
      dir: join(dir, 'db'),
      onFatal: why => fatal.push(why),
      timer: (delay, fn) => {
        expect(delay).toBe(commitLookMs);
        timers.push(fn);
        return () => void (timers.includes(fn) && timers.splice(timers.indexOf(fn), 1));
      },
      open: place => {
        const real = openLmdb(place);
        db = real;
        return new Proxy(real, {
          get(target, name) {
            const member = Reflect.get(target, name, target);
            if (typeof member !== 'function') return member;
            return (...args: unknown[]) => {
              if (!broken) return member.apply(target, args);
              calls.push(String(name));
              if (how === 'hangs') return new Promise(() => {});
              const details = Promise.reject(new Error('I/O'));
              return Promise.reject(Object.assign(new Error('Commit failed'), { commitError: details }));
            };
          },
        });
      },
    });
    return {
      store,
      fatal,
      timers,
      calls,
      sabotage: () => {
        broken = true;
      },
      end: () => db?.close(),
    };
  }

  it.each(['rejects', 'hangs'] as const)('that %s is fatal: everyone is told, and LMDB is left alone', async how => {
    const { store, fatal, timers, calls, sabotage, end } = rig(how);
    const shard = store.shard('s');
    await shard.commit(group(1, [put('k', '1')]), 'committed');
    const scan = shard.scan()[Symbol.iterator]();
    expect(timers).toEqual([]);
    sabotage();
    const underWay = shard.commit(group(1, [put('k', '2')]), 'committed');
    underWay.catch(() => {});
    await new Promise(resolve => setImmediate(resolve));
    await new Promise(resolve => setImmediate(resolve));
    const waiting = outcomes([
      shard.commit(group(1, [put('l', '2')]), 'flushed'),
      store.sync('committed'),
      store.drop('s'),
    ]);
    if (how === 'hangs') {
      // A process that was stopped for an hour hears of one of these steps first, and of its commit before the next.
      for (let waitedMs = commitLookMs; waitedMs <= commitStallMs; waitedMs += commitLookMs) {
        expect(fatal).toEqual([]);
        expect(timers).toHaveLength(1);
        (timers.shift() as () => void)();
        await new Promise(resolve => setImmediate(resolve));
      }
    }
    await expect(underWay).rejects.toMatchObject({ code: 'UNKNOWN_OUTCOME', outcome: 'unknown', retryable: false });
    expect(await waiting).toEqual(['STOPPED', 'STOPPED', 'STOPPED']);
    expect(fatal.map(({ message }) => message)).toEqual([how === 'hangs' ? 'no commit in 30000 ms' : 'Commit failed']);
    calls.length = 0;
    const reads = [() => shard.get(bytes('k')), () => shard.count(), () => store.shards(), () => scan.next()];
    for (const read of reads) expect(read).toThrow(expect.objectContaining({ code: 'STOPPED' }));
    expect(await outcomes([shard.commit(group(1, []), 'committed'), store.close(), store.close()])).toEqual([
      'STOPPED',
      'ok',
      'ok',
    ]);
    expect(calls).toEqual([]);
    await end();
  });
});

describe('an lmdb that does not know the condition fences rest on', () => {
  it('is found out before the first group is written, and is fatal', async () => {
    const fatal: Error[] = [];
    const store = new LmdbStore({
      dir: join(dir, 'db'),
      onFatal: why => fatal.push(why),
      open: place => {
        const db = openLmdb(place);
        const real = db.ifVersion.bind(db);
        // As if it did not look at the options: only an equal version passes.
        db.ifVersion = (key, version, then) => real(key, version, then);
        return db;
      },
    });
    const first = store.shard('s').commit(group(1, [put('k', '1')]), 'committed');
    await expect(first).rejects.toMatchObject({ code: 'UNKNOWN_OUTCOME' });
    expect(fatal.map(({ message }) => message)).toEqual([expect.stringContaining('use lmdb 3.5.6')]);
  });
});

describe('a read that finds the shard elsewhere while a transaction is under way', () => {
  it('keeps the fence of the old place from being believed in the new one', async () => {
    let meanwhile: (() => void) | undefined;
    const store = new LmdbStore({
      dir: join(dir, 'db'),
      open: place => {
        const db = openLmdb(place);
        const real = db.ifVersion.bind(db);
        db.ifVersion = (...args) => {
          if (meanwhile) queueMicrotask(meanwhile);
          meanwhile = undefined;
          return real(...args);
        };
        return db;
      },
    });
    const shard = store.shard('s') as LmdbShard;
    await shard.commit(group(1, []), 'committed');
    const { number } = shard.at;
    meanwhile = () => become(shard.at, number + 7);
    await shard.commit(group(5, []), 'committed');
    expect([shard.at.number, shard.at.fence]).toEqual([number + 7, -1]);
    become(shard.at, 0);
    await expect(shard.commit(group(4, []), 'committed')).rejects.toMatchObject({ code: 'FENCED' });
    await store.close();
  });
});
