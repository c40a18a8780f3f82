// What happens in a run of the scenario of nodes: who says what to whom, what is moved, and what breaks. Drawn from the seed.
//
// Most of it is placed where it meets something: around the moments at which a partition is to change hands, everybody speaks to
// the actors in it. A quarter of the seeds is calm: nothing breaks, and then nothing at all may be lost or come late.

import { type Draw, whole } from './draws.ts';
import { type Fault, type FaultKind, planFaults } from './faults.ts';
import { JournalT, MemoryT, SleeperT, SnapshotT } from './node-actors.ts';
import { sceneOf } from './node-scenes.ts';
import { storyOf } from './node-stories.ts';
import { taleOf } from './node-tales.ts';
import type { Operation, SimPlan } from './runner.ts';
import { threadDiesThen } from './thread-deaths.ts';
import { ownersThreadDies, ownersThreadHangs, threadTaleOf } from './thread-tales.ts';

export const partitions = 8;
export const ledgers = [SnapshotT, JournalT, MemoryT, SleeperT];
/** There is a ring by then. */
export const startMs = 4_000;
const livenessMs = 180_000;
/**
 * Those who are left serve everything so long after the heal: 9 s until silence is suspicion where heartbeats had been slow (18.4 times
 * 500 ms), 2 until another one says so, three campaigns of 8 (the look, its turn, an answer that does not come), 10 for last words.
 */
const servedMs = 45_000;
const longestMs = 3_000;
/** Above those of all that are drawn by their kind. */
const lostId = 1_000;
const lossesMax = 4;
const aboutLostMax = 40;
/** Somebody who is lost is missed about so long afterwards, and taken over from a little later. */
const missedMs = 5_000;
/** Above those of all others. */
const awayId = 2_000;
const foundingId = 3_000;
/** Whoever stays away is taken over from by about then, and spoken to until then. */
const takenOverMs = 12_000;
/** A partition is written to so often in a seed: one of those times its owner is gone for good. */
const nthWriteMax = 400;
/** A story that begins with a gift is not disturbed by others. */
const storyHasMs = 3_000;
/** Picked so that the seeds of seeds.txt, which were found before anybody stayed away, draw what they drew then. */
const awaySalt = 3_313;
/** Picked so that the seeds of seeds.txt, which were found while all began together, still do. */
const lateSalt = 4_475;
/** Picked so that the seeds of seeds.txt, which were found while no thread died, still do without. */
const deathSalt = 1_286;
/** The same of threads that hang. */
const hangSalt = 229;
const hangMsMax = 8_000;
/** The same of two that die at once, about. */
const atOnceSalt = 5_151;
const diesTooMs = 100;
/** Above those of all others. */
const diesTooId = 1_000_000;
/** Of an act. */
const actIds = 10_000_000;
/** Picked so that the seeds of seeds.txt, which were found before founders were lost so often, do without. */
const founderSalt = 74;
/** What happens to a host thread of a node; a hang says for how long. */
export const [threadDies, threadHangs] = ['thread dies', 'thread hangs'] as const;
/** Long enough for members to be taken for dead, in some seeds. */
const longestOfAllMs = 30_000;
export const reminderMsMax = 2_500;
/** One that is cancelled would come after this time. */
export const cancelledMs = 6_000;

const kinds: readonly FaultKind[] = [
  'crash',
  'power',
  'stop',
  'suspend',
  'full',
  'stall',
  'error',
  'cut',
  'one-way',
  'reset',
  'delay',
  'slow',
  'split',
];

