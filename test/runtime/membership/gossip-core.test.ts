// The machine by hand: one core, and what it answers to each message, tick and order.

import { describe, expect, it } from 'vitest';
import { gossipBurstsPerRoundMax, gossipFanOut, probesPerRoundMax } from '../../../src/limits.ts';
import { Gossip } from '../../../src/runtime/membership/gossip.ts';
import type { GossipBody } from '../../../src/runtime/membership/gossip-messages.ts';
import type { Effect, GossipEvent, GossipOptions, Input } from '../../../src/runtime/membership/gossip-types.ts';
import type { MemberRecord } from '../../../src/runtime/membership/member.ts';
import { seededRandom } from '../../../src/testing/virtual-world.ts';

const second = 1_000;
const record = (name: string, more: Partial<MemberRecord> = {}): MemberRecord => ({
  ...{ name, incarnation: 1_000, version: 1, heartbeat: 1, status: 'up', address: `${name}:1`, zone: 'z1', rack: 'r1' },
  ...{ weight: 1, capacity: 1, protocol: [1, 1], app: undefined, suspicions: [], down: false, removed: false },
  ...more,
});

/** A core named n0 and its clock. */
class Hand {
  now = 0;
  readonly core: Gossip;
  effects: Effect[] = [];

  constructor(options: Partial<GossipOptions> = {}) {
    const { u32: random } = seededRandom(7);
    this.core = new Gossip({ cluster: 'c', name: 'n0', incarnation: 1_000, address: 'n0:1', random, ...options }, 0);
  }

  step(input: Input): this {
    this.effects = this.core.step(input, this.now);
    return this;
  }

  hear(from: string, body: object, more: object = {}): this {
    return this.step({ type: 'heard', message: { cluster: 'c', from, incarnation: 1_000, body, ...more }, via: from });
  }

  learn(...states: MemberRecord[]): this {
    return this.hear(states[0]?.name === 'n0' ? 'n9' : (states[0] as MemberRecord).name, { type: 'states', states });
  }

  /** Met, and has answered. */
  meet(...names: string[]): this {
    for (const name of names) this.learn(record(name)).answer(name);
    return this;
  }

  answer(name: string, seq = this.seq): this {
    return this.hear(name, { type: 'pong', seq, digest: [name, 1_000, 1, 1, 0] });
  }

  /** Rounds, in each of which the members named are heard of. */
  rounds(count: number, ...alive: string[]): this {
    for (let round = 0; round < count; round++) {
      this.now += second;
      for (const name of alive) this.hear(name, { type: 'states', states: [this.beatOf(name)] });
      this.step({ type: 'tick' });
    }
    return this;
  }

  beatOf(name: string): MemberRecord {
    return record(name, { heartbeat: this.now / second + 1 });
  }

  get seq(): number {
    return this.row('n0')?.heartbeat as number;
  }

  row(name: string) {
    return this.core.members(this.now).find(row => row.name === name);
  }

  status(name: string): string | undefined {
    return this.row(name)?.status;
  }

  sent<Type extends GossipBody['type']>(type: Type): { to: string; body: Extract<GossipBody, { type: Type }> }[] {
    return this.effects.flatMap(effect => {
      if (effect.type !== 'send' || effect.message.body.type !== type) return [];
      const to = (effect.to.via as string | undefined) ?? effect.to.name ?? (effect.to.address as string);
      return [{ to, body: effect.message.body as Extract<GossipBody, { type: Type }> }];
    });
  }

  events(name: GossipEvent['name']): GossipEvent[] {
    return this.effects.flatMap(effect =>
      effect.type === 'event' && effect.event.name === name ? [effect.event] : [],
    );
  }
}

