// XState 5.33 on the local workloads. `send` runs the receiver on the spot unless it is busy, so there is no queue to
// flood from outside, and a message passed round a ring of 1,000 is a call so deep that it overflows the stack: no such
// row. It has no ask: the cheapest idiom is an event that carries its resolver.
//
// Two kinds of logic are used, whichever is faster for it: callback logic handles an event about three times as fast as
// transition logic, transition logic starts twice as fast and is smaller.

import { createActor, fromCallback, fromTransition } from 'xstate';
import { floodSize, type LocalSide, sendersMax, share, timed } from './side.ts';

interface Event {
  readonly type: 'message';
  readonly value: number;
  readonly reply?: (value: number) => void;
}
type Handler = (event: Event) => void;

interface Sendable {
  send(event: Event): void;
  stop(): unknown;
}

function callbackActor(handle: Handler): Sendable {
  return createActor(fromCallback<Event>(({ receive }) => receive(handle))).start();
}

function transitionActor(handle: Handler): Sendable {
  return createActor(
    fromTransition((state: null, event: Event) => {
      if (event.type === 'message') handle(event); // it is also shown xstate.stop and the like
      return state;
    }, null),
  ).start();
}

const message = (value: number): Event => ({ type: 'message', value });
const retire = (actors: readonly Sendable[]): void => {
  for (const actor of actors) actor.stop();
};

async function circle(size: number, n: number) {
  let handled = 0;
  const actors: Sendable[] = Array.from({ length: size }, (_, index) =>
    callbackActor(({ value: left }) => {
      handled++;
      if (left > 1) (actors[(index + 1) % size] as Sendable).send(message(left - 1));
    }),
  );
  // Nothing to wait for: when send() returns, the last of the circle has handled its message.
  const result = await timed(async () => {
    (actors[0] as Sendable).send(message(n));
    return handled;
  });
  retire(actors);
  return result;
}

export function xstateSide(): LocalSide {
  const echo = callbackActor(({ value, reply }) => reply?.(value + 1));

  return {
    pingPong: n => circle(2, n),
    async fanIn(n) {
      let count = 0;
      const sink = callbackActor(() => {
        count++;
      });
      const senders = Array.from({ length: sendersMax }, () =>
        callbackActor(({ value: messages }) => {
          for (let i = 0; i < messages; i++) sink.send(message(i));
        }),
      );
      const result = await timed(async () => {
        for (const [index, sender] of senders.entries()) sender.send(message(share(n, sendersMax, index)));
        return count;
      });
      retire([...senders, sink]);
      return result;
    },
    async flood(n) {
      let count = 0;
      // An actor that floods itself is the only way to see its queue: while it runs, what it is sent has to wait.
      const sink: Sendable = callbackActor(({ value: burst }) => {
        for (let i = 0; i < burst; i++) sink.send(message(0));
        if (burst === 0) count++;
      });
      const result = await timed(async () => {
        for (let sent = 0; sent < n; sent += floodSize) sink.send(message(Math.min(floodSize, n - sent)));
        return count;
      });
      retire([sink]);
      return result;
    },
    ask(value) {
      const { promise, resolve } = Promise.withResolvers<number>();
      echo.send({ type: 'message', value, reply: resolve });
      return promise;
    },
    async spawn(n) {
      let alive = 0;
      const handle = (): void => {
        alive++;
      };
      const began = performance.now();
      const actors = Array.from({ length: n }, () => transitionActor(handle));
      const ms = performance.now() - began;
      for (const actor of actors) actor.send(message(0));
      retire(actors);
      return { done: alive, ms };
    },
    async idle(n) {
      let done = 0;
      const handle = (): void => {
        done++;
      };
      const keep = Array.from({ length: n }, () => transitionActor(handle));
      for (const actor of keep) actor.send(message(0));
      return { done, keep };
    },
    teardown: () => retire([echo]),
  };
}
