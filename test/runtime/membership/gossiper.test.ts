// Gossipers that only exchange bytes, in virtual time: what a node can rely on.

import { describe, expect, it } from 'vitest';
import { gossipBlobCharsMax, gossipBytesMax, gossipDigestsMax, gossipStatesMax } from '../../../src/limits.ts';
import { checkMessage, decodeMessage, encodeMessage } from '../../../src/runtime/membership/gossip-messages.ts';
import type { To } from '../../../src/runtime/membership/gossip-types.ts';
import { Gossiper } from '../../../src/runtime/membership/gossiper.ts';
import type { MemberRecord } from '../../../src/runtime/membership/member.ts';
import { seededRandom } from '../../../src/testing/virtual-world.ts';
import { GossipBus } from './gossip-bus.ts';

const names = (count: number): string[] => Array.from({ length: count }, (_, at) => `n${at}`);
const everybody = (bus: GossipBus, who: readonly string[], view: string): boolean =>
  who.every(name => bus.view(name) === view);
const allUp = (who: readonly string[]): string => who.map(name => `${name}: up`).join(', ');

/** Long enough for the phi windows to know what is usual. */
async function grown(count: number): Promise<GossipBus> {
  const bus = new GossipBus();
  for (const name of names(count)) bus.start(name);
  expect(await bus.until(10_000, () => everybody(bus, names(count), allUp(names(count))))).toBeDefined();
  await bus.world.clock.advance(30_000);
  return bus;
}

