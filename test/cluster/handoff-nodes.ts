// Real nodes whose partitions are handed on by wishes: what the ring says besides is theirs, the code that moves it too.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ActorType, type Node, type NodeOptions, startNode } from '../../src/index.ts';
import type { Cluster } from '../../src/runtime/cluster/cluster.ts';
import type { TransferStatus } from '../../src/runtime/cluster/handoff-hooks.ts';
import type { Gateway } from '../../src/runtime/gateway/gateway.ts';
import type { Host } from '../../src/runtime/host.ts';
import { partitionOf } from '../../src/runtime/partition.ts';
import type { Engine } from '../../src/storage/engine.ts';
import { until } from '../threads/until.ts';
import { handoffTypes } from './handoff-actors.ts';

export interface Inside {
  readonly gateway: Gateway;
  readonly cluster: Cluster;
  readonly host: Host;
  readonly engine: Engine;
}

export function inside(node: Node): Inside {
  const { troupe, joined } = node as unknown as { troupe: { gateway: Gateway; host: Host }; joined: Cluster };
  return { gateway: troupe.gateway, cluster: joined, host: troupe.host, engine: troupe.host.engine };
}

export interface Gate {
  /** Everything is on the other node, and stands still. */
  readonly reached: Promise<void>;
  open(): void;
  refuse(error: Error): void;
}

export const partitions = 16;

export class Nodes {
  readonly nodes = new Map<string, Node>();
  readonly #options = new Map<string, NodeOptions>();
  readonly #wishes = new Map<string, Map<number, string>>();
  readonly #gates = new Map<number, () => Promise<void>>();
  readonly #dirs: string[] = [];

  node(name: string): Node {
    return this.nodes.get(name) as Node;
  }

  /** n1 founds the ring and owns all of it; the others join. */
  async start(names: readonly string[], options: NodeOptions & { durable?: boolean } = {}): Promise<void> {
    const { durable = false, ...rest } = options;
    for (const name of names) {
      const first = this.nodes.values().next().value;
      const own: NodeOptions = {
        threads: 0,
        partitions,
        autoJoin: false,
        actors: handoffTypes,
        listen: '127.0.0.1:0',
        ...rest,
        name,
      };
      const at = durable ? { dataDir: this.#dir(name) } : {};
      const seeds = first === undefined ? [] : [first.cluster.address];
      await this.#start(name, { ...own, ...at, join: seeds });
    }
    await until('all know each other', () =>
      [...this.nodes.values()].every(node => names.every(name => inside(node).cluster.isUp(name))),
    );
  }

  #dir(name: string): string {
    const dir = mkdtempSync(join(tmpdir(), `troupe-handoff-${name}-`));
    this.#dirs.push(dir);
    return dir;
  }

  async #start(name: string, options: NodeOptions): Promise<void> {
    const node = await startNode(options);
    this.nodes.set(name, node);
    await node.ready();
    this.#options.set(name, { ...options, listen: node.cluster.address });
    this.#wishes.set(name, new Map());
    this.#attach(name);
  }

  /** The same directory and address. */
  async again(name: string): Promise<void> {
    await this.#start(name, this.#options.get(name) as NodeOptions);
  }

  #attach(name: string): void {
    const { cluster, gateway } = inside(this.node(name));
    const wishes = this.#wishes.get(name) as Map<number, string>;
    gateway.handoffs.attach({
      handOn: async (partition, to) => {
        await this.#gates.get(partition)?.();
        return cluster.handOn(partition, to);
      },
      ringStored: () => cluster.ringStored(),
      isUp: other => cluster.isUp(other),
      effectiveRing: () => {
        const ring = cluster.effectiveRing();
        if (ring === undefined) return undefined;
        const own = [...wishes].filter(([partition, to]) => ring.owners[partition] === name && to !== name);
        return { ...ring, next: own.map(([partition, to]) => ({ partition, from: name, to })) };
      },
    });
  }

  /** From now on, until it is done or unwished. */
  wish(partition: number, to: string): void {
    for (const [name, wishes] of this.#wishes) {
      wishes.set(partition, to);
      if (this.nodes.has(name)) inside(this.node(name)).gateway.handoffs.ringChanged();
    }
  }

  unwish(partition: number): void {
    for (const [name, wishes] of this.#wishes) {
      wishes.delete(partition);
      if (this.nodes.has(name)) inside(this.node(name)).gateway.handoffs.ringChanged();
    }
  }

  owner(partition: number, by: string = 'n1'): string {
    return inside(this.node(by)).cluster.effectiveRing()?.owners[partition] as string;
  }

  /** Resolves when everybody goes by the new owner, and the old one has nothing left to do. */
  async hand(partition: number, to: string): Promise<void> {
    const from = this.owner(partition);
    this.wish(partition, to);
    await this.arrived(partition, to);
    await until(`${from} is done with ${partition}`, () => this.isIdle(from));
    this.unwish(partition);
  }

  /** The next handoffs of that partition come to where it is decided, and wait there; or are refused. */
  gate(partition: number): Gate {
    const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
    const { promise: decided, resolve: open, reject: refuse } = Promise.withResolvers<void>();
    decided.catch(() => undefined);
    const over = (): void => void this.#gates.delete(partition);
    this.#gates.set(partition, () => {
      reach();
      return decided;
    });
    return {
      reached,
      open: () => {
        over();
        open();
      },
      refuse: error => {
        over();
        refuse(error);
      },
    };
  }

  async arrived(partition: number, to: string): Promise<void> {
    try {
      await until(`partition ${partition} is of ${to}`, () =>
        [...this.nodes.keys()].every(name => this.owner(partition, name) === to),
      );
    } catch (error) {
      const states = [...this.nodes].map(([name, node]) => [name, inside(node).gateway.handoffs.describe()]);
      throw new Error(`${(error as Error).message}: ${JSON.stringify(states)}`);
    }
  }

  isIdle(name: string): boolean {
    const { running } = inside(this.node(name)).gateway.handoffs.describe() as { running: unknown[] };
    return running.length === 0;
  }

  status(name: string, partition: number): TransferStatus | undefined {
    return inside(this.node(name))
      .gateway.handoffs.status()
      .find(each => each.partition === partition);
  }

  describe(name: string): {
    handed: number;
    taken: number;
    failed: number;
    running: object[];
    taking: object[];
    retries: object[];
  } {
    return inside(this.node(name)).gateway.handoffs.describe() as never;
  }

  async stop(name: string, drainMs?: number): Promise<void> {
    const node = this.node(name);
    this.nodes.delete(name);
    await node.stop(drainMs === undefined ? {} : { drainMs });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.nodes.values()].map(node => node.stop({ drainMs: 1_000 })));
    for (const dir of this.#dirs) rmSync(dir, { recursive: true, force: true });
  }
}

/** Keys of one partition. */
export function keysIn(partition: number, count: number, prefix: string = 'k'): string[] {
  const keys: string[] = [];
  for (let i = 0; keys.length < count; i++)
    if (partitionOf(`${prefix}${i}`, partitions) === partition) keys.push(`${prefix}${i}`);
  return keys;
}

/** What a thread that sees the engine of this one finds of a partition. */
export function recordsOf(node: Node, partition: number): Record<string, number> {
  const { engine } = inside(node);
  const found: Record<string, number> = {};
  for (const name of engine.shards()) {
    if (!new RegExp(`^(?:[arh]|kv/[^/]+)/${partition}$`).test(name)) continue;
    engine.refresh(name);
    const count = engine.shard(name).count();
    if (count > 0) found[name] = count;
  }
  return found;
}

export type AnyType = ActorType<any>;
