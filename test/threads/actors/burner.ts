// Actors that keep their thread busy, and one that has them do it. A file of its own: threads import it by URL.

import { Actor, type ActorType, defineActor, type Ref } from '../../../src/index.ts';

export class Burner extends Actor<{ turns: number }> {
  override initial(): { turns: number } {
    return { turns: 0 };
  }
  burn(ms: number): number {
    const until = performance.now() + ms;
    while (performance.now() < until);
    return ++this.state.turns;
  }
}

export class Stoker extends Actor<null> {
  private on = false;
  override initial(): null {
    return null;
  }
  /** One ask after the other, to each of them; which answers were not the next number. */
  async stoke(to: readonly Ref<Burner>[], ms: number): Promise<{ turns: number; wrong: string[] }> {
    this.on = true;
    const wrong: string[] = [];
    let turns = 0;
    await Promise.all(
      to.map(async each => {
        for (let n = 1; this.on; n++, turns++) {
          const answer = await each.burn(ms);
          if (answer !== n) wrong.push(`${each.toString()}: ${answer}, not ${n}`);
        }
      }),
    );
    return { turns, wrong };
  }
  stop(): void {
    this.on = false;
  }
}

export const BurnerT: ActorType<Burner> = defineActor(import.meta.url, Burner, { type: 'burner' });
export const StokerT: ActorType<Stoker> = defineActor(import.meta.url, Stoker, {
  type: 'stoker',
  placement: 'pinned',
  thread: 0,
  turns: { stoke: 'interleave', stop: 'interleave' },
});
