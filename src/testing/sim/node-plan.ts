// What happens in a run of the scenario of nodes: who says what to whom, what is moved, and what breaks. Drawn from the seed.
//
// Most of it is placed where it meets something: around the moments at which a partition is to change hands, everybody speaks to
// the actors in it. A quarter of the seeds is calm: nothing breaks, and then nothing at all may be lost or come late.

import { type Draw, whole } from './draws.ts';
import type { Fault } from './faults.ts';
import { JournalT, MemoryT, SleeperT, SnapshotT } from './node-actors.ts';
import { epilogueOf } from './node-epilogues.ts';
import { drawFaults, founderLost, lostAsItFounds, lostId, staysAway, takenOverMs } from './node-losses.ts';
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
const aboutLostMax = 40;
/** Somebody who is lost is missed about so long afterwards, and taken over from a little later. */
const missedMs = 5_000;
/** A story that begins with a gift is not disturbed by others. */
const storyHasMs = 3_000;
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
/** What happens to a host thread of a node; a hang says for how long. */
export const [threadDies, threadHangs] = ['thread dies', 'thread hangs'] as const;
export const reminderMsMax = 2_500;
/** One that is cancelled would come after this time. */
export const cancelledMs = 6_000;

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

/** Who takes part in an act. */
interface Cast {
  readonly processes: readonly string[];
  readonly keys: readonly string[];
  readonly isCalm: boolean;
  /** Some may be lost as they found, some come late, some stay away. */
  readonly isFirst: boolean;
  readonly isLast: boolean;
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
  const count = isOld ? 1 : (rules.acts ?? 1);
  const cast = { processes, keys, isCalm: draw('calm') < 0.25 };
  const first = act(draw, rules, { ...cast, isFirst: true, isLast: count === 1 }, late.length > 0);
  const all = [first];
  for (let nth = 1; nth < count; nth++)
    all.push(
      asNth(
        act(
          (...parts) => draw('act', nth, ...parts),
          rules,
          { ...cast, isFirst: false, isLast: nth === count - 1 },
          false,
        ),
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

function act(draw: Draw, rules: NodeRules, { processes, keys, isCalm, isFirst, isLast }: Cast, isLate: boolean): Act {
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
  const [hasTale, hasThreads] = [tale !== undefined, threads > 0];
  const scene = replicas > 1 || isOld ? undefined : sceneOf(draw, { processes, keys, isCalm, hasTale, hasThreads });
  const epilogue =
    replicas > 1 || isOld || isCalm ? undefined : epilogueOf(draw, { processes, keys, hasThreads, isLast });
  const isStorys = ({ name, atMs }: Operation): boolean =>
    name === 'hand' && story?.givesAt.some(from => atMs > from - storyHasMs && atMs < from + storyHasMs) === true;
  const planned = operations.filter(operation => !isStorys(operation));
  const told = [story, tale, scene, epilogue];
  for (const operation of told.flatMap(each => each?.operations ?? []))
    planned.push({ ...operation, id: operations.length + planned.length });
  if (draw('threads die at once', atOnceSalt) < 0.5)
    planned.push(...planned.flatMap(operation => diesToo(draw, operation)));
  const isAlone = story?.isAlone || tale?.isAlone || (scene !== undefined && !hasTale);
  const all = [...(isAlone ? [] : faults), ...told.flatMap(each => each?.faults ?? [])];
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

/** In half of the seeds some ways are far longer than others, so that what takes two of them may be overtaken. */
export function wayOf(draw: Draw, from: string, to: string): { delayMs: number; jitterMs: number; chunkMax: number } {
  const delayMsMax = draw('ways') < 0.5 ? 6 : 60;
  const delayMs = 1 + whole(delayMsMax === 6 ? draw('delay') : draw('delay', from, to) ** 2, delayMsMax);
  return { delayMs, jitterMs: whole(draw('jitter'), 12), chunkMax: draw('chunks') < 0.3 ? 700 : 0 };
}
