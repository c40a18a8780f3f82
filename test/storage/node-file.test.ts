// troupe.json keeps what it was told, refuses what would contradict it, and survives being interrupted.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openNodeFile } from '../../src/storage/node-file.ts';
import { outcome } from './conformance.ts';

let dir: string;
let file: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'troupe-node-'));
  file = join(dir, 'troupe.json');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

it('is born with what is wanted, or with defaults and a name of its own', async () => {
  const node = await openNodeFile(join(dir, 'deep', 'er'), { name: 'n1', partitions: 16 });
  expect(node.content).toEqual({
    format: 1,
    name: 'n1',
    id: expect.stringMatching(/^[0-9a-f]{32}$/),
    partitions: 16,
    createdAt: expect.any(Number),
    bootCount: 0,
    epochChunkLimit: 1,
  });
  const other = await openNodeFile(dir, {});
  expect(other.content.partitions).toBe(64);
  expect(other.content.name).toMatch(/^[a-z0-9-]{1,32}$/);
  expect(other.content.id).not.toBe(node.content.id);
});

it('is read again as it was written, whatever is wanted in agreement with it', async () => {
  const born = await openNodeFile(dir, { name: 'n1', partitions: 16 });
  for (const wanted of [{}, { name: 'n1' }, { partitions: 16 }, { name: undefined, partitions: undefined }]) {
    expect((await openNodeFile(dir, wanted)).content).toEqual(born.content);
  }
});

it('refuses another number of partitions, or another name, and says both', async () => {
  await openNodeFile(dir, { name: 'n1', partitions: 16 });
  await expect(openNodeFile(dir, { partitions: 32 })).rejects.toMatchObject({
    code: 'BAD_OPTION',
    message: expect.stringMatching(/partitions 16.*32/),
    details: { stored: 16, wanted: 32 },
  });
  await expect(openNodeFile(dir, { name: 'n2' })).rejects.toMatchObject({
    code: 'BAD_OPTION',
    details: { stored: 'n1', wanted: 'n2' },
  });
});

it('counts starts and raises limits, each durable before it is told, in the order they were asked for', async () => {
  const node = await openNodeFile(dir, { name: 'n1' });
  const all = [node.bump(), node.update({ epochChunkLimit: 100 }), node.bump(), node.update({ epochChunkLimit: 200 })];
  expect((await Promise.all(all)).filter(Boolean)).toHaveLength(2);
  expect(node.content).toMatchObject({ bootCount: 2, epochChunkLimit: 200 });
  expect((await openNodeFile(dir, {})).content).toEqual(node.content);
  expect(existsSync(`${file}.new`)).toBe(false);
});

it('never lets a number go back, and goes on after refusing it', async () => {
  const node = await openNodeFile(dir, {});
  await node.update({ epochChunkLimit: 100 });
  expect(await outcome(node.update({ epochChunkLimit: 99 }))).toBe('BAD_OPTION');
  await node.update({ epochChunkLimit: 101 });
  expect((await openNodeFile(dir, {})).content.epochChunkLimit).toBe(101);
});

it('takes the highest of limits that are raised at once', async () => {
  const node = await openNodeFile(dir, {});
  await Promise.all([300, 100, 200].map(limit => node.raiseEpochLimit(limit)));
  expect((await openNodeFile(dir, {})).content.epochChunkLimit).toBe(300);
});

it('is whole although a write was interrupted: the half-written one is never looked at', async () => {
  const node = await openNodeFile(dir, { name: 'n1' });
  writeFileSync(`${file}.new`, '{"format": 1, "na');
  const again = await openNodeFile(dir, {});
  expect(again.content).toEqual(node.content);
  await again.bump();
  expect((await openNodeFile(dir, {})).content.bootCount).toBe(1);
});

describe('a file that cannot be used', () => {
  it.each([
    [
      'of a later format',
      (content: object) => ({ ...content, format: 2 }),
      'BAD_OPTION',
      /format 2, this version knows 1/,
    ],
    ['without an id', (content: object) => ({ ...content, id: undefined }), 'CORRUPT', /id is undefined/],
    ['with a number that is none', (content: object) => ({ ...content, bootCount: -1 }), 'CORRUPT', /bootCount is -1/],
    ['with no partitions', (content: object) => ({ ...content, partitions: 0 }), 'CORRUPT', /partitions is 0/],
    ['that is no object', () => null, 'CORRUPT', /not an object/],
  ])('%s is refused, and left as it is', async (_, change, code, message) => {
    await openNodeFile(dir, { name: 'n1' });
    const changed = JSON.stringify(change(JSON.parse(readFileSync(file, 'utf8'))));
    writeFileSync(file, changed);
    await expect(openNodeFile(dir, {})).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    expect(readFileSync(file, 'utf8')).toBe(changed);
  });

  it('that is cut is CORRUPT, with what to do', async () => {
    await openNodeFile(dir, { name: 'n1' });
    writeFileSync(file, readFileSync(file, 'utf8').slice(0, 30));
    await expect(openNodeFile(dir, {})).rejects.toMatchObject({
      code: 'CORRUPT',
      message: expect.stringContaining('Restore it'),
    });
  });
});

it('is closed when the write under way has ended, and written no more: the next life of the node goes on from it', async () => {
  const node = await openNodeFile(dir, { name: 'n1' });
  let ended = false;
  const last = node.update({ epochChunkLimit: 100 }).then(() => {
    ended = true;
  });
  await node.close();
  expect(ended).toBe(true);
  await last;
  expect(await outcome(node.update({ epochChunkLimit: 200 }))).toBe('STOPPED');
  expect((await openNodeFile(dir, {})).content.epochChunkLimit).toBe(100);
});
