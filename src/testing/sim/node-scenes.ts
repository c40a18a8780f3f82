// Scenes: partitions and actors that change hands before a crowd. What is said and what breaks waits for the steps of the move itself, as the
// faults of the tales do (node-tales.ts); they are played in most seeds that have a tale, behind it, and in some that have none.

import { type Draw, whole } from './draws.ts';
import type { Fault, FaultKind } from './faults.ts';
import { JournalT, MortalT, SleeperT, SnapshotT } from './node-actors.ts';
import {
  crowd,
  cutOff,
  type Deed,
  farCrowd,
  goesPast,
  guestCrowd,
  hands,
  type Played,
  type Stage,
  type Step,
  talk,
} from './node-crowds.ts';
import { between, one } from './node-stories.ts';

export interface Scene {
  readonly faults: readonly Fault[];
  /** Without their numbers. */
  readonly operations: readonly Deed[];
}

/** The first ones break nothing. */
const calm: readonly ((stage: Stage) => Played)[] = [crowd, farCrowd, goesPast, guestCrowd, ends];
const rough: readonly ((stage: Stage) => Played)[] = [
  ...calm,
  ...[cutOff, cutOff, refuses, refuses, refuses, diesBehindIt, forgets, forgets, deserted],
];

/** Above the faults of all other kinds. */
const sceneId = 5_000;
const [beginMs, beginSpanMs] = [5_500, 5_000] as const;
/** Of the seeds without a tale, and of those with one; where nodes have several threads, chance has more to find between those. */
const [share, taleShare, threadShare] = [0.5, 0.8, 0.25] as const;
/** Behind the tale. */
const laterMs = 4_500;

export function sceneOf(
  draw: Draw,
  {
    processes,
    keys,
    isCalm,
    hasTale,
    hasThreads,
  }: Pick<Stage, 'processes'> & { keys: readonly string[]; isCalm: boolean; hasTale: boolean; hasThreads: boolean },
): Scene | undefined {
  const shareOfAll = hasTale ? taleShare : hasThreads ? threadShare : share;
  if (draw('scene', 'whether') >= shareOfAll) return undefined;
  const of = (what: string): number => draw('scene', what);
  const stage: Stage = {
    ...{ of, processes, key: one(keys, of('key')) },
    atMs: between(of('at'), beginMs, beginMs + beginSpanMs) + (hasTale ? laterMs : 0),
  };
  const play = one(isCalm ? calm : rough, of('which'));
  const { steps, deeds } = play(stage);
  return {
    faults: steps.map((step, n): Fault => ({ on: '*', other: '*', draw: of(`draw ${n}`), ...step, id: sceneId + n })),
    operations: deeds,
  };
}

/** Of who freezes it. */
const asItFreezes = ['part-hold', 'part-hold', 'part-still'];

/** Its disk hangs, and is full for the moment in which it goes on: what had been copied before that, or packed, was never there. */
function refuses(stage: Stage): Played {
  const { of, atMs, processes } = stage;
  const early = ['partition-leaving', 'handoff-begin'];
  const point = one(
    [...early, 'part-track done', 'part-track done', 'handoff-records done', ...asItFreezes],
    of('point'),
  );
  // First by the one that it goes to.
  const nthOf = (step: string): number => (step === 'part-track done' ? 2 : 1);
  const when = { point, nth: nthOf(point), fromMs: atMs };
  // What runs is packed as it is, and no records are looked at; so nobody has to lose his memory.
  const isLate = asItFreezes.includes(point);
  const hangsMs = between(of('hangs'), isLate || early.includes(point) ? 150 : 40, 350);
  const lost: Step = {
    kind: one<FaultKind>(['power', 'crash'], of('kind')),
    when: { point: 'partition-arrived', nth: 1, fromMs: atMs },
    forMs: between(of('for'), 100, 1_000),
  };
  const hangs: Step[] = [
    { kind: 'stall', when, forMs: hangsMs },
    { kind: 'full', when, forMs: hangsMs + of('full') * 1.5 },
  ];
  // Asked of its owner until then, and of nobody afterwards: what is written later hides what was refused.
  const type = one([SnapshotT, JournalT, JournalT, SleeperT], of('type')).type;
  const asked = early.includes(point) ? early : [...early, 'part-track done', 'handoff-records done'];
  const asks = asked.flatMap((asks, n): Deed[] =>
    Array.from({ length: between(of(`asks ${n}`), 0, 5) }, (_, m) => ({
      ...{ atMs, when: { point: asks, nth: nthOf(asks) }, on: '*', name: 'ask', key: `${type}/${stage.key}` },
      value: of(`slow ${n} ${m}`) < 0.5 ? between(of(`slowly ${n} ${m}`), 1, isLate ? 120 : 15) : 0,
    })),
  );
  const before = processes.map(
    (on): Deed => ({ atMs: atMs - 300, on, name: 'ask', key: `${type}/${stage.key}`, value: 0 }),
  );
  return {
    steps: !isLate && of('lost') < 0.8 ? [...hangs, lost] : hangs,
    deeds: [...hands(stage, [0]), ...before, ...asks],
  };
}

