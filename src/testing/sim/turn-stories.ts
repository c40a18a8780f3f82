// Stories of owners who miss turns: one is lost with what it has given and nobody knows, one is won against in name, one has followed a later one
// and forgets it. Told where node-stories.ts tells none.
//
//     n1 is cut off ─▶ n2 wins, and stands still ─▶ n1 is back, and agreed to anew ─▶ n2 goes on: it owns the partition in name
//
// Intuition: turns are told in pieces: promised, won, on the disk, known. Each of these strikes between two of the pieces.

import { whole } from './draws.ts';
import type { FaultKind } from './faults.ts';
import { between, one, type Stage, type Told } from './node-stories.ts';

export const turnTellers: readonly ((stage: Stage) => Told)[] = [
  comesBackWithIt,
  comesBackWithIt,
  comesBackWithIt,
  comesBackWithIt,
  ringIsOlder,
  winsInName,
];

/** It has given the partition, and is lost before anybody knows; what was sent to it meanwhile comes by it when it is back, by a long way. */
function comesBackWithIt({ of, atMs }: Stage): Told {
  const ready = { point: 'handoff-ready done', nth: 1, fromMs: atMs };
  const written = { point: 'ring stored', nth: 1, fromMs: atMs, after: 'rep-vote' };
  return {
    steps: [
      { kind: 'delay', on: '*', when: ready, forMs: 20_000, draw: 0.5 + of('long') * 0.5 },
      { kind: 'alone', on: '*', when: written, forMs: between(of('for'), 6_800, 9_400) },
    ],
    given: ['hand', 'hand'],
    isTalk: true,
  };
}

/** Taken over from, it hears of that while its disk is full for a moment, and is lost when it has followed, but not written whom. */
function ringIsOlder({ of, on, atMs }: Stage): Told {
  const backMs = between(of('away'), 9_000, 12_000);
  const kind = one<FaultKind>(['crash', 'power'], of('kind'));
  const full = { point: one(['hears handed', 'part-depose'], of('hears')), nth: 1, fromMs: atMs + backMs - 500 };
  const lost = { point: 'gives rep-round', nth: 1 + whole(of('nth'), 8), fromMs: atMs + backMs - 500 };
  return {
    steps: [
      { kind: 'alone', on, when: { atMs }, forMs: backMs },
      { kind: 'full', on, when: full, forMs: between(of('full'), 2, 40) },
      { kind, on, when: lost, forMs: between(of('down'), 100, 2_000), draw: 1 },
    ],
  };
}

/**
 * Who has won stands still until the owner, who is back, has been agreed to anew, and cannot write that down: its disk is full. So nobody hears of
 * that, nor it of who has won: it does not reach him, and soon nobody.
 */
function winsInName({ of, on, atMs }: Stage): Told {
  const fromMs = atMs + 3_000;
  const won = { point: 'rep-vote done', nth: 1, fromMs };
  const heard = { point: 'hears handed', nth: 1 + whole(of('heard') ** 2, 3), fromMs };
  return {
    steps: [
      { kind: 'alone', on, when: { atMs }, forMs: 20_000, until: 'rep-vote done' },
      { kind: 'stop', on: '*', when: won, forMs: between(of('for'), 1_500, 4_000) },
      { kind: 'full', on, when: won, forMs: between(of('full'), 2_000, 6_000) },
      { kind: 'cut', on: '*', other: on, when: won, forMs: between(of('cut'), 4_000, 9_000) },
      { kind: 'cut', on: '*', other: on, when: heard, forMs: between(of('again'), 2_000, 6_000) },
    ],
  };
}
