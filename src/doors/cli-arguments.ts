// What may be said to the command `troupe`, and what is meant by it.

import { parseArgs } from 'node:util';
import { partitionsMax } from '../limits.ts';
import { UsageError, wholeOption } from './usage.ts';

interface Opened {
  readonly dataDir: string;
  readonly json: boolean;
}

interface OfStore extends Opened {
  readonly store: string;
}

export type Command =
  | { readonly name: 'help' }
  | { readonly name: 'version' }
  | ({ readonly name: 'describe'; readonly count: boolean } & Opened)
  | ({ readonly name: 'get'; readonly key: string } & OfStore)
  | ({
      readonly name: 'put';
      readonly key: string;
      readonly value: unknown;
      readonly create: boolean;
      readonly ttlMs: number | undefined;
      readonly flushed: boolean;
    } & OfStore)
  | ({ readonly name: 'del'; readonly key: string; readonly flushed: boolean } & OfStore)
  | ({ readonly name: 'scan'; readonly prefix: string | undefined; readonly limit: number | undefined } & OfStore)
  | SimCommand
  | FileCommand;

/** Runs the simulator. */
export interface SimCommand {
  readonly name: 'sim';
  readonly json: boolean;
  /** Undefined: all, one after the other, each with its part of the time. */
  readonly scenario: string | undefined;
  /** The first. */
  readonly seed: number;
  /** At most so many of each scenario. */
  readonly seeds: number | undefined;
  /** Undefined: as long as it takes. */
  readonly minutes: number | undefined;
}

/** A command that works on files, without a node. */
export type FileCommand = { readonly json: boolean } & (
  | { readonly name: 'log verify'; readonly dir: string }
  | { readonly name: 'log dump'; readonly dir: string; readonly segment: number | undefined }
  | { readonly name: 'backup'; readonly dataDir: string; readonly target: string }
  | {
      readonly name: 'restore';
      readonly backup: string;
      readonly dataDir: string;
      readonly partition: number | undefined;
    }
  | { readonly name: 'adopt'; readonly dataDir: string }
);

/** A command that opens a directory as a node. */
export type DataCommand = Exclude<Command, FileCommand | SimCommand | { readonly name: 'help' | 'version' }>;

export const help = `Usage: troupe <command> --data-dir DIR [options]
       troupe <command> DIR ... [options]
       troupe sim [options]

Looks into a data directory of Troupe, changes single keys, makes and restores backups. No node may be running on it.

  kv get KEY           the value of a key; exit code 3 if it has none
  kv put KEY VALUE     sets a key, replacing all values it has
  kv del KEY           deletes a key
  kv scan              keys and values in the order of the keys
  describe             the node, its stores and their options

  log verify DIR       looks over the log, every run and its filter; exit code 3 if anything is damaged. Changes nothing
  log dump DIR         what is in the log, group by group; exit code 3 if a record is damaged
  backup DIR TARGET    a backup of the directory in TARGET, which is empty, or holds one that was broken off: it goes on.
                       Runs are linked where that can be. A node that is running makes its own: node.backup(TARGET)
  restore BACKUP DIR   a data directory of a backup; DIR is empty. With --partition DIR is there already, and that partition
                       of all its stores becomes what it was
  adopt DIR            lets a node start on a copied directory, when the one it was copied from never will again

  sim                  runs Troupe in the simulator, seed after seed, and looks for what must never happen; exit code 1 when it is
                       found, with the command that shows it again. No directory is touched

  --data-dir DIR       the directory (dataDir of startNode)
  --store NAME         the store, for kv
  --json               JSON on stdout, for scan one object a line; errors as { "error": { code, message } } on stderr
  --parse              put: VALUE is JSON, not text
  --create             put: make the directory or the store if it is not there
  --ttl-ms N           put: the value is gone after so many ms
  --flushed            put, del: done when it survives the loss of power, not only the end of the process
  --prefix TEXT        scan: only keys that begin with it
  --limit N            scan: at most so many keys
  --count              describe: count the keys of each store
  --segment N          log dump: only the segment of this number
  --partition P        restore: only this partition
  --scenario NAME      sim: counters, links, membership, nodes, replicas, threads or replica-threads; default: all
  --seed S             sim: the first seed (1)
  --seeds N            sim: at most so many of each scenario
  --minutes M          sim: how long, in all (1 without --seeds)
  --help, --version

Exit codes: 0 ok, 1 a seed of the simulator failed, 2 usage, 3 failed, damaged or not there, 4 outcome unknown, 5 overloaded, 6 disk full, 7 unauthenticated.`;

