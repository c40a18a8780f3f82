// Whose turn it is: the turn that runs right now, the ones it interrupted, and the way a continuation finds back to its turn
// (the async context). Everything that asks "who is sending this?" asks here.
//
// Invariant: `current` is set exactly while the synchronous part of a turn runs; after an await the token in the context
// says whose continuation it is, and a token whose activation has ended is a ghost: it causes nothing.

import { TroupeError } from '../errors.ts';
import type { Activation } from './activation.ts';
import type { Actor } from './actor.ts';
import { Alarms } from './alarms.ts';
import type { Call } from './call.ts';
import { dead } from './flags.ts';
import type { Host } from './host.ts';
import type { HostObserver, TurnToken } from './host-types.ts';
import type { Persistence } from './persistence.ts';
import { exclusiveMode, hookMode } from './turn-modes.ts';
import { isThenable } from './turns.ts';

export abstract class TurnKeeper extends Alarms {
  abstract readonly observer: HostObserver | null;
  abstract readonly persistence: Persistence;
  /** The turn running right now, synchronously. */
  current: Activation | null = null;
  call: Call | null = null;
  mode: number = exclusiveMode;
  /** The same turn as a token, made when something first needs one. */
  running: TurnToken | null = null;
  /** Turns in whose synchronous part another one runs right now: it woke an actor, or was re-entered. */
  readonly interrupted: TurnToken[] = [];
  /** True while tells need nothing but a mailbox: no gate, no trace, no observer. Checked on the hot path. */
  plain = true;
  private openCareful = 0;

  /** Calls a method with the turn carried along, so that what it awaits still knows whose turn it is. */
  inTurn(
    act: Activation,
    call: Call | null,
    fn: (...args: any[]) => unknown,
    actor: Actor,
    head: number,
    a0: unknown,
    a1: unknown,
  ): unknown {
    const token = this.messageToken(act, call, actor);
    this.running = token;
    switch (head & 3) {
      case 0:
        return this.world.context.run(token, () => fn.call(actor));
      case 1:
        return this.world.context.run(token, () => fn.call(actor, a0));
      case 2:
        return this.world.context.run(token, () => fn.call(actor, a0, a1));
      default:
        return this.world.context.run(token, () => fn.apply(actor, a0 as unknown[]));
    }
  }

  private messageToken(act: Activation, call: Call | null, actor: Actor | null): TurnToken {
    return { host: this.self, act, call, actor, mode: this.mode, hasMessage: true, stashed: false, open: true };
  }

  /** A turn that serves no message. */
  token(act: Activation, actor: Actor | null, mode: number): TurnToken {
    return { host: this.self, act, call: null, actor, mode, hasMessage: false, stashed: false, open: true };
  }

  /** Runs the synchronous part of such a turn, whosever turn it interrupts. */
  inContext(token: TurnToken, run: (actor: Actor) => unknown): unknown {
    const before = this.interrupt();
    this.current = token.act;
    this.mode = token.mode;
    this.running = token;
    try {
      return this.world.context.run(token, () => run(token.actor as Actor));
    } finally {
      this.resume(before);
    }
  }

  /** No turn runs any more: slices do not clear this, they overwrite it. */
  protected leaveTurn(): void {
    this.current = null;
    this.call = null;
  }

  /** Sets aside the turn that runs right now, if any, for one that runs inside it; resume() takes it up again. */
  interrupt(): TurnToken | null {
    const token = this.current === null ? null : (this.turn() as TurnToken);
    if (token !== null) this.interrupted.push(token);
    this.running = null;
    this.call = null;
    return token;
  }

  resume(token: TurnToken | null): void {
    if (token !== null) this.interrupted.pop();
    this.current = token?.act ?? null;
    this.call = token?.call ?? null;
    this.mode = token?.mode ?? exclusiveMode;
    this.running = token;
  }

  /** onActivate() or onDeactivate(): a turn beside which nothing of the actor starts. What it throws, the caller handles. */
  hook(act: Activation, actor: Actor, run: (actor: Actor) => unknown): unknown {
    const token = this.token(act, actor, hookMode);
    if (act.hosted.persists) this.carefully(1);
    try {
      const result = this.inContext(token, run);
      if (act.hosted.persists) this.persistence.turnSuspended(act);
      if (isThenable(result)) return Promise.resolve(result).finally(() => this.hookEnded(token));
      this.hookEnded(token);
      return result;
    } catch (error) {
      this.hookEnded(token);
      throw error;
    }
  }

  private hookEnded(token: TurnToken): void {
    token.open = false;
    if (token.act.hosted.persists) this.carefully(-1);
  }

  /** Runs fn as nobody's turn: what comes from the event loop must not pass for the turn that happened to plan it. */
  outside(fn: () => void): void {
    const { context } = this.world;
    if (context.active() && context.get() !== undefined) context.run(nobody, fn);
    else fn();
  }

  /** True once a trace context has been seen: until then nobody looks for one. */
  tracing = false;

  /** Runs fn so that the asks made in it carry this W3C traceparent, and the asks made in their turns as well. */
  traced<T>(traceparent: string, fn: () => T): T {
    this.tracing = true;
    return this.world.context.run({ host: null, trace: traceparent }, fn);
  }

  /** The traceparent of what runs right now. */
  traceNow(): string | undefined {
    if (!this.tracing) return undefined;
    const turn = this.turn();
    if (turn !== undefined) return turn.call?.extra?.trace;
    return (this.world.context.get() as { trace?: string } | undefined)?.trace;
  }

  /** Whose turn is running: synchronously, or as the continuation of an await. */
  turn(): TurnToken | undefined {
    const act = this.current;
    if (act !== null) {
      this.running ??= this.messageToken(act, this.call, act.actor);
      return this.running;
    }
    const token = this.world.context.get() as TurnToken | undefined;
    return token !== undefined && token.host === this.self ? token : undefined;
  }

  /** Does this run as the continuation of an actor's await? */
  protected inContinuation(): boolean {
    const { context } = this.world;
    return context.active() && context.get() !== undefined;
  }

  /** A persisted actor's turn begins or ends: while one runs or is open, tells may have to wait at its gate. */
  carefully(opened: number): void {
    this.openCareful += opened;
    this.plain = this.observer === null && this.openCareful === 0;
  }

  protected abstract readonly self: Host;
}

/** The token of no turn. */
const nobody: object = Object.freeze({ host: null });

/** The turn's activation has ended, or has been restarted: what still runs belongs to the past and causes nothing. */
export function isGhost(turn: TurnToken): boolean {
  return (turn.act.flags & dead) !== 0 || turn.actor !== turn.act.actor;
}

export function ghost(turn: TurnToken, what: string): TroupeError {
  return new TroupeError(
    'STOPPED',
    `${turn.act.id} has ended or was restarted since this turn began; its ${what} was not sent`,
  );
}
