// The index of a log segment in shared memory as a table of records: puts and gets of 1 KiB by keys of 20 bytes, every get checked.
// Against a Map of strings (what a thread alone would take) and LMDB (what threads would share).

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'lmdb';
import { crc32 } from '../../src/storage/crc32.ts';
import { frameBytes, frameHeaderBytes, segmentHeaderBytes, writeFrame } from '../../src/storage/log/log-frame.ts';
import { hashOf, SegmentSlot, slotBytes } from '../../src/storage/segment-slot.ts';
import type { Contender } from '../harness.ts';

interface Table {
  put(index: number, value: Uint8Array): void;
  /** A copy that is the caller's. */
  get(index: number): Uint8Array | undefined;
  end?(): void;
}

const shard = 7;
const valueBytes = 1_024;
const keyOf = (index: number): Buffer => Buffer.from(`key-${String(index).padStart(16, '0')}`, 'latin1');

function slot(keys: readonly Buffer[]): Table {
  const bytes = segmentHeaderBytes + keys.length * (valueBytes + 128);
  const made = new SegmentSlot(new SharedArrayBuffer(slotBytes(bytes)));
  made.take(1, { thread: 0, number: 0 }, 0);
  const places = new Int32Array(1);
  let at = segmentHeaderBytes;
  let lsn = 0;
  return {
    put(index, value) {
      const key = keys[index] as Buffer;
      const group = { lsn: lsn++, shard, epoch: 0, ops: [{ key, record: value }] };
      writeFrame(made.image, at, group, { seed: 0, durable: 0 }, crc32, places, 0);
      made.put(hashOf(shard, key), shard, at + frameHeaderBytes, key.length, group.lsn);
      at += frameBytes(group);
    },
    get(index) {
      const key = keys[index] as Buffer;
      return made.get(hashOf(shard, key), shard, key)?.record;
    },
  };
}

function map(keys: readonly Buffer[]): Table {
  const table = new Map<string, Uint8Array>();
  return {
    put: (index, value) => void table.set((keys[index] as Buffer).toString('latin1'), value.slice()),
    get: index => table.get((keys[index] as Buffer).toString('latin1'))?.slice(),
  };
}

function lmdb(keys: readonly Buffer[]): Table {
  const dir = mkdtempSync(join(tmpdir(), 'troupe-bench-'));
  const db = open<Buffer, Buffer>({ path: dir, encoding: 'binary', keyEncoding: 'binary', noSync: true });
  return {
    put: (index, value) => void db.putSync(keys[index] as Buffer, value as Buffer),
    get: index => db.getBinary(keys[index] as Buffer),
    end() {
      void db.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** A run fills a table and reads all of it again, in another order. */
function contender(name: string, reads: boolean, make: (keys: readonly Buffer[]) => Table): Contender {
  return {
    name,
    async run(n) {
      const keys = Array.from({ length: n }, (_, index) => keyOf(index));
      const table = make(keys);
      const value = new Uint8Array(valueBytes);
      const began = performance.now();
      for (let index = 0; index < n; index++) {
        value[20] = index;
        table.put(index, value);
      }
      const filled = performance.now();
      let done = 0;
      for (let step = 0; step < n; step++) {
        const index = (step * 7_919) % n;
        if (table.get(index)?.[20] === (index & 255)) done++;
      }
      const ms = reads ? performance.now() - filled : filled - began;
      table.end?.();
      return { done, ms };
    },
  };
}

export const segments = (reads: boolean): Contender[] => [
  contender('troupe segment', reads, slot),
  contender('Map of strings', reads, map),
  contender('lmdb, not synced', reads, lmdb),
];
