// A process of its own around an LMDB store: to be killed, to read what may crash it, or to fill its disk.
//
//   write <dir> <acks> <from>  commits groups numbered from <from> as fast as it can; appends each number to <acks> once
//                         it is acknowledged
//   read <dir>            reads every record in every way; prints what it found
//   fill <dir> <acks>     as write, without the guard for a full disk; by default it dies of it
//   fatal <dir>           the same with onFatal of its own; prints how every promise ended
//   lock <dir>            holds the lock of the directory until it is killed
//   import <dir>          begins an import that never ends
//   flood <dir> <shard>   terminates a thread that writes, and goes on writing itself; lmdb-js may end the process over it

import { once } from 'node:events';
import { appendFileSync, openSync, writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { TroupeError } from '../../src/errors.ts';
import { acquireDirLock } from '../../src/storage/dir-lock.ts';
import type { ShardChunk } from '../../src/storage/engine.ts';
import { LmdbStore } from '../../src/storage/lmdb-store.ts';

const [mode = '', dir = '', acks = '', from = '0'] = process.argv.slice(2);
const none = new Uint8Array(0);
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const inFlight = 32;

/** Says something to the parent at once, whatever happens next. */
function say(what: unknown): void {
  writeSync(1, `${JSON.stringify(what)}\n`);
}

/** Group n puts two records, in one of four shards. */
function commit(store: LmdbStore, n: number): Promise<void> {
  const shard = store.shard(`s/${n % 4}`);
  const ops = ['a', 'b'].map(part => ({
    type: 'put' as const,
    key: bytes(`${part}${n}`),
    version: none,
    value: bytes(`${n}`.padEnd(500, '.')),
  }));
  return shard.commit({ epoch: 3, fence: n % 2 ? 'shard' : 'record', ops }, 'committed');
}

async function write(store: LmdbStore): Promise<void> {
  const file = openSync(acks, 'a');
  let next = Number(from);
  const writer = async (): Promise<void> => {
    for (;;) {
      const n = next++;
      await commit(store, n);
      writeSync(file, `${n}\n`);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, writer));
}

async function terminate(shard: string): Promise<void> {
  const store = new LmdbStore({ dir });
  const worker = new Worker(new URL('./engine-worker.ts', import.meta.url), { workerData: { dir } });
  worker.postMessage({ do: 'flood', shard });
  await once(worker, 'message');
  await worker.terminate();
  const op = { type: 'put' as const, key: bytes(shard), version: none, value: bytes('x') };
  await store.shard('mine').commit({ epoch: 1, fence: 'shard', ops: [op] }, 'committed');
  await store.close();
  say('terminated');
}

async function fatal(): Promise<void> {
  const store = new LmdbStore({ dir, freeLowWater: 0, onFatal: why => say({ fatal: why.message }) });
  const ends = new Map<string, number>();
  let failed = false;
  let next = 0;
  const writer = async (): Promise<void> => {
    while (!failed) {
      await commit(store, next++).catch(why => {
        failed = true;
        const code = why instanceof TroupeError ? why.code : 'not a TroupeError';
        ends.set(code, (ends.get(code) ?? 0) + 1);
      });
    }
  };
  // Two batches: one that fails, and one that waits behind it.
  const late = Promise.all(Array.from({ length: inFlight }, writer));
  await late;
  const after = [
    store.shard('s/0').commit({ epoch: 3, fence: 'shard', ops: [] }, 'committed'),
    store.sync('committed'),
  ];
  const codes = await Promise.all(after.map(each => each.catch(why => why.code)));
  await store.close();
  say({ ends: Object.fromEntries(ends), codes });
  // Its heap may be damaged: no orderly end.
  process.kill(process.pid, 'SIGKILL');
}

function read(): void {
  const found = { ok: 0, wrong: 0, corrupt: 0, missing: 0 };
  const note = (run: () => 'ok' | 'wrong' | 'missing'): void => {
    try {
      found[run()]++;
    } catch (why) {
      if (!(why instanceof TroupeError) || why.code !== 'CORRUPT') throw why;
      found.corrupt++;
    }
  };
  const good = (n: number, value: Uint8Array): boolean => new TextDecoder().decode(value) === `${n}`.padEnd(500, '.');
  const store = new LmdbStore({ dir, freeLowWater: 0 });
  for (let n = 0; n < 1_000; n++) {
    const shard = store.shard(`s/${n % 4}`);
    note(() => {
      const record = shard.get(bytes(`a${n}`));
      if (!record) return 'missing';
      return good(n, record.value) && record.epoch === 3 ? 'ok' : 'wrong';
    });
  }
  for (const name of ['s/0', 's/1', 's/2', 's/3']) {
    note(() => {
      for (const record of store.shard(name).scan()) {
        if (!good(Number(new TextDecoder().decode(record.key).slice(1)), record.value)) return 'wrong';
      }
      return 'ok';
    });
  }
  say(found);
  process.kill(process.pid, 'SIGKILL');
}

async function beginImport(): Promise<void> {
  const store = new LmdbStore({ dir });
  for (let n = 0; n < 400; n++) void commit(store, n);
  await store.sync('committed');
  const chunks: ShardChunk[] = [];
  for await (const chunk of store.export('s/0')) chunks.push(chunk);
  const never = (async function* () {
    yield* chunks.slice(0, -1);
    await store.sync('committed');
    say('half');
    await new Promise(() => setInterval(() => {}, 1_000));
  })();
  await store.import('imported', never);
}

process.on('uncaughtException', why => {
  say({ died: String(why) });
  process.exit(7);
});

if (mode === 'write') await write(new LmdbStore({ dir }));
else if (mode === 'fill') await write(new LmdbStore({ dir, freeLowWater: 0 }));
else if (mode === 'fatal') await fatal();
else if (mode === 'read') read();
else if (mode === 'import') await beginImport();
else if (mode === 'flood') await terminate(acks);
else if (mode === 'lock') {
  await acquireDirLock(dir);
  say('locked');
  setInterval(() => {}, 1_000);
} else {
  appendFileSync(2, `no such mode: ${mode}\n`);
  process.exit(2);
}