describe('a probe through others', () => {
  it('is a ping for the asker, whose answer goes back to it', () => {
    const helper = new Hand().meet('n1', 'n2');
    expect(helper.hear('n1', { type: 'probe', seq: 4, target: 'n2' }).sent('ping')).toEqual([
      { to: 'n2', body: { type: 'ping', seq: helper.seq, for: 'n1' } },
    ]);
    const pong = { type: 'pong', seq: helper.seq, for: 'n1', digest: ['n2', 1_000, 1, 9, 0] };
    expect(helper.hear('n2', pong).sent('pong')).toEqual([{ to: 'n1', body: pong }]);
    expect(helper.row('n2')?.heartbeat).toBe(9);
  });

  it('is answered under the seq and the asker it came with', () => {
    const target = new Hand().meet('n1');
    expect(target.hear('n1', { type: 'ping', seq: 77, for: 'n9' }).sent('pong')).toEqual([
      { to: 'n1', body: { type: 'pong', seq: 77, for: 'n9', digest: ['n0', 1_000, 1, 1, 0] } },
    ]);
  });

  it('brings its heartbeat and no echo: that it answers somebody else does not bring it up', () => {
    const asker = new Hand().meet('n1').learn(record('n2'));
    asker.hear('n1', { type: 'pong', seq: asker.seq, for: 'n0', digest: ['n2', 1_000, 1, 5, 0] });
    expect([asker.status('n2'), asker.row('n2')?.heartbeat]).toEqual(['joining', 5]);
    expect(asker.sent('pong')).toEqual([]);
  });

  it('goes nowhere for a stranger, for the helper itself, and back to nobody unknown', () => {
    const helper = new Hand().meet('n1');
    expect(helper.hear('n1', { type: 'probe', seq: 1, target: 'n7' }).effects).toEqual([]);
    expect(helper.hear('n1', { type: 'probe', seq: 1, target: 'n0' }).effects).toEqual([]);
    expect(helper.hear('n1', { type: 'pong', seq: 1, for: 'n7', digest: ['n1', 1_000, 1, 1, 0] }).effects).toEqual([]);
  });

  it('asks two who are not suspect themselves, beside the direct ping', () => {
    const hand = new Hand().meet('n1', 'n2', 'n3', 'n4', 'n5');
    hand.rounds(30, 'n1', 'n2', 'n3', 'n4', 'n5').rounds(22, 'n1', 'n2', 'n3');
    expect([hand.status('n4'), hand.status('n5')]).toEqual(['suspect', 'suspect']);
    expect(
      hand
        .sent('ping')
        .map(({ to }) => to)
        .sort(),
    ).toEqual(['n4', 'n5']);
    const asked = hand.sent('probe');
    expect(asked).toHaveLength(4);
    for (const { to, body } of asked)
      expect([to, body.target]).toEqual([expect.stringMatching(/n[123]/), expect.stringMatching(/n[45]/)]);
  });
});

describe('an echo', () => {
  it.each([
    ['of this round', 0, 'up'],
    ['of ten rounds ago', -10, 'up'],
    ['that is older', -11, 'joining'],
    ['of a round to come', 1, 'joining'],
  ])('%s', (_, shift, status) => {
    const hand = new Hand().learn(record('n1')).rounds(15, 'n1');
    expect(hand.answer('n1', hand.seq + shift).status('n1')).toBe(status);
  });

  it('is of the member itself, not of another by whose name it was sent', () => {
    const hand = new Hand().learn(record('n1')).learn(record('n2'));
    hand.hear('n1', { type: 'pong', seq: 1, digest: ['n2', 1_000, 1, 1, 0] });
    expect([hand.status('n1'), hand.status('n2')]).toEqual(['joining', 'joining']);
  });

  it('of another life counts for nothing', () => {
    const hand = new Hand().learn(record('n1'));
    hand.hear('n1', { type: 'pong', seq: 1, digest: ['n1', 1_001, 1, 1, 0] }, { incarnation: 1_001 });
    expect(hand.status('n1')).toBe('joining');
  });

  it('is asked of newcomers each round, of so many only, and of each in the end', () => {
    const names = Array.from({ length: 20 }, (_, at) => `m${at}`);
    const hand = new Hand().learn(...names.map(name => record(name)));
    const asked = new Set<string>();
    for (let round = 0; round < 12; round++) {
      const pings = hand
        .rounds(1, ...names)
        .sent('ping')
        .map(({ to }) => to);
      expect(pings).toHaveLength(probesPerRoundMax);
      for (const to of pings) asked.add(to);
    }
    expect(asked.size).toBe(20);
  });
});

