// Stories of copies of partitions: several things that break one after the other, so that one state is reached that chance alone meets once in
// thousands of seeds. Who, when and for how long is drawn; some of the other faults of the seed may happen beside it.
//
//     n1 is cut off ─▶ n3 asks n2 to agree to it ─▶ n1 is back just then, and n3 stands still before it has written anything down
//
// Intuition: each begins with a partition about to change hands, strikes at the step between two promises, and is over before it is judged. All the
// while there is talk with the actors in it.

import { type Draw, whole } from './draws.ts';
import type { Fault, FaultKind } from './faults.ts';
import type { Operation } from './runner.ts';
import { turnTellers } from './turn-stories.ts';

export interface Story {
  readonly faults: readonly Fault[];
  /** Without their numbers. */
  readonly operations: readonly Omit<Operation, 'id'>[];
  /** Nothing else breaks. */
  readonly isAlone: boolean;
  /** From each of these moments on, for a while, no partition is given away but by the story. */
  readonly givesAt: readonly number[];
}

export interface Stage {
  readonly of: (what: string) => number;
  readonly processes: readonly string[];
  /** When it begins. */
  readonly atMs: number;
  /** Who is lost, or gives. */
  readonly on: string;
  readonly others: readonly string[];
  /** What is talked about. */
  readonly key: string;
  readonly types: readonly string[];
}

/** A fault without its number. */
export type Step = Omit<Fault, 'id' | 'other' | 'draw'> & Partial<Pick<Fault, 'other' | 'draw'>>;

type Wish = 'hand' | 'hand out' | 'hand back';

export interface Told {
  readonly steps: readonly Step[];
  /** What is wished for the partition of the key, as it begins and a while later: to somebody, to one who has no copy, or that it stays. */
  readonly given?: readonly [Wish, Wish];
  /** Some of those who stay speak all the while, each to one actor: order is seen where there is much of it. */
  readonly isTalk?: boolean;
}

/** Above the faults of all other kinds. */
const storyId = 3_000;
/** Two of them have room in the virtual minute of a seed, the second when the first is over. */
const beginsMs = [8_000, 34_000] as const;
const spanMs = 6_000;
/** Often at first, while the partition is being given, then less. */
const [talkFirstMs, talkFirstEveryMs, talkEveryMs, talkMs] = [3_000, 75, 250, 16_000] as const;
/** Time for a copy, and for what strikes at its end. */
const wishEveryMs = 2_000;
/** Whoever is lost so long is taken over from, and what its senders wait for has not been given up (lastWordMs). */
const [takenOverMs, waitedForMs] = [6_800, 9_400];
/** Picked so that the seeds of seeds.txt, which were found before there were stories, have none. */
const storySalt = 36_747_388;

const tellers: readonly ((stage: Stage) => Told)[] = [
  twoAsk,
  isBackWhenOthersAgree,
  isBackWhenOthersAgree,
  standsStillBetweenRounds,
  isLostWhileItCopies,
  newOwnerIsLost,
  powerOfAll,
  givesAndIsLost,
  givesAndIsLost,
  arrivesAndIsLost,
  arrivesAndIsLost,
  isAheadWithOne,
];

/** Where a partition may go to one who is not of its group, which has four members then. */
const tellersOfFour: typeof tellers = [nobodyAgreesToGive, nobodyAgreesToGive];

/**
 * Picked so that the seeds of seeds.txt, which were found before there were stories of turns, have none of those either; nor has
 * 89, in which alone a partition is not given away because nobody agrees.
 */
const turnSalt = 8_146_640;
const turnShare = 0.35;

/** In half of the seeds there is none of those above; in the others one or two. */
export function storyOf(
  draw: Draw,
  cast: Pick<Stage, 'processes' | 'types'> & { keys: readonly string[] },
): Story | undefined {
  const isOfTurns = draw('story', storySalt) < 0.5;
  if (isOfTurns && draw('story of turns', turnSalt) >= turnShare) return undefined;
  const all = isOfTurns ? turnTellers : cast.processes.length > 3 ? [...tellers, ...tellersOfFour] : tellers;
  const told = beginsMs.slice(0, draw('stories') < 0.3 ? 1 : 2).map((fromMs, index) => {
    const of = (what: string): number => draw('story', index, what);
    return tell(of, fromMs, cast, all);
  });
  return {
    faults: told.flatMap(({ faults }) => faults).map((fault, index): Fault => ({ ...fault, id: storyId + index })),
    operations: told.flatMap(({ operations }) => operations),
    isAlone: draw('story alone') < 0.6,
    givesAt: told.flatMap(({ givesAt }) => givesAt),
  };
}

