// What a host thread is told when it starts: plain data and shared memory, nothing else. Read by thread-main.ts, written by
// thread-pool.ts.

import type { MessagePort } from 'node:worker_threads';
import type { EngineOptions } from '../storage/engine.ts';
import type { NodeTableData } from './gateway/node-table.ts';
import type { LeaseWords } from './replicas/lease-guard.ts';
import type { FabricMemory } from './thread-port.ts';

export interface ThreadTask {
  readonly thread: number;
  readonly life: number;
  readonly threads: number;
  readonly node: string;
  readonly partitions: number;
  /** Partition table, as bytes (overseer.ts). */
  readonly table: Uint8Array;
  /** Current lives of all threads. */
  readonly lives: readonly number[];
  readonly fabric: FabricMemory;
  readonly epochs: { readonly base: number; readonly cells: Int32Array };
  /** Modules to import and the types they define, in the order all threads register them. */
  readonly types: readonly { readonly url: string; readonly type: string }[];
  readonly engine: EngineOptions;
  readonly residentsMax: number | undefined;
  readonly relocateTurnMs: number | undefined;
  /** For what cannot go through a ring: new rings, events and log lines of the host. */
  readonly control: MessagePort;
  readonly logging: boolean;
  /** Of a node among others: who owns what. */
  readonly nodes: NodeTableData | undefined;
  readonly leases: LeaseWords | undefined;
}

/** From the host thread to the pool. */
export type FromThread =
  | { readonly type: 'hello' }
  | { readonly type: 'replaced'; readonly thread: number }
  | { readonly type: 'event'; readonly name: string; readonly payload: unknown }
  | {
      readonly type: 'log';
      readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error';
      readonly fields: object;
      readonly message: string | undefined;
    };

/** From the pool to the host thread. */
export type ToThread = { readonly type: 'rings'; readonly rings: unknown } | { readonly type: 'stop' };
