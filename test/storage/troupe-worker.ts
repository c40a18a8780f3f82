// A worker thread with a troupe store of its own on the memory of the first thread: does what the parent asks, and says how it ended.

import { parentPort, workerData } from 'node:worker_threads';
import type { SharedDiskMemory } from '../../src/storage/shared-disk.ts';
import { TroupeStore } from '../../src/storage/troupe-store.ts';

export type Ask =
  | {
      readonly do: 'put';
      readonly shard: string;
      readonly epoch: number;
      readonly from: number;
      readonly to: number;
      readonly mark: string;
    }
  | { readonly do: 'get'; readonly shard: string; readonly key: string }
  | { readonly do: 'scan'; readonly shard: string }
  | { readonly do: 'flood'; readonly shard: string }
  | { readonly do: 'seal' | 'close' };

const { dir, memory, thread } = workerData as { dir: string; memory: SharedDiskMemory; thread: number };
const store = new TroupeStore({ dir, memory, thread });
const none = new Uint8Array(0);
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function commit(shard: string, epoch: number, key: string, value: string): Promise<void> {
  const op = { type: 'put' as const, key: bytes(key), version: none, value: bytes(value) };
  return store.shard(shard).commit({ epoch, fence: 'shard', ops: [op] }, 'committed');
}

async function answer(ask: Ask): Promise<unknown> {
  switch (ask.do) {
    case 'put': {
      const all = [];
      for (let n = ask.from; n < ask.to; n++) all.push(commit(ask.shard, ask.epoch, `k${n}`, `${ask.mark}${n}`));
      return Promise.all(all).then(
        () => 'ok',
        why => why.code,
      );
    }
    case 'get': {
      const record = store.shard(ask.shard).get(bytes(ask.key));
      return record && new TextDecoder().decode(record.value);
    }
    case 'scan':
      return [...store.shard(ask.shard).scan()].map(({ value }) => new TextDecoder().decode(value));
    case 'flood': {
      let next = 0;
      const writer = async (): Promise<void> => {
        for (;;) {
          const n = next++;
          await commit(ask.shard, 1, `k${n % 3_000}`, `${n}`.padEnd(500, '.'));
          // Told before anybody else may write: what the parent has heard of must be there.
          parentPort?.postMessage(n);
        }
      };
      for (let at = 0; at < 32; at++) void writer();
      return undefined;
    }
    case 'seal':
      await store.settle();
      return 'sealed';
    case 'close':
      await store.close();
      return 'closed';
  }
}

parentPort?.on('message', async (ask: Ask) => {
  const result = await answer(ask);
  if (ask.do !== 'flood') parentPort?.postMessage(result);
  if (ask.do === 'close') parentPort?.close();
});
