// What a node knows of the epochs of others (src/runtime/replicas/replica-records.ts, lease.ts), and that it knows it after a restart.

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { leaseWriteMs } from '../../../src/limits.ts';
import { epochMemory } from '../../../src/runtime/epochs.ts';
import type { Gateway, NodeWord } from '../../../src/runtime/gateway/gateway.ts';
import type { Host } from '../../../src/runtime/host.ts';
import { Lease } from '../../../src/runtime/replicas/lease.ts';
import { leaseWords } from '../../../src/runtime/replicas/lease-guard.ts';
import { noRecord, ReplicaRecords } from '../../../src/runtime/replicas/replica-records.ts';
import type { Log } from '../../../src/runtime/world.ts';
import { MemoryStore } from '../../../src/storage/memory-store.ts';
import { ClusterKit } from '../../../src/testing/cluster-kit-host.ts';
import { type VirtualClock, virtualWorld } from '../../../src/testing/virtual-world.ts';
import { TravellerT } from '../cluster/traveller.ts';

let disk: MemoryStore;
let host: Host;
let records: ReplicaRecords;
/** What the next life knows. */
const reborn = (): ReplicaRecords => {
  const next = new ReplicaRecords(host);
  next.load();
  return next;
};
const logged: string[] = [];
let clock: VirtualClock;
const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve));

beforeEach(() => {
  disk = new MemoryStore();
  let epoch = 0;
  const world = virtualWorld({
    seed: 1,
    log: { warn: (_: object, line: string) => logged.push(line) } as unknown as Log,
  });
  clock = world.clock;
  logged.length = 0;
  const epochs = { renew() {}, next: () => ++epoch };
  host = { engine: disk, node: 'n2', now: () => 0, epochs, world } as unknown as Host;
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

  it('are on the disk before that node hears that they are known; a disk that is slow, or full, keeps its lease from nothing', async () => {
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
    expect([answer, reborn().epochsOf('n1')]).toEqual([{ denied: [], below: 200 }, 200]);
    const beat = async (limit: number): Promise<unknown> => words.get('rep-alive')?.(1, limit);
    expect(await beat(200)).toEqual({ denied: [], below: 200 });
    disk.diskFull = true;
    for (const limit of [300, 400]) expect(await beat(limit)).toEqual({ denied: [], below: 200 });
    expect(logged).toEqual([expect.stringContaining('could not be written down')]);
    disk.diskFull = false;
    disk.hold();
    const late = beat(400);
    await turn();
    await clock.advance(leaseWriteMs);
    expect(await late).toEqual({ denied: [], below: 200 });
    disk.release();
    expect(await beat(400)).toEqual({ denied: [], below: 400 });
  });
});

describe('a follower with a full disk', () => {
  let kit: ClusterKit;
  afterEach(() => kit.close());

  it('renews the lease of an owner whose epochs have risen, as long as those it knows of do', async () => {
    kit = new ClusterKit(3, { actors: [TravellerT], seed: 7, partitions: 8, replicas: 3 });
    await kit.start();
    const { cluster, gateway, host } = kit.node('n1');
    const key = Array.from({ length: 99 }, (_, i) => `k${i}`).find(
      each => cluster.preference(each, 1)[0] === 'n1',
    ) as string;
    await kit.clock.advance(3_000);
    await kit.run(kit.node('n2').ref(TravellerT, key).hear('one'));
    for (const name of ['n2', 'n3']) kit.node(name).disk.diskFull = true;
    const raised = gateway.replicas?.raiseEpochs(host.epochs.next() + 6_400);
    await kit.clock.advance(3_000);
    await raised;
    await kit.clock.advance(20_000);
    expect(await kit.run(kit.node('n1').ref(TravellerT, key).all(), 60_000)).toEqual(['one']);
  });
});
