// The World of production: the monotonic clock, real timers, real chance, AsyncLocalStorage. An edge: nothing else in the
// runtime touches these.

import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';
import { channel } from 'node:diagnostics_channel';
import { openEngine } from '../storage/open-engine.ts';
import {
  type AskChannel,
  type Cancel,
  type Clock,
  type ContextSeam,
  type Log,
  type Random,
  silentLog,
  type World,
} from './world.ts';

/** setTimeout fires at once beyond this; longer delays are chained. */
const timeoutMax = 2 ** 31 - 1;

const resolved: Promise<void> = Promise.resolve();

export const realClock: Clock = {
  now: () => Date.now(),
  mono: () => performance.now(),
  timer(delayMs: number, fn: () => void): Cancel {
    if (delayMs > timeoutMax) {
      let cancel: Cancel = () => clearTimeout(first);
      const first = setTimeout(() => {
        cancel = realClock.timer(delayMs - timeoutMax, fn);
      }, timeoutMax);
      return () => cancel();
    }
    const handle = setTimeout(fn, Math.ceil(delayMs));
    return () => clearTimeout(handle);
  },
  soon(fn: () => void): void {
    setImmediate(fn);
  },
  micro(fn: () => void): void {
    // Not queueMicrotask: Node wraps each of its calls in an AsyncResource, which costs more than a whole local ask.
    void resolved.then(fn);
  },
};

export function realRandom(): Random {
  const pool = new Uint32Array(256);
  let left = 0;
  const u32 = (): number => {
    if (left === 0) {
      crypto.getRandomValues(pool);
      left = pool.length;
    }
    return pool[--left] as number;
  };
  return { u32, float: () => u32() / 2 ** 32, bytes: count => new Uint8Array(randomBytes(count)) };
}

function realContext(): ContextSeam {
  const storage = new AsyncLocalStorage<object>();
  let used = false;
  return {
    run<T>(token: object, fn: () => T): T {
      used = true;
      return storage.run(token, fn);
    },
    get: () => (used ? storage.getStore() : undefined),
    active: () => used,
  };
}

/** One a thread. `threads` is what the spawner of this node has been told to run. */
export function realWorld(options: { threads: number; log?: Log | undefined }): World {
  return {
    asks: channel('troupe:ask') as AskChannel,
    context: realContext(),
    clock: realClock,
    random: realRandom(),
    transport: { peers: () => Array.from({ length: options.threads + 1 }, (_, thread) => thread) },
    storage: { open: openEngine },
    spawner: { threads: options.threads },
    log: options.log ?? silentLog,
  };
}