function tell(
  of: (what: string) => number,
  fromMs: number,
  { processes, keys, types }: Parameters<typeof storyOf>[1],
  all: typeof tellers,
): Omit<Story, 'isAlone'> {
  const at = whole(of('on'), processes.length);
  const stage: Stage = {
    ...{ of, processes, types, on: processes[at] as string, others: processes.filter((_, index) => index !== at) },
    atMs: fromMs + whole(of('at'), spanMs),
    key: one(keys, of('key')),
  };
  const { steps, given, isTalk = false } = one(all, of('which'))(stage);
  return {
    faults: steps.map((step, index) => ({ other: '*', draw: of(`draw ${index}`), ...step, id: 0 })),
    operations: [...(given === undefined ? [] : gift(stage, given)), ...(isTalk ? talk(stage) : questions(stage))],
    givesAt: given === undefined ? [] : [stage.atMs],
  };
}

export const between = (by: number, from: number, to: number): number => Math.round(from + by * (to - from));

export const one = <T>(of: readonly T[], by: number): T => of[whole(by, of.length)] as T;

const ways = (names: readonly string[], step: Omit<Step, 'on' | 'kind'>): Step[] =>
  names.flatMap(on =>
    names.filter(other => other !== on).map((other): Step => ({ ...step, kind: 'delay', on, other })),
  );

/** It is lost, and those who are left are so far from each other that both ask before they have heard of the other. */
function twoAsk({ of, on, others, atMs }: Stage): Told {
  const kind = one<FaultKind>(['crash', 'power', 'stop', 'alone'], of('kind'));
  // Of half a second, each way.
  const far = 0.5 + of('far') * 0.4;
  return {
    steps: [
      { kind, on, when: { atMs }, forMs: between(of('for'), 9_000, 16_000) },
      ...ways(others, { when: { atMs: atMs + 2_000 }, forMs: 12_000, draw: far }),
    ],
  };
}

/** It is cut off until others agree to another owner, who stands still just then, or his disk does. */
function isBackWhenOthersAgree({ of, on, atMs }: Stage): Told {
  const until = one(['rep-vote', 'hears rep-vote', 'gives rep-vote', 'rep-vote done'], of('until'));
  const [kind, point] = [
    one<FaultKind>(['stop', 'stall', 'alone'], of('kind')),
    one(['rep-vote', 'rep-vote done'], of('point')),
  ];
  return {
    steps: [
      { kind: 'alone', on, when: { atMs }, forMs: 20_000, until },
      {
        kind,
        on: '*',
        when: { point, nth: 1 + whole(of('nth'), 3), fromMs: atMs },
        forMs: between(of('for') ** 2, 200, 5_000),
      },
    ],
  };
}

/** What it had sent comes when others have agreed to another owner, or just before. */
function standsStillBetweenRounds({ of, atMs }: Stage): Told {
  const point = one(['rep-push', 'rep-round', 'rep-round done', 'gives rep-round'], of('point'));
  const nth = 1 + whole(of('nth'), 20);
  return {
    steps: [
      { kind: 'stop', on: '*', when: { point, nth, fromMs: atMs }, forMs: between(of('for'), takenOverMs, 12_000) },
      { kind: 'delay', on: '*', when: { point, nth, fromMs: atMs }, forMs: 14_000, draw: 0.9 },
    ],
  };
}

/** A follower is started anew; while its copy is compared, or just then, the owner is lost. */
function isLostWhileItCopies({ of, on, atMs }: Stage): Told {
  const kind = one<FaultKind>(['crash', 'power', 'stop'], of('kind'));
  const point = one(['rep-begin done', 'rep-begin done', 'rep-round done'], of('point'));
  return {
    steps: [
      {
        kind: one<FaultKind>(['crash', 'power'], of('first')),
        on,
        when: { atMs },
        forMs: between(of('down'), 100, 2_500),
        draw: 0,
      },
      {
        kind,
        on: '*',
        when: { point, nth: 1 + whole(of('nth'), 12), fromMs: atMs + 100 },
        forMs: between(of('for'), 8_000, 14_000),
        draw: 0,
      },
    ],
  };
}

/** Whoever takes over is lost with what it has just served. */
function newOwnerIsLost({ of, on, atMs }: Stage): Told {
  const point = one(['rep-begin done', 'rep-push', 'rep-round done', 'acked'], of('point'));
  const when = { point, nth: 1 + whole(of('nth'), 6), fromMs: atMs, after: 'partition-taken-over' };
  const first = one<FaultKind>(['crash', 'power', 'alone'], of('first'));
  const kind = one<FaultKind>(['crash', 'power', 'stop'], of('kind'));
  return {
    steps: [
      { kind: first, on, when: { atMs }, forMs: between(of('down'), 9_000, 14_000), draw: 0 },
      { kind, on: '*', when, forMs: between(of('for'), 500, 9_000), draw: 0 },
    ],
  };
}