/** Of the node that gives a partition away, and of the one that gets it; between them; of a move of one actor; of an answer. */
const points = [
  ...['handoff-begin done', 'handoff-records done', 'part-freeze', 'part-freeze done', 'handoff-actors done'],
  ...['handoff-ready', 'handoff-ready done', 'ring stored', 'handed', 'part-gone', 'part-release', 'part-clear'],
  ...['hears handoff-begin', 'hears handoff-records', 'hears handoff-actors', 'hears handoff-ready', 'gave its ready'],
  ...['hears handed', 'part-install', 'part-settle done', 'last', 'last', 'last', 'hears last', 'hears handoff-cancel'],
  ...['guest-pack', 'hears guest-pack', 'hears guest-put', 'hears guest-verdict', 'guest-put done'],
  ...['acked while busy', 'acked while busy', 'acked'],
];

export interface NodeRules {
  /** How many nodes keep each partition. */
  readonly replicas: number;
  readonly safetyMs: number;
  /** Without what was added to plans last (scenes, founders that are lost): for seeds of seeds.txt that found something before. */
  readonly isOld?: boolean;
  /** Each node has so many host threads at most, and one at least. Default: its actors run on the thread that speaks for it. */
  readonly threads?: number;
  /** Default 1. */
  readonly acts?: number;
}

/** Where partitions are kept by several nodes, what is acknowledged, and who is agreed to. */
const replicaPoints = [
  ...['hears rep-begin', 'hears rep-round', 'hears rep-round', 'rep-round done', 'rep-round done', 'rep-push'],
  ...['hears rep-vote', 'hears rep-vote', 'rep-vote done', 'partition-taken-over', 'part-depose', 'rep-lead'],
];

/** Who takes part in an act. */
interface Cast {
  readonly processes: readonly string[];
  readonly keys: readonly string[];
  readonly isCalm: boolean;
  /** Some may be lost as they found, some come late, some stay away. */
  readonly isFirst: boolean;
}

interface Act {
  readonly operations: readonly Operation[];
  readonly faults: readonly Fault[];
}

/**
 * One act, or several with the same nodes and actors, each as long and drawn as the first: what is rare in one is three times as frequent in three,
 * and what an act has left behind meets the next.
 */
export function plan(draw: Draw, rules: NodeRules): SimPlan {
  const processes = Array.from({ length: 3 + whole(draw('processes'), 2) }, (_, index) => `n${index + 1}`);
  const keys = ['a', 'b', 'c'].map(letter => `${letter}${whole(draw('key', letter), 100)}`);
  const { replicas, isOld = false } = rules;
  const late = replicas > 1 ? comesLate(draw, processes, rules.safetyMs) : [];
  const first = act(draw, rules, { processes, keys, isCalm: draw('calm') < 0.25, isFirst: true }, late.length > 0);
  const cast: Cast = { processes, keys, isCalm: draw('calm') < 0.25, isFirst: false };
  const count = isOld ? 1 : (rules.acts ?? 1);
  const all = [first];
  for (let nth = 1; nth < count; nth++)
    all.push(
      asNth(
        act((...parts) => draw('act', nth, ...parts), rules, cast, false),
        nth,
      ),
    );
  const [operations, faults] = [all.flatMap(each => each.operations), all.flatMap(each => each.faults)];
  const acts = { count, fromMs: startMs };
  return { processes, operations, faults, late, safetyMs: rules.safetyMs, livenessMs, servedMs, acts };
}

function asNth({ operations, faults }: Act, nth: number): Act {
  const of = <T extends { id: number }>(each: T): T & { act: number } => ({
    ...each,
    id: nth * actIds + each.id,
    act: nth,
  });
  return { operations: operations.map(of), faults: faults.map(of) };
}

