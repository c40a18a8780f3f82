// What a node knows of the epochs of others (src/runtime/replicas/replica-records.ts, lease.ts), and that it knows it after a restart.

import { beforeEach, describe, expect, it } from 'vitest';
import { epochMemory } from '../../../src/runtime/epochs.ts';
import type { Gateway, NodeWord } from '../../../src/runtime/gateway/gateway.ts';
import type { Host } from '../../../src/runtime/host.ts';
import { Lease } from '../../../src/runtime/replicas/lease.ts';
import { leaseWords } from '../../../src/runtime/replicas/lease-guard.ts';
import { noRecord, ReplicaRecords } from '../../../src/runtime/replicas/replica-records.ts';
import { MemoryStore } from '../../../src/storage/memory-store.ts';

let disk: MemoryStore;
let host: Host;
let records: ReplicaRecords;
/** What the next life knows. */
const reborn = (): ReplicaRecords => {
  const next = new ReplicaRecords(host);
  next.load();
  return next;
};
const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve));

beforeEach(() => {
  disk = new MemoryStore();
  let epoch = 0;
  host = { engine: disk, node: 'n2', now: () => 0, epochs: { renew() {}, next: () => ++epoch } } as unknown as Host;
  records = new ReplicaRecords(host);
});

describe('the epochs of another node', () => {
  it('only rise, and are known after a restart beside what is known of partitions', async () => {
    expect(records.epochsOf('n1')).toBe(0);
    await records.hearEpochs('n1', 200);
    await Promise.all([records.hearEpochs('n1', 500), records.hearEpochs('n1', 300), records.hearEpochs('4', 7)]);
    expect(records.hearEpochs('n1', 500)).toBeUndefined();
    await records.change(4, () => ({ ...noRecord, promised: 3 }));
    const next = reborn();
    expect([next.epochsOf('n1'), next.epochsOf('4'), next.epochsOf('n3')]).toEqual([500, 7, 0]);
    expect(next.all()).toEqual([[4, { ...noRecord, promised: 3 }]]);
  });

  it('are not known while they cannot be stored', async () => {
    disk.diskFull = true;
    await expect(records.hearEpochs('n1', 200)).rejects.toMatchObject({ code: 'DISK_FULL' });
    expect(records.epochsOf('n1')).toBe(0);
    disk.diskFull = false;
    await records.hearEpochs('n1', 200);
    expect(reborn().epochsOf('n1')).toBe(200);
  });

  it('are on the disk before that node hears that they are known', async () => {
    const words = new Map<string, NodeWord>();
    const gateway = { on: (name: string, word: NodeWord) => words.set(name, word), nameOf: () => 'n1' };
    new Lease(host, gateway as unknown as Gateway, {
      ...{ words: leaseWords(4), clockShift: 0, epochs: epochMemory(1), records },
      denies: () => [],
      leading: () => [],
      isDown: () => false,
      onDenied: () => undefined,
    });
    disk.hold();
    let answer: unknown;
    void Promise.resolve(words.get('rep-alive')?.(1, 200)).then(denied => {
      answer = denied;
    });
    await turn();
    expect([answer, records.epochsOf('n1')]).toEqual([undefined, 0]);
    disk.release();
    await turn();
    expect([answer, reborn().epochsOf('n1')]).toEqual([[], 200]);
    // What is known is answered at once.
    expect(words.get('rep-alive')?.(1, 200)).toEqual([]);
  });
});
