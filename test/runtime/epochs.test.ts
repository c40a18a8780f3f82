// Epochs are never above the limit that is on the disk: the next life of the process begins there.

import { expect, it } from 'vitest';
import { chunkAfter, Epochs, epochMemory, nextReserve, raiseEpochs, reserved } from '../../src/runtime/epochs.ts';

const epochsPerChunk = 2 ** 10;

it('a reserve that is stored while another node raises epochs reserves no more than is stored', async () => {
  const memory = epochMemory(1);
  let stored = 0;
  const store = async (limit: number): Promise<void> => {
    stored = Math.max(stored, limit);
  };
  const limit = nextReserve(memory);
  await raiseEpochs(memory, 1_000_000 * epochsPerChunk, store);
  await store(limit);
  reserved(memory, limit);
  expect(chunkAfter(memory)).toBe(stored);
  const next = nextReserve(memory);
  await store(next);
  reserved(memory, next);
  expect(chunkAfter(memory)).toBe(stored);
});

it('are raised without a write as long as half of the reserve is left above', async () => {
  const memory = epochMemory(1);
  const limit = chunkAfter(memory);
  const stored: number[] = [];
  const store = async (to: number): Promise<void> => void stored.push(to);
  const epochs = new Epochs(memory);
  await raiseEpochs(memory, 8 * epochsPerChunk, store);
  expect([stored, chunkAfter(memory), epochs.next() > 8 * epochsPerChunk]).toEqual([[], limit, true]);
  for (let above = 9; stored.length === 0; above++) {
    await raiseEpochs(memory, above * epochsPerChunk, store);
    epochs.renew();
    expect(epochs.next()).toBeGreaterThan(above * epochsPerChunk);
  }
  expect(stored).toEqual([chunkAfter(memory)]);
  expect(stored[0]).toBeGreaterThan(limit);
});
