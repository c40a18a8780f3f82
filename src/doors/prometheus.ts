// What node.describe() says, as the text a Prometheus server scrapes (exposition format 0.0.4).
//
// Intuition: a table of metrics, each with where its numbers are in the description. What is not there is left out, so that
// a page never fails because a thread is being replaced.
//
// Invariant: every line is well formed whatever the names are, a counter ends in _total, and units are base units.

import { TroupeError } from '../index.ts';
import { show } from '../runtime/show.ts';

type Json = Readonly<Record<string, unknown>>;
type Labels = readonly (readonly [name: string, value: string])[];

interface Sample {
  /** Behind the name, in a histogram. */
  readonly suffix?: string;
  readonly labels: Labels;
  readonly value: unknown;
}

interface Metric {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  samples(node: Json): Sample[];
}

const metrics: readonly Metric[] = [
  {
    name: 'troupe_node_info',
    type: 'gauge',
    help: 'Always 1; its labels say which node this is.',
    samples: node => [
      {
        labels: [
          ['node', String(node.node)],
          ['engine', String(node.engine)],
        ],
        value: 1,
      },
    ],
  },
  {
    name: 'troupe_thread_up',
    type: 'gauge',
    help: 'Whether a thread answers; 0 while it is being replaced.',
    samples: node =>
      threadsOf(node).map(thread => ({
        labels: labelsOf(thread),
        value: thread.dead === true || thread.error !== undefined ? 0 : 1,
      })),
  },
  {
    name: 'troupe_thread_restarts_total',
    type: 'counter',
    help: 'Host threads that died and were replaced.',
    samples: node => [{ labels: [], value: node.restarts }],
  },
  ofType('troupe_actors_awake', 'gauge', 'Actors in memory, by type.', 'awake'),
  ofType('troupe_activations_total', 'counter', 'Actors woken, by type.', 'activated'),
  ofType('troupe_messages_handled_total', 'counter', 'Messages handled, by type of actor.', 'handled'),
  ofType('troupe_turns_failed_total', 'counter', 'Turns that ended in an error, by type of actor.', 'failed'),
  ofThread('troupe_actors_queued', 'gauge', 'Actors that have messages and wait for their slice.', 'queued'),
  ofThread('troupe_asks_outstanding', 'gauge', 'Asks made by a thread and not answered yet.', 'asksOutstanding'),
  ofThread('troupe_dead_letters_total', 'counter', 'Tells that found no taker.', 'deadLetters'),
  ofThread('troupe_timers', 'gauge', 'Timers and deadlines that are armed.', 'timers'),
  ofThread('troupe_reminders', 'gauge', 'Stored reminders that are armed.', 'reminders'),
  ofThread('troupe_actors_passivated_total', 'counter', 'Actors put to sleep for idleness.', 'residents', 'passivated'),
  ofThread('troupe_actors_evicted_total', 'counter', 'Actors put to sleep to make room.', 'residents', 'evicted'),
  ofDirectory('troupe_relocations_started_total', 'Moves that were begun.', 'started'),
  ofDirectory('troupe_relocations_committed_total', 'Moves that arrived.', 'committed'),
  {
    name: 'troupe_relocations_aborted_total',
    type: 'counter',
    help: 'Moves that were called off, by reason; the actor ran on where it was.',
    samples: node =>
      Object.entries(part(part(node, 'directory'), 'aborted')).map(([reason, value]) => ({
        labels: [['reason', reason]],
        value,
      })),
  },
  ofMoves('troupe_relocation_messages_shipped_total', 'Messages that travelled with an actor.', 'shipped'),
  ofMoves('troupe_relocation_messages_forwarded_total', 'Messages that followed an actor.', 'forwarded'),
  ofThread(
    'troupe_partitions_missing_copies',
    'gauge',
    'Partitions owned here that fewer nodes keep than the option replicas asks for.',
    'router',
    'gateway',
    'replicas',
    'copies',
    'missing',
  ),
  ofStorage('troupe_storage_pending_writes', 'gauge', 'Writes that wait for their commit.', 'pendingWrites'),
  ofStorage('troupe_storage_pending_bytes', 'gauge', 'Bytes that wait for their commit.', 'pendingBytes'),
  ofStorage('troupe_storage_transactions_total', 'counter', 'Transactions committed.', 'transactions'),
  ofStorage('troupe_storage_groups_total', 'counter', 'Groups of writes committed.', 'groups'),
  ofStorage('troupe_storage_records_total', 'counter', 'Records written.', 'records'),
  ofStorage('troupe_storage_bytes_total', 'counter', 'Bytes of records written.', 'bytesPut'),
  ofStorage('troupe_storage_fenced_total', 'counter', 'Writes refused because a newer owner had written.', 'fenced'),
  ofStorage('troupe_storage_disk_full_total', 'counter', 'Writes refused for want of space.', 'diskFull'),
  ofStorage('troupe_storage_corrupt_total', 'counter', 'Records found damaged.', 'corrupt'),
  ofLog('troupe_storage_log_bytes_total', 'counter', 'Bytes appended to the log.', 'bytes'),
  ofLog('troupe_storage_log_segments_total', 'counter', 'Segments of the log that were begun.', 'segments'),
  ofLog(
    'troupe_storage_log_blocked_total',
    'counter',
    'Segments that waited for the one before to be synced.',
    'blocked',
  ),
  ofLog('troupe_storage_stalls_total', 'counter', 'Times a log waited for a flush to give it a segment.', 'waits'),
  ofLog('troupe_storage_stalled_seconds_total', 'counter', 'How long it waited.', 'waitedMs', 0.001),
  ofLog(
    'troupe_storage_disk_silent_seconds',
    'gauge',
    'How long the disk has not answered the log.',
    'stalledMs',
    0.001,
  ),
  {
    name: 'troupe_storage_sync_seconds',
    type: 'histogram',
    help: 'How long syncs of the log took.',
    samples: node => threadsOf(node).flatMap(thread => histogram(labelsOf(thread), part(logOf(thread), 'syncTimes'))),
  },
  ofUpkeep('troupe_storage_memtable_bytes', 'gauge', 'Bytes in segments that no run has yet.', 'memoryBytes'),
  ofUpkeep(
    'troupe_storage_segments',
    'gauge',
    'Segments that no run has yet, those being written included.',
    'segments',
  ),
  ofUpkeep('troupe_storage_segments_waiting', 'gauge', 'Segments that wait to be flushed.', 'waiting'),
  ofTiers('troupe_storage_runs', 'Runs, by tier.', 'runs'),
  ofTiers('troupe_storage_run_bytes', 'Bytes of runs, by tier.', 'bytes'),
  {
    name: 'troupe_storage_runs_damaged',
    type: 'gauge',
    help: 'Runs that are not what was written, and are never merged.',
    samples: node => upkeepOf(node).map(upkeep => ({ labels: [], value: list(upkeep, 'damaged').length })),
  },
  {
    name: 'troupe_storage_jobs',
    type: 'gauge',
    help: 'Flushes, merges and mendings of filters that are under way.',
    samples: node =>
      upkeepOf(node).flatMap(upkeep =>
        ['flush', 'merge', 'filters'].map(what => ({
          labels: [['what', what] as const],
          value: list(upkeep, 'jobs').filter(job => job.what === what).length,
        })),
      ),
  },
  ofUpkeep('troupe_storage_merge_backlog_bytes', 'gauge', 'Bytes that merges which are due will read.', 'backlog'),
  ofUpkeep('troupe_storage_unneeded_bytes', 'gauge', 'Bytes of files merged away that are still there.', 'unneeded'),
  ofUpkeep('troupe_storage_flushes_total', 'counter', 'Segments that became runs.', 'flushes'),
  ofUpkeep('troupe_storage_flushed_bytes_total', 'counter', 'Bytes written by flushes.', 'bytesFlushed'),
  ofUpkeep('troupe_storage_merges_total', 'counter', 'Merges of runs.', 'merges'),
  ofUpkeep('troupe_storage_merge_read_bytes_total', 'counter', 'Bytes read by merges.', 'bytesIn'),
  {
    name: 'troupe_storage_merge_written_bytes_total',
    type: 'counter',
    help: 'Bytes written by merges.',
    samples: node =>
      upkeepOf(node).map(({ bytesOut, bytesFlushed }) => ({
        labels: [],
        value: Number(bytesOut) - Number(bytesFlushed),
      })),
  },
  ofUpkeep(
    'troupe_storage_purged_total',
    'counter',
    'Records that merges left out: expired, or deleted long ago.',
    'purged',
  ),
  ofUpkeep('troupe_storage_filters_mended_total', 'counter', 'Filters of runs that were made anew.', 'filtersMended'),
  ofUpkeep('troupe_storage_upkeep_failures_total', 'counter', 'Flushes and merges that failed.', 'failures'),
  {
    name: 'troupe_storage_upkeep_trouble',
    type: 'gauge',
    help: 'Whether something has failed and not worked since.',
    samples: node => upkeepOf(node).map(({ trouble }) => ({ labels: [], value: trouble == null ? 0 : 1 })),
  },
];

