// Five ways to give keys to nodes, behind one face. A key is the first word of its MD5 throughout, so all place the same keys.

import { claimOwners } from '../../src/runtime/ownership/claim.ts';
import {
  addNode,
  partitionOwners,
  removeNode,
  type TokenRing,
  tokenOwner,
} from '../../src/runtime/ownership/token-strategies.ts';
import { hash32 } from '../../src/runtime/partition.ts';

/** A cluster at one moment. Joins and leaves give another. */
export interface Placement {
  nodeOf(key: number): string;
  join(node: string): Placement;
  leave(node: string): Placement;
}

const unowned = (partitions: number): string[] => new Array<string>(partitions).fill('');

/** The default: equal partitions, claimed (Dynamo's strategy 3). */
export function claimed(nodes: readonly string[], partitions: number, owners = unowned(partitions)): Placement {
  const members = nodes.map(name => ({ name, weight: 1, zone: '', rack: '' }));
  const ring = claimOwners({ owners, members }).owners;
  const shift = 32 - Math.log2(partitions);
  return {
    nodeOf: key => ring[key >>> shift] as string,
    join: node => claimed([...nodes, node], partitions, [...ring]),
    leave: node =>
      claimed(
        nodes.filter(name => name !== node),
        partitions,
        [...ring],
      ),
  };
}

/** Strategy 1: random tokens cut the ring and own what they cut. */
export function tokens(nodes: readonly string[], each: number, random: () => number): Placement {
  const of = (ring: TokenRing): Placement => ({
    nodeOf: key => tokenOwner(ring, key) as string,
    join: node => of(addNode(ring, node, each, random)),
    leave: node => of(removeNode(ring, node)),
  });
  return of(nodes.reduce<TokenRing>((ring, node) => addNode(ring, node, each, random), []));
}

/** Strategy 2: random tokens own equal partitions. */
export function tokensOverPartitions(
  nodes: readonly string[],
  each: number,
  partitions: number,
  random: () => number,
): Placement {
  const shift = 32 - Math.log2(partitions);
  const of = (ring: TokenRing): Placement => {
    const owners = partitionOwners(ring, partitions);
    return {
      nodeOf: key => owners[key >>> shift] as string,
      join: node => of(addNode(ring, node, each, random)),
      leave: node => of(removeNode(ring, node)),
    };
  };
  return of(nodes.reduce<TokenRing>((ring, node) => addNode(ring, node, each, random), []));
}

/** hash % n. */
export function modulo(nodes: readonly string[]): Placement {
  return {
    nodeOf: key => nodes[key % nodes.length] as string,
    join: node => modulo([...nodes, node]),
    leave: node => modulo(nodes.filter(name => name !== node)),
  };
}

/** Highest random weight: each node scores each key. */
export function rendezvous(nodes: readonly string[]): Placement {
  const seeds = nodes.map(hash32);
  return {
    nodeOf(key) {
      let best = 0;
      let most = -1;
      for (let i = 0; i < seeds.length; i++) {
        const score = mix(key, seeds[i] as number);
        if (score > most) {
          most = score;
          best = i;
        }
      }
      return nodes[best] as string;
    },
    join: node => rendezvous([...nodes, node]),
    leave: node => rendezvous(nodes.filter(name => name !== node)),
  };
}

/** The finisher of MurmurHash3 over both. */
function mix(key: number, seed: number): number {
  let hash = key ^ seed;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
