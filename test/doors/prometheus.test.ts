// Descriptions of nodes, also broken ones, as Prometheus text.

import { describe, expect, it } from 'vitest';
import { metricsOf } from '../../src/doors/prometheus.ts';
import { newDir, startedNode } from '../bad-days/folders.ts';
import { until } from '../threads/until.ts';

const description = {
  node: 'n1',
  engine: 'lmdb',
  restarts: 2,
  directory: { started: 9, committed: 7, aborted: { 'turn-too-long': 2 } },
  threads: [
    {
      thread: 0,
      queued: 1,
      deadLetters: 3,
      residents: { passivated: 5, evicted: 4 },
      types: [{ type: 'cart', awake: 10, activated: 11, handled: 12, failed: 13 }],
      storage: { pendingWrites: 1, bytesPut: 4096 },
      router: { moves: { shipped: 1, forwarded: 2 } },
    },
    { thread: 1, dead: true },
    { thread: 2, error: 'STOPPED' },
  ],
};

function lineOf(text: string, start: string): string[] {
  return text.split('\n').filter(line => line.startsWith(start));
}

const upkeep = {
  state: 'working',
  waiting: 2,
  segments: 3,
  memoryBytes: 70_000,
  runs: 5,
  bytes: 900,
  tiers: [
    { tier: 0, runs: 3, bytes: 100 },
    { tier: 2, runs: 2, bytes: 800 },
  ],
  backlog: 400,
  jobs: [{ what: 'merge' }],
  flushes: 9,
  merges: 2,
  bytesIn: 500,
  bytesOut: 1_300,
  bytesFlushed: 1_000,
  purged: 6,
  filtersMended: 1,
  failures: 4,
  trouble: { what: 'merge', code: 'DISK_FULL' },
  damaged: [{ file: 'run-7.mdb' }],
};
const syncTimes = { boundsMs: [0.5, 1, 250], counts: [4, 0, 2, 1], count: 7, sumMs: 1_250 };
const log = { bytes: 5_000, segments: 6, blocked: 1, waits: 2, waitedMs: 750, stalledMs: 2_500, syncTimes };

describe('metrics of the storage', () => {
  const text = metricsOf({ compactor: upkeep, threads: [{ thread: 1, storage: { log } }] });

  it('show what the upkeep is at, what it has done, and what is left to do', () => {
    expect(lineOf(text, 'troupe_storage_').filter(line => !line.includes('thread='))).toEqual([
      'troupe_storage_memtable_bytes 70000',
      'troupe_storage_segments 3',
      'troupe_storage_segments_waiting 2',
      'troupe_storage_runs{tier="0"} 3',
      'troupe_storage_runs{tier="2"} 2',
      'troupe_storage_run_bytes{tier="0"} 100',
      'troupe_storage_run_bytes{tier="2"} 800',
      'troupe_storage_runs_damaged 1',
      'troupe_storage_jobs{what="flush"} 0',
      'troupe_storage_jobs{what="merge"} 1',
      'troupe_storage_jobs{what="filters"} 0',
      'troupe_storage_merge_backlog_bytes 400',
      'troupe_storage_flushes_total 9',
      'troupe_storage_flushed_bytes_total 1000',
      'troupe_storage_merges_total 2',
      'troupe_storage_merge_read_bytes_total 500',
      'troupe_storage_merge_written_bytes_total 300',
      'troupe_storage_purged_total 6',
      'troupe_storage_filters_mended_total 1',
      'troupe_storage_upkeep_failures_total 4',
      'troupe_storage_upkeep_trouble 1',
    ]);
  });

  it('show the log of each thread, in seconds, with a cumulative histogram of its syncs', () => {
    expect(lineOf(text, 'troupe_storage_').filter(line => line.includes('thread='))).toEqual([
      'troupe_storage_log_bytes_total{thread="1"} 5000',
      'troupe_storage_log_segments_total{thread="1"} 6',
      'troupe_storage_log_blocked_total{thread="1"} 1',
      'troupe_storage_stalls_total{thread="1"} 2',
      'troupe_storage_stalled_seconds_total{thread="1"} 0.75',
      'troupe_storage_disk_silent_seconds{thread="1"} 2.5',
      'troupe_storage_sync_seconds_bucket{thread="1",le="0.0005"} 4',
      'troupe_storage_sync_seconds_bucket{thread="1",le="0.001"} 4',
      'troupe_storage_sync_seconds_bucket{thread="1",le="0.25"} 6',
      'troupe_storage_sync_seconds_bucket{thread="1",le="+Inf"} 7',
      'troupe_storage_sync_seconds_sum{thread="1"} 1.25',
      'troupe_storage_sync_seconds_count{thread="1"} 7',
    ]);
    expect(lineOf(text, '# TYPE troupe_storage_sync_seconds')).toEqual([
      '# TYPE troupe_storage_sync_seconds histogram',
    ]);
  });

  it('leave an engine out that has nothing to keep up', () => {
    expect(metricsOf({ compactor: { ...upkeep, state: 'none' } })).not.toContain('troupe_storage');
  });

  it('are all there for a node that stores, and move with what it does', async () => {
    const node = await startedNode({ name: 'n1', dataDir: newDir(), threads: 0 });
    const store = await node.store('s');
    for (let n = 0; n < 20; n++) await store.put(`k${n}`, 'x'.repeat(100));
    const numberOf = (page: string, name: string): number => Number(lineOf(page, name)[0]?.split(' ').at(-1));
    const before = metricsOf(await node.describe());
    expect(numberOf(before, 'troupe_storage_memtable_bytes')).toBeGreaterThan(4_096 + 20 * 100);
    expect(numberOf(before, 'troupe_storage_log_bytes_total')).toBeGreaterThan(20 * 100);
    expect(numberOf(before, 'troupe_storage_sync_seconds_count')).toBeGreaterThan(0);
    expect(numberOf(before, 'troupe_storage_flushes_total')).toBe(0);
    await node.compactor.run({ all: true });
    const after = metricsOf(await node.describe());
    expect(numberOf(after, 'troupe_storage_memtable_bytes')).toBe(0);
    expect(numberOf(after, 'troupe_storage_runs')).toBe(1);
    expect(numberOf(after, 'troupe_storage_flushes_total')).toBe(1);
    expect(numberOf(after, 'troupe_storage_flushed_bytes_total')).toBeGreaterThan(20 * 100);
    const namesOf = (page: string): string[] =>
      lineOf(page, '# TYPE troupe_storage').map(line => line.split(' ')[2] ?? '');
    const wanted = namesOf(metricsOf({ compactor: upkeep, threads: [{ thread: 1, storage: { log } }] }));
    expect(namesOf(after)).toEqual(expect.arrayContaining(wanted));
  });
});

