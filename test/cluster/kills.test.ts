// The long way of this is a command: npm run bench:kills.

import { expect, it } from 'vitest';
import { killWhileMoving } from './kills.ts';

it('loses, doubles and reorders nothing while actors and partitions move and processes are killed', async () => {
  const { troubles, moves, partitions, kills, lines, values } = await killWhileMoving({
    moves: 25,
    kill: 0.25,
    seed: 5,
  });
  expect(troubles).toEqual([]);
  expect(moves).toBeGreaterThanOrEqual(12);
  expect(partitions).toBeGreaterThan(0);
  expect(kills).toBeGreaterThan(0);
  expect(lines).toBeGreaterThan(100);
  expect(values).toBeGreaterThan(100);
}, 180_000);
