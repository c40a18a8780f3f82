// The storage engines alone, without actors above them, against what one would embed or run instead, on 1 KiB values.
// 'flushed', 'always', 'sync' and FULL survive the loss of power, the others the loss of the process; LMDB has the one only.

import {
  type BenchContext,
  type BenchDefinition,
  type Contender,
  defineBench,
  type Goal,
  type Ratio,
  type Workload,
} from '../harness.ts';
import { recovery, startUp, vnodes } from './gauges.ts';
import type { EngineSide } from './side.ts';
import { engineContender, gets, type Kind, misses, mixed, puts, scans, type Work, written } from './work.ts';

const flat = async (side: Promise<Parameters<typeof import('./flat.ts').flatEngine>[0]>): Promise<EngineSide> =>
  (await import('./flat.ts')).flatEngine(await side);

const sides: Record<string, () => Promise<EngineSide>> = {
  'troupe flushed': async () => (await import('./ours.ts')).troupeEngine('flushed'),
  'troupe committed': async () => (await import('./ours.ts')).troupeEngine('committed'),
  troupe: async () => (await import('./ours.ts')).troupeEngine('committed'),
  'troupe, lmdb engine': async () => (await import('./ours.ts')).lmdbEngine(),
  'level sync': () => flat(import('../store/level.ts').then(({ levelSide }) => levelSide(true))),
  level: () => flat(import('../store/level.ts').then(({ levelSide }) => levelSide(false))),
  'sqlite FULL': () => flat(import('../store/sqlite.ts').then(({ sqliteSide }) => sqliteSide('FULL'))),
  'sqlite NORMAL': () => flat(import('../store/sqlite.ts').then(({ sqliteSide }) => sqliteSide('NORMAL'))),
  'redis always': () => flat(import('../store/redis.ts').then(({ redisSide }) => redisSide('always'))),
  'redis everysec': () => flat(import('../store/redis.ts').then(({ redisSide }) => redisSide('everysec'))),
};

const durable = ['troupe flushed', 'troupe, lmdb engine', 'level sync', 'sqlite FULL', 'redis always'];
const committed = ['troupe committed', 'troupe, lmdb engine', 'level', 'sqlite NORMAL', 'redis everysec'];
/** Reading is the same whatever was promised about writing. */
const readers = ['troupe', 'troupe, lmdb engine', 'level', 'sqlite NORMAL', 'redis everysec'];
const ordered = readers.filter(name => !name.startsWith('redis'));

const contenders = (kind: Kind, work: Work, names: readonly string[]): Contender[] =>
  names.map(name => engineContender(name, sides[name] as () => Promise<EngineSide>, kind, work));

const against = (peer: string, by: Ratio['by'], times: number): Goal => ({ ours: 'troupe flushed', peer, by, times });
const goals: readonly Goal[] = [
  against('redis always', 'rate', 2),
  against('level sync', 'rate', 2),
  against('redis always', 'p99', 1),
  against('level sync', 'p99', 1),
];

const definition: BenchDefinition = defineBench({
  name: 'engine',
  about:
    'Storage engines alone: puts, gets and scans of 1 KiB values in shards, what they write, and how they come back.',
  workloads: context => [...putting(context), ...reading(context), ...costs(context)],
});

function putting(context: BenchContext): Workload[] {
  const { param } = context;
  const keys = param('keys', 200, 100_000);
  const opsMax = param('puts', 200, 40_000);
  const roundMs = param('ms a round of puts', 0, 2_000);
  const many = param('many in flight', 256, 1_024);
  const put = (name: string, { shards = 16, inFlight = 64 }, names = durable): Workload => ({
    name,
    about: `A put at a random key over ${shards} shards, acknowledged; the last 64 are read back. Merges that are left over are not counted.`,
    latency: true,
    roundMs,
    opsMin: Math.max(20, Math.min(inFlight * 2, opsMax)),
    opsMax: Math.max(opsMax, inFlight * 2),
    contenders: contenders(puts, { keys, shards, inFlight, context }, names),
  });
  return [
    put('durable put, one at a time', { inFlight: 1 }),
    { ...put('durable put, 64 in flight', {}), goals },
    { ...put('durable put, 1,024 in flight', { inFlight: many }), goals },
    // The same code with another number: nothing to be seen when small.
    ...(context.mode === 'full' ? [1, 64] : []).map(shards => ({
      ...put(`durable put, 64 in flight, shards: ${shards}`, { shards }),
      goals,
    })),
    put('committed put, 64 in flight', {}, committed),
    {
      ...put('mixed, 64 in flight', {}),
      about:
        'Nine gets, checked, to each durable put, at random keys over 16 shards; percentiles are of both together.',
      contenders: contenders(mixed, { keys, shards: 16, inFlight: 64, context }, durable),
      goals,
    },
  ];
}