it('metrics of the copies show how many partitions fewer nodes keep than was asked for', async () => {
  const options = { name: 'n1', dataDir: newDir(), threads: 0, partitions: 16 };
  const node = await startedNode({ ...options, listen: '127.0.0.1:0', replicas: 3 });
  const shown = async (): Promise<string[]> => lineOf(metricsOf(await node.describe()), 'troupe_partitions_');
  await until('it has looked', async () => (await shown())[0] === 'troupe_partitions_missing_copies{thread="0"} 16');
  expect(metricsOf(description)).not.toContain('troupe_partitions_');
});

describe('metrics', () => {
  it('carry the numbers of a description, by thread and type', () => {
    const text = metricsOf(description);
    expect(lineOf(text, 'troupe_')).toEqual([
      'troupe_node_info{node="n1",engine="lmdb"} 1',
      'troupe_thread_up{thread="0"} 1',
      'troupe_thread_up{thread="1"} 0',
      'troupe_thread_up{thread="2"} 0',
      'troupe_thread_restarts_total 2',
      'troupe_actors_awake{thread="0",type="cart"} 10',
      'troupe_activations_total{thread="0",type="cart"} 11',
      'troupe_messages_handled_total{thread="0",type="cart"} 12',
      'troupe_turns_failed_total{thread="0",type="cart"} 13',
      'troupe_actors_queued{thread="0"} 1',
      'troupe_dead_letters_total{thread="0"} 3',
      'troupe_actors_passivated_total{thread="0"} 5',
      'troupe_actors_evicted_total{thread="0"} 4',
      'troupe_relocations_started_total 9',
      'troupe_relocations_committed_total 7',
      'troupe_relocations_aborted_total{reason="turn-too-long"} 2',
      'troupe_relocation_messages_shipped_total{thread="0"} 1',
      'troupe_relocation_messages_forwarded_total{thread="0"} 2',
      'troupe_storage_pending_writes{thread="0"} 1',
      'troupe_storage_bytes_total{thread="0"} 4096',
    ]);
  });

  it('announce each metric once, before its samples, with a help line and a type that fits its name', () => {
    const lines = metricsOf(description).trimEnd().split('\n');
    const names = lineOf(metricsOf(description), '# TYPE').map(line => line.split(' ')[2]);
    expect(new Set(names).size).toBe(names.length);
    for (const [at, line] of lines.entries()) {
      const [, , name, type] = line.split(' ');
      if (!line.startsWith('# TYPE')) continue;
      expect(lines[at - 1]).toMatch(new RegExp(`^# HELP ${name} .+\\.$`));
      expect(lines[at + 1]).toMatch(new RegExp(`^${name}[ {]`));
      expect([name, type === 'counter']).toEqual([name, name?.endsWith('_total')]);
    }
  });

  it('leave out what is not there or no number, and survive anything', () => {
    for (const odd of [{}, { threads: 7 }, { threads: [null, 'x', { types: [3] }] }, { restarts: Number.NaN }]) {
      const samples = lineOf(metricsOf(odd), 'troupe_').filter(line => !line.startsWith('troupe_node_info'));
      expect(samples.filter(line => !line.startsWith('troupe_thread_up'))).toEqual([]);
    }
  });

  it('escape what a name may hold', () => {
    const text = metricsOf({ node: 'a"b\\c\nd', engine: 'memory' });
    expect(lineOf(text, 'troupe_')).toEqual(['troupe_node_info{node="a\\"b\\\\c\\nd",engine="memory"} 1']);
  });
});
