// The work itself, the same for every engine, each run confirmed: what was put is read back, what was read is checked.

import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { drive } from '../drive.ts';
import type { BenchContext, Contender, Done } from '../harness.ts';
import { deviceBytes, writtenBytes } from '../proc.ts';
import type { Sampler } from '../stats.ts';
import { carries, emptyFolder, keyIn, makeValue, valueBytes } from '../store/side.ts';
import { type EngineSide, inShard, type Key, keysOf } from './side.ts';

export interface Work {
  readonly keys: number;
  readonly shards: number;
  readonly inFlight: number;
  readonly context: BenchContext;
  /** What was just written stays where it is: nothing behind the writers is waited for. */
  readonly fresh?: boolean;
}

/** An engine that is open and filled, and does n operations. */
type Run = (side: EngineSide, n: number, latency: Sampler) => Promise<Done>;

/** Makes a run for one contender; it begins to draw its keys anew. */
export type Kind = (work: Work) => { readonly run: Run; readonly filled: number };

const readBackMax = 64;
const choose = <Item>(from: readonly Item[], random: () => number): Item =>
  from[Math.floor(random() * from.length)] as Item;

/** Puts at random keys; the last of them are read back. */
export const puts: Kind = ({ keys: count, shards, inFlight, context }) => {
  const keys = keysOf(count, shards);
  const random = context.random();
  return { filled: 0, run: (side, n, latency) => putMany(side, { keys, n, inFlight, latency, random }) };
};

interface Puts {
  readonly keys: readonly Key[];
  readonly n: number;
  readonly inFlight: number;
  readonly latency: Sampler;
  readonly random: () => number;
}

async function putMany(side: EngineSide, { keys, n, inFlight, latency, random }: Puts): Promise<Done> {
  const chosen = Array.from({ length: n }, () => choose(keys, random));
  const began = performance.now();
  const acknowledged = await drive({
    n,
    inFlight,
    latency,
    ask: async index => {
      const key = chosen[index] as Key;
      await side.put(key, makeValue(key.number, index + 1));
    },
    ok: () => true,
  });
  const ms = performance.now() - began;
  let lost = 0;
  for (const key of new Set(chosen.slice(-readBackMax))) if (!carries(await side.get(key), key.number)) lost++;
  return { done: acknowledged - lost, ms };
}

/** Gets of keys that are there, after everything behind the writers has been done. */
export const gets: Kind = ({ keys: count, shards, inFlight, context }) => {
  const keys = keysOf(count, shards);
  const random = context.random();
  return {
    filled: count,
    async run(side, n, latency) {
      const chosen = Array.from({ length: n }, () => choose(keys, random));
      const began = performance.now();
      const done = await drive({
        n,
        inFlight,
        latency,
        ask: index => side.get(chosen[index] as Key),
        ok: (value, index) => carries(value, (chosen[index] as Key).number),
      });
      return { done, ms: performance.now() - began };
    },
  };
};

/** Gets of keys that nobody has put, each between two that are there. */
export const misses: Kind = ({ keys: count, shards, inFlight, context }) => {
  const keys = keysOf(count, shards, '-');
  const random = context.random();
  return {
    filled: count,
    async run(side, n, latency) {
      const chosen = Array.from({ length: n }, () => choose(keys, random));
      const began = performance.now();
      const ask = (index: number) => side.get(chosen[index] as Key);
      const done = await drive({ n, inFlight, latency, ask, ok: value => value === undefined });
      return { done, ms: performance.now() - began };
    },
  };
};

/** n records, shard after shard from the first, in the order of their keys; all engines must see the same in the same order. */
export const scans: Kind = ({ keys: count, shards }) => ({
  filled: count,
  async run(side, n) {
    if (side.scan === undefined) throw new Error('it has no order to scan in');
    let done = 0;
    let hash = 0;
    const visit = (value: Uint8Array): void => {
      hash = (Math.imul(hash, 31) + keyIn(value)) | 0;
      if (value.length === valueBytes) done++;
    };
    for (let shard = 0; shard < shards && done < n; shard++) {
      const before = done;
      const limit = n - done;
      await side.scan(shard, limit, visit);
      const expected = Math.min(limit, inShard(count, shards, shard));
      if (done - before !== expected) throw new Error(`${done - before} records in shard ${shard}, not ${expected}`);
    }
    return { done, hash };
  },
});

