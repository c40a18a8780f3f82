// What a user gets wrong when starting a node: each is refused at once, by name, with what to do, and leaves nothing behind.

import { execFileSync } from 'node:child_process';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Actor, defineActor, type NodeOptions, startNode } from '../../src/index.ts';
import { code, ending, newDir, smallDisk, startedNode } from './folders.ts';
import { LedgerT } from './kept-actors.ts';
import { TroubleT } from './trouble-actors.ts';

const bad = (option: string, message: RegExp) => ({
  code: 'BAD_OPTION',
  outcome: 'failed',
  retryable: false,
  details: { option },
  message,
});

describe('an option of startNode that is wrong', () => {
  const threads = /must be 'auto' or a whole number from 0 to 63/;
  const partitions = /must be a power of two from 1 to 65536/;
  it.each<[string, object, RegExp]>([
    ['threads', { threads: -1 }, threads],
    ['threads', { threads: 1.5 }, threads],
    ['threads', { threads: 64 }, threads],
    ['threads', { threads: '2' }, threads],
    ['threads', { threads: Number.NaN }, threads],
    ['partitions', { partitions: 0 }, partitions],
    ['partitions', { partitions: 63 }, partitions],
    ['partitions', { partitions: 2 ** 17 }, partitions],
    ['partitions', { partitions: '64' }, partitions],
    ['dataDir', { dataDir: '' }, /must be the path of a directory, not ''; leave it out/],
    ['dataDir', { dataDir: '/tmp/a\0b' }, /must be the path of a directory, not '\/tmp\/a\\0b'/],
    ['dataDir', { dataDir: 7 }, /must be the path of a directory/],
    ['engine', { engine: 'rocksdb', dataDir: '/tmp' }, /must be one of troupe, lmdb, memory, not rocksdb/],
    ['engine', { engine: 'lmdb' }, /needs a dataDir/],
    ['actors', { actors: TroubleT }, /must be an array of what defineActor/],
    ['actors', { actors: [class Cart {}] }, /got something else in it/],
    ['actors', { actors: [undefined] }, /got something else in it/],
    ['logger', { logger: 'console' }, /must have the methods trace, debug, info, warn, error/],
    ['logger', { logger: { info() {} } }, /must have the methods/],
    ['residentsMax', { residentsMax: 0 }, /must be a whole number from 1 to 16777216, not 0/],
    ['residentsMax', { residentsMax: 2 ** 25 }, /must be a whole number from 1 to 16777216/],
    ['diskFreeLowWater', { diskFreeLowWater: -1 }, /must be a whole number from 1048576/],
    ['diskFreeLowWater', { diskFreeLowWater: 0 }, /must be a whole number from 1048576/],
    ['diskFreeLowWater', { diskFreeLowWater: '64MB' }, /must be a whole number from 1048576/],
    ['threadHeapMb', { threadHeapMb: 1 }, /must be a whole number from 8/],
    ['listen', { listen: 'nowhere' }, /listen: /],
    ['listen', { listen: '0.0.0.0:7001' }, /can be reached from other machines/],
    ['join', { join: ['127.0.0.1:7001'] }, /needs 'listen'/],
    ['join', { listen: '127.0.0.1:0', join: '127.0.0.1:7001' }, /must be an array/],
    ['insecure', { insecure: 'yes' }, /must be true or false/],
    ['weight', { weight: -1 }, /must be a number, 0 or more/],
    ['replicas', { replicas: 2 }, /must be 1, 3, 5 or 7/],
    ['replicas', { replicas: 9 }, /must be 1, 3, 5 or 7/],
    ['replicas', { replicas: '3' }, /must be 1, 3, 5 or 7/],
    ['replicas', { replicas: 3 }, /needs 'listen'/],
    ['replicas', { replicas: 3, listen: '127.0.0.1:0' }, /needs a dataDir/],
    ['autoJoin', { autoJoin: 'no' }, /must be true or false/],
    ['datadir', { datadir: '/tmp' }, /unknown option 'datadir'; known are name, dataDir, threads/],
    ['__proto__', JSON.parse('{"__proto__": {"threads": 2}}'), /unknown option '__proto__'/],
  ])('%s: %j', async (option, options, message) => {
    expect(await ending<unknown>(startNode(options as NodeOptions))).toMatchObject(bad(option, message));
  });

  it.each([[null], [7], ['n1']])('%j is no options', async options => {
    expect(await code(startNode(options as never))).toBe('BAD_OPTION');
  });

  it.each(['N1', 'a b', '', 'x'.repeat(33), 'n/1', '../n'])('name: %j', async name => {
    expect(await ending<unknown>(startNode({ name }))).toMatchObject({
      code: 'BAD_OPTION',
      message: expect.stringMatching(/must be 1 to 32 of a-z, 0-9 and '-'/),
    });
  });

  it('undefined is as good as left out', async () => {
    const none = Object.fromEntries(
      ['name', 'dataDir', 'partitions', 'actors', 'engine', 'logger', 'residentsMax', 'listen'].map(name => [
        name,
        undefined,
      ]),
    );
    await startedNode({ ...none, threads: 0 });
  });
});

