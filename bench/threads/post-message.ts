// The bare mechanism: one postMessage (one structured clone) a message, answers matched by number.

import { Worker } from 'node:worker_threads';
import { Requests, type ThreadSide, talkingBy } from './side.ts';

export function postMessageSide(): ThreadSide {
  let worker: Worker;
  const requests = new Requests(request => worker.postMessage(request));

  return {
    async setup() {
      worker = new Worker(new URL('./post-message-worker.ts', import.meta.url));
      worker.on('message', requests.onAnswer);
      await requests.tally();
    },
    ...talkingBy(requests),
    async teardown() {
      await worker.terminate();
    },
  };
}
