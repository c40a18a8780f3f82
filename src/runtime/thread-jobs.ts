// The jobs pool: CPU work (merges, rebuilds, snapshots, a user's own heavy function) that must not hold up any host's event
// loop. A second piscina, because every thread of the first is held by a host for good. Made on first use. An edge.
//
// Invariant: a job is stateless; its thread may be killed, by an abort or a crash, and nothing but that job is lost.

import { Piscina } from 'piscina';
import { TroupeError } from '../errors.ts';
import { jobsQueuedMax, jobsThreadsMax } from '../limits.ts';

export interface JobOptions {
  /** Aborting kills the thread the job runs on: that is the only way to stop CPU work. */
  readonly signal?: AbortSignal | undefined;
  /** Passed on without copying. */
  readonly transfer?: readonly ArrayBuffer[] | undefined;
}

export class Jobs {
  private pool: Piscina | undefined;
  private stopped = false;
  done = 0;
  failed = 0;

  /** Runs an exported function of a module with one argument. Rejects with what it throws, OVERLOADED, or STOPPED. */
  async run(module: string, name: string, argument: unknown, options: JobOptions = {}): Promise<unknown> {
    if (this.stopped) throw new TroupeError('STOPPED', 'the node is stopping; it takes no more jobs');
    this.pool ??= new Piscina({
      minThreads: 0,
      maxThreads: jobsThreadsMax,
      maxQueue: jobsQueuedMax,
      idleTimeout: 10_000,
      atomics: 'disabled',
    });
    if (this.pool.queueSize >= jobsQueuedMax) {
      throw new TroupeError('OVERLOADED', `${jobsQueuedMax} jobs wait already, the most that may`, {
        details: { queued: this.pool.queueSize },
      });
    }
    try {
      const result = await this.pool.run(argument, {
        filename: module,
        name,
        ...(options.signal === undefined ? {} : { signal: options.signal }),
        ...(options.transfer === undefined ? {} : { transferList: [...options.transfer] }),
      });
      this.done++;
      return result;
    } catch (error) {
      this.failed++;
      throw error;
    }
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.pool?.destroy();
  }

  describe(): object {
    return {
      threads: this.pool?.threads.length ?? 0,
      queued: this.pool?.queueSize ?? 0,
      done: this.done,
      failed: this.failed,
    };
  }
}
