// Crowds: actors that everybody speaks to at the very steps at which they change hands, so that their mailboxes are full by then.
//
// Intuition: most mistakes about order need somebody who speaks in the one moment in which the way changes, and a mailbox that is full by then.
// Who speaks at a time drawn by chance meets that once in hundreds of seeds; who waits for the step meets it each time.

import { whole } from './draws.ts';
import type { Fault, FaultKind } from './faults.ts';
import { JournalT, MemoryT, SleeperT, SnapshotT } from './node-actors.ts';
import { between, one } from './node-stories.ts';
import type { Operation } from './runner.ts';

export type Deed = Omit<Operation, 'id'>;
export type Step = Pick<Fault, 'kind' | 'when' | 'forMs'> & Partial<Pick<Fault, 'on' | 'other' | 'draw'>>;

export interface Stage {
  readonly of: (what: string) => number;
  readonly processes: readonly string[];
  readonly atMs: number;
  readonly key: string;
}

export interface Played {
  readonly steps: readonly Step[];
  readonly deeds: readonly Deed[];
}

/** A crowd, in messages: more than any of the small mailboxes holds. */
const [crowdMin, crowdMax] = [6, 16] as const;
/** Where the way of messages changes: at the owner, at who comes after him, and at whoever hears of it. */
const steps = [
  ...[
    'part-hold',
    'part-freeze',
    'part-freeze done',
    'handoff-ready',
    'gave its ready',
    'ring stored',
    'handed',
    'handed',
  ],
  ...['hears handed', 'hears handed', 'partition-arrived', 'part-gone', 'part-release', 'last', 'hears last'],
];
const guestSteps = [
  'guest-pack',
  'hears guest-pack',
  'guest-pack done',
  'guest-put',
  'hears guest-put',
  'guest-put done',
];

/** It is given away, and all speak at its steps, to one actor whose mailbox is full by then. */
export function crowd(stage: Stage): Played {
  return { steps: [], deeds: [...hands(stage, [0, 900]), ...crowds(stage, steps, 5)] };
}

/** It goes on and on, between nodes that are far from each other. */
export function farCrowd(stage: Stage): Played {
  const { of, processes, atMs } = stage;
  const gapMs = between(of('gap'), 40, 350);
  const far = [0, 1, 2].map((n): Step => {
    const at = whole(of(`far ${n}`), processes.length);
    const other = processes[(at + 1 + whole(of(`from ${n}`), processes.length - 1)) % processes.length] as string;
    const when = { atMs: atMs - 100 };
    return {
      kind: 'delay',
      on: processes[at] as string,
      other,
      when,
      forMs: 3_500,
      draw: 0.05 + of(`how far ${n}`) * 0.35,
    };
  });
  const deeds = [
    ...hands(
      stage,
      [0, 1, 2, 3, 4].map(n => n * gapMs),
    ),
    ...crowds(stage, steps, 7),
  ];
  return { steps: far, deeds };
}

/**
 * It goes on as soon as it has arrived, while what somebody has sent to the first of them is on a long way still: the last word of that one to
 * the second may be overtaken by the one to the third.
 */
export function goesPast(stage: Stage): Played {
  const { of, processes, atMs } = stage;
  const first = whole(of('first'), processes.length);
  const at = (n: number): string => processes[(first + n) % processes.length] as string;
  const to = (n: number, when: Pick<Deed, 'atMs' | 'when'>): Deed => ({
    ...{
      ...when,
      on: at(n),
      name: 'hand',
      key: `${SnapshotT.type}/${stage.key}`,
      value: (first + n) % processes.length,
    },
  });
  const far: Step = {
    kind: 'delay',
    ...{ on: at(of('far') < 0.7 ? 3 : 2), other: at(0), when: { atMs: atMs - 50 }, forMs: 3_000 },
    draw: 0.2 + of('how far') * 0.2,
  };
  const arrives = { point: 'partition-arrived', nth: 1 };
  const key = unitOf(stage);
  // Before they have heard of it, and when they have.
  const before = processes.flatMap(on =>
    said(stage, { when: { point: 'handed', nth: 1 }, on, key, atMs }, `before ${on}`, 4),
  );
  const then = [0, 1].flatMap(n =>
    processes.flatMap(on =>
      said(stage, { when: { ...arrives, nth: 2 }, on, key, atMs: atMs + n }, `then ${n} ${on}`, 4),
    ),
  );
  const hears = Array.from({ length: 6 }, (_, n) => {
    const when = { point: 'hears handed', nth: 3 + whole(of(`hears ${n}`), 14) };
    return said(stage, { when, on: '*', key, atMs }, `hears ${n}`, 4);
  });
  return {
    steps: at(2) === at(0) || far.on === far.other ? [] : [far],
    deeds: [
      to(0, { atMs: atMs - 1_500 }),
      to(1, { atMs }),
      to(2, { atMs, when: arrives }),
      ...before,
      ...then,
      ...hears.flat(),
    ],
  };
}

