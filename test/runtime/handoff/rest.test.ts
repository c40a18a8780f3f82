// Partitions whose actors wait for each other's, and are to change hands at the same time: each has to come to rest, with the other held back.

import { afterEach, beforeEach, expect, it } from 'vitest';
import { Actor } from '../../../src/runtime/actor.ts';
import { type ActorType, defineActor } from '../../../src/runtime/define-actor.ts';
import type { Ref } from '../../../src/runtime/refs.ts';
import { ClusterKit } from '../../../src/testing/cluster-kit-host.ts';
import { handAll, keysOf, partitionOfKey } from './wishes.ts';

/** Takes its time, as on a thread of its own. */
class Slow extends Actor<unknown[]> {
  override initial(): unknown[] {
    return [];
  }
  async hear(what: unknown): Promise<number> {
    await new Promise<void>(done => kit.clock.timer(1, done));
    return this.state.push(what);
  }
  all(): unknown[] {
    return this.state;
  }
}
const SlowT: ActorType<Slow> = defineActor(import.meta.url, Slow, { type: 'slow', persist: 'none' });

interface Asked {
  asked: number;
  troubles: string[];
  other?: Ref<Slow>;
}

/** Nearly always in a turn that waits for another. */
class Asker extends Actor<Asked> {
  override initial(): Asked {
    return { asked: 0, troubles: [] };
  }
  begin(other: Ref<Slow>): void {
    this.state.other = other;
    this.self.after(1, 'ask');
  }
  async ask(): Promise<void> {
    try {
      for (let i = 0; i < 50; i++) await this.state.other?.hear(this.state.asked++);
    } catch (error) {
      this.state.troubles.push(String(error));
    }
    this.self.after(1, 'ask');
  }
  all(): Asked {
    return this.state;
  }
}
const AskerT: ActorType<Asker> = defineActor(import.meta.url, Asker, { type: 'asker', persist: 'none' });

/** Has a turn of its own every few ms, and is in one half of the time. */
class Busy extends Actor<number[]> {
  override initial(): number[] {
    return [];
  }
  begin(): void {
    this.self.every(6, 'turn');
  }
  async turn(): Promise<void> {
    await new Promise<void>(done => kit.clock.timer(3, done));
    this.state.push(this.self.epoch);
  }
  turns(): number[] {
    return this.state;
  }
}
const BusyT: ActorType<Busy> = defineActor(import.meta.url, Busy, { type: 'busy', persist: 'none' });

let kit: ClusterKit;

beforeEach(async () => {
  kit = new ClusterKit(3, { actors: [SlowT, AskerT, BusyT], seed: 7 });
  await kit.start();
});
afterEach(() => kit.close());

it.each([
  ['two of one node', 'n1', 'n1'],
  ['two of two nodes', 'n1', 'n2'],
])('%s, whose actors ask each other', async (_what, one, two) => {
  const keys = one === two ? keysOf(kit, one, 2) : [...keysOf(kit, one, 1), ...keysOf(kit, two, 1)];
  const [first, second] = keys as [string, string];
  const asks = async (key: string, other: string): Promise<unknown> =>
    kit.run(kit.node('n3').ref(AskerT, key).begin(kit.node('n3').ref(SlowT, other)));
  await asks(first, second);
  await asks(second, first);
  await kit.clock.advance(100);
  const before = kit.clock.now();
  await handAll(
    kit,
    keys.map(key => [partitionOfKey(kit, key), 'n3'] as const),
  );
  // Those of one node do so one after the other; of two nodes, one gives up, and is tried again.
  expect(kit.clock.now() - before).toBeLessThan(one === two ? 500 : 5_000);
  for (const [at, key] of keys.entries()) {
    const { asked, troubles } = (await kit.run(kit.node('n1').ref(AskerT, key).all())) as Asked;
    expect(troubles).toEqual([]);
    const heard = await kit.run(
      kit
        .node('n1')
        .ref(SlowT, keys[1 - at] as string)
        .all(),
    );
    expect(heard.slice(0, asked)).toEqual(Array.from({ length: asked }, (_, number) => number));
  }
});

it('one whose actors are never all at rest, because of their timers', async () => {
  const [first] = keysOf(kit, 'n1', 1) as [string];
  const partition = partitionOfKey(kit, first);
  const keys: string[] = [];
  for (let i = 0; keys.length < 30; i++) if (partitionOfKey(kit, `b${i}`) === partition) keys.push(`b${i}`);
  for (const key of keys) {
    await kit.run(kit.node('n1').ref(BusyT, key).begin());
    await kit.clock.advance(1);
  }
  const before = kit.clock.now();
  await handAll(kit, [[partition, 'n2']]);
  expect(kit.clock.now() - before).toBeLessThan(1_000);
  await kit.clock.advance(100);
  for (const key of keys) {
    const epochs = await kit.run(kit.node('n3').ref(BusyT, key).turns());
    expect(new Set(epochs).size).toBe(2);
    expect(epochs).toEqual(epochs.toSorted((a, b) => a - b));
  }
});
