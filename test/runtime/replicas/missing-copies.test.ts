// When an operator is told that partitions have fewer copies than asked for.

import { expect, it } from 'vitest';
import { copiesMissingMs } from '../../../src/limits.ts';
import type { Ring } from '../../../src/runtime/ownership/ring.ts';
import { MissingCopies } from '../../../src/runtime/replicas/missing-copies.ts';

/** Two partitions of n1 and one of n2; what is told when those of n1 have so many copies, at these times. */
function told(looks: readonly (readonly [first: number, second: number, atMs: number])[]) {
  const all: unknown[] = [];
  let now = 0;
  const host = {
    ...{ node: 'n1', now: () => now },
    events: { emit: (name: string, payload: unknown) => all.push([name, payload, now]) },
    world: { log: { warn: () => undefined, info: () => undefined } },
  };
  const missing = new MissingCopies(host as never, 3);
  for (const [first, second, atMs] of looks) {
    now = atMs;
    missing.look(
      { owners: ['n1', 'n1', 'n2'] } as Partial<Ring> as Ring,
      partition => [first, second, 1][partition] ?? 0,
    );
  }
  return { all, ...missing.describe() };
}

it('is told once when it lasts, and once when it is over', () => {
  const looks = [
    [1, 1, 0],
    [1, 2, copiesMissingMs - 1],
    [3, 2, copiesMissingMs],
    [3, 1, copiesMissingMs + 1],
    [3, 3, copiesMissingMs + 2],
    [3, 3, copiesMissingMs + 3],
  ] as const;
  expect(told(looks).all).toEqual([
    ['copies-missing', { partitions: 1, asked: 3 }, copiesMissingMs],
    ['copies-missing', { partitions: 0, asked: 3 }, copiesMissingMs + 2],
  ]);
});

it('is not told of what is over before, however often', () => {
  const looks = Array.from({ length: 20 }, (_, at) => [3, at % 2 === 0 ? 2 : 3, (at * copiesMissingMs) / 2] as const);
  expect(told(looks)).toEqual({ all: [], asked: 3, missing: 0 });
});

it('counts what this node owns, and nothing of others', () => {
  expect(told([[1, 3, 0]])).toMatchObject({ asked: 3, missing: 1 });
});
