// Tales of partitions that each have one owner: what strikes just as one of them changes hands, so that a state is reached that chance alone
// meets once in hundreds of seeds. As the stories of copies (node-stories.ts), and shorter.
//
// Intuition: a partition is wished for elsewhere; everybody speaks to one key of it before, during and after; and one thing goes wrong at a step of
// that very move.

import { type Draw, whole } from './draws.ts';
import type { Fault, FaultKind } from './faults.ts';
import { MemoryT, SnapshotT } from './node-actors.ts';
import { between, one } from './node-stories.ts';
import type { Operation } from './runner.ts';

export interface Tale {
  readonly faults: readonly Fault[];
  /** Without their numbers. */
  readonly operations: readonly Omit<Operation, 'id'>[];
  /** Nothing else breaks. */
  readonly isAlone: boolean;
}

interface Stage {
  readonly of: (what: string) => number;
  readonly processes: readonly string[];
  readonly atMs: number;
  readonly key: string;
  readonly types: readonly string[];
}

type Step = Pick<Fault, 'kind' | 'on' | 'when' | 'forMs'> & Partial<Pick<Fault, 'other' | 'draw'>>;

interface Told {
  readonly steps: readonly Step[];
  /** When it is wished for elsewhere, from the beginning on. */
  readonly handsMs: readonly number[];
  /** 'through': some of it by an actor of the same partition, which asks in its turn. */
  readonly says: 'tell' | 'ask' | 'through';
}

const tellers: readonly ((stage: Stage) => Told)[] = [newOwnerIsLost, linkBreaks, goesOnAndOn, writesAsItLeaves];

/** A way that is no longer than that breaks no link: everything comes, and later. Of the longest. */
const calmDelay = 0.4;
/** Above the faults of all other kinds. */
const taleId = 4_000;
/** In virtual ms: when it begins, for how long everybody speaks, and how often. */
const [beginMs, beginSpanMs, beforeMs, talkMs, everyMs] = [5_500, 4_500, 300, 2_500, 45];
const [remindersMax, watchedMs] = [16, 1_400] as const;
/** Picked so that the seeds of seeds.txt, which were found before there were tales, have none. */
const taleSalt = 23_878_680;
const share = 0.4;

/** In some of the seeds. `isCalm`: nothing breaks in this one. */
export function taleOf(
  draw: Draw,
  { processes, keys, types, isCalm }: Pick<Stage, 'processes' | 'types'> & { keys: readonly string[]; isCalm: boolean },
): Tale | undefined {
  if (draw('tale', taleSalt) >= share) return undefined;
  const of = (what: string): number => draw('tale', what);
  const atMs = between(of('at'), beginMs, beginMs + beginSpanMs);
  const stage: Stage = { of, processes, types, atMs, key: one(keys, of('key')) };
  const tell = isCalm ? goesOnAndOn : one(tellers, of('which'));
  const { steps, handsMs, says } = tell(stage);
  const isGoing = tell === goesOnAndOn;
  return {
    faults: steps.map((step, n): Fault => ({ other: '*', draw: of(`draw ${n}`), ...step, id: taleId + n })),
    operations: [
      ...hands(stage, handsMs),
      ...talk(stage, says),
      ...(isGoing ? [...reminders(stage), ...anEnd(stage, handsMs)] : []),
    ],
    isAlone: isGoing || tell === writesAsItLeaves,
  };
}

/** It has said that it has everything, and loses what is not on its disk; what was being written as it left is on no other. */
function newOwnerIsLost({ of, atMs }: Stage): Told {
  const point = one(
    ['gave its ready', 'hears handed', 'partition-arrived', 'part-run', 'part-settle done'],
    of('point'),
  );
  const lost: Step = {
    kind: one<FaultKind>(['power', 'power', 'crash'], of('kind')),
    on: '*',
    when: { point, nth: 1, fromMs: atMs },
    forMs: between(of('for'), 100, 2_000),
    draw: of('kept') * 0.3,
  };
  // What it has, or only what survives the power, takes its time.
  const slowDisk: Step = {
    kind: one<FaultKind>(['stall', 'lag', 'lag', 'lag'], of('slow how')),
    on: '*',
    when: { point: 'hears handoff-begin', nth: 1, fromMs: atMs },
    forMs: between(of('slow for'), 100, 600),
  };
  return { steps: of('slow disk') < 0.3 ? [lost] : [lost, slowDisk], handsMs: [0, 600], says: 'ask' };
}

