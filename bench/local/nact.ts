// nact 7.6 on the local workloads. Its `dispatch` is a tell, its `query` an ask that insists on a timeout; every message
// is handled in a setImmediate of its own, which is what bounds it.

import { type ActorSystemRef, dispatch, query, type Ref, spawn, start, stop } from 'nact';
import { someWork } from './actors.ts';
import { type FairSide, floodSize, type LocalSide, ringSize, sendersMax, share, timed } from './side.ts';

type Handler<Message> = (message: Message) => void;
interface Question {
  readonly from: Ref<number>;
  readonly value: number;
}

export function nactSide(): LocalSide {
  let system: ActorSystemRef;
  let echo: Ref<Question>;
  let names = 0;

  // Named, because nact's own names for the unnamed are random numbers and spawning throws when two of them meet.
  const actor = <Message>(handle: Handler<Message>): Ref<Message> =>
    spawn(
      system,
      (state: number, message: Message) => {
        handle(message);
        return state;
      },
      `actor-${names++}`,
      { initialState: 0 },
    );
  const retire = (actors: readonly Ref<never>[]): void => actors.forEach(stop);

  /** n messages passed on from one actor to the next, round the circle; resolves with how many were handled. */
  async function circle(size: number, n: number) {
    const finished = Promise.withResolvers<void>();
    let handled = 0;
    const actors: Ref<number>[] = Array.from({ length: size }, (_, index) =>
      actor<number>(left => {
        handled++;
        if (left === 1) finished.resolve();
        else dispatch(actors[(index + 1) % size] as Ref<number>, left - 1);
      }),
    );
    const result = await timed(async () => {
      dispatch(actors[0] as Ref<number>, n);
      await finished.promise;
      return handled;
    });
    retire(actors as Ref<never>[]);
    return result;
  }

  /** An actor that counts, and a promise for the moment it has counted to a number. */
  function counter() {
    let count = 0;
    let wanted = 0;
    let reached = Promise.withResolvers<void>();
    const ref = actor<number>(() => {
      if (++count === wanted) reached.resolve();
    });
    const until = async (target: number): Promise<number> => {
      reached = Promise.withResolvers<void>();
      wanted = target;
      if (count < wanted) await reached.promise;
      return count;
    };
    return { ref, until };
  }

  return {
    setup() {
      system = start();
      echo = actor<Question>(({ from, value }) => dispatch(from, value + 1));
    },
    pingPong: n => circle(2, n),
    ring: n => circle(ringSize, n),
    async fanIn(n) {
      const sink = counter();
      const senders = Array.from({ length: sendersMax }, () =>
        actor<number>(messages => {
          for (let i = 0; i < messages; i++) dispatch(sink.ref, i);
        }),
      );
      const result = await timed(() => {
        for (const [index, sender] of senders.entries()) dispatch(sender, share(n, sendersMax, index));
        return sink.until(n);
      });
      retire([...senders, sink.ref] as Ref<never>[]);
      return result;
    },
    async flood(n) {
      const sink = counter();
      const result = await timed(async () => {
        for (let sent = 0; sent < n; ) {
          const until = Math.min(sent + floodSize, n);
          for (; sent < until; sent++) dispatch(sink.ref, sent);
          await sink.until(until);
        }
        return sink.until(n);
      });
      retire([sink.ref] as Ref<never>[]);
      return result;
    },
    ask: value => query(echo, (from: Ref<number>) => ({ from, value }), 5_000),
    async spawn(n) {
      let alive = 0;
      const finished = Promise.withResolvers<void>();
      const handle = (): void => {
        if (++alive === n) finished.resolve();
      };
      const began = performance.now();
      const actors = Array.from({ length: n }, () => actor<number>(handle));
      const ms = performance.now() - began;
      for (const child of actors) dispatch(child, 0);
      await finished.promise;
      retire(actors as Ref<never>[]);
      return { done: alive, ms };
    },
    async idle(n) {
      let done = 0;
      const finished = Promise.withResolvers<void>();
      const handle = (): void => {
        if (++done === n) finished.resolve();
      };
      for (let i = 0; i < n; i++) dispatch(actor<number>(handle), 0);
      await finished.promise;
      return { done, keep: system };
    },
    teardown: () => stop(system),
  };
}

export function nactFairSide(): FairSide {
  let system: ActorSystemRef;
  let loaded: Ref<number>;
  let quick: Ref<Question>;
  let queued = 0;
  let handled = 0;

  return {
    setup() {
      system = start();
      const work = (hash: number, message: number): number => {
        handled++;
        return someWork(hash ^ message);
      };
      loaded = spawn(system, work, 'loaded', { initialState: 0 });
      const echo = (state: number, { from, value }: Question): number => {
        dispatch(from, value + 1);
        return state;
      };
      quick = spawn(system, echo, 'quick', { initialState: 0 });
    },
    load(messages) {
      for (let i = 0; i < messages; i++) dispatch(loaded, i);
      queued += messages;
    },
    backlog: () => queued - handled,
    ask: value => query(quick, (from: Ref<number>) => ({ from, value }), 5_000),
    drained: () => true, // a million take it ten seconds
    teardown: () => stop(system),
  };
}
