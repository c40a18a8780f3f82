// An actor that throws everything that can be thrown.

import { TroupeError } from '../../../src/errors.ts';
import { Actor } from '../../../src/runtime/actor.ts';
import { type ActorType, defineActor } from '../../../src/runtime/define-actor.ts';

class Coded extends Error {
  override readonly name = 'Coded';
  readonly code = 'E_CODED';
}

/** A proxy whose every trap throws: nothing can be asked of it, not even what it is. */
const hostile = (): object => {
  const refuse = (): never => {
    throw new Error('trapped');
  };
  return new Proxy(
    {},
    { get: refuse, getPrototypeOf: refuse, has: refuse, ownKeys: refuse, getOwnPropertyDescriptor: refuse },
  );
};

export const thrown: Record<string, () => unknown> = {
  error: () => new RangeError('out of range'),
  coded: () => new Coded('with a code'),
  numbered: () => Object.assign(new Error('numbered'), { code: 42 }),
  caused: () => new Error('outer', { cause: new TypeError('inner') }),
  aggregate: () => new AggregateError([new Error('one'), new Error('two')], 'several'),
  string: () => 'just text',
  number: () => 7,
  undefined: () => undefined,
  null: () => null,
  symbol: () => Symbol('s'),
  object: () => ({ message: 'like an error', name: 'Likeness', code: 'L' }),
  oddly: () => ({ message: 1, name: {}, code: [] }),
  noPrototype: () => Object.create(null),
  function: () => () => 1,
  hostile,
  revoked: () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  },
  getters: () =>
    Object.defineProperty(new Error('never seen'), 'message', {
      get: () => {
        throw new Error('no message for you');
      },
    }),
  troupe: () => new TroupeError('LIMITED', 'slow down', { details: { retryAfterMs: 5 } }),
  overloaded: () => new TroupeError('OVERLOADED', 'an inner actor is full'),
  unknown: () => new TroupeError('UNKNOWN_OUTCOME', 'an inner ask was not answered'),
};

export class Thrower extends Actor<{ turns: number }> {
  override initial(): { turns: number } {
    return { turns: 0 };
  }
  throws(what: string): never {
    this.state.turns++;
    throw thrown[what]?.();
  }
  async rejects(what: string): Promise<never> {
    this.state.turns++;
    await undefined;
    throw thrown[what]?.();
  }
  nested(what: string): Promise<unknown> {
    return this.self.ref(ThrowerT, `${this.self.key}+`).throws(what);
  }
  /** A thenable that throws from then(), settles twice, or is not what it seems. */
  thenable(how: 'throws' | 'twice' | 'both'): unknown {
    const then = (yes: (value: string) => void, no: (error: unknown) => void): void => {
      if (how === 'throws') throw new Error('from then');
      yes('first');
      if (how === 'twice') yes('second');
      else no(new Error('too late'));
    };
    return { then };
  }
  turns(): number {
    return this.state.turns;
  }
  unsendable(): unknown {
    return { fn: () => 1 };
  }
  spoil(): void {
    (this.state as unknown as Record<string, unknown>).socket = () => 1;
  }
}
export const ThrowerT: ActorType<Thrower> = defineActor(import.meta.url, Thrower, { type: 'thrower' });