/** The content type a scraper expects. */
export const metricsType = 'text/plain; version=0.0.4; charset=utf-8';

/** Throws BAD_OPTION for what is no description: `metricsOf(await node.describe())`. */
export function metricsOf(description: Json): string {
  if (typeof description !== 'object' || description === null)
    throw new TroupeError('BAD_OPTION', `metricsOf() needs what node.describe() resolves to, not ${show(description)}`);
  const lines: string[] = [];
  for (const { name, type, help, samples } of metrics) {
    const written = samples(description).flatMap(({ suffix = '', labels, value }) =>
      typeof value === 'number' && Number.isFinite(value) ? [`${name}${suffix}${shown(labels)} ${value}`] : [],
    );
    if (written.length > 0) lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...written);
  }
  return `${lines.join('\n')}\n`;
}

// ---- where the numbers are ----

function ofThread(name: string, type: Metric['type'], help: string, ...path: readonly string[]): Metric {
  const samples = (node: Json): Sample[] =>
    threadsOf(node).map(thread => ({
      labels: labelsOf(thread),
      value: path.slice(0, -1).reduce(part, thread)[path.at(-1) as string],
    }));
  return { name, type, help, samples };
}

function ofType(name: string, type: Metric['type'], help: string, field: string): Metric {
  const samples = (node: Json): Sample[] =>
    threadsOf(node).flatMap(thread =>
      list(thread, 'types').map(each => ({
        labels: [...labelsOf(thread), ['type', String(each.type)] as const],
        value: each[field],
      })),
    );
  return { name, type, help, samples };
}

