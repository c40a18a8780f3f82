// What a newcomer writes first: the actor and the node in one module.

import { Actor, defineActor, type Node, startNode } from '../../src/index.ts';

export class Alone extends Actor<{ count: number }> {
  override initial() {
    return { count: 0 };
  }
  add(): number {
    return ++this.state.count;
  }
}

export const AloneT = defineActor(import.meta.url, Alone, { type: 'alone' });

export const node: Node = await startNode({ threads: 1, actors: [AloneT] });
