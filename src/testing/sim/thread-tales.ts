// Tales of nodes with several threads: actors move between those while their partitions move between nodes, and what strikes is a thread and
// not a process. Told in seeds that have no tale of node-tales.ts.
//
// Intuition: what waits between two threads is in nobody's hands for a few turns, and chance alone seldom moves anything just then. So what is said
// comes in crowds, each long enough after the one before for those who sleep soon to sleep, and small mailboxes are full in the middle of one.
//
//     crowd ── 150 ms ── crowd         moves of actors and slots, gifts of the partition, deaths of threads: in the middle of a crowd, or at its edge

import { type Draw, whole } from './draws.ts';
import type { Fault } from './faults.ts';
import { JournalT, MemoryT, SleeperT, SnapshotT } from './node-actors.ts';
import { between, one } from './node-stories.ts';
import type { Tale } from './node-tales.ts';
import type { Operation } from './runner.ts';
import { threadDiesThen } from './thread-deaths.ts';

/** Of whoever owns the partition by then: one of its host threads. */
export const [ownersThreadDies, ownersThreadHangs] = ["owner's thread dies", "owner's thread hangs"] as const;

type Said = Omit<Operation, 'id'>;

interface Stage {
  readonly of: (what: string) => number;
  readonly processes: readonly string[];
  readonly atMs: number;
  readonly key: string;
  readonly keys: readonly string[];
  /** When each crowd begins. */
  readonly crowdsMs: readonly number[];
}

interface Told {
  readonly steps: readonly Omit<Fault, 'id'>[];
  readonly operations: readonly Said[];
  /** Nothing else breaks. */
  readonly isAlone: boolean;
}

const tellers: readonly ((stage: Stage) => Told)[] = [crowds, diesAsItGoes, diesAsItGoes, hangs, hangs];
/** In which nothing breaks. */
const calmTellers: typeof tellers = [crowds];

/** Above the faults of all other kinds. */
const taleId = 5_000;
/** In virtual ms. */
const [beginMs, beginSpanMs] = [5_500, 3_000] as const;
const [crowdsMax, crowdMs, idleMs] = [14, 60, 150] as const;
/** Nearly all that is drawn otherwise is over by then. */
const lastMs = 16_250;
const [restlessMax, restlessEveryMs] = [30, 15] as const;
const [wakesMax, wakeEveryMs] = [70, 120] as const;
/** Picked so that the seeds of seeds.txt, which were found before there were such tales, have none. */
const taleSalt = 18_377_566;
const share = 0.7;

export function threadTaleOf(
  draw: Draw,
  { processes, keys, isCalm }: Pick<Stage, 'processes' | 'keys'> & { isCalm: boolean },
): Tale | undefined {
  if (draw('thread tale', taleSalt) >= share) return undefined;
  const of = (what: string): number => draw('thread tale', what);
  const atMs = between(of('at'), beginMs, beginMs + beginSpanMs);
  const crowdsMs: number[] = [];
  for (let n = 0, ms = atMs; n < crowdsMax; n++, ms += crowdMs + idleMs + of(`pause ${n}`) ** 2 * idleMs)
    crowdsMs.push(Math.floor(ms));
  const stage: Stage = { of, processes, atMs, key: one(keys, of('key')), keys, crowdsMs };
  const tell = one(isCalm ? calmTellers : tellers, of('which'));
  const { steps, operations, isAlone } = tell(stage);
  return {
    faults: steps.map((step, n): Fault => ({ ...step, id: taleId + n })),
    operations: operations.map(said => ({ ...said, atMs: Math.floor(said.atMs) })),
    isAlone: isAlone || isCalm,
  };
}

/** Everything moves at once, and nothing breaks. */
function crowds(stage: Stage): Told {
  const { crowdsMs } = stage;
  const given = hands(stage, 4);
  return {
    steps: far(stage, 3),
    operations: [
      ...talk(stage),
      ...crowdsMs.flatMap((ms, n) => moves(stage, ms, n)),
      ...given,
      ...given.flatMap(({ atMs }, n) => restless(stage, atMs, n)),
      ...reminders(stage),
    ],
    isAlone: true,
  };
}

/**
 * A thread of the node that gives it, or of the one that gets it, dies at one of the steps; who is watched there ends soon after, and what it was
 * reminded of is cancelled.
 */
