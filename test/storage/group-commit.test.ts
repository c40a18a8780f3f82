// The line of groups by itself, over a store that does what the test says.

import { describe, expect, it } from 'vitest';
import { TroupeError } from '../../src/errors.ts';
import { batchBytesMax, batchRecordsMax, writeBytesPendingMax } from '../../src/limits.ts';
import type { Ack } from '../../src/storage/engine.ts';
import { GroupCommit, type Verdict } from '../../src/storage/group-commit.ts';
import { type PendingGroup, PendingWrites } from '../../src/storage/pending-writes.ts';
import { bytes, outcome, outcomes } from './conformance.ts';

interface Call {
  readonly batch: readonly PendingGroup<string>[];
  answer(verdicts: Verdict[]): void;
  fail(why: Error): void;
}

/** A store whose every transaction waits for the test. */
function rig({ overlaps = false, soon = queueMicrotask as (fn: () => void) => void } = {}) {
  const pendings = new Map<string, PendingWrites>();
  const calls: Call[] = [];
  const fatal: Error[] = [];
  const commits = new GroupCommit<string>({
    soon,
    overlaps: () => overlaps,
    apply: batch => new Promise((answer, fail) => calls.push({ batch, answer, fail })),
    pendingOf: owner => {
      const pending = pendings.get(owner) ?? new PendingWrites();
      pendings.set(owner, pending);
      return pending;
    },
    onFatal: why => fatal.push(why),
  });
  const submit = (owner: string, keys: string[], size = 10, ack: Ack = 'committed'): Promise<void> => {
    const done = commits.submit({
      owner,
      epoch: 1,
      fence: 'shard',
      ack,
      bytes: size,
      puts: true,
      writes: keys.map(key => ({ name: key, key: bytes(key), record: bytes('v') })),
    });
    // Refused before the test comes to look at it.
    done.catch(() => {});
    return done;
  };
  const next = async (): Promise<Call> => {
    await tick();
    const call = calls.shift();
    if (!call) throw new Error('no transaction was begun');
    return call;
  };
  return { commits, submit, next, calls, fatal, pendings };
}

const tick = () => new Promise(resolve => setImmediate(resolve));
const keysOf = (call: Call) => call.batch.map(({ writes }) => writes.map(({ name }) => name).join('+'));
const all = (call: Call, verdict: Verdict = 'done') => call.answer(call.batch.map(() => verdict));

describe('a batch', () => {
  it('takes what was handed in during the tick, and then what came while it was under way', async () => {
    const { submit, next } = rig();
    const done = [submit('a', ['1']), submit('b', ['2'])];
    const first = await next();
    done.push(submit('a', ['3']));
    expect(keysOf(first)).toEqual(['1', '2']);
    all(first);
    const second = await next();
    expect(keysOf(second)).toEqual(['3']);
    all(second);
    expect(await outcomes(done)).toEqual(['ok', 'ok', 'ok']);
  });

  it('is bounded by writes and by bytes, and a group larger than both goes alone', async () => {
    const { submit, next } = rig();
    const many = (count: number) => Array.from({ length: count }, (_, index) => `k${index}`);
    void submit('a', many(batchRecordsMax - 1));
    void submit('a', ['x']);
    void submit('a', ['y']);
    void submit('a', ['z'], batchBytesMax);
    void submit('a', many(batchRecordsMax + 1), batchBytesMax + 1);
    void submit('a', ['end']);
    const sizes: number[] = [];
    for (let round = 0; round < 5; round++) {
      const call = await next();
      sizes.push(call.batch.length);
      all(call);
    }
    expect(sizes).toEqual([2, 1, 1, 1, 1]);
  });

  it('is bounded as a whole by the bytes that may wait', async () => {
    const { submit, next, commits } = rig();
    const half = writeBytesPendingMax / 2;
    const waiting = [submit('a', ['1'], half), submit('a', ['2'], half)];
    await expect(submit('b', ['3'], 1)).rejects.toMatchObject({
      code: 'OVERLOADED',
      retryable: true,
      outcome: 'failed',
    });
    expect(await outcome(submit('b', ['3'], writeBytesPendingMax + 1))).toBe('TOO_LARGE');
    expect(commits.pending).toEqual({ writes: 2, bytes: writeBytesPendingMax });
    all(await next());
    await waiting[0];
    const more = submit('b', ['4'], half);
    all(await next());
    all(await next());
    expect(await outcomes([...waiting, more])).toEqual(['ok', 'ok', 'ok']);
    expect(commits.pending).toEqual({ writes: 0, bytes: 0 });
  });

  it('counts a group without writes against the bound: they would wait for ever in any number', async () => {
    const { submit, commits } = rig();
    void submit('a', [], 0);
    expect(commits.pending.writes).toBe(1);
  });
});

