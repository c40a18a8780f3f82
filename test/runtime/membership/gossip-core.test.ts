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
    const hand = new Hand({ deadKeptMs: kept }).meet('n1');
    hand.now += second;
    hand.learn(record('n1', { version: 2, ...change }));
    expect(hand.status('n1')).toBe(status);
    hand.now += kept;
    expect(hand.step({ type: 'tick' }).status('n1')).toBe(status);
    hand.now += second;
    expect(hand.step({ type: 'tick' }).status('n1')).toBeUndefined();
    expect(hand.core.describe().members).toBe(1);
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
      if (seq !== undefined) made.push(round);
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
