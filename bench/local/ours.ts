// Troupe on the local workloads: a node without threads, so that everything runs here, as it does for the peers.

import { setImmediate } from 'node:timers/promises';
import { call, type Node, type Ref, startNode, tell } from '../../src/index.ts';
import {
  actors,
  type Busy,
  BusyT,
  busy,
  ChildT,
  type Counter,
  CounterT,
  type Echo,
  EchoT,
  hears,
  ParentT,
  type Player,
  PlayerT,
  SenderT,
} from './actors.ts';
import { type FairSide, floodSize, type LocalSide, ringSize, sendersMax, share, timed } from './side.ts';

/** Asks that are answered when a whole run is over. */
const patient = { deadlineMs: 120_000 };
/** More than any workload here wakes: nobody is put to sleep to make room. */
const residentsMax = 2_000_000;

export function troupeSide(): LocalSide {
  let node: Node;
  let echo: Ref<Echo>;
  let runs = 0;

  async function circle(size: number, n: number) {
    const players = Array.from({ length: size }, (_, index): Ref<Player> => node.ref(PlayerT, `${size}/${index}`));
    for (const [index, player] of players.entries()) await player.join(players[(index + 1) % size] as Ref<Player>);
    const first = players[0] as Ref<Player>;
    return timed(async () => {
      const over = new Promise<void>(resolve => {
        hears.over = resolve;
      });
      tell(first).take(n);
      await over;
      const handled = await Promise.all(players.map(player => player.handled()));
      return handled.reduce((sum, count) => sum + count, 0);
    });
  }

  /** A counter that has not counted yet. */
  const counter = (): Ref<Counter> => node.ref(CounterT, `run-${runs++}`);

  return {
    async setup() {
      node = await startNode({ threads: 0, actors, residentsMax });
      echo = node.ref(EchoT, 'one');
    },
    pingPong: n => circle(2, n),
    ring: n => circle(ringSize, n),
    async fanIn(n) {
      const sink = counter();
      await sink.expect(n);
      const senders = Array.from({ length: sendersMax }, (_, index) => tell(node.ref(SenderT, String(index))));
      return timed(async () => {
        const counted = new Promise<void>(resolve => {
          hears.counted = resolve;
        });
        for (const [index, sender] of senders.entries()) sender.burst(sink, share(n, sendersMax, index));
        await counted;
        return sink.count();
      });
    },
    flood(n) {
      const sink = counter();
      const hit = tell(sink);
      return timed(async () => {
        let count = 0;
        for (let sent = 0; sent < n; ) {
          const until = Math.min(sent + floodSize, n);
          for (; sent < until; sent++) hit.hit();
          count = await sink.count(); // answered behind them
        }
        return count;
      });
    },
    ask: value => echo.next(value),
    spawn: n => call(node.ref(ParentT, 'one'), patient).grow(n),
    async idle(n) {
      const run = runs++;
      let done = 0;
      hears.alive = () => {
        done++;
      };
      for (let i = 0; i < n; i++) {
        tell(node.ref(ChildT, `${run}-${i}`)).touch();
        if (i % 1_000 === 999) await setImmediate();
      }
      // One turn of the event loop is one slice of time, which need not be enough for all of them.
      for (let turns = 0; done < n && turns < 1_000; turns++) await setImmediate();
      return { done, keep: node };
    },
    async idleSpawned(n) {
      const done = await call(node.ref(ParentT, `keeper-${runs++}`), patient).keep(n);
      return { done, keep: node };
    },
    teardown: () => node.stop(),
  };
}

export function troupeFairSide(): FairSide {
  let node: Node;
  let loaded: Ref<Busy>;
  let quick: Ref<Echo>;
  let queued = 0;

  return {
    async setup() {
      node = await startNode({ threads: 0, actors });
      quick = node.ref(EchoT, 'quick');
      loaded = node.ref(BusyT, 'loaded');
      busy.handled = 0;
    },
    load(messages) {
      const stub = tell(loaded);
      for (let i = 0; i < messages; i++) stub.work(i);
      queued += messages;
    },
    backlog: () => queued - busy.handled,
    ask: value => quick.next(value),
    async drained() {
      while (busy.handled < queued) await setImmediate();
      return busy.handled === queued;
    },
    teardown: () => node.stop(),
  };
}
