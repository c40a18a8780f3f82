// The end of a node: it comes, whatever a handler does; what it lets end it has stored; and nobody is left waiting.

import { describe, expect, it } from 'vitest';
import { call, startNode, tell } from '../../src/index.ts';
import { code, ending, newDir, startedNode, until } from './folders.ts';
import { HelperT, WorkerT } from './stop-actors.ts';

const actors = [WorkerT, HelperT];

describe.each([0, 2])('a node with %i host threads that stops', threads => {
  it('lets a turn end that needs others for it, stores what it did, and tells its asker', async () => {
    const dataDir = newDir();
    const node = await startedNode({ dataDir, threads, actors });
    const all = ['a', 'b', 'c', 'd'].map(key => node.ref(WorkerT, key));
    await Promise.all(all.map(worker => worker.note('begun')));
    const work = all.map(worker => worker.finish(8));
    await node.stop({ drainMs: 10_000 });
    expect(await Promise.all(work)).toEqual([28, 28, 28, 28]);
    const later = await startedNode({ dataDir, threads: 0, actors });
    for (const key of ['a', 'b', 'c', 'd'])
      expect(await later.ref(WorkerT, key).done()).toEqual(['begun', 'finished', 'shutdown']);
  });

  it('does not wait for a handler that never ends: it and those behind it are told, the others end in good order', async () => {
    const dataDir = newDir();
    const node = await startedNode({ dataDir, threads, actors });
    const stuck = node.ref(WorkerT, 'stuck');
    const good = ['a', 'b', 'c', 'd'].map(key => node.ref(WorkerT, key));
    await stuck.note('before');
    await Promise.all(good.map(worker => worker.note('before')));
    const endless = { deadlineMs: Number.POSITIVE_INFINITY };
    const never = ending<unknown>(call(stuck, endless).never());
    const behind = ending<unknown>(call(stuck, endless).note('behind'));
    await node.stop({ drainMs: 50 });
    expect(await never).toMatchObject({ code: 'UNKNOWN_OUTCOME', outcome: 'unknown' });
    expect(await behind).toMatchObject({ code: 'STOPPED', outcome: 'failed' });
    const later = await startedNode({ dataDir, threads: 0, actors });
    expect(await later.ref(WorkerT, 'stuck').done()).toEqual(['before']);
    for (const key of ['a', 'b', 'c', 'd'])
      expect(await later.ref(WorkerT, key).done()).toEqual(['before', 'shutdown']);
  });

  it('refuses what comes from outside from the moment it is told to, and everything afterwards', async () => {
    const node = await startedNode({ threads, actors });
    const [worker, store] = [node.ref(WorkerT, 'a'), await node.store('s')];
    await worker.note('before');
    await store.put('k', 1);
    const requests: [string, () => unknown][] = [
      ['ask', () => worker.note('late')],
      ['ask of one that sleeps', () => node.ref(WorkerT, 'new').note('late')],
      ['ask with options', () => call(worker, { deadlineMs: 60_000 }).note('late')],
      ['tell', () => tell(worker).note('late')],
      ['store', () => node.store('another')],
      ['put', () => store.put('k', 2)],
      ['get', () => store.get('k')],
      ['scan', () => store.scan().next()],
      ['digest', () => store.digest()],
      ['locate', () => node.locate(worker)],
      ['relocate', () => node.relocate(worker, `${node.name}/0`)],
      ['job', () => node.job(new URL('./job-module.ts', import.meta.url), 'double', 1)],
      ['ready', () => node.ready()],
    ];
    const refusals = async (): Promise<string[]> =>
      Promise.all(requests.map(async ([name, request]) => `${name}: ${await code((async () => request())())}`));
    const held = worker.finish(3);
    const stopping = node.stop({ drainMs: 5_000 });
    const early = await refusals();
    expect(await held).toBe(3);
    await stopping;
    const stopped = requests.map(([name]) => `${name}: STOPPED`);
    expect([early, await refusals()]).toEqual([stopped, stopped]);
    expect(await node.describe()).toMatchObject({ node: node.name });
  });

  it('is stopped once, however often and by whomever', async () => {
    const node = await startedNode({ threads, actors });
    await node.ref(WorkerT, 'a').note('x');
    const first = node.stop();
    expect(node.stop({ drainMs: 1 })).toBe(first);
    await Promise.all([first, node.stop(), node[Symbol.asyncDispose]()]);
    await node.stop();
  });

  it('ends while messages pour in, and each of them is answered or refused', async () => {
    const node = await startedNode({ threads, actors });
    const workers = Array.from({ length: 16 }, (_, n) => node.ref(WorkerT, `w${n}`));
    let flowing = true;
    const outcomes = new Map<string, number>();
    const count = (outcome: string): void => void outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    const pour = async (worker: (typeof workers)[0]): Promise<void> => {
      while (flowing) {
        const outcome = await code(worker.note('x'));
        count(outcome);
        if (outcome === 'STOPPED') return;
      }
    };
    const pours = workers.flatMap(worker => [pour(worker), pour(worker), pour(worker)]);
    await until(() => (outcomes.get('ok') ?? 0) > 100);
    await node.stop({ drainMs: 2_000 });
    flowing = false;
    await Promise.all(pours);
    expect([...outcomes.keys()].sort()).toEqual(['STOPPED', 'ok']);
  });
});

describe('a node that stops', () => {
  it('ends a thread that is blocked, and tells who waits for it', async () => {
    const node = await startNode({ threads: 2, actors });
    let worker = node.ref(WorkerT, 'k0');
    for (let n = 1; (await node.locate(worker)).thread !== 1; n++) worker = node.ref(WorkerT, `k${n}`);
    const blocked = ending<unknown>(call(worker, { deadlineMs: 60_000 }).block(60_000));
    await until(async () => (await code(call(worker, { deadlineMs: 20 }).note('x'))) !== 'ok');
    await node.stop({ drainMs: 50 });
    expect(await blocked).toMatchObject({ code: 'UNKNOWN_OUTCOME' });
  });

  it('lets the process end, and leaves no timer or handle that keeps it', async () => {
    const { spawn } = await import('node:child_process');
    const program = `
      import { startNode } from ${JSON.stringify(new URL('../../src/index.ts', import.meta.url).href)};
      import { WorkerT } from ${JSON.stringify(new URL('./stop-actors.ts', import.meta.url).href)};
      for (const threads of [0, 1]) {
        const node = await startNode({ threads, actors: [WorkerT], dataDir: process.argv[1] });
        await node.ref(WorkerT, 'a').note('x');
        await (await node.store('s')).put('k', 1);
        void node.ref(WorkerT, 'b').never().catch(() => {});
        await node.stop({ drainMs: 50 });
      }
      process.stdout.write('stopped');`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, newDir()], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    child.stdout.on('data', data => {
      said += data;
    });
    const end = await new Promise(done => child.on('close', (status, signal) => done(signal ?? status)));
    expect([end, said]).toEqual([0, 'stopped']);
  });
});

describe('a start that fails half way', () => {
  it('has ended everything it had begun: the directory is free, and the next start works', async () => {
    const { defineActor, Actor } = await import('../../src/index.ts');
    class Lost extends Actor<null> {}
    const lost = defineActor('file:///nowhere/lost.js', Lost, { type: 'lost' });
    const dataDir = newDir();
    expect(await code(startNode({ dataDir, threads: 2, actors: [WorkerT, lost] }))).not.toBe('ok');
    const node = await startedNode({ dataDir, threads: 2, actors });
    expect(await node.ref(WorkerT, 'a').note('x')).toBe(1);
  });
});