/** Who has given it away is lost before he has cleared away what is left of it. */
function diesBehindIt(stage: Stage): Played {
  const { of, atMs } = stage;
  const point = one(['handed', 'part-gone', 'part-release', 'part-clear', 'partition-handed'], of('point'));
  const lost: Step = {
    kind: one<FaultKind>(['power', 'crash'], of('kind')),
    when: { point, nth: 1, fromMs: atMs },
    forMs: between(of('for'), 100, 2_000),
  };
  return { steps: [lost], deeds: [...hands(stage, of('back') < 0.3 ? [0, 2_500] : [0]), ...talk(stage)] };
}

/** A guest cancels what it has been reminded of at home, and a crash has left that lying there. */
function forgets(stage: Stage): Played {
  const { of, processes, atMs, key } = stage;
  const type = one([SnapshotT, JournalT, SleeperT], of('type')).type;
  const reminds = [0, 1, 2].map(
    (n): Deed => ({
      ...{ atMs: atMs - 400, on: one(processes, of(`reminds ${n}`)), name: 'cancel', key: `${type}/${key}` },
      value: between(of(`cancels ${n}`), 900, 2_500),
    }),
  );
  const moves = (of('moves again') < 0.3 ? [0, 1] : [0]).map(
    (n): Deed => ({
      ...{ atMs: atMs + n * 1_200, on: one(processes, of(`moves ${n}`)), name: 'move', key: `${type}/${key}` },
      value: (whole(of('guest of'), processes.length) + n) % processes.length,
    }),
  );
  const lost: Step = {
    kind: one<FaultKind>(['power', 'crash'], of('kind')),
    when: {
      point: one(['guest-put done', ...['relocated', 'relocated', 'relocated']], of('point')),
      nth: 1,
      fromMs: atMs,
    },
    forMs: between(of('for'), 50, 600),
  };
  return { steps: [lost], deeds: [...reminds, ...moves, ...talk(stage)] };
}

/** One who is watched from everywhere is moved about, with its partition and without, and ends: by itself, or because somebody says so. */
function ends(stage: Stage): Played {
  const { of, processes, atMs, key } = stage;
  const mortal = `${MortalT.type}/${key}`;
  const watches = processes.map((on): Deed => ({ atMs: atMs - 1_500, on, name: 'watch', key: mortal, value: 0 }));
  const moves = [0, 1].map(
    (n): Deed => ({
      ...{
        atMs: atMs + n * between(of('moves'), 50, 400),
        on: one(processes, of(`moves ${n}`)),
        name: 'move',
        key: mortal,
      },
      value: (whole(of('guest of'), processes.length) + n) % processes.length,
    }),
  );
  // Due while it is at rest, perhaps: then it ends as soon as it goes on.
  const isGiven = of('moved') >= 0.4;
  const byItself: Deed = {
    ...{
      atMs,
      when: { point: isGiven ? 'handoff-begin done' : 'guest-pack', nth: 1 },
      on: '*',
      name: 'end soon',
      key: mortal,
    },
    value: between(of('soon'), 10, 300),
  };
  const told: Deed = {
    ...{
      atMs: atMs + between(of('told'), 10, 900),
      on: one(processes, of('says')),
      name: 'end',
      key: mortal,
      value: 0,
    },
  };
  // The word that it has gone is overtaken by the word of others.
  const delay: Step = {
    kind: 'delay',
    when: { point: isGiven ? 'handoff-ready' : 'guest-put', nth: 1, fromMs: atMs },
    forMs: 3_000,
    draw: 0.25 + of('how far') * 0.15,
  };
  const given = hands(stage, [0, between(of('again'), 100, 800)]);
  return {
    steps: [delay],
    deeds: [...watches, ...(isGiven ? given : moves), of('by itself') < 0.75 ? byItself : told],
  };
}

/** Somebody takes long, others have asked him meanwhile, and are gone and back before he has come to that: nobody waits for it any more. */
function deserted({ of, processes, atMs, key }: Stage): Played {
  const unit = `${one([SnapshotT, JournalT, SleeperT], of('type')).type}/${key}`;
  const first = whole(of('on'), processes.length);
  const [busy, gone] = [first, first + 1].map(at => processes[at % processes.length] as string) as [string, string];
  const deed = { key: unit, value: 0, name: 'ask' };
  const slowly: Deed = { ...deed, atMs, on: busy, name: 'tell', value: between(of('long'), 1_200, 2_200) };
  const asks = Array.from({ length: 8 }, (_, n): Deed => ({ ...deed, atMs: atMs + 60 + n, on: n < 6 ? gone : busy }));
  const lost: Step = {
    kind: one<FaultKind>(['crash', 'crash', 'power'], of('kind')),
    ...{ on: gone, when: { atMs: atMs + between(of('lost at'), 200, 300) }, forMs: between(of('for'), 20, 150) },
  };
  return { steps: [lost], deeds: [{ ...deed, atMs: atMs - 400, on: busy }, slowly, ...asks] };
}