function act(draw: Draw, rules: NodeRules, { processes, keys, isCalm, isFirst }: Cast, isLate: boolean): Act {
  const { replicas, safetyMs, threads = 0, isOld = false } = rules;
  const spanMs = safetyMs - startMs - 1_500;
  const operations: Operation[] = [];
  const add = (on: string, atMs: number, name: string, key: string, value: number): void => {
    operations.push({ id: operations.length, atMs: Math.floor(atMs), on, name, key, value });
  };
  const one = <T>(of: readonly T[], by: number): T => of[whole(by, of.length)] as T;
  const unit = (by: number, key: string): string => `${one(ledgers, by).type}/${key}`;
  const speak = (of: (what: string) => number, atMs: number, key: string): void => {
    const on = one(processes, of('on'));
    const kind = of('speak');
    const name = kind < 0.45 ? 'tell' : kind < 0.78 ? 'ask' : kind < 0.88 ? 'once' : 'through';
    const slowMs = of('slow') < 0.15 ? 1 + whole(of('slow ms'), 60) : 0;
    const to = name === 'through' ? `${SnapshotT.type}/${key}` : unit(of('type'), key);
    add(on, atMs, name, to, slowMs);
  };

  for (let i = 60 + whole(draw('steady'), 100); i > 0; i--) {
    const of = (what: string): number => draw('steady', i, what);
    speak(of, startMs + of('at') * spanMs, one(keys, of('key')));
  }
  for (let i = whole(draw('bursts'), 5); i > 0; i--) {
    const of = (what: string): number => draw('burst', i, what);
    const [on, to, atMs] = [
      one(processes, of('on')),
      unit(of('type'), one(keys, of('key'))),
      startMs + of('at') * spanMs,
    ];
    for (let n = 5 + whole(of('count'), 40); n > 0; n--)
      add(on, atMs, draw('burst', i, 'kind', n) < 0.6 ? 'tell' : 'ask', to, 0);
  }
  for (let i = 6 + whole(draw('hands'), 12); i > 0; i--) {
    const of = (what: string): number => draw('hand', i, what);
    const [key, atMs] = [one(keys, of('key')), startMs + of('at') * spanMs];
    add(one(processes, of('on')), atMs, 'hand', unit(0, key), whole(of('to'), processes.length));
    for (let n = whole(of('about'), 40); n > 0; n--) {
      const about = (what: string): number => draw('hand', i, what, n);
      speak(about, atMs - 20 + about('at') * 200, key);
    }
    // On and on, before everybody has heard of it; with a guest that it takes along; with one who ends just then.
    if (of('on and on') < 0.4)
      add(
        one(processes, of('on')),
        atMs + of('gap') ** 2 * 1_500,
        'hand',
        unit(0, key),
        whole(of('then'), processes.length),
      );
    if (replicas === 1 && of('guest') < 0.3)
      add(
        one(processes, of('on')),
        atMs - 50 - of('before') * 300,
        'move',
        unit(of('type'), key),
        whole(of('host'), 4),
      );
    if (of('remind') < 0.4) {
      const to = `${one([SnapshotT, JournalT, SleeperT], of('type')).type}/${key}`;
      const inMs = 1 + whole(of('in'), 1_500);
      add(one(processes, of('on')), atMs - of('reminds') * 300, of('cancel') < 0.5 ? 'remind' : 'cancel', to, inMs);
    }
    if (of('end') < 0.4) {
      add(one(processes, of('watcher')), atMs - of('watch') * 300, 'watch', key, 0);
      add(one(processes, of('ends')), atMs + of('end at') * 250, 'end', key, 0);
    }
  }
  // What several nodes keep moves with its partition.
  for (let i = replicas > 1 ? 0 : whole(draw('moves'), 14); i > 0; i--) {
    const of = (what: string): number => draw('move', i, what);
    const [key, atMs] = [one(keys, of('key')), startMs + of('at') * spanMs];
    add(one(processes, of('on')), atMs, 'move', unit(of('type'), key), whole(of('to'), processes.length));
    for (let n = whole(of('about'), 10); n > 0; n--) {
      const about = (what: string): number => draw('move', i, what, n);
      speak(about, atMs - 10 + about('at') * 60, key);
    }
  }
  for (let i = threads > 0 ? whole(draw('between threads'), 16) : 0; i > 0; i--) {
    const of = (what: string): number => draw('between threads', i, what);
    const [key, atMs] = [one(keys, of('key')), startMs + of('at') * spanMs];
    // One actor, or all that the table of its node puts where it is.
    add(
      one(processes, of('on')),
      atMs,
      of('what') < 0.6 ? 'to thread' : 'slot',
      unit(of('type'), key),
      whole(of('to'), 60),
    );
    for (let n = whole(of('about'), 10); n > 0; n--) {
      const about = (what: string): number => draw('between threads', i, what, n);
      speak(about, atMs - 5 + about('at') * 20, key);
    }
  }
  if (threads > 0 && draw('threads die', deathSalt) < 0.4)
    for (let i = 1 + whole(draw('deaths'), 4); i > 0; i--) {
      const of = (what: string): number => draw('death', i, what);
      const hand = one(
        operations.filter(({ name }) => name === 'hand'),
        of('hand'),
      );
      const atMs = of('near') < 0.6 ? hand.atMs - 20 + of('at') * 300 : startMs + of('at') * spanMs;
      add(one(processes, of('on')), atMs, threadDies, hand.key, whole(of('which'), 60));
      for (let n = whole(of('about'), 20); n > 0; n--) {
        const about = (what: string): number => draw('death', i, what, n);
        speak(about, atMs - 20 + about('at') * 150, one(keys, about('key')));
      }
    }
  if (threads > 0 && draw('threads hang', hangSalt) < 0.3)
    for (let i = 1 + whole(draw('hangs'), 4); i > 0; i--) {
      const of = (what: string): number => draw('hang', i, what);
      const key = one(keys, of('key'));
      add(
        one(processes, of('on')),
        startMs + of('at') * spanMs,
        threadHangs,
        unit(0, key),
        1 + whole(of('for') ** 2, hangMsMax),
      );
    }
  for (let i = whole(draw('reminders'), 8); i > 0; i--) {
    const of = (what: string): number => draw('reminder', i, what);
    const to = `${one([SnapshotT, JournalT, SleeperT], of('type')).type}/${one(keys, of('key'))}`;
    const name = of('name') < 0.7 ? 'remind' : 'cancel';
    add(one(processes, of('on')), startMs + of('at') * spanMs, name, to, 1 + whole(of('in'), reminderMsMax));
  }
  for (let i = whole(draw('watches'), 10); i > 0; i--) {
    const of = (what: string): number => draw('watch', i, what);
    const name = of('name') < 0.7 ? 'watch' : 'end';
    add(one(processes, of('on')), startMs + of('at') * spanMs, name, one(keys, of('key')), 0);
  }
  const faults = [
    ...(isCalm ? [] : drawFaults(draw, processes, { replicas, safetyMs })),
    ...(replicas > 1 && isFirst ? staysAway(draw, processes) : []),
    ...(isCalm || isOld || !isFirst ? [] : [...lostAsItFounds(draw), ...founderLost(draw)]),
  ];
  for (const { id, when, forMs } of faults.filter(fault => fault.id >= lostId))
    for (let n = 0; n < aboutLostMax && 'atMs' in when; n++) {
      const about = (what: string): number => draw('about lost', id, what, n);
      const from = when.atMs + one([0, missedMs, forMs, forMs + 500], about('moment'));
      speak(about, Math.min(safetyMs - 1_500, from + about('at') * 3_000), one(keys, about('key')));
    }
  const types = ledgers.map(({ type }) => type);
  const story = replicas > 1 && !isLate ? storyOf(draw, { processes, keys, types }) : undefined;
  const tale =
    replicas > 1
      ? undefined
      : (taleOf(draw, { processes, keys, types, isCalm }) ??
        (threads > 0 ? threadTaleOf(draw, { processes, keys, isCalm }) : undefined));
  const hasTale = tale !== undefined;
  const scene =
    replicas > 1 || isOld ? undefined : sceneOf(draw, { processes, keys, isCalm, hasTale, hasThreads: threads > 0 });
  const isStorys = ({ name, atMs }: Operation): boolean =>
    name === 'hand' && story?.givesAt.some(from => atMs > from - storyHasMs && atMs < from + storyHasMs) === true;
  const planned = operations.filter(operation => !isStorys(operation));
  for (const operation of [...(story?.operations ?? []), ...(tale?.operations ?? []), ...(scene?.operations ?? [])])
    planned.push({ ...operation, id: operations.length + planned.length });
  if (draw('threads die at once', atOnceSalt) < 0.5)
    planned.push(...planned.flatMap(operation => diesToo(draw, operation)));
  const isAlone = story?.isAlone || tale?.isAlone || (scene !== undefined && !hasTale);
  const all = [...(isAlone ? [] : faults), ...(story?.faults ?? []), ...(tale?.faults ?? []), ...(scene?.faults ?? [])];
  return { operations: planned, faults: all };
}

