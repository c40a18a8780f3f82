// A poller that waits for the next frame of a conversation. The other thread is played by what Atomics.pause does here.

import { beforeEach, describe, expect, it, vi } from 'vitest';
import { pollLoneFrames, pollLooks } from '../../src/limits.ts';

const meanwhile = vi.hoisted(() => {
  const played = { pauses: 0, other: (): void => {} };
  (Atomics as { pause?: () => void }).pause = () => {
    played.pauses++;
    played.other();
  };
  return played;
});

const { createFabric, ThreadPort } = await import('../../src/runtime/thread-port.ts');

function rig() {
  const fabric = createFabric({ threads: 2, ringBytes: 4_096 });
  const turns: (() => void)[] = [];
  let taken = 0;
  const hooks = { mono: () => 0, soon: (fn: () => void) => void turns.push(fn) };
  const peer = new ThreadPort(fabric, 0, { ...hooks, soon: () => {}, onFrame: () => {} });
  const port = new ThreadPort(fabric, 1, { ...hooks, onFrame: () => void taken++ });
  port.start();
  const send = (count: number): void => {
    for (let n = 0; n < count; n++) peer.writer(1).send(Uint8Array.of(1, 2, 3));
  };
  /** One turn of the event loop: the frames that were taken in it. */
  const turn = (): number => {
    const before = taken;
    (turns.shift() as () => void)();
    return taken - before;
  };
  return { send, turn };
}

describe('an idle turn of a poller', () => {
  beforeEach(() => {
    meanwhile.pauses = 0;
    meanwhile.other = () => {};
  });

  it('takes a frame that comes while it looks, where frames come one at a time', () => {
    const { send, turn } = rig();
    send(1);
    expect(turn()).toBe(1);
    meanwhile.other = () => {
      if (meanwhile.pauses === 5) send(1);
    };
    expect(turn()).toBe(1);
    expect(meanwhile.pauses).toBe(5);
  });

  it('looks so often and no more', () => {
    const { send, turn } = rig();
    send(1);
    turn();
    expect(turn()).toBe(0);
    expect(meanwhile.pauses).toBe(pollLooks);
  });

  it('ends at once where many come at a time', () => {
    const { send, turn } = rig();
    send(pollLoneFrames + 1);
    turn();
    expect(turn()).toBe(0);
    expect(meanwhile.pauses).toBe(0);
  });
});
