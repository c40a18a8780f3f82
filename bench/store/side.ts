// What a store has to do to take part: put a value and say so only when it is as durable as its row claims, and get it
// back. Keys are `key-000042`, values 1 KiB of noise that carries the number of its key and of the put that wrote it.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { drive } from '../drive.ts';
import type { Contender, Done } from '../harness.ts';
import { type Sampler, seededRandom } from '../stats.ts';

export interface StoreSide {
  /** `folder` is empty and on a real disk. */
  open(folder: string): Promise<void> | void;
  put(key: string, value: Buffer): Promise<unknown> | unknown;
  get(key: string): Promise<Buffer | undefined> | Buffer | undefined;
  /** Puts many before a bench of gets, where doing it one by one would take minutes. */
  fill?(entries: Iterable<readonly [key: string, value: Buffer]>): void;
  /** Shows at most `limit` records from `from` on and before `to`, in the order of their keys. */
  scan?(range: ScanOf, visit: (key: string, value: Buffer) => void): Promise<void> | void;
  /** Resolves when what goes on behind the writers is done. */
  settle?(): Promise<void>;
  /** Of a server of its own: the process that does the writing. */
  pid?(): number | undefined;
  describe?(): Promise<Record<string, unknown>>;
  close(): Promise<void> | void;
}

export interface ScanOf {
  readonly from: string;
  readonly to: string;
  readonly limit: number;
}

export const valueBytes = 1_024;

export const keyOf = (index: number): string => `key-${String(index).padStart(6, '0')}`;

/** Noise, so that nothing is gained by compressing it. Made once: making it is not what we measure. */
const noise: readonly Buffer[] = (() => {
  const random = seededRandom(11);
  return Array.from({ length: 64 }, () => Buffer.from(Uint8Array.from({ length: valueBytes }, () => random() * 256)));
})();

/** A fresh buffer a put: a client may still hold the last one. */
export function makeValue(key: number, stamp: number): Buffer {
  const value = Buffer.from(noise[stamp & 63] as Buffer);
  value.writeUInt32LE(key, 0);
  value.writeUInt32LE(stamp, 4);
  return value;
}

export const carries = (value: Uint8Array | undefined, key: number): boolean =>
  value !== undefined && value.length === valueBytes && keyIn(value) === key;

/** The number of its key that a value carries. */
export const keyIn = (value: Uint8Array): number =>
  ((value[0] as number) | ((value[1] as number) << 8) | ((value[2] as number) << 16)) + (value[3] as number) * 2 ** 24;

interface Work {
  readonly name: string;
  readonly open: () => Promise<StoreSide>;
  readonly keys: number;
  readonly inFlight: number;
  readonly random: () => number;
}

/** Puts at random keys. Confirmed by the acknowledgements and by reading the last of them back, unmeasured. */
export function puts({ name, open, keys, inFlight, random }: Work): Contender {
  const readBackMax = 64;
  const last = new Map<number, number>();
  let stamps = 0;

  return storeContender(name, open, 0, async (side, n, latency) => {
    last.clear();
    const chosen = Uint32Array.from({ length: n }, () => Math.floor(random() * keys));
    const began = performance.now();
    const acknowledged = await drive({
      n,
      inFlight,
      latency,
      ask: async index => side.put(keyOf(chosen[index] as number), makeValue(chosen[index] as number, ++stamps)),
      ok: () => true,
    });
    const ms = performance.now() - began;
    let lost = 0;
    for (const key of new Set(chosen.slice(-readBackMax))) if (!carries(await side.get(keyOf(key)), key)) lost++;
    return { done: acknowledged - lost, ms };
  });
}

/** Gets of random keys that are all there; each answer is checked. */
export function gets({ name, open, keys, inFlight, random }: Work): Contender {
  return storeContender(name, open, keys, async (side, n, latency) => {
    const chosen = Uint32Array.from({ length: n }, () => Math.floor(random() * keys));
    const done = await drive({
      n,
      inFlight,
      latency,
      ask: index => side.get(keyOf(chosen[index] as number)),
      ok: (value, index) => carries(value, chosen[index] as number),
    });
    return { done };
  });
}

/** Gets of keys that nobody has put, each between two that are there. */
export function misses({ name, open, keys, inFlight, random }: Work): Contender {
  return storeContender(name, open, keys, async (side, n, latency) => {
    const missing = Array.from({ length: n }, () => `${keyOf(Math.floor(random() * keys))}-`);
    const done = await drive({
      n,
      inFlight,
      latency,
      ask: index => side.get(missing[index] as string),
      ok: value => value === undefined,
    });
    return { done };
  });
}

/** Opened in a folder of its own with `filled` keys in it, and gone without a trace at the end. */
function storeContender(
  name: string,
  open: () => Promise<StoreSide>,
  filled: number,
  run: (side: StoreSide, n: number, latency: Sampler) => Promise<Done>,
): Contender {
  let side: StoreSide | undefined;
  let folder: string | undefined;

  return {
    name,
    async setup() {
      side = await open();
      folder = emptyFolder();
      await side.open(folder);
      await fill(side, filled);
    },
    run(n, latency) {
      if (side === undefined) throw new Error('run before setup');
      return run(side, n, latency);
    },
    settle: () => side?.settle?.() ?? Promise.resolve(),
    async teardown() {
      await side?.close();
      if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function fill(side: StoreSide, count: number): Promise<void> {
  if (side.fill) side.fill(entries(count));
  else await drive({ n: count, inFlight: 1_000, ask: async key => side.put(...entry(key)), ok: () => true });
}

const entry = (key: number) => [keyOf(key), makeValue(key, 0)] as const;

function* entries(count: number) {
  for (let key = 0; key < count; key++) yield entry(key);
}

/** Beside the sources, not in /tmp: that is memory on many machines, and a sync to memory costs nothing. */
export function emptyFolder(): string {
  const parent = join(import.meta.dirname, '../../.tmp');
  mkdirSync(parent, { recursive: true });
  return mkdtempSync(join(parent, 'bench-store-'));
}
