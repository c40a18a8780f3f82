// Who founds (src/runtime/cluster/first-ring.ts): three nodes by themselves, whose words arrive, or do not, as a test wants.

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TroupeError } from '../../../src/errors.ts';
import { foundAskMs, votesWaitingMax } from '../../../src/limits.ts';
import type { Vote } from '../../../src/runtime/cluster/decree.ts';
import { FirstRing } from '../../../src/runtime/cluster/first-ring.ts';
import type { Voters } from '../../../src/runtime/cluster/joining.ts';
import { ballotOf, voteOf } from '../../../src/runtime/cluster/ring-text.ts';
import type { NodeWord } from '../../../src/runtime/gateway/gateway.ts';
import { founded, type RingState } from '../../../src/runtime/ownership/holdings.ts';
import { changed, emptyRing, type Ring } from '../../../src/runtime/ownership/ring.ts';
import { ClusterKit } from '../../../src/testing/cluster-kit-host.ts';
import { virtualWorld } from '../../../src/testing/virtual-world.ts';
import { member } from '../ownership/clusters.ts';

const names = ['n1', 'n2', 'n3'];
const voters: Voters = { names, size: 3 };
const ringOf = (by: string): Ring =>
  changed(emptyRing({ cluster: 'c', partitions: 4, claimant: by }), by, {
    owners: [by, by, by, by],
    members: [member(by)],
  });

let world: ReturnType<typeof virtualWorld>;
/** A word on its way, by who says it to whom: false loses it, null loses its answer. */
let passes: (from: string, to: string, word: string) => boolean | null;
let nodes: Map<string, Node>;

class Node {
  readonly words = new Map<string, NodeWord>();
  readonly heard: unknown[] = [];
  readonly misfits: string[] = [];
  state: RingState | undefined;
  partitions = 4;
  vote: Vote<Ring> | undefined;
  saves: () => Promise<void> = async () => undefined;
  first: FirstRing;
  readonly name: string;

  constructor(name: string) {
    this.name = name;
    this.first = this.#begin();
    nodes.set(name, this);
  }

  /** What it had in memory is gone. */
  restart(): void {
    this.words.clear();
    this.first = this.#begin();
  }

  #begin(): FirstRing {
    const self = this;
    return new FirstRing({
      ...{ cluster: 'c', name: this.name, partitions: this.partitions, world },
      onForeign: (from, error) => void this.misfits.push(`${from} ${error.code} ${error.details.option}`),
      linked: new Map(names.filter(name => name !== this.name).map(name => [name, names.indexOf(name)])),
      keeper: {
        get state() {
          return self.state;
        },
        hear: (_from, state) => {
          self.heard.push(state);
          self.state = state as RingState;
        },
      },
      gateway: {
        nameOf: number => names[number],
        on: (name, word) => void this.words.set(name, word),
        asked: async (number, word, payload) => {
          const to = names[number] as string;
          const way = passes(this.name, to, word);
          const answer =
            way === false ? undefined : await nodes.get(to)?.words.get(word)?.(0, structuredClone(payload));
          return way === true ? structuredClone(answer) : new Promise(() => undefined);
        },
      },
      memory: {
        vote: this.vote,
        saveVote: async vote => {
          await this.saves();
          this.vote = vote;
        },
      },
    });
  }

  decide(): Promise<Ring | undefined> {
    return this.first.decide(ringOf(this.name), voters);
  }

  /** What it fails with: OVERLOADED once everybody's time is over. */
  async fails(): Promise<string> {
    const error = this.decide().then(
      () => 'ok',
      thrown => thrown.code,
    );
    await world.clock.advance(foundAskMs);
    await world.clock.advance(foundAskMs);
    return error;
  }
}

beforeEach(() => beforeAnew());
function beforeAnew(): void {
  world = virtualWorld({ seed: 1 });
  world.clock.rest = () => world.clock.loopTurn();
  passes = () => true;
  nodes = new Map();
  for (const name of names) new Node(name);
}
const node = (name: string): Node => nodes.get(name) as Node;

