// Troupe in one node: embedded, one replica, so that a put is one durable write as it is for the peers. The key-value
// store, and the same as an actor a key whose state is stored before it answers.

import { join } from 'node:path';
import { type Node, type NodeOptions, type Store, startNode } from '../../src/index.ts';
import { CellT } from './actors.ts';
import type { StoreSide } from './side.ts';

type Threads = NonNullable<NodeOptions['threads']>;

const openNode = (folder: string, threads: Threads): Promise<Node> =>
  startNode({ name: 'bench', dataDir: join(folder, 'data'), threads, actors: [CellT] });

const bytesOf = ({ buffer, byteOffset, length }: Uint8Array): Buffer => Buffer.from(buffer, byteOffset, length);

export function troupeSide(ack: 'committed' | 'flushed', threads: Threads): StoreSide {
  let node: Node;
  let store: Store;

  return {
    async open(folder) {
      node = await openNode(folder, threads);
      // One value a key, as everywhere here: blind writes to one key would otherwise stand beside each other.
      store = await node.store('bench', { n: 1, r: 1, w: 1, siblings: false });
    },
    put: (key, value) => store.put(key, value, { ack }),
    async get(key) {
      const { found, value } = await store.get(key);
      return found ? bytesOf(value as Uint8Array) : undefined;
    },
    /** What is flushed and merged behind one round is not the next contender's to bear; what goes on during it is ours. */
    async settle() {
      for (let state = ''; state !== 'idle'; ) {
        await new Promise(resolve => setTimeout(resolve, 20));
        ({ state } = await node.compactor.status());
      }
    },
    describe: () => node.describe(),
    close: () => node.stop(),
  };
}

export function snapshotSide(threads: Threads): StoreSide {
  let node: Node;

  return {
    async open(folder) {
      node = await openNode(folder, threads);
    },
    put: (key, value) => node.ref(CellT, key).put(value),
    async get(key) {
      const value = await node.ref(CellT, key).get();
      return value === null ? undefined : bytesOf(value);
    },
    close: () => node.stop(),
  };
}
