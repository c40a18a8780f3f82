// The owner of the host threads: a piscina pool in which every thread runs one task that never ends. A task that does end
// means a dead thread, whatever the reason (throw, out of memory, terminate, exit); it is told to the node and restarted with
// back-off. Traps met and avoided: research/pitfalls.md, "piscina as the owner of never-ending host threads".

import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { TroupeError } from '../errors.ts';
import type { FromThread, ThreadTask, ToThread } from './thread-task.ts';

/** Importing the actor modules and opening the engine may take this long; piscina itself would wait for ever. */
const helloMs = 20_000;
/** Between the death of a thread and its next start: doubles with each death in a row. */
const backoffFirstMs = 50;
const backoffCapMs = 5_000;
/** A thread that has lived this long starts over with the first back-off. */
const settledMs = 30_000;

export interface ThreadPoolHooks {
  /** Called once a life of a thread: make nothing of it until then. */
  onHello(thread: number): void;
  /** The thread is gone. Answers with the task for its next life, or undefined when the node is stopping. */
  onDeath(thread: number, error: Error): void;
  onMessage(thread: number, message: FromThread): void;
}

export class ThreadPool {
  private readonly pool: Piscina;
  private readonly hooks: ThreadPoolHooks;
  private readonly ports: (MessagePort | undefined)[] = [];
  private readonly startedAt: number[] = [];
  private readonly deaths: number[] = [];
  private readonly runs = new Map<number, Promise<void>>();
  private stopping = false;
  restarts = 0;

  constructor(threads: number, heapMb: number | undefined, hooks: ThreadPoolHooks) {
    this.hooks = hooks;
    this.pool = new Piscina({
      filename: workerFile(),
      minThreads: threads,
      maxThreads: threads,
      idleTimeout: Number.POSITIVE_INFINITY,
      // 'sync', the default, freezes timers and I/O of a thread between tasks.
      atomics: 'disabled',
      concurrentTasksPerWorker: 1,
      ...(heapMb === undefined ? {} : { resourceLimits: { maxOldGenerationSizeMb: heapMb } }),
    });
    this.pool.on('error', () => undefined);
  }

  /** Starts one life of a thread. Rejects when it does not say hello in time, naming the thread and the cause if known. */
  start(task: Omit<ThreadTask, 'control'>): Promise<void> {
    const { thread } = task;
    const channel = new MessageChannel();
    const port = channel.port1;
    this.ports[thread] = port;
    this.startedAt[thread] = performance.now();
    return new Promise((resolve, reject) => {
      let hello = false;
      const late = setTimeout(() => {
        reject(
          new TroupeError(
            'STOPPED',
            `host thread ${thread} did not come up within ${helloMs} ms; does an actor module block or throw while it is imported?`,
          ),
        );
      }, helloMs);
      port.on('message', (message: FromThread) => {
        if (message.type === 'hello') {
          hello = true;
          clearTimeout(late);
          resolve();
          this.hooks.onHello(thread);
        } else this.hooks.onMessage(thread, message);
      });
      const ended = (error: Error): void => {
        clearTimeout(late);
        port.close();
        if (!hello)
          reject(
            new TroupeError('STOPPED', `host thread ${thread} could not start: ${error.message}`, { cause: error }),
          );
        if (!this.stopping && hello) this.hooks.onDeath(thread, error);
      };
      const run = this.pool.run({ ...task, control: channel.port2 }, { transferList: [channel.port2] }).then(
        () => ended(new Error('the thread ended by itself')),
        error => ended(error as Error),
      );
      this.runs.set(thread, run);
      port.unref();
    });
  }

  /** How long to wait before the next life of this thread. */
  backoffMs(thread: number): number {
    this.restarts++;
    const lived = performance.now() - (this.startedAt[thread] ?? 0);
    this.deaths[thread] = lived > settledMs ? 1 : (this.deaths[thread] ?? 0) + 1;
    return Math.min(backoffCapMs, backoffFirstMs * 2 ** ((this.deaths[thread] as number) - 1));
  }

  post(thread: number, message: ToThread): void {
    this.ports[thread]?.postMessage(message);
  }

  /** Ends all threads by their own protocol first; what has not ended in time is terminated. */
  async stop(withinMs: number): Promise<void> {
    this.stopping = true;
    for (const port of this.ports) port?.postMessage({ type: 'stop' } satisfies ToThread);
    let late: NodeJS.Timeout | undefined;
    await Promise.race([
      Promise.allSettled(this.runs.values()),
      new Promise(resolve => {
        late = setTimeout(resolve, withinMs);
      }),
    ]);
    clearTimeout(late);
    await this.pool.destroy();
    for (const port of this.ports) port?.close();
  }
}

/** The worker's file beside this one: .ts in the sources, .js when built. Bundlers look for the literal below. */
function workerFile(): string {
  const url = new URL('./thread-main.js', import.meta.url);
  if (import.meta.url.endsWith('.ts')) url.pathname = url.pathname.replace(/\.js$/, '.ts');
  return url.href;
}
