// How much the simulator sees: each mistake of test/sim/mutants/table.ts is made in a copy of the sources, and up to 200 seeds
// look for it. Writes results/sim-mutants.json and .md.
//
//     node bench/sim-mutants.ts [--seeds N] [--only TEXT] [--jobs N]

import { writeFileSync } from 'node:fs';
import { type Finding, find } from '../test/sim/mutants/runner.ts';
import { type Mutant, mutants } from '../test/sim/mutants/table.ts';
import { end, readArguments, readNumber } from './arguments.ts';

const usage = `Usage: node bench/sim-mutants.ts [options]

  --seeds <n>    seeds to try for each mistake (default: 200)
  --only <text>  only mistakes whose scenario, file or name contains the text; writes no results
  --jobs <n>     mistakes at a time (default: 1)
  --help         this`;
const values = readArguments(usage, {
  seeds: { type: 'string', default: '200' },
  only: { type: 'string' },
  jobs: { type: 'string', default: '1' },
});
const seeds = readNumber('seeds', values.seeds);
const jobs = readNumber('jobs', values.jobs);
const wanted = mutants.filter(({ name, scenario, file }) => `${scenario} ${file} ${name}`.includes(values.only ?? ''));
if (wanted.length === 0) end(`no mistake whose scenario, file or name contains '${values.only}'`, 2);

interface Row extends Finding {
  readonly mutant: Mutant;
}

const rows: Row[] = [];
const left = [...wanted];

async function work(): Promise<void> {
  for (let mutant = left.shift(); mutant !== undefined; mutant = left.shift()) {
    const row = { mutant, ...(await find(mutant.scenario, mutant, { seeds })) };
    rows.push(row);
    console.log(`${wordOf(row).padEnd(12)} ${mutant.scenario}: ${mutant.name}`);
  }
}

const wordOf = ({ seed }: Finding): string => (seed === undefined ? 'NOT FOUND' : `seed ${seed}`);

await Promise.all(Array.from({ length: jobs }, work));
rows.sort((a, b) => wanted.indexOf(a.mutant) - wanted.indexOf(b.mutant));
const found = rows.filter(({ seed }) => seed !== undefined).length;
const share = `${found} of ${rows.length} found within ${seeds} seeds (${((100 * found) / rows.length).toFixed(1)} %)`;
console.log(share);

if (values.only === undefined) {
  const results = new URL('./results/', import.meta.url);
  const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll(/\s+/g, ' ');
  const table = [
    '# What the simulator finds',
    '',
    `${share}. Each row is one mistake, made in a copy of the sources; seeds are tried from 1 on.`,
    '',
    '| scenario | file | mistake | found at seed | what was wrong |',
    '| --- | --- | --- | --- | --- |',
    ...rows.map(({ mutant, seed, why }) => {
      const cells = [mutant.scenario, mutant.file, mutant.name, seed ?? 'not found', (why ?? '').slice(0, 140)];
      return `| ${cells.map(each => cell(String(each))).join(' | ')} |`;
    }),
    '',
  ];
  const data = rows.map(({ mutant: { name, scenario, file }, seed, why }) => ({ name, scenario, file, seed, why }));
  writeFileSync(new URL('sim-mutants.md', results), table.join('\n'));
  writeFileSync(
    new URL('sim-mutants.json', results),
    `${JSON.stringify({ seeds, found, of: rows.length, rows: data }, null, 2)}\n`,
  );
}
