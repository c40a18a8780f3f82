// What a thread keeps back of a partition that changes hands, where the way to its actors is shut or long (src/runtime/handoff/held.ts).

import { describe, expect, it } from 'vitest';
import { TroupeError } from '../../../src/errors.ts';
import { Actor } from '../../../src/runtime/actor.ts';
import { type ActorType, defineActor } from '../../../src/runtime/define-actor.ts';
import type { FarMessage } from '../../../src/runtime/far-moves.ts';
import type { FarRouter } from '../../../src/runtime/far-router.ts';
import { HeldPartitions } from '../../../src/runtime/handoff/held.ts';
import { ringPartition } from '../../../src/runtime/handoff/ring-partition.ts';
import { type BaseRef, TYPE } from '../../../src/runtime/refs.ts';
import { plainHost } from '../actors/plain-host.ts';

class Still extends Actor {
  see(_n: number): void {}
}
const StillT: ActorType<Still> = defineActor(import.meta.url, Still, { type: 'still', placement: 'ring' });

// Its first method, with one argument.
const tell = (n: number): FarMessage => ({ code: 1, a0: n, a1: undefined, call: null }) as FarMessage;

/** A thread whose actors of the partition live on thread 1, which has no room; `waiting` wait in front of it. */
function heldOn(waiting: { again(): void }[] = [], gone = false, crowd: { again(): void }[] = []) {
  const { host, ref } = plainHost([StillT]);
  const still = ref(StillT, 'a') as unknown as BaseRef;
  const refused: string[] = [];
  const router = {
    ...{ host, threads: 2, version: 0, holding: false, gateway: null, arrivals: {} },
    moves: { any: false, takeWaitingOf: () => crowd.splice(0) },
    awakeIn: { of: () => [] },
    peers: [
      undefined,
      { gone, ready: false, waitForRoom: () => false, takeWaitingOf: () => waiting.splice(0), overloaded },
    ],
    threadFor: () => 1,
  } as unknown as FarRouter;
  host.deadLetter = (to, _method, args, why) => refused.push(`${to} ${String(args[0])}: ${why}`);
  const held = new HeldPartitions(router);
  const partition = ringPartition(still[TYPE], 'a') as number;
  return { held, partition, still, refused };
}

function overloaded(): TroupeError {
  return new TroupeError('OVERLOADED', 'no room');
}

describe('a partition that is about to leave', () => {
  it('holds what waits for room already, in front of its threads and of what moves between them, before all that comes', () => {
    const went: string[] = [];
    const waiting = [{ again: () => went.push('waited') }];
    const crowd = [{ again: () => went.push('waited for a move') }];
    const { held, partition } = heldOn(waiting, false, crowd);
    held.hold(partition, 'leaving');
    expect(went).toEqual(['waited', 'waited for a move']);
  });
});

describe('a partition that stays after all', () => {
  it('refuses what was let through late and finds no room, each by itself', () => {
    const { held, partition, still, refused } = heldOn();
    held.hold(partition, 'frozen');
    held.deliver(still, tell(1), 0);
    held.deliver(still, tell(2), 0);
    expect(held.describe()).toEqual({ partitions: [{ partition, stage: 'frozen', waiting: 2 }], held: 0 });
    held.stir(partition);
    expect(refused).toEqual(['still/a 1: no room', 'still/a 2: no room']);
    expect(held.get(partition)?.stage).toBe('leaving');
  });
});

describe('a partition that is arriving', () => {
  it('does not keep what waited for a thread that died: what comes for the next one would pass it', () => {
    const { held, partition, still, refused } = heldOn([], true);
    held.hold(partition, 'settling');
    expect(held.passes(still, tell(1))).toBe(true);
    expect(refused).toEqual(['still/a 1: no room']);
    expect(held.describe()).toEqual({ partitions: [{ partition, stage: 'settling', waiting: 0 }], held: 0 });
  });
});

describe('a partition that has gone', () => {
  it('keeps what waits for room before what was held, in order, however much that is', () => {
    const went: number[] = [];
    const waiting: { again(): void }[] = [];
    const { held, partition } = heldOn(waiting);
    held.hold(partition, 'frozen');
    held.behind(partition, () => went.push(-1));
    const many = 300_000;
    for (let n = 0; n < many; n++) waiting.push({ again: () => went.push(n) });
    held.keepWaiting(partition);
    held.release(partition);
    expect(went.length).toBe(many + 1);
    expect([went[0], went[many - 1], went[many]]).toEqual([0, many - 1, -1]);
  });
});
