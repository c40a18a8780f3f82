// What breaks in a run of the scenario of nodes: faults by chance, and those who are lost: for a while, as they found, or for good. Drawn from the seed.

import { type Draw, whole } from './draws.ts';
import { type Fault, type FaultKind, planFaults } from './faults.ts';
import { type NodeRules, startMs } from './node-plan.ts';

const longestMs = 3_000;
/** Above those of all that are drawn by their kind. */
export const lostId = 1_000;
const lossesMax = 4;
/** Above those of all others. */
const awayId = 2_000;
const foundingId = 7_000;
/** Whoever stays away is taken over from by about then, and spoken to until then. */
export const takenOverMs = 12_000;
/** A partition is written to so often in a seed: one of those times its owner is gone for good. */
const nthWriteMax = 400;
/** Picked so that the seeds of seeds.txt, which were found before anybody stayed away, draw what they drew then. */
const awaySalt = 3_313;
/** Picked so that the seeds of seeds.txt, which were found before founders were lost so often, do without. */
const founderSalt = 74;
/** Long enough for members to be taken for dead, in some seeds. */
const longestOfAllMs = 30_000;

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

/** Where partitions are kept by several nodes, what is acknowledged, and who is agreed to. */
const replicaPoints = [
  ...['hears rep-begin', 'hears rep-round', 'hears rep-round', 'rep-round done', 'rep-round done', 'rep-push'],
  ...['hears rep-vote', 'hears rep-vote', 'rep-vote done', 'partition-taken-over', 'part-depose', 'rep-lead'],
];

export function drawFaults(draw: Draw, processes: readonly string[], { replicas, safetyMs }: NodeRules): Fault[] {
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
export function lostAsItFounds(draw: Draw): Fault[] {
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
export function founderLost(draw: Draw): Fault[] {
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
export function staysAway(draw: Draw, processes: readonly string[]): Fault[] {
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
