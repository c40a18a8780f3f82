// comlink 4.4: a proxy over postMessage. It knows no tell: every call has an answer, so a tell is a call whose promise
// is not awaited before the next one, only in the end.

import { Worker } from 'node:worker_threads';
import { type Remote, wrap } from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import type { FarSide } from './comlink-worker.ts';
import { type ThreadSide, text1k } from './side.ts';
import { tellByCalls } from './tell-by-calls.ts';

export function comlinkSide(): ThreadSide {
  let worker: Worker;
  let far: Remote<FarSide>;

  return {
    async setup() {
      worker = new Worker(new URL('./comlink-worker.ts', import.meta.url));
      far = wrap<FarSide>(nodeEndpoint(worker));
      await far.tally();
    },
    tellNumbers: n =>
      tellByCalls(
        n,
        index => far.hit(index),
        () => far.tally(),
      ),
    tellTexts: n =>
      tellByCalls(
        n,
        () => far.hit(text1k),
        () => far.tally(),
      ),
    askNumber: value => far.next(value),
    askText: text => far.echo(text),
    async teardown() {
      await worker.terminate();
    },
  };
}
