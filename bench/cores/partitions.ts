// The partition of a key by our own MD5 of short keys, against node:crypto.

import { createHash, hash } from 'node:crypto';
import { partitionOf } from '../../src/runtime/partition.ts';
import type { Contender } from '../harness.ts';

const partitionBits = 6;

const keys: readonly string[] = Array.from({ length: 4_096 }, (_, i) => `user-${String(i * 7_919).padStart(11, '0')}`);

function contender(name: string, partition: (key: string) => number): Contender {
  return {
    name,
    async run(n) {
      let fold = 0;
      let done = 0;
      for (let i = 0; i < n; i++) {
        const found = partition(keys[i & 4_095] as string);
        fold = (Math.imul(fold, 31) + found) >>> 0;
        if (found < 1 << partitionBits) done++;
      }
      return { done, hash: fold };
    },
  };
}

const topBits = (digest: Buffer): number => (digest[0] as number) >>> (8 - partitionBits);

export const partitions = (): Contender[] => [
  contender('troupe partitionOf', key => partitionOf(key, 1 << partitionBits)),
  contender('crypto.hash', key => topBits(hash('md5', key, 'buffer'))),
  contender('crypto.createHash', key => topBits(createHash('md5').update(key).digest())),
];