describe('the dead', () => {
  const kept = 3_600 * second;
  it.each([
    ['left', { status: 'left' }],
    ['removed', { removed: true }],
  ] as const)('%s are kept for their time, and forgotten after it', (status, change) => {
    const hand = new Hand({ deadKeptMs: kept }).meet('n1', 'n2');
    hand.now += second;
    hand.learn(record('n1', { version: 2, ...change }));
    expect(hand.status('n1')).toBe(status);
    hand.now += kept;
    expect(hand.step({ type: 'tick' }).status('n1')).toBe(status);
    hand.now += second;
    expect(hand.step({ type: 'tick' }).status('n1')).toBeUndefined();
    expect(hand.core.describe().members).toBe(2);
    const [syn] = hand.rounds(1, 'n2').sent('syn');
    expect([syn?.to, syn?.body.digests.map(([name]) => name)]).toEqual(['n2', ['n0', 'n2']]);
  });

  it('that are down only are kept for ever', () => {
    const hand = new Hand({ deadKeptMs: kept }).meet('n1').step({ type: 'mark-down', name: 'n1' });
    hand.now += 2 * kept;
    expect(hand.step({ type: 'tick' }).status('n1')).toBe('down');
  });

  it('are told to nobody in each round, but who is down is tried now and then', () => {
    const hand = new Hand().meet('n1', 'n2', 'n3').step({ type: 'mark-down', name: 'n1' });
    hand.step({ type: 'remove', name: 'n2' });
    const tried = new Map<string, number>();
    for (let round = 0; round < 200; round++) {
      for (const { to } of hand.rounds(1, 'n3').sent('syn')) tried.set(to, (tried.get(to) ?? 0) + 1);
    }
    expect(tried.get('n3')).toBe(200);
    expect(tried.get('n2')).toBeUndefined();
    // One of two who could answer: about every second round.
    expect(tried.get('n1')).toBeGreaterThan(60);
    expect(tried.get('n1')).toBeLessThan(140);
  });

  it.each([
    [59_999, 'removed'],
    [60_000, 'joining'],
  ])('%d ms after a removal a new life is %s', (waited, status) => {
    const hand = new Hand().meet('n1').step({ type: 'remove', name: 'n1' });
    hand.now += waited;
    const anew = { type: 'states', states: [record('n1', { incarnation: 1_001 })] };
    expect(hand.hear('n1', anew, { incarnation: 1_001 }).status('n1')).toBe(status);
  });
});

describe('an order', () => {
  it('marks down, is told at once, and is taken back by a heartbeat and an echo', () => {
    const hand = new Hand().meet('n1', 'n2');
    hand.step({ type: 'mark-down', name: 'n1' });
    expect(hand.events('member-down')).toEqual([{ name: 'member-down', member: 'n1', incarnation: 1_000 }]);
    expect(hand.sent('states').map(({ to, body }) => [to, body.states[0]])).toEqual([
      ['n2', record('n1', { down: true })],
    ]);
    hand.learn(record('n1', { heartbeat: 2 }));
    expect(hand.status('n1')).toBe('joining');
    expect(hand.answer('n1').events('member-up')).toHaveLength(1);
  });

  it.each(['mark-down', 'remove'] as const)('to %s this node, or nobody known, does nothing', type => {
    const hand = new Hand().meet('n1');
    expect(hand.step({ type, name: 'n0' }).effects).toEqual([]);
    expect(hand.step({ type, name: 'n7' }).effects).toEqual([]);
    expect(hand.core.members(0).map(({ status }) => status)).toEqual(['up', 'up']);
  });
});

describe('a tick', () => {
  it('that comes early is none', () => {
    const hand = new Hand().meet('n1').step({ type: 'tick' });
    const { seq } = hand;
    hand.now += second - 1;
    expect(hand.step({ type: 'tick' }).effects).toEqual([]);
    hand.now += 1;
    expect(hand.seq).toBe(seq);
    expect(hand.step({ type: 'tick' }).seq).toBe(seq + 1);
  });

  it('that comes late after a pause judges nobody, nor does the next, and the pause is no silence', () => {
    const hand = new Hand().meet('n1', 'n2').rounds(100, 'n1', 'n2').rounds(18);
    expect(hand.status('n1')).toBe('up');
    hand.now += 60 * second;
    expect([1, 2, 3].map(() => hand.rounds(1).status('n1'))).toEqual(['up', 'up', 'suspect']);
    expect(hand.row('n1')?.phi).toBeCloseTo(21 / Math.LN10, 0);
  });
});

describe('a refusal', () => {
  it('is not refused in its turn', () => {
    const hand = new Hand();
    const refuse = { type: 'refuse', why: 'wrong-cluster', incarnation: 0 };
    expect(hand.hear('n9', refuse, { cluster: 'd' }).effects.map(({ type }) => type)).toEqual(['event']);
  });

  it.each([
    ['stale-incarnation', 1_001, 'superseded'],
    ['stale-incarnation', 1_000, undefined],
    ['stale-incarnation', 1_000 + 400 * 86_400, undefined],
    ['removed', 1_000, 'removed'],
    ['quarantined', 1_001, undefined],
    ['wrong-cluster', 1_001, undefined],
    ['table-full', 1_001, undefined],
  ] as const)('%s of incarnation %d ends this machine as %s', (why, incarnation, halted) => {
    const hand = new Hand().meet('n1').hear('n1', { type: 'refuse', why, incarnation });
    expect(hand.events('refused-by')).toEqual([{ name: 'refused-by', why, member: 'n1', incarnation }]);
    expect(hand.core.halted).toBe(halted);
    expect(hand.core.nextAt).toBe(halted === undefined ? 0 : Number.POSITIVE_INFINITY);
  });

  it.each([
    ['removed', 1_000, 0],
    ['quarantined', 1_001, 59_999],
    ['stale-incarnation', 999, 0],
  ])('says why: %s', (why, incarnation, waited) => {
    const hand = new Hand().meet('n1').step({ type: 'remove', name: 'n1' });
    hand.now += waited;
    const [refused] = hand.hear('n1', { type: 'ping', seq: 1 }, { incarnation }).sent('refuse');
    expect(refused?.body).toEqual({ type: 'refuse', why, incarnation: 1_000 });
  });
});

