// What Node brings for child processes: process.send, with its binary serialization, so that bytes stay bytes.

import type { ChildProcess } from 'node:child_process';
import type { OnFrame, Pipe, Way } from './side.ts';

/** Messages under way. process.send keeps whatever it is given, without a bound. */
const aheadMax = 1_024;

interface Ipc {
  send?(message: unknown, done: (error: Error | null) => void): boolean;
  on(event: 'message', fn: (message: unknown) => void): unknown;
}

export function ipcWay(): Way {
  return {
    listen: async onFrame => ({ address: 'the parent', pipe: Promise.resolve(pipeOver(process, onFrame)) }),
    dial: async (_address: string, onFrame: OnFrame, child: ChildProcess) => pipeOver(child, onFrame),
  };
}

function pipeOver(ipc: Ipc, onFrame: OnFrame): Pipe {
  let ahead = 0;
  let waiters: (() => void)[] = [];
  ipc.on('message', message => {
    const bytes = message as Uint8Array;
    onFrame(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length);
  });
  const sent = (): void => {
    ahead--;
    if (waiters.length === 0) return;
    const told = waiters;
    waiters = [];
    for (const fn of told) fn();
  };
  return {
    send(frame) {
      if (ahead >= aheadMax) return false;
      ahead++;
      ipc.send?.(frame.slice(), sent);
      return true;
    },
    onWritable: fn => void waiters.push(fn),
    close: async () => {},
  };
}
