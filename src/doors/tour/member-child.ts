// A process that is one node of the tour's cluster, and does what the tour asks of it: load, look, talk, move.
//
// Invariant: a number in `acknowledged` is a record whose put() has resolved.

import { call, type Store, startNode, TroupeError, tell } from '../../index.ts';
import { type Burst, LogbookT } from './actors.ts';
import { check, emptyTally, troublesOf } from './check.ts';
import { cityOf, keyOf, readCities, sampleOf } from './cities.ts';
import { countsOf } from './counts.ts';
import { inFlight, rateOf } from './in-flight.ts';
import { allNumbers, checkByKey, windowOfPuts } from './load.ts';
import { sayToParent, serveParent } from './member.ts';
import type { View } from './view.ts';

export interface MemberTask {
  readonly name: string;
  readonly dataDir: string;
  readonly listen: string;
  readonly join: readonly string[];
  readonly cities: string;
  readonly sample: boolean;
}

/** What became of some puts. */
export interface Loaded {
  readonly acknowledged: number[];
  /** By code: how many were refused for certain, and are not there. */
  readonly refused: Record<string, number>;
  /** Sent, and no answer came: there, or not. */
  readonly unknown: number[];
  /** Acknowledged by the node they belong to. */
  readonly byOwner: Record<string, number>;
}

/** Tells between two asks of a sender. */
const burstOf = 20;
/** An ask may wait for a whole move on a busy machine. */
const patienceMs = 30_000;
/** A read that finds nobody gives up soon, and is tried again. */
const reachMs = 1_000;

const task = JSON.parse(process.argv[2] ?? '') as MemberTask;
const all = readCities(task.cities);
const cities = task.sample ? sampleOf(all) : all;
const { name, dataDir, listen, join } = task;
const node = await startNode({ name, dataDir, listen, join, threads: 1, actors: [LogbookT] });
const never = new AbortController().signal;
const storeName = 'cities';
let talking = false;
let opened: Promise<Store> | undefined;

/** Tells the parent how far it is, now and then. */
const view: View = {
  step: () => undefined,
  held: () => undefined,
  say: () => undefined,
  progress: (done, total) => {
    if (done % windowOfPuts === 0 || done === total) sayToParent(done);
  },
};

/** Once and for all: which options a store has is known on one node, which may be dead later. */
function open(): Promise<Store> {
  opened ??= node.store(storeName);
  return opened;
}

async function load(
  from: number,
  count: number,
  deadlineMs: number,
): Promise<Loaded & { rate: ReturnType<typeof rateOf> }> {
  const store = await open();
  const loaded: Loaded = { acknowledged: [], refused: {}, unknown: [], byOwner: {} };
  const timing = await inFlight({
    count,
    window: windowOfPuts,
    signal: never,
    run: async i => {
      const n = from + i;
      const key = keyOf(cities, n);
      try {
        await store.put(key, cityOf(cities, n), { deadlineMs });
        const owner = ownerOf(key);
        loaded.acknowledged.push(n);
        loaded.byOwner[owner] = (loaded.byOwner[owner] ?? 0) + 1;
      } catch (error) {
        if (!(error instanceof TroupeError)) throw error;
        if (error.outcome === 'unknown') loaded.unknown.push(n);
        else loaded.refused[error.code] = (loaded.refused[error.code] ?? 0) + 1;
      }
    },
    onDone: done => view.progress(done, count),
  });
  return { ...loaded, rate: rateOf(timing) };
}

/** Bursts to each of these actors in turn, until hush(). */
async function talk(keys: readonly string[]): Promise<{ sent: Record<string, number>; problems: string[] }> {
  const sent: Record<string, number> = {};
  const problems: string[] = [];
  talking = true;
  while (talking)
    await Promise.all(
      keys.map(async key => {
        const { sent: count, newest } = await burst(key, sent[key] ?? 0);
        sent[key] = count;
        if (newest !== count - 1)
          problems.push(`${name} asked ${key} behind ${count} tells, and it knew of ${newest + 1}`);
      }),
    );
  return { sent, problems };
}

async function burst(key: string, from: number): Promise<Burst> {
  const ref = node.ref(LogbookT, key);
  const teller = tell(ref);
  for (let n = from; n < from + burstOf; n++) await teller.note(name, n);
  return { sent: from + burstOf, newest: await call(ref, { deadlineMs: patienceMs }).newest(name) };
}

function ownerOf(key: string): string {
  return node.cluster.preference(key, 1)[0] ?? '';
}

/** Those of which something is there that is not the whole record. */
async function torn(numbers: readonly number[]): Promise<string[]> {
  const store = await open();
  const tally = emptyTally();
  for (const n of numbers) {
    const { values } = await store.get(keyOf(cities, n));
    if (values.length > 0) check(tally, keyOf(cities, n), cityOf(cities, n), values);
  }
  return troublesOf('what was on its way when n2 died', tally, tally.checked);
}

const commands = {
  ready: () => node.ready(),
  /** When all are ready. */
  open: async () => void (await open()),
  members: () => node.cluster.members().map(({ name: member, status, address }) => ({ name: member, status, address })),
  owners: () => node.cluster.ring().owners,
  ownerOf,
  /** Puts the cities of so many numbers; each ends by its deadline. */
  load,
  /** How many of those each node owns. */
  ownersOf: (from: number, count: number) => countsOf(allNumbers(count).map(i => ownerOf(keyOf(cities, from + i)))),
  /** The first city that belongs to that node. */
  oneOf: (owner: string) => allNumbers(cities.length).find(n => ownerOf(keyOf(cities, n)) === owner) ?? 0,
  reach: async (n: number) => void (await (await open()).get(keyOf(cities, n), { deadlineMs: reachMs })),
  /** Reads these numbers back, each compared with what was written. */
  check: async (what: string, numbers: readonly number[]) =>
    checkByKey({ store: await open(), cities, view, signal: never }, what, numbers),
  torn,
  talk,
  hush: () => {
    talking = false;
  },
  relocate: (key: string, to: string) => node.relocate(node.ref(LogbookT, key), to),
  locate: async (key: string) => (await node.locate(node.ref(LogbookT, key))).node,
  report: (key: string) => call(node.ref(LogbookT, key), { deadlineMs: patienceMs }).report(),
  stop: () => node.stop(),
};
export type MemberCommands = typeof commands;

serveParent(commands, node.cluster.address);
