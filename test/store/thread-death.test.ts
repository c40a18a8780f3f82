// A host thread dies with the vnodes on it: what was acknowledged is there, what was under way says that it is not known, and
// the partitions go on elsewhere under higher epochs.

import { describe, expect, it } from 'vitest';
import { tell } from '../../src/index.ts';
import { TroubleT } from '../bad-days/trouble-actors.ts';
import { newDir, startedNode, until } from './nodes.ts';

describe('a store whose threads die under load', () => {
  it('has lost no acknowledged write and shows none that it refused', { timeout: 60_000 }, async () => {
    const node = await startedNode({ dataDir: newDir(), threads: 2, actors: [TroubleT] });
    const deaths: number[] = [];
    node.on('thread-died', ({ thread }) => deaths.push(thread));
    const store = await node.store('s');
    const keys = Array.from({ length: 32 }, (_, n) => `k${n}`);
    const acked = new Map<string, number>();
    const outcomes = new Map<string, number>();
    const wrong: string[] = [];
    let going = true;
    const work = async (key: string): Promise<void> => {
      let n = 0;
      while (going) {
        n++;
        try {
          const { values, context } = await store.get(key);
          const highest = Math.max(0, ...(values as number[]));
          if (highest < (acked.get(key) ?? 0))
            wrong.push(`${key}: ${acked.get(key)} was acknowledged, ${values} is there`);
          await store.put(key, n, { context, deadlineMs: 2_000 });
          acked.set(key, n);
          outcomes.set('ok', (outcomes.get('ok') ?? 0) + 1);
        } catch (error) {
          const { code } = error as { code: string };
          outcomes.set(code, (outcomes.get(code) ?? 0) + 1);
          await new Promise(resolve => setTimeout(resolve, 2));
        }
      }
    };
    const workers = keys.map(work);
    // An actor on each thread whose one message ends it.
    const victims = await Promise.all(
      [1, 2].map(async thread => {
        for (let n = 0; ; n++) {
          const ref = node.ref(TroubleT, `v${n}`);
          if ((await node.locate(ref)).thread === thread) return ref;
        }
      }),
    );
    for (const [kill, victim] of victims.entries()) {
      const before = outcomes.get('ok') ?? 0;
      await until(() => (outcomes.get('ok') ?? 0) > before + 200);
      tell(victim).floating();
      await until(() => deaths.length > kill);
    }
    const before = outcomes.get('ok') ?? 0;
    await until(() => (outcomes.get('ok') ?? 0) > before + 200);
    going = false;
    await Promise.all(workers);
    expect(wrong).toEqual([]);
    expect(
      [...outcomes.keys()].filter(
        code => !['ok', 'OVERLOADED', 'UNKNOWN_OUTCOME', 'DEADLINE', 'STOPPED', 'FENCED'].includes(code),
      ),
    ).toEqual([]);
    for (const key of keys) {
      const { values } = await store.get(key);
      expect(Math.max(...(values as number[]))).toBeGreaterThanOrEqual(acked.get(key) as number);
    }
  });
});