function file(dir: string): string {
  writeFileSync(join(dir, 'file'), '');
  return join(dir, 'file');
}

function loop(dir: string): string {
  symlinkSync(join(dir, 'loop'), join(dir, 'loop'));
  return join(dir, 'loop');
}

class Plain extends Actor<object> {
  override initial() {
    return {};
  }
}

function nowhere(dir: string): string {
  symlinkSync(join(dir, 'not-mounted'), join(dir, 'link'));
  return join(dir, 'link');
}

it('two types of one name in one module are refused: threads would run the later one for both', async () => {
  const twice = [1, 2].map(() => defineActor(import.meta.url, Plain, { type: 'twice', version: 1 }));
  const trouble = bad('actors', /options.test.ts defines two actor types named 'twice'/);
  expect(await ending<unknown>(startNode({ threads: 0, actors: twice.slice(0, 1) }))).toMatchObject(trouble);
  await (await startNode({ threads: 0, actors: twice.slice(1) })).stop();
});

describe('a data directory', () => {
  it.each<[string, (dir: string) => string]>([
    ['that is a file', dir => file(dir)],
    ['below a file', dir => join(file(dir), 'data')],
    ['whose name is too long', dir => join(dir, 'x'.repeat(300))],
    ['that leads in circles', dir => join(loop(dir), 'data')],
    ['that is a link to a volume that is not mounted', dir => nowhere(dir)],
    ['below such a link', dir => join(nowhere(dir), 'data')],
  ])('%s: BAD_OPTION with the path, what is wrong, and what to do', async (_, make) => {
    const dataDir = make(newDir());
    for (const threads of [0, 1]) {
      expect(await ending<unknown>(startNode({ dataDir, threads }))).toMatchObject(
        bad('dataDir', /cannot be used \(E[A-Z]+.*\); let this process write there, or name another directory/),
      );
    }
  });

  it('that may only be read: the same', async context => {
    const disk = smallDisk(8 << 20);
    if (typeof disk === 'string') return context.skip(disk);
    const used = join(disk.path, 'used');
    await (await startNode({ dataDir: used, threads: 0, diskFreeLowWater: 1 << 20 })).stop();
    execFileSync('mount', ['-o', 'remount,ro', disk.path]);
    for (const dataDir of [used, join(disk.path, 'new'), join(disk.path, 'far', 'below')]) {
      const error = await ending<unknown>(startNode({ dataDir, threads: 0 }));
      expect(error).toMatchObject({ code: 'BAD_OPTION', message: expect.stringMatching(/EROFS|[Rr]ead-only/) });
      expect((error as Error).message).toContain(dataDir);
    }
  });

  it('of another engine is not opened by the memory engine, which would not see what is in it', async () => {
    for (const engine of ['troupe', 'lmdb'] as const) {
      const dataDir = newDir();
      await (await startNode({ dataDir, threads: 0, engine })).stop();
      expect(await ending<unknown>(startNode({ dataDir, threads: 0, engine: 'memory' }))).toMatchObject({
        code: 'BAD_OPTION',
        message: expect.stringMatching(/another engine/),
      });
    }
  });

  it('has one node at a time, and is free again when that has stopped', async () => {
    const dataDir = newDir();
    const first = await startedNode({ dataDir, threads: 0 });
    for (const threads of [0, 1]) {
      expect(await ending<unknown>(startNode({ dataDir, threads }))).toMatchObject({
        code: 'BAD_OPTION',
        message: expect.stringMatching(
          /is in use by another node\. Stop that one, or give this one a directory of its own/,
        ),
      });
    }
    // The first has not noticed.
    await (await first.store('s')).put('k', 1);
    await first.stop();
    const second = await startedNode({ dataDir, threads: 0 });
    expect((await (await second.store('s')).get('k')).value).toBe(1);
  });

  it('keeps its name and its partitions, and refuses others with both', async () => {
    const dataDir = newDir();
    await (await startNode({ dataDir, threads: 0, name: 'n1', partitions: 16 })).stop();
    expect(await ending<unknown>(startNode({ dataDir, threads: 0, partitions: 32 }))).toMatchObject({
      code: 'BAD_OPTION',
      message: expect.stringMatching(
        /made with partitions 16, and 32 is wanted\. It cannot change: ask for 16, or use another directory/,
      ),
    });
    expect(await ending<unknown>(startNode({ dataDir, threads: 0, name: 'n2' }))).toMatchObject({
      code: 'BAD_OPTION',
      message: expect.stringMatching(/made with name n1, and n2 is wanted/),
    });
    const again = await startedNode({ dataDir, threads: 0 });
    expect(again.name).toBe('n1');
    expect((await again.describe()).disk).toMatchObject({ low: false });
  });

  it('of a later version, or whose file is damaged, is left as it is', async () => {
    const dataDir = newDir();
    await (await startNode({ dataDir, threads: 0 })).stop();
    const path = join(dataDir, 'troupe.json');
    const good = readFileSync(path, 'utf8');
    for (const [content, error] of [
      [
        good.replace('"format": 1', '"format": 2').replace('"format":1', '"format":2'),
        {
          code: 'BAD_OPTION',
          message: expect.stringMatching(/format 2, this version knows 1\. Use the newer version/),
        },
      ],
      ['{"half', { code: 'CORRUPT', message: expect.stringMatching(/troupe\.json is damaged: it is not JSON/) }],
      ['', { code: 'CORRUPT' }],
    ] as const) {
      writeFileSync(path, content);
      expect(await ending<unknown>(startNode({ dataDir, threads: 0 }))).toMatchObject(error);
      expect(readFileSync(path, 'utf8')).toBe(content);
    }
    writeFileSync(path, good);
    await startedNode({ dataDir, threads: 0 });
  });

  it('is made with everything above it', async () => {
    const dataDir = join(newDir(), 'a', 'b', 'ü', 'data dir');
    const node = await startedNode({ dataDir, threads: 1, actors: [LedgerT] });
    expect((await node.ref(LedgerT, 'x').note(1))[0]).toBe(1);
  });
});

