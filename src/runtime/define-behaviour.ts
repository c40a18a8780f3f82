// The functional face: a behaviour is `receive(state, message, turn) => { state, reply, effects }`. It is compiled to an
// actor with one method, `send(message)`, so both spellings share one engine, one mailbox and one supervision.
//
// A behaviour that is pure in (state, message) can be tested as a plain call, and with persist: 'journal' its messages are
// the journal: they are replayed through receive() with `turn.replaying` true, replies and effects dropped.

import { TroupeError } from '../errors.ts';
import type { Activation } from './activation.ts';
import { Actor, type Self } from './actor.ts';
import { type ActorOptions, type ActorType, checkOptions, methodTable, register } from './define-actor.ts';
import { type AnyRef, isRef, TYPE, tell } from './refs.ts';
import { startTimer } from './timers.ts';
import { isThenable } from './turns.ts';

/** What a turn may cause besides its reply. Run in order, after the new state is in place. */
export type Effect =
  | { readonly type: 'tell'; readonly to: AnyRef; readonly method?: string; readonly args: readonly unknown[] }
  | { readonly type: 'after'; readonly ms: number; readonly message: unknown }
  | { readonly type: 'publish'; readonly topic: string; readonly value: unknown }
  | { readonly type: 'stop' };

export interface BehaviourTurn {
  readonly self: Self;
  /** True while a journal is replayed: causes nothing. */
  readonly replaying: boolean;
}

export interface Outcome<S, R> {
  readonly state?: S;
  readonly reply?: R;
  readonly effects?: readonly Effect[];
}

export interface BehaviourOptions<S, M, R> extends Omit<ActorOptions, 'migrate' | 'turns'> {
  readonly initial: S | ((props?: unknown) => S);
  readonly migrate?: (state: any, fromVersion: number) => S;
  receive(state: S, message: M, turn: BehaviourTurn): Outcome<S, R> | Promise<Outcome<S, R>> | undefined;
}

/** The actor a behaviour becomes. */
export declare class Behaviour<S, M, R> extends Actor<S> {
  send(message: M): Promise<R> | R;
}

export function defineBehaviour<S, M, R = unknown>(
  url: string,
  options: BehaviourOptions<S, M, R>,
): ActorType<Behaviour<S, M, R>> {
  const { initial, receive, ...rest } = options;
  if (typeof receive !== 'function')
    throw new TroupeError('BAD_OPTION', `behaviour '${String(options.type)}' needs receive(state, message, turn)`);
  const journal = rest.persist === 'journal';

  class BehaviourActor extends Actor<S> {
    /** The outcome that a live turn has computed, on its way through append(): receive() runs once a message. */
    private computed: { readonly outcome: Outcome<S, R> | undefined } | undefined;

    override initial(props?: unknown): S {
      return typeof initial === 'function' ? (initial as (props?: unknown) => S)(props) : structuredClone(initial);
    }

    send(message: M): unknown {
      const outcome = receive(this.state, message, { self: this.self, replaying: false });
      if (isThenable(outcome)) {
        if (journal)
          throw new TroupeError(
            'BAD_OPTION',
            `behaviour '${options.type}' has persist: 'journal': receive must not be async, it replays`,
          );
        return (outcome as Promise<Outcome<S, R>>).then(settled => apply(this, settled));
      }
      if (journal) {
        this.computed = { outcome };
        try {
          this.append(message);
        } finally {
          this.computed = undefined;
        }
        return finish(this, outcome);
      }
      return apply(this, outcome);
    }

    override onEvent(message: unknown): void {
      const turn = { self: this.self, replaying: true };
      const outcome =
        this.computed === undefined
          ? (receive(this.state, message as M, turn) as Outcome<S, R> | undefined)
          : this.computed.outcome;
      if (outcome?.state !== undefined) this.state = outcome.state;
    }
  }
  const actorOptions = rest as ActorOptions;
  const spec = checkOptions(actorOptions);
  const methods = methodTable(BehaviourActor.prototype, actorOptions);
  return register(url, {
    kind: 'troupe-actor-type',
    type: spec.type,
    url,
    spec,
    methods,
    make: () => new BehaviourActor(),
  }) as unknown as ActorType<Behaviour<S, M, R>>;
}

function apply<S, R>(actor: Actor<S>, outcome: Outcome<S, R> | undefined): R | undefined {
  if (outcome?.state !== undefined) actor.state = outcome.state;
  return finish(actor, outcome);
}

function finish<S, R>(actor: Actor<S>, outcome: Outcome<S, R> | undefined): R | undefined {
  for (const effect of outcome?.effects ?? []) cause(actor, effect);
  return outcome?.reply;
}

function cause(actor: Actor, effect: Effect): void {
  switch (effect.type) {
    case 'tell': {
      if (!isRef(effect.to)) throw new TroupeError('BAD_MESSAGE', 'a tell effect needs a ref; got something else');
      const method = effect.method ?? 'send';
      // By the table of the type, never by what the stub happens to inherit.
      if (effect.to[TYPE].methodCode(method) === undefined)
        throw new TroupeError('NO_METHOD', `${effect.to.toString()} has no method '${method}'`);
      (tell(effect.to) as unknown as Record<string, (...args: unknown[]) => unknown>)[method]?.(...effect.args);
      return;
    }
    case 'after':
      // A named timer, so that it can move along.
      startTimer(actor.self as unknown as Activation, effect.ms, 0, 'send', [effect.message]);
      return;
    case 'publish':
      actor.self.publish(effect.topic, effect.value);
      return;
    case 'stop':
      actor.self.stop();
      return;
    default:
      throw new TroupeError(
        'BAD_OPTION',
        `${actor.self.id}: there is no effect '${String((effect as { type?: unknown }).type)}'; known are tell, after, publish, stop`,
      );
  }
}