describe('the first ring', () => {
  it("is the founder's when nobody has agreed to another, and is with more than half by then", async () => {
    expect(await node('n1').decide()).toEqual(ringOf('n1'));
    const accepted = names.filter(name => node(name).vote?.accepted !== undefined);
    expect(accepted.length).toBeGreaterThanOrEqual(2);
  });

  it('is not that of a founder that was lost before anybody heard of it: it takes the one of the others', async () => {
    passes = (from, _to, word) => !(from === 'n1' && word === 'found-accept');
    expect(await node('n1').fails()).toBe('OVERLOADED');
    expect(node('n1').vote?.accepted?.value).toEqual(ringOf('n1'));
    passes = (from, to) => from !== 'n1' && to !== 'n1';
    expect(await node('n2').decide()).toEqual(ringOf('n2'));
    passes = () => true;
    node('n1').restart();
    await expect(node('n1').decide()).rejects.toThrow('1 of 3 have agreed');
    expect(await node('n1').decide()).toEqual(ringOf('n2'));
  });

  it('is that of a founder that was lost, where another one has accepted it, whoever founds next', async () => {
    passes = (from, to, word) => (word === 'found-accept' ? (from === 'n1' && to === 'n2' ? null : false) : true);
    expect(await node('n1').fails()).toBe('OVERLOADED');
    passes = (from, to) => from !== 'n1' && to !== 'n1';
    node('n2').restart();
    expect(await node('n2').decide()).toEqual(ringOf('n1'));
    expect(node('n3').vote?.accepted?.value).toEqual(ringOf('n1'));
  });

  it('is the one that a voter has by then', async () => {
    const state = founded(ringOf('n3'));
    node('n3').state = state;
    passes = (_from, to) => to === 'n3';
    expect(await node('n1').decide()).toBeUndefined();
    expect(node('n1').heard).toEqual([state]);
    expect(node('n3').vote).toBeUndefined();
  });

  it("is nobody's while fewer than half agree, or cannot write that they do", async () => {
    passes = () => false;
    expect(await node('n1').fails()).toBe('OVERLOADED');
    passes = () => true;
    const full = async (): Promise<void> => {
      throw new TroupeError('DISK_FULL', 'no room');
    };
    for (const name of ['n2', 'n3']) node(name).saves = full;
    await expect(node('n1').decide()).rejects.toMatchObject({ code: 'OVERLOADED', details: { votes: 1, of: 3 } });
    expect(node('n2').vote).toBeUndefined();
    node('n1').saves = full;
    await expect(node('n1').decide()).rejects.toMatchObject({ code: 'DISK_FULL' });
    for (const name of names) node(name).saves = async () => undefined;
    expect(await node('n1').decide()).toEqual(ringOf('n1'));
  });

  it("is nobody's where the options of too many are others: both are told which", async () => {
    node('n3').partitions = 8;
    node('n3').restart();
    expect(await node('n1').decide()).toEqual(ringOf('n1'));
    expect(node('n3').misfits).toEqual(['n1 BAD_OPTION partitions']);
    beforeAnew();
    for (const name of ['n2', 'n3']) {
      node(name).partitions = 8;
      node(name).restart();
    }
    await expect(node('n1').decide()).rejects.toMatchObject({
      code: 'BAD_OPTION',
      message: expect.stringMatching(/^n[23] does not vote .* the ring has 4 partitions, and this node 8/),
      details: { option: 'partitions' },
    });
    expect(node('n2').vote).toBeUndefined();
  });

  it('comes also where a disk is slower than the founder waits at first, and nothing piles up there', async () => {
    let writes = 0;
    for (const name of ['n2', 'n3'])
      node(name).saves = () => {
        writes++;
        return new Promise(done => world.clock.timer(foundAskMs * 1.5, done));
      };
    let [tries, ring] = [0, undefined as Ring | undefined];
    const found = async (): Promise<void> => {
      for (; ring === undefined; tries++)
        ring = await node('n1')
          .decide()
          .catch(() => undefined);
    };
    void found();
    for (let s = 0; s < 120 && ring === undefined; s++) await world.clock.advance(1_000);
    expect(ring).toEqual(ringOf('n1'));
    expect(tries).toBeLessThanOrEqual(3);
    expect(writes).toBeLessThanOrEqual(2 * 2 * 3);
  });

  it('is voted for under the latest ballot only, and by no more at once than there is room for', async () => {
    let release = (): void => undefined;
    node('n2').saves = () => new Promise(done => (release = done));
    const ask = (round: number) =>
      Promise.resolve(
        node('n2').words.get('found-ask')?.(1, { ballot: { round, by: 'n1' }, cluster: 'c', partitions: 4 }),
      ).then(
        () => 'voted',
        error => error.code,
      );
    const asked = Array.from({ length: votesWaitingMax + 1 }, (_, index) => ask(index + 1));
    expect(await asked.at(-1)).toBe('OVERLOADED');
    let isOver = false;
    const all = Promise.all(asked).finally(() => {
      isOver = true;
    });
    while (!isOver) {
      release();
      await world.clock.loopTurn();
    }
    const outcomes = await all;
    expect(outcomes.filter(outcome => outcome === 'voted')).toHaveLength(1);
    expect(node('n2').vote?.promised.round).toBe(votesWaitingMax);
  });

  it('is one whatever two founders do at once', async () => {
    const all = await Promise.allSettled(names.map(name => node(name).decide()));
    const values = new Set(all.flatMap(each => (each.status === 'fulfilled' ? [JSON.stringify(each.value)] : [])));
    expect(values.size).toBeLessThanOrEqual(1);
    expect(
      await node('n2')
        .decide()
        .catch(() => node('n2').decide()),
    ).toBeDefined();
  });

  it('is refused as what it is not', () => {
    for (const no of [null, 7, {}, { round: -1, by: 'n1' }, { round: 1, by: '' }, { round: 1.5, by: 'n1' }])
      expect(() => ballotOf(no)).toThrow(expect.objectContaining({ code: 'BAD_MESSAGE' }));
    const ballot = { round: 1, by: 'n1' };
    expect(voteOf({ promised: ballot, accepted: null }, 'c', 4)).toEqual({ promised: ballot });
    expect(() => voteOf({ promised: ballot, accepted: { ballot, value: {} } }, 'c', 4)).toThrow('is no ring');
    expect(() => voteOf({ promised: ballot, accepted: { ballot, value: ringOf('n1') } }, 'c', 8)).toThrow('partitions');
    expect(() => node('n1').words.get('found-accept')?.(1, { ballot, ring: null })).toThrow('is no ring');
  });
});