describe('a batch that is waited for beside this thread', () => {
  /** What is put off until the end of the tick, when the test says that it has come. */
  function overlapping(ack: Ack) {
    const soon: (() => void)[] = [];
    const { submit, calls } = rig({ overlaps: true, soon: fn => soon.push(fn) });
    const write = (...keys: string[]) => keys.map(key => submit(key, [key], 10, ack));
    const endTick = async () => {
      for (const fn of soon.splice(0)) fn();
      await tick();
    };
    return { write, calls, endTick };
  }

  it('is begun with half of those that are usually under way; the others are the next one', async () => {
    const { write, calls, endTick } = overlapping('flushed');
    const done = write('1', '2', '3', '4');
    // Of the first nobody knows that others come.
    all(calls.shift() as Call);
    await tick();
    all(calls.shift() as Call);
    await tick();
    done.push(...write('5'));
    expect(calls).toHaveLength(0);
    done.push(...write('6'));
    expect(calls.map(keysOf)).toEqual([['5', '6']]);
    done.push(...write('7', '8'));
    all(calls.shift() as Call);
    await tick();
    expect(calls.map(keysOf)).toEqual([['7', '8']]);
    all(calls.shift() as Call);
    await endTick();
    expect(calls).toHaveLength(0);
    expect(await outcomes(done)).toEqual(done.map(() => 'ok'));
  });

  it('is begun at the end of the tick with those that have come, when they are fewer', async () => {
    const { write, calls, endTick } = overlapping('flushed');
    write('1', '2', '3', '4');
    all(calls.shift() as Call);
    await tick();
    all(calls.shift() as Call);
    await tick();
    write('5');
    expect(calls).toHaveLength(0);
    await endTick();
    expect(calls.map(keysOf)).toEqual([['5']]);
  });

  it('waits for the end of the tick where nobody waits for a sync, also behind another one', async () => {
    const { write, calls, endTick } = overlapping('committed');
    write('1', '2');
    expect(calls).toHaveLength(0);
    await endTick();
    expect(calls.map(keysOf)).toEqual([['1', '2']]);
    write('3', '4');
    all(calls.shift() as Call);
    await tick();
    expect(calls).toHaveLength(0);
    await endTick();
    expect(calls.map(keysOf)).toEqual([['3', '4']]);
  });
});

describe('a key that is written again while its first write is under way', () => {
  it('stays pending, with the newer write, when the first is committed', async () => {
    const { commits, submit, next, pendings } = rig();
    const first = submit('a', ['k']);
    const call = await next();
    const second = commits.submit({
      owner: 'a',
      epoch: 1,
      fence: 'shard',
      ack: 'committed',
      bytes: 10,
      puts: true,
      writes: [{ name: 'k', key: bytes('k'), record: bytes('newer') }],
    });
    all(call);
    await first;
    expect(pendings.get('a')?.get('k')?.record).toEqual(bytes('newer'));
    all(await next());
    await second;
    expect(pendings.get('a')?.get('k')).toBeUndefined();
  });
});

describe('a group to be tried again', () => {
  it('goes to the head of the line, before what came later, and stays pending', async () => {
    const { submit, next, pendings } = rig();
    const done = [submit('a', ['1']), submit('b', ['2']), submit('a', ['3'])];
    const first = await next();
    done.push(submit('a', ['4']), submit('b', ['5']));
    first.answer(['again', 'done', 'again']);
    const second = await next();
    expect(keysOf(second)).toEqual(['1', '3', '4', '5']);
    expect(pendings.get('a')?.get('1')).toBeDefined();
    all(second);
    expect(await outcomes(done)).toEqual(['ok', 'ok', 'ok', 'ok', 'ok']);
    expect(pendings.get('a')?.size).toBe(0);
  });
});

describe('a watcher', () => {
  it('is told of a write once, however often it is tried', async () => {
    const { submit, next, commits } = rig();
    const told: string[] = [];
    commits.watch((owner, key) => told.push(`${owner} ${new TextDecoder().decode(key)}`));
    const done = submit('a', ['1', '2']);
    all(await next(), 'again');
    all(await next());
    await done;
    expect(told).toEqual(['a 1', 'a 2']);
  });

  it('is told only of what gets into the line', async () => {
    const { submit, commits } = rig();
    const told: string[] = [];
    commits.watch(owner => told.push(owner));
    void submit('full', ['1'], writeBytesPendingMax);
    expect(await outcomes([submit('over', ['2'], 1), submit('large', ['3'], writeBytesPendingMax + 1)])).toEqual([
      'OVERLOADED',
      'TOO_LARGE',
    ]);
    void commits.stop().catch(() => {});
    expect(await outcome(submit('stopped', ['4'], 1))).toBe('STOPPED');
    expect(told).toEqual(['full']);
  });

  it('that begins while another is told hears of the next group first, and one that was stopped of nothing more', () => {
    const { submit, commits } = rig();
    const told: string[] = [];
    const stopFirst = commits.watch((_, key) => {
      told.push(`first ${new TextDecoder().decode(key)}`);
      stopSecond();
      stopFirst();
      commits.watch((_, key) => told.push(`third ${new TextDecoder().decode(key)}`));
    });
    const stopSecond = commits.watch(() => told.push('second'));
    void submit('a', ['1', '2']);
    void submit('a', ['3']);
    expect(told).toEqual(['first 1', 'third 3']);
  });

  it('that writes itself does so behind the write it was told of', async () => {
    const { submit, next, commits } = rig();
    const stop = commits.watch(() => {
      stop();
      void submit('a', ['answer']);
    });
    void submit('a', ['1']);
    expect(keysOf(await next())).toEqual(['1', 'answer']);
  });
});

