// What has to happen in a process of its own, because it is killed, or because its memory is what we measure. It prints one
// line of JSON.
//
//   child.ts log <folder> <records>                  writes a log that nobody flushes, says so, and waits to be killed
//   child.ts recover <folder> <records>              opens what is left, and counts it
//   child.ts load <troupe | level> <folder> <records>     loads records and closes
//   child.ts open <troupe | level> <folder> <records>     opens them: time, memory, handles, a few gets
//   child.ts vnodes <folder> <vnodes> <records>      a node with so many vnodes awake
//
// Records here are small, 100 bytes: there are more of them for the same data, and what an engine keeps in memory is by the record.

import { join } from 'node:path';
import type { ClassicLevel } from 'classic-level';
import { Jobs } from '../../src/runtime/thread-jobs.ts';
import type { RunJob } from '../../src/storage/engine.ts';
import { TroupeStore } from '../../src/storage/troupe-store.ts';
import { drive } from '../drive.ts';
import { anonymousBytes, bytesOnDisk, handlesCount } from '../proc.ts';
import { seededRandom } from '../stats.ts';

const shards = 16;
const valueBytes = 100;
const groupMax = 256;
const getsMax = 10_000;
const none = new Uint8Array(0);
/** Values are pieces of it: nothing is gained by compressing them. */
const noise: Buffer = (() => {
  const random = seededRandom(11);
  return Buffer.from(Uint8Array.from({ length: 1 << 16 }, () => random() * 256));
})();

const keyOf = (number: number): string => `r${String(number).padStart(9, '0')}`;
const shardOf = (number: number): string => `kv/bench/${Math.floor(number / groupMax) % shards}`;

function recordValue(number: number): Buffer {
  const from = (number * 997) % (noise.length - valueBytes);
  const made = Buffer.from(noise.subarray(from, from + valueBytes));
  made.writeUInt32LE(number, 0);
  return made;
}

const jobs = new Jobs();
const inJobsPool: RunJob = (module, name, argument, lane) => jobs.run(module.href, name, argument, {}, lane);
/** As a node with one thread beside its own. */
const writers = 2;

const openTroupe = (folder: string, runJob: RunJob = inJobsPool): TroupeStore =>
  new TroupeStore({ dir: join(folder, 'troupe'), writers, runJob });

/** In groups, eight of them under way at a time. */
async function putAll(store: TroupeStore, records: number): Promise<void> {
  const groups = Math.ceil(records / groupMax);
  const put = async (group: number): Promise<void> => {
    const from = group * groupMax;
    const ops = Array.from({ length: Math.min(groupMax, records - from) }, (_, at) => ({
      type: 'put' as const,
      key: Buffer.from(keyOf(from + at)),
      version: none,
      value: recordValue(from + at),
    }));
    await store.shard(shardOf(from)).commit({ epoch: 1, fence: 'shard', ops }, 'committed');
  };
  await drive({ n: groups, inFlight: 8, ask: put, ok: () => true });
}

async function log(folder: string, records: number): Promise<never> {
  // A flush that never ends: the log is as long as it can be when the process is killed.
  const store = openTroupe(folder, () => new Promise(() => {}));
  await store.ready();
  await putAll(store, records);
  const { log: described } = store.describe() as { log: { segments: number; bytes: number } };
  process.stdout.write(`${JSON.stringify({ segments: described.segments, bytes: described.bytes })}\n`);
  setInterval(() => {}, 1_000);
  return new Promise(() => {});
}

async function recover(folder: string, records: number): Promise<object> {
  const before = anonymousBytes();
  const began = performance.now();
  const store = openTroupe(folder);
  await store.ready();
  const readyMs = performance.now() - began;
  const memory = anonymousBytes() - before;
  await store.settle();
  const settledMs = performance.now() - began;
  let found = 0;
  for (let shard = 0; shard < shards; shard++) found += store.shard(`kv/bench/${shard}`).count();
  if (found === records)
    getSome(records, number => store.shard(shardOf(number)).get(Buffer.from(keyOf(number)))?.value);
  await store.close();
  return { found, readyMs, settledMs, memory };
}