describe('a name that two live under', () => {
  it('is told of once, and its older life is told to end', () => {
    const hand = new Hand().meet('n1');
    const again = (): Hand => hand.hear('n0', { type: 'ping', seq: 1 }, { incarnation: 999 });
    expect(again().events('name-conflict')).toEqual([
      { name: 'name-conflict', member: 'n0', incarnation: 1_000, other: 999, address: '' },
    ]);
    expect(hand.sent('refuse').map(({ body }) => [body.why, body.incarnation])).toEqual([['stale-incarnation', 1_000]]);
    expect(again().events('name-conflict')).toEqual([]);
    expect(again().sent('refuse')).toHaveLength(1);
  });

  it('says more of itself than was ever said of it, if its records come back to it', () => {
    const hand = new Hand().meet('n1');
    hand.learn(record('n0', { version: 8, heartbeat: 70, weight: 3 }));
    const [told] = hand.sent('states').flatMap(({ body }) => body.states);
    expect(told).toMatchObject({ version: 9, heartbeat: 71, weight: 1 });
  });
});

describe('a removal', () => {
  it('is told to who is removed', () => {
    const hand = new Hand().meet('n1', 'n2').step({ type: 'remove', name: 'n1' });
    expect(hand.sent('states').find(({ to }) => to === 'n1')?.body.states).toEqual([record('n1', { removed: true })]);
  });

  it('of a later life is kept from its own time on', () => {
    const hand = new Hand({ deadKeptMs: 100 * second }).meet('n1').step({ type: 'remove', name: 'n1' });
    hand.now += 70 * second;
    const life = { incarnation: 1_001 };
    hand.hear('n1', { type: 'states', states: [record('n1', life)] }, life).step({ type: 'remove', name: 'n1' });
    hand.now += 100 * second;
    expect(hand.step({ type: 'tick' }).status('n1')).toBe('removed');
  });
});

describe('a life', () => {
  it('that begins anew has a window of its own', () => {
    const hand = new Hand().meet('n1', 'n2').rounds(30, 'n1', 'n2').rounds(15, 'n2');
    const life = { incarnation: 1_001, heartbeat: 1 };
    hand.hear('n1', { type: 'states', states: [record('n1', life)] }, { incarnation: 1_001 });
    expect(hand.row('n1')?.phi).toBe(0);
    // Of its first interval a guess, twice a round: 18.42 x 2 s.
    expect(hand.rounds(36, 'n2').status('n1')).toBe('joining');
    expect(hand.rounds(1, 'n2').status('n1')).toBe('suspect');
  });
});

describe('a member at whose address nobody listens', () => {
  const refusedFor = (rounds: number, hand: Hand = new Hand().meet('n1', 'n2').rounds(30, 'n1', 'n2')): Hand => {
    for (let round = 0; round < rounds; round++) {
      hand.step({ type: 'dial-refused', name: 'n1' });
      // What others have heard of it last is still on its way.
      hand.now += second;
      hand.hear('n2', { type: 'states', states: [hand.beatOf('n1'), hand.beatOf('n2')] }).step({ type: 'tick' });
    }
    return hand;
  };

  it('is suspect after three seconds of refusals, and down when another says so', () => {
    expect(refusedFor(2).status('n1')).toBe('up');
    const hand = refusedFor(3);
    expect(hand.status('n1')).toBe('suspect');
    const { heartbeat } = hand.beatOf('n1');
    hand.learn(record('n2', { heartbeat }), record('n1', { heartbeat, suspicions: [{ by: 'n2', seq: 40 }] }));
    expect(hand.status('n1')).toBe('down');
  });

  it.each([
    ['a dial that ends otherwise', (hand: Hand) => hand.step({ type: 'dial-failed', name: 'n1' })],
    ['a word of its own', (hand: Hand) => hand.answer('n1')],
    [
      'its next life',
      (hand: Hand) => {
        const next = record('n1', { incarnation: 1_001 });
        return hand.hear('n1', { type: 'states', states: [next] }, { incarnation: 1_001 });
      },
    ],
  ])('is given the time again after %s', (_, says) => {
    const hand = says(refusedFor(2));
    expect(refusedFor(2, hand).status('n1')).not.toBe('suspect');
    expect(refusedFor(1, hand).status('n1')).toBe('suspect');
  });

  it('is nobody that this node does not know, and not this node', () => {
    const hand = new Hand().step({ type: 'dial-refused', name: 'n7' }).step({ type: 'dial-refused', name: 'n0' });
    expect(hand.rounds(10).core.members(hand.now)).toMatchObject([{ name: 'n0', status: 'up' }]);
  });
});

