// Partitions that change hands, on the simulated network: everything of them comes along, and nobody notices but by the time it takes.

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ActorType, defineActor } from '../../../src/runtime/define-actor.ts';
import { tell } from '../../../src/runtime/refs.ts';
import { ClusterKit, type KitNode } from '../../../src/testing/cluster-kit-host.ts';
import { Notebook, NotebookT } from '../cluster/notebook.ts';
import { TravellerT } from '../cluster/traveller.ts';
import { LogT } from '../gateway/actors.ts';
import { hand, partitionOfKey } from './wishes.ts';

const DozerT: ActorType<Notebook> = defineActor(import.meta.url, Notebook, {
  type: 'dozer',
  persist: 'snapshot',
  idleMs: 150,
});

let kit: ClusterKit;
let key: string;
let partition: number;

beforeEach(async () => {
  kit = new ClusterKit(3, { actors: [LogT, NotebookT, TravellerT, DozerT], seed: 7 });
  await kit.start();
  for (let i = 0; ; i++) {
    key = `k${i}`;
    if (node('n1').cluster.preference(key, 1)[0] === 'n1') break;
  }
  partition = partitionOfKey(kit, key);
});
afterEach(() => kit.close());

const node = (name: string): KitNode => kit.node(name);
const runners = (type = LogT as never): string[] =>
  kit.nodes.filter(each => each.runs(type, key)).map(({ name }) => name);
const all = (from: string): Promise<unknown[]> => kit.run(node(from).ref(LogT, key).all());

