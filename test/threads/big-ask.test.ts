// Large messages to an actor on another thread: what fits its mailbox is taken, what does not leaves it reachable.

import { expect, onTestFinished, test } from 'vitest';
import { startNode } from '../../src/index.ts';
import { BigT } from './actors/big.ts';
import { failureOf } from './until.ts';

test('an ask of more than half a mailbox is taken like a tell, and the actor stays reachable', async () => {
  const node = await startNode({ name: 'o', threads: 1, actors: [BigT] });
  onTestFinished(() => node.stop());
  const ref = node.ref(BigT, 'big');
  expect(await ref.put('x'.repeat(600_000))).toBe(600_000);
  expect(await ref.ping()).toBe('pong');
  // The estimate of what arrives is above its mailbox; what it was on the way was not.
  const sparse = [...Array.from({ length: 64 }, () => 'y'.repeat(600)), ...Array.from({ length: 2_000 }, () => 'z')];
  expect(await ref.count(sparse)).toBe(2_064);
  expect(await ref.ping()).toBe('pong');
  expect(await failureOf(ref.put('x'.repeat(1_100_000)))).toMatchObject({ code: 'TOO_LARGE' });
  expect(await ref.ping()).toBe('pong');
});
