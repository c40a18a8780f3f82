// One error class with a closed set of codes. The code, not the class, is what crosses a thread or a socket,
// so it is also what callers should switch on. The split that matters most is `outcome`: 'failed' means the
// request definitely did not take effect (or its handler answered with an error), 'unknown' means it was sent
// and nothing came back. Only the first may be retried blindly.

export type TroupeCode =
  | 'OVERLOADED'
  | 'DEADLINE'
  | 'UNKNOWN_OUTCOME'
  | 'DEADLOCK'
  | 'FENCED'
  | 'STOPPED'
  | 'REMOTE'
  | 'BAD_MESSAGE'
  | 'NO_METHOD'
  | 'NO_ACTOR_TYPE'
  | 'DISK_FULL'
  | 'CORRUPT'
  | 'QUORUM'
  | 'BAD_CONTEXT'
  | 'EXISTS'
  | 'BAD_OPTION'
  | 'TOO_LARGE'
  | 'TOO_MANY_SIBLINGS'
  | 'UNAUTHENTICATED'
  | 'CLOCK_BACK'
  | 'LIMITED';

export type Outcome = 'failed' | 'unknown';

/** What a caller may do next, by code. A row here is the whole policy; nothing else decides it. */
const traits: Record<TroupeCode, { retryable: boolean; outcome: Outcome }> = {
  OVERLOADED: { retryable: true, outcome: 'failed' },
  DEADLINE: { retryable: true, outcome: 'failed' },
  UNKNOWN_OUTCOME: { retryable: false, outcome: 'unknown' },
  DEADLOCK: { retryable: false, outcome: 'failed' },
  FENCED: { retryable: true, outcome: 'failed' },
  STOPPED: { retryable: false, outcome: 'failed' },
  REMOTE: { retryable: false, outcome: 'failed' },
  BAD_MESSAGE: { retryable: false, outcome: 'failed' },
  NO_METHOD: { retryable: false, outcome: 'failed' },
  NO_ACTOR_TYPE: { retryable: false, outcome: 'failed' },
  DISK_FULL: { retryable: true, outcome: 'failed' },
  CORRUPT: { retryable: false, outcome: 'failed' },
  QUORUM: { retryable: true, outcome: 'unknown' },
  BAD_CONTEXT: { retryable: false, outcome: 'failed' },
  EXISTS: { retryable: false, outcome: 'failed' },
  BAD_OPTION: { retryable: false, outcome: 'failed' },
  TOO_LARGE: { retryable: false, outcome: 'failed' },
  TOO_MANY_SIBLINGS: { retryable: false, outcome: 'failed' },
  UNAUTHENTICATED: { retryable: false, outcome: 'failed' },
  CLOCK_BACK: { retryable: true, outcome: 'failed' },
  LIMITED: { retryable: true, outcome: 'failed' },
};

export interface TroupeErrorOptions {
  readonly cause?: unknown;
  /** Numbers and names a program may want: `{ needed: 2, got: 1 }`. Plain data, it crosses threads. */
  readonly details?: Readonly<Record<string, unknown>>;
  /** Overrides the default of the code, e.g. a QUORUM failure before anything was written. */
  readonly outcome?: Outcome;
  readonly retryable?: boolean;
}

export class TroupeError extends Error {
  override readonly name = 'TroupeError';
  readonly code: TroupeCode;
  readonly retryable: boolean;
  readonly outcome: Outcome;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: TroupeCode, message: string, options: TroupeErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? traits[code].retryable;
    this.outcome = options.outcome ?? traits[code].outcome;
    this.details = options.details ?? {};
  }
}

/**
 * The same without a stack, six times as cheap. For trouble that comes in thousands when there is too much of everything, and
 * whose stack would only show the runtime: a deadline that passed, a refusal, an answer from another thread.
 */
export function quickError(code: TroupeCode, message: string, options?: TroupeErrorOptions): TroupeError {
  const limit = Error.stackTraceLimit;
  Reflect.set(Error, 'stackTraceLimit', 0);
  try {
    return new TroupeError(code, message, options);
  } finally {
    Reflect.set(Error, 'stackTraceLimit', limit);
  }
}

/** The shape of an error on the wire: positional, small, no stack (a stack is logged where it was thrown). */
export type WireError = readonly [
  code: TroupeCode,
  message: string,
  details: Record<string, unknown>,
  outcome: Outcome,
  retryable: boolean,
];

/** Any thrown value, as what may cross a thread. A foreign error becomes REMOTE and keeps its name and code. */
export function toWireError(thrown: unknown): WireError {
  if (isTroupeError(thrown)) {
    return [thrown.code, thrown.message, thrown.details, thrown.outcome, thrown.retryable];
  }
  const { name, message, code } = describeThrown(thrown);
  return ['REMOTE', message, code === undefined ? { name } : { name, code }, 'failed', false];
}

/** Name, message and code of whatever was thrown. Never throws itself: a proxy may refuse every question. */
export function describeThrown(thrown: unknown): { name: string; message: string; code?: string | number } {
  const ask = (name: string): unknown => {
    try {
      return (thrown as Record<string, unknown> | null | undefined)?.[name];
    } catch {
      return undefined;
    }
  };
  const [name, message, code] = [ask('name'), ask('message'), ask('code')];
  return {
    name: typeof name === 'string' ? name : typeof thrown,
    message: typeof message === 'string' ? message : safeString(thrown),
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
  };
}

/** `thrown instanceof TroupeError`, also where asking that throws. */
export function isTroupeError(thrown: unknown): thrown is TroupeError {
  try {
    return thrown instanceof TroupeError;
  } catch {
    return false;
  }
}

export function fromWireError(wire: WireError): TroupeError {
  const code: TroupeCode = Object.hasOwn(traits, wire[0]) ? wire[0] : 'BAD_MESSAGE';
  return quickError(code, wire[1], { details: wire[2], outcome: wire[3], retryable: wire[4] });
}

function safeString(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return 'a value that cannot be printed';
  }
}