/** Something may be lost by it. */
export const isHarm = ({ name }: Operation): boolean =>
  [threadDies, threadHangs, threadDiesThen, ownersThreadDies, ownersThreadHangs].includes(name as typeof threadDies);

/** Another thread of the same node, while that one is replaced. */
function diesToo(draw: Draw, { id, ...operation }: Operation): Operation[] {
  const of = (what: string): number => draw('dies, too', id, what);
  if (operation.name !== threadDies || of('whether') < 0.5) return [];
  const atMs = operation.atMs + whole(of('after') ** 2, diesTooMs);
  return [{ ...operation, id: diesTooId + id, atMs, value: operation.value + 1 }];
}

/** In some seeds the cluster is begun without one of them, of four sometimes without two: some come before the end, some do not. */
function comesLate(draw: Draw, processes: readonly string[], safetyMs: number): NonNullable<SimPlan['late']> {
  if (draw('late', lateSalt) < 0.7) return [];
  const first = whole(draw('late on'), processes.length);
  const names = [processes[first], processes[(first + 1) % processes.length]] as string[];
  return names.slice(0, processes.length > 3 && draw('two late') < 0.4 ? 2 : 1).map(name => {
    const of = (what: string): number => draw('late', name, what);
    // Often while the others are just founding.
    return of('never') < 0.35 ? { name } : { name, atMs: Math.floor(of('at') ** 2 * (safetyMs - takenOverMs)) };
  });
}

