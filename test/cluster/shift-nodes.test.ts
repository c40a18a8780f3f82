// Slots that change threads on a node that others talk to: what comes from there is kept back in line, like anything else.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type ActorType, call, type Node, type Ref, startNode } from '../../src/index.ts';
import { partitionOf } from '../../src/runtime/partition.ts';
import {
  DiaryT,
  KeptNoteT,
  LocalNoteT,
  type Note,
  NoteT,
  type Speaker,
  SpeakerTs,
  shiftedTypes,
  type Taker,
} from '../threads/actors/shifted.ts';
import { eventually } from '../threads/mortals.ts';
import { until } from '../threads/until.ts';

const partitions = 16;
const nodes: Node[] = [];
const dirs: string[] = [];
afterEach(async () => {
  await Promise.all(nodes.splice(0).map(node => node.stop()));
  for (const dir of dirs.splice(0)) await rm(dir, { recursive: true, force: true });
});

async function start(name: string, seeds: string[]): Promise<Node> {
  const dataDir = await mkdtemp(join(tmpdir(), 'troupe-shift-nodes-'));
  dirs.push(dataDir);
  const node = await startNode({
    ...{ name, dataDir, partitions, listen: '127.0.0.1:0', join: seeds, threads: 3, autoJoin: false },
    ...{ rebalance: false, diskFreeLowWater: 1 << 20, actors: shiftedTypes },
  });
  nodes.push(node);
  return node;
}
async function two(): Promise<[Node, Node]> {
  const n1 = await start('n1', []);
  const n2 = await start('n2', [n1.cluster.address]);
  await n2.ready();
  return [n1, n2];
}
/** A key of n1's, and its slot. */
function ours(n1: Node, slot: number, index = 0): string {
  for (let i = 0, found = 0; ; i++)
    if (partitionOf(`k${i}`, partitions) === slot && n1.cluster.preference(`k${i}`, 1)[0] === 'n1' && found++ === index)
      return `k${i}`;
}
async function shift(node: Node, slot: number): Promise<void> {
  const from = node.cluster.rebalancer.report().table[slot] as number;
  await eventually('a move', () => node.cluster.rebalancer.move(slot, (from % 3) + 1));
}
const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

describe('a slot that changes threads on a node of a cluster', () => {
  it('loses, doubles and reorders nothing of what comes from the threads of both nodes', {
    timeout: 60_000,
  }, async () => {
    const [n1, n2] = await two();
    const slot = 5;
    const types = [NoteT, KeptNoteT, DiaryT as unknown as ActorType<Note>];
    const keys = types.map((_, i) => ours(n1, slot, i));
    const speakers = [n1, n2].flatMap(node =>
      [0, 1, 2].map(thread => [node, node.ref(SpeakerTs[thread] as ActorType<Speaker>, `at ${node.name}`)] as const),
    );
    const talks = speakers.map(([node, speaker], i) => {
      const to = types.map((type, at) => node.ref(type, keys[at] as string)) as Taker[];
      return call(speaker, { deadlineMs: 60_000 }).speak(to, `s${i}`, '');
    });
    for (let i = 0; i < 12; i++) {
      await shift(n1, slot);
      await new Promise(resolve => setTimeout(resolve, 10));
    }
    for (const [, speaker] of speakers) await speaker.hush();
    const books = await Promise.all(talks);
    for (const [i, { sent, wrong }] of books.entries()) {
      expect(wrong).toStrictEqual([]);
      for (const [at, type] of types.entries())
        expect((await n2.ref(type, keys[at] as string).report()).heard[`s${i}`]).toStrictEqual(numbers(sent));
    }
  });

  it('leaves guests, and actors that have come back, where they are', { timeout: 60_000 }, async () => {
    const [n1, n2] = await two();
    const slot = 6;
    const [away, back, home] = [0, 1, 2].map(i => n1.ref(NoteT, ours(n1, slot, i))) as [
      Ref<Note>,
      Ref<Note>,
      Ref<Note>,
    ];
    let n = 0;
    const all = async (): Promise<void> => {
      for (const ref of [away, back, home])
        for (const node of [n1, n2])
          expect(await call(node.ref(NoteT, keyOf(ref)), { deadlineMs: 20_000 }).take(node.name, n)).toBe(n);
      n++;
    };
    await all();
    await n1.relocate(away, 'n2');
    await n1.relocate(back, 'n2');
    await n1.relocate(back, 'n1');
    for (let i = 0; i < 4; i++) {
      await all();
      await shift(n1, slot);
    }
    await all();
    expect((await n1.locate(away)).node).toBe('n2');
    for (const ref of [away, back, home]) {
      const { heard } = await ref.report();
      for (const node of [n1, n2]) expect(heard[node.name]).toStrictEqual(numbers(n));
    }
    await n1.relocate(away, 'n1');
    await all();
  });

  it('tells watchers on another node of an end, once', { timeout: 60_000 }, async () => {
    const [n1, n2] = await two();
    const slot = 7;
    const ref = n2.ref(NoteT, ours(n1, slot));
    await ref.take('x', 0);
    const watchers = [0, 1, 2].map(thread => n2.ref(SpeakerTs[thread] as ActorType<Speaker>, 'w'));
    for (const each of watchers) await each.watch(ref);
    for (let i = 0; i < 3; i++) await shift(n1, slot);
    for (const each of watchers) expect(await each.departures()).toStrictEqual([]);
    await ref.end();
    for (const each of watchers) {
      await until('the news', async () => (await each.departures()).length > 0);
      expect((await each.departures()).map(({ reason }) => reason)).toStrictEqual(['stopped']);
    }
  });

  it('takes local actors along whose keys are of other nodes', { timeout: 60_000 }, async () => {
    const [n1] = await two();
    const refs = numbers(20).map(i => n1.ref(LocalNoteT, `local${i}`));
    for (const each of refs) await each.take('x', 0);
    for (let slot = 0; slot < partitions; slot++) await shift(n1, slot);
    for (const each of refs) {
      expect(await each.take('x', 1)).toBe(1);
      expect((await each.report()).heard.x).toStrictEqual([0, 1]);
    }
  });
});

function keyOf(ref: Ref<Note>): string {
  return ref.toString().slice('note/'.length);
}
