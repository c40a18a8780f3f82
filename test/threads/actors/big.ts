// An actor that takes large messages. A file of its own: threads import it by URL.

import { Actor, type ActorType, defineActor } from '../../../src/index.ts';

export class Big extends Actor<null> {
  override initial(): null {
    return null;
  }
  put(text: string): number {
    return text.length;
  }
  count(items: readonly string[]): number {
    return items.length;
  }
  ping(): string {
    return 'pong';
  }
}

export const BigT: ActorType<Big> = defineActor(import.meta.url, Big, { type: 'big' });
