// Partitions that change hands, as far as the ring is concerned: who learns of it, when, in which order, and what a full disk, a crash
// or another cluster makes of it. No data moves here; who hands on is the test.

import { afterEach, describe, expect, it } from 'vitest';
import type { HandoffHooks } from '../../../src/runtime/cluster/handoff-hooks.ts';
import type { Change, Handed } from '../../../src/runtime/ownership/holdings.ts';
import { partitionOf } from '../../../src/runtime/partition.ts';
import { tell } from '../../../src/runtime/refs.ts';
import type { Clock } from '../../../src/runtime/world.ts';
import { ClusterKit, type ClusterKitOptions, type KitNode } from '../../../src/testing/cluster-kit-host.ts';
import { LogT } from '../gateway/actors.ts';
import { NotebookT } from './notebook.ts';

let kit: ClusterKit;
afterEach(() => kit.close());

/** What the hooks of each node were called with, in order, and what else a test finds worth writing down. */
const trail = new Map<string, string[]>();
const onBefore = new Map<string, (changes: readonly Change[]) => void>();
const shown = ({ partition, from, to, turn }: Handed): string => `p${partition} ${from}→${to} ${turn}`;

function hooks(name: string, owner: (partition: number) => string | undefined): HandoffHooks {
  const note = (step: string, changes: readonly Change[]): void => {
    for (const change of changes) trail.get(name)?.push(`${step} ${shown(change)}, of ${owner(change.partition)}`);
  };
  return {
    before: changes => {
      note('before', changes);
      onBefore.get(name)?.(changes);
    },
    after: changes => note('after', changes),
    ringChanged: () => undefined,
    status: () => [],
  };
}

async function start(count: number, started = count, options: Partial<ClusterKitOptions> = {}): Promise<void> {
  onBefore.clear();
  trail.clear();
  kit = new ClusterKit(count, {
    actors: [LogT, NotebookT],
    partitions: 16,
    handoffs: (cluster, name) => hooks(name, partition => cluster.effectiveRing()?.owners[partition]),
    ...options,
  });
  for (const { name } of kit.nodes) trail.set(name, []);
  await kit.start(kit.nodes.slice(0, started).map(({ name }) => name));
}
const node = (name: string): KitNode => kit.node(name);
const ownersAt = (name: string): readonly string[] => node(name).cluster.ring().owners;
const ownedBy = (name: string): number => ownersAt(name).indexOf(name);
const handOn = (from: string, to: string, partition = ownedBy(from)): Promise<Handed> =>
  kit.run(node(from).cluster.handOn(partition, to));
const clockOf = (name: string): Clock => node(name).host.world.clock;
function keyIn(partition: number): string {
  for (let i = 0; ; i++) if (partitionOf(`k${i}`, kit.partitions) === partition) return `k${i}`;
}
const said = (name: string, event: string): unknown[] =>
  node(name)
    .events.filter(each => each.name === event)
    .map(({ payload }) => payload);
async function until(what: string, holds: () => boolean, withinMs = 120_000): Promise<void> {
  for (let ms = 0; ms < withinMs; ms += 100) {
    if (holds()) return;
    await kit.clock.advance(100);
  }
  throw new Error(`not within ${withinMs} ms: ${what}`);
}
const refusal = (asked: Promise<unknown>): Promise<unknown> =>
  kit.run(
    asked.then(
      () => 'done',
      error => error.details.reason ?? error.code,
    ),
  );

