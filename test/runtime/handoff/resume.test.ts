// A transfer that was broken off goes on: what has come is compared, and only what is another one is sent again.

import { afterEach, beforeEach, expect, it } from 'vitest';
import { ClusterKit, type KitNode } from '../../../src/testing/cluster-kit-host.ts';
import { LogT } from '../gateway/actors.ts';

const text = new TextEncoder();
const count = 6_000;
const valueBytes = 512;
let kit: ClusterKit;
const node = (name: string): KitNode => kit.node(name);

beforeEach(async () => {
  kit = new ClusterKit(2, { actors: [LogT], partitions: 2, seed: 11, faults: { delayMs: 2, jitterMs: 1 } });
  await kit.start();
});
afterEach(() => kit.close());

const shardOf = (at: KitNode, partition: number) => at.disk.shard(`kv/things/${partition}`);

async function write(at: KitNode, partition: number, from: number, to: number, fill: number): Promise<void> {
  const ops = Array.from({ length: to - from }, (_, i) => ({
    type: 'put' as const,
    key: text.encode(`key-${String(from + i).padStart(6, '0')}`),
    version: new Uint8Array(0),
    value: new Uint8Array(valueBytes).fill(fill),
  }));
  for (let i = 0; i < ops.length; i += 500)
    await kit.run(shardOf(at, partition).commit({ epoch: 1, fence: 'record', ops: ops.slice(i, i + 500) }, 'flushed'));
}

const contents = (at: KitNode, partition: number): string[] =>
  [...shardOf(at, partition).scan()].map(({ key, value }) => `${new TextDecoder().decode(key)}=${value[0]}`);

it('after the new owner has crashed, with what was written meanwhile, and without what was deleted', async () => {
  const from = node('n1').cluster.ring().owners[0] as string;
  const [source, target] = from === 'n1' ? [node('n1'), node('n2')] : [node('n2'), node('n1')];
  await write(source, 0, 0, count, 1);
  // What somebody has left there before is no part of it.
  await write(target, 0, count + 10, count + 500, 9);
  const plan = source.cluster.plan({ weights: { [source.name]: 0, [target.name]: 1 } });
  await kit.run(source.cluster.commit(plan));
  const copied = (): number => shardOf(target, 0).count();
  for (let passed = 0; copied() < count * 0.9 && passed < 20_000; passed++) await kit.clock.advance(1);
  expect(source.cluster.ring().owners[0]).toBe(source.name);
  await kit.crash(target.name);
  await write(source, 0, 100, 120, 2);
  const gone = { type: 'delete' as const, key: text.encode('key-000007') };
  await kit.run(shardOf(source, 0).commit({ epoch: 1, fence: 'record', ops: [gone] }, 'flushed'));
  const expected = contents(source, 0);
  await kit.restart(target.name);
  for (let passed = 0; source.cluster.ring().owners[0] !== target.name && passed < 120_000; passed += 10)
    await kit.clock.advance(10);
  expect(source.cluster.ring().owners[0]).toBe(target.name);
  expect(contents(target, 0)).toEqual(expected);
  const left = source.events.filter(
    ({ name, payload }) => name === 'partition-left' && (payload as any).partition === 0,
  );
  const bytes = (left.at(-1)?.payload as { bytes: number } | undefined)?.bytes;
  expect(bytes).toBeGreaterThan(0);
  // All of it would be 3 MB.
  expect(bytes).toBeLessThan((count * valueBytes) / 2);
  await kit.clock.advance(5_000);
  expect(contents(source, 0)).toEqual([]);
});

it('not any more when nobody wishes for it: what has come goes', async () => {
  const from = node('n1').cluster.ring().owners[0] as string;
  const [source, target] = from === 'n1' ? [node('n1'), node('n2')] : [node('n2'), node('n1')];
  await write(source, 0, 0, count, 1);
  await kit.run(source.cluster.commit(source.cluster.plan({ weights: { [source.name]: 0, [target.name]: 1 } })));
  for (let passed = 0; shardOf(target, 0).count() < count / 4 && passed < 20_000; passed++) await kit.clock.advance(1);
  const committed = await kit.run(
    source.cluster
      .commit(source.cluster.plan({ weights: { [source.name]: 1, [target.name]: 1 } }))
      .catch(error => error.code),
  );
  await kit.clock.advance(30_000);
  const owner = source.cluster.ring().owners[0];
  const other = owner === source.name ? target : source;
  expect({ committed: typeof committed, left: contents(other, 0).length }).toEqual({ committed: 'object', left: 0 });
  expect(contents(node(owner as string), 0)).toHaveLength(count);
});
