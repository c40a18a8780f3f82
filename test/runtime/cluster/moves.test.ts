// Actors that move between nodes, on the simulated network: nothing lost, doubled or reordered; one owner, whatever crashes.

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { partitionOf } from '../../../src/runtime/partition.ts';
import { call, tell } from '../../../src/runtime/refs.ts';
import { ClusterKit, type KitNode } from '../../../src/testing/cluster-kit-host.ts';
import { LocalLogT, LogT } from '../gateway/actors.ts';
import { NotebookT } from './notebook.ts';
import { gate, TravellerT } from './traveller.ts';

let kit: ClusterKit;
let key: string;
beforeEach(async () => {
  kit = new ClusterKit(3, { actors: [LogT, NotebookT, TravellerT, LocalLogT], seed: 7 });
  await kit.start();
  for (let i = 0; ; i++) {
    key = `k${i}`;
    if (node('n1').cluster.preference(key, 1)[0] === 'n1') break;
  }
});
afterEach(() => kit.close());

const node = (name: string): KitNode => kit.node(name);
const codeOf = (asked: Promise<unknown>): Promise<unknown> => kit.run(asked.catch(error => error.code));
const runners = (type = LogT as never): string[] =>
  kit.nodes.filter(each => each.runs(type, key)).map(({ name }) => name);
const move = (to: string, by = 'n1', type: never = LogT as never) => kit.run(node(by).relocate(type, key, to));
const shardOfKey = (): string => `a/${partitionOf(key, kit.partitions)}`;
const all = (from: string): Promise<unknown[]> => kit.run(node(from).ref(LogT, key).all());

