// The command: npm run bench:kills -- [--moves n] [--kill share] [--seed n] [--json] [--help]
// Three processes, between which actors and partitions move under load while a random one is killed with SIGKILL now and then.
// Exit code: 0 everything held, 2 bad usage, 3 something did not.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { killWhileMoving } from '../test/cluster/kills.ts';
import { readArguments, readNumber } from './arguments.ts';
import { machineFacts } from './machine.ts';
import { percentile } from './stats.ts';

const usage = `npm run bench:kills -- [options]

  --moves <n>      moves of actors and partitions (default 1000)
  --kill <share>   how often a step has a kill in it (default 0.05)
  --seed <n>       default 7
  --json           the result as JSON instead of lines
  --help           this text`;

const values = readArguments(usage, {
  moves: { type: 'string', default: '1000' },
  kill: { type: 'string', default: '0.05' },
  seed: { type: 'string', default: '7' },
  json: { type: 'boolean', default: false },
});
const moves = readNumber('moves', values.moves);
const kill = readNumber('kill', values.kill, { fraction: true });
const seed = readNumber('seed', values.seed);

const began = performance.now();
let told = began;
const report = await killWhileMoving({
  moves,
  kill,
  seed,
  progress: (done, kills) => {
    if (performance.now() - told < 5_000) return;
    told = performance.now();
    process.stderr.write(`${done} of ${moves} moves, ${kills} kills, ${Math.round((told - began) / 1_000)} s\n`);
  },
});
const { pausedMs, ...counts } = report;
const pauses = Float64Array.from(pausedMs).sort();
const result = {
  ...counts,
  seed,
  seconds: Math.round((performance.now() - began) / 1_000),
  'pause p50 ms': round(percentile(pauses, 0.5)),
  'pause p99 ms': round(percentile(pauses, 0.99)),
  'pause max ms': round(percentile(pauses, 1)),
  machine: machineFacts(),
};
const results = join(import.meta.dirname, 'results');
mkdirSync(results, { recursive: true });
writeFileSync(join(results, 'kills.json'), `${JSON.stringify(result, null, 2)}\n`);
const rows = Object.entries(result).filter(([name]) => name !== 'machine' && name !== 'troubles');
const table = rows.map(([name, value]) => `| ${name} | ${value} |`);
writeFileSync(
  join(results, 'kills.md'),
  [
    '# kills',
    '',
    'Actors and partitions moved between three processes under load, one of which is killed now and then (`npm run bench:kills`).',
    '',
    '| what | |',
    '| --- | --- |',
    ...table,
    `| did not hold | ${report.troubles.length} |`,
    '',
  ].join('\n'),
);
process.stdout.write(values.json ? `${JSON.stringify(result)}\n` : `${table.join('\n')}\n`);
for (const trouble of report.troubles) process.stderr.write(`${trouble}\n`);
process.exit(report.troubles.length > 0 ? 3 : 0);

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
