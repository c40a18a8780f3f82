// The one door to the outside. Whatever depends on time, chance, disk, network or threads is asked for here, so the
// same actors, cores and shells run in production, in the test kit and in the simulator. A core takes `now` as an
// argument and never sees this object; a shell is handed it; only edges implement it.
//
// Invariant: with the same World behaviour (same seed, same virtual time) a run makes the same trace.

import type { StorageSeam } from '../storage/engine.ts';

export type Millis = number;
export type Cancel = () => void;

export interface Clock {
  /** Wall time, ms since 1970. May jump either way; never use it for leases, deadlines or intervals. */
  now(): Millis;
  /** Monotonic time in ms (fractions allowed); never goes back. Its zero is arbitrary and per process. */
  mono(): Millis;
  /** Runs fn once after delayMs of monotonic time. Delays beyond 2^31 ms are chained, not fired at once. */
  timer(delayMs: Millis, fn: () => void): Cancel;
  /** Runs fn in a later turn of the event loop, after I/O had its chance (setImmediate). */
  soon(fn: () => void): void;
  /** Runs fn before control returns to the event loop (microtask). */
  micro(fn: () => void): void;
}

export interface Random {
  /** An unsigned 32-bit integer. */
  u32(): number;
  /** In [0, 1). */
  float(): number;
  bytes(count: number): Uint8Array;
}

/** pino-shaped: fields first, then the message; or an error; or a message alone. `child` is optional so that any such logger fits. */
export interface Log {
  trace(fields: object | string, message?: string): void;
  debug(fields: object | string, message?: string): void;
  info(fields: object | string, message?: string): void;
  warn(fields: object | string, message?: string): void;
  error(fields: object | string, message?: string): void;
}

/** One direction of frames towards one peer, with the credit of its buffer. See link.ts. */
export interface TransportSeam {
  /** Which peers can be reached now, by thread number. */
  peers(): readonly number[];
}

/** Starts host threads and says when one has died. */
export interface SpawnerSeam {
  /** Threads this world can run; 0 means everything on the calling thread. */
  readonly threads: number;
}

/** Carries a turn across the awaits of its handler (AsyncLocalStorage in production). */
export interface ContextSeam {
  run<T>(token: object, fn: () => T): T;
  get(): object | undefined;
  /** True once anything has ever been run: spares the lookup until then. */
  active(): boolean;
}

/** What one ask came to, for who listens on the diagnostics channel 'troupe:ask'. */
export interface AskReport {
  readonly to: string;
  readonly method: string;
  readonly ms: Millis;
  /** 'ok', or the code of the error. */
  readonly outcome: string;
  readonly traceparent: string | undefined;
}

/** A diagnostics channel: costs one test while nobody listens. */
export interface AskChannel {
  readonly hasSubscribers: boolean;
  publish(report: AskReport): void;
}

export interface World {
  /** Absent: nobody can listen (test kit, simulator). */
  readonly asks?: AskChannel;
  readonly context: ContextSeam;
  readonly clock: Clock;
  readonly random: Random;
  readonly transport: TransportSeam;
  readonly storage: StorageSeam;
  readonly spawner: SpawnerSeam;
  readonly log: Log;
}

export const silentLog: Log = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing };

function nothing(): void {
  // Silent unless the user passes a logger.
}

/** A logger of the user's may throw, on what it is asked to print or because its disk is full: nobody's turn fails for it. */
export function guarded(log: Log): Log {
  const guard =
    (level: keyof Log) =>
    (fields: object | string, message?: string): void => {
      try {
        log[level](fields, message);
      } catch {
        // There is nobody left to tell.
      }
    };
  return {
    trace: guard('trace'),
    debug: guard('debug'),
    info: guard('info'),
    warn: guard('warn'),
    error: guard('error'),
  };
}

/** The same logger with fields of its own in every line. What it is given always reaches it as fields and a message. */
export function withFields(log: Log, own: object): Log {
  const at =
    (level: keyof Log) =>
    (fields: object | string, message?: string): void => {
      if (typeof fields === 'string') log[level](own, fields);
      else if (fields instanceof Error) log[level]({ ...own, err: fields }, message ?? fields.message);
      else log[level]({ ...own, ...fields }, message);
    };
  return { trace: at('trace'), debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
