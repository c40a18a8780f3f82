// What happens to an actor whose handler threw. A guard counts the failures of one actor and answers with what to do next;
// waiting and restarting are the shell's business. Make the guard on the first failure: an actor that never fails needs none.
//
//      max 3 within 10 s:   x    x  x                  x        -> restarts, waiting 50, 100, 200 ms, then (calm) 50 again
//                           x  x x x                            -> the fourth within the window: stop
//
// Two questions, two memories. "Too often?" slides: the times of the last `max` restarts, and the next is refused while the
// oldest of them is inside the window. "How long to wait?" is a streak: it doubles with each failure and starts over once
// the actor has run for a whole window without one. Taking the wait from the number inside the window was the simpler
// idea; with long waits failures leave the window while the actor still loops, and the wait shrinks exactly when it must not.
//
// Invariant: at most `max` restarts are granted in any window of `withinMs`; a wait is never above the cap and never below
// half of its step (jitter must not make a crash loop spin).

import { TroupeError } from '../errors.ts';
import { restartsMax, superviseMsMax } from '../limits.ts';
import type { Millis } from './world.ts';

export type OnError = 'restart' | 'resume' | 'stop' | 'escalate';

export interface SupervisionOptions {
  /** restart: fresh state. resume: keep the state, drop the message. stop: end the actor. escalate: ask its parent. */
  readonly onError?: OnError;
  /** Restarts granted within the window; one more stops the actor. 0 stops it at the first failure. */
  readonly max?: number;
  readonly withinMs?: Millis;
  /** First wait before a restart and the longest; doubles in between. */
  readonly backoffMs?: readonly [first: Millis, cap: Millis];
}

export type Remedy =
  | { readonly action: 'restart'; readonly waitMs: Millis }
  | { readonly action: 'resume' }
  | { readonly action: 'stop'; readonly why: string }
  | { readonly action: 'escalate' };

export const supervisionDefault: Required<SupervisionOptions> = Object.freeze({
  onError: 'restart',
  max: 3,
  withinMs: 10_000,
  backoffMs: Object.freeze([50, 5_000] as const),
});

export class RestartGuard {
  private readonly options: Required<SupervisionOptions>;
  /** Times of the last restarts granted, a ring of `max`; made by the first failure. */
  private granted: Millis[] | null = null;
  private count = 0;
  private streak = 0;
  private calmAt: Millis = 0;

  constructor(options: Required<SupervisionOptions>) {
    this.options = options;
  }

  /** `random01` in [0, 1) spreads the restarts of actors that failed together. */
  onFailure(now: Millis, random01: number): Remedy {
    switch (this.options.onError) {
      case 'resume':
        return { action: 'resume' };
      case 'escalate':
        return { action: 'escalate' };
      case 'stop':
        return { action: 'stop', why: 'it failed, and its type says stop' };
      case 'restart':
        return this.tooOften(now) ? { action: 'stop', why: this.why() } : this.restart(now, random01);
    }
  }

  private tooOften(now: Millis): boolean {
    const { max, withinMs } = this.options;
    if (max === 0) return true;
    const oldest = this.count < max ? undefined : this.granted?.[this.count % max];
    return oldest !== undefined && now - oldest < withinMs;
  }

  private restart(now: Millis, random01: number): Remedy {
    const { max, withinMs, backoffMs } = this.options;
    this.granted ??= [];
    this.granted[this.count++ % max] = now;
    if (now >= this.calmAt) this.streak = 0;
    // 2 ** 1,000 is still a number, and the cap is what counts long before.
    const step = Math.min(backoffMs[1], backoffMs[0] * 2 ** Math.min(this.streak++, 1_000));
    const waitMs = step / 2 + (step / 2) * random01;
    this.calmAt = now + waitMs + withinMs;
    return { action: 'restart', waitMs };
  }

  private why(): string {
    const { max, withinMs } = this.options;
    return `it failed more than ${max} times within ${withinMs} ms`;
  }
}

/** Fills in the defaults; throws BAD_OPTION that names the actor type, the field, the value and what is allowed. */
export function checkSupervision(type: string, options: unknown): Required<SupervisionOptions> {
  if (options === undefined) return supervisionDefault;
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw bad(type, 'supervise', options, "an object such as { onError: 'restart', max: 3, withinMs: 10_000 }");
  }
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(supervisionDefault, name)) {
      const known = Object.keys(supervisionDefault).join(', ');
      throw badOption(type, `supervise.${name}`, `supervise.${name} is not an option; there are ${known}`);
    }
  }
  const given = options as { [name in keyof SupervisionOptions]: unknown };
  const onError = given.onError ?? supervisionDefault.onError;
  if (onError !== 'restart' && onError !== 'resume' && onError !== 'stop' && onError !== 'escalate') {
    throw bad(type, 'supervise.onError', onError, "'restart', 'resume', 'stop' or 'escalate'");
  }
  const max = given.max ?? supervisionDefault.max;
  if (!isWithin(max, 0, restartsMax) || !Number.isInteger(max)) {
    throw bad(type, 'supervise.max', max, `a whole number from 0 to ${restartsMax}`);
  }
  const withinMs = given.withinMs ?? supervisionDefault.withinMs;
  if (!isWithin(withinMs, 1, superviseMsMax)) {
    throw bad(type, 'supervise.withinMs', withinMs, `a number of ms from 1 to ${superviseMsMax}`);
  }
  return { onError, max, withinMs, backoffMs: checkBackoff(type, given.backoffMs ?? supervisionDefault.backoffMs) };
}

function checkBackoff(type: string, backoffMs: unknown): readonly [Millis, Millis] {
  const pair: readonly unknown[] = Array.isArray(backoffMs) ? backoffMs : [];
  const [first, cap] = pair;
  if (pair.length !== 2 || !isWithin(first, 0, superviseMsMax) || !isWithin(cap, first, superviseMsMax)) {
    const allowed = `[first, cap] in ms with 0 <= first <= cap <= ${superviseMsMax}`;
    throw bad(type, 'supervise.backoffMs', backoffMs, allowed);
  }
  return [first, cap];
}

function isWithin(value: unknown, min: number, max: number): value is number {
  return typeof value === 'number' && value >= min && value <= max;
}

function bad(type: string, option: string, value: unknown, allowed: string): TroupeError {
  return badOption(type, option, `${option} must be ${allowed}, got ${show(value)}`);
}

function badOption(type: string, option: string, text: string): TroupeError {
  return new TroupeError('BAD_OPTION', `actor type '${type}': ${text}`, { details: { type, option } });
}

function show(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(show).join(', ')}]`;
  return typeof value === 'string' ? `'${value.slice(0, 40)}'` : String(value);
}