const flags = {
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
  json: { type: 'boolean' },
  parse: { type: 'boolean' },
  create: { type: 'boolean' },
  flushed: { type: 'boolean' },
  count: { type: 'boolean' },
  'data-dir': { type: 'string' },
  store: { type: 'string' },
  'ttl-ms': { type: 'string' },
  prefix: { type: 'string' },
  limit: { type: 'string' },
  segment: { type: 'string' },
  partition: { type: 'string' },
  scenario: { type: 'string' },
  seed: { type: 'string' },
  seeds: { type: 'string' },
  minutes: { type: 'string' },
} as const;

/** Which options a command knows beside --data-dir and --json: any other would be a wish that does not come true. */
const optionsOf: Readonly<Record<string, readonly string[]>> = {
  describe: ['count'],
  'kv get': ['store'],
  'kv put': ['store', 'parse', 'create', 'ttl-ms', 'flushed'],
  'kv del': ['store', 'flushed'],
  'kv scan': ['store', 'prefix', 'limit'],
};

/** A seed is a number of 32 bits; a month of minutes is more than anybody waits. */
const seedMax = 2 ** 32 - 1;
const minutesMax = 43_200;

/** Of those that take directories, and neither --data-dir nor a store. */
const filesOf: Readonly<Record<FileCommand['name'], { readonly takes: number; readonly options: readonly string[] }>> =
  {
    'log verify': { takes: 1, options: [] },
    'log dump': { takes: 1, options: ['segment'] },
    backup: { takes: 2, options: [] },
    restore: { takes: 2, options: ['partition'] },
    adopt: { takes: 1, options: [] },
  };

/** Also of a command line that is wrong otherwise. */
export function wantsJson(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return (end < 0 ? args : args.slice(0, end)).includes('--json');
}

/** Throws UsageError. */
export function readCommand(args: readonly string[]): Command {
  const { values, positionals } = parse(args);
  if (values.help === true || (args.length === 1 && positionals[0] === 'help')) return { name: 'help' };
  if (values.version === true) return { name: 'version' };
  const [first, ...more] = positionals;
  const spoken = first === 'kv' || first === 'log' ? `${first} ${more.shift() ?? ''}`.trim() : (first ?? '');
  if (Object.hasOwn(filesOf, spoken)) return readFileCommand(spoken as FileCommand['name'], more, values);
  if (spoken === 'sim') return readSimCommand(more, values);
  const known = optionsOf[spoken];
  if (known === undefined)
    throw new UsageError(spoken === '' ? 'a command is missing' : `there is no command '${spoken}'`);
  for (const option of Object.keys(values)) {
    if (option !== 'data-dir' && option !== 'json' && !known.includes(option))
      throw new UsageError(`'${spoken}' has no option --${option}`);
  }
  const [key, value] = more;
  const wanted = spoken === 'kv put' ? 2 : spoken === 'kv get' || spoken === 'kv del' ? 1 : 0;
  if (more.length !== wanted)
    throw new UsageError(
      `'${spoken}' takes ${wanted} argument${wanted === 1 ? '' : 's'}, not ${more.length}${meant(spoken, more.slice(wanted), values)}`,
    );
  const opened = { dataDir: needed('data-dir', values['data-dir']), json: values.json === true };
  if (spoken === 'describe') return { name: 'describe', count: values.count === true, ...opened };
  const of = { ...opened, store: needed('store', values.store) };
  switch (spoken) {
    case 'kv get':
      return { name: 'get', key: key as string, ...of };
    case 'kv del':
      return { name: 'del', key: key as string, flushed: values.flushed === true, ...of };
    case 'kv scan':
      return {
        name: 'scan',
        prefix: values.prefix === '' ? undefined : values.prefix,
        limit: wholeOption('limit', values.limit, 0, Number.MAX_SAFE_INTEGER),
        ...of,
      };
    default:
      return {
        name: 'put',
        key: key as string,
        value: values.parse === true ? parsed(value as string) : value,
        create: values.create === true,
        ttlMs: wholeOption('ttl-ms', values['ttl-ms'], 1, Number.MAX_SAFE_INTEGER),
        flushed: values.flushed === true,
        ...of,
      };
  }
}

