// A mailbox as a queue, against an array and a linked list of objects. Bursts of `depth` are put in and taken out; each
// message is checked for its place in the order.

import { Mailbox, packHead } from '../../src/runtime/mailbox.ts';
import type { Contender } from '../harness.ts';

interface Queue {
  push(head: number, a0: unknown, a1: unknown): void;
  /** The first argument of the oldest. */
  shift(): unknown;
}

interface Message {
  readonly head: number;
  readonly a0: unknown;
  readonly a1: unknown;
  readonly meta: null;
}

function contender(name: string, depth: number, make: () => Queue): Contender {
  return {
    name,
    async run(n) {
      const queue = make();
      const head = packHead(2, 7, 1);
      let done = 0;
      for (let first = 0; first < n; first += depth) {
        const end = Math.min(first + depth, n);
        for (let i = first; i < end; i++) queue.push(head, i, 'text');
        for (let i = first; i < end; i++) if (queue.shift() === i) done++;
      }
      return { done };
    },
  };
}

function mailbox(depth: number): Queue {
  const box = Mailbox.take(depth, Number.MAX_SAFE_INTEGER);
  return {
    push(head, a0, a1) {
      box.push(head, a0, a1, null);
    },
    shift() {
      box.shift();
      return box.a0;
    },
  };
}

function array(): Queue {
  const messages: Message[] = [];
  return {
    push: (head, a0, a1) => void messages.push({ head, a0, a1, meta: null }),
    shift: () => messages.shift()?.a0,
  };
}

function linkedList(): Queue {
  interface Item extends Message {
    next: Item | null;
  }
  let first: Item | null = null;
  let last: Item | null = null;
  return {
    push(head, a0, a1) {
      const item: Item = { head, a0, a1, meta: null, next: null };
      if (last === null) first = item;
      else last.next = item;
      last = item;
    },
    shift() {
      const item = first;
      first = item?.next ?? null;
      if (first === null) last = null;
      return item?.a0;
    },
  };
}

export const queues = (depth: number): Contender[] => [
  contender('troupe mailbox', depth, () => mailbox(depth)),
  contender('array, push and shift', depth, array),
  contender('linked list', depth, linkedList),
];
