// What a thread may send to an actor on the move (src/runtime/moving-crowd.ts).

import { describe, expect, it } from 'vitest';
import { Actor } from '../../src/runtime/actor.ts';
import { type ActorType, defineActor } from '../../src/runtime/define-actor.ts';
import { FarMoves, hostOf } from '../../src/runtime/far-moves.ts';
import type { Outgoing } from '../../src/runtime/far-peer.ts';
import type { FarRouter } from '../../src/runtime/far-router.ts';
import { MovingCrowds } from '../../src/runtime/moving-crowd.ts';
import type { BaseRef } from '../../src/runtime/refs.ts';
import type { ToDirectory } from '../../src/runtime/relocation-messages.ts';
import { plainHost } from './actors/plain-host.ts';

const seen: number[] = [];
class Still extends Actor {
  see(n: number): void {
    seen.push(n);
  }
}
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

describe('what waits in front of an actor that is to come here', () => {
  it('goes on when the thread it was to come from falls silent', async () => {
    const { host, ref: refOf, advance, settle } = plainHost([WaitT]);
    const [self, source] = [hostOf(0, 0), hostOf(1, 0)];
    const said: ToDirectory[] = [];
    const router = { host, version: 0, peers: [], on: () => undefined } as unknown as FarRouter;
    const moves = new FarMoves(router, {
      ...{ self, directory: self, checksum: () => 0, relocateTurnMs: 1_000 },
      toDirectory: (_from, message) => said.push(message),
    });
    moves.heard(self, { type: 'reserve', unit: 'wait/a', epoch: 2, from: source });
    await settle();
    expect(said).toMatchObject([{ type: 'reserved', unit: 'wait/a' }]);
    const actor = refOf(WaitT, 'a') as unknown as BaseRef;
    // Its first method, with one argument.
    const code = 1;
    const sent = [1, 2, 3, 4].map(n => moves.tell(actor, code, n, undefined));
    // As many as its mailbox holds are on their way; the fourth waits.
    expect(sent.map(each => each === undefined)).toEqual([true, true, true, false]);
    await advance(60_000);
    expect(said.at(-1)).toMatchObject({ type: 'abort', unit: 'wait/a', reason: 'silent' });
    expect(moves.inMotion('wait/a')).toBe(false);
    await sent[3];
    await settle();
    expect(seen).toEqual([4]);
  });
});
