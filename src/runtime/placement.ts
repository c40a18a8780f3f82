// Where an actor lives inside one node, before anything has moved it: a table from partition to thread, the same on every
// thread. Pure; the overseer (thread 0) changes the table when a thread dies, and tells the others.
//
//     type/key ──placement──▶ ring, local: partition = top bits of MD5(key) ─▶ table ─▶ thread
//                             pool: the asking thread itself      pinned: the thread its type names

import type { ActorSpec } from './define-actor.ts';
import { partitionOf } from './partition.ts';

export type PartitionTable = Uint16Array;

/** Partitions spread over the host threads in turn; over the calling thread only when there is no other. */
export function spread(partitions: number, threads: readonly number[]): PartitionTable {
  const table = new Uint16Array(partitions);
  for (let p = 0; p < partitions; p++) table[p] = threads[p % threads.length] as number;
  return table;
}

/**
 * The table after a thread has died: its partitions go to the live host threads that have fewest, the others stay. Where no
 * other lives they wait for its next life: what has ended a host thread must not come to the calling one.
 */
export function without(table: PartitionTable, gone: number, live: readonly number[]): PartitionTable {
  const next = table.slice();
  if (live.length === 0) return next;
  const load = new Map(live.map(thread => [thread, 0]));
  for (const thread of next) load.set(thread, (load.get(thread) ?? 0) + 1);
  for (let p = 0; p < next.length; p++) {
    if (next[p] !== gone) continue;
    let least = live[0] as number;
    for (const thread of live) if ((load.get(thread) as number) < (load.get(least) as number)) least = thread;
    next[p] = least;
    load.set(least, (load.get(least) as number) + 1);
  }
  return next;
}

/** The thread an actor belongs to when nothing has moved it. */
export function homeOf(spec: ActorSpec, key: string, table: PartitionTable, self: number, threads: number): number {
  switch (spec.placement) {
    case 'pool':
      return self;
    case 'node':
      return 0;
    case 'pinned':
      return Math.min(spec.thread, threads - 1);
    default:
      return table[partitionOf(key, table.length)] as number;
  }
}

/** A child's key names its thread: NUL, thread, '.', epoch, '.', number. -1 when it is not a child's key. */
export function threadOfChild(key: string): number {
  return key.charCodeAt(0) === 0 ? Number(key.slice(1, key.indexOf('.'))) : -1;
}
