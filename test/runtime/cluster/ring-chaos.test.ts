// The state of the ring while everything goes wrong: owners hand on, members come and leave, nodes crash, disks fill, the network
// parts. No data moves; whoever owns a partition hands it on when the ring wishes it, or at random.
//
// What must hold at every moment: of each turn of a partition there is one owner, whoever is asked. In the end: one ring.

import { expect, it } from 'vitest';
import type { HandoffHooks } from '../../../src/runtime/cluster/handoff-hooks.ts';
import { ClusterKit, type KitNode } from '../../../src/testing/cluster-kit-host.ts';
import { seededRandom } from '../../../src/testing/virtual-world.ts';

const partitions = 16;
const steps = 120;

class RingChaos {
  readonly #random: () => number;
  readonly #kit: ClusterKit;
  /** By partition: the owner of each turn. */
  readonly #owners: string[][] = [];
  readonly #epochs = new Map<string, number>();
  readonly problems: string[] = [];
  handed = 0;
  left = 0;

  constructor(seed: number) {
    const random = seededRandom(seed * 31 + 7);
    this.#random = () => random.float();
    const hooksOf = (node: string): HandoffHooks => ({
      before: changes => {
        for (const { partition, to, turn } of changes) this.#note(node, partition, to, turn);
      },
      after: () => undefined,
      ringChanged: () => this.#judge(node),
      status: () => [],
    });
    const faults = { delayMs: this.#below(6), jitterMs: this.#below(12), chunkMax: seed % 3 === 0 ? 500 : 0 };
    this.#kit = new ClusterKit(5, { seed, actors: [], partitions, faults, handoffs: (_, node) => hooksOf(node) });
  }

  #below(count: number): number {
    return Math.floor(this.#random() * count);
  }

  #pick<T>(of: readonly T[]): T | undefined {
    return of[this.#below(of.length)];
  }

  get #live(): KitNode[] {
    return this.#kit.nodes.filter(({ isUp }) => isUp);
  }

  #note(node: string, partition: number, owner: string, turn: number): void {
    this.#owners[partition] ??= [];
    const turns = this.#owners[partition] as string[];
    turns[turn] ??= owner;
    if (turns[turn] !== owner)
      this.problems.push(`${node}: p${partition} turn ${turn} is ${owner}'s, and ${turns[turn]}'s`);
  }

  /** The epoch that one life of a node shows never falls. */
  #judge(name: string): void {
    const node = this.#kit.node(name);
    const ring = node.isUp ? node.cluster.effectiveRing() : undefined;
    if (ring === undefined) return;
    const before = this.#epochs.get(name) ?? 0;
    if (ring.epoch < before) this.problems.push(`${name}: epoch ${ring.epoch} after ${before}`);
    this.#epochs.set(name, ring.epoch);
    for (const { partition, from } of ring.next)
      if (ring.owners[partition] !== from) this.problems.push(`${name}: a wish that ${from} gives p${partition}`);
  }

  #handOn(node: KitNode, wishesOnly: boolean): void {
    const ring = node.isUp ? node.cluster.effectiveRing() : undefined;
    const wish = ring?.next.find(({ from }) => from === node.name);
    const own = ring?.owners.flatMap((owner, p) => (owner === node.name ? [p] : [])) ?? [];
    const partition = wish?.partition ?? this.#pick(own);
    const to = wish?.to ?? this.#pick(ring?.members.map(({ name }) => name) ?? []);
    if (partition === undefined || to === undefined || (wishesOnly && wish === undefined)) return;
    node.cluster.handOn(partition, to).then(
      () => this.handed++,
      () => undefined,
    );
  }

  async #step(): Promise<void> {
    const kit = this.#kit;
    const node = this.#pick(kit.nodes) as KitNode;
    const what = this.#below(40);
    if (what < 20) for (const each of this.#live) this.#handOn(each, this.#below(3) > 0);
    else if (what < 24 && node.isUp) await this.#crash(node);
    else if (what < 31 && !node.isUp) await this.#restart(node);
    else if (what === 31 && node.isUp && this.#live.length > 2) this.#leave(node);
    else if (what === 32)
      kit.partition([
        ['n1', 'n2', ...(this.#below(2) === 0 ? ['n5'] : [])],
        ['n3', 'n4'],
      ]);
    else if (what < 35) kit.heal();
    else if (what === 35) node.disk.diskFull = true;
    else if (what < 38) node.disk.diskFull = false;
    else if (what === 38 && node.isUp) kit.network.cut(node.name, this.#pick(kit.nodes)?.name ?? node.name);
    await kit.clock.advance(this.#below(8) === 0 ? 5_000 : this.#below(800));
  }

  async #crash(node: KitNode): Promise<void> {
    await this.#kit.crash(node.name, { silent: this.#below(2) === 0 });
    // What it had heard and could not store, on a full disk, its next life hears again.
    this.#epochs.delete(node.name);
  }

  /** It goes by what its disk says before anybody has told it more. */
  async #restart(node: KitNode): Promise<void> {
    const back = this.#kit.restart(node.name);
    this.#handOn(node, false);
    await back;
  }

  #leave(node: KitNode): void {
    node.cluster.leave().then(
      () => this.left++,
      () => undefined,
    );
  }

  async run(): Promise<void> {
    const kit = this.#kit;
    await kit.start(['n1', 'n2', 'n3', 'n4']);
    for (const [partition, owner] of (this.#live[0] as KitNode).cluster.ring().owners.entries())
      this.#note('n1', partition, owner, 0);
    for (let step = 0; step < steps; step++) await this.#step();
    kit.heal();
    for (const node of kit.nodes) {
      node.disk.diskFull = false;
      // Whoever has left is no member by gossip before its next life.
      await this.#crash(node);
    }
    for (const { name } of kit.nodes) await kit.restart(name);
    for (let rounds = 0; rounds < 600 && !this.#isAtRest(); rounds++) {
      for (const node of this.#live) this.#handOn(node, true);
      await kit.clock.advance(500);
    }
    if (!this.#isAtRest()) this.problems.push(`no rest: ${this.#shown()}`);
    await kit.close();
  }

  #isAtRest(): boolean {
    const rings = this.#kit.nodes.map(({ cluster }) => cluster.effectiveRing());
    return rings.every(ring => ring?.next.length === 0) && new Set(rings.map(ring => JSON.stringify(ring))).size === 1;
  }

  #shown(): string {
    return this.#kit.nodes.map(({ name, cluster }) => `${name} ${JSON.stringify(cluster.describe().ring)}`).join('; ');
  }
}

it.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])('one owner a turn, and one ring in the end (seed %i)', async seed => {
  const chaos = new RingChaos(seed);
  await chaos.run();
  expect(chaos.problems).toEqual([]);
  expect(chaos.handed).toBeGreaterThan(10);
});
