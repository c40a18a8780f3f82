// The link contract for the two links that live in one process: the memory link, and the shared ring (both ends in this one
// thread, over real shared memory, polled by hand so that nothing depends on timing).

import type { OnFrame } from '../../src/runtime/link.ts';
import { createFabric, ThreadPort } from '../../src/runtime/thread-port.ts';
import { MemoryLink } from '../../src/testing/memory-link.ts';
import { type LinkPair, linkContract } from './link-contract.ts';

async function openMemory(onFrame: OnFrame, bytesMax: number): Promise<LinkPair> {
  const turns: (() => void)[] = [];
  const link = new MemoryLink({ from: 7, onFrame, soon: fn => void turns.push(fn), bytesMax });
  return {
    writer: link,
    hold: () => link.hold(),
    release: () => link.release(),
    settle: async () => {
      for (let turn = turns.shift(); turn !== undefined; turn = turns.shift()) turn();
    },
    close: async () => void link.close(),
  };
}

async function openRing(onFrame: OnFrame, ringBytes: number): Promise<LinkPair> {
  const fabric = createFabric({ threads: 2, ringBytes });
  const hooks = { soon: () => {}, mono: () => 0 };
  const sender = new ThreadPort(fabric, 0, { ...hooks, onFrame: () => {} });
  const receiver = new ThreadPort(fabric, 1, { ...hooks, onFrame });
  let held = false;
  return {
    writer: sender.writer(1),
    hold: () => {
      held = true;
    },
    release: () => {
      held = false;
    },
    settle: async () => {
      // Two quiet rounds: one may have told a sender that then filled the ring again.
      for (let quiet = 0, before = -1; quiet < 2; ) {
        const frames = held ? 0 : receiver.poll(37);
        sender.poll(37);
        const sent = sender.writer(1).stats().frames;
        quiet = frames === 0 && sent === before ? quiet + 1 : 0;
        before = sent;
      }
    },
    close: async () => {},
  };
}

linkContract('memory link', { open: onFrame => openMemory(onFrame, 4_096), bytesMax: 4_096 });
linkContract('shared ring of 4 KiB', { open: onFrame => openRing(onFrame, 4_096), bytesMax: 4_096, runs: 100 });
linkContract('shared ring of 64 KiB', { open: onFrame => openRing(onFrame, 65_536), bytesMax: 65_536, runs: 5 });