describe('a cluster whose founder is lost as it founds', () => {
  let kit: ClusterKit;
  afterEach(() => kit.close());

  it('is founded by the others, and the founder goes by their ring when it is back', async () => {
    kit = new ClusterKit(3, { actors: [] });
    const started = kit.start().catch(error => error);
    const isUp = (): boolean => kit.nodes.every(({ cluster }) => cluster.members().length === 3);
    while (!isUp()) await kit.clock.advance(10);
    // What it says from here on reaches nobody.
    kit.partition([['n1'], ['n2', 'n3']]);
    await kit.clock.advance(5_000);
    kit.node('n1').crash(true);
    kit.heal();
    await kit.clock.advance(120_000);
    const rest = kit.nodes.filter(each => each.name !== 'n1');
    for (const { cluster } of rest) expect(cluster.effectiveRing()).toBeDefined();
    await kit.restart('n1');
    await started;
    await kit.run(kit.node('n1').cluster.ready(), 60_000);
    await kit.clock.advance(30_000);
    expect(new Set(kit.nodes.map(({ cluster }) => JSON.stringify(cluster.ring()))).size).toBe(1);
    expect(kit.node('n1').cluster.effectiveRing()?.owners).toContain('n1');
    expect(kit.nodes.flatMap(({ events }) => events).some(({ name }) => name === 'ring-conflict')).toBe(false);
  });
});
