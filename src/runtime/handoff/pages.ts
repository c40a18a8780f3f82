// The records of a partition, page by page, from the threads that look after them. Each step may fail, or take too long: that is for
// whoever asks.

import { handoffPagesAhead } from '../../limits.ts';
import type { FarRouter } from '../far-router.ts';
import type { Crew } from './crew.ts';
import type { Asked, Page } from './hands-records.ts';

export interface PagesSeams {
  readonly router: FarRouter;
  readonly crew: Crew;
  readonly partition: number;
  askThread<T>(thread: number, word: string, payload: unknown): Promise<T>;
  /** Throws when nobody wants them any more. */
  goesOn(): void;
}

export type Place = readonly [thread: number, shard: string];

export class Pages {
  readonly #seams: PagesSeams;

  constructor(seams: PagesSeams) {
    this.#seams = seams;
  }

  /** Its shards, and the thread that each is read by. */
  async places(): Promise<Place[]> {
    const { crew, router, partition, askThread } = this.#seams;
    const of = await Promise.all(
      crew.threads.map(async thread => {
        const shards = await askThread<string[]>(thread, 'part-shards', partition);
        return shards.map((shard): Place => [thread, shard]);
      }),
    );
    if (!router.host.engine.shared) return of.flat();
    const shards = new Set(of.flat().map(([, shard]) => shard));
    return [...shards].sort().map(shard => [crew.keeperOf(shard, partition), shard]);
  }

  async walk(
    [thread, shard]: Place,
    asked: Asked,
    each: (page: Page, from: Uint8Array | null) => unknown,
  ): Promise<void> {
    const { askThread, goesOn } = this.#seams;
    let from: Uint8Array | null = null;
    do {
      goesOn();
      const page: Page = await askThread(thread, 'part-page', { shard, from, asked });
      if (page.records > 0 || page.digest !== null) await each(page, from);
      from = page.next;
    } while (from !== null);
  }

  /** All of them, several on their way at once; of a shard that is there already with a digest, for only what differs need be sent. */
  async bring(
    places: readonly Place[],
    there: ReadonlySet<string>,
    send: (page: Page, from: Uint8Array | null) => Promise<void>,
  ): Promise<void> {
    const ahead: Promise<void>[] = [];
    for (const place of places)
      await this.walk(place, there.has(place[1]) ? 'digest' : 'records', async (page, from) => {
        const sent = send(page, from);
        // It is awaited below: until then nobody listens.
        sent.catch(() => undefined);
        ahead.push(sent);
        if (ahead.length >= handoffPagesAhead) await ahead.shift();
      });
    await Promise.all(ahead);
  }
}