describe('a partition that changes hands', () => {
  it('takes its actors along, awake ones with their state, and is reached by everybody', async () => {
    for (const each of kit.nodes) await kit.run(each.ref(LogT, key).hear(each.name));
    await hand(kit, partition, 'n2');
    expect(runners()).toEqual(['n2']);
    await kit.clock.advance(100);
    for (const each of kit.nodes) expect(each.cluster.preference(key, 1)).toEqual(['n2']);
    for (const each of kit.nodes) await kit.run(each.ref(LogT, key).hear(`${each.name} again`));
    expect(await all('n3')).toEqual(['n1', 'n2', 'n3', 'n1 again', 'n2 again', 'n3 again']);
  });

  it('goes there and back, and on, and what sleeps comes from its records', async () => {
    await kit.run(node('n1').ref(TravellerT, key).hear('one'));
    for (const to of ['n2', 'n3', 'n1', 'n3', 'n2']) {
      await hand(kit, partition, to);
      await kit.run(node('n1').ref(TravellerT, key).hear(to));
      await kit.run(node(to).ref(TravellerT, key).rest());
    }
    expect(await kit.run(node('n3').ref(TravellerT, key).all())).toEqual(['one', 'n2', 'n3', 'n1', 'n3', 'n2']);
  });

  it('loses, doubles and reorders nothing of three senders that go on all the while', async () => {
    let next = 0;
    let on = true;
    const burst = (): void => {
      if (!on) return;
      for (const each of kit.nodes) {
        const ref = each.ref(LogT, key);
        for (let i = 0; i < 3; i++) tell(ref).hear([each.name, next * 3 + i]);
      }
      next++;
      kit.clock.timer(1, burst);
    };
    burst();
    for (const to of ['n2', 'n3', 'n1', 'n2']) {
      await hand(kit, partition, to);
      await kit.clock.advance(37);
    }
    on = false;
    await kit.clock.advance(3_000);
    const heard = (await all('n1')) as [string, number][];
    for (const { name } of kit.nodes)
      expect(heard.filter(([by]) => by === name).map(([, number]) => number)).toEqual(
        Array.from({ length: next * 3 }, (_, number) => number),
      );
  });

  it('keeps the order of a sender whose link to the old owner is down while the new one is started anew', async () => {
    const speaks = (word: string): unknown => tell(node('n3').ref(LogT, key)).hear(word);
    for (const [from, to] of [['n3', 'n1'] as const, ['n1', 'n3'] as const]) kit.network.block(from, to);
    speaks('first');
    await hand(kit, partition, 'n2');
    await kit.clock.advance(50);
    await kit.crash('n2');
    await kit.restart('n2');
    await kit.clock.advance(500);
    speaks('second');
    await kit.clock.advance(500);
    for (const [from, to] of [['n3', 'n1'] as const, ['n1', 'n3'] as const]) kit.network.free(from, to);
    await kit.clock.advance(2_000);
    expect(await all('n2')).toEqual(['first', 'second']);
    expect(node('n2').gateway.lastWords.describe()).toMatchObject({ settling: [], late: 0 });
  });

  it('keeps the order of what waits in front of an actor that is falling asleep, and of what is held back after it', async () => {
    const { disk, gateway } = node('n1');
    const writes = (line: string): unknown => tell(node('n3').ref(DozerT, key)).write(line);
    await kit.run(node('n1').ref(NotebookT, key).write('something to copy'));
    const copies = (): void => {
      const { running } = gateway.handoffs.describe() as { running: { phase: string }[] };
      if (running[0]?.phase !== 'copying') return void kit.clock.timer(1, copies);
      kit.network.block('n1', 'n2');
      disk.hold();
      writes('it falls asleep over this, which cannot be stored');
      kit.clock.timer(1_000, () => writes('into its mailbox'));
      kit.clock.timer(1_100, () => kit.network.free('n1', 'n2'));
      kit.clock.timer(1_400, () => writes('held back'));
      kit.clock.timer(1_700, () => disk.release());
    };
    copies();
    await hand(kit, partition, 'n2');
    await kit.clock.advance(500);
    expect((await kit.run(node('n2').ref(DozerT, key).read())).slice(1)).toEqual(['into its mailbox', 'held back']);
  });

  it('keeps what came to a node that could not store that it is its own, and crashes as it gives it away', async () => {
    const ready = async (name: string): Promise<void> => {
      const { taking } = node(name).gateway.handoffs.describe() as { taking: { ready: boolean }[] };
      if (taking[0]?.ready !== true) await new Promise<void>(done => kit.clock.timer(1, done)).then(() => ready(name));
    };
    await kit.run(node('n1').ref(NotebookT, key).write('of all its lives'));
    void ready('n2').then(() => {
      node('n2').disk.diskFull = true;
    });
    await hand(kit, partition, 'n2');
    await kit.clock.advance(100);
    node('n2').disk.diskFull = false;
    void ready('n3').then(() => kit.crash('n2'));
    await hand(kit, partition, 'n3');
    await kit.restart('n2');
    await kit.clock.advance(5_000);
    const { owners } = node('n3').cluster.ring();
    expect([owners[partition], await kit.run(node('n1').ref(NotebookT, key).read())]).toEqual([
      'n2',
      ['of all its lives'],
    ]);
  });

  it('takes no guest in where a try of an earlier owner is not known to be off, and will be cleared away', async () => {
    const taking = (): unknown[] => (node('n2').gateway.handoffs.describe() as { taking: unknown[] }).taking;
    await kit.run(node('n1').ref(NotebookT, key).write('as a guest'));
    const cut = (): void => {
      if (taking().length === 0) kit.clock.timer(1, cut);
      else for (const [from, to] of [['n1', 'n2'] as const, ['n2', 'n1'] as const]) kit.network.block(from, to);
    };
    cut();
    await hand(kit, partition, 'n2', 7_000).catch(() => undefined);
    await hand(kit, partition, 'n3');
    await kit.clock.advance(100);
    const move = (): Promise<unknown> =>
      kit.run(
        node('n3')
          .relocate(NotebookT, key, 'n2')
          .catch(error => error.code),
      );
    expect([taking().length, await move()]).toEqual([1, 'OVERLOADED']);
    for (const [from, to] of [['n1', 'n2'] as const, ['n2', 'n1'] as const]) kit.network.free(from, to);
    await kit.clock.advance(5_000);
    expect([taking().length, await move()]).toMatchObject([0, { shipped: 0 }]);
    await kit.crash('n2');
    await kit.restart('n2');
    await kit.clock.advance(1_000);
    expect(await kit.run(node('n1').ref(NotebookT, key).read())).toEqual(['as a guest']);
  });

  it('does not come together with a guest whose move its owner has forgotten', async () => {
    const arriving = (): unknown[] => (node('n2').gateway.guests.describe() as { arriving: unknown[] }).arriving;
    await kit.run(node('n1').ref(TravellerT, key).hear('before the move'));
    void node('n1')
      .relocate(TravellerT, key, 'n2')
      .catch(() => undefined);
    while (arriving().length === 0) await kit.clock.advance(1);
    await kit.crash('n1');
    await kit.clock.advance(20);
    await kit.restart('n1');
    while (node('n1').gateway.linked('n2') === undefined) await kit.clock.advance(1);
    await kit.run(node('n1').ref(TravellerT, key).hear('behind it'));
    await kit.run(node('n1').ref(TravellerT, key).rest());
    expect(arriving()).toHaveLength(1);
    await hand(kit, partition, 'n2');
    await kit.clock.advance(2_000);
    expect(await kit.run(node('n3').ref(TravellerT, key).all())).toEqual(['before the move', 'behind it']);
  });

  it('comes to a node that could not clear away an earlier try at once', async () => {
    let tries = 0;
    await node('n2').gateway.handoffs.leftovers.clearing(partition, async () => {
      if (++tries === 1) throw new Error('no room');
    });
    await hand(kit, partition, 'n2');
    expect(tries).toBe(2);
  });
});
