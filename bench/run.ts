// The command: npm run bench -- [names] [--full] [--only text] [--rounds n] [--moves n] [--json] [--list] [--help]
// Every folder here with a bench.ts is a bench. Exit code: 0 done, 2 bad usage, 3 a row was refused.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type BenchDefinition, runBench } from './harness.ts';
import { render, save } from './report.ts';

export const benchNames = (): string[] =>
  readdirSync(import.meta.dirname)
    .filter(name => existsSync(join(import.meta.dirname, name, 'bench.ts')))
    .sort();

export async function loadBench(name: string): Promise<BenchDefinition> {
  return ((await import(new URL(`./${name}/bench.ts`, import.meta.url).href)) as { default: BenchDefinition }).default;
}

const help = `Usage: npm run bench -- [names] [options]

  --full         the sizes that may be quoted (default: small ones, which only show that a bench works)
  --only <text>  only workloads whose name contains the text
  --rounds <n>   interleaved rounds (default: 5 when full, 2 when small)
  --moves <n>    moves of the relocation and cluster benches
  --json         print the reports as JSON instead of tables
  --list         the benches and what they measure
  --help         this

Without names all benches run. Results go to bench/results/<name>.json and .md (small runs: <name>.local.*).
`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      full: { type: 'boolean', default: false },
      only: { type: 'string' },
      rounds: { type: 'string' },
      moves: { type: 'string' },
      json: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return say(help, 0);
  const known = benchNames();
  const unknown = positionals.filter(name => !known.includes(name));
  if (unknown.length > 0) return say(`no bench named ${unknown.join(', ')}; there are: ${known.join(', ')}\n`, 2);
  const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
  const moves = values.moves === undefined ? undefined : Number(values.moves);
  for (const [option, value] of Object.entries({ rounds, moves }))
    if (value !== undefined && !(Number.isInteger(value) && value > 0))
      return say(`--${option} takes a whole number\n`, 2);

  const reports = [];
  for (const name of positionals.length > 0 ? positionals : known) {
    const definition = await loadBench(name);
    if (values.list) {
      say(`${name.padEnd(10)} ${definition.about}\n`, 0);
      continue;
    }
    const report = await runBench(definition, {
      mode: values.full ? 'full' : 'small',
      progress: line => process.stderr.write(`${line}\n`),
      ...(values.only === undefined ? {} : { only: values.only }),
      ...(rounds === undefined ? {} : { rounds }),
      ...(moves === undefined ? {} : { sizes: { moves } }),
    });
    reports.push(report);
    // A part of a bench does not overwrite the whole of it.
    if (values.only === undefined) save(report, join(import.meta.dirname, 'results'));
    if (!values.json) say(`${render(report)}\n`, 0);
  }
  if (values.json && !values.list) say(`${JSON.stringify(reports, null, 2)}\n`, 0);
  const refused = reports
    .flatMap(({ results }) => results.flatMap(({ rows }) => rows))
    .filter(row => row.status === 'refused');
  return refused.length > 0 ? 3 : 0;
}

function say(text: string, code: number): number {
  (code === 0 ? process.stdout : process.stderr).write(text);
  return code;
}

if (import.meta.main) {
  process.exitCode = await main().catch((thrown: unknown) => {
    if (thrown instanceof TypeError && 'code' in thrown) return say(`${thrown.message}\n\n${help}`, 2);
    throw thrown;
  });
}
