// One page of a walk over a vnode's records: of a scan, which shows live keys, or of a digest, which sums them all up.
//
// Intuition: a vnode serves others between any two pages, so a page is bounded three times, in keys, bytes and records
// looked at (a range of ten thousand tombstones shows nothing and still takes time). It says where the next one begins.
//
// Invariant: pages do not overlap and leave nothing out; what is written between two of them is met if it lies ahead.

import { TroupeError } from '../errors.ts';
import { scanPageBytesMax, scanPageVisitsMax } from '../limits.ts';
import { md5 } from '../runtime/md5.ts';
import type { Shard, StoredRecord } from '../storage/engine.ts';
import { keyAfter, showKey } from '../storage/key.ts';
import { isDead } from './sibling.ts';
import { decodeSet, isCorrupt } from './version-codec.ts';
import type { DigestReply, PageItem, PageReply } from './vnode-messages.ts';

/** Live keys of [from, to), at most `records` of them. */
export function pageOf(shard: Shard, from: Uint8Array, to: Uint8Array | null, records: number, now: number): PageReply {
  const items: PageItem[] = [];
  const next = visit(shard, from, to, record => {
    if (isLive(shard, record, now)) items.push([record.key, record.version, record.value]);
    return items.length < records;
  });
  return [items, next];
}

/** Sums over all records from `from` on, and how many of their keys are live. */
export function digestOf(shard: Shard, from: Uint8Array, now: number): DigestReply {
  const sums = [0, 0, 0, 0];
  let keys = 0;
  const next = visit(shard, from, null, record => {
    if (isLive(shard, record, now)) keys++;
    addDigest(sums, record.key, record.version);
    return true;
  });
  return [keys, sums, next];
}

/** Calls `look` until it has enough or the page is full. Where to go on; null at the end of the range. */
function visit(
  shard: Shard,
  from: Uint8Array,
  to: Uint8Array | null,
  look: (record: StoredRecord) => boolean,
): Uint8Array | null {
  const range = { from, limit: scanPageVisitsMax };
  let room = scanPageBytesMax;
  let visits = 0;
  for (const record of shard.scan(to === null ? range : { ...range, to })) {
    room -= record.key.length + record.version.length + record.value.length;
    const full = !look(record) || room <= 0 || ++visits === scanPageVisitsMax;
    if (full) return keyAfter(record.key);
  }
  return null;
}

function isLive(shard: Shard, record: StoredRecord, now: number): boolean {
  const set = decodeSet(record);
  if (isCorrupt(set)) {
    const message = `the record ${showKey(record.key)} of ${shard.name} is damaged: ${set.corrupt}`;
    throw new TroupeError('CORRUPT', message, { details: { shard: shard.name, key: showKey(record.key) } });
  }
  for (const entry of set.values()) if (entry.values.some(sibling => !isDead(sibling, now))) return true;
  return false;
}

/**
 * Adds a record to a sum that does not depend on the order of records. The clock stands for the values: a dot names one
 * write. Nothing is in it that one replica may have dropped and another not, such as what has expired (W35).
 */
function addDigest(sums: number[], key: Uint8Array, version: Uint8Array): void {
  const input = new Uint8Array(2 + key.length + version.length);
  input[0] = key.length >>> 8;
  input[1] = key.length & 255;
  input.set(key, 2);
  input.set(version, 2 + key.length);
  const hash = md5(input);
  const words = new DataView(hash.buffer, hash.byteOffset, hash.byteLength);
  for (let i = 0; i < 4; i++) sums[i] = ((sums[i] as number) + words.getUint32(i * 4)) >>> 0;
}
