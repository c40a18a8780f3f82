// A process that is one node of the tour's cluster, and does what the tour asks of it: load, look, talk, overwrite, move, leave.
//
// Invariant: a number in `acknowledged` is a record whose put() has resolved.

import { partition } from '../../cores.ts';
import { call, type NodeEvents, type Store, startNode, TroupeError } from '../../index.ts';
import { LogbookT } from './actors.ts';
import { check, emptyTally, troublesOf } from './check.ts';
import { cityOf, keyOf, readCities, sampleOf } from './cities.ts';
import { countsOf } from './counts.ts';
import { inFlight, rateOf } from './in-flight.ts';
import { allNumbers, checkByKey, windowOfPuts } from './load.ts';
import { sayToParent, serveParent } from './member.ts';
import { type Allowed, Overwriting } from './overwriting.ts';
import { Talking } from './talking.ts';
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
const talking = new Talking(node, name);
const overwriting = new Overwriting(name, cities);
let opened: Promise<Store> | undefined;

/** Partitions that this node has handed on, and those that stayed and were tried again, since they were last asked for. */
let left: Parameters<NodeEvents['partition-left']>[0][] = [];
let stayed: string[] = [];
/** What must not happen at all. */
const troubles: string[] = [];
node.on('partition-left', event => void left.push(event));
node.on('partition-stays', ({ partition: which, to, reason }) => void stayed.push(`${which} to ${to}: ${reason}`));
node.on(
  'dead-letter',
  ({ to, method, why }) => void troubles.push(`${name}: a message to ${to}.${method} was lost: ${why}`),
);
node.on('thread-died', ({ thread, error }) => void troubles.push(`${name}: host thread ${thread} died: ${error}`));

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

/** What the ring would be, and the partitions that would change hands. */
function planned(changes: Parameters<typeof node.cluster.plan>[0]): { owners: readonly string[]; moving: number[] } {
  const { ring, transfers } = node.cluster.plan(changes);
  return { owners: ring.owners, moving: transfers.map(each => each.partition) };
}

/** Keys of so many actors whose partition is one of these, and of as many whose is not. */
function travellers(moving: readonly number[], count: number): { goers: string[]; stayers: string[] } {
  const { partitions } = node.cluster.ring();
  const [goers, stayers]: [string[], string[]] = [[], []];
  for (let i = 0; goers.length < count || stayers.length < count; i++) {
    const kind = moving.includes(partition.partitionOf(`book-${i}`, partitions)) ? goers : stayers;
    if (kind.length < count) kind.push(`book-${i}`);
  }
  return { goers, stayers };
}

const commands = {
  ready: () => node.ready(),
  /** When all are ready. */
  open: async () => void (await open()),
  members: () => node.cluster.members().map(({ name: member, status, address }) => ({ name: member, status, address })),
  owners: () => node.cluster.ring().owners,
  planned,
  travellers,
  /** The ring, how many partitions are to change hands, and how far those are. */
  handing: async () => {
    const rows = await node.cluster.transfers();
    const { owners, next } = node.cluster.ring();
    return { owners, pending: next.length, rows };
  },
  handed: () => {
    const news = { left, stayed };
    [left, stayed] = [[], []];
    return news;
  },
  troubles: () => troubles,
  leave: () => node.cluster.leave(),
  ownerOf,
  /** Puts the cities of so many numbers; each ends by its deadline. */
  load,
  /** How many of those each node owns. */
  ownersOf: (from: number, count: number) => countsOf(allNumbers(count).map(i => ownerOf(keyOf(cities, from + i)))),
  /** The first city that belongs to that node. */
  oneOf: (owner: string) => allNumbers(cities.length).find(n => ownerOf(keyOf(cities, n)) === owner) ?? 0,
  reach: async (n: number) => void (await (await open()).get(keyOf(cities, n), { deadlineMs: reachMs })),
  /** Reads these numbers back, each compared with what was written. */
  check: async (what: string, numbers: readonly number[], versions: readonly Allowed[] = []) =>
    checkByKey({ store: await open(), cities, view, signal: never }, what, numbers, versions),
  torn,
  talk: (keys: readonly string[]) => talking.run(keys),
  overwrite: async (numbers: readonly number[]) => overwriting.run(await open(), numbers),
  hush: () => {
    talking.hush();
    overwriting.hush();
  },
  relocate: (key: string, to: string) => node.relocate(node.ref(LogbookT, key), to),
  locate: async (key: string) => (await node.locate(node.ref(LogbookT, key))).node,
  report: (key: string) => call(node.ref(LogbookT, key), { deadlineMs: patienceMs }).report(),
  stop: () => node.stop(),
};
export type MemberCommands = typeof commands;

serveParent(commands, node.cluster.address);