describe('an actor that moves to another node', () => {
  it('takes its state along, under a higher epoch, and is reached by everybody', async () => {
    for (const each of kit.nodes) await kit.run(each.ref(LogT, key).hear(each.name));
    const before = node('n1').gateway.guests.epochOf(`log/${key}`);
    const moved = await move('n2');
    expect(moved.epoch).toBeGreaterThan(before);
    expect(runners()).toEqual(['n2']);
    for (const each of kit.nodes) await kit.run(each.ref(LogT, key).hear(`${each.name} again`));
    expect(await all('n3')).toEqual(['n1', 'n2', 'n3', 'n1 again', 'n2 again', 'n3 again']);
  });

  it('goes on to a third, and comes home, whoever says so', async () => {
    await kit.run(node('n1').ref(LogT, key).hear(1));
    await move('n2', 'n3');
    await move('n3', 'n2');
    expect(runners()).toEqual(['n3']);
    await move('n1', 'n3');
    expect(runners()).toEqual(['n1']);
    expect(await all('n2')).toEqual([1]);
    const again = await move('n1', 'n2');
    expect(again.shipped).toBe(0);
  });

  it('loses, doubles and reorders nothing of three senders that go on all the while', async () => {
    const sent: Promise<unknown>[] = [];
    let next = 0;
    const burst = (): void => {
      for (const each of kit.nodes) {
        const ref = each.ref(LogT, key);
        for (let i = 0; i < 3; i++) tell(ref).hear([each.name, next * 4 + i]);
        sent.push(call(ref, { deadlineMs: 60_000 }).hear([each.name, next * 4 + 3]));
      }
      next++;
    };
    for (const to of ['n2', 'n3', 'n1', 'n3', 'n2', 'n1']) {
      burst();
      const moving = node('n1').relocate(LogT, key, to);
      for (let i = 0; i < 12; i++) {
        burst();
        await kit.clock.advance(1);
      }
      await kit.run(moving);
    }
    await kit.run(Promise.all(sent));
    const heard = (await all('n1')) as [string, number][];
    for (const { name } of kit.nodes)
      expect(heard.filter(([by]) => by === name).map(([, number]) => number)).toEqual(
        Array.from({ length: next * 4 }, (_, i) => i),
      );
  });

  it('with messages in its mailbox takes them along in order, their asks too', async () => {
    const ref = node('n3').ref(TravellerT, key);
    const slow = call(ref, { deadlineMs: 60_000 }).slow();
    await kit.clock.advance(10);
    const asks = [1, 2, 3].map(i => call(ref, { deadlineMs: 60_000 }).hear(i));
    tell(node('n1').ref(TravellerT, key)).hear('from home');
    await kit.clock.advance(10);
    const moving = node('n1').relocate(TravellerT, key, 'n2');
    await kit.clock.advance(10);
    gate.open();
    expect((await kit.run(moving)).shipped).toBe(4);
    await kit.run(slow);
    expect(await kit.run(Promise.all(asks))).toHaveLength(3);
    const heard = await kit.run(ref.all());
    expect(heard.filter(each => typeof each === 'number')).toEqual([1, 2, 3]);
    expect(heard).toContain('from home');
    expect(runners(TravellerT as never)).toEqual(['n2']);
  });

  it('with operations of a name in its mailbox takes them along, and retries that wait for them: each is done once', async () => {
    const ref = node('n3').ref(TravellerT, key);
    const slow = call(ref, { deadlineMs: 60_000, opId: 'slow' }).slow();
    await kit.clock.advance(10);
    const hear = (n: number) => call(ref, { deadlineMs: 60_000, opId: `op-${n}` }).hear(n);
    const asks = [1, 2, 3].map(hear);
    const retries = [2, 3].map(hear);
    await kit.clock.advance(10);
    const moving = node('n1').relocate(TravellerT, key, 'n2');
    await kit.clock.advance(10);
    gate.open();
    await kit.run(moving);
    await kit.run(slow);
    const answers = await kit.run(Promise.all(asks));
    expect(await kit.run(Promise.all(retries))).toEqual(answers.slice(1));
    expect((await kit.run(ref.all())).filter(each => typeof each === 'number')).toEqual([1, 2, 3]);
    expect(await kit.run(hear(1))).toBe(answers[0]);
    expect(runners(TravellerT as never)).toEqual(['n2']);
  });

  it('takes along its timers, its reminders and what it did once', async () => {
    const ref = node('n3').ref(TravellerT, key);
    await kit.run(ref.tick(500));
    await kit.run(ref.remindMe('late', 3_000));
    expect(await kit.run(call(ref, { opId: 'once' }).hear('once'))).toBe(1);
    await kit.run(node('n1').relocate(TravellerT, key, 'n2'));
    expect(await kit.run(call(ref, { opId: 'once' }).hear('once'))).toBe(1);
    await kit.clock.advance(1_000);
    expect(await kit.run(ref.all())).toEqual(['once', 'tick']);
    await kit.clock.advance(6_000);
    expect(await kit.run(ref.all())).toEqual(['once', 'tick', 'reminder late']);
    await kit.clock.advance(10_000);
    expect((await kit.run(ref.all())).filter(each => each === 'reminder late')).toHaveLength(1);
  });

  it.each(['n1', 'n3'])('takes along a reminder that waits for its turn just then (on %s)', async from => {
    const ref = node('n3').ref(TravellerT, key);
    const heard = async (): Promise<number> =>
      (await kit.run(ref.all())).filter(each => each === 'reminder often').length;
    if (from !== 'n1') await kit.run(node('n1').relocate(TravellerT, key, from));
    await kit.run(ref.remindEvery('often', 2_000));
    const slow = call(ref, { deadlineMs: 60_000 }).slow();
    await kit.clock.advance(2_100);
    const moving = node('n1').relocate(TravellerT, key, 'n2');
    await kit.clock.advance(50);
    gate.open();
    await kit.run(Promise.all([slow, moving]));
    await kit.clock.advance(100);
    expect(kit.nodes.map(each => each.host.reminders.count)).toEqual([0, 1, 0]);
    expect(await heard()).toBe(1);
    await kit.clock.advance(10_000);
    expect(await heard()).toBe(6);
    await kit.run(ref.forget('often'));
    await kit.clock.advance(10_000);
    expect(await heard()).toBe(6);
  });

  it('leaves behind a reminder that has just come, while the answer is still on its way by home', async () => {
    const ref = node('n3').ref(TravellerT, key);
    await kit.run(node('n1').relocate(TravellerT, key, 'n2'));
    await kit.run(ref.remindMe('soon', 500));
    for (const [from, to] of [['n1', 'n2'] as const, ['n2', 'n1'] as const]) kit.network.set(from, to, { delayMs: 20 });
    const heard = (): unknown[] => node('n2').host.byName.get('traveller')?.live.get(key)?.actor?.state as unknown[];
    while (heard().length === 0) await kit.clock.advance(1);
    await kit.run(node('n1').relocate(TravellerT, key, 'n3'));
    await kit.clock.advance(5_000);
    expect(await kit.run(ref.all())).toEqual(['reminder soon']);
  });

  it('leaves no reminder behind on a node that crashed before it knew that the actor had left', async () => {
    const ref = node('n3').ref(TravellerT, key);
    await kit.run(node('n1').relocate(TravellerT, key, 'n2'));
    await kit.run(ref.remindEvery('often', 2_000));
    await kit.run(node('n1').relocate(TravellerT, key, 'n3'));
    await kit.crash('n2');
    await kit.run(ref.forget('often'));
    await kit.restart('n2');
    expect(node('n2').host.reminders.count).toBe(1);
    await kit.clock.advance(20_000);
    expect(await kit.run(ref.all())).toEqual([]);
    expect(kit.nodes.map(each => each.host.reminders.count)).toEqual([0, 0, 0]);
  });

  it('sleeps and wakes where it is, under epochs that only rise', async () => {
    const ref = node('n3').ref(TravellerT, key);
    const epochs = [await kit.run(ref.epoch())];
    for (const to of ['n2', 'n1', 'n3']) {
      await kit.run(node('n2').relocate(TravellerT, key, to));
      epochs.push(await kit.run(ref.epoch()));
      await kit.run(ref.rest());
      await kit.clock.advance(50);
      epochs.push(await kit.run(ref.epoch()));
    }
    expect(epochs).toEqual([...epochs].sort((a, b) => a - b));
    expect(new Set(epochs).size).toBe(epochs.length);
  });

  it('that cannot move says why, and goes on', async () => {
    await kit.run(node('n1').ref(LogT, key).hear(1));
    await kit.run(node('n1').ref(LogT, key).watchIt(node('n1').ref(LogT, 'other')));
    expect(await codeOf(node('n3').relocate(LogT, key, 'n2'))).toBe('BAD_OPTION');
    expect(await codeOf(node('n3').relocate(LogT, key, 'n9'))).toBe('BAD_OPTION');
    expect(await kit.run(node('n2').ref(LogT, key).hear(2))).toBe(2);
    expect(runners()).toEqual(['n1']);
  });

  it('whose home cannot be reached is not moved, and it is said which node that is', async () => {
    await kit.crash('n1');
    const asked = (): Promise<unknown> =>
      kit.run(
        node('n3')
          .relocate(LogT, key, 'n2')
          .catch(error => error),
        60_000,
      );
    const message = expect.stringMatching(/node n1/);
    expect(await asked()).toMatchObject({ code: 'UNKNOWN_OUTCOME', message });
    await kit.clock.advance(60_000);
    expect(await asked()).toMatchObject({ code: 'OVERLOADED', message });
  });

  it('whose turn does not end stays, and is served', async () => {
    void node('n1')
      .ref(LogT, key)
      .never()
      .catch(() => undefined);
    await kit.clock.advance(5);
    expect(await codeOf(node('n1').relocate(LogT, key, 'n2'))).toBe('DEADLINE');
    expect(runners()).toEqual(['n1']);
    expect(await kit.run(node('n2').ref(LogT, key).hear(1))).toBe(1);
  });
});

