// A node whose only partition holds a store, and which says how long it paused each time it handed it on.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Actor, defineActor, type Node, type NodeOptions, startNode } from '../../src/index.ts';

export interface Left {
  readonly pausedMs: number;
  readonly bytes: number;
}

const left: Left[] = [];

/** On the thread of the node's own gateway, where its events are heard. */
export class Pauses extends Actor<null> {
  override initial(): null {
    return null;
  }

  /** Since the last call. */
  take(): Left[] {
    return left.splice(0);
  }
}

export const PausesT = defineActor(import.meta.url, Pauses, {
  type: 'pauses',
  version: 1,
  placement: 'node',
  persist: 'none',
});

/** Its data go with it. */
export async function startHandingNode(options: Partial<NodeOptions>): Promise<Node> {
  const dataDir = await mkdtemp(join(tmpdir(), 'troupe-bench-handing-'));
  const node = await startNode({
    listen: '127.0.0.1:0',
    cluster: 'bench',
    secret: 'a secret of the bench',
    threads: 1,
    partitions: 1,
    dataDir,
    actors: [PausesT],
    ...options,
  });
  node.on('partition-left', ({ pausedMs, bytes }) => left.push({ pausedMs, bytes }));
  await node.ready();
  const stop = node.stop.bind(node);
  node.stop = async given => {
    await stop(given);
    await rm(dataDir, { recursive: true, force: true });
  };
  return node;
}

export async function listen(): Promise<string> {
  const node = await startHandingNode({ name: 'far' });
  return node.cluster.address;
}