describe('two types of one name', () => {
  it('are refused, also when one of them is ours', async () => {
    const { defineActor, Actor } = await import('../../src/index.ts');
    class Other extends Actor<null> {}
    const same = defineActor('file:///other.js', Other, { type: 'ledger' });
    const ours = defineActor('file:///other.js', Other, { type: 'vnode' });
    for (const actors of [[LedgerT, same], [ours]])
      expect(await ending<unknown>(startNode({ threads: 0, actors }))).toMatchObject({
        code: 'BAD_OPTION',
        message: expect.stringMatching(/two actor types are called/),
      });
  });

  it('a module that does not load on a thread ends the start, with the reason and nothing left running', async () => {
    const { defineActor, Actor } = await import('../../src/index.ts');
    class Lost extends Actor<null> {}
    const lost = defineActor('file:///nowhere/lost.js', Lost, { type: 'lost' });
    const here = defineActor('', Lost, { type: 'here' });
    const dataDir = newDir();
    const error = await ending<unknown>(startNode({ dataDir, threads: 2, actors: [lost] }));
    expect(error).toMatchObject({ message: expect.stringMatching(/lost\.js/) });
    expect(await ending<unknown>(startNode({ dataDir, threads: 1, actors: [here] }))).toMatchObject({
      code: 'BAD_OPTION',
      message: expect.stringMatching(/'here' has no module url; threads cannot import it/),
    });
    await startedNode({ dataDir, threads: 0 });
  });
});
