// Troupe on the local workloads: a node without threads, so that everything runs here, as it does for the peers.

import { call, type Ref, startNode, tell } from '../../src/index.ts';
import {
  actors,
  type Counter,
  CounterT,
  type Echo,
  EchoT,
  IdleT,
  ParentT,
  type Player,
  PlayerT,
  RefereeT,
  SenderT,
} from './actors.ts';
import { floodSize, type LocalSide, ringSize, sendersMax, share, timed } from './side.ts';

/** Asks that are answered when a whole run is over. */
const patient = { deadlineMs: 120_000 };

export function troupeSide(): LocalSide {
  let node: Awaited<ReturnType<typeof startNode>>;
  let echo: Ref<Echo>;
  let runs = 0;

  async function circle(size: number, n: number) {
    const players = Array.from({ length: size }, (_, index): Ref<Player> => node.ref(PlayerT, `${size}/${index}`));
    const referee = node.ref(RefereeT, String(size));
    for (const [index, player] of players.entries())
      await player.join(players[(index + 1) % size] as Ref<Player>, referee);
    const first = players[0] as Ref<Player>;
    return timed(async () => {
      const over = call(referee, patient).over();
      await tell(first).take(n);
      await over;
      const handled = await Promise.all(players.map(player => player.handled()));
      return handled.reduce((sum, count) => sum + count, 0);
    });
  }

  /** A counter that has not counted yet. */
  const counter = (): Ref<Counter> => node.ref(CounterT, `run-${runs++}`);

  return {
    async setup() {
      node = await startNode({ threads: 0, actors });
      echo = node.ref(EchoT, 'one');
    },
    pingPong: n => circle(2, n),
    ring: n => circle(ringSize, n),
    fanIn(n) {
      const sink = counter();
      return timed(async () => {
        const over = call(sink, patient).until(n);
        for (let i = 0; i < sendersMax; i++)
          await tell(node.ref(SenderT, String(i))).burst(sink, share(n, sendersMax, i));
        return over;
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
          count = await sink.until(until);
        }
        return count;
      });
    },
    ask: value => echo.next(value),
    spawn: n => call(node.ref(ParentT, 'one'), patient).grow(n),
    async idle(n) {
      let done = 0;
      const atOnce = 500;
      for (let first = 0; first < n; first += atOnce) {
        const size = Math.min(atOnce, n - first);
        const touched = await Promise.all(
          Array.from({ length: size }, (_, i) => node.ref(IdleT, `${runs}-${first + i}`).touch()),
        );
        done += touched.filter(times => times === 1).length;
      }
      runs++;
      return { done, keep: node };
    },
    teardown: () => node.stop(),
  };
}
