// What a user writes: a class with public methods and a plain `state`. Everything the runtime offers an actor is on
// `this.self`. The class is never called by name from outside: define-actor.ts builds its table of methods once.
//
// Invariant: whatever must survive sleep, crash or a move is in `this.state`; anything else an actor holds is rebuilt in
// onActivate(). Docs: API.md section 2.

import { TroupeError } from '../errors.ts';
import type { ActorType } from './define-actor.ts';
import type { AnyRef, Ref } from './refs.ts';
import { show } from './show.ts';
import type { Log, Millis } from './world.ts';

/** Why an activation ends. 'idle' and 'moved' actors come back with their state; the others start anew from storage. */
export type DeactivateReason = 'idle' | 'evicted' | 'moved' | 'stopped' | 'failed' | 'shutdown';

/** What a watcher is told, once. */
export interface Departure {
  /** The address that was watched, e.g. 'cart/user-7'. */
  readonly id: string;
  readonly reason: 'stopped' | 'failed' | 'thread-lost' | 'shutdown';
}

/** A timer made by after() or every(); pass it to cancel(). */
export type TimerId = number;

/** When a reminder is due: ms from now, a date, or a period (first due after one period). */
export type ReminderTime = Millis | Date | { readonly everyMs: Millis };

/** A timer's work: the name of one of the actor's own methods (it then survives a move), or a closure (see README). */
export type TimerWork = string | (() => unknown);

/** The actor's own handle: identity, refs to others, timers, children, stash, topics. */
export interface Self {
  /** 'type/key'. */
  readonly id: string;
  readonly type: string;
  readonly key: string;
  /** Fencing epoch of this activation: rises with every activation and every move, never reused. */
  readonly epoch: number;
  /** Aborted when this activation ends. */
  readonly signal: AbortSignal;
  /** W3C traceparent of the ask this turn serves; undefined when there is none. */
  readonly traceparent: string | undefined;
  /** A ref to this actor, to hand to others. */
  ref(): AnyRef;
  /** A ref to another actor; asks made through it carry this actor's call chain. */
  ref<A extends Actor>(type: ActorType<A>, key: string): Ref<A>;
  /** An unnamed child on the same thread. It ends with this activation. `props` go to the child's initial(props). */
  spawn<A extends Actor>(type: ActorType<A>, props?: unknown): Ref<A>;
  /**
   * Runs once, as a turn of this actor, after ms: a closure as an exclusive turn, a named method in that method's own mode. So
   * an exclusive turn that awaits its own timer waits for ever, unless the timer names an `interleave` method.
   */
  after(ms: Millis, work: TimerWork): TimerId;
  /** Runs again and again, as turns of this actor; a late one is not made up for. */
  every(ms: Millis, work: TimerWork): TimerId;
  /**
   * A stored timer: survives sleep, crash and moves; arrives as onReminder(name). Resolves when it is stored, as durably as the state of
   * its actor (`durability`). It is a write of its own: it stays when the turn that made it fails afterwards.
   */
  remind(name: string, when: ReminderTime): Promise<void>;
  /** Cancels a timer or a reminder. */
  cancel(timerOrReminder: TimerId | string): void | Promise<void>;
  /** Tells, exactly once, when the other actor ends other than by idleness or a move. Returns the way to stop watching. */
  watch(ref: AnyRef, tell: (departure: Departure) => unknown): () => void;
  /** Sets the message of the current turn aside; its asker keeps waiting, and its deadline goes on. What the turn did stays. */
  stash(): void;
  /** Puts all stashed messages back in front, in their order. */
  unstashAll(): void;
  /** Delivers a value to every subscriber of a topic on this node, as onTopic(topic, value). */
  publish(topic: string, value: unknown): void;
  /**
   * Until unsubscribe(), or until this activation stops, fails or is lost; sleep and moves keep it, and a message wakes the
   * sleeper. So subscribe in onActivate(). Subscribing twice is once.
   */
  subscribe(topic: string): void;
  unsubscribe(topic: string): void;
  /** Ends this activation after the current turn. */
  stop(): void;
  readonly log: Log;
}

const outside = 'this.self is only there once the runtime has activated the actor';

/** Set by the runtime around `new`, so that field initialisers may already use this.self. */
let constructing: Self | undefined;

export function constructWith<A>(self: Self, make: () => A): A {
  const before = constructing;
  constructing = self;
  try {
    return make();
  } finally {
    constructing = before;
  }
}

export class Actor<S = unknown> {
  /** Plain data: what survives. Replaced by the stored or shipped state on activation. */
  declare state: S;
  declare readonly self: Self;

  constructor() {
    this.self = constructing as Self;
    this.state = undefined as S;
  }

  /** The first state. `props` is what spawn() was given; undefined for named actors. */
  initial(_props?: unknown): S {
    return undefined as S;
  }

  /** Runs before the first message of an activation, after state is in place; also after a move. */
  onActivate(): unknown {
    return undefined;
  }

  /** Runs when an activation ends in good order. */
  onDeactivate(_why: DeactivateReason): unknown {
    return undefined;
  }

  onReminder(_name: string): unknown {
    return undefined;
  }

  onTopic(_topic: string, _value: unknown): unknown {
    return undefined;
  }

  /** persist: 'journal' only: applies one event to this.state. Must be deterministic: it also replays. */
  onEvent(_event: unknown): void {
    throw new TypeError(`${this.constructor.name} has persist: 'journal' but no onEvent(event) method`);
  }

  /** persist: 'journal' only: applies the event now and stores it; the turn's replies wait until it is durable. */
  append(event: unknown): void {
    internalsOf(this.self).append(this, event);
  }

  /** Resolves when the state as it is now is durable: 'committed' survives the process, 'flushed' survives power loss. */
  save(level: 'committed' | 'flushed' = 'committed'): Promise<void> {
    if (level !== 'committed' && level !== 'flushed')
      throw new TroupeError('BAD_OPTION', `save() takes 'committed' or 'flushed'; got ${show(level)}`);
    return internalsOf(this.self).save(this, level);
  }
}

/** What the runtime puts behind `self` for the base class. */
export interface SelfInternals {
  save(actor: Actor, level: 'committed' | 'flushed'): Promise<void>;
  append(actor: Actor, event: unknown): void;
}

function internalsOf(self: Self | undefined): SelfInternals {
  if (self === undefined) throw new TypeError(outside);
  return self as unknown as SelfInternals;
}

/** Names of Actor.prototype, and those every object has: part of the frame, never callable from outside. */
export const frameMethods: ReadonlySet<string> = new Set([
  ...Object.getOwnPropertyNames(Object.prototype),
  'toJSON',
  'constructor',
  'initial',
  'onActivate',
  'onDeactivate',
  'onReminder',
  'onTopic',
  'onEvent',
  'append',
  'save',
  'state',
  'self',
]);
