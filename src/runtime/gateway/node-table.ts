// Which node a key belongs to, as one node sees it: the ring's owners by partition, and the nodes by name. Pure; the same on
// all threads of a node.
//
//     ring:  partition = top bits of MD5(key), or the key ─▶ owners ─▶ node        node:  'n2', or 'anything@n2' ─▶ node
//     local, pool, pinned:  always here
//
// A node is a number: 0 is this one, and `unknownNode` one of which nothing is known yet (no ring has been heard of).

import type { ActorSpec } from '../define-actor.ts';
import { partitionOf } from '../partition.ts';

export const here = 0;
export const unknownNode = 0xffff;

/** Plain data: it crosses to the threads as it is. `owners`: by partition, an index of `names`, whose first is this node. */
export interface NodeTableData {
  readonly names: readonly string[];
  readonly owners: Uint16Array;
}

export class NodeTable {
  readonly names: readonly string[];
  readonly owners: Uint16Array;
  readonly #numbers: ReadonlyMap<string, number>;

  constructor({ names, owners }: NodeTableData) {
    this.names = names;
    this.owners = owners;
    this.#numbers = new Map(names.map((name, number) => [name, number]));
  }

  /** A keeper of records (`ownsShards`) is keyed by its partition, so that they lie where the ring says. */
  nodeOf({ placement, ownsShards }: ActorSpec, key: string): number {
    if (placement === 'ring')
      return this.owners[ownsShards ? Number(key) : partitionOf(key, this.owners.length)] ?? unknownNode;
    if (placement === 'node') return this.#numbers.get(nodeInKey(key)) ?? unknownNode;
    return here;
  }

  /** Undefined: no ring has been heard of. */
  ownerOf(partition: number): string | undefined {
    return this.names[this.owners[partition] ?? unknownNode];
  }

  data(): NodeTableData {
    return { names: this.names, owners: this.owners };
  }
}

/** The table of a node that belongs to no ring yet: what is placed by the ring is nowhere. */
export function withoutRing(self: string, partitions: number): NodeTableData {
  return { names: [self], owners: new Uint16Array(partitions).fill(unknownNode) };
}

/** `owners`: the ring's, by name. `known`: members that may own nothing. */
export function tableOfRing(self: string, owners: readonly string[], known: Iterable<string>): NodeTableData {
  const names = [...new Set([self, ...owners, ...known])];
  const numbers = new Map(names.map((name, number) => [name, number]));
  return { names, owners: Uint16Array.from(owners, owner => numbers.get(owner) as number) };
}

/** Of a key with placement 'node': what follows its last '@', or all of it. */
export function nodeInKey(key: string): string {
  return key.slice(key.lastIndexOf('@') + 1);
}