/** All lose power at about the same time, and one is not back before the others serve without it. */
function powerOfAll({ of, on, processes, atMs }: Stage): Told {
  const isForGood = of('for good') < 0.7;
  const down = (name: string): Step => ({
    ...{ kind: 'power', on: name, draw: 0 },
    when: { atMs: atMs + (name === on ? 0 : whole(of(`at ${name}`), 60)) },
    forMs: between(of(`for ${name}`), 200, 2_000),
  });
  return { steps: processes.map(name => (name === on && isForGood ? { ...down(name), forGood: true } : down(name))) };
}

/** An owner stands still between the agreement to its gift and its own write, or is cut off as it tells of it, until another one has been agreed to. */
function givesAndIsLost({ of, atMs }: Stage): Told {
  const agreed = { point: 'rep-vote', nth: 1, fromMs: atMs };
  const written = { ...agreed, point: 'ring stored', after: 'rep-vote' };
  const [kind, when] =
    of('is written') < 0.5
      ? (['alone', written] as const)
      : ([one(['stop', 'suspend'] as const, of('kind')), agreed] as const);
  return {
    steps: [{ kind, on: '*', when, forMs: between(of('for'), takenOverMs, waitedForMs) }],
    given: ['hand', 'hand'],
    isTalk: true,
  };
}

/** A new owner is lost for so long that another one is agreed to; what senders have said by the old one, who does not reach it, waits for that. */
function arrivesAndIsLost({ of, atMs }: Stage): Told {
  const point = one(['rep-begin', 'rep-begin done', 'rep-round', 'rep-round done'], of('point'));
  const when = { point, nth: 1, fromMs: atMs, after: 'partition-arrived' };
  const kind = one<FaultKind>(['stop', 'alone'], of('kind'));
  const cut = { point: 'handoff-ready done', nth: 1, fromMs: atMs };
  return {
    steps: [
      { kind: 'one-way', on: '*', when: cut, forMs: between(of('cut'), 7_500, 9_400) },
      { kind, on: '*', when, forMs: between(of('for'), takenOverMs, waitedForMs) },
    ],
    ...{ given: ['hand', 'hand'], isTalk: true },
  };
}

/** Just before an owner asks whether it may give: then too few answer; and nobody wishes for it any more. */
function nobodyAgreesToGive({ of, atMs }: Stage): Told {
  const when = { point: 'handoff-ready done', nth: 1, fromMs: atMs };
  const forMs = between(of('for'), 5_100, 5_900);
  return { steps: [{ kind: 'alone', on: '*', when, forMs }], given: ['hand out', 'hand back'] };
}

/** One follower is far away, so that another one has more when the owner is gone for good. */
function isAheadWithOne({ of, on, others, atMs }: Stage): Told {
  const far = one(others, of('far'));
  const kind = one<FaultKind>(['crash', 'power', 'stop', 'alone'], of('kind'));
  return {
    steps: [
      { kind: 'delay', on, other: far, when: { atMs }, forMs: 30_000, draw: 0.8 },
      {
        kind,
        on,
        when: { point: 'rep-round done', nth: 4 + whole(of('nth'), 30), fromMs: atMs },
        forMs: between(of('for'), 9_000, 16_000),
        draw: 0,
      },
    ],
  };
}

// What is said meanwhile.

function gift({ of, on, processes, atMs, key, types }: Stage, wishes: readonly Wish[]): Omit<Operation, 'id'>[] {
  // A second time, since whoever has it already is given nothing.
  return wishes.map((name, index) => ({
    ...{ atMs: atMs + index * wishEveryMs, on, name, key: `${types[0]}/${key}` },
    value: whole(of(`to ${index}`), processes.length),
  }));
}

/** Asks, of everybody to every actor, with time to hear what becomes of them. */
function questions(stage: Stage): Omit<Operation, 'id'>[] {
  const { of, processes, atMs, key, types, on } = stage;
  return Array.from({ length: 40 }, (_, n) => ({
    atMs: Math.floor(atMs + of(`ask at ${n}`) * (n < 20 ? 5_500 : talkMs)),
    on: of(`ask own ${n}`) < 0.4 ? on : one(processes, of(`ask on ${n}`)),
    name: of(`ask kind ${n}`) < 0.8 ? 'ask' : 'tell',
    key: `${one(types, of(`ask type ${n}`))}/${key}`,
    value: 0,
  }));
}

function talk({ of, processes, atMs, key, types }: Stage): Omit<Operation, 'id'>[] {
  const first = Math.floor(talkFirstMs / talkFirstEveryMs);
  const count = first + Math.floor((talkMs - talkFirstMs) / talkEveryMs);
  const at = (n: number): number => (n < first ? n * talkFirstEveryMs : talkFirstMs + (n - first) * talkEveryMs);
  return processes.flatMap((on, index) =>
    Array.from({ length: count }, (_, n) => ({
      atMs: Math.floor(atMs - 300 + at(n) + of(`talk ${on} ${n}`) * talkFirstEveryMs),
      ...{ on, name: 'tell', key: `${one(types, of(`talk type ${index % 2}`))}/${key}`, value: 0 },
    })),
  );
}