describe('a gossiper', () => {
  it('joins by a seed, and everybody is told of everybody once', async () => {
    const bus = await grown(4);
    for (const name of names(4)) {
      expect(bus.told(name, 'member-joined')).toHaveLength(3);
      expect(bus.told(name, 'member-up')).toHaveLength(3);
    }
    expect(bus.node('n0').describe()).toEqual({
      ...{ halted: undefined, members: 4, refused: {}, failed: 0, foreign: 0 },
      round: expect.closeTo(31, -1),
    });
  });

  it('goes one round a second, the first at once', async () => {
    const bus = new GossipBus();
    const node = bus.start('n0');
    expect(node.describe().round).toBe(1);
    node.start();
    await bus.world.clock.advance(10_000);
    expect(node.describe().round).toBe(11);
  });

  it('makes one cluster of two halves once one of them is given a seed in the other', async () => {
    const bus = new GossipBus();
    for (const name of ['n0', 'n1']) bus.start(name);
    for (const name of ['n2', 'n3']) bus.start(name, { seeds: ['n2:1'] });
    await bus.world.clock.advance(20_000);
    expect([bus.view('n0'), bus.view('n3')]).toEqual(['n0: up, n1: up', 'n2: up, n3: up']);
    bus.start('n4', { seeds: ['n0:1', 'n2:1'] });
    expect(await bus.until(60_000, () => everybody(bus, names(5), allUp(names(5))))).toBeDefined();
  });

  it('suspects a crashed member, then all call it down, and nobody else', async () => {
    const bus = await grown(5);
    bus.process('n3').isDead = true;
    const [a, ...others] = ['n0', 'n1', 'n2', 'n4'] as const;
    const isDown = (name: string): boolean => bus.view(name).includes('n3: down');
    expect(
      await bus.until(30_000, () => bus.events.some(({ event }) => event.name === 'member-suspect')),
    ).toBeDefined();
    expect(await bus.until(10_000, () => [a, ...others].every(isDown))).toBeDefined();
    const verdicts = bus.events.filter(({ event }) => ['member-suspect', 'member-down'].includes(event.name));
    expect(new Set(verdicts.map(({ event }) => 'member' in event && event.member))).toEqual(new Set(['n3']));
    expect(bus.told(a, 'member-down')).toHaveLength(1);
  });

  it('takes a restarted member back at once under its next incarnation, with what it says now', async () => {
    const bus = await grown(4);
    bus.process('n2').isDead = true;
    await bus.until(40_000, () => bus.view('n0').includes('n2: down'));
    bus.start('n2', { incarnation: 1_001, app: { epoch: 4, hash: 'four', blob: '' } });
    expect(await bus.until(5_000, () => everybody(bus, ['n0', 'n1', 'n3'], allUp(names(4))))).toBeDefined();
    expect(bus.told('n0', 'member-restarted')).toEqual([
      { name: 'member-restarted', member: 'n2', incarnation: 1_001 },
    ]);
    expect(bus.node('n0').appOf('n2')).toEqual({ epoch: 4, hash: 'four', blob: '' });
  });

  it('ends an older process of the same name that still runs', async () => {
    const bus = await grown(3);
    const older = bus.node('n2');
    bus.start('n2', { incarnation: 1_001, address: 'n2:2' });
    expect(await bus.until(20_000, () => older.describe().halted === 'superseded')).toBeDefined();
    expect(bus.told('n2', 'halted')).toEqual([
      { name: 'halted', why: 'superseded', incarnation: 1_001, address: expect.any(String) },
    ]);
    const { round } = older.describe();
    await bus.world.clock.advance(5_000);
    expect(older.describe().round).toBe(round);
  });

  it('accuses nobody after standing still itself, and is accused by nobody for 10 s of it', async () => {
    for (const ms of [3_000, 10_000, 25_000]) {
      const bus = await grown(5);
      bus.process('n1').standStill(ms);
      await bus.world.clock.advance(ms + 30_000);
      const verdicts = bus.events.filter(({ event }) => ['member-suspect', 'member-down'].includes(event.name));
      expect(verdicts.filter(({ node }) => node === 'n1')).toEqual([]);
      if (ms <= 10_000) expect(verdicts).toEqual([]);
      expect(everybody(bus, names(5), allUp(names(5)))).toBe(true);
    }
  });

  it('leaves: leaving while it serves, left for ever, and silent from then on', async () => {
    const bus = await grown(4);
    const leaver = bus.node('n1');
    leaver.leave();
    const others = ['n0', 'n2', 'n3'];
    expect(await bus.until(2_000, () => others.every(name => bus.view(name).includes('n1: leaving')))).toBeDefined();
    await bus.world.clock.advance(40_000);
    expect(bus.view('n0')).toContain('n1: leaving');
    leaver.left();
    expect(await bus.until(2_000, () => others.every(name => bus.view(name).includes('n1: left')))).toBeDefined();
    expect(leaver.describe().halted).toBe('left');
    await bus.world.clock.advance(60_000);
    expect(bus.told('n0', 'member-suspect')).toEqual([]);
    expect(bus.view('n0')).toContain('n1: left');
  });

  it('stops: down at once, still a member, and up again when it comes back', async () => {
    const bus = await grown(3);
    bus.node('n2').stop();
    expect(await bus.until(1_000, () => everybody(bus, ['n0', 'n1'], 'n0: up, n1: up, n2: down'))).toBeDefined();
    bus.start('n2', { incarnation: 1_001 });
    expect(await bus.until(5_000, () => everybody(bus, names(3), allUp(names(3))))).toBeDefined();
  });

  it('refuses a node of another cluster, which learns why', async () => {
    const bus = await grown(2);
    bus.start('n9', { cluster: 'other' });
    await bus.world.clock.advance(10_000);
    expect([bus.view('n0'), bus.view('n9')]).toEqual(['n0: up, n1: up', 'n9: up']);
    expect(bus.node('n0').describe().refused).toEqual({ 'wrong-cluster': expect.any(Number) });
    expect(bus.told('n9', 'refused')).toContainEqual(expect.objectContaining({ why: 'wrong-cluster', member: 'n0' }));
  });

  it('removes a live member, which halts; its name is quarantined for 60 s', async () => {
    const bus = await grown(3);
    bus.node('n0').remove('n2');
    const removed = bus.node('n2');
    expect(await bus.until(2_000, () => removed.describe().halted === 'removed')).toBeDefined();
    expect(await bus.until(2_000, () => bus.view('n1').includes('n2: removed'))).toBeDefined();
    bus.start('n2', { incarnation: 1_001 });
    await bus.world.clock.advance(50_000);
    expect([bus.view('n0'), bus.view('n1')]).toEqual(Array(2).fill('n0: up, n1: up, n2: removed'));
    expect(bus.told('n2', 'refused-by')).toContainEqual(expect.objectContaining({ why: 'quarantined' }));
    expect(await bus.until(25_000, () => everybody(bus, ['n0', 'n1'], allUp(names(3))))).toBeDefined();
  });

  it('calls nobody down, or even suspect, who cannot hear one member: others carry its heartbeats', async () => {
    const bus = await grown(4);
    bus.cuts.add('n1>n2');
    await bus.world.clock.advance(120_000);
    expect(bus.events.filter(({ event }) => ['member-suspect', 'member-down'].includes(event.name))).toEqual([]);
  });

  it('marks down by order until the member is heard again', async () => {
    const bus = await grown(3);
    bus.node('n0').markDown('n2');
    expect(bus.view('n0')).toContain('n2: down');
    expect(await bus.until(10_000, () => everybody(bus, names(3), allUp(names(3))))).toBeDefined();
  });

  it('tells of the state of the application once for each change, to newcomers too', async () => {
    const bus = await grown(3);
    bus.node('n1').setApp({ epoch: 1, hash: 'one', blob: 'x'.repeat(gossipBlobCharsMax) });
    await bus.world.clock.advance(5_000);
    bus.start('n3');
    await bus.world.clock.advance(5_000);
    for (const name of ['n0', 'n2', 'n3']) {
      expect(bus.told(name, 'app-changed')).toEqual([
        expect.objectContaining({ member: 'n1', app: expect.objectContaining({ epoch: 1, hash: 'one' }) }),
      ]);
    }
    expect(bus.told('n1', 'app-changed')).toEqual([]);
  });

  it('refuses to say what others would refuse to hear, and changes nothing', async () => {
    const bus = await grown(2);
    const tooLarge = { epoch: 1, hash: '', blob: 'x'.repeat(gossipBlobCharsMax + 1) };
    expect(() => bus.node('n1').setApp(tooLarge)).toThrow(/app of member 'n1'.*4096/);
    expect(bus.node('n1').appOf('n1')).toBeUndefined();
    for (const [wrong, why] of [
      [{ name: 'N 1' }, /name of member/],
      [{ cluster: 'c'.repeat(65) }, /^cluster/],
      [{ incarnation: 2 ** 46 }, /incarnation of/],
      [{ address: 'a'.repeat(256) }, /address of/],
      [{ options: { weight: 0 } }, /weight of/],
      [{ options: { protocol: [1, -1] as const } }, /protocol of/],
    ] as const) {
      expect(() => bus.start('x', wrong)).toThrow(
        expect.objectContaining({ code: 'BAD_OPTION', message: expect.stringMatching(why) }),
      );
    }
  });
});