function ofDirectory(name: string, help: string, field: string): Metric {
  return { name, type: 'counter', help, samples: node => [{ labels: [], value: part(node, 'directory')[field] }] };
}

function ofMoves(name: string, help: string, field: string): Metric {
  return ofThread(name, 'counter', help, 'router', 'moves', field);
}

function ofStorage(name: string, type: Metric['type'], help: string, field: string): Metric {
  return ofThread(name, type, help, 'storage', field);
}

/** `scale`: what the number is multiplied by. */
function ofLog(name: string, type: Metric['type'], help: string, field: string, scale = 1): Metric {
  const samples = (node: Json): Sample[] =>
    threadsOf(node).map(thread => ({ labels: labelsOf(thread), value: scaled(logOf(thread)[field], scale) }));
  return { name, type, help, samples };
}

function ofUpkeep(name: string, type: Metric['type'], help: string, field: string): Metric {
  return { name, type, help, samples: node => upkeepOf(node).map(upkeep => ({ labels: [], value: upkeep[field] })) };
}

function ofTiers(name: string, help: string, field: string): Metric {
  const samples = (node: Json): Sample[] =>
    upkeepOf(node)
      .flatMap(upkeep => list(upkeep, 'tiers'))
      .map(tier => ({ labels: [['tier', String(tier.tier)]], value: tier[field] }));
  return { name, type: 'gauge', help, samples };
}

/** None for an engine that has nothing to keep up. */
function upkeepOf(node: Json): Json[] {
  const upkeep = part(node, 'compactor');
  return typeof upkeep.state === 'string' && upkeep.state !== 'none' ? [upkeep] : [];
}

function logOf(thread: Json): Json {
  return part(part(thread, 'storage'), 'log');
}

function scaled(value: unknown, scale: number): unknown {
  return typeof value === 'number' ? value * scale : value;
}

/** Of counts by upper bound in milliseconds: cumulative, in seconds. */
function histogram(labels: Labels, { boundsMs, counts, count, sumMs }: Json): Sample[] {
  if (!Array.isArray(boundsMs) || !Array.isArray(counts)) return [];
  let sum = 0;
  const buckets = boundsMs.map((bound, at): Sample => {
    sum += counts[at];
    return { suffix: '_bucket', labels: [...labels, ['le', String(bound / 1_000)]], value: sum };
  });
  return [
    ...buckets,
    { suffix: '_bucket', labels: [...labels, ['le', '+Inf']], value: count },
    { suffix: '_sum', labels, value: scaled(sumMs, 0.001) },
    { suffix: '_count', labels, value: count },
  ];
}

function threadsOf(node: Json): Json[] {
  return list(node, 'threads');
}

function labelsOf(thread: Json): Labels {
  return [['thread', String(thread.thread)]];
}

function part(of: Json, name: string): Json {
  const value = of[name];
  return typeof value === 'object' && value !== null ? (value as Json) : {};
}

function list(of: Json, name: string): Json[] {
  const value = of[name];
  return Array.isArray(value) ? value.filter(each => typeof each === 'object' && each !== null) : [];
}

function shown(labels: Labels): string {
  if (labels.length === 0) return '';
  return `{${labels.map(([name, value]) => `${name}="${escaped(value)}"`).join(',')}}`;
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
