// Where actors of a node live elsewhere: what is stored, what an entry taken out is good for, and what overtakes it.

import { describe, expect, it } from 'vitest';
import { AwayTable } from '../../../src/runtime/gateway/away.ts';
import { MemoryStore } from '../../../src/storage/memory-store.ts';
import { sampleCodec } from '../codec-samples.ts';

const unit = 'cart/ann';
const here = { node: 'n1', epoch: 3 };
const there = { node: 'n3', epoch: 4 };
const every = (): boolean => true;

const tableOn = (store: MemoryStore): AwayTable => new AwayTable(store, sampleCodec(), 8, () => 1);

/** A table with one entry, and what its engine does later, to be run by hand. */
async function tableOf() {
  const later: (() => void)[] = [];
  const settle = async (): Promise<void> => {
    await Promise.resolve();
    for (let next = later.shift(); next !== undefined; next = later.shift()) {
      next();
      await Promise.resolve();
    }
  };
  const store = new MemoryStore({ soon: fn => later.push(fn) });
  const table = tableOn(store);
  const done = async (work: Promise<void>): Promise<void> => {
    await settle();
    await work;
  };
  await done(table.set(unit, here));
  return { store, table, done };
}

describe('an entry', () => {
  it('is what the next life finds', async () => {
    const { store } = await tableOf();
    const next = tableOn(store);
    next.load();
    expect(next.get(unit)).toEqual(here);
  });

  it('that was taken out is as before when it is recalled, and is not stored', async () => {
    const { store, table, done } = await tableOf();
    await done(table.remove(unit));
    expect(table.get(unit)).toBeUndefined();
    expect(table.recall(every)).toEqual([unit]);
    expect(table.get(unit)).toEqual(here);
    const next = tableOn(store);
    next.load();
    expect(next.get(unit)).toBeUndefined();
  });

  it('is not recalled when its partition had gone before it was taken out', async () => {
    const { table, done } = await tableOf();
    const removed = table.remove(unit);
    table.forget(unit);
    await done(removed);
    expect(table.recall(every)).toEqual([]);
    expect(table.get(unit)).toBeUndefined();
  });

  it('that has been written since is not recalled', async () => {
    const { table, done } = await tableOf();
    await done(table.remove(unit));
    await done(table.set(unit, there));
    expect(table.recall(every)).toEqual([]);
    expect(table.get(unit)).toEqual(there);
  });
});
