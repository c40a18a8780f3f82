// Putting and getting 1 KiB values, embedded stores and Redis over loopback. A put counts when it is as durable as its
// row says: 'flushed', 'always' and FULL survive the loss of power, 'committed' and 'everysec' the loss of the process.

import {
  type BenchContext,
  type BenchDefinition,
  type Contender,
  defineBench,
  type Goal,
  type Ratio,
  type Workload,
} from '../harness.ts';
import { gets, misses, puts, type StoreSide } from './side.ts';

const sides: Record<string, () => Promise<StoreSide>> = {
  'troupe flushed': async () => (await import('./ours.ts')).troupeSide('flushed', 'auto'),
  'troupe committed': async () => (await import('./ours.ts')).troupeSide('committed', 'auto'),
  'troupe flushed, threads: 0': async () => (await import('./ours.ts')).troupeSide('flushed', 0),
  "troupe actor, persist: 'snapshot'": async () => (await import('./ours.ts')).snapshotSide('auto'),
  troupe: async () => (await import('./ours.ts')).troupeSide('committed', 'auto'),
  'troupe, threads: 0': async () => (await import('./ours.ts')).troupeSide('committed', 0),
  'lmdb flushed': async () => (await import('./lmdb.ts')).lmdbSide('flushed'),
  'lmdb committed': async () => (await import('./lmdb.ts')).lmdbSide('committed'),
  'level sync': async () => (await import('./level.ts')).levelSide(true),
  'sqlite FULL': async () => (await import('./sqlite.ts')).sqliteSide(),
  'redis always': async () => (await import('./redis.ts')).redisSide('always'),
  'redis everysec': async () => (await import('./redis.ts')).redisSide('everysec'),
};

const durable = [
  'troupe flushed',
  'troupe committed',
  'troupe flushed, threads: 0',
  "troupe actor, persist: 'snapshot'",
  'lmdb flushed',
  'lmdb committed',
  'level sync',
  'sqlite FULL',
  'redis always',
  'redis everysec',
];
/** Reading is the same whatever was promised about writing. */
const readers = ['troupe', 'troupe, threads: 0', 'lmdb committed', 'level sync', 'sqlite FULL', 'redis everysec'];

const goal = (ours: string, peer: string, by: Ratio['by'], times: number): Goal => ({ ours, peer, by, times });

const definition: BenchDefinition = defineBench({
  name: 'store',
  about: 'Durable puts and gets of 1 KiB values, one at a time and 64 in flight.',
  workloads(context) {
    const { param } = context;
    const keys = param('keys', 200, 100_000);
    const putsMax = param('puts', 200, 40_000);
    const getsMax = param('gets', 500, 400_000);
    const lanes = param('in flight', 64, 64);
    const work = (inFlight: number) => ({ keys, inFlight, context });
    const putting = {
      latency: true,
      // Long enough for threads to be warm, and for segments to be flushed and merged meanwhile: what is kept up, not a burst.
      roundMs: 1_500,
      // A put of ours is compiled on three threads: after 20,000 it takes twice the time it takes after 100,000.
      warmupMs: 6_000,
      about: 'A put at a random key, acknowledged; the last 64 are read back to confirm.',
    };
    const getting = { latency: true, about: 'A get of a random key that is there; every answer is checked.' };
    return [
      { ...putting, name: 'put, one at a time', opsMin: 20, opsMax: putsMax, contenders: all(puts, work(1), durable) },
      {
        ...putting,
        name: 'put, 64 in flight',
        opsMin: 128,
        opsMax: putsMax,
        contenders: all(puts, work(lanes), durable),
        goals: [
          goal('troupe flushed', 'redis always', 'rate', 2),
          goal('troupe flushed, threads: 0', 'redis always', 'rate', 2),
        ],
      },
      {
        ...getting,
        name: 'get, one at a time',
        opsMin: 100,
        opsMax: getsMax,
        contenders: all(gets, work(1), readers),
        goals: [goal('troupe', 'redis everysec', 'rate', 5), goal('troupe, threads: 0', 'redis everysec', 'rate', 5)],
      },
      {
        ...getting,
        name: 'get, 64 in flight',
        opsMin: 256,
        opsMax: getsMax,
        contenders: all(gets, work(lanes), readers),
        goals: [goal('troupe', 'redis everysec', 'rate', 5), goal('troupe, threads: 0', 'redis everysec', 'rate', 5)],
      },
      {
        name: 'get, missing key',
        latency: true,
        about: 'A get of a key that nobody has put, between two that are there; one at a time.',
        opsMin: 100,
        opsMax: getsMax,
        contenders: all(misses, work(1), readers),
      },
    ] satisfies Workload[];
  },
});

/** Every side as a contender for one kind of work; each draws the same keys. */
function all(
  kind: typeof puts | typeof gets | typeof misses,
  { keys, inFlight, context }: { keys: number; inFlight: number; context: BenchContext },
  names: readonly string[],
): Contender[] {
  return names.map(name =>
    kind({ name, open: sides[name] as () => Promise<StoreSide>, keys, inFlight, random: context.random() }),
  );
}

export default definition;
