// The last page of the tour: a table of what was measured, the verdict, and where to go next.

import type { TourReport } from './tour.ts';
import { grouped, table } from './view.ts';

export function closing(report: TourReport): string {
  const { ok, interrupted, problems, tookMs, kept, dataDir } = report;
  const measured = rows(report);
  const lines = measured.length > 1 ? ['', table(measured), ''] : [''];
  if (interrupted)
    lines.push(`Interrupted. ${kept ? `What was written is in ${dataDir}.` : 'What was written is removed.'}`);
  else if (ok) lines.push(`All of it held, in ${(tookMs / 1_000).toFixed(0)} s.`);
  else lines.push('NOT ALL OF IT HELD:', ...problems.map(problem => `  ${problem}`));
  if (ok) lines.push('', next(kept ? dataDir : undefined));
  return lines.join('\n');
}

function rows({ put, flushed, get, scan, move, cluster }: TourReport): string[][] {
  const ms = (value: number): string => value.toFixed(value < 10 ? 2 : 1);
  const timed = (name: string, rate: { count: number; perSecond: number; p50Ms: number; p99Ms: number } | undefined) =>
    rate === undefined ? [] : [[name, grouped(rate.count), grouped(rate.perSecond), ms(rate.p50Ms), ms(rate.p99Ms)]];
  const paused = (name: string, count: number | undefined, pause: { p50Ms: number; p99Ms: number } | undefined) =>
    count === undefined || pause === undefined ? [] : [[name, grouped(count), '', ms(pause.p50Ms), ms(pause.p99Ms)]];
  return [
    ['', 'count', 'a second', 'p50 ms', 'p99 ms'],
    ...timed('put, committed, 256 in flight', put),
    ...timed('put, flushed, 64 in flight', flushed),
    ...timed('get, 256 in flight', get),
    ...(scan === undefined ? [] : [['scan', grouped(scan.count), grouped(scan.perSecond), '', '']]),
    ...(move === undefined
      ? []
      : [
          ['tell to the moving actor', grouped(move.messages), grouped(move.perSecond), '', ''],
          ...timed('ask behind 100 tells to it', move.asks),
          ['pause of a move', grouped(move.moves), '', ms(move.pause.p50Ms), ms(move.pause.p99Ms)],
        ]),
    ...timed('put through one of 3 processes', cluster?.put),
    ...timed('get through one of 3 processes', cluster?.get),
    ...paused('put while partitions move', cluster?.joined?.writes, cluster?.joined?.put),
    ...paused('pause of a partition: n4 joins', cluster?.joined?.partitions, cluster?.joined?.pause),
    ...paused('pause of a partition: n4 leaves', cluster?.left?.partitions, cluster?.left?.pause),
    ...paused('pause of a move between processes', cluster?.moves, cluster?.pause),
  ];
}

function next(dataDir: string | undefined): string {
  const places = [
    ['README.md', 'what is promised and what is not; an example to start from'],
    ['src/doors/tour/actors.ts', 'the actors of this tour'],
    ['src/runtime/README.md', 'how moving works'],
    ['npm run bench -- --list', 'the same against other libraries'],
  ];
  if (dataDir !== undefined)
    places.push([
      `node src/doors/cli.ts kv scan --data-dir ${dataDir}/load --store cities --prefix AD/`,
      'what is in there',
    ]);
  const width = Math.max(...places.map(([place = '']) => place.length));
  return ['Where to go next', ...places.map(([place = '', what = '']) => `  ${place.padEnd(width)}   ${what}`)].join(
    '\n',
  );
}
