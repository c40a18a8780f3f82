// A tree of actors, each the parent of those below it.

import { Actor } from '../../../src/runtime/actor.ts';
import { type ActorType, defineActor } from '../../../src/runtime/define-actor.ts';
import type { Ref } from '../../../src/runtime/refs.ts';

export class Node extends Actor<{ n: number }> {
  /** How many live right now, of one test. */
  static readonly alive = new Set<string>();
  override initial(): { n: number } {
    return { n: 0 };
  }
  override onActivate(): void {
    Node.alive.add(this.self.id);
    this.self.signal.addEventListener('abort', () => Node.alive.delete(this.self.id));
  }
  async grow(width: number, depth: number): Promise<number> {
    if (depth === 0) return 1;
    const children: Ref<Node>[] = Array.from({ length: width }, () => this.self.spawn(NodeT));
    const sizes = await Promise.all(children.map(child => child.grow(width, depth - 1)));
    return 1 + sizes.reduce((sum, size) => sum + size, 0);
  }
  leave(): void {
    this.self.stop();
  }
  spawnLasting(): void {
    this.self.spawn(LastingT);
  }
}
export const NodeT: ActorType<Node> = defineActor(import.meta.url, Node, { type: 'node' });

export class Lasting extends Actor {}
export const LastingT: ActorType<Lasting> = defineActor(import.meta.url, Lasting, {
  type: 'lasting',
  persist: 'snapshot',
});
