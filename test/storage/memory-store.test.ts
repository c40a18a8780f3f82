// The memory engine passes the suite of all engines, and loses exactly what it should when it is told to.

import { describe, expect, it } from 'vitest';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { bytes, contents, del, engineConformance, group, outcome, outcomes, put, text, thrown } from './conformance.ts';

engineConformance('memory', async () => {
  const engine = new MemoryStore();
  return { engine, reopen: undefined, end: () => engine.close().catch(() => {}) };
});

/** A store whose later things happen when the test says so. */
function stepped() {
  const later: (() => void)[] = [];
  const store = new MemoryStore({ soon: fn => later.push(fn) });
  /** Lets the next thing happen, and everything that follows from it in this tick. */
  const step = async (): Promise<void> => {
    later.shift()?.();
    await new Promise(resolve => setImmediate(resolve));
  };
  const shard = store.shard('s');
  const write = (key: string, value: string, ack: 'committed' | 'flushed' = 'committed') =>
    shard.commit(group(1, [put(key, value)]), ack);
  return { store, shard, write, step, later };
}

describe('a crash', () => {
  it('keeps what is committed, drops what is pending, and tells those who wait', async () => {
    const { store, shard, write, step } = stepped();
    const first = write('a', '1');
    await step();
    expect(await outcome(first)).toBe('ok');
    const lost = [write('a', '2'), write('b', '2')];
    const synced = store.sync('committed');
    store.crash();
    expect(await outcomes([...lost, synced])).toEqual(['STOPPED', 'STOPPED', 'STOPPED']);
    expect([contents(shard), shard.pending(bytes('a')), shard.count()]).toEqual([['a=1'], false, 1]);
    expect(store.stats()).toMatchObject({ pendingWrites: 0, pendingBytes: 0 });
    await step();
    await step();
    expect(contents(shard)).toEqual(['a=1']);
  });

  it('leaves an engine that goes on', async () => {
    const { store, shard, write, step, later } = stepped();
    void write('a', '1').catch(() => {});
    store.crash();
    const again = write('b', '2');
    while (later.length > 0) await step();
    expect(await outcome(again)).toBe('ok');
    expect(contents(shard)).toEqual(['b=2']);
  });

  it('while the disk hangs does not let the hanging write through afterwards', async () => {
    const { store, shard, write, step, later } = stepped();
    store.hold();
    const lost = write('a', '1');
    await step();
    store.crash();
    expect(await outcome(lost)).toBe('STOPPED');
    while (later.length > 0) await step();
    expect(contents(shard)).toEqual([]);
    const next = write('b', '1');
    while (later.length > 0) await step();
    expect(await outcome(next)).toBe('ok');
  });
});

describe('a loss of power', () => {
  it('drops what is committed and not flushed, deletions and fences included', async () => {
    const { store, shard, write, step, later } = stepped();
    await Promise.all([write('a', '1', 'flushed'), step().then(step)]);
    const done = Promise.all([
      write('a', '2'),
      write('b', '2'),
      shard.commit(group(7, [del('a'), put('c', '7')]), 'committed'),
    ]);
    await step();
    await done;
    expect(contents(shard)).toEqual(['b=2', 'c=7']);
    store.powerLoss();
    expect(contents(shard)).toEqual(['a=1']);
    const low = write('d', '1');
    while (later.length > 0) await step();
    expect(await outcome(low)).toBe('ok');
  });

  it('brings back a dropped shard, and takes back an imported one', async () => {
    const { store, shard, write, step } = stepped();
    await Promise.all([write('a', '1', 'flushed'), step().then(step)]);
    const dropped = store.drop('s');
    await step();
    await dropped;
    expect(store.shards()).toEqual([]);
    store.powerLoss();
    expect([contents(shard), store.shards()]).toEqual([['a=1'], ['s']]);
  });

  it('leaves what was flushed, which is everything a moment later', async () => {
    const { store, shard, write, step, later } = stepped();
    const flushed = write('a', '1', 'flushed');
    let known = false;
    void flushed.then(() => {
      known = true;
    });
    await step();
    expect(known).toBe(false);
    expect(shard.pending(bytes('a'))).toBe(false);
    await step();
    expect(known).toBe(true);
    const committed = write('b', '1');
    while (later.length > 0) await step();
    await committed;
    store.powerLoss();
    expect(contents(shard)).toEqual(['a=1', 'b=1']);
  });

  it('says of each record beforehand what it would leave', async () => {
    const { store, write, shard, step } = stepped();
    const left = () => ['a', 'b'].map(key => text(store.flushed('s', bytes(key))));
    for (const value of ['1', '2']) {
      void write('a', value);
      await step();
      await step();
    }
    void shard.commit(group(1, [put('a', '3'), put('b', '3')]), 'committed');
    await step();
    expect([contents(shard), left()]).toEqual([
      ['a=3', 'b=3'],
      ['2', undefined],
    ]);
    const dropped = store.drop('s');
    while (contents(shard).length > 0) await step();
    await dropped;
    expect([left(), store.flushed('t', bytes('a'))]).toEqual([['3', '3'], undefined]);
    await step();
    expect(left()).toEqual([undefined, undefined]);
  });

  it('refuses those who waited for the flush', async () => {
    const { store, write, step } = stepped();
    const lost = write('a', '1', 'flushed');
    await step();
    store.powerLoss();
    expect(await Promise.race([outcome(lost), step().then(step)])).toBe('STOPPED');
  });
});