describe('a partition that is handed on', () => {
  it('goes in four steps on who gives it: before by the old routes, routes, words (the new owner first), after', async () => {
    await start(3);
    const partition = ownedBy('n1');
    const { gateway, cluster } = node('n1');
    const notes = trail.get('n1') as string[];
    const { setNodes, say } = gateway;
    gateway.setNodes = data => {
      notes.push('route');
      setNodes.call(gateway, data);
    };
    gateway.say = (number, word, payload) => {
      if (word !== 'gossip') notes.push(`say ${word} to ${gateway.nameOf(number)}`);
      say.call(gateway, number, word, payload);
    };
    const change = await handOn('n1', 'n3');
    expect(change).toEqual({ partition, from: 'n1', to: 'n3', turn: 1 });
    expect(notes).toEqual([
      `before ${shown(change)}, of n1`,
      'route',
      'say handed to n3',
      'say handed to n2',
      `after ${shown(change)}, of n3`,
    ]);
    expect(cluster.effectiveRing()?.owners[partition]).toBe('n3');
  });

  it('is known to all at once, told as an event, and the ring of all is one, an epoch later', async () => {
    await start(4);
    const { epoch } = node('n1').cluster.ring();
    const change = await handOn('n2', 'n4');
    await kit.clock.advance(100);
    for (const { name } of kit.nodes) {
      expect(ownersAt(name)[change.partition]).toBe('n4');
      expect(node(name).cluster.ring()).toEqual(node('n1').cluster.ring());
      expect(said(name, 'partition-handed')).toEqual([change]);
      expect(trail.get(name)?.filter(each => each.startsWith('before'))).toEqual([`before ${shown(change)}, of n2`]);
    }
    expect(node('n1').cluster.ring().epoch).toBe(epoch + 1);
    expect(node('n1').cluster.describe().ring).toMatchObject({ epoch: epoch + 1, turns: 1, pending: 0 });
  });

  it('is handed on by its owner only, once at a time', async () => {
    await start(3);
    const partition = ownedBy('n1');
    expect(await refusal(node('n2').cluster.handOn(partition, 'n3'))).toBe('not-ours');
    expect(await refusal(node('n1').cluster.handOn(99, 'n3'))).toBe('not-ours');
    expect(await refusal(node('n1').cluster.handOn(partition, 'n1'))).toBe('same-owner');
    const both = [node('n1').cluster.handOn(partition, 'n2'), node('n1').cluster.handOn(partition, 'n3')];
    expect(await Promise.all(both.map(refusal))).toEqual(['done', 'under-way']);
    expect(await refusal(node('n1').cluster.handOn(partition, 'n3'))).toBe('not-ours');
    await kit.clock.advance(50);
    expect(ownersAt('n3')[partition]).toBe('n2');
  });

  it('may go round and come back', async () => {
    await start(3);
    const partition = ownedBy('n1');
    for (const [from, to] of [
      ['n1', 'n2'],
      ['n2', 'n3'],
      ['n3', 'n1'],
      ['n1', 'n2'],
    ] as const) {
      await kit.clock.advance(50);
      await handOn(from, to, partition);
    }
    await kit.clock.advance(50);
    for (const { name } of kit.nodes) expect(ownersAt(name)[partition]).toBe('n2');
    expect(node('n3').cluster.describe().ring?.turns).toBe(4);
  });

  it('is known before any message that was sent by it', async () => {
    await start(3, 3, { faults: { delayMs: 5, jitterMs: 10, chunkMax: 300 } });
    const { gateway } = node('n2');
    const heard: string[] = [];
    const { onControl, onTell } = gateway;
    gateway.onControl = (from, word, payload) => {
      if (word === 'handed') heard.push(`handed by ${gateway.nameOf(from)}`);
      onControl.call(gateway, from, word, payload);
    };
    gateway.onTell = (frame, ...args) => {
      heard.push(`tell of ${gateway.nameOf(frame.from)}`);
      onTell.call(gateway, frame, ...args);
    };
    const partition = ownedBy('n1');
    const key = keyIn(partition);
    // In the same moment in which they route by it.
    for (const name of ['n1', 'n3'])
      onBefore.set(name, () => clockOf(name).micro(() => tell(node(name).ref(LogT, key)).hear(name)));
    await handOn('n1', 'n2', partition);
    await kit.clock.advance(200);
    expect(heard.filter(each => each.endsWith('n1'))).toEqual(['handed by n1', 'tell of n1']);
    expect(heard.filter(each => each.endsWith('n3'))).toEqual(['handed by n3', 'tell of n3']);
    expect(await kit.run(node('n3').ref(LogT, key).all())).toEqual(['n1', 'n3']);
    expect(node('n2').runs(LogT, key)).toBe(true);
  });
});

describe('a node that was not there', () => {
  it.each([true, false])('learns of it when it is back (silent: %s), before it is sent anything else', async silent => {
    await start(3);
    await kit.crash('n3', { silent });
    const change = await handOn('n1', 'n2');
    await kit.clock.advance(1_000);
    const words: string[] = [];
    const { gateway } = node('n1');
    const { say } = gateway;
    gateway.say = (number, word, payload) => {
      if (gateway.nameOf(number) === 'n3') words.push(word);
      say.call(gateway, number, word, payload);
    };
    await kit.restart('n3');
    await until('n3 knows', () => ownersAt('n3')[change.partition] === 'n2');
    expect(words[0]).toBe('ring-state');
    expect(said('n3', 'partition-handed')).toEqual([change]);
    expect(node('n3').cluster.ring()).toEqual(node('n1').cluster.ring());
  });

  it('learns of it through others when its giver is gone', async () => {
    await start(3);
    await kit.crash('n3', { silent: true });
    const change = await handOn('n1', 'n2');
    await kit.clock.advance(100);
    await kit.crash('n1', { silent: true });
    await kit.restart('n3');
    await until('n3 knows', () => ownersAt('n3')[change.partition] === 'n2');
  });

  it('keeps what it learned over a crash of its own', async () => {
    await start(2);
    const change = await handOn('n1', 'n2');
    await kit.clock.advance(100);
    for (const name of ['n1', 'n2']) await kit.crash(name);
    await kit.restart('n2');
    expect(ownersAt('n2')[change.partition]).toBe('n2');
  });
});

