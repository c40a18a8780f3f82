// Hot path: where a key belongs. A ring of Q equal partitions, Q a power of two, is addressed by the top log2(Q) bits of
// MD5(key), so the partition of a key never depends on who is in the cluster, and doubling Q only splits partitions:
//
//     MD5('key0') = 21f402f2...   0010 00|01 1111 ...   Q = 64: six bits -> partition 8
//
// MD5 spreads well enough that 16-character keys fill equal partitions evenly; a faster hash would save 0.3 us on keys that
// were not cached and lose the worked examples everybody can check (`printf key0 | md5sum`).

import { TroupeError } from '../errors.ts';
import { partitionsMax } from '../limits.ts';
import { md5First32 } from './md5.ts';
import { show } from './show.ts';

/** 0 .. partitions - 1. Strings count as UTF-8. `partitions` must have passed checkPartitions once. */
export function partitionOf(key: string | Uint8Array, partitions: number): number {
  const bits = 31 - Math.clz32(partitions);
  return bits === 0 ? 0 : md5First32(key) >>> (32 - bits);
}

export function checkPartitions(partitions: unknown): number {
  const count = typeof partitions === 'number' ? partitions : Number.NaN;
  if (Number.isInteger(count) && count >= 1 && count <= partitionsMax && (count & (count - 1)) === 0) return count;
  throw new TroupeError(
    'BAD_OPTION',
    `partitions must be a power of two from 1 to ${partitionsMax}, got ${show(partitions)}; 64 suits most clusters`,
    { details: { option: 'partitions' } },
  );
}

/**
 * A fast 32-bit hash of the UTF-16 units, for tables inside one process: FNV-1a, then the finisher of MurmurHash3, without
 * which FNV's low bits (the ones a table masks out) hardly depend on the first characters. Never put it on a disk or a wire.
 */
export function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
