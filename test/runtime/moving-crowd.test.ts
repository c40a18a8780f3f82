// What a thread may send to an actor on the move (src/runtime/moving-crowd.ts).

import { describe, expect, it } from 'vitest';
import { Actor } from '../../src/runtime/actor.ts';
import { type ActorType, defineActor } from '../../src/runtime/define-actor.ts';
import type { Outgoing } from '../../src/runtime/far-peer.ts';
import { MovingCrowds } from '../../src/runtime/moving-crowd.ts';
import type { BaseRef } from '../../src/runtime/refs.ts';
import { plainHost } from './actors/plain-host.ts';

class Still extends Actor {}
const mailbox = { capacity: 3, bytes: 1_000 };
const RejectT: ActorType<Still> = defineActor(import.meta.url, Still, { type: 'reject', mailbox });
const WaitT: ActorType<Still> = defineActor(import.meta.url, Still, {
  type: 'wait',
  mailbox: { ...mailbox, overflow: 'wait' },
});

const { ref } = plainHost([RejectT, WaitT]);
const [reject, wait] = [ref(RejectT, 'a'), ref(WaitT, 'a')] as unknown as BaseRef[] as [BaseRef, BaseRef];
const message = (failed: string[] = []): Outgoing => ({
  ...{ to: 'wait/a', bytes: 10, write: () => true, again: () => undefined },
  fail: error => failed.push(error.message),
});

describe('a crowd in front of an actor on the move', () => {
  it('is as large as its mailbox, by count and by bytes, and goes with the move', () => {
    const crowds = new MovingCrowds();
    const admits = (size: number): boolean => crowds.admits(reject, 'reject/a', size);
    expect([1, 1, 1, 1].map(admits)).toEqual([true, true, true, false]);
    expect(crowds.keep(reject, 'reject/a', message())).toBe(false);
    expect(crowds.over('reject/a')).toEqual([]);
    // The first is taken whatever its size, as by an empty mailbox.
    expect([2_000, 1].map(admits)).toEqual([true, false]);
    expect(crowds.admits(reject, 'reject/b', 1)).toBe(true);
  });

  it('keeps what may wait, in order, and lets nothing pass it; a node that stops says so', () => {
    const crowds = new MovingCrowds();
    const admits = (size: number): boolean => crowds.admits(wait, 'wait/a', size);
    const failed: string[] = [];
    const [first, second] = [message(), message(failed)];
    expect([600, 600].map(admits)).toEqual([true, false]);
    expect(crowds.keep(wait, 'wait/a', first)).toBe(true);
    // There would be room for a smaller one.
    expect(admits(1)).toBe(false);
    expect(crowds.keep(wait, 'wait/a', second)).toBe(true);
    expect(crowds.over('wait/a')).toEqual([first, second]);
    expect([600, 600].map(admits)).toEqual([true, false]);
    crowds.keep(wait, 'wait/a', second);
    crowds.stop(Object.assign(new Error('it has stopped')) as never);
    expect(failed).toEqual(['it has stopped']);
    expect(crowds.over('wait/a')).toEqual([]);
  });
});
