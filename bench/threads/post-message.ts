// The bare mechanism: one postMessage (one structured clone) a message, answers matched by number.

import { Worker } from 'node:worker_threads';
import { confirmTells, type Tally, type ThreadSide, text1k } from './side.ts';

/** [what, number of the request, argument] there; [number of the request, answer] back. */
export type Request = readonly [what: 'hit' | 'next' | 'echo' | 'tally', id: number, value: number | string];
export type Answer = readonly [id: number, value: number | string | Tally];

export function postMessageSide(): ThreadSide {
  let worker: Worker;
  const waiting = new Map<number, (value: never) => void>();
  let ids = 0;

  const tell = (value: number | string): void => worker.postMessage(['hit', 0, value] satisfies Request);
  function ask<Reply>(what: Request[0], value: number | string): Promise<Reply> {
    const { promise, resolve } = Promise.withResolvers<Reply>();
    const id = ids++;
    waiting.set(id, resolve as (value: never) => void);
    worker.postMessage([what, id, value] satisfies Request);
    return promise;
  }
  const tally = (): Promise<Tally> => ask('tally', 0);

  return {
    async setup() {
      worker = new Worker(new URL('./post-message-worker.ts', import.meta.url));
      worker.on('message', ([id, value]: Answer) => {
        waiting.get(id)?.(value as never);
        waiting.delete(id);
      });
      await tally();
    },
    tellNumbers: n => confirmTells(n, tell, tally),
    tellTexts: n => confirmTells(n, () => tell(text1k), tally),
    askNumber: value => ask('next', value),
    askText: text => ask('echo', text),
    async teardown() {
      await worker.terminate();
    },
  };
}