/** The disk of its owner hangs just as it is about to rest, and the new one is lost before it has written anything. */
function writesAsItLeaves({ of, atMs }: Stage): Told {
  // What is written while it is copied is not done when all else is.
  const when = { point: 'part-track done', nth: 1, fromMs: atMs };
  const lost: Step = {
    kind: one<FaultKind>(['power', 'crash'], of('kind')),
    on: '*',
    when: { point: 'partition-arrived', nth: 1, fromMs: atMs },
    forMs: between(of('for'), 100, 1_000),
    draw: of('kept') * 0.3,
  };
  return {
    steps: [{ kind: 'stall', on: '*', when, forMs: between(of('hangs'), 60, 250) }, lost],
    handsMs: [0, 600],
    says: 'ask',
  };
}

/** The link by which last words go breaks under them, while another one is slow. */
function linkBreaks({ of, atMs, processes }: Stage): Told {
  const breaks = [0, 1].map((n): Step => {
    const point = one(['last', 'last', 'hears last', 'hears handed'], of(`point ${n}`));
    const when = { point, nth: 1 + whole(of(`nth ${n}`), 4), fromMs: atMs };
    return {
      kind: one<FaultKind>(['reset', 'reset', 'cut'], of(`kind ${n}`)),
      on: '*',
      when,
      forMs: between(of(`for ${n}`), 20, 900),
    };
  });
  return { steps: [...breaks, ...far(of, processes, atMs, 1)], handsMs: [0, 700], says: 'tell' };
}

/** Before all have heard that it has gone there it goes on, and back; some are far from each other. */
function goesOnAndOn({ of, atMs, processes }: Stage): Told {
  const gapMs = between(of('gap'), 60, 500);
  return {
    steps: far(of, processes, atMs, 3),
    handsMs: [0, 1, 2, 3, 4].map(n => n * gapMs),
    says: of('says') < 0.5 ? 'tell' : 'through',
  };
}

function far(of: Stage['of'], processes: readonly string[], atMs: number, count: number): Step[] {
  return Array.from({ length: count }, (_, n) => {
    const at = whole(of(`far ${n}`), processes.length);
    const other = processes[(at + 1 + whole(of(`from ${n}`), processes.length - 1)) % processes.length] as string;
    const [on, when] = [processes[at] as string, { atMs: atMs - beforeMs }];
    return { kind: 'delay', on, other, when, forMs: 3_000, draw: 0.1 + of(`how far ${n}`) * (calmDelay - 0.1) };
  });
}

function hands({ of, processes, atMs, key, types }: Stage, handsMs: readonly number[]): Omit<Operation, 'id'>[] {
  const first = whole(of('to'), processes.length);
  // Never to where it has just been sent.
  return handsMs.map((ms, n) => ({
    ...{ atMs: atMs + ms, on: one(processes, of(`wishes ${n}`)), name: 'hand', key: `${types[0]}/${key}` },
    value: (first + n) % processes.length,
  }));
}

function talk({ of, processes, atMs, key, types }: Stage, says: Told['says']): Omit<Operation, 'id'>[] {
  return processes.flatMap(on =>
    Array.from({ length: Math.floor(talkMs / everyMs) }, (_, n) => {
      const isThrough = says === 'through' && of(`through ${on} ${n}`) < 0.4;
      const type = isThrough ? SnapshotT.type : one(types, of(`talk type ${n % 3}`));
      return {
        atMs: Math.floor(atMs - beforeMs + (n + of(`talk ${on} ${n}`)) * everyMs),
        ...{ on, name: isThrough || says !== 'through' ? says : 'tell', key: `${type}/${key}`, value: 0 },
      };
    }),
  );
}

/** Everybody watches one who ends just as it has gone somewhere. */
function anEnd({ of, processes, atMs, key }: Stage, handsMs: readonly number[]): Omit<Operation, 'id'>[] {
  const watches = processes.map(on => ({ atMs: atMs - watchedMs, ...{ on, name: 'watch', key, value: 0 } }));
  const endMs = one(handsMs, of('ends at')) + between(of('ends'), 10, 250);
  return [...watches, { atMs: atMs + endMs, ...{ on: one(processes, of('ends on')), name: 'end', key, value: 0 } }];
}

/** Due while it is on its way, some of them. */
function reminders({ of, processes, atMs, key, types }: Stage): Omit<Operation, 'id'>[] {
  return Array.from({ length: remindersMax }, (_, n) => ({
    atMs: Math.floor(atMs - beforeMs + of(`reminds ${n}`) * talkMs),
    ...{ on: one(processes, of(`reminds on ${n}`)), name: 'remind' },
    // Whoever keeps nothing is reminded of nothing.
    key: `${one(
      types.filter(type => type !== MemoryT.type),
      of(`reminds type ${n}`),
    )}/${key}`,
    value: 1 + whole(of(`reminds in ${n}`), 500),
  }));
}

/** Nothing is lost by it. */
export const isCalm = ({ kind, draw }: Fault): boolean => kind === 'delay' && draw <= calmDelay;