function reading(context: BenchContext): Workload[] {
  const { param } = context;
  const keys = param('keys', 200, 100_000);
  const fresh = param('keys just written', 200, 20_000);
  const opsMax = param('gets', 500, 400_000);
  const work = { keys, shards: 16, inFlight: 1, context };
  const get = { latency: true, opsMin: 100, opsMax };
  return [
    {
      ...get,
      name: 'get hit',
      about:
        'A get of a random key, checked, one at a time; flushes and merges were waited for, so ours come from runs.',
      contenders: contenders(gets, work, readers),
      goals: [{ ours: 'troupe', peer: 'redis everysec', by: 'rate', times: 5 }],
    },
    {
      ...get,
      name: 'get miss',
      about: 'A get of a key that nobody has put, between two that are there, one at a time.',
      contenders: contenders(misses, work, readers),
      goals: [{ ours: 'troupe', by: 'p50', atMost: 1 }],
    },
    {
      ...get,
      name: 'get hit, just written',
      about: 'The same before anything was flushed: ours come from segments in memory.',
      contenders: contenders(gets, { ...work, keys: fresh, fresh: true }, readers),
    },
    {
      name: 'scan',
      about: 'An operation is a record, with its value, in the order of the keys of 16 shards. Redis has no order.',
      opsMin: Math.min(100, keys),
      opsMax: keys,
      contenders: contenders(scans, work, ordered),
    },
  ];
}

function costs(context: BenchContext): Workload[] {
  const { param } = context;
  const keys = param('keys rewritten', 200, 50_000);
  const puts = param('puts counted', 400, 200_000);
  const logged = param('records in the log', 2_000, 1_000_000);
  const vnodeKeys = param('keys over vnodes', 500, 20_000);
  const sizes = [param('records', 1_000, 1_000_000)];
  if (context.mode === 'full') sizes.push(param('more records', 0, 4_000_000));
  const vnodeCounts = [param('vnodes', 16, 64)];
  if (context.mode === 'full') vnodeCounts.push(param('more vnodes', 0, 256));
  /** A reading is a process or two of its own. */
  const rounds = param('rounds of processes', 1, 3);
  return [
    {
      name: 'bytes written',
      about:
        'Bytes given to write() (wchar of /proc/<pid>/io, merges waited for) for each byte of key and value put, 64 in ' +
        'flight, each key several times. Beside it what the device was given, by the whole machine (/proc/diskstats), ' +
        'and what ours says it wrote: log, flushes, merges, and all three.',
      gauge: 'bytes a byte put',
      rounds: 2,
      opsMin: 100,
      opsMax: puts,
      contenders: contenders(written, { keys, shards: 16, inFlight: 64, context }, [
        'troupe flushed',
        'troupe, lmdb engine',
        'level sync',
        'redis always',
      ]),
    },
    {
      name: 'recovery',
      about:
        'A process writes records of 100 bytes to a log that nobody flushes and is killed with SIGKILL; the time until ' +
        'another one can read them. They are counted, and some of them read.',
      gauge: 'us a record',
      rounds,
      alone: 'others keep their logs at a few MiB, or have nothing else',
      opsMin: Math.min(2_000, logged),
      opsMax: logged,
      contenders: [recovery()],
      // 300,000 records a second.
      goals: [{ ours: 'troupe', atMost: 3.33 }],
    },
    ...sizes.map(
      (records): Workload => ({
        name: `start-up, ${records.toLocaleString('en')} records`,
        about: 'Opening records of 100 bytes, flushed and merged before, in a process of its own; then 10,000 gets.',
        gauge: 'ms until ready',
        deadlineMs: 600_000,
        rounds,
        opsMin: records,
        opsMax: records,
        contenders: [startUp('troupe'), startUp('level')],
      }),
    ),
    {
      name: 'vnodes',
      about:
        'Anonymous memory and file handles of a node whose vnodes have all been put to and read; the process as a whole.',
      gauge: 'RssAnon MiB',
      rounds,
      alone: 'nobody else has them',
      opsMin: vnodeKeys,
      opsMax: vnodeKeys,
      contenders: vnodeCounts.map(vnodes),
    },
  ];
}

export default definition;
