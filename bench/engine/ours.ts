// Our engines, as a thread of a node has them, without anything above: one group a put, fenced by the shard. The jobs pool
// makes runs and merges, as in a node.

import { join } from 'node:path';
import { Jobs } from '../../src/runtime/thread-jobs.ts';
import type { Ack, Engine, Shard } from '../../src/storage/engine.ts';
import { LmdbStore } from '../../src/storage/lmdb-store.ts';
import { TroupeStore } from '../../src/storage/troupe-store.ts';
import type { UpkeepStatus } from '../../src/storage/upkeep.ts';
import type { EngineSide } from './side.ts';

const version = new Uint8Array(0);

export function troupeEngine(ack: Ack): EngineSide {
  const jobs = new Jobs();
  let store: TroupeStore;
  return {
    ...engineSide(
      folder => {
        store = new TroupeStore({
          dir: join(folder, 'troupe'),
          // In their lanes: a merge holds still until a flush is done, which must not wait behind it.
          runJob: (module, name, argument, lane) => jobs.run(module.href, name, argument, {}, lane),
        });
        return store;
      },
      ack,
      () => jobs.stop(),
    ),
    settle: () => store.settle(),
    bytes() {
      const { log, upkeep } = store.describe() as { log: { bytes?: number }; upkeep: UpkeepStatus };
      const { bytesOut, bytesFlushed } = upkeep;
      const each = { log: log.bytes ?? 0, flushes: bytesFlushed, merges: bytesOut - bytesFlushed };
      return { ...each, engine: each.log + bytesOut };
    },
  };
}

/** It knows one moment only: what is committed is on the disk (src/storage/README.md). */
export const lmdbEngine = (): EngineSide =>
  engineSide(folder => new LmdbStore({ dir: join(folder, 'lmdb') }), 'committed');

function engineSide(make: (folder: string) => Engine, ack: Ack, closed?: () => Promise<void>): EngineSide {
  let engine: Engine;
  let shards: Shard[] = [];
  const shardOf = (index: number): Shard => shards[index] as Shard;
  return {
    async open(folder, count) {
      engine = make(folder);
      await engine.ready?.();
      shards = Array.from({ length: count }, (_, index) => engine.shard(`kv/bench/${index}`));
    },
    put: ({ shard, bytes }, value) =>
      shardOf(shard).commit({ epoch: 1, fence: 'shard', ops: [{ type: 'put', key: bytes, version, value }] }, ack),
    get: ({ shard, bytes }) => shardOf(shard).get(bytes)?.value,
    scan(shard, limit, visit) {
      for (const { value } of shardOf(shard).scan({ limit })) visit(value);
    },
    async close() {
      await engine.close();
      await closed?.();
    },
  };
}
