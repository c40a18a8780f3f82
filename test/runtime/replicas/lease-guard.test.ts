// Answers that are kept, to operations that are tried again, when their node may not speak for the partition any more.

import { expect, it } from 'vitest';
import type { Activation } from '../../../src/runtime/activation.ts';
import { dead } from '../../../src/runtime/flags.ts';
import { partitionOf } from '../../../src/runtime/partition.ts';
import { LeaseGuard, leaseWords } from '../../../src/runtime/replicas/lease-guard.ts';

/** An actor of the ring whose answer is asked for at 10, when the lease of its partition ends at `untilMs`. */
function rig(untilMs: number) {
  const partitions = 4;
  const words = leaseWords(partitions);
  const lease = (until: number): void => {
    words[0] = until;
    words[partitionOf('k', partitions) + 1] = until;
  };
  let look = (): void => undefined;
  const clock = {
    timer: (_ms: number, run: () => void) => {
      look = run;
    },
  };
  const host = { partitions, world: { clock } };
  const act = { hosted: { host, spec: { placement: 'ring' } }, key: 'k', flags: 0 } as unknown as Activation;
  const told: string[] = [];
  const call = { isOver: false };
  lease(untilMs);
  new LeaseGuard(host as never, words, { mono: () => 10, wall: () => 10 }).say({
    act,
    say: () => told.push('said'),
    isOver: () => call.isOver,
    drop: () => told.push('dropped'),
  });
  return { act, call, told, lease, look: () => look() };
}

it('are said at once while the lease lasts', () => {
  expect(rig(11).told).toEqual(['said']);
});

it('are said when the lease holds again, and not before', () => {
  const { told, lease, look } = rig(9);
  look();
  expect(told).toEqual([]);
  lease(11);
  look();
  look();
  expect(told).toEqual(['said']);
});

it('are forgotten when nobody waits for them any more', () => {
  const { call, told, lease, look } = rig(9);
  call.isOver = true;
  look();
  call.isOver = false;
  lease(11);
  look();
  expect(told).toEqual([]);
});

it('are not said when the actor has ended: the partition is another node’s by now', () => {
  const { act, told, look } = rig(Number.NEGATIVE_INFINITY);
  act.flags |= dead;
  look();
  expect(told).toEqual(['dropped']);
});
