// One of the three nodes: writes to counters wherever they are, and says how long each write took.

import { serveParent } from '../../src/doors/tour/member.ts';
import { call, startNode } from '../../src/index.ts';
import { CounterT } from './actors.ts';

const node = await startNode({ ...JSON.parse(process.argv[2] ?? ''), actors: [CounterT] });
await node.ready();

const commands = {
  replicas: async () => ((await node.describe()) as any).threads[0].router.gateway.replicas,
  owner: (key: string) => node.cluster.preference(key, 1)[0],
  /** How long each write took, in ms; `count` of them, `flight` at a time, to counters of these keys. */
  write: async (keys: string[], count: number, flight: number) => {
    const took: number[] = [];
    let next = 0;
    const work = async (): Promise<void> => {
      for (let n = next++; n < count; n = next++) {
        const since = performance.now();
        await node.ref(CounterT, keys[n % keys.length] as string).add(1);
        took.push(performance.now() - since);
      }
    };
    const since = performance.now();
    await Promise.all(Array.from({ length: flight }, work));
    return { took, ms: performance.now() - since };
  },
  /** Again and again until it is acknowledged; how long that took. */
  insist: async (key: string) => {
    const since = performance.now();
    for (;;)
      try {
        await call(node.ref(CounterT, key), { deadlineMs: 500 }).add(1);
        return performance.now() - since;
      } catch {
        await new Promise(resolve => setTimeout(resolve, 20));
      }
  },
  sum: async (keys: string[]) => {
    let sum = 0;
    for (const key of keys) sum += await node.ref(CounterT, key).get();
    return sum;
  },
  stop: () => node.stop(),
};
export type BenchCommands = typeof commands;

serveParent(commands, node.cluster.address);
