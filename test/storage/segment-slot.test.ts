// A segment in shared memory and its index, against a Map; and what readers see of one that is given up under them.

import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { crc32 } from '../../src/storage/crc32.ts';
import {
  encodeHeader,
  frameBytes,
  frameHeaderBytes,
  segmentSeed,
  writeFrame,
} from '../../src/storage/log/log-frame.ts';
import { encodeRecord } from '../../src/storage/record.ts';
import { hashOf, indexEntriesMax, SegmentSlot, slotBytes, slotState } from '../../src/storage/segment-slot.ts';
import { bytes, none } from './conformance.ts';

const segmentBytes = 4 << 20;

/** Writes into a slot what a log would write. */
class Writer {
  readonly slot = new SegmentSlot(new SharedArrayBuffer(slotBytes(segmentBytes)));
  at = 4_096;
  lsn = 100;

  constructor(id = 7) {
    this.take(id);
  }

  take(id: number): void {
    this.at = 4_096;
    expect(this.slot.take(id, { thread: 1, number: 1 }, this.lsn)).toBe(true);
    this.slot.image.set(encodeHeader(crc32, { id, previous: 0, log: 't1' }));
  }

  write(shard: number, key: Uint8Array, value: string | undefined): number {
    const record = value === undefined ? undefined : encodeRecord(crc32, 0, key, 1, none, bytes(value));
    const group = { lsn: this.lsn++, shard, epoch: 1, ops: [{ key, record }] };
    const stamp = { seed: segmentSeed(crc32, this.slot.id), durable: 0 };
    writeFrame(this.slot.image, this.at, group, stamp, crc32, new Int32Array(1), 0);
    this.slot.put(hashOf(shard, key), shard, this.at + frameHeaderBytes, key.length, group.lsn);
    this.at += frameBytes(group);
    this.slot.committed(this.at, group.lsn);
    return group.lsn;
  }

  read(shard: number, key: Uint8Array): string | null | undefined {
    const hit = this.slot.get(hashOf(shard, key), shard, key);
    if (hit === undefined) return undefined;
    return hit.record === undefined ? null : new TextDecoder().decode(hit.record.subarray(14));
  }
}

describe('a segment in shared memory', () => {
  it('holds the newest version of each key of each shard, deletions included', () => {
    const writer = new Writer();
    const model = new Map<string, { value: string | undefined; lsn: number }>();
    let seed = 1;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
      return seed % below;
    };
    for (let step = 0; step < 20_000; step++) {
      const [shard, key] = [random(3) + 1, `key-${random(500)}`];
      const value = random(5) === 0 ? undefined : `${step}`;
      model.set(`${shard}/${key}`, { value, lsn: writer.write(shard, bytes(key), value) });
    }
    for (let shard = 0; shard < 5; shard++) {
      for (let n = 0; n < 510; n++) {
        const key = bytes(`key-${n}`);
        const wanted = model.get(`${shard}/key-${n}`);
        expect(writer.read(shard, key)).toBe(wanted === undefined ? undefined : (wanted.value ?? null));
        expect(writer.slot.get(hashOf(shard, key), shard, key)?.lsn).toBe(wanted?.lsn);
      }
    }
    expect(writer.slot.entries).toBe(model.size);
  });

  it('tells keys apart whose hashes are the same', () => {
    const writer = new Writer();
    // Found by search: the index goes by 32 bits.
    const seen = new Map<number, string>();
    let pair: [string, string] | undefined;
    for (let n = 0; pair === undefined; n++) {
      const hash = hashOf(1, bytes(`${n}`));
      const other = seen.get(hash);
      if (other === undefined) seen.set(hash, `${n}`);
      else pair = [other, `${n}`];
    }
    writer.write(1, bytes(pair[0]), 'one');
    expect(writer.read(1, bytes(pair[1]))).toBeUndefined();
    writer.write(1, bytes(pair[1]), 'two');
    expect(pair.map(key => writer.read(1, bytes(key)))).toEqual(['one', 'two']);
  });

  it('gives each reader bytes of his own', () => {
    const writer = new Writer();
    const key = bytes('k');
    writer.write(1, key, 'value');
    const hit = writer.slot.get(hashOf(1, key), 1, key);
    hit?.record?.fill(0);
    expect(hit?.record?.buffer).not.toBe(writer.slot.memory);
    expect(writer.read(1, key)).toBe('value');
  });

  it('is not read any more once it is flushed, nor as the segment it was when it is used again', () => {
    const writer = new Writer();
    writer.write(1, bytes('k'), 'old');
    writer.slot.seal();
    expect(writer.read(1, bytes('k'))).toBe('old');
    writer.slot.flushed();
    expect(writer.read(1, bytes('k'))).toBeUndefined();
    expect(writer.slot.free()).toBe(true);
    writer.take(8);
    expect(writer.read(1, bytes('k'))).toBeUndefined();
    writer.write(1, bytes('other'), 'new');
    expect([writer.slot.id, writer.slot.entries, writer.read(1, bytes('other'))]).toEqual([8, 1, 'new']);
  });

  it('is not given away while somebody walks through it, unless that thread is dead', () => {
    const { slot } = new Writer();
    slot.pin(3);
    slot.pin(3);
    slot.seal();
    slot.flushed();
    expect(slot.free()).toBe(false);
    slot.unpin(3);
    expect(slot.free()).toBe(false);
    slot.forget(3);
    expect([slot.free(), slot.state]).toEqual([true, slotState.free]);
    expect(slot.free()).toBe(false);
  });

  it('is taken by one only', () => {
    const { slot } = new Writer();
    expect([slot.take(9, { thread: 2, number: 2 }, 0), slot.id]).toEqual([false, 7]);
    slot.seal();
    expect(slot.take(9, { thread: 2, number: 2 }, 0)).toBe(false);
  });

  it('is given to one of many threads that take and give back at once', async () => {
    const memory = [new SharedArrayBuffer(slotBytes(1 << 20)), new SharedArrayBuffer(slotBytes(1 << 20))];
    const owners = new SharedArrayBuffer(4 * 3);
    const workers = [1, 2, 3].map(
      thread => new Worker(new URL('./slot-worker.ts', import.meta.url), { workerData: { memory, owners, thread } }),
    );
    const ends = await Promise.all(workers.map(worker => new Promise(done => worker.once('message', done))));
    for (const worker of workers) await worker.terminate();
    expect(ends.map(end => (end as { doubled: number }).doubled)).toEqual([0, 0, 0]);
    expect(ends.reduce<number>((sum, end) => sum + (end as { taken: number }).taken, 0)).toBeGreaterThan(10);
  });

  it('survives readers that are put aside while it becomes another segment: nonsense is never believed', () => {
    const writer = new Writer();
    for (let n = 0; n < 2_000; n++) writer.write(1, bytes(`k${n}`), `${n}`);
    // What a reader would find in the index at any time of the reuse: offsets of one life with bytes of the next.
    writer.slot.image.fill(0xff, 4_096);
    for (let n = 0; n < 2_000; n++) expect(writer.read(1, bytes(`k${n}`))).toBeUndefined();
    expect(() => writer.slot.recordAt(segmentBytes - 3)).not.toThrow();
    expect(() => writer.slot.recordAt(2 ** 31 - 1)).not.toThrow();
  });

  it('leaves the index room to be quick', () => {
    expect(indexEntriesMax).toBeLessThan(2 ** 18 * 0.75);
  });
});
