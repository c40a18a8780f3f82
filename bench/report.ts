// A report as an aligned markdown table, and on disk. A row that was not completed says why, where its number would be.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Goal, Report, Row, WorkloadResult } from './harness.ts';

export function render(report: Report): string {
  const { machine, params } = report;
  const sizes = Object.entries(params).map(([name, value]) => `${name} ${value.toLocaleString('en')}`);
  return [
    `# ${report.bench} (${report.mode})`,
    report.about,
    [
      `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.kernel}, Node ${machine.node}, ` +
        `commit ${machine.commit}, ${machine.date}, load ${machine.loadBefore} before the run.`,
      `Medians of ${report.roundsWanted} interleaved rounds; seed ${report.seed}; ${sizes.join(', ')}; ${report.seconds} s in all.`,
    ].join('\n'),
    ...report.results.map(renderWorkload),
  ]
    .join('\n\n')
    .concat('\n');
}

function renderWorkload(result: WorkloadResult): string {
  const isGauge = result.unit !== 'operations a second';
  const headings = isGauge
    ? ['', result.unit, 'mean', 'rsd', 'readings']
    : ['', 'op/s', 'mean op/s', 'rsd', 'p50 us', 'p99 us', 'p99.9 us', 'samples'];
  const more = [...new Set(result.rows.flatMap(row => Object.keys(row.more ?? {})))];
  headings.push(...more);
  const cells = result.rows.map(row =>
    row.status === 'completed'
      ? [...figures(row, isGauge), ...more.map(name => short(row.more?.[name]))]
      : [row.contender, `${row.status}: ${firstLine(row.why)}`],
  );
  const percentiles = isGauge ? '' : ` Percentiles over ${result.percentilesOf}.`;
  return [
    `## ${result.workload}`,
    `${result.about}${percentiles}${result.alone === undefined ? '' : ` No peers: ${result.alone}.`}`,
    table([headings, ...cells]),
    ...result.goals.map(renderGoal),
  ].join('\n\n');
}

function figures(row: Row, isGauge: boolean): string[] {
  const spread = `${row.rsdPercent?.toFixed(1)} %`;
  if (isGauge) return [row.contender, short(row.figure), short(row.mean), spread, String(row.samples)];
  return [
    row.contender,
    short(row.figure),
    short(row.mean),
    spread,
    micros(row.p50Us),
    micros(row.p99Us),
    micros(row.p999Us),
    String(row.samples),
  ];
}

function renderGoal({ reached, ...goal }: Goal & { readonly reached?: number }): string {
  if ('peer' in goal) {
    const outcome =
      reached === undefined
        ? 'no figure yet'
        : `${reached.toFixed(2)} x${reached >= goal.times ? '' : ', short of it'}`;
    return `Goal: ${goal.ours} ${goal.times} x better than ${goal.peer} by ${goal.by}: ${outcome}.`;
  }
  const outcome =
    reached === undefined ? 'no figure yet' : `${short(reached)}${reached <= goal.atMost ? '' : ', short of it'}`;
  const what = goal.by === undefined ? '' : `${goal.by} `;
  const unit = goal.by === undefined ? '' : ' us';
  return `Goal: ${goal.ours} ${what}at most ${goal.atMost}${unit}: ${outcome}.`;
}

/** Columns as wide as their widest cell; words to the left, numbers to the right. A short row gives its last cell the rest. */
function table(lines: readonly (readonly string[])[]): string {
  const columns = lines[0]?.length ?? 0;
  const full = lines.filter(line => line.length === columns);
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(3, ...full.map(line => line[column]?.length ?? 0)),
  );
  widths[0] = Math.max(...lines.map(line => line[0]?.length ?? 0));
  const pad = (cell: string, column: number): string =>
    column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0);
  const rule = widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  const rows = lines.map(line => `| ${line.map(pad).join(' | ')} ${'| '.repeat(columns - line.length)}|`);
  return [rows[0], `| ${rule.join(' | ')} |`, ...rows.slice(1)].join('\n');
}

/** The whole of it is in the JSON. */
const firstLine = (why = ''): string => (why.split('\n', 1)[0] ?? '').slice(0, 160);

function short(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return '-';
  if (Number.isInteger(value) && value < 1e4) return String(value);
  if (value >= 1e6) return `${(value / 1e6).toPrecision(3)} M`;
  if (value >= 1e4) return `${(value / 1e3).toPrecision(3)} k`;
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

const micros = (value: number | undefined): string =>
  value === undefined ? '-' : value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toFixed(3);

/** Full results are kept (and committed when they are to be quoted); small ones are nobody's business: `*.local.*`. */
export function save(report: Report, folder: string): string {
  mkdirSync(folder, { recursive: true });
  const stem = join(folder, report.mode === 'full' ? report.bench : `${report.bench}.local`);
  writeFileSync(`${stem}.json`, `${JSON.stringify(report, null, 2)}\n`);
  writeFileSync(`${stem}.md`, render(report));
  return `${stem}.md`;
}
