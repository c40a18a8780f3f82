// The door: the engine that is asked for, with the options that were given, or a refusal that says what is missing.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { diskFreeLowWater } from '../../src/limits.ts';
import type { EngineOptions } from '../../src/storage/engine.ts';
import { openEngine } from '../../src/storage/open-engine.ts';
import { group, outcome, put, thrown } from './conformance.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'troupe-open-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

it.each([
  ['memory', false],
  ['lmdb', true],
] as const)('%s is opened when it is asked for', async (kind, shared) => {
  const engine = openEngine({ kind, dir: join(dir, 'made', 'on', 'the', 'way') });
  expect([engine.kind, engine.shared, engine.stats().kind]).toEqual([kind, shared, kind]);
  expect(await outcome(engine.shard('s').commit(group(1, [put('k', '1')]), 'flushed'))).toBe('ok');
  await engine.close();
});

it.each([{ kind: 'lmdb' }, { kind: 'leveldb', dir: '/tmp' }, { kind: undefined }])('%j is BAD_OPTION', options => {
  expect(thrown(() => openEngine(options as unknown as EngineOptions))).toBe('BAD_OPTION');
});

it('the low water is passed on: with one above every disk nothing is stored', async () => {
  const engine = openEngine({ kind: 'lmdb', dir, freeLowWater: Number.MAX_SAFE_INTEGER });
  expect(await outcome(engine.shard('s').commit(group(1, [put('k', '1')]), 'committed'))).toBe('DISK_FULL');
  await engine.close();
  expect(diskFreeLowWater).toBeGreaterThan(0);
});