describe('the bytes of gossip', () => {
  const longest: MemberRecord = {
    ...{ name: 'n'.repeat(32), incarnation: 2 ** 45, version: 2 ** 45, heartbeat: 2 ** 45, status: 'leaving' },
    ...{ address: '愛'.repeat(255), zone: '愛'.repeat(64), rack: '愛'.repeat(64), weight: 0.1, capacity: 0.1 },
    protocol: [2 ** 45, 2 ** 45],
    app: { epoch: 2 ** 45, hash: '愛'.repeat(64), blob: '愛'.repeat(gossipBlobCharsMax) },
    suspicions: Array.from({ length: 4 }, (_, at) => ({ by: `${at}`.padEnd(32, 'x'), seq: 2 ** 45 })),
    down: true,
    removed: true,
  };
  const largest = {
    ...{ cluster: '愛'.repeat(64), from: longest.name, incarnation: 1 },
    body: {
      ...{ type: 'ack' as const, seq: 1, count: 1, states: Array<MemberRecord>(gossipStatesMax).fill(longest) },
      digests: Array.from(
        { length: gossipDigestsMax },
        () => [longest.name, 2 ** 45, 2 ** 45, 2 ** 45, 2 ** 52] as const,
      ),
    },
  };

  it('hold the largest message there can be', () => {
    const bytes = encodeMessage(largest);
    expect(bytes.length).toBeLessThanOrEqual(gossipBytesMax);
    expect(checkMessage(decodeMessage(bytes))).toEqual(largest);
  });

  it('are judged by their length before they are read', () => {
    expect(decodeMessage(new Uint8Array(gossipBytesMax + 1))).toBeUndefined();
  });

  it('that are mangled are counted and refused, change no member, and never throw', () => {
    const events: string[] = [];
    const bus = new GossipBus();
    const node = new Gossiper({
      ...{ world: bus.world, cluster: 'c', name: 'n0', incarnation: 5, address: 'n0:1' },
      send: () => {
        throw new Error('nobody may be answered');
      },
      onEvent: event => void events.push(event.name),
    });
    const ping = { cluster: 'c', from: 'n1', incarnation: 5, body: { type: 'states' as const, states: [] } };
    const good = encodeMessage(ping);
    const random = seededRandom(3);
    const before = node.members();
    let refused = 0;
    for (let round = 0; round < 2_000; round++) {
      const bytes = round % 2 === 0 ? random.bytes(random.u32() % 64) : good.slice(0, random.u32() % good.length);
      node.receive('somewhere', bytes);
      refused++;
    }
    expect(node.describe().refused).toEqual({ 'bad-message': refused });
    expect(events).toEqual(Array(refused).fill('refused'));
    expect(node.members()).toEqual(before);
    expect(node.describe().failed).toBe(0);
  });
});