/** One actor of it is moved, and moved again, before or while its partition goes. */
export function guestCrowd(stage: Stage): Played {
  const { of, processes, atMs } = stage;
  const first = whole(of('guest of'), processes.length);
  const moves = [0, 1, 2].map(
    (n): Deed => ({
      ...{ atMs: atMs + n * between(of('moves'), 60, 500), on: one(processes, of(`moves ${n}`)), name: 'move' },
      ...{ key: unitOf(stage), value: (first + n) % processes.length },
    }),
  );
  // It goes on just as it can take no more: whoever hears of that has more for it, which waits.
  const waiting: Deed[] = [];
  if (of('full') < 0.7)
    for (const n of [1, 2]) {
      const when = { point: 'hears pause', nth: 2 * n - 1 + whole(of(`full ${n}`), 3) };
      waiting.push(...said(stage, { when, on: '*', key: unitOf(stage), atMs }, `waits ${n}`));
      moves[n] = { ...(moves[n] as Deed), on: '*', when };
    }
  const given = of('given') < 0.5 ? hands(stage, [between(of('given at'), 0, 1_500)]) : [];
  return {
    steps: [],
    deeds: [...waiting, ...moves, ...given, ...crowds(stage, [...guestSteps, ...guestSteps, ...steps], 6)],
  };
}

/** The way to a full mailbox breaks. */
export function cutOff(stage: Stage): Played {
  const { of, atMs } = stage;
  const nth = (n: number): number => 1 + whole(of(`nth ${n}`), 3);
  const breaks = [0, 1].map((n): Step => {
    const point = one(['hears handed', 'hears last', 'last', 'partition-arrived'], of(`point ${n}`));
    const kind = one<FaultKind>(['reset', 'reset', 'cut'], of(`kind ${n}`));
    return { kind, when: { point, nth: nth(n), fromMs: atMs }, forMs: between(of(`for ${n}`), 20, 900) };
  });
  // Whoever is full is gone: a session ends that way only.
  const lost: Step = {
    ...{ kind: 'crash', when: { point: 'pause', nth: nth(2), fromMs: atMs } },
    forMs: between(of('lost for'), 100, 900),
  };
  const waiting = [1, 2, 3].flatMap(n =>
    said(stage, { when: { point: 'hears pause', nth: n }, on: '*', key: unitOf(stage), atMs }, `waits ${n}`),
  );
  return {
    steps: of('lost') < 0.6 ? [lost] : breaks,
    deeds: [...waiting, ...hands(stage, [0, 700]), ...crowds(stage, steps, 6)],
  };
}

/** All of it to one actor: of two that are told things nobody knows which comes first. */
export const unitOf = ({ of, key }: Stage): string =>
  `${one([JournalT, JournalT, MemoryT, SnapshotT, SleeperT], of('actor')).type}/${key}`;

export function hands({ of, processes, atMs, key }: Stage, handsMs: readonly number[]): Deed[] {
  const first = whole(of('to'), processes.length);
  // Never to where it has just been sent.
  return handsMs.map((ms, n) => ({
    ...{ atMs: atMs + ms, on: one(processes, of(`wishes ${n}`)), name: 'hand', key: `${SnapshotT.type}/${key}` },
    value: (first + n) % processes.length,
  }));
}

/** At each of so many steps everybody speaks, or whoever reaches it. */
export function crowds(stage: Stage, points: readonly string[], count: number): Deed[] {
  const { of, processes, atMs } = stage;
  const key = unitOf(stage);
  return Array.from({ length: count }, (_, n) => {
    const when = { point: one(points, of(`step ${n}`)), nth: 1 + whole(of(`nth ${n}`) ** 2, 3) };
    const speakers = of(`who ${n}`) < 0.4 ? ['*'] : processes.filter(each => of(`speaks ${n} ${each}`) < 0.6);
    return speakers.flatMap(on => said(stage, { when, on, key, atMs }, `${n} ${on}`));
  }).flat();
}

export function said(
  { of }: Stage,
  to: Pick<Deed, 'when' | 'on' | 'key' | 'atMs'>,
  name: string,
  max: number = crowdMax,
): Deed[] {
  const asks = of(`asks ${name}`) ** 2;
  return Array.from({ length: between(of(`says ${name}`), Math.min(crowdMin, max), max) }, (_, n) => ({
    ...to,
    name: of(`asks ${name} ${n}`) < asks ? 'ask' : 'tell',
    // One that takes its time: what comes behind it waits.
    value: n === 0 && of(`slow ${name}`) < 0.5 ? between(of(`slowly ${name}`) ** 2, 5, 250) : 0,
  }));
}

/** Steadily, by all of them. */
export function talk({ of, processes, atMs, key }: Stage): Deed[] {
  return processes.flatMap(on =>
    Array.from({ length: 30 }, (_, n) => ({
      ...{ atMs: Math.floor(atMs - 300 + (n + of(`talk ${on} ${n}`)) * 50), on, value: 0 },
      ...{ name: 'ask', key: `${one([SnapshotT, JournalT, SleeperT], of(`talk to ${on} ${n}`)).type}/${key}` },
    })),
  );
}