describe('of the last two', () => {
  it.each([
    ['left', ['n2']],
    ['that are not down', []],
  ] as const)('%s, one calls the other down when its probe has failed', (_, gone) => {
    const hand = new Hand().meet('n1', 'n2').rounds(100, 'n1', 'n2');
    if (gone.length > 0) hand.learn(record('n2', { version: 2, status: 'left', heartbeat: 200 }));
    else hand.step({ type: 'mark-down', name: 'n2' });
    const seen: (string | undefined)[] = [];
    for (let round = 0; round < 24; round++) seen.push(hand.rounds(1).status('n1'));
    expect(seen.indexOf('suspect')).toBe(18);
    expect(seen.indexOf('down')).toBe(21);
  });

  it('of three nobody is, also when the third has been down', () => {
    const hand = new Hand().meet('n1', 'n2').rounds(30, 'n1', 'n2');
    hand.step({ type: 'mark-down', name: 'n2' }).rounds(2, 'n1', 'n2');
    hand.rounds(40, 'n2');
    expect(hand.status('n1')).toBe('suspect');
  });
});

describe('a cluster in which digests take turns', () => {
  const many = (count: number): string[] => Array.from({ length: count }, (_, at) => `m${at}`);
  const names = many(70);
  const large = (names = many(70)): Hand => {
    const hand = new Hand();
    for (let from = 0; from < names.length; from += 50)
      hand.learn(...names.slice(from, from + 50).map(name => record(name)));
    for (const name of names) hand.answer(name);
    return hand.rounds(5, ...names);
  };
  const peerOf = (hand: Hand): string => hand.sent('syn')[0]?.to as string;
  const askedOf = (hand: Hand, name: string): number =>
    hand.sent('ping').filter(({ to }) => to === name).length +
    hand.sent('probe').filter(({ body }) => body.target === name).length;

  it('mentions each member after so many messages, itself always, and nobody twice in one', () => {
    const names = many(150);
    const hand = large(names).rounds(13, ...names);
    const mentioned = [0, 1, 2].map(
      () =>
        hand
          .rounds(1, ...names)
          .sent('syn')[0]
          ?.body.digests.map(([name]) => name) as string[],
    );
    for (const digests of mentioned) {
      expect(digests).toHaveLength(64);
      expect(new Set(digests).size).toBe(64);
      expect(digests[0]).toBe('n0');
    }
    expect(new Set(mentioned.flat()).size).toBe(151);
  });

  it('answers a syn with as much of its own as has room', () => {
    const [ack] = large()
      .hear('m1', { type: 'syn', seq: 1, count: 71, digests: [['m2', 1_000, 1, 1, 0]] })
      .sent('ack');
    expect(ack?.body.digests).toHaveLength(64);
    expect(new Set(ack?.body.digests.map(([name]) => name)).size).toBe(64);
  });

  it('asks by the syn of a round: who has not answered by the next is pinged, directly and through two', () => {
    const hand = large();
    const peer = peerOf(hand);
    expect(askedOf(hand.rounds(1), peer)).toBe(3);
    hand.answer(peer, hand.seq - 2);
    expect(askedOf(hand.rounds(1), peer)).toBe(3);
    hand.answer(peer, hand.seq - 2);
    expect(askedOf(hand.rounds(1), peer)).toBe(0);
  });

  it('sends no helpers to newcomers, who have yet to answer for the first time', () => {
    const hand = new Hand();
    for (const from of [0, 35]) hand.learn(...names.slice(from, from + 35).map(name => record(name)));
    for (let round = 0; round < 10; round++) expect(hand.rounds(1).sent('probe')).toEqual([]);
  });

  it('asks no more than two at once that do not answer', () => {
    const hand = large();
    for (let round = 0; round < 10; round++) {
      hand.rounds(1);
      expect(hand.sent('ping').length).toBeLessThanOrEqual(2);
    }
    expect(hand.sent('ping')).toHaveLength(2);
  });

  it('suspects who was asked for 18.42 rounds, long before the silence of gossip is enough', () => {
    const hand = large();
    const peer = peerOf(hand);
    const alive = names.filter(name => name !== peer);
    expect(hand.rounds(18).status(peer)).toBe('up');
    hand.rounds(1);
    expect(names.filter(name => hand.status(name) === 'suspect')).toEqual([peer]);
    expect(alive.every(name => hand.status(name) === 'up')).toBe(true);
  });

  it('suspects nobody else by the pace that it had while it was small', () => {
    const names = many(200);
    const hand = large(names).rounds(30);
    expect(names.filter(name => hand.status(name) === 'suspect')).toHaveLength(2);
  });

  it('keeps to its budget of pings, however many are waited for', () => {
    const hand = large().rounds(30);
    const accused = (name: string): MemberRecord =>
      record(name, { heartbeat: 50, suspicions: [{ by: name === 'm0' ? 'm1' : 'm0', seq: 5 }] });
    for (const from of [0, 35]) hand.learn(...names.slice(from, from + 35).map(accused));
    hand.rounds(1);
    expect(names.filter(name => hand.status(name) === 'up').length).toBeGreaterThan(60);
    const sent = hand.sent('ping').length + hand.sent('probe').length;
    expect(sent).toBeGreaterThanOrEqual(6);
    expect(sent).toBeLessThanOrEqual(probesPerRoundMax + 2);
  });

  it('does not count a pause of its own as waiting', () => {
    const hand = large();
    const peer = peerOf(hand);
    hand.rounds(5);
    hand.now += 60 * second;
    expect(hand.rounds(10).status(peer)).toBe('up');
    expect(hand.rounds(5).status(peer)).toBe('suspect');
  });

  it('goes on waiting when a later heartbeat comes from somebody who waits too, not when it comes from elsewhere', () => {
    for (const [isAccused, status] of [
      [true, 'down'],
      [false, 'up'],
    ] as const) {
      const hand = large();
      const peer = peerOf(hand);
      hand.rounds(10);
      const from = peer === 'm3' ? 'm4' : 'm3';
      const suspicions = isAccused ? [{ by: from, seq: 5 }] : [];
      hand.hear(from, { type: 'states', states: [record(peer, { heartbeat: 50, suspicions })] });
      expect(hand.rounds(9).status(peer)).toBe(status);
    }
  });
});