/** Random gets, checked; microseconds each. */
function getSome(records: number, get: (number: number) => Uint8Array | undefined): number {
  const random = seededRandom(5);
  const n = Math.min(getsMax, records);
  const began = performance.now();
  for (let at = 0; at < n; at++) {
    const number = Math.floor(random() * records);
    const bytes = get(number);
    if (bytes === undefined || !recordValue(number).equals(bytes))
      throw new Error(`record ${number} is not what was put`);
  }
  return ((performance.now() - began) * 1_000) / n;
}

async function load(engine: string, folder: string, records: number): Promise<object> {
  const began = performance.now();
  if (engine === 'troupe') {
    const store = openTroupe(folder);
    await store.ready();
    await putAll(store, records);
    await store.settle();
    await store.close();
  } else {
    const db = await openLevel(folder);
    for (let from = 0; from < records; from += groupMax) {
      const batch = db.batch();
      for (let at = from; at < Math.min(from + groupMax, records); at++) batch.put(keyOf(at), recordValue(at));
      await batch.write();
    }
    await db.close();
  }
  return { seconds: (performance.now() - began) / 1_000, bytes: bytesOnDisk(folder) };
}

async function openLevel(folder: string): Promise<ClassicLevel<string, Buffer>> {
  const { ClassicLevel } = await import('classic-level');
  const db = new ClassicLevel<string, Buffer>(join(folder, 'level'), { keyEncoding: 'utf8', valueEncoding: 'buffer' });
  await db.open();
  return db;
}

async function open(engine: string, folder: string, records: number): Promise<object> {
  if (engine === 'level') await import('classic-level'); // loading the library is not opening the data
  const [bareMemory, bareHandles] = [anonymousBytes(), handlesCount()];
  const began = performance.now();
  const opened = engine === 'troupe' ? await openedTroupe(folder) : await openedLevel(folder);
  const readyMs = performance.now() - began;
  if (opened.get(0) === undefined) throw new Error('the first record is gone');
  const firstGetMs = performance.now() - began;
  const memory = anonymousBytes() - bareMemory;
  const getUs = getSome(records, opened.get);
  const result = {
    found: records,
    readyMs,
    firstGetMs,
    memory,
    getUs,
    memoryAfterGets: anonymousBytes() - bareMemory,
    handles: handlesCount() - bareHandles,
  };
  await opened.close();
  return result;
}

interface Opened {
  get(number: number): Uint8Array | undefined;
  close(): Promise<void>;
}

async function openedTroupe(folder: string): Promise<Opened> {
  const store = openTroupe(folder);
  await store.ready();
  return {
    get: number => store.shard(shardOf(number)).get(Buffer.from(keyOf(number)))?.value,
    close: () => store.close(),
  };
}

async function openedLevel(folder: string): Promise<Opened> {
  const db = await openLevel(folder);
  return { get: number => db.getSync(keyOf(number)), close: () => db.close() };
}

async function vnodes(folder: string, partitions: number, records: number): Promise<object> {
  const { startNode } = await import('../../src/index.ts');
  const node = await startNode({ name: 'bench', dataDir: join(folder, 'data'), partitions });
  const [bareMemory, bareHandles] = [await settledMemory(), handlesCount()];
  const store = await node.store('bench', { n: 1, r: 1, w: 1, siblings: false });
  const found = await drive({
    n: records,
    inFlight: 64,
    ask: async number => {
      await store.put(keyOf(number), recordValue(number));
      return store.get(keyOf(number));
    },
    ok: ({ found: isThere }) => isThere,
  });
  const result = { found, memory: (await settledMemory()) - bareMemory, handles: handlesCount() - bareHandles };
  await node.stop();
  return { ...result, bareMemory, bareHandles };
}

async function settledMemory(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    await new Promise(resolve => setTimeout(resolve, 50));
  }
  return anonymousBytes();
}

const [verb = '', ...rest] = process.argv.slice(2);
const [first = '', second = '', third = ''] = rest;
const verbs: Record<string, () => Promise<object>> = {
  log: () => log(first, Number(second)),
  recover: () => recover(first, Number(second)),
  load: () => load(first, second, Number(third)),
  open: () => open(first, second, Number(third)),
  vnodes: () => vnodes(first, Number(second), Number(third)),
};
const run = verbs[verb];
if (run === undefined) throw new Error(`nothing is named ${verb}`);
process.stdout.write(`${JSON.stringify(await run())}\n`);
await jobs.stop();
process.exit(0);