/** What words too many may have been meant as: who has used `troupe backup DIR` says `troupe describe DIR`. */
function meant(spoken: string, extra: readonly string[], values: ReturnType<typeof parse>['values']): string {
  const [first, ...more] = extra;
  if (first === undefined) return '';
  if (values['data-dir'] === undefined)
    return extra.length === 1 && spoken === 'describe'
      ? `: did you mean --data-dir ${first}?`
      : `: the directory is an option, --data-dir DIR${spoken === 'describe' || values.store !== undefined ? '' : ', and so is --store NAME'}`;
  if (spoken !== 'describe' && values.store === undefined && more.length === 0)
    return ': the store is an option, --store NAME';
  return '';
}

function readSimCommand(words: readonly string[], values: ReturnType<typeof parse>['values']): SimCommand {
  for (const option of Object.keys(values))
    if (!['json', 'scenario', 'seed', 'seeds', 'minutes'].includes(option))
      throw new UsageError(`'sim' has no option --${option}`);
  if (words.length > 0)
    throw new UsageError(`'sim' takes no arguments, not ${words.length}: did you mean --scenario ${words[0]}?`);
  const seeds = wholeOption('seeds', values.seeds, 1, seedMax);
  const minutes = wholeOption('minutes', values.minutes, 1, minutesMax);
  return {
    name: 'sim',
    json: values.json === true,
    scenario: values.scenario,
    seed: wholeOption('seed', values.seed, 0, seedMax) ?? 1,
    seeds,
    minutes: minutes ?? (seeds === undefined ? 1 : undefined),
  };
}

function readFileCommand(
  name: FileCommand['name'],
  words: readonly string[],
  values: ReturnType<typeof parse>['values'],
): FileCommand {
  const { takes, options } = filesOf[name];
  for (const option of Object.keys(values))
    if (option !== 'json' && !options.includes(option))
      throw new UsageError(
        `'${name}' has no option --${option}${option === 'data-dir' ? `: it is told without, troupe ${name} ${takes === 1 ? 'DIR' : name === 'backup' ? 'DIR TARGET' : 'BACKUP DIR'}` : ''}`,
      );
  if (words.length !== takes || words.includes(''))
    throw new UsageError(`'${name}' takes ${takes} director${takes === 1 ? 'y' : 'ies'}, not ${words.length}`);
  const json = values.json === true;
  const [one, two] = words as [string, string];
  switch (name) {
    case 'log verify':
      return { name, json, dir: one };
    case 'log dump':
      return { name, json, dir: one, segment: wholeOption('segment', values.segment, 0, Number.MAX_SAFE_INTEGER) };
    case 'backup':
      return { name, json, dataDir: one, target: two };
    case 'restore':
      return {
        name,
        json,
        backup: one,
        dataDir: two,
        partition: wholeOption('partition', values.partition, 0, partitionsMax - 1),
      };
    case 'adopt':
      return { name, json, dataDir: one };
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: flags, allowPositionals: true });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function needed(option: string, value: string | undefined): string {
  if (value === undefined || value === '') throw new UsageError(`--${option} is missing`);
  return value;
}

function parsed(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch (error) {
    throw new UsageError(`VALUE is not JSON: ${(error as Error).message}`);
  }
}
