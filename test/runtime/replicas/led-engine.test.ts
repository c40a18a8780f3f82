// A write that others have to have, too, and that is refused here: its writer knows at once, and everybody else when those have what is there instead.

import { expect, it } from 'vitest';
import { TroupeError } from '../../../src/errors.ts';
import { LedEngine } from '../../../src/runtime/replicas/led-engine.ts';
import type { Engine, Shard, WriteGroup } from '../../../src/storage/engine.ts';

const full = new TroupeError('DISK_FULL', 'the disk is full');
const shard: Partial<Shard> = { name: 'a/0', commit: () => Promise.reject(full) };
const raw: Partial<Engine> = { shard: () => shard as Shard };
const group: WriteGroup = { epoch: 1, fence: 'record', ops: [{ type: 'delete', key: Uint8Array.of(1) }] };

it('tells whoever wrote it before it rejects', async () => {
  const engine = new LedEngine(raw as Engine);
  const { promise: repaired, resolve: repair } = Promise.withResolvers<void>();
  engine.copying = () => stored =>
    stored.catch(async error => {
      await repaired;
      throw error;
    });
  const told: string[] = [];
  const commit = engine.shard('a/0').commit(group, 'flushed', () => told.push('refused'));
  const rejected = commit.catch(error => told.push(error.code));
  await new Promise(resolve => setImmediate(resolve));
  expect(told).toEqual(['refused']);
  repair();
  await rejected;
  expect(told).toEqual(['refused', 'DISK_FULL']);
});

it('says nothing but its rejection where nobody else has to have it', async () => {
  const told: string[] = [];
  const commit = new LedEngine(raw as Engine).shard('a/0').commit(group, 'flushed', () => told.push('refused'));
  await expect(commit).rejects.toBe(full);
  expect(told).toEqual([]);
});
