// Bits that have turned on the disk while nobody was looking: CORRUPT for what they hit, everything else as before, and
// what is damaged is neither shown nor written over.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type NodeOptions, startNode } from '../../src/index.ts';
import { ending, newDir, startedNode, until } from './folders.ts';
import { AlarmT, JournalT, LedgerT } from './kept-actors.ts';

const actors = [LedgerT, JournalT, AlarmT];

/** Turns one bit in every copy of these bytes in the files of the engine; freed pages keep old copies. */
function damage(
  dir: string,
  content: string | Uint8Array,
  at = 0,
  paths: readonly string[] = [join(dir, 'lmdb', 'data.mdb')],
): void {
  const bytes = Buffer.from(content as string);
  let found = 0;
  for (const path of paths) {
    const file = readFileSync(path);
    for (let where = file.indexOf(bytes); where !== -1; where = file.indexOf(bytes, where + 1)) {
      file[where + at] = (file[where + at] as number) ^ 1;
      found++;
    }
    writeFileSync(path, file);
  }
  expect(found).toBeGreaterThan(0);
}

const filesIn = (dir: string, ending: string): string[] =>
  readdirSync(dir)
    .filter(name => name.endsWith(ending))
    .map(name => join(dir, name));
const logsOf = (dir: string): string[] => filesIn(join(dir, 'troupe', 'log'), '.log');
const numbers = (upTo: number): number[] => Array.from({ length: upTo }, (_, at) => at + 1);
const marker = (name: string): string => `the content of ${name}. `.repeat(10);
const corrupt = { code: 'CORRUPT', outcome: 'failed', retryable: false };