function diesAsItGoes(stage: Stage): Told {
  const { of, crowdsMs, processes, key } = stage;
  const given = hands(stage, 4);
  const deaths = given.flatMap(({ atMs, on }, n): Said[] => {
    const value = whole(of(`step ${n}`), 3_000);
    return of(`dies ${n}`) < 0.7
      ? [{ atMs: atMs - 1, on, name: threadDiesThen, key: `${SnapshotT.type}/${key}`, value }]
      : [];
  });
  const ends = given.map(({ atMs }, n) => {
    const endMs = atMs + of(`ends ${n}`) * 600;
    return { atMs: endMs, on: one(processes, of(`ends on ${n}`)), name: 'end', key, value: 0 };
  });
  const cancelled = given.flatMap(({ atMs }, n) =>
    [0, 1, 2, 3, 4, 5].map((m): Said => {
      const about = (what: string): number => of(`cancel ${n} ${m} ${what}`);
      return {
        atMs: atMs - 20 - about('at') * 200,
        ...{ on: one(processes, about('on')), name: 'cancel' },
        key: `${one([SnapshotT, JournalT, SleeperT], about('type')).type}/${key}`,
        value: 1 + whole(about('in'), 1_500),
      };
    }),
  );
  return {
    steps: far(stage, 2),
    operations: [
      ...talk(stage),
      ...given,
      ...deaths,
      ...ends,
      ...cancelled,
      ...reminders(stage),
      ...lastDeath(stage),
      ...crowdsMs.flatMap((ms, n) => (n % 3 === 0 ? moves(stage, ms, n) : [])),
    ],
    isAlone: of('alone') < 0.7,
  };
}

/** When nothing moves any more, so that nobody is asked anew: who begins to watch, alone, and is watched, while there is no thread. */
function lastDeath({ of, processes, key, keys }: Stage): Said[] {
  return [0, 1].flatMap(n => {
    const atMs = lastMs + n * 150 + of(`last ${n}`) * 40;
    const thread = whole(of(`last thread ${n}`), 60);
    return [
      {
        atMs,
        on: one(processes, of(`last on ${n}`)),
        name: ownersThreadDies,
        key: `${SnapshotT.type}/${n === 0 ? key : one(keys, of('last key'))}`,
        value: thread,
      },
      ...keys.map(each => {
        const about = (what: string): number => of(`last watch ${n} ${each} ${what}`);
        return {
          atMs: atMs + 1 + about('at') * 45,
          on: one(processes, about('on')),
          name: 'watch',
          key: each,
          value: 0,
        };
      }),
    ];
  });
}

/** A thread hangs just as actors are to come to it, or to leave it: so they stay. */
function hangs(stage: Stage): Told {
  const { of, crowdsMs, processes, keys } = stage;
  const all = crowdsMs.flatMap((ms, n): Said[] => {
    if (n % 5 !== 1) return [];
    const atMs = ms + of(`hangs at ${n}`) * crowdMs;
    const on = one(processes, of(`hangs on ${n}`));
    const forMs = between(of(`for ${n}`), 500, 8_000);
    // Of two threads that one, however many there are.
    const to = 1 + (forMs % 2);
    return keys.flatMap((key, k) => [
      { atMs, on, name: ownersThreadHangs, key: `${SleeperT.type}/${key}`, value: forMs },
      ...[0, 1, 2].map(m => ({
        ...{ atMs: atMs - 10 + of(`goes ${n} ${k} ${m}`) * 20, on, name: 'to thread' },
        ...{
          key: `${one([SleeperT, SleeperT, SnapshotT, JournalT], of(`who ${n} ${k} ${m}`)).type}/${key}`,
          value: to,
        },
      })),
    ]);
  });
  return { steps: [], operations: [...talk(stage), ...all, ...wakes(stage)], isAlone: of('alone') < 0.7 };
}

/** One who sleeps is woken, again and again, until moves that nobody answers have been called off. */
function wakes({ of, processes, keys, atMs }: Stage): Said[] {
  return Array.from({ length: wakesMax }, (_, n) => ({
    ...{ atMs: atMs + (n + of(`wakes ${n}`)) * wakeEveryMs, on: one(processes, of(`wakes on ${n}`)) },
    ...{
      name: of(`wakes by ${n}`) < 0.5 ? 'tell' : 'ask',
      key: `${SleeperT.type}/${one(keys, of(`wakes who ${n}`))}`,
      value: 0,
    },
  }));
}

// What is said meanwhile.

/**
 * Some nodes, some messages each, to one or two actors; some of the turns are long. Some crowds are storms: more than a small mailbox takes comes
 * while the first turn lasts.
 */
