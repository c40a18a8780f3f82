// Troupe's key-value store in one node: embedded, one replica, so that a put is one durable write as it is for the peers.

import { join } from 'node:path';
import { startNode } from '../../src/index.ts';
import type { StoreSide } from './side.ts';

type Node = Awaited<ReturnType<typeof startNode>>;

export function troupeSide(ack: 'committed' | 'flushed'): StoreSide {
  let node: Node;
  let store: Awaited<ReturnType<Node['store']>>;

  return {
    async open(folder) {
      node = await startNode({ name: 'bench', dataDir: join(folder, 'data'), threads: 1 });
      await node.ready();
      store = await node.store('bench', { n: 1, r: 1, w: 1 });
    },
    put: (key, value) => store.put(key, value, { ack }),
    async get(key) {
      const { found, value } = await store.get(key);
      return found ? Buffer.from(value as Uint8Array) : undefined;
    },
    close: () => node.stop(),
  };
}
