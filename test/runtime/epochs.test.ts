// Epochs are never above the limit that is on the disk: the next life of the process begins there.

import { expect, it } from 'vitest';
import { chunkAfter, epochMemory, nextReserve, raiseEpochs, reserved } from '../../src/runtime/epochs.ts';

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