describe.each([0, 2])('a record damaged on the disk, read by a node with %i host threads', threads => {
  const options = (dataDir: string): NodeOptions => ({ dataDir, threads, actors });

  it.each(['lmdb', 'troupe'] as const)(
    'of a store (%s): CORRUPT for this key in every request, the other keys as before, and a scan says so',
    async engine => {
      const dir = newDir();
      const keys = Array.from({ length: 100 }, (_, n) => `k${String(n).padStart(3, '0')}`);
      await using first = await startNode({ ...options(dir), engine });
      const before = await first.store('s');
      await Promise.all(keys.map(key => before.put(key, marker(key))));
      await first.stop();
      if (engine === 'troupe') {
        // What the log holds at the end of a life is in a run soon after the beginning of the next.
        const between = await startNode({ ...options(dir), engine });
        await until(() => logsOf(dir).length === 0);
        await between.stop();
      }
      const paths = engine === 'troupe' ? filesIn(join(dir, 'troupe', 'runs'), '.mdb') : undefined;
      damage(dir, marker('k042'), 40, paths);
      damage(dir, marker('k077'), 3, paths);

      const node = await startedNode({ ...options(dir), engine });
      const store = await node.store('s');
      for (const bad of ['k042', 'k077']) {
        for (const request of [
          () => store.get(bad),
          () => store.put(bad, 'new'),
          () => store.put(bad, 'new', { ifNoneMatch: true }),
          () => store.delete(bad),
          () => store.inspect(bad),
          // Still so after all the others: nothing of it was written over.
          () => store.get(bad),
        ]) {
          expect(await ending<unknown>(request())).toMatchObject(corrupt);
        }
      }
      const whole = async (key: string): Promise<void> => {
        const { values, context } = await store.get(key);
        await store.put(key, `${key} again`, { context });
        expect([values, (await store.get(key)).values]).toEqual([[marker(key)], [`${key} again`]]);
      };
      await Promise.all(keys.filter(key => key !== 'k042' && key !== 'k077').map(whole));
      const met: unknown[] = [];
      const scan = (async () => {
        for await (const { key } of store.scan()) met.push(key);
      })();
      expect(await ending(scan)).toMatchObject(corrupt);
      expect(met.every(key => keys.includes(key as string) && key !== 'k042' && key !== 'k077')).toBe(true);
      expect(await ending(store.digest())).toMatchObject(corrupt);
      const elsewhere: unknown[] = [];
      for await (const { key } of store.scan({ prefix: 'k05' })) elsewhere.push(key);
      expect(elsewhere).toEqual(keys.slice(50, 60));
    },
  );

  it('of the log: the node does not start, and says in which file and where; what comes behind it is not lost silently', async () => {
    const dir = newDir();
    await using first = await startNode(options(dir));
    const before = await first.store('s');
    for (const key of ['a', 'b', 'c']) await before.put(key, marker(key), { ack: 'flushed' });
    await first.stop();
    const paths = logsOf(dir);
    damage(dir, marker('b'), 7, paths);
    const why = (await ending<unknown>(startNode(options(dir)))) as { details: Record<string, unknown> };
    expect(why).toMatchObject(corrupt);
    expect(paths.join()).toContain(String(why.details.file));
    expect(why.details.at).toBeGreaterThanOrEqual(4_096);
    // The same bit back again, and it is all there.
    const damaged = Buffer.from(marker('b'));
    damaged[7] = (damaged[7] as number) ^ 1;
    damage(dir, damaged, 7, paths);
    const second = await startedNode(options(dir));
    const store = await second.store('s');
    for (const key of ['a', 'b', 'c']) expect((await store.get(key)).value).toBe(marker(key));
  });

  it('of a reminder: the node starts, says so, and every other reminder comes', async () => {
    const dir = newDir();
    const names = Array.from({ length: 30 }, (_, n) => `alarm-${String(n).padStart(2, '0')}`);
    await using first = await startNode(options(dir));
    // Of one actor: they lie side by side.
    for (const name of names) await first.ref(AlarmT, 'a').set(`reminder-${name}-of-a`, 1_500);
    await first.stop();
    damage(dir, 'reminder-alarm-07-of-a', 12);
    const said: { err: Error }[] = [];
    const keep = (fields: object): void => void said.push(fields as { err: Error });
    const quiet = (): void => undefined;
    const logger = { trace: quiet, debug: quiet, info: quiet, warn: quiet, error: keep };
    const node = await startedNode({ ...options(dir), logger });
    await until(async () => (await node.ref(AlarmT, 'a').came())[0].length >= names.length - 1);
    const came = (await node.ref(AlarmT, 'a').came())[0].sort();
    const rest = names.filter(name => name !== 'alarm-07').map(name => `reminder-${name}-of-a`);
    expect(came).toEqual(rest);
    // An error that comes from a thread is its message.
    expect(said.map(({ err }) => String(err.message ?? err)).join()).toMatch(/is damaged: the checksum differs/);
  });

  it('of an actor: it does not wake, says why each time, and leaves its snapshot as it is', async () => {
    const dir = newDir();
    const names = ['a', 'b', 'c', 'd'];
    await using first = await startNode(options(dir));
    const notes = names.flatMap(name => [
      ...numbers(149).map(n => first.ref(LedgerT, name).note(n + (name === 'b' ? 50 : 0))),
      ...numbers(20).map(n => first.ref(JournalT, name).note(n)),
    ]);
    await Promise.all(notes);
    await first.stop();
    // The state of b ends with the padding of note 199: nobody else has that.
    damage(dir, '199,'.repeat(49), 100);

    const failures: unknown[] = [];
    await using second = await startNode(options(dir));
    second.on('actor-failed', event => failures.push(event));
    for (let attempt = 0; attempt < 3; attempt++) {
      expect(await ending<unknown>(second.ref(LedgerT, 'b').read())).toMatchObject(corrupt);
      expect(await ending<unknown>(second.ref(LedgerT, 'b').note(1))).toMatchObject(corrupt);
    }
    for (const name of ['a', 'c', 'd']) {
      expect((await second.ref(LedgerT, name).read()).slice(0, 2)).toEqual([149, 149]);
      await second.ref(LedgerT, name).note(150);
    }
    for (const name of names) expect((await second.ref(JournalT, name).read()).slice(0, 2)).toEqual([20, 20]);
    await second.stop();
    expect(failures).toContainEqual(expect.objectContaining({ id: 'ledger/b', action: 'stop' }));

    // Whoever repairs the disk finds all of it: the same bit back again, and the actor is what it was.
    const damaged = Buffer.from('199,'.repeat(49));
    damaged[100] = (damaged[100] as number) ^ 1;
    damage(dir, damaged, 100);
    const third = await startedNode(options(dir));
    expect((await third.ref(LedgerT, 'b').read()).slice(0, 2)).toEqual([199, 149]);
    expect((await third.ref(LedgerT, 'a').read()).slice(0, 2)).toEqual([150, 150]);
  });

  it('of a journal: an event that cannot be read keeps its actor from waking, and is not skipped', async () => {
    const dir = newDir();
    await using first = await startNode(options(dir));
    await Promise.all(numbers(30).map(n => first.ref(JournalT, 'j').note(n)));
    await first.ref(JournalT, 'other').note(1);
    await first.stop();
    // Event 7: its key on the page is type, key and number, then the record begins.
    damage(dir, Buffer.concat([Buffer.from('journal\0j'), Buffer.from([0, 0, 0, 0, 0, 7])]), 14 + 8 + 9);
    const node = await startedNode(options(dir));
    expect(await ending<unknown>(node.ref(JournalT, 'j').read())).toMatchObject(corrupt);
    expect(await ending<unknown>(node.ref(JournalT, 'j').note(31))).toMatchObject(corrupt);
    expect((await node.ref(JournalT, 'other').read()).slice(0, 2)).toEqual([1, 1]);
  });
});

describe('a file that is no database any more', () => {
  it('is told at the door, and the directory is free again for whoever repairs it', async () => {
    const dir = newDir();
    await using first = await startNode({ dataDir: dir, threads: 0 });
    await (await first.store('s')).put('k', 1);
    await first.stop();
    const path = join(dir, 'lmdb', 'data.mdb');
    const good = readFileSync(path);
    writeFileSync(path, Buffer.from(good).fill(0x55, 0, 8_192));
    for (const threads of [0, 2]) {
      expect(await ending(startNode({ dataDir: dir, threads }))).toMatchObject({ code: 'CORRUPT' });
    }
    writeFileSync(path, good);
    const node = await startedNode({ dataDir: dir, threads: 0 });
    expect((await (await node.store('s')).get('k')).value).toBe(1);
  });
});
