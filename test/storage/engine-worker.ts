// A worker thread with an LMDB store of its own: does what the parent asks, and says how it ended.

import { parentPort, workerData } from 'node:worker_threads';
import { LmdbStore } from '../../src/storage/lmdb-store.ts';

type Ask =
  | {
      readonly do: 'commit';
      readonly shard: string;
      readonly epoch: number;
      readonly fence: 'shard' | 'record';
      readonly puts: [string, string][];
    }
  | { readonly do: 'get' | 'drop' | 'count'; readonly shard: string; readonly key?: string }
  | { readonly do: 'flood'; readonly shard: string }
  | { readonly do: 'names' | 'close' };

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const none = new Uint8Array(0);
const store = new LmdbStore({ dir: (workerData as { dir: string }).dir });

function commit(shard: string, epoch: number, fence: 'shard' | 'record', puts: [string, string][]): Promise<void> {
  const ops = puts.map(([key, value]) => ({
    type: 'put' as const,
    key: bytes(key),
    version: none,
    value: bytes(value),
  }));
  return store.shard(shard).commit({ epoch, fence, ops }, 'committed');
}

/** Pairs of records, one group each, for ever: whoever stops this thread must not find half a pair. */
function flood(shard: string): void {
  let next = 0;
  const writer = async (): Promise<void> => {
    for (;;) {
      const n = next++;
      await commit(shard, 1, 'record', [
        [`a${n}`, 'x'.repeat(200)],
        [`b${n}`, 'x'.repeat(200)],
      ]);
      if (n === 300) parentPort?.postMessage('flooding');
    }
  };
  for (let at = 0; at < 64; at++) void writer();
}

async function answer(ask: Ask): Promise<unknown> {
  switch (ask.do) {
    case 'commit':
      return commit(ask.shard, ask.epoch, ask.fence, ask.puts).then(
        () => 'ok',
        why => why.code,
      );
    case 'get': {
      const record = store.shard(ask.shard).get(bytes(ask.key ?? ''));
      return record && new TextDecoder().decode(record.value);
    }
    case 'drop':
      return store.drop(ask.shard).then(() => 'ok');
    case 'count':
      return store.shard(ask.shard).count();
    case 'names':
      return store.shards();
    case 'close':
      await store.close();
      return 'closed';
    case 'flood':
      return flood(ask.shard);
  }
}

parentPort?.on('message', async (ask: Ask) => {
  const result = await answer(ask);
  if (ask.do !== 'flood') parentPort?.postMessage(result);
  if (ask.do === 'close') parentPort?.close();
});