function drawFaults(draw: Draw, processes: readonly string[], { replicas, safetyMs }: NodeRules): Fault[] {
  // Where others take over, it is to be seen.
  const long = draw('long') < (replicas > 1 ? 0.6 : 0.15) ? longestOfAllMs : longestMs;
  // Of 13 kinds half would be a storm.
  const some = kinds.filter(kind => draw('some', kind) < 0.5);
  const at = replicas > 1 ? [...points, ...replicaPoints, ...replicaPoints] : points;
  const options = { draw, kinds: some, processes, points: at, safetyMs, fromMs: startMs, longestMs: long, nthMax: 6 };
  const faults = planFaults(options).map((fault): Fault => {
    const isAnybodys = 'point' in fault.when && draw('anybody', fault.id) < 0.7;
    return isAnybodys ? { ...fault, on: '*', other: '*' } : fault;
  });
  return replicas > 1 ? [...faults, ...losses(draw, processes)] : faults;
}

/** Some that are gone, stand still or are cut off for so long that others take over; one after the other, or at once. */
function losses(draw: Draw, processes: readonly string[]): Fault[] {
  return Array.from({ length: whole(draw('losses'), lossesMax + 1) }, (_, index) => lost(draw, processes, index));
}

function lost(draw: Draw, processes: readonly string[], index: number): Fault {
  const of = (what: string): number => draw('lost', index, what);
  const at = whole(of('on'), processes.length);
  const others = processes.filter((_, index) => index !== at);
  return {
    id: lostId + index,
    kind: (['crash', 'power', 'stop', 'split'] as const)[whole(of('kind'), 4)] as FaultKind,
    on: processes[at] as string,
    other: others[whole(of('other'), others.length)] as string,
    when: { atMs: startMs + whole(of('at'), 35_000) },
    forMs: 500 + whole(of('for') ** 2, 25_000),
    draw: of('draw'),
  };
}

