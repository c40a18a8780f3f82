// What joins the threads of a simulated node (src/testing/memory-fabric.ts): frames in order, and what becomes of them when one of them dies.

import { expect, it } from 'vitest';
import type { MemberPort } from '../../src/runtime/thread-host.ts';
import { MemoryFabric } from '../../src/testing/memory-fabric.ts';

function rig(threads: number) {
  const fabric = new MemoryFabric(threads, 4_096);
  const due: (() => void)[] = [];
  const got: string[] = [];
  const start = (thread: number): MemberPort => {
    const port = fabric.port(thread, {
      onFrame: (from, bytes, _view, first, end) =>
        got.push(`${from}>${thread} ${bytes.subarray(first, end).join(' ')}`),
      soon: fn => due.push(fn),
      mono: () => 0,
    });
    port.start();
    return port;
  };
  const turn = (): void => {
    for (const fn of due.splice(0)) fn();
  };
  const send = (port: MemberPort, to: number, ...bytes: number[]): boolean =>
    port.writer(to).send(Uint8Array.from(bytes));
  return { fabric, got, start, turn, send, ports: Array.from({ length: threads }, (_, thread) => start(thread)) };
}

it('hands over each frame once, in order, in a turn of who reads', () => {
  const { got, turn, send, ports } = rig(2);
  const [zero, one] = ports as [MemberPort, MemberPort];
  send(zero, 1, 1);
  send(zero, 1, 2);
  send(one, 0, 3);
  expect(got).toEqual([]);
  expect(zero.unread(1)).toBeGreaterThan(0);
  turn();
  expect(got).toEqual(['0>1 1', '0>1 2', '1>0 3']);
  expect(zero.unread(1)).toBe(0);
});

it('of a thread that dies what it has sent is read, what was on its way to it is lost, and its next life begins behind both', () => {
  const { fabric, got, start, turn, send, ports } = rig(3);
  const [zero, one, two] = ports as [MemberPort, MemberPort, MemberPort];
  send(one, 0, 1);
  send(one, 2, 2);
  send(zero, 1, 3);
  fabric.die(1);
  expect(send(one, 0, 4)).toBe(false);
  expect(send(zero, 1, 5)).toBe(false);
  let hasRoom = false;
  zero.writer(1).onWritable(() => {
    hasRoom = true;
  });
  expect(zero.drainRemainder(1)).toBe(1);
  for (const port of [zero, two]) port.replace(1, { peer: 1, generation: 1, toPeer: [], fromPeer: [] });
  expect(got).toEqual(['1>0 1', '1>2 2']);
  const next = start(1);
  turn();
  expect(hasRoom).toBe(true);
  send(next, 0, 6);
  send(zero, 1, 7);
  turn();
  expect(got.slice(2).sort()).toEqual(['0>1 7', '1>0 6']);
});

it('of two threads that die at once the next lives hear each other, and nothing of before', () => {
  const { fabric, got, start, turn, send, ports } = rig(3);
  const [zero, , two] = ports as [MemberPort, MemberPort, MemberPort];
  fabric.die(1);
  for (const port of [zero, two]) port.replace(1, { peer: 1, generation: 1, toPeer: [], fromPeer: [] });
  // To the next life of 1, which has not begun.
  send(zero, 1, 1);
  send(two, 1, 2);
  fabric.die(2);
  zero.replace(2, { peer: 2, generation: 1, toPeer: [], fromPeer: [] });
  const [nextOne, nextTwo] = [start(1), start(2)];
  turn();
  expect(got).toEqual(['0>1 1']);
  send(nextOne, 2, 3);
  send(nextTwo, 1, 4);
  send(nextTwo, 0, 5);
  turn();
  expect(got.slice(1).sort()).toEqual(['1>2 3', '2>0 5', '2>1 4']);
});
