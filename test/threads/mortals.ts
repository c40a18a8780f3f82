// What the tests of deaths share: a node on a disk of its own, ways to kill one of its threads, patience.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { type ActorType, type Node, type NodeOptions, type Ref, startNode, tell } from '../../src/index.ts';
import { deathTypes, type Kill, type Killer, Killer1T, Killer2T, type Life } from './actors/deaths.ts';
import { until } from './until.ts';

export interface Mortals {
  readonly node: Node;
  killer(thread: number): Ref<Killer>;
  die(thread: number, how: Kill | 'terminate'): Promise<void>;
  /** The worker behind a host thread: what somebody outside could terminate. */
  workerOf(thread: number): Promise<Worker>;
  /** Actors of a type that live on a thread, awake: each has been told add() once. */
  living(type: ActorType<Life>, thread: number, count: number): Promise<Ref<Life>[]>;
  end(): Promise<void>;
}

export async function startMortals(options: NodeOptions = {}): Promise<Mortals> {
  const dir = await mkdtemp(join(tmpdir(), 'troupe-deaths-'));
  const node = await startNode({
    name: 'd',
    threads: 2,
    actors: deathTypes,
    dataDir: dir,
    diskFreeLowWater: 1 << 20,
    ...options,
  });
  const killer = (thread: number) => (thread === 1 ? node.ref(Killer1T, 'k') : node.ref(Killer2T, 'k'));
  const workerOf = async (thread: number): Promise<Worker> => {
    const id = await killer(thread).thread();
    const { threads } = (node as unknown as { troupe: { pool: { pool: { threads: Worker[] } } } }).troupe.pool.pool;
    return threads.find(each => each.threadId === id) as Worker;
  };
  return {
    node,
    killer,
    workerOf,
    async die(thread, how) {
      if (how === 'terminate') await (await workerOf(thread)).terminate();
      else tell(killer(thread)).kill(how);
    },
    async living(type, thread, count) {
      const found: Ref<Life>[] = [];
      for (let i = 0; found.length < count; i++) {
        const ref = node.ref(type, `l${i}`);
        if ((await node.locate(ref)).thread !== thread) continue;
        await ref.add();
        found.push(ref);
      }
      return found;
    },
    async end() {
      await node.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** The answer, as soon as there is one. */
export async function eventually<T>(what: string, ask: () => Promise<T>): Promise<T> {
  let answer: { value: T } | undefined;
  await until(what, async () => {
    try {
      answer = { value: await ask() };
      return true;
    } catch {
      return false;
    }
  });
  return (answer as unknown as { value: T }).value;
}