function talk({ of, processes, key, crowdsMs }: Stage): Said[] {
  return crowdsMs.flatMap((ms, n) => {
    const at = (what: string): number => of(`talk ${n} ${what}`);
    const isStorm = at('storm') < 0.45;
    const some = isStorm ? [JournalT, JournalT, SleeperT, MemoryT] : [SleeperT, JournalT, SleeperT, SnapshotT];
    const types = [0, 1].map(m => one(some, at(`type ${m}`)));
    const slow = isStorm ? 0.25 : at('long') < 0.4 ? 0.4 : 0;
    return processes.flatMap(on => {
      if (at(`silent ${on}`) < 0.3) return [];
      return Array.from(
        { length: isStorm ? 10 + whole(at(`count ${on}`), 12) : 2 + whole(at(`count ${on}`), 8) },
        (_, m): Said => {
          const about = (what: string): number => at(`${on} ${m} ${what}`);
          const kind = about('kind') * (isStorm ? 0.75 : 1);
          const name = kind < 0.5 ? 'tell' : kind < 0.7 ? 'ask' : kind < 0.85 ? 'through' : 'once';
          return {
            ...{ atMs: ms + about('at') * crowdMs * (isStorm ? 0.5 : 1), on, name },
            key: `${name === 'through' ? SnapshotT.type : one(types, about('of')).type}/${key}`,
            value: about('slow') < slow ? 1 + whole(about('for'), 40) : 0,
          };
        },
      );
    });
  });
}

/** In a crowd, to any thread: of some of the actors, or of their slot. */
function moves({ of, processes, key }: Stage, ms: number, n: number): Said[] {
  return Array.from({ length: whole(of(`moves ${n}`), 5) }, (_, m): Said => {
    const about = (what: string): number => of(`moves ${n} ${m} ${what}`);
    const name = about('slot') < 0.35 ? 'slot' : 'to thread';
    return {
      ...{ atMs: ms + about('at') * (crowdMs + 40), on: one(processes, about('on')), name },
      ...{
        key: `${one([SleeperT, JournalT, SnapshotT, MemoryT], about('type')).type}/${key}`,
        value: whole(about('to'), 60),
      },
    };
  });
}

/** Its slot goes to and fro as soon as it is there, while those who are far have not said their last word by its old owner. */
function restless({ of, processes, key }: Stage, ms: number, n: number): Said[] {
  const type = one([SnapshotT, JournalT, SleeperT, MemoryT], of(`restless type ${n}`)).type;
  return Array.from({ length: restlessMax }, (_, m) => {
    const atMs = ms + 30 + (m + of(`restless ${n} ${m}`)) * restlessEveryMs;
    return [
      { atMs, on: one(processes, of(`restless on ${n} ${m}`)), name: 'slot', key: `${type}/${key}`, value: m },
      {
        atMs: atMs + 3,
        on: one(processes, of(`restless ${n} says ${m}`)),
        name: m % 2 === 0 ? 'ask' : 'tell',
        key: `${type}/${key}`,
        value: 0,
      },
    ];
  }).flat();
}

/** Each a little before a crowd, or within it. */
function hands({ of, processes, key, crowdsMs }: Stage, count: number): Said[] {
  const first = whole(of('to'), processes.length);
  return Array.from({ length: count }, (_, n) => ({
    atMs: (crowdsMs[1 + Math.floor((n * (crowdsMax - 2)) / count)] as number) + (of(`hand ${n}`) - 0.6) * 100,
    ...{ on: one(processes, of(`wishes ${n}`)), name: 'hand', key: `${SnapshotT.type}/${key}` },
    value: (first + n) % processes.length,
  }));
}

/** Due in a crowd, some of them. */
function reminders({ of, processes, key, crowdsMs }: Stage): Said[] {
  return crowdsMs.flatMap((ms, n) =>
    [0, 1].map(
      (m): Said => ({
        ...{
          atMs: ms + of(`reminds ${n} ${m}`) * crowdMs,
          on: one(processes, of(`reminds on ${n} ${m}`)),
          name: 'remind',
        },
        key: `${one([SnapshotT, JournalT, SleeperT], of(`reminds type ${n} ${m}`)).type}/${key}`,
        value: 1 + whole(of(`reminds in ${n} ${m}`), 500),
      }),
    ),
  );
}

/** Some are far from each other: nothing breaks by it (isCalm of node-tales.ts). */
function far({ of, processes, atMs }: Stage, count: number): Omit<Fault, 'id'>[] {
  return Array.from({ length: count }, (_, n) => {
    const at = whole(of(`far ${n}`), processes.length);
    const other = processes[(at + 1 + whole(of(`from ${n}`), processes.length - 1)) % processes.length] as string;
    const [on, when] = [processes[at] as string, { atMs: atMs - 300 }];
    return { kind: 'delay', on, other, when, forMs: 4_000, draw: 0.05 + of(`how far ${n}`) * 0.3 };
  });
}
