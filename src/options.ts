// startNode's options, checked once: every wrong one is a BAD_OPTION that names it and says what to do.

import {
  type CheckedCluster,
  type ClusterNodeOptions,
  checkClusterOptions,
  clusterOptionNames,
} from './cluster-options.ts';
import { TroupeError } from './errors.ts';
import {
  askDeadlineMsDefault,
  diskFreeLowWaterMin,
  residentsCapMax,
  tombstoneGraceMsDefault,
  tombstoneGraceMsMax,
} from './limits.ts';
import { type ActorType, definedType } from './runtime/define-actor.ts';
import { checkNodeName } from './runtime/ids.ts';
import { checkOptionNames } from './runtime/option-names.ts';
import { show } from './runtime/show.ts';
import type { Log } from './runtime/world.ts';
import type { BackupOptions } from './storage/backup/backup-store.ts';
import type { EngineKind } from './storage/engine.ts';

export interface NodeOptions extends ClusterNodeOptions {
  /** [a-z0-9-]{1,32}. Default: generated, then kept in dataDir. */
  readonly name?: string;
  /** Where everything durable lives. Omit it for a node that forgets when it ends. */
  readonly dataDir?: string;
  /** Host threads beside the calling one: 'auto' (cores - 1, at least 1), or a number; 0 = everything on the calling thread. */
  readonly threads?: 'auto' | number;
  /** Fixed at the birth of a data directory: a power of two, default 64. */
  readonly partitions?: number;
  readonly actors?: readonly ActorType<any>[];
  /** 'troupe' with a dataDir, 'memory' without. 'lmdb' keeps everything in one LMDB file: simpler, and slower to write. */
  readonly engine?: EngineKind;
  /** pino-shaped; silent by default. */
  readonly logger?: Log;
  /** Actors awake on one thread before the least valuable are put to sleep. Default 1,000,000. */
  readonly residentsMax?: number;
  /** Free bytes on the disk of dataDir below which writes are refused with DISK_FULL. */
  readonly diskFreeLowWater?: number;
  /** How long what was deleted or has expired is kept before a merge may remove it for good. Default an hour. */
  readonly tombstoneGraceMs?: number;
  /** Moves slots of actors from busy threads to idle ones by measured load, one at a time. Default false: node.rebalancer does it when asked. */
  readonly rebalance?: boolean;
  /** Heap limits of the host threads, in MiB. A thread that exceeds them dies alone and is restarted. */
  readonly threadHeapMb?: number;
}

export interface CheckedOptions {
  /** Undefined: the node is alone. */
  readonly cluster: CheckedCluster | undefined;
  readonly name: string | undefined;
  readonly dataDir: string | undefined;
  readonly threads: number;
  readonly partitions: number | undefined;
  readonly actors: readonly ActorType[];
  readonly engine: EngineKind;
  readonly logger: Log | undefined;
  readonly residentsMax: number | undefined;
  readonly diskFreeLowWater: number | undefined;
  readonly threadHeapMb: number | undefined;
  readonly tombstoneGraceMs: number;
  readonly rebalance: boolean;
}

const known: readonly string[] = [
  'name',
  'dataDir',
  'threads',
  'partitions',
  'actors',
  'engine',
  'logger',
  'residentsMax',
  'diskFreeLowWater',
  'threadHeapMb',
  'tombstoneGraceMs',
  'rebalance',
];
const logMethods = ['trace', 'debug', 'info', 'warn', 'error'] as const;
const engines: readonly EngineKind[] = ['troupe', 'lmdb', 'memory'];
const threadsMax = 63;
const partitionsMax = 65_536;

const stopDrainMsDefault = 5_000;

export const partitionsDefault = 64;
export { askDeadlineMsDefault };

