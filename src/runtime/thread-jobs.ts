// The jobs pool: CPU work (merges, rebuilds, snapshots, a user's own heavy function) that must not hold up any host's event
// loop. A second piscina, because every thread of the first is held by a host for good. Made on first use. An edge.
//
// Jobs wait in a line of our own, and piscina is given one a thread: what waits in its queue when a thread is killed, by an
// abort or by the job itself, is left there until somebody asks for something else (5.3.2).
//
// Invariant: a job is stateless; its thread may be killed, and nothing but that job is lost. Every job ends with what it
// returned or with a TroupeError: REMOTE if it threw, UNKNOWN_OUTCOME if it had begun and its end is not known.

import { isAbsolute } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Piscina } from 'piscina';
import { fromWireError, TroupeError, type WireError } from '../errors.ts';
import { jobsQueuedMax, jobsThreadsMax, upkeepThreadsMax } from '../limits.ts';
import type { JobLane } from '../storage/engine.ts';
import { checkOptionNames } from './option-names.ts';

export interface JobOptions {
  /** Aborting kills the thread the job runs on: that is the only way to stop CPU work. */
  readonly signal?: AbortSignal | undefined;
  /** Passed on without copying. */
  readonly transfer?: readonly ArrayBuffer[] | undefined;
}

/** What the thread is given, and what it answers. Read by thread-job-main.ts. */
export interface JobTask {
  readonly url: string;
  readonly name: string;
  readonly argument: unknown;
}

export type JobAnswer = { readonly value: unknown } | { readonly error: WireError };

/** A line of its own for each, with threads of its own: nobody in it waits for those in another. */
type Lane = 'user' | JobLane;

const threadsOf: Readonly<Record<Lane, number>> = {
  user: jobsThreadsMax,
  flush: upkeepThreadsMax,
  merge: upkeepThreadsMax,
};

interface Job {
  readonly lane: Lane;
  readonly task: JobTask;
  readonly options: JobOptions;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: TroupeError) => void;
}

export class Jobs {
  private pool: Piscina | undefined;
  private readonly waiting: Job[] = [];
  private readonly running: Record<Lane, number> = { user: 0, flush: 0, merge: 0 };
  private closed = false;
  private stopped = false;
  done = 0;
  failed = 0;

  /** Runs an exported function of a module with one argument. */
  run(
    module: string,
    name: string,
    argument: unknown,
    options: JobOptions = {},
    lane: Lane = 'user',
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      checkOptionNames('job()', options, ['signal', 'transfer']);
      const refusal = this.refuse(options, lane);
      if (refusal !== undefined) throw refusal;
      const job: Job = { lane, task: { url: urlOf(module), name, argument }, options, resolve, reject };
      this.waiting.push(job);
      options.signal?.addEventListener('abort', () => this.leave(job), { once: true });
      this.next();
    });
  }

  private refuse({ signal }: JobOptions, lane: Lane): TroupeError | undefined {
    // Actors that come to rest still write, and what they write must find room in the log.
    if (this.stopped || (this.closed && lane === 'user'))
      return new TroupeError('STOPPED', 'the node is stopping; it takes no more jobs');
    if (signal?.aborted === true) return aborted(signal, false);
    if (this.waiting.length < jobsQueuedMax) return undefined;
    return new TroupeError('OVERLOADED', `${jobsQueuedMax} jobs wait already, the most that may`, {
      details: { queued: this.waiting.length },
    });
  }

  private next(): void {
    while (!this.stopped) {
      const at = this.waiting.findIndex(({ lane }) => this.running[lane] < threadsOf[lane]);
      if (at < 0) return;
      const [job] = this.waiting.splice(at, 1) as [Job];
      this.running[job.lane]++;
      void this.runOne(job).finally(() => {
        this.running[job.lane]--;
        this.next();
      });
    }
  }

  /** Aborted. One that runs is ended by piscina. */
  private leave(job: Job): void {
    const at = this.waiting.indexOf(job);
    if (at < 0) return;
    this.waiting.splice(at, 1);
    this.lose(job, aborted(job.options.signal as AbortSignal, false));
  }

  private async runOne(job: Job): Promise<void> {
    const { signal, transfer } = job.options;
    try {
      const answer: JobAnswer = await this.threads().run(job.task, {
        ...(signal === undefined ? {} : { signal }),
        ...(transfer === undefined ? {} : { transferList: [...transfer] }),
      });
      if ('error' in answer) this.lose(job, fromWireError(answer.error));
      else {
        this.done++;
        job.resolve(answer.value);
      }
    } catch (error) {
      this.lose(job, this.asTroupe(job, error as Error));
    }
  }

  private threads(): Piscina {
    this.pool ??= new Piscina({
      filename: jobFile(),
      minThreads: 0,
      maxThreads: Object.values(threadsOf).reduce((sum, threads) => sum + threads, 0),
      idleTimeout: 10_000,
      atomics: 'disabled',
    });
    return this.pool;
  }

  private lose(job: Job, error: TroupeError): void {
    this.failed++;
    job.reject(error);
  }

  /** What piscina says when there is no answer of the job's own. */
  private asTroupe({ task, options: { signal } }: Job, cause: Error): TroupeError {
    const what = `the job ${task.name}()`;
    if (signal?.aborted === true) return aborted(signal, true);
    if (this.stopped)
      return new TroupeError('UNKNOWN_OUTCOME', `the node stopped while ${what} ran`, {
        cause,
        details: { job: task.name },
      });
    if (cause.name === 'DataCloneError' || cause.message === '')
      return new TroupeError(
        'BAD_MESSAGE',
        `${what} was given, or has returned, what cannot be sent to another thread`,
        {
          cause,
          details: { job: task.name },
        },
      );
    return new TroupeError('UNKNOWN_OUTCOME', `the thread of ${what} has ended: ${cause.message}`, {
      cause,
      details: { job: task.name },
    });
  }

  /** Takes no more of the user's; what it has goes on. */
  close(): void {
    this.closed = true;
  }

  async stop(): Promise<void> {
    this.close();
    this.stopped = true;
    for (const job of this.waiting.splice(0))
      this.lose(job, new TroupeError('STOPPED', 'the node stopped before the job began; it was not run'));
    await this.pool?.destroy();
  }

  describe(): object {
    const running = Object.values(this.running).reduce((sum, jobs) => sum + jobs, 0);
    return { running, queued: this.waiting.length, done: this.done, failed: this.failed };
  }
}

function aborted(signal: AbortSignal, began: boolean): TroupeError {
  return new TroupeError(
    began ? 'UNKNOWN_OUTCOME' : 'DEADLINE',
    began ? 'the job was aborted while it ran' : 'the job was aborted before it began; it was not run',
    { cause: signal.reason, details: { aborted: true } },
  );
}

function urlOf(module: string): string {
  if (isAbsolute(module)) return pathToFileURL(module).href;
  if (URL.canParse(module)) return module;
  throw new TroupeError(
    'BAD_OPTION',
    `a job's module is a URL or an absolute path, such as new URL('./merge.js', import.meta.url), not '${module}'`,
  );
}

/** The worker's file beside this one: .ts in the sources, .js when built. Bundlers look for the literal below. */
function jobFile(): string {
  const url = new URL('./thread-job-main.js', import.meta.url);
  if (import.meta.url.endsWith('.ts')) url.pathname = url.pathname.replace(/\.js$/, '.ts');
  return url.href;
}