describe('a cut', () => {
  it('in which both sides hand on, heals to both changes', async () => {
    await start(4);
    kit.partition([
      ['n1', 'n2'],
      ['n3', 'n4'],
    ]);
    const [one, two] = [await handOn('n1', 'n2'), await handOn('n3', 'n4')];
    await kit.clock.advance(90_000);
    expect(ownersAt('n4')[one.partition]).toBe('n1');
    kit.heal();
    const all = (): boolean =>
      kit.nodes.every(({ name }) => ownersAt(name)[one.partition] === 'n2' && ownersAt(name)[two.partition] === 'n4');
    await until('all know both', all, 300_000);
    await until('one hash', () => new Set(kit.nodes.map(({ cluster }) => cluster.describe().ring?.hash)).size === 1);
  });
});

describe('a disk', () => {
  it('that is full keeps a partition where it is, and nobody hears of anything', async () => {
    await start(3);
    const before = JSON.stringify(node('n1').cluster.ring());
    node('n1').disk.diskFull = true;
    expect(await refusal(node('n1').cluster.handOn(ownedBy('n1'), 'n2'))).toBe('DISK_FULL');
    await kit.clock.advance(2_000);
    for (const { name } of kit.nodes) expect(JSON.stringify(node(name).cluster.ring())).toBe(before);
    expect(trail.get('n1')).toEqual([]);
    node('n1').disk.diskFull = false;
    expect((await handOn('n1', 'n2')).turn).toBe(1);
  });

  it('that is full on who only hears of it keeps it from nothing, and is written when there is room', async () => {
    await start(3);
    node('n2').disk.diskFull = true;
    const change = await handOn('n1', 'n2');
    await kit.clock.advance(3_000);
    expect(ownersAt('n2')[change.partition]).toBe('n2');
    node('n2').disk.diskFull = false;
    await kit.clock.advance(2_000);
    for (const { name } of kit.nodes) await kit.crash(name);
    await kit.restart('n2');
    expect(ownersAt('n2')[change.partition]).toBe('n2');
  });

  it('that has the new owner when its node dies in that moment: the next life tells the others', async () => {
    await start(3);
    const partition = ownedBy('n1');
    onBefore.set('n1', () => node('n1').crash(true));
    node('n1')
      .cluster.handOn(partition, 'n2')
      .catch(() => undefined);
    await kit.clock.advance(100);
    expect(node('n1').isUp).toBe(false);
    expect(ownersAt('n2')[partition]).toBe('n1');
    onBefore.clear();
    await kit.restart('n1');
    expect(ownersAt('n1')[partition]).toBe('n2');
    await until('all know', () => kit.nodes.every(({ name }) => ownersAt(name)[partition] === 'n2'));
  });
});

describe('clusters founded apart', () => {
  it('hear of no change of each other', async () => {
    onBefore.clear();
    trail.clear();
    kit = new ClusterKit(4, { actors: [LogT], partitions: 16, handoffs: (_, name) => hooks(name, () => undefined) });
    kit.partition([
      ['n1', 'n2'],
      ['n3', 'n4'],
    ]);
    await kit.start(['n1', 'n2']);
    await kit.start(['n3', 'n4'], ['n1', 'n3', 'n4']);
    const owners = JSON.stringify(ownersAt('n3'));
    kit.heal();
    await until('they have met', () => kit.nodes.every(({ name }) => said(name, 'ring-conflict').length > 0), 300_000);
    const change = await handOn('n1', 'n2');
    await kit.clock.advance(10_000);
    expect(ownersAt('n2')[change.partition]).toBe('n2');
    expect(JSON.stringify(ownersAt('n3'))).toBe(owners);
    expect(node('n3').cluster.members().length).toBe(4);
  });
});