it('an ask as large as a mailbox reaches a guest, too', async () => {
  const large = { text: 'x'.repeat(1_000_000) };
  await kit.run(node('n1').ref(LogT, key).hear(1));
  await move('n2');
  expect(await kit.run(node('n3').ref(LogT, key).hear(large))).toBe(2);
  expect(await all('n1')).toEqual([1, large]);
});

describe('a move that meets trouble', () => {
  const unit = (): string => `traveller/${key}`;
  const ref = (by = 'n3') => node(by).ref(TravellerT, key);
  const goesOn = async (runner: string, count: number): Promise<void> => {
    expect(await kit.run(ref().hear('goes on'))).toBe(count);
    await kit.clock.advance(2_000);
    expect(runners(TravellerT as never)).toEqual([runner]);
  };
  beforeEach(async () => {
    expect(await kit.run(ref().hear('first'))).toBe(1);
  });

  it('on the full disk of the new node stays where it was', async () => {
    node('n2').disk.diskFull = true;
    expect(await codeOf(node('n3').relocate(TravellerT, key, 'n2'))).toBe('DISK_FULL');
    await goesOn('n1', 2);
    node('n2').disk.diskFull = false;
    await move('n2', 'n3', TravellerT as never);
    await goesOn('n2', 3);
  });

  it('on the full disk of its home, where the decision is stored, stays where it was, and leaves nothing behind', async () => {
    const put = node('n2').gateway.guests;
    const before = put.put.bind(put);
    put.put = async (...args) => {
      node('n1').disk.diskFull = true;
      return before(...args);
    };
    expect(await codeOf(node('n3').relocate(TravellerT, key, 'n2'))).toBe('DISK_FULL');
    put.put = before;
    node('n1').disk.diskFull = false;
    await goesOn('n1', 2);
    await kit.clock.advance(100);
    expect([...node('n2').disk.shard(shardOfKey()).scan()]).toEqual([]);
  });

  it('after it is decided is not undone by words that cannot be said: they are asked for', async () => {
    const { gateway } = node('n1');
    const say = gateway.say.bind(gateway);
    gateway.say = (number, word, payload) => {
      if (word === 'guest-verdict') throw new Error('no room for a word');
      say(number, word, payload);
    };
    await move('n2', 'n3', TravellerT as never);
    // The first message from home is as good as the word.
    tell(ref()).hear('told');
    await goesOn('n2', 3);
    await move('n3', 'n3', TravellerT as never);
    await goesOn('n3', 4);
    expect(await kit.run(ref().all())).toEqual(['first', 'told', 'goes on', 'goes on']);
  });

  it('to a node without its type says so, and the link between the two stays', async () => {
    const { number } = { number: node('n2').gateway.numberOfName('n1') };
    node('n2').host.byName.delete('traveller');
    expect(await codeOf(node('n3').relocate(TravellerT, key, 'n2'))).toBe('NO_ACTOR_TYPE');
    await kit.clock.advance(1_000);
    expect(node('n2').gateway.numberOfName('n1')).toBe(number);
    expect(await kit.run(node('n2').ref(LogT, key).hear(1))).toBe(1);
    await goesOn('n1', 2);
  });

  it('with a ref in its state that means something on its node only is refused', async () => {
    await kit.run(node('n1').ref(TravellerT, key).keepOwn());
    expect(await codeOf(node('n3').relocate(TravellerT, key, 'n2'))).toBe('BAD_MESSAGE');
    await goesOn('n1', 3);
  });

  it('takes megabytes along, and refuses what is too large for it', async () => {
    await kit.run(ref().grow(3 << 20), 60_000);
    await kit.run(node('n3').relocate(TravellerT, key, 'n2'), 60_000);
    await goesOn('n2', 3);
    await kit.run(ref().grow(6 << 20), 60_000);
    expect(await codeOf(node('n3').relocate(TravellerT, key, 'n1'))).toBe('TOO_LARGE');
    await goesOn('n2', 5);
  });

  it('leaves a home that cannot read where its actors are down, and says which record', async () => {
    await move('n2', 'n3', TravellerT as never);
    await kit.crash('n1');
    const { disk } = node('n1');
    const shard = disk.shards().find(name => name.startsWith('h/')) as string;
    expect(disk.flipBit(shard, new TextEncoder().encode(unit()), 150)).toBe(true);
    await expect(kit.restart('n1')).rejects.toMatchObject({ code: 'CORRUPT', message: expect.stringMatching(unit()) });
  });
});

