// An actor that says under which trace it runs. A module of its own: threads import it.

import { Actor } from '../../src/runtime/actor.ts';
import { type ActorType, defineActor } from '../../src/runtime/define-actor.ts';

export class Traced extends Actor<null> {
  override initial(): null {
    return null;
  }

  /** The trace here, and then along the chain, each asked by the one before it. */
  async chain(next: readonly string[]): Promise<(string | undefined)[]> {
    await Promise.resolve();
    const own = this.self.traceparent;
    const [head, ...rest] = next;
    if (head === undefined) return [own];
    return [own, ...(await this.self.ref(TracedT, head).chain(rest))];
  }

  fail(): never {
    throw new Error('as asked');
  }
}

export const TracedT: ActorType<Traced> = defineActor(import.meta.url, Traced, { type: 'traced' });