/** Nine gets to each put, in the order of the dice. */
export const mixed: Kind = ({ keys: count, shards, inFlight, context }) => {
  const keys = keysOf(count, shards);
  const random = context.random();
  return {
    filled: count,
    async run(side, n, latency) {
      const chosen = Array.from({ length: n }, () => choose(keys, random));
      const isPut = Uint8Array.from({ length: n }, () => (random() < 0.1 ? 1 : 0));
      const began = performance.now();
      const done = await drive<Uint8Array | undefined | true>({
        n,
        inFlight,
        latency,
        ask: index => {
          const key = chosen[index] as Key;
          return isPut[index] === 1 ? putOne(side, key, index + 1) : side.get(key);
        },
        ok: (value, index) => value === true || carries(value, (chosen[index] as Key).number),
      });
      return { done, ms: performance.now() - began };
    },
  };
};

async function putOne(side: EngineSide, key: Key, stamp: number): Promise<true> {
  await side.put(key, makeValue(key.number, stamp));
  return true;
}

/** A gauge: bytes written for each byte of key and value that was put, with all that was put off till later. */
export const written: Kind = ({ keys: count, shards, inFlight, context }) => {
  const keys = keysOf(count, shards);
  const random = context.random();
  return {
    filled: 0,
    async run(side, n, latency) {
      const before = readCounters(side, context);
      const { done } = await putMany(side, { keys, n, inFlight, latency, random });
      await settle(side, context);
      const after = readCounters(side, context);
      const bytes = n * (valueBytes + (keys[0] as Key).bytes.length);
      const more = Object.entries(after.more).map(([name, value]) => [
        name,
        (value - (before.more[name] ?? 0)) / bytes,
      ]);
      return { done, value: (after.process - before.process) / bytes, more: Object.fromEntries(more) };
    },
  };
};

function readCounters(side: EngineSide, { mode }: BenchContext): { process: number; more: Record<string, number> } {
  const process = writtenBytes(side.pid?.() ?? 'self');
  // What the kernel still holds back belongs to the bill; on a busy machine so does everybody else's.
  if (mode === 'full') execFileSync('sync');
  const device = deviceBytes(import.meta.dirname);
  const own = Object.entries(side.bytes?.() ?? {}).map(([name, bytes]) => [`${name} says`, bytes]);
  return { process, more: { ...(device === undefined ? {} : { 'device, all': device }), ...Object.fromEntries(own) } };
}

/** Opened in a folder of its own, filled, and gone without a trace at the end. */
export function engineContender(name: string, open: () => Promise<EngineSide>, kind: Kind, work: Work): Contender {
  let side: EngineSide | undefined;
  let folder: string | undefined;
  let made: ReturnType<Kind> | undefined;

  return {
    name,
    async setup() {
      side = await open();
      folder = emptyFolder();
      await side.open(folder, work.shards);
      made = kind(work);
      await fill(side, keysOf(made.filled, work.shards));
      if (!work.fresh) await settle(side, work.context);
    },
    run(n, latency) {
      if (side === undefined || made === undefined) throw new Error('run before setup');
      return made.run(side, n, latency);
    },
    settle: () => (side === undefined || work.fresh ? undefined : settle(side, work.context)),
    async teardown() {
      await side?.close();
      if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function fill(side: EngineSide, keys: readonly Key[]): Promise<void> {
  const valueFor = (key: Key): Buffer => makeValue(key.number, 0);
  if (side.fill) return side.fill(keys.map(key => [key, valueFor(key)] as const));
  const put = async (index: number): Promise<void> => {
    const key = keys[index] as Key;
    await side.put(key, valueFor(key));
  };
  await drive({ n: keys.length, inFlight: 1_000, ask: put, ok: () => true });
}

/** Until the process writes no more, where the engine does not say so itself. */
async function settle(side: EngineSide, { mode }: BenchContext): Promise<void> {
  if (side.settle) return side.settle();
  if (process.platform !== 'linux') return;
  const pid = side.pid?.() ?? 'self';
  for (let before = -1, now = writtenBytes(pid); now !== before; now = writtenBytes(pid)) {
    before = now;
    await new Promise(resolve => setTimeout(resolve, quietMs[mode]));
  }
}

/** A merge writes more often than this. */
const quietMs = { small: 5, full: 100 } as const;
