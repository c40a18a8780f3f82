// Whoever is overloaded: an actor whose every message costs the same time of its thread. A file of its own: threads import it.

import { Actor, type ActorType, defineActor } from '../../src/index.ts';

export class Server extends Actor<null> {
  override initial(): null {
    return null;
  }
  /** Burns so many microseconds: the work that a message stands for. */
  serve(us: number): number {
    const end = performance.now() + us / 1_000;
    let rounds = 0;
    while (performance.now() < end) rounds++;
    return rounds;
  }
}

export const ServerT: ActorType<Server> = defineActor(import.meta.url, Server, { type: 'server' });