describe('reports', () => {
  const accused = (...by: string[]): MemberRecord => record('n1', { suspicions: by.map(by => ({ by, seq: 5 })) });

  it('of two convict at once; of one, of the accused itself, or of one twice do not', () => {
    const by = (...who: string[]): string | undefined =>
      new Hand()
        .meet('n1', 'n2', 'n3')
        .learn(accused(...who))
        .status('n1');
    expect([by('n2'), by('n1', 'n2'), by('n2', 'n3')]).toEqual(['up', 'up', 'down']);
  });

  it.each([
    [39_999, 'down'],
    [40_000, 'up'],
  ])('of which the first is %d ms old: %s', (age, status) => {
    const hand = new Hand().meet('n1', 'n2', 'n3').learn(accused('n2'));
    hand.now += age;
    expect(hand.learn(accused('n3')).status('n1')).toBe(status);
  });

  it('fall with a heartbeat', () => {
    const hand = new Hand().meet('n1', 'n2', 'n3').learn(accused('n2'));
    hand
      .learn(record('n1', { heartbeat: 2 }))
      .learn(record('n1', { heartbeat: 2, suspicions: [{ by: 'n3', seq: 5 }] }));
    expect([hand.status('n1'), hand.row('n1')?.suspects]).toEqual(['up', ['n3']]);
  });

  it('at a later heartbeat are new ones, and hold their time from then on', () => {
    const hand = new Hand().meet('n1', 'n2', 'n3').learn(accused('n2'));
    hand.now += 30 * second;
    hand.learn(record('n1', { heartbeat: 2 })).learn({ ...accused('n2'), heartbeat: 2 });
    hand.now += 39 * second;
    expect(hand.learn({ ...accused('n3'), heartbeat: 2 }).status('n1')).toBe('down');
  });

  it('are made at once when it falls silent again', () => {
    const hand = new Hand().meet('n1', 'n2', 'n3').rounds(100, 'n1', 'n2', 'n3').rounds(19, 'n2', 'n3');
    expect(hand.row('n1')?.suspects).toEqual(['n0']);
    hand.rounds(1, 'n1', 'n2', 'n3').rounds(18, 'n2', 'n3');
    expect(hand.row('n1')?.suspects).toEqual([]);
    expect(hand.rounds(1, 'n2', 'n3').row('n1')?.suspects).toEqual(['n0']);
  });

  it('are made at a silence of 18.42 mean intervals, and again after 20 s', () => {
    const hand = new Hand().meet('n1', 'n2', 'n3').rounds(100, 'n1', 'n2', 'n3');
    const made: number[] = [];
    for (let round = 1; round <= 45; round++) {
      hand.rounds(1, 'n2', 'n3');
      const seq = hand
        .sent('states')
        .flatMap(({ body }) =>
          body.states.flatMap(({ suspicions }) => suspicions.filter(({ by }) => by === 'n0')),
        )[0]?.seq;
      if (seq === undefined) continue;
      expect(seq).toBe(hand.seq);
      made.push(round);
    }
    expect(made).toEqual([19, 40]);
  });

  it('of this node are answered with a heartbeat above, told at once', () => {
    const hand = new Hand().meet('n1', 'n2').rounds(5, 'n1', 'n2');
    const seq = hand.seq;
    hand.learn(record('n0', { heartbeat: seq, suspicions: [{ by: 'n1', seq: 3 }] }));
    expect(hand.seq).toBe(seq + 1);
    expect(hand.sent('states').map(({ body }) => body.states[0]?.heartbeat)).toEqual([seq + 1, seq + 1]);
    hand.learn(record('n0', { heartbeat: seq, down: true }));
    expect([hand.seq, hand.effects]).toEqual([seq + 1, []]);
  });
});

