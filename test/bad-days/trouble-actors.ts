// Actors that make trouble of every kind, and one that does not. A file of its own: worker threads import it by URL.

import { Actor, type ActorType, type AnyRef, defineActor } from '../../src/index.ts';

/** Blocks the whole thread: no timer, no message, nothing. */
export function burn(ms: number): number {
  const end = performance.now() + ms;
  let rounds = 0;
  while (performance.now() < end) rounds++;
  return rounds;
}

export class Trouble extends Actor<{ good: number; bad: unknown }> {
  override initial(): { good: number; bad: unknown } {
    return { good: 0, bad: null };
  }
  work(): number {
    return ++this.state.good;
  }
  value(): number {
    return this.state.good;
  }
  epoch(): number {
    return this.self.epoch;
  }
  echo(value: unknown): unknown {
    return value;
  }
  throwError(): never {
    this.state.good += 1_000;
    throw Object.assign(new RangeError('no good'), { code: 'E_NO_GOOD', password: 'secret' });
  }
  throwLate(): Promise<never> {
    return Promise.reject(new TypeError('late'));
  }
  throwOdd(what: 'nothing' | 'text' | 'proxy' | 'getter'): never {
    const hostile = new Proxy(
      {},
      {
        get() {
          throw new Error('trap');
        },
      },
    );
    const getter = {
      get message(): string {
        throw new Error('getter');
      },
    };
    throw { nothing: undefined, text: 'text', proxy: hostile, getter }[what];
  }
  /** A handler that settles when nobody is left to hear it. */
  never(): Promise<number> {
    return new Promise(() => undefined);
  }
  oddThenable(): unknown {
    return {
      // biome-ignore lint/suspicious/noThenProperty: a hostile one is the point
      then(): void {
        throw new Error('a then that throws');
      },
    };
  }
  unsendable(what: 'function' | 'symbol' | 'cycle' | 'deep' | 'huge' | 'getter'): unknown {
    switch (what) {
      case 'function':
        return { f: () => 1 };
      case 'symbol':
        return [Symbol('s')];
      case 'cycle': {
        const cycle: unknown[] = [];
        cycle.push(cycle);
        return cycle;
      }
      case 'deep': {
        let deep: unknown = 1;
        for (let depth = 0; depth < 10_000; depth++) deep = [deep];
        return deep;
      }
      case 'huge':
        return new Uint8Array(17 << 20);
      case 'getter':
        return {
          get x(): number {
            throw new Error('a getter that throws');
          },
        };
    }
  }
  block(ms: number): number {
    return burn(ms);
  }
  floating(): number {
    // Nobody awaits it: an unhandled rejection on this thread.
    void Promise.reject(new Error('floating'));
    return 1;
  }
  timerThrows(): number {
    this.self.after(1, () => {
      throw new Error('in a timer');
    });
    return 1;
  }
  me(): AnyRef {
    return this.self.ref();
  }
}

/** The same, but all of it is kept. */
export class Keeper extends Trouble {
  /** A state that no disk takes. */
  spoil(): number {
    this.state.good += 1;
    this.state.bad = () => 1;
    return this.state.good;
  }
}

/** Fails as long as it is told to while it wakes. */
export class Stillborn extends Actor<{ n: number }> {
  override initial(): { n: number } {
    return { n: 0 };
  }
  override onActivate(): Promise<void> {
    const error = new Error(`${this.self.key} does not get up`);
    if (this.self.key.endsWith('late')) return new Promise((_, fail) => setImmediate(fail, error));
    throw error;
  }
  get(): number {
    return this.state.n;
  }
}

export const TroubleT: ActorType<Trouble> = defineActor(import.meta.url, Trouble, {
  type: 'trouble',
  turns: { value: 'read' },
});
export const RestartedT: ActorType<Trouble> = defineActor(import.meta.url, Trouble, {
  type: 'restarted',
  supervise: { onError: 'restart', max: 3, withinMs: 60_000, backoffMs: [1, 5] },
});
export const KeeperT: ActorType<Keeper> = defineActor(import.meta.url, Keeper, { type: 'keeper', persist: 'snapshot' });
export const StillbornT: ActorType<Stillborn> = defineActor(import.meta.url, Stillborn, { type: 'stillborn' });
export const CallersStillbornT: ActorType<Stillborn> = defineActor(import.meta.url, Stillborn, {
  type: 'callers-stillborn',
  placement: 'pinned',
  thread: 0,
});
