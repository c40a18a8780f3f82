// What a word says of the turns before it, at the very steps: one node of last words, its links and neighbours played by the test.

import { expect, it } from 'vitest';
import type { FarRouter } from '../../../src/runtime/far-router.ts';
import type { Gateway } from '../../../src/runtime/gateway/gateway.ts';
import { LastWords } from '../../../src/runtime/handoff/last-words.ts';
import { type BaseRef, KEY, TYPE } from '../../../src/runtime/refs.ts';

const peers = ['A', 'B', 'C', 'X'];
const numberOf = (name: string): number => 10 + peers.indexOf(name);

/** `self` and what it says; the words it hears; who owns partition 0 as it sees it. */
function nodeOf(self: string) {
  const handlers = new Map<string, (from: number, word: unknown) => void>();
  const said: { turn: number; since: number | undefined }[] = [];
  const ran: unknown[] = [];
  const timers: [ms: number, fn: () => void][] = [];
  const view = { owner: self };
  const gateway = {
    on: (name: string, handler: (from: number, word: unknown) => void) => handlers.set(name, handler),
    nameOf: (number: number) => peers[number - 10],
    linked: (name: string) => (name === self ? undefined : numberOf(name)),
    say: (_number: number, name: string, { turn, since }: { turn: number; since?: number }) =>
      name === 'last' && said.push({ turn, since }),
    timers: { later: (ms: number, fn: () => void) => timers.push([ms, fn]) },
    nodes: { ownerOf: () => view.owner, names: peers },
    peers: () => [],
    replicas: null,
    handoffs: { ringChanged: () => undefined },
    homes: { take: () => false },
  };
  const router = {
    threads: 1,
    host: { node: self, outside: (fn: () => void) => fn() },
    held: {
      get: () => undefined,
      behind: (_partition: number, fn: () => void) => fn(),
      send: (_ref: unknown, { a0 }: { a0: unknown }) => ran.push(a0),
    },
    peers: [],
  };
  const words = new LastWords(router as unknown as FarRouter, gateway as unknown as Gateway);
  const ref = { [KEY]: 'k', [TYPE]: {}, toString: () => 'log/k' } as unknown as BaseRef;
  const hears = (from: string, turn: number, node: string, to: string, since?: number): void =>
    handlers.get('last')?.(numberOf(from), { partition: 0, turn, node, to, since });
  const comes = (from: string, what: string): boolean =>
    words.detain(0, numberOf(from), ref, { code: 1, a0: what, a1: undefined, call: null });
  return { words, view, said, ran, timers, hears, comes };
}

const rest = async (): Promise<void> => {
  for (let n = 0; n < 20; n++) await Promise.resolve();
};

it('a word that comes by an owner pays what is owed by way of him, and not before what he has sent on is let go', async () => {
  const { words, ran, hears, comes } = nodeOf('B');
  words.begin(0, 6, 'A', false);
  expect(comes('X', 'second')).toBe(true);
  words.begin(0, 8, 'C', false);
  // A goes by B since, and its own last word, by C, is not here yet: what it sends on of X waits.
  expect(comes('A', 'first')).toBe(true);
  hears('A', 6, 'X', 'B', 0);
  await rest();
  expect(ran).toEqual([]);
  hears('C', 8, 'A', 'B');
  await rest();
  expect(ran).toEqual(['first', 'second']);
});

it('who began with a later turn owes nothing of those before it', async () => {
  const { words, ran, hears, comes } = nodeOf('B');
  words.begin(0, 6, 'A', false);
  words.begin(0, 8, 'C', false);
  expect(comes('X', 'only')).toBe(true);
  hears('C', 8, 'X', 'B', 7);
  await rest();
  expect(ran).toEqual(['only']);
});

it('a word that was waited for in vain is owed still: the next one does not say that there was none', () => {
  const { words, view, said, timers } = nodeOf('X');
  view.owner = 'B';
  words.say({ partition: 0, turn: 6, from: 'A', to: 'B', known: 5 });
  view.owner = 'X';
  words.begin(0, 7, 'B', false);
  words.say({ partition: 0, turn: 7, from: 'B', to: 'X', known: 6 });
  // Its own word has not come back.
  for (const [ms, fn] of timers.splice(0)) if (ms === 10_000) fn();
  view.owner = 'B';
  words.say({ partition: 0, turn: 8, from: 'X', to: 'B', known: 7 });
  expect(said.map(({ turn, since }) => [turn, since])).toEqual([
    [6, 5],
    [7, 5],
    [8, 5],
  ]);
});