describe('the seams of a gossiper', () => {
  it('may throw: it is counted, the others are still called, and rounds go on', async () => {
    const bus = new GossipBus();
    const logged: object[] = [];
    const log = { ...bus.world.log, warn: (fields: object | string) => void logged.push(fields as object) };
    const node = bus.start('n0', {
      log,
      seeds: ['n7:1'],
      send: () => {
        throw new Error('no link');
      },
    });
    await bus.world.clock.advance(5_000);
    expect(node.describe()).toMatchObject({ round: 6, failed: 6 });
    expect(logged[0]).toMatchObject({ effect: 'send', err: expect.objectContaining({ message: 'no link' }) });
  });

  it('may call back: orders given in an event are carried out after what was under way', async () => {
    const bus = new GossipBus();
    const seen: string[] = [];
    bus.start('n0', {
      onEvent: event => {
        seen.push(event.name);
        if (event.name === 'member-joined') bus.node('n0').remove(event.member);
      },
    });
    bus.start('n1');
    await bus.world.clock.advance(3_000);
    expect(seen).toEqual(['member-joined', 'member-removed']);
    expect(bus.node('n1').describe().halted).toBe('removed');
  });

  it('learn by which link to answer somebody who has no name here yet', () => {
    const { world } = new GossipBus();
    const answers: To[] = [];
    const own = { world, cluster: 'c', name: 'n0', incarnation: 5, address: 'n0:1' };
    const node = new Gossiper({ ...own, send: to => void answers.push(to), onEvent: () => undefined });
    const link = { socket: 7 };
    const syn = {
      cluster: 'c',
      from: 'n1',
      incarnation: 5,
      body: { type: 'syn' as const, seq: 1, count: 1, digests: [] },
    };
    node.receive(link, encodeMessage(syn));
    expect(answers.map(({ via }) => via)).toEqual([link]);
  });
});