describe('a node that hesitates to give an actor away', () => {
  it('is not given up on: what it sends back comes before what was held, however late', async () => {
    await kit.run(node('n1').ref(TravellerT, key).hear('first'));
    await move('n2', 'n1', TravellerT as never);
    const ref = node('n3').ref(TravellerT, key);
    const slow = call(ref, { deadlineMs: 120_000 }).slow();
    await kit.clock.advance(10);
    const asks = [1, 2].map(i => call(ref, { deadlineMs: 120_000 }).hear(i));
    await kit.clock.advance(10);
    const moving = node('n1').relocate(TravellerT, key, 'n3');
    await kit.clock.advance(5);
    gate.open();
    kit.partition([['n1', 'n3'], ['n2']]);
    const later = [3, 4].map(i => call(ref, { deadlineMs: 120_000 }).hear(i));
    await kit.clock.advance(15_000);
    kit.heal();
    await kit.run(Promise.all([...asks, ...later, slow]), 60_000);
    await kit.run(moving, 60_000);
    expect(await kit.run(ref.all())).toEqual(['first', 1, 2, 3, 4]);
  });
});

describe('a crash', () => {
  const written = (by: string): Promise<unknown> => kit.run(node(by).ref(NotebookT, key).read(), 60_000);
  beforeEach(async () => {
    expect(await kit.run(node('n3').ref(NotebookT, key).write('kept'))).toBe(1);
  });

  it('of the new node after the move: it is back there, with what was stored', async () => {
    await kit.run(node('n1').relocate(NotebookT, key, 'n2'));
    expect(await kit.run(node('n3').ref(NotebookT, key).write('on n2'))).toBe(2);
    await kit.crash('n2');
    await kit.restart('n2');
    await kit.clock.advance(5_000);
    expect(await written('n3')).toEqual(['kept', 'on n2']);
    expect(runners(NotebookT as never)).toEqual(['n2']);
  });

  it('of the home after the move: it remembers', async () => {
    await kit.run(node('n1').relocate(NotebookT, key, 'n2'));
    await kit.crash('n1');
    await kit.restart('n1');
    await kit.clock.advance(5_000);
    expect(await written('n3')).toEqual(['kept']);
    expect(runners(NotebookT as never)).toEqual(['n2']);
    await kit.run(node('n3').relocate(NotebookT, key, 'n1'));
    await kit.crash('n1');
    await kit.restart('n1');
    await kit.clock.advance(5_000);
    expect(await written('n2')).toEqual(['kept']);
    expect(runners(NotebookT as never)).toEqual(['n1']);
  });

  it.each(['n1', 'n2'].flatMap(who => Array.from({ length: 12 }, (_, at) => [who, at] as const)))(
    'of %s, %i ms into the move: one owner, and nothing lost',
    async (who, at) => {
      const moving = node('n1')
        .relocate(NotebookT, key, 'n2')
        .then(
          () => 'moved',
          () => 'not moved',
        );
      await kit.clock.advance(at / 2);
      await kit.crash(who);
      await kit.clock.advance(20);
      await kit.restart(who);
      await kit.clock.advance(20_000);
      if (who !== 'n1') await kit.run(moving);
      expect(await written('n3')).toEqual(['kept']);
      expect(await kit.run(node('n3').ref(NotebookT, key).write('after'))).toBe(2);
      await kit.clock.advance(2_000);
      expect(runners(NotebookT as never)).toHaveLength(1);
      await kit.run(node('n3').relocate(NotebookT, key, 'n3'));
      expect(await written('n2')).toEqual(['kept', 'after']);
      expect(runners(NotebookT as never)).toEqual(['n3']);
    },
  );
});