export function checkNodeOptions(options: NodeOptions, cores: number): CheckedOptions {
  if (typeof options !== 'object' || options === null) throw bad('options', 'startNode takes an object of options');
  for (const [name, value] of Object.entries(options)) {
    if (known.includes(name) || clusterOptionNames.includes(name) || value === undefined) continue;
    throw bad(name, `unknown option '${name}'; known are ${[...known, ...clusterOptionNames].join(', ')}`);
  }
  const { partitions, threads = 'auto', actors = [], dataDir, engine } = options;
  if (threads !== 'auto' && (!Number.isInteger(threads) || threads < 0 || threads > threadsMax))
    throw bad('threads', `threads must be 'auto' or a whole number from 0 to ${threadsMax}, not ${show(threads)}`);
  if (
    partitions !== undefined &&
    (!Number.isInteger(partitions) ||
      partitions < 1 ||
      partitions > partitionsMax ||
      (partitions & (partitions - 1)) !== 0)
  ) {
    throw bad('partitions', `partitions must be a power of two from 1 to ${partitionsMax}, not ${show(partitions)}`);
  }
  const what = 'actors must be an array of what defineActor or defineBehaviour returned';
  if (!Array.isArray(actors)) throw bad('actors', what);
  for (const type of actors) checkType(type, what);
  if (dataDir !== undefined && !isPath(dataDir))
    throw bad(
      'dataDir',
      `dataDir must be the path of a directory, not ${show(dataDir)}; leave it out for a node that forgets`,
    );
  if (engine !== undefined && !engines.includes(engine))
    throw bad('engine', `engine must be one of ${engines.join(', ')}, not ${show(engine)}`);
  if (engine !== undefined && engine !== 'memory' && dataDir === undefined)
    throw bad('engine', `engine '${engine}' needs a dataDir`);
  const { logger, rebalance } = options;
  if (rebalance !== undefined && typeof rebalance !== 'boolean')
    throw bad('rebalance', `rebalance must be true or false, not ${show(rebalance)}`);
  if (logger !== undefined && !logMethods.every(name => typeof (logger as Partial<Log> | null)?.[name] === 'function'))
    throw bad('logger', `logger must have the methods ${logMethods.join(', ')}, as pino has`);
  const cluster = checkClusterOptions(options);
  if (cluster !== undefined && cluster.replicas > 1 && dataDir === undefined)
    throw bad(
      'replicas',
      'replicas needs a dataDir: a node that forgets what it has agreed to could agree to something else',
    );
  const threadCount = threads === 'auto' ? Math.min(threadsMax, Math.max(1, cores - 1)) : threads;
  return {
    name: options.name === undefined ? undefined : checkNodeName(options.name),
    dataDir,
    cluster,
    threads: threadCount,
    rebalance: rebalance ?? false,
    partitions,
    actors: actors as readonly ActorType[],
    engine: engine ?? (dataDir === undefined ? 'memory' : 'troupe'),
    logger,
    residentsMax: whole('residentsMax', options.residentsMax, 1, residentsCapMax),
    diskFreeLowWater: whole('diskFreeLowWater', options.diskFreeLowWater, diskFreeLowWaterMin),
    threadHeapMb: whole('threadHeapMb', options.threadHeapMb, 8),
    tombstoneGraceMs:
      whole('tombstoneGraceMs', options.tombstoneGraceMs, 0, tombstoneGraceMsMax) ?? tombstoneGraceMsDefault,
  };
}

/** Threads find a type by its module and its name, so of two of one name in one module they would run the later one. */
function checkType(type: ActorType | undefined, what: string): void {
  if (type?.kind !== 'troupe-actor-type') throw bad('actors', `${what}; got something else in it`);
  const found = type.url === '' ? undefined : definedType(type.url, type.type);
  if (found !== undefined && found !== type)
    throw bad('actors', `${type.url} defines two actor types named '${type.type}'; give one of them another name`);
}

/** How long node.stop() may take to let turns end. */
export function checkStop(options: { readonly drainMs?: number }): number {
  checkOptionNames('stop()', options, ['drainMs']);
  const { drainMs = stopDrainMsDefault } = options;
  if (typeof drainMs === 'number' && drainMs >= 0) return drainMs;
  throw bad('drainMs', `drainMs must be a number of ms, 0 or more, not ${show(drainMs)}`);
}

/** Where to, and the options, of node.backup(). */
export function checkBackup(dir: unknown, options: BackupOptions): void {
  if (!isPath(dir)) throw bad('dir', `backup() needs the path of an empty directory, not ${show(dir)}`);
  checkOptionNames('backup()', options, ['onProgress']);
  const { onProgress } = options;
  if (onProgress !== undefined && typeof onProgress !== 'function')
    throw bad('onProgress', `onProgress must be a function, not ${show(onProgress)}`);
}

/** No file system has a name with a NUL character in it. */
const isPath = (path: unknown): path is string => typeof path === 'string' && path !== '' && !path.includes('\0');

function whole(name: string, value: number | undefined, min: number, max: number = Number.MAX_SAFE_INTEGER) {
  if (value !== undefined && (!Number.isSafeInteger(value) || value < min || value > max))
    throw bad(name, `${name} must be a whole number from ${min} to ${max}, not ${show(value)}`);
  return value;
}

function bad(option: string, message: string): TroupeError {
  return new TroupeError('BAD_OPTION', message, { details: { option } });
}