describe('the faults', () => {
  it('fill the disk: puts are refused with what stands behind them, deletions and reads go on', async () => {
    const store = new MemoryStore();
    const shard = store.shard('s');
    const commit = (...ops: Parameters<typeof group>[1]) => shard.commit(group(1, ops), 'committed');
    await commit(put('a', '1'), put('b', '1'));
    store.diskFull = true;
    expect(await outcomes([commit(del('a')), commit(put('c', '1')), commit(del('b'))])).toEqual([
      'ok',
      'DISK_FULL',
      'DISK_FULL',
    ]);
    expect(contents(shard)).toEqual(['b=1']);
    expect(await outcome(commit(del('b')))).toBe('ok');
    const chunks = [];
    for await (const chunk of store.export('s')) chunks.push(chunk);
    expect(await outcome(store.import('t', chunks))).toBe('ok');
    store.diskFull = false;
    expect(await outcome(commit(put('c', '1')))).toBe('ok');
    expect(store.stats().diskFull).toBe(2);
  });

  it('hold commits until they are released; reads see them pending meanwhile', async () => {
    const store = new MemoryStore();
    const shard = store.shard('s');
    store.hold();
    let done = false;
    const held = shard.commit(group(1, [put('a', '1')]), 'committed').then(() => {
      done = true;
    });
    await new Promise(resolve => setImmediate(resolve));
    expect([done, shard.pending(bytes('a')), text(shard.get(bytes('a')))]).toEqual([false, true, '1']);
    store.release();
    await held;
    expect([done, shard.pending(bytes('a'))]).toEqual([true, false]);
  });

  it('flip any bit of a record: it is CORRUPT wherever it is met, and counted, until it is written anew', async () => {
    const store = new MemoryStore();
    const shard = store.shard('s');
    const commit = (...ops: Parameters<typeof group>[1]) => shard.commit(group(1, ops), 'committed');
    await commit(put('a', '1'), put('b', 'value'), put('c', '1'));
    let bits = 0;
    for (; store.flipBit('s', bytes('b'), bits); bits++) {
      expect(thrown(() => shard.get(bytes('b')))).toBe('CORRUPT');
      store.flipBit('s', bytes('b'), bits);
      expect(text(shard.get(bytes('b')))).toBe('value');
    }
    expect(bits).toBe((14 + 5) * 8);
    store.flipBit('s', bytes('b'), 100);
    const seen: string[] = [];
    expect(
      thrown(() => {
        for (const record of shard.scan()) seen.push(text(record) as string);
      }),
    ).toBe('CORRUPT');
    expect(seen).toEqual(['1']);
    await expect(async () => {
      for await (const _ of store.export('s'));
    }).rejects.toMatchObject({ code: 'CORRUPT', details: { shard: 's', key: 'b' } });
    expect(store.stats().corrupt).toBe(bits + 2);
    await commit(put('b', 'again'));
    expect(text(shard.get(bytes('b')))).toBe('again');
    expect([store.flipBit('s', bytes('none'), 0), store.flipBit('none', bytes('b'), 0)]).toEqual([false, false]);
  });
});
