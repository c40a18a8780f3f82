// The nodes the store is tried on: everything on the calling thread, and on host threads; in memory, and on a disk.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import { type Node, type NodeOptions, type Store, type StoreOptions, startNode } from '../../src/index.ts';

export const kinds: readonly [name: string, threads: number, onDisk: boolean][] = [
  ['on one thread, in memory', 0, false],
  ['on one thread, on a disk', 0, true],
  ['on two host threads, in memory', 2, false],
  ['on two host threads, on a disk', 2, true],
];

export interface Shop {
  readonly node: Node;
  /** A store nobody has used before. */
  store(options?: StoreOptions): Promise<Store>;
}

/** One node for all tests of a describe; each takes a store of its own. */
export function sharedNode(threads: number, onDisk: boolean): Shop {
  let node: Node | undefined;
  let dataDir: string | undefined;
  let stores = 0;
  beforeAll(async () => {
    if (onDisk) dataDir = mkdtempSync(join(tmpdir(), 'troupe-store-'));
    node = await startNode({ threads, ...(dataDir === undefined ? {} : { dataDir }) });
  });
  afterAll(async () => {
    await node?.stop();
    if (dataDir !== undefined) rmSync(dataDir, { recursive: true, force: true });
  });
  return {
    get node() {
      return node as Node;
    },
    store: options => (node as Node).store(`s${stores++}`, options),
  };
}

export function newDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'troupe-store-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

export async function startedNode(options: NodeOptions): Promise<Node> {
  const node = await startNode(options);
  onTestFinished(() => node.stop({ drainMs: 1_000 }));
  return node;
}

/** How a promise ends: its value, or the error. */
export function ending(promise: Promise<unknown>): Promise<unknown> {
  return promise.catch(error => error);
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** Waits for what comes about by itself; the time limit of the test ends it. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise(resolve => setTimeout(resolve, 5));
}
