// Descriptions of nodes, also broken ones, as Prometheus text.

import { describe, expect, it } from 'vitest';
import { metricsOf } from '../../src/doors/prometheus.ts';

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
