// Epilogues: what happens near the end of an act, when hardly anything comes after it that would hide what it has left.
//
//     chance, tales, scenes ───────────▶ epilogue ──▶ heal ──▶ rest: is anything left?

import { type Draw, whole } from './draws.ts';
import type { Fault, FaultKind } from './faults.ts';
import { JournalT, MemoryT, SleeperT, SnapshotT } from './node-actors.ts';
import { type Deed, hands, type Played, type Stage } from './node-crowds.ts';
import type { Scene } from './node-scenes.ts';
import { between, one } from './node-stories.ts';
import { ownersThreadDies } from './thread-tales.ts';

/** Above the faults of all other kinds. */
const epilogueId = 6_000;
/** In virtual ms. */
const [beginMs, beginSpanMs] = [14_000, 1_500] as const;
/** Of acts; where nodes have several threads each seed ends with one, and has none before: chance has more to find between those. */
const share = 0.3;
/** Picked so that the seeds of seeds.txt, which were found before there were epilogues, have none in their first act. */
const epilogueSalt = 96;

const ofThreads: readonly ((stage: Stage) => Played)[] = [movesTheDead, movesTheDead, movesAsItLeaves];

export function epilogueOf(
  draw: Draw,
  {
    processes,
    keys,
    hasThreads,
    isLast,
  }: Pick<Stage, 'processes'> & { keys: readonly string[]; hasThreads: boolean; isLast: boolean },
): Scene | undefined {
  const isTold = hasThreads ? isLast : draw('epilogue', epilogueSalt) < share;
  if (!isTold) return undefined;
  const of = (what: string): number => draw('epilogue', what);
  const atMs = between(of('at'), beginMs, beginMs + beginSpanMs);
  const stage: Stage = { of, processes, key: one(keys, of('key')), atMs };
  const { steps, deeds } = one(hasThreads ? ofThreads : [lostWhenReady], of('which'))(stage);
  return {
    faults: steps.map(
      (step, n): Fault => ({ on: '*', other: '*', draw: of(`draw ${n}`), ...step, id: epilogueId + n }),
    ),
    operations: deeds,
  };
}

/** Who gives it is lost when the other one is ready; when he is back it shall go to somebody else. */
function lostWhenReady(stage: Stage): Played {
  const { of, atMs } = stage;
  const when = { point: one(['handoff-ready done', 'gave its ready'], of('point')), nth: 1, fromMs: atMs };
  const kind = one<FaultKind>(['crash', 'power'], of('kind'));
  const forMs = between(of('for'), 100, 1_200);
  return { steps: [{ kind, when, forMs }], deeds: hands(stage, [0, between(of('then'), 150, 900)]) };
}

/** An actor lives by itself on a thread, which dies; before it has woken anywhere it is moved once more. Again and again. */
function movesTheDead({ of, processes, atMs, key }: Stage): Played {
  const deeds = [0, 1, 2, 3].flatMap((n): Deed[] => {
    const about = (what: string): number => of(`${n} ${what}`);
    const unit = `${one([SleeperT, JournalT, SnapshotT, MemoryT], about('type')).type}/${key}`;
    const on = one(processes, about('on'));
    const beginsMs = atMs + n * 700;
    const diesMs = beginsMs + between(about('lives'), 40, 250);
    const asks = Array.from({ length: 6 }, (_, m): Deed => {
      const at = m < 2 ? beginsMs - 30 + about(`ask ${m}`) * 60 : diesMs + about(`ask ${m}`) * 250;
      return { atMs: Math.floor(at), on: one(processes, about(`asks ${m}`)), name: 'ask', key: unit, value: 0 };
    });
    return [
      ...asks,
      // Its number is the same however many there are.
      { atMs: beginsMs, on, name: 'to thread', key: unit, value: 1 },
      { atMs: diesMs, on, name: ownersThreadDies, key: unit, value: 0 },
      {
        atMs: diesMs + 1 + whole(about('again'), 70),
        on,
        name: 'to thread',
        key: unit,
        value: 2 + whole(about('to'), 2),
      },
    ];
  });
  return { steps: [], deeds };
}

/** An actor that is to move to another thread has a long turn, and another one waits for it: meanwhile its partition is given away. All speak to it. */
function movesAsItLeaves(stage: Stage): Played {
  const { of, processes, atMs, key } = stage;
  const deeds = hands(stage, [0, 700, 1_400]).flatMap((hand, n): Deed[] => {
    const about = (what: string): number => of(`${n} ${what}`);
    const unit = `${one([SleeperT, JournalT, SnapshotT, MemoryT], about('type')).type}/${key}`;
    const beginsMs = atMs + n * 700;
    const of1 = (what: string): string => one(processes, about(what));
    const long: Deed = {
      atMs: beginsMs,
      on: of1('long on'),
      name: 'tell',
      key: unit,
      value: between(about('long'), 20, 120),
    };
    const moves = [0, 1].map((m): Deed => {
      const at = beginsMs + 5 + about(`moves ${m}`) * 60;
      return { atMs: Math.floor(at), on: of1(`moves on ${m}`), name: 'to thread', key: unit, value: 1 + m };
    });
    const says = processes.flatMap(on =>
      Array.from({ length: 12 }, (_, m): Deed => {
        const name = one(['tell', 'ask', 'ask', 'through'], about(`how ${on} ${m}`));
        const to = name === 'through' ? `${SnapshotT.type}/${key}` : unit;
        return { atMs: Math.floor(beginsMs + (m + about(`says ${on} ${m}`)) * 20), on, name, key: to, value: 0 };
      }),
    );
    return [{ ...hand, atMs: beginsMs + between(about('given'), 0, 50) }, long, ...moves, ...says];
  });
  return { steps: [], deeds };
}
