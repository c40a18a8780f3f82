// piscina.run 5.3 with one thread: a task queue, so every message is a task with an answer, and a tell is a task whose
// promise is only awaited in the end. It gets as many tasks a thread as are in flight, and its own choice of waking
// (Atomics), which is what it is fastest with.

import { Piscina } from 'piscina';
import type { Task } from './piscina-worker.ts';
import { type Tally, type ThreadSide, text1k } from './side.ts';
import { tellByCalls } from './tell-by-calls.ts';

export function piscinaSide(inFlight: number): ThreadSide {
  let pool: Piscina<Task, never>;
  const run = <Reply>(what: Task[0], value: number | string): Promise<Reply> => pool.run([what, value]);
  const tally = (): Promise<Tally> => run('tally', 0);

  return {
    async setup() {
      pool = new Piscina({
        filename: new URL('./piscina-worker.ts', import.meta.url).href,
        minThreads: 1,
        maxThreads: 1,
        idleTimeout: Number.POSITIVE_INFINITY,
        concurrentTasksPerWorker: inFlight,
      });
      await tally();
    },
    tellNumbers: n => tellByCalls(n, index => run('hit', index), tally),
    tellTexts: n => tellByCalls(n, () => run('hit', text1k), tally),
    askNumber: value => run('next', value),
    askText: text => run('echo', text),
    teardown: () => pool.destroy(),
  };
}