describe('news', () => {
  it('goes to a few at once, and so often in a round', () => {
    const names = Array.from({ length: 10 }, (_, at) => `m${at}`);
    const hand = new Hand().meet(...names).rounds(2, ...names);
    const told = Array.from(
      { length: 6 },
      (_, at) => hand.step({ type: 'set', change: { weight: at + 2 } }).sent('states').length,
    );
    expect(told).toEqual([...Array<number>(gossipBurstsPerRoundMax).fill(gossipFanOut), 0, 0]);
    expect(
      hand
        .rounds(1)
        .sent('states')
        .map(({ body }) => body.states[0]?.weight),
    ).toEqual([7, 7, 7]);
  });

  it('is a change of the application: told of once for each epoch and hash', () => {
    const hand = new Hand().meet('n1');
    const app = { epoch: 1, hash: 'a', blob: 'x' };
    const told = (version: number, now: typeof app): GossipEvent[] =>
      hand.learn(record('n1', { version, app: now })).events('app-changed');
    expect(told(2, app)).toEqual([{ name: 'app-changed', member: 'n1', app }]);
    expect(told(2, app)).toEqual([]);
    expect(told(3, { ...app })).toEqual([]);
    expect(told(4, { ...app, epoch: 2 })).toHaveLength(1);
    expect(told(5, { ...app, epoch: 2, hash: 'b' })).toHaveLength(1);
    expect(hand.core.appOf('n1')?.hash).toBe('b');
  });
});

