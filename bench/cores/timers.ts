// Deadlines that hardly ever fire, against setTimeout and clearTimeout.

import { TimerWheel, type WheelEntry } from '../../src/runtime/timer-wheel.ts';
import type { Contender } from '../harness.ts';

const deadlineMs = 5_000;

const entry = (): WheelEntry => ({ at: 0, wheelPrev: null, wheelNext: null, wheelSlot: -1 });

function wheel(armed: number): Contender {
  const timers = new TimerWheel(0);
  const waiting = Array.from({ length: armed }, entry);
  const own = entry();
  return {
    name: 'troupe timer wheel',
    setup() {
      for (const [i, each] of waiting.entries()) timers.add(each, deadlineMs + (i % 1_000));
    },
    async run(n) {
      let done = 0;
      for (let i = 0; i < n; i++) {
        timers.add(own, deadlineMs + (i & 1_023));
        if (timers.cancel(own)) done++;
      }
      return { done: timers.count === armed ? done : 0 };
    },
  };
}

function ofNode(armed: number): Contender {
  let waiting: NodeJS.Timeout[] = [];
  let fired = 0;
  const fire = (): void => {
    fired++;
  };
  return {
    name: 'setTimeout, clearTimeout',
    setup() {
      waiting = Array.from({ length: armed }, (_, i) => setTimeout(() => {}, 600_000 + (i % 1_000)).unref());
    },
    async run(n) {
      for (let i = 0; i < n; i++) clearTimeout(setTimeout(fire, deadlineMs + (i & 1_023)));
      return { done: n - fired };
    },
    teardown() {
      for (const each of waiting) clearTimeout(each);
    },
  };
}

export const timers = (armed: number): Contender[] => [wheel(armed), ofNode(armed)];