/** The steps at which the first ring is agreed to, by whoever reaches them. */
const foundingPoints = [
  ...['hears found-ask', 'gives found-ask', 'found-ask done', 'found-ask done', 'vote stored', 'vote stored'],
  ...[
    'hears found-accept',
    'gives found-accept',
    'found-accept done',
    'found-accept done',
    'ring stored',
    'ring stored',
  ],
];

/** One or two of them, the later one perhaps as the others found without the first. */
function lostAsItFounds(draw: Draw): Fault[] {
  if (draw('lost as it founds') >= 0.2) return [];
  return Array.from({ length: 1 + whole(draw('lost as it founds', 'how many'), 2) }, (_, index): Fault => {
    const of = (what: string): number => draw('lost as it founds', index, what);
    const point = foundingPoints[whole(of('point'), foundingPoints.length)] as string;
    return {
      id: foundingId + index,
      kind: (['crash', 'crash', 'power', 'stop', 'split'] as const)[whole(of('kind'), 5)] as FaultKind,
      on: '*',
      other: '*',
      when: { point, nth: 1 + whole(of('nth'), 4) },
      forMs: 500 + whole(of('for'), 12_000),
      draw: of('draw'),
    };
  });
}

/** The first to write down what it has decided, or agreed to: before others have heard, and for longer than they wait for it. */
function founderLost(draw: Draw): Fault[] {
  if (draw('founder lost', founderSalt) >= 0.35) return [];
  const of = (what: string): number => draw('founder lost', what);
  const point = ['ring stored', 'vote stored', 'found-accept done', 'gives found-accept'][
    whole(of('point'), 4)
  ] as string;
  return [
    {
      id: foundingId + 2,
      kind: (['crash', 'crash', 'power', 'stop', 'split'] as const)[whole(of('kind'), 5)] as FaultKind,
      on: '*',
      other: '*',
      when: { point, nth: 1 },
      forMs: 3_000 + whole(of('for'), 11_000),
      draw: of('draw'),
    },
  ];
}

/** Where a partition is being written to, by its owner mostly; one of them has the write by then, the other perhaps not. */
const writePoints = ['rep-push', 'rep-round done', 'rep-round done', 'hears rep-round', 'acked'];

/** In half of the seeds, also of calm ones: one who is lost and not back before the others have served without it; of four nodes two, sometimes. */
function staysAway(draw: Draw, processes: readonly string[]): Fault[] {
  if (draw('away', awaySalt) < 0.5) return [];
  const count = processes.length > 3 && draw('two away') < 0.3 ? 2 : 1;
  return Array.from({ length: count }, (_, index): Fault => {
    const of = (what: string): number => draw('away', index, what);
    const at = whole(of('on'), processes.length);
    const isPoint = of('at a point') < 0.5;
    const isWrite = of('at a write') < 0.7;
    const among = isWrite ? writePoints : [...points, ...replicaPoints];
    const point = among[whole(of('point'), among.length)] as string;
    const nth = 1 + whole(of('nth'), isWrite ? nthWriteMax : 6);
    return {
      id: awayId + index,
      kind: (['crash', 'power', 'stop', 'split'] as const)[whole(of('kind'), 4)] as FaultKind,
      on: isPoint ? '*' : (processes[at] as string),
      other: '*',
      when: isPoint ? { point, nth } : { atMs: startMs + whole(of('when'), 50_000) },
      forMs: takenOverMs,
      forGood: true,
      draw: of('draw'),
    };
  });
}