describe('a refusal', () => {
  const no = new TroupeError('DISK_FULL', 'no room');

  it('takes along the line behind it, in its shard only, and lays the overlay anew', async () => {
    const { submit, next, pendings, commits } = rig();
    const done = [submit('a', ['1', 'x']), submit('a', ['2', 'x']), submit('b', ['3'])];
    const first = await next();
    done.push(submit('a', ['4']), submit('b', ['5']), submit('a', []));
    first.answer(['again', no, 'done']);
    const second = await next();
    // The first group stood before the refused one: it is not touched.
    expect(keysOf(second)).toEqual(['1+x', '5']);
    expect([...(pendings.get('a') as PendingWrites).groups]).toHaveLength(1);
    expect(pendings.get('a')?.get('2')).toBeUndefined();
    expect(pendings.get('a')?.get('x')?.record).toEqual(bytes('v'));
    all(second);
    expect(await outcomes(done)).toEqual(['ok', 'DISK_FULL', 'ok', 'DISK_FULL', 'ok', 'DISK_FULL']);
    expect(commits.counts.diskFull).toBe(3);
  });

  it('of the head of a long line costs one pass, not one for each', async () => {
    const { submit, next, commits } = rig();
    const done = Array.from({ length: 20_000 }, (_, index) => outcome(submit('a', [`k${index}`])));
    (await next()).answer(Array.from({ length: batchRecordsMax }, () => no));
    expect(new Set(await Promise.all(done))).toEqual(new Set(['DISK_FULL']));
    expect(commits.pending).toEqual({ writes: 0, bytes: 0 });
  });
});

describe('a store that fails', () => {
  it('is reported first; then whoever waits is told what is known, and nothing more is accepted', async () => {
    const { submit, next, fatal, commits, calls } = rig();
    const underWay = submit('a', ['1']);
    const call = await next();
    const waiting = submit('a', ['2']);
    const job = commits.job(async () => {});
    call.fail(new Error('I/O'));
    // Whether the commit reached the disk, nobody knows; what still stood in the line did not.
    await expect(underWay).rejects.toMatchObject({ code: 'UNKNOWN_OUTCOME', outcome: 'unknown' });
    await expect(waiting).rejects.toMatchObject({ code: 'STOPPED', outcome: 'failed' });
    expect(await outcomes([job, submit('a', ['3']), commits.job(async () => {}), commits.stop()])).toEqual(
      Array.from({ length: 4 }, () => 'STOPPED'),
    );
    expect(fatal.map(({ message }) => message)).toEqual(['I/O']);
    expect(() => commits.check()).toThrow('I/O');
    await tick();
    expect(calls).toEqual([]);
  });

  it('by writing a group whose predecessor it did not write is stopped', async () => {
    const { submit, next, fatal } = rig();
    const done = [submit('a', ['1']), submit('b', ['2']), submit('a', ['3'])];
    (await next()).answer(['again', 'done', 'done']);
    expect(await outcomes(done)).toEqual(['UNKNOWN_OUTCOME', 'UNKNOWN_OUTCOME', 'UNKNOWN_OUTCOME']);
    expect(fatal).toHaveLength(1);
  });

  it('in a job is stopped too, unless the job was refused for a reason', async () => {
    const { commits, fatal } = rig();
    const full = commits.job(() => Promise.reject(new TroupeError('DISK_FULL', 'no room')));
    expect(await outcome(full)).toBe('DISK_FULL');
    expect(await outcome(commits.job(async () => {}))).toBe('ok');
    await expect(commits.job(() => Promise.reject(new Error('I/O')))).rejects.toThrow('I/O');
    await tick();
    expect([fatal.length, await outcome(commits.job(async () => {}))]).toEqual([1, 'STOPPED']);
  });
});

describe('a job', () => {
  it('runs after what was handed in before it and before what was handed in after', async () => {
    const { submit, next, commits, calls } = rig();
    const order: string[] = [];
    void submit('a', ['1']);
    const job = commits.job(async () => void order.push('job'));
    void submit('a', ['2']);
    const first = await next();
    expect(keysOf(first)).toEqual(['1']);
    await tick();
    expect([order, calls.length]).toEqual([[], 0]);
    first.answer(['done']);
    await job;
    expect(keysOf(await next())).toEqual(['2']);
    expect(order).toEqual(['job']);
  });

  it('waits for groups that are tried again', async () => {
    const { submit, next, commits } = rig();
    void submit('a', ['1']);
    let synced = false;
    const sync = commits.sync('committed').then(() => {
      synced = true;
    });
    all(await next(), 'again');
    const second = await next();
    expect([keysOf(second), synced]).toEqual([['1'], false]);
    all(second);
    await sync;
  });
});
