// The far side of post-message.ts.

import { parentPort } from 'node:worker_threads';
import type { Answer, Request } from './side.ts';
import { Counter } from './side.ts';

const counter = new Counter();

parentPort?.on('message', ([what, id, value]: Request) => {
  if (what === 'hit') counter.hit(value);
  else parentPort?.postMessage([id, answer(what, value)] satisfies Answer);
});

function answer(what: Request[0], value: number | string): Answer[1] {
  if (what === 'next') return (value as number) + 1;
  return what === 'echo' ? value : counter.tally();
}
