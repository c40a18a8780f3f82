// A record in a run is damaged, and somebody writes over it: the write is refused by name, and the node goes on.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { recordHeaderBytes } from '../../src/storage/record.ts';
import { TroupeStore } from '../../src/storage/troupe-store.ts';
import { ending, newDir } from '../bad-days/folders.ts';
import { bytes, group, put, text } from './conformance.ts';

it('is no end of the store: a fence that cannot be read refuses the write, and only that', async () => {
  const dir = join(newDir(), 'data');
  const open = async (): Promise<TroupeStore> => {
    const store = new TroupeStore({ dir, segmentBytes: 1 << 20 });
    onTestFinished(() => store.close());
    await store.ready();
    return store;
  };
  const first = await open();
  for (let key = 0; key < 50; key++)
    await first.shard('a/1').commit(group(1, [put(`key-${key}`, `value-${key}`.padEnd(200, '.'))]), 'committed');
  for (let filler = 0; filler < 4_000; filler++)
    void first.shard('a/2').commit(group(1, [put(`filler-${filler}`, '.'.repeat(1_000))]), 'committed');
  await first.sync('flushed');
  await first.upkeep?.run({ all: true });
  await first.close();
  const runs = readdirSync(join(dir, 'runs'), 'utf8').filter(name => name.endsWith('.mdb'));
  expect(runs.length).toBeGreaterThan(0);
  for (const name of runs) {
    const file = join(dir, 'runs', name);
    const content = readFileSync(file);
    const flip = (value: string, before: number): void => {
      const at = content.indexOf(value) - before;
      expect(at).toBeGreaterThan(0);
      content[at] = (content[at] as number) ^ 1;
    };
    flip('value-7.', recordHeaderBytes - 8); // its epoch
    flip('value-9.', recordHeaderBytes + 1); // what stands before it in the run
    writeFileSync(file, content);
  }
  const store = await open();
  const shard = store.shard('a/1');
  const over = (key: string): Promise<void> =>
    shard.commit({ epoch: 2, fence: 'record', ops: [put(key, 'new')] }, 'committed');
  for (const key of ['key-7', 'key-9']) expect(await ending(over(key))).toMatchObject({ code: 'CORRUPT' });
  expect(await ending(over('key-8'))).toBeUndefined();
  expect(text(shard.get(bytes('key-8')))).toBe('new');
});
