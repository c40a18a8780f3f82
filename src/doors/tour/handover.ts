// Partitions that change hands between nodes, watched until none is left to: a bar, and in the end how long each stood still.
//
//     ring of n1 ──next──▶ pending, copying, catching-up, frozen ──▶ owners          'partition-left', of whoever gave it
//
// Invariant: it is over when every node goes by the ring that was planned, and whoever gave a partition has told of it.

import type { NodeEvents } from '../../node-events.ts';
import { Histogram } from '../../runtime/histogram.ts';
import { countsOf, inWords } from './counts.ts';
import { type Pause, pauseOf } from './traffic.ts';
import { grouped } from './view.ts';

export interface HandoverReport {
  readonly partitions: number;
  /** From when the ring wished it until the last had changed hands. */
  readonly tookMs: number;
  /** Sent from node to node. */
  readonly bytes: number;
  readonly records: number;
  /** Awake, and went along as they were. */
  readonly actors: number;
  /** Tries that failed; the partition stayed, and was tried again. */
  readonly stayed: number;
  /** How long a partition stood still. */
  readonly pause: Pause;
}

export type HandedOn = Parameters<NodeEvents['partition-left']>[0];

/** Plainly what a bar needs of a row of transfers(). */
export interface Row {
  readonly phase: string;
  readonly bytes: number;
}

/** '2 copying, 11 pending; 1.3 MB of them sent' */
export function rowsInWords(rows: readonly Row[]): string {
  const phases = inWords(countsOf(rows.map(row => row.phase)));
  return `${phases}; ${megabytes(rows.reduce((sum, { bytes }) => sum + bytes, 0))} of them sent`;
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

export function handoverOf(left: readonly HandedOn[], stayed: number, tookMs: number): HandoverReport {
  const pauses = new Histogram();
  const sum = { bytes: 0, records: 0, actors: 0 };
  for (const { pausedMs, bytes, records, actors } of left) {
    pauses.record(pausedMs * 1_000);
    sum.bytes += bytes;
    sum.records += records;
    sum.actors += actors;
  }
  return { partitions: left.length, tookMs: Math.round(tookMs), ...sum, stayed, pause: pauseOf(pauses) };
}

/** Did exactly these change hands, each once? */
export function wrongHands(moving: readonly number[], left: readonly HandedOn[]): string[] {
  const counts = new Map<number, number>();
  for (const { partition } of left) counts.set(partition, (counts.get(partition) ?? 0) + 1);
  return [
    ...moving.filter(each => !counts.has(each)).map(each => `nobody has told that partition ${each} has left`),
    ...[...counts]
      .filter(([, count]) => count > 1)
      .map(([each, count]) => `partition ${each} was handed on ${count} times`),
    ...[...counts.keys()].filter(each => !moving.includes(each)).map(each => `partition ${each} was handed on unasked`),
  ];
}

/** '20 partitions, 3.1 MB in 40,112 records and 2 awake actors, in 4.2 s; each stood still for 12 ms (p50), 40 ms at most' */
export function handoverInWords({ partitions, bytes, records, actors, tookMs, pause }: HandoverReport): string {
  const what = `${partitions} partitions (${grouped(records)} records, ${megabytes(bytes)}, ${actors} awake actors)`;
  const ms = (value: number): string => value.toFixed(value < 10 ? 1 : 0);
  const pauses = `p50 ${ms(pause.p50Ms)} ms, p99 ${ms(pause.p99Ms)} ms, max ${ms(pause.maxMs)} ms`;
  return `${what} in ${(tookMs / 1_000).toFixed(1)} s; a partition stood still for ${pauses}`;
}

/** Partition by partition: '1123 2213 ...', the digit of n1 is 1. */
export function ringStrip(owners: readonly string[]): string {
  const letters = owners.map(name => name.at(-1) ?? '?');
  const groups = Array.from({ length: Math.ceil(letters.length / 8) }, (_, at) => letters.slice(at * 8, at * 8 + 8));
  return groups.map(group => group.join('')).join(' ');
}
