// CPU work beside the actors: whatever a job does, it ends with an outcome, and nobody else notices.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call, type Node, startNode } from '../../src/index.ts';
import { jobsQueuedMax } from '../../src/limits.ts';
import { code, ending } from './folders.ts';
import { TroubleT } from './trouble-actors.ts';

const module = new URL('./job-module.ts', import.meta.url);
let node: Node;
beforeAll(async () => {
  node = await startNode({ threads: 2, actors: [TroubleT] });
});
afterAll(() => node.stop());

describe('a job', () => {
  it('runs a function of a module and resolves with what it returns, or what its promise does', async () => {
    expect(await node.job(module, 'double', 21)).toBe(42);
    expect(await node.job<number>(String(module), 'slowly', 1)).toBe(2);
    const bytes = new ArrayBuffer(1 << 20);
    expect(await node.job(module, 'sizeOf', bytes, { transfer: [bytes] })).toBe(1 << 20);
    expect(bytes.byteLength).toBe(0);
  });

  it('that throws rejects with name, message and code of what it threw', async () => {
    expect(await ending(node.job(module, 'fail', 'no'))).toMatchObject({
      code: 'REMOTE',
      outcome: 'failed',
      message: 'no',
      details: { name: 'RangeError', code: 'E_JOB' },
    });
  });

  it.each<[string, () => Promise<unknown>, string]>([
    ['that is none', () => node.job(module, 'nobody', 1), 'NO_METHOD'],
    ['that is no function', () => node.job(module, 'notCallable', 1), 'NO_METHOD'],
    ['that every object has', () => node.job(module, 'constructor', 1), 'NO_METHOD'],
    ['of a module that is not there', () => node.job('file:///nowhere.js', 'double', 1), 'BAD_OPTION'],
    ['of a path that leads nowhere by itself', () => node.job('./job-module.ts', 'double', 1), 'BAD_OPTION'],
    ['given what cannot be sent', () => node.job(module, 'double', () => 1), 'BAD_MESSAGE'],
    ['that returns what cannot be sent', () => node.job(module, 'unsendable', 1), 'BAD_MESSAGE'],
    ['that ends its thread', () => node.job(module, 'exit', 1), 'UNKNOWN_OUTCOME'],
  ])('%s says so, and the next one runs', async (_, start, outcome) => {
    const [bad, next] = [code(start()), node.job(module, 'double', 2)];
    expect([await bad, await next]).toEqual([outcome, 4]);
  });

  it('that is aborted ends at once, however busy, and those behind it run; one that waits is never begun', async () => {
    const [running, waiting, before] = [new AbortController(), new AbortController(), new AbortController()];
    before.abort();
    const spins = ending<unknown>(node.job(module, 'spin', 60_000, { signal: running.signal }));
    const waits = ending<unknown>(node.job(module, 'double', 1, { signal: waiting.signal }));
    const behind = node.job(module, 'double', 2);
    waiting.abort(new Error('changed my mind'));
    expect(await waits).toMatchObject({
      code: 'DEADLINE',
      outcome: 'failed',
      details: { aborted: true },
      cause: { message: 'changed my mind' },
    });
    running.abort();
    expect(await spins).toMatchObject({ code: 'UNKNOWN_OUTCOME', outcome: 'unknown', details: { aborted: true } });
    expect(await behind).toBe(4);
    expect(await code(node.job(module, 'double', 1, { signal: before.signal }))).toBe('DEADLINE');
  });

  it('waits in a line that has an end: one more is OVERLOADED', async () => {
    const stop = new AbortController();
    const first = code(node.job(module, 'spin', 60_000, { signal: stop.signal }));
    const line = Array.from({ length: jobsQueuedMax }, (_, n) => node.job(module, 'double', n));
    expect(await ending<unknown>(node.job(module, 'double', 1))).toMatchObject({ code: 'OVERLOADED', retryable: true });
    stop.abort();
    expect(await first).toBe('UNKNOWN_OUTCOME');
    expect(await Promise.all(line)).toEqual(line.map((_, n) => n * 2));
  });

  it('that burns a core leaves every host thread its own', async () => {
    const actors = Array.from({ length: 8 }, (_, n) => node.ref(TroubleT, `beside-${n}`));
    let over = false;
    const job = node.job(module, 'spin', 1_000).then(() => {
      over = true;
    });
    let served = 0;
    while (!over) {
      await Promise.all(actors.map(actor => call(actor, { deadlineMs: 5_000 }).work()));
      served += actors.length;
    }
    await job;
    expect(served).toBeGreaterThan(100);
  });

  it('ends with its node: one that runs UNKNOWN_OUTCOME, one that waits STOPPED, one that comes later as well', async () => {
    const own = await startNode({ threads: 0 });
    const runs = code(own.job(module, 'spin', 60_000));
    const waits = code(own.job(module, 'double', 1));
    await own.stop();
    expect([await runs, await waits, await code(own.job(module, 'double', 1))]).toEqual([
      'UNKNOWN_OUTCOME',
      'STOPPED',
      'STOPPED',
    ]);
  });
});
