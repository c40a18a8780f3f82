// Groups for the log's tests, with records as the engine makes them, and what a scan gives back of them.

import { crc32 } from '../../../src/storage/crc32.ts';
import type { LogGroup, LogOp } from '../../../src/storage/log/log-frame.ts';
import { encodeRecord, shardSeed } from '../../../src/storage/record.ts';

export const seedOf = (shard: number): number => shardSeed(crc32, `vnode/${shard}`);

/** Numbers from 0 to 1 that are the same in each run (mulberry32). */
export function chances(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function op(shard: number, epoch: number, key: string, value: Uint8Array | undefined): LogOp {
  const bytes = new TextEncoder().encode(key);
  const version = Uint8Array.of(7);
  return { key: bytes, record: value && encodeRecord(crc32, seedOf(shard), bytes, epoch, version, value) };
}

/** A group of `ops` operations with values of up to `valueBytes`. */
export function randomGroup(chance: () => number, lsn: number, ops: number, valueBytes: number): LogGroup {
  const shard = 1 + Math.floor(chance() * 5);
  const epoch = Math.floor(chance() * 2 ** 53);
  const list: LogOp[] = [];
  for (let index = 0; index < ops; index++) {
    const value = new Uint8Array(Math.floor(chance() * valueBytes)).map(() => chance() * 256);
    list.push(op(shard, epoch, `key-${Math.floor(chance() * 100)}`, chance() < 0.2 ? undefined : value));
  }
  return { lsn, shard, epoch, ops: list };
}

/** A copy with nothing but what was written: comparable, and independent of the segment. */
export function plain({ lsn, shard, epoch, ops }: LogGroup): LogGroup {
  const copied = ops.map(({ key, record }) => ({ key: new Uint8Array(key), record: record && new Uint8Array(record) }));
  return { lsn, shard, epoch, ops: copied };
}
