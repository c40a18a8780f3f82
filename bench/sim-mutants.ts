// How much the simulator sees: each mistake of test/sim/mutants/table.ts is made in a copy of the sources, and up to 200 seeds
// look for it. Writes results/sim-mutants.json and .md; of mistakes that were not wanted it keeps what is there.
//
//     node bench/sim-mutants.ts [--seeds N] [--only TEXT] [--jobs N]

import { readFileSync, writeFileSync } from 'node:fs';
import { type Finding, find } from '../test/sim/mutants/runner.ts';
import { type Mutant, mutants } from '../test/sim/mutants/table.ts';
import { end, readArguments, readNumber } from './arguments.ts';

const usage = `Usage: node bench/sim-mutants.ts [options]

  --seeds <n>    seeds to try for each mistake (default: 200; with others no results are written)
  --only <text>  only mistakes whose scenario, file or name contains the text
  --jobs <n>     mistakes at a time (default: 1)
  --help         this`;
/** The target: so many for each mistake. */
const seedsOfResults = 200;
const values = readArguments(usage, {
  seeds: { type: 'string', default: '200' },
  only: { type: 'string' },
  jobs: { type: 'string', default: '1' },
});
const seeds = readNumber('seeds', values.seeds);
const jobs = readNumber('jobs', values.jobs);
const wanted = mutants.filter(({ name, scenario, file }) => `${scenario} ${file} ${name}`.includes(values.only ?? ''));
if (wanted.length === 0) end(`no mistake whose scenario, file or name contains '${values.only}'`, 2);

interface Row extends Pick<Finding, 'seed' | 'why'>, Pick<Mutant, 'name' | 'scenario' | 'file'> {}

const results = new URL('./results/', import.meta.url);
const rows = new Map<string, Row>();
const left = [...wanted];

async function work(): Promise<void> {
  for (let mutant = left.shift(); mutant !== undefined; mutant = left.shift()) {
    const { name, scenario, file } = mutant;
    const { seed, why } = await find(scenario, mutant, { seeds });
    rows.set(name, { name, scenario, file, seed, why });
    console.log(`${(seed === undefined ? 'NOT FOUND' : `seed ${seed}`).padEnd(12)} ${scenario}: ${name}`);
  }
}

await Promise.all(Array.from({ length: jobs }, work));
console.log(shareOf([...rows.values()]));
if (seeds === seedsOfResults) write();

function shareOf(of: readonly Row[]): string {
  const found = of.filter(({ seed }) => seed !== undefined).length;
  return `${found} of ${of.length} found within ${seeds} seeds (${((100 * found) / of.length).toFixed(1)} %)`;
}

/** In the order of the table; of what it does not hold any more nothing is kept. */
function write(): void {
  const before = JSON.parse(readFileSync(new URL('sim-mutants.json', results), 'utf8')) as { rows: readonly Row[] };
  const known = new Map(before.rows.map(row => [row.name, row]));
  const all = mutants.flatMap(({ name }) => rows.get(name) ?? known.get(name) ?? []);
  // Keys of records are bytes.
  const cell = (text: string): string =>
    text
      .replaceAll('|', '\\|')
      .replaceAll(/\s+/g, ' ')
      .replaceAll(/\p{Cc}/gu, '.');
  const table = [
    '# What the simulator finds',
    '',
    `${shareOf(all)}. Each row is one mistake, made in a copy of the sources; seeds are tried from 1 on.`,
    '',
    '| scenario | file | mistake | found at seed | what was wrong |',
    '| --- | --- | --- | --- | --- |',
    ...all.map(({ name, scenario, file, seed, why }) => {
      const cells = [scenario, file, name, seed ?? 'not found', (why ?? '').slice(0, 140)];
      return `| ${cells.map(each => cell(String(each))).join(' | ')} |`;
    }),
    '',
  ];
  const found = all.filter(({ seed }) => seed !== undefined).length;
  writeFileSync(new URL('sim-mutants.md', results), table.join('\n'));
  writeFileSync(
    new URL('sim-mutants.json', results),
    `${JSON.stringify({ seeds, found, of: all.length, rows: all }, null, 2)}\n`,
  );
}