describe('an exchange', () => {
  it('takes no heartbeat from a digest that has something against the member: it asks for the record', () => {
    const hand = new Hand().meet('n1', 'n2');
    const digests = [['n2', 1_000, 1, 7, 20]];
    const [ack] = hand.hear('n1', { type: 'syn', seq: 1, count: 3, digests }).sent('ack');
    expect(ack?.body.digests).toEqual([['n2', 1_000, 1, 1, 0]]);
    expect(hand.row('n2')?.heartbeat).toBe(1);
  });

  it('gives the record where something is held against the member', () => {
    const hand = new Hand().meet('n1').learn(record('n2', { heartbeat: 4, suspicions: [{ by: 'n1', seq: 5 }] }));
    const [ack] = hand.hear('n1', { type: 'syn', seq: 1, count: 3, digests: [['n2', 1_000, 1, 2, 0]] }).sent('ack');
    expect(ack?.body.states.map(({ heartbeat }) => heartbeat)).toEqual([4]);
  });

  it('asks for what is newer there, gives what is newer here, and only a digest where only the heartbeat rose', () => {
    const hand = new Hand().meet('n1');
    hand
      .learn(record('n2', { version: 5 }))
      .learn(record('n3', { heartbeat: 9 }))
      .learn(record('n4'));
    const digests = [
      ['n2', 1_000, 4, 1, 0],
      ['n3', 1_000, 1, 4, 0],
      ['n4', 1_000, 2, 1, 0],
      ['n5', 1_000, 1, 1, 0],
    ];
    const [ack] = hand.hear('n1', { type: 'syn', seq: 1, count: 99, digests }).sent('ack');
    expect(ack?.body.states.map(({ name }) => name)).toEqual(['n2']);
    expect(ack?.body.digests).toEqual([
      ['n3', 1_000, 1, 9, 0],
      ['n4', 1_000, 1, 1, 0],
      ['n5', 0, 0, 0, 0],
    ]);
  });

  it('gives all it knows to who knows fewer', () => {
    const hand = new Hand().meet('n1', 'n2', 'n3');
    const [ack] = hand.hear('n1', { type: 'syn', seq: 1, count: 1, digests: [] }).sent('ack');
    expect(ack?.body.states.map(({ name }) => name).sort()).toEqual(['n0', 'n1', 'n2', 'n3']);
  });

  it('prefers peers with a link, and greets who is linked anew', () => {
    const hand = new Hand().meet('n1', 'n2').step({ type: 'link-down', name: 'n1' });
    for (let round = 0; round < 20; round++)
      expect(
        hand
          .rounds(1, 'n1', 'n2')
          .sent('syn')
          .map(({ to }) => to),
      ).toEqual(['n2']);
    expect(
      hand
        .step({ type: 'link-up', name: 'n1' })
        .sent('syn')
        .map(({ to }) => to),
    ).toEqual(['n1']);
    hand.step({ type: 'link-down', name: 'n1' }).step({ type: 'link-down', name: 'n2' });
    expect(hand.rounds(1, 'n1', 'n2').sent('syn')).toHaveLength(1);
  });

  it('gives the rest, where the other turns out to know fewer', () => {
    const hand = new Hand().meet('n1', 'n2', 'n3');
    const ack = { type: 'ack', seq: 1, digests: [], states: [] };
    const [given] = hand.hear('n1', { ...ack, count: 3 }).sent('states');
    expect(given?.body.states.map(({ name }) => name).sort()).toEqual(['n0', 'n1', 'n2', 'n3']);
    expect(hand.hear('n1', { ...ack, count: 4 }).sent('states')).toEqual([]);
  });

  it('is not sought of a seed where the peer of the round was one', () => {
    const hand = new Hand({ seeds: ['n1:1', 's:1'] }).meet('n1');
    for (let round = 0; round < 10; round++) {
      expect(
        hand
          .rounds(1, 'n1')
          .sent('syn')
          .map(({ to }) => to),
      ).toEqual(['n1']);
    }
  });

  it('is sought of a seed each round by who knows nobody', () => {
    const hand = new Hand({ seeds: ['n0:1', 's:1'] });
    for (let round = 0; round < 5; round++)
      expect(
        hand
          .rounds(1)
          .sent('syn')
          .map(({ to }) => to),
      ).toEqual(['s:1']);
  });

  it('is refused beyond a year from now, and not a day earlier', () => {
    const year = 366 * 86_400;
    for (const [incarnation, members] of [
      [1_000 + year, 2],
      [1_001 + year, 1],
    ] as const) {
      const hand = new Hand().hear('n1', { type: 'states', states: [record('n1', { incarnation })] }, { incarnation });
      expect(hand.core.describe().members).toBe(members);
    }
  });
});

describe('who is lost', () => {
  const phi8Rounds = 37; // 18.4 times the two rounds that a newcomer is given

  it('is who is down, and not who is only silent here', () => {
    const hand = new Hand().meet('n1', 'n2').rounds(60, 'n1');
    expect(hand.core.isLost('n2', hand.now)).toBe(false);
    hand.step({ type: 'mark-down', name: 'n2' });
    expect([hand.core.isLost('n1', hand.now), hand.core.isLost('n2', hand.now)]).toEqual([false, true]);
  });

  it('is who was never heard of since this life began, as late as a newcomer would be suspect', () => {
    const hand = new Hand().meet('n1').rounds(phi8Rounds - 1, 'n1');
    expect(hand.core.isLost('n9', hand.now)).toBe(false);
    hand.rounds(1, 'n1');
    expect(hand.core.isLost('n9', hand.now)).toBe(true);
    hand.meet('n9');
    expect(hand.core.isLost('n9', hand.now)).toBe(false);
  });

  it('is nobody by the word of one that is alone, or has stood still itself', () => {
    const alone = new Hand().rounds(2 * phi8Rounds);
    expect(alone.core.isLost('n9', alone.now)).toBe(false);
    const stood = new Hand().meet('n1').rounds(10, 'n1');
    stood.now += 60 * second;
    stood.rounds(1, 'n1');
    expect(stood.core.isLost('n9', stood.now)).toBe(false);
  });
});
