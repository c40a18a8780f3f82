// A process of its own around a troupe store, to be killed: commits groups numbered from <from> as fast as it can, and appends each
// number to <acks> once it is acknowledged. Small segments, so that flushes, merges and recycling go on all the time.
//
//   troupe-child.ts <dir> <acks> <from>

import { openSync, writeSync } from 'node:fs';
import { TroupeStore } from '../../src/storage/troupe-store.ts';

const [dir = '', acks = '', from = '0'] = process.argv.slice(2);
const none = new Uint8Array(0);
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const inFlight = 32;
/** Keys come round again, so that versions of them lie in several segments and runs. */
const keys = 5_000;

const store = new TroupeStore({ dir, segmentBytes: 1 << 20 });
await store.ready();
const file = openSync(acks, 'a');
let next = Number(from);

/** Group n puts two records of equal number, in one of four shards; every seventh deletes one of them instead. */
async function writer(): Promise<void> {
  for (;;) {
    const n = next++;
    const ops = ['a', 'b'].map(part => {
      const key = bytes(`${part}${n % keys}`);
      if (part === 'b' && n % 7 === 0) return { type: 'delete' as const, key };
      return { type: 'put' as const, key, version: none, value: bytes(`${n}`.padEnd(300, '.')) };
    });
    const ack = n % 3 === 0 ? 'flushed' : 'committed';
    await store.shard(`kv/${n % 4}`).commit({ epoch: 3, fence: 'shard', ops }, ack);
    writeSync(file, `${n}\n`);
  }
}

for (let at = 0; at < inFlight; at++) void writer();
writeSync(1, 'ready\n');
