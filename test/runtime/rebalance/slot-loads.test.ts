// Loads by samples: on average they say who runs, whatever the order in which they run.

import { describe, expect, it } from 'vitest';
import type { Activation } from '../../../src/runtime/activation.ts';
import { partitionOf } from '../../../src/runtime/partition.ts';
import { SlotLoads } from '../../../src/runtime/rebalance/slot-loads.ts';

const partitions = 64;
const act = (keyed: string | number, placement = 'ring'): Activation =>
  ({ keyed, hosted: { spec: { placement } } }) as unknown as Activation;
/** Keys of so many different slots. */
function keys(count: number): string[] {
  const bySlot = new Map<number, string>();
  for (let i = 0; bySlot.size < count; i++) {
    const slot = partitionOf(`k${i}`, partitions);
    if (!bySlot.has(slot)) bySlot.set(slot, `k${i}`);
  }
  return [...bySlot.values()];
}

describe('the loads of a thread', () => {
  it.each([1, 2, 3, 4, 5, 7, 8, 15, 16, 30, 32])('of %i actors that run in turn are equal', count => {
    const loads = new SlotLoads(partitions);
    const acts = keys(count).map(key => act(key));
    const ms = 20_000;
    for (let i = 0; i < ms * 10; i++) loads.ran(acts[i % count] as Activation, 0.1);
    const { slots, restMs } = loads.take();
    expect(slots.length).toBe(count);
    for (const [, load] of slots) expect(load / (ms / count)).toBeGreaterThan(0.8);
    for (const [, load] of slots) expect(load / (ms / count)).toBeLessThan(1.2);
    expect(slots.reduce((sum, [, load]) => sum + load, 0)).toBeCloseTo(ms, -1);
    expect(restMs).toBe(0);
  });

  it('tell what no slot can take along: pinned actors, pools, children', () => {
    const loads = new SlotLoads(partitions);
    for (const each of [act('a', 'pinned'), act('a', 'pool'), act('a', 'node'), act(3)])
      for (let i = 0; i < 1_000; i++) loads.ran(each, 0.1);
    const { slots, restMs } = loads.take();
    expect(slots).toEqual([]);
    expect(restMs).toBeCloseTo(400, -1);
  });

  it('are told once', () => {
    const loads = new SlotLoads(partitions);
    for (let i = 0; i < 100; i++) loads.ran(act('a', 'local'), 1);
    expect(loads.take().slots.length).toBe(1);
    expect(loads.take()).toEqual({ slots: [], restMs: 0 });
  });
});
