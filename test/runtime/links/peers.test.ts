// The table of peers, over the simulated network: who gets a link, what happens when connections and nodes die, and that a session
// neither loses nor doubles a frame whatever happens to its connections.

import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { KnownSession } from '../../../src/runtime/links/handshake.ts';
import { PeerLink } from '../../../src/runtime/links/peer-link.ts';
import type { PeersOptions } from '../../../src/runtime/links/peers.ts';
import { seededRandom } from '../../../src/testing/virtual-world.ts';
import { greetAs, type Inhabitant, row, send, Town } from './town.ts';

const link = (of: Inhabitant, name: string) => row(of, name)?.link as Record<string, number> | undefined;

describe('two nodes', () => {
  it('have one link when one dials the other, and send over it both ways', async () => {
    const town = new Town();
    const [a, b] = [await town.open('n1'), await town.open('n2', { incarnation: 7 })];
    a.peers.connect('n2', 'n2:1');
    await town.run(100);
    expect([a.events, b.events]).toEqual([['up n2'], ['up n1']]);
    expect(a.ups).toMatchObject([{ name: 'n2', incarnation: 7, address: 'n2:1' }]);
    expect(b.ups).toMatchObject([{ name: 'n1', incarnation: 1, address: 'n1:1', session: a.ups[0]?.session }]);
    expect([send(a, 'n2', 'there'), send(b, 'n1', 'back')]).toEqual([true, true]);
    await town.run(100);
    expect([a.frames, b.frames]).toEqual([['n2: back'], ['n1: there']]);
  });

  it.each(Array.from({ length: 30 }, (_, i) => i))('have one link when both dial at once (seed %i)', async seed => {
    const town = new Town({ seed, faults: { delayMs: 1, jitterMs: seed % 10, chunkMax: seed % 3 === 0 ? 40 : 0 } });
    const [a, b] = (await town.several(['n1', 'n2'])) as [Inhabitant, Inhabitant];
    await town.run(seed % 7);
    send(a, 'n2', 'first');
    await town.run(2_000);
    expect([a.events, b.events]).toEqual([['up n2'], ['up n1']]);
    expect(a.ups[0]?.session).toBe(b.ups[0]?.session);
    expect(town.network.connections()).toHaveLength(1);
    expect(row(a, 'n2')).toMatchObject({ state: 'joined' });
  });

  it('have one link when their clocks and ways differ as they like, and both ways are slow', async () => {
    for (let seed = 0; seed < 40; seed++) {
      const town = new Town({ seed });
      const random = seededRandom(seed);
      town.network.set('n1', 'n2', { delayMs: random.u32() % 200 });
      town.network.set('n2', 'n1', { delayMs: random.u32() % 200 });
      const [a, b] = [await town.open('n1'), await town.open('n2')];
      a.peers.connect('n2', 'n2:1');
      await town.run(random.u32() % 500);
      b.peers.connect('n1', 'n1:1');
      await town.run(5_000);
      expect([seed, a.events, b.events]).toEqual([seed, ['up n2'], ['up n1']]);
      expect(town.network.connections()).toHaveLength(1);
    }
  });

  it('keep their session over broken connections: nothing is lost, doubled or turned round', async () => {
    for (let seed = 1; seed <= 6; seed++) {
      const faults = { chunkMax: 700, jitterMs: 3, corrupt: 0.0003, bufferBytes: 3_000, windowBytes: 4_000 };
      const town = new Town({ seed, faults });
      const [a, b] = (await town.several(['n1', 'n2'])) as [Inhabitant, Inhabitant];
      const random = seededRandom(seed);
      const sent = [0, 0];
      const total = 1_500;
      for (let round = 0; a.frames.length < total || b.frames.length < total; round++) {
        if (round > 20_000) throw new Error('it does not come to an end');
        for (const [i, [from, to]] of (
          [
            [a, 'n2'],
            [b, 'n1'],
          ] as const
        ).entries())
          for (let count = random.u32() % 20; count > 0 && (sent[i] as number) < total; count--) {
            const size = random.u32() % 100 === 0 ? 30_000 : random.u32() % 60;
            if (!send(from, to, `${sent[i]} ${'x'.repeat(size)}`)) break;
            (sent[i] as number)++;
          }
        if (random.u32() % 40 === 0) town.network.cut('n1', 'n2');
        if (random.u32() % 200 === 0) town.network.block('n1', 'n2');
        if (random.u32() % 20 === 0) town.network.free('n1', 'n2');
        await town.run(random.u32() % 50);
      }
      const numbers = (of: Inhabitant): number[] => of.frames.map(frame => Number(frame.split(' ')[1]));
      const all = Array.from({ length: total }, (_, i) => i);
      expect([numbers(a), numbers(b)]).toEqual([all, all]);
      expect([a.events, b.events]).toEqual([['up n2'], ['up n1']]);
    }
  });

  it('begin a new session when one of them has died, and learn what may have arrived', async () => {
    const town = new Town();
    const [a, b] = (await town.several(['n1', 'n2'])) as [Inhabitant, Inhabitant];
    await town.run(1_000);
    town.network.block('n1', 'n2');
    send(a, 'n2', 'on the way');
    await town.run(10);
    town.network.crash('n2');
    await town.run(10);
    expect(send(a, 'n2', 'too late')).toBe(true);
    town.network.heal();
    const again = await town.open('n2', { incarnation: 2 });
    await town.run(20_000);
    expect(a.events).toEqual(['up n2', 'down n2 reborn (1 unknown, 1 unsent)', 'up n2']);
    expect(a.ups.map(({ incarnation }) => incarnation)).toEqual([1, 2]);
    expect([again.events, again.frames, b.frames]).toEqual([['up n1'], [], []]);
  });

  it('take nobody of an earlier life', async () => {
    const town = new Town();
    const a = await town.open('n1');
    const b = await town.open('n2', { incarnation: 2 });
    b.peers.connect('n1', 'n1:1');
    await town.run(100);
    const zombie = await town.open('n2', { incarnation: 1, host: 'n9' });
    zombie.peers.connect('n1', 'n1:1');
    await town.run(3_000);
    expect([a.events, zombie.events]).toEqual([['up n2'], []]);
    expect(zombie.refusals[0]).toMatchObject({ reason: 'superseded', by: 'them', name: 'n1' });
    expect(send(a, 'n2', 'to the living')).toBe(true);
    await town.run(100);
    expect(b.frames).toEqual(['n1: to the living']);
  });

  it('are two, and not two lives of one, while the first of them speaks', async () => {
    const town = new Town();
    const [a, b] = (await town.several(['n1', 'n2'])) as [Inhabitant, Inhabitant];
    await town.run(1_000);
    const namesake = await town.open('n2', { incarnation: 2, host: 'n9' });
    namesake.peers.connect('n1', 'n1:1');
    await town.run(5_000);
    expect([a.events, namesake.events]).toEqual([['up n2'], []]);
    expect(namesake.refusals[0]).toMatchObject({ reason: 'namesake', by: 'them', name: 'n1' });
    expect(namesake.refusals[0]?.message).toMatch(/another node is called 'n2' too/);
    expect(a.lines.join()).toMatch(/another node is called 'n2' too/);
    send(a, 'n2', 'to the first');
    await town.run(100);
    expect(b.frames).toEqual(['n1: to the first']);
    // Once it does not, the other one is its next life.
    town.network.partition([['n1', 'n9'], ['n2']]);
    await town.run(30_000);
    expect([a.events.slice(1), namesake.events]).toEqual([
      [expect.stringMatching(/^down n2 reborn/), 'up n2'],
      ['up n1'],
    ]);
  });

  it('give a session up when there is no connection for a minute, and have another when there is one again', async () => {
    const town = new Town();
    const [a, b] = (await town.several(['n1', 'n2'])) as [Inhabitant, Inhabitant];
    await town.run(1_000);
    town.network.partition([['n1'], ['n2']]);
    await town.run(60_000);
    send(a, 'n2', 'hopeful');
    expect([a.events, b.events]).toEqual([['up n2'], ['up n1']]);
    await town.run(6_000);
    expect(a.events).toEqual(['up n2', 'down n2 lost (0 unknown, 1 unsent)']);
    expect([a.peers.link('n2'), b.peers.link('n1')]).toEqual([undefined, undefined]);
    town.network.heal();
    await town.run(15_000);
    expect([a.events[2], b.events.slice(1)]).toEqual(['up n2', ['down n1 lost (0 unknown, 0 unsent)', 'up n1']]);
  });

  it('find each other again when a connection has died without a word', async () => {
    const town = new Town();
    const [a, b] = (await town.several(['n1', 'n2'])) as [Inhabitant, Inhabitant];
    await town.run(1_000);
    town.network.crash('n2', { silent: true }); // half open: neither hears anything more
    town.network.partition([['n1'], ['n2']]);
    send(a, 'n2', 'into the void');
    await town.run(7_000);
    expect(row(a, 'n2')?.state).not.toBe('joined');
    town.network.heal();
    await b.peers.open(); // listens again
    await town.run(12_000);
    expect([a.events, b.events, b.frames]).toEqual([['up n2'], ['up n1'], ['n1: into the void']]);
    expect(town.network.connections()).toHaveLength(1);
  });

  it('tell a machine on which nobody listens from one that does not answer, or that something else may stand in front of', async () => {
    const lose = async (how: (town: Town) => void, settings: Parameters<Town['open']>[1] = {}): Promise<string[]> => {
      const town = new Town();
      const [a] = [await town.open('n1', settings), await town.open('n2')];
      a.peers.connect('n2', 'n2:1');
      await town.run(1_000);
      how(town);
      await town.run(20_000);
      return a.unreached;
    };
    const crashed = await lose(({ network }) => network.crash('n2'));
    expect(crashed.length).toBeGreaterThan(3);
    expect(new Set(crashed)).toEqual(new Set(['n2 nobody']));
    expect(new Set(await lose(({ network }) => network.partition([['n1'], ['n2']])))).toEqual(new Set(['n2']));
    const via = await lose(() => undefined, { peerVia: { n2: 'gate:1' } });
    expect(new Set(via)).toEqual(new Set(['n2']));
  });

  it('go on over a new connection that the other end opens while the old one looks alive', async () => {
    const town = new Town();
    const [a, b] = (await town.several(['n1', 'n2'])) as [Inhabitant, Inhabitant];
    await town.run(1_000);
    town.network.block('n2', 'n1'); // n1 hears nothing and gives up after 5 s; n2 hears its goodbye only later
    send(b, 'n1', 'held up');
    await town.run(6_500);
    town.network.free('n2', 'n1');
    await town.run(12_000);
    expect([a.events, b.events, a.frames]).toEqual([['up n2'], ['up n1'], ['n2: held up']]);
    expect(town.network.connections()).toHaveLength(1);
  });
});

describe('the end of a session', () => {
  it('by stop: what was sent before arrives, and the other side is told at once', async () => {
    const town = new Town({ faults: { delayMs: 20 } });
    const [a, b] = (await town.several(['n1', 'n2'])) as [Inhabitant, Inhabitant];
    await town.run(1_000);
    for (let i = 0; i < 20; i++) send(a, 'n2', `last ${i}`);
    const stopped = a.peers.stop();
    expect(a.peers.stop()).toBe(stopped);
    await town.run(500);
    await stopped;
    expect(b.frames).toHaveLength(20);
    expect([a.events, b.events]).toEqual([
      ['up n2', 'down n2 stopped (0 unknown, 0 unsent)'],
      ['up n1', 'down n1 goodbye (0 unknown, 0 unsent)'],
    ]);
    await town.run(30_000);
    expect(town.network.connections()).toEqual([]);
    expect([b.events.length, a.peers.describe().peers, b.peers.link('n1')]).toEqual([2, [], undefined]);
    a.peers.connect('n2', 'n2:1'); // of no use any more, and no error: a node that stops has races
    await town.run(1_000);
    expect(town.network.connections()).toEqual([]);
  });

  it('by stop before it has begun to listen: it does not listen', async () => {
    const town = new Town();
    const a = town.make('n1');
    const opened = a.peers.open();
    await a.peers.stop();
    await opened;
    await expect(town.stranger('n2', 'n1:1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    expect(a.peers.describe().state).toBe('stopping');
  });

  it('by stop: what breaks meanwhile is not dialled again', async () => {
    const town = new Town();
    const [a] = (await town.several(['n1', 'n2'])) as [Inhabitant, Inhabitant];
    await town.run(6_000);
    let dials = 0;
    town.network.onEvent = (event, connection) => {
      if (event === 'open' && connection.startsWith('n1')) dials++;
    };
    town.network.block('n2', 'n1');
    send(a, 'n2', 'not acknowledged');
    await town.run(10);
    const stopped = a.peers.stop();
    town.network.cut('n1', 'n2');
    town.network.heal();
    await town.run(3_000);
    await stopped;
    expect([dials, a.events.length]).toEqual([0, 2]);
  });

  it('by stop, when the other side does not answer: it is waited for a second', async () => {
    const town = new Town();
    const [a] = (await town.several(['n1', 'n2'])) as [Inhabitant, Inhabitant];
    await town.run(1_000);
    town.network.block('n1', 'n2');
    send(a, 'n2', 'into the void');
    let over = false;
    void a.peers.stop().then(() => {
      over = true;
    });
    await town.run(900);
    expect([over, a.events]).toEqual([false, ['up n2']]);
    await town.run(200);
    expect([over, a.events[1]]).toEqual([true, 'down n2 stopped (1 unknown, 0 unsent)']);
  });

  it('by forget: nobody is dialled any more; who dials is a new peer', async () => {
    const town = new Town();
    const [a, b] = [await town.open('n1'), await town.open('n2')];
    a.peers.connect('n2', 'n2:1');
    await town.run(100);
    a.peers.forget('n2');
    a.peers.forget('n2');
    a.peers.forget('n3');
    await town.run(30_000);
    expect(a.events).toEqual(['up n2', 'down n2 forgotten (0 unknown, 0 unsent)']);
    expect(b.events).toEqual(['up n1', 'down n1 goodbye (0 unknown, 0 unsent)']);
    expect([a.peers.describe().peers, b.peers.describe().peers]).toEqual([[], []]);
    b.peers.connect('n1', 'n1:1');
    await town.run(100);
    expect([a.events[2], b.events[2]]).toEqual(['up n2', 'up n1']);
  });

  it('refuses everything on its link, and does not disturb the next one', async () => {
    const town = new Town();
    const [a, b] = [await town.open('n1'), await town.open('n2')];
    a.peers.connect('n2', 'n2:1');
    await town.run(100);
    const old = a.peers.link('n2');
    a.peers.forget('n2');
    a.peers.connect('n2', 'n2:1');
    await town.run(100);
    expect(old?.send(new Uint8Array(8))).toBe(false);
    expect(send(a, 'n2', 'new')).toBe(true);
    await town.run(100);
    expect(b.frames).toEqual(['n1: new']);
  });
});

describe('a second connection of the same peer', () => {
  /** n1 and n2 with a link over which ten frames have gone to n2, and one that greets as n2 by hand. */
  const pair = async () => {
    const town = new Town();
    const [a, b] = [await town.open('n1'), await town.open('n2')];
    const early = await town.stranger('n2', 'n1:1');
    b.peers.connect('n1', 'n1:1');
    await town.run(1_000);
    for (let i = 0; i < 10; i++) {
      send(a, 'n2', `${i}`);
      await town.run(10);
    }
    const session = a.ups[0]?.session as number;
    const known = (received: number): KnownSession => ({
      session,
      incarnation: 1,
      progress: () => ({ received, granted: 65_536 }),
    });
    return { town, a, b, early, known };
  };

  it('is refused when it was opened before the one that there is', async () => {
    const { town, a, b, early, known } = await pair();
    const guest = greetAs(town, early, { name: 'n2', known: known(10) });
    await town.run(50);
    expect([guest.outcomes, a.events, row(b, 'n1')?.state]).toEqual([['duplicate'], ['up n2'], 'joined']);
  });

  it('is refused when it brings older news than we have had, and the session is unharmed', async () => {
    const { town, a, b, known } = await pair();
    const guest = greetAs(town, await town.stranger('n2', 'n1:1'), { name: 'n2', known: known(3) });
    await town.run(50);
    expect([guest.outcomes, a.events]).toEqual([['superseded'], ['up n2']]);
    await town.run(1_000);
    send(a, 'n2', 'on');
    await town.run(100);
    expect([b.frames.at(-1), b.events]).toEqual(['n1: on', ['up n1']]);
  });

  it('takes the place of the one that there is, which is closed', async () => {
    const { town, a, b, known } = await pair();
    const got: string[] = [];
    const link = new PeerLink({
      from: 0,
      onFrame: (_from, bytes, _view, start, end) => void got.push(Buffer.from(bytes.subarray(start, end)).toString()),
      crc32,
      soon: fn => town.clock.soon(fn),
      bytesMax: 65_536,
    });
    const guest = greetAs(town, await town.stranger('n2', 'n1:1'), { name: 'n2', known: known(10), link });
    await town.run(4);
    expect(guest.outcomes).toEqual(['agreed']);
    await town.run(1);
    expect(row(b, 'n1')?.state).not.toBe('joined');
    expect(a.events).toEqual(['up n2']);
    await town.run(1_000); // the real one comes back, and takes the place of ours
    expect([guest.outcomes, row(b, 'n1')?.state]).toEqual([['agreed', 'ended'], 'joined']);
    expect(send(a, 'n2', 'on')).toBe(true);
    await town.run(7_000);
    expect([b.frames.at(-1), row(b, 'n1')?.state, row(a, 'n2')?.state]).toEqual(['n1: on', 'joined', 'joined']);
  });

  it('that claims what cannot be ends the session, and leaves nothing behind', async () => {
    const { town, a, known } = await pair();
    const guest = greetAs(town, await town.stranger('n2', 'n1:1'), { name: 'n2', known: known(11) });
    await town.run(50);
    expect(guest.outcomes).toEqual(['session']);
    expect(a.events.slice(0, 2)).toEqual(['up n2', 'down n2 reset (0 unknown, 0 unsent)']);
    const liar = greetAs(town, await town.stranger('n7', 'n1:1'), { name: 'n7', fresh: { received: 5, granted: 9 } });
    await town.run(50);
    expect([liar.outcomes, row(a, 'n7')]).toEqual([['session'], undefined]);
  });
});

describe('dialling', () => {
  it('waits longer and longer, by chance, and not for ever', async () => {
    const town = new Town();
    const a = await town.open('n1');
    const dials: number[] = [];
    town.network.onEvent = event => {
      if (event === 'refused') dials.push(town.clock.mono());
    };
    a.peers.connect('n2', 'n2:1');
    await town.run(300_000);
    expect(dials.filter(at => at < 1_000).length).toBeGreaterThan(2);
    const late = dials.filter(at => at > 100_000);
    expect(late.length).toBeGreaterThan(200 / 10);
    expect(late.length).toBeLessThan(200 / 2.5);
    const gaps = late.slice(1).map((at, i) => at - (late[i] as number));
    expect(Math.max(...gaps)).toBeLessThan(10_100);
    expect(new Set(gaps.map(Math.floor)).size).toBeGreaterThan(gaps.length / 2);
    // Told once, not each time.
    expect(a.lines.filter(line => /^(info|warn).*ECONNREFUSED/.test(line))).toHaveLength(1);
    await town.open('n2');
    await town.run(11_000);
    expect(a.events).toEqual(['up n2']);
    expect(row(a, 'n2')).toMatchObject({ tries: expect.any(Number), trouble: '' });
  });

  it('begins anew at once when the peer is said to be elsewhere', async () => {
    const town = new Town();
    const a = await town.open('n1');
    await town.open('n2', { host: 'elsewhere' });
    a.peers.connect('n2', 'n2:1');
    await town.run(120_000);
    a.peers.connect('n2', 'elsewhere:1');
    await town.run(100);
    expect(a.events).toEqual(['up n2']);
  });

  it('comes back quickly after a connection that lasted, and slowly after ones that did not', async () => {
    const town = new Town();
    const [a] = (await town.several(['n1', 'n2'])) as [Inhabitant, Inhabitant];
    await town.run(10_000);
    town.network.cut('n1', 'n2');
    await town.run(150);
    expect(row(a, 'n2')?.state).toBe('joined');
    let dials = 0;
    town.network.onEvent = event => {
      if (event === 'open') dials++;
    };
    for (let i = 0; i < 400; i++) {
      town.network.cut('n1', 'n2');
      await town.run(100);
    }
    expect(dials).toBeLessThan(60); // of two that dial
  });

  it('goes where peerVia says, and nowhere else', async () => {
    const town = new Town();
    const a = await town.open('n1', { peerVia: { n2: 'proxy:5' } });
    await town.open('n2');
    await town.open('n2', { host: 'proxy', listen: 'proxy:5', incarnation: 9 });
    a.peers.connect('n2', 'n2:1');
    await town.run(100);
    expect(a.ups).toMatchObject([{ name: 'n2', incarnation: 9 }]);
  });

  it('tells where we want to be dialled: what we advertise, where we listen, or where we come from', async () => {
    const town = new Town();
    const b = await town.open('n2');
    const settings: [string, Partial<PeersOptions>][] = [
      ['n3', { advertise: 'n3.example.com:77' }],
      ['n4', { listen: 'n4:0' }],
      ['n5', { listen: '0.0.0.0:55' }],
      ['n6', { listen: undefined }],
    ];
    for (const [name, more] of settings) {
      const each = await town.open(name, more);
      each.peers.connect('n2', 'n2:1');
      await town.run(100);
      expect(each.lines.filter(line => line.includes("set 'advertise'"))).toHaveLength(name === 'n5' ? 1 : 0);
    }
    expect(b.ups.map(({ address }) => address)).toEqual([
      'n3.example.com:77',
      expect.stringMatching(/^n4:4\d{4}$/),
      'n5:55',
      undefined,
    ]);
  });
});

describe('joining by an address alone', () => {
  it('finds who is there, ourselves excepted, each once', async () => {
    const town = new Town();
    const [a, b, c] = [await town.open('n1'), await town.open('n2'), await town.open('n3')];
    for (const { peers } of [a, b, c]) for (const at of ['n1:1', 'n2:1', 'n3:1', 'n2:1']) peers.join(at);
    await town.run(5_000);
    for (const each of [a, b, c]) {
      expect(each.events.toSorted()).toEqual(
        ['n1', 'n2', 'n3'].filter(name => name !== each.host).map(name => `up ${name}`),
      );
      expect(each.peers.describe().seeds).toEqual([]);
    }
    expect(town.network.connections()).toHaveLength(3);
    expect(
      a.refusals.map(({ reason, by, message }) => [reason, by, message.includes('this node itself')]),
    ).toContainEqual(['self', 'us', true]);
    expect(a.lines.filter(line => line.startsWith('warn'))).toEqual([]);
  });

  it('goes on past who is not taken there', async () => {
    const town = new Town();
    const a = await town.open('n1');
    const late = await town.open('n2', { incarnation: 2 });
    a.peers.connect('n2', 'n2:1');
    await town.run(100);
    void late.peers.stop();
    await town.open('n2', { incarnation: 1, host: 'n9' }); // an earlier life, somewhere else
    a.peers.join('n9:1');
    await town.run(5_000);
    expect(a.refusals.at(-1)).toMatchObject({ reason: 'superseded', by: 'us' });
    expect([row(a, 'n2')?.address, a.peers.describe().seeds]).toEqual(['n2:1', ['n9:1']]);
    town.network.crash('n9');
    await town.open('n2', { incarnation: 3, host: 'n9' });
    await town.run(11_000);
    expect([a.ups.at(-1)?.incarnation, row(a, 'n2')?.address, a.peers.describe().seeds]).toEqual([3, 'n9:1', []]);
  });

  it('goes on until somebody is there, and from then on keeps that link', async () => {
    const town = new Town();
    const a = await town.open('n1');
    a.peers.join('n2:1');
    await town.run(20_000);
    expect(a.peers.describe()).toMatchObject({ seeds: ['n2:1'], peers: [] });
    await town.open('n2');
    await town.run(11_000);
    expect([a.events, a.peers.describe().seeds]).toEqual([['up n2'], []]);
    await town.run(10_000);
    town.network.cut('n1', 'n2');
    await town.run(1_000);
    expect(row(a, 'n2')).toMatchObject({ state: 'joined', address: 'n2:1' });
  });
});

describe('handlers', () => {
  it('hear of no frame of a session that they have ended, not even of the same packet', async () => {
    const town = new Town();
    const order: string[] = [];
    const a: Inhabitant = town.make('n1', {
      onFrame: (from, bytes, _view, start, end) => {
        order.push(Buffer.from(bytes.subarray(start, end)).toString());
        if (order.length === 2) a.peers.forget(from);
      },
      onDown: peer => void order.push(`down ${peer.name}`),
    });
    await a.peers.open();
    const b = await town.open('n2');
    b.peers.connect('n1', 'n1:1');
    await town.run(100);
    for (const text of ['1', '2', '3', '4']) send(b, 'n1', text);
    await town.run(100);
    expect(order).toEqual(['1', '2', 'down n2']);
  });

  it('may forget a peer that was found by its address as soon as they hear of it', async () => {
    const town = new Town();
    const a: Inhabitant = town.make('n1', { onUp: peer => a.peers.forget(peer.name) });
    await a.peers.open();
    await town.open('n2');
    a.peers.join('n2:1');
    await town.run(30_000);
    expect([a.events, a.peers.describe()]).toMatchObject([
      ['down n2 forgotten (0 unknown, 0 unsent)'],
      { peers: [], seeds: [] },
    ]);
    expect(town.network.connections()).toEqual([]);
  });

  it('hear of things in their order, also of those that they cause', async () => {
    const town = new Town();
    const order: string[] = [];
    const a: Inhabitant = town.make('n1', {
      onUp: peer => {
        order.push(`up ${peer.incarnation}`);
        if (peer.incarnation === 1) return;
        a.peers.forget('n2');
        order.push('forgot');
      },
      onDown: (peer, reason) => void order.push(`down ${peer.incarnation} ${reason}`),
    });
    await a.peers.open();
    const b = await town.open('n2');
    b.peers.connect('n1', 'n1:1');
    await town.run(100);
    town.network.crash('n2');
    const again = await town.open('n2', { incarnation: 2 });
    again.peers.connect('n1', 'n1:1');
    await town.run(20);
    expect(order.slice(0, 5)).toEqual(['up 1', 'down 1 reborn', 'up 2', 'forgot', 'down 2 forgotten']);
  });

  it('may forget a peer when they hear of the end of its last life', async () => {
    const town = new Town();
    const order: string[] = [];
    const a: Inhabitant = town.make('n1', {
      onUp: peer => void order.push(`up ${peer.incarnation}`),
      onDown: (peer, reason) => {
        order.push(`down ${peer.incarnation} ${reason}`);
        if (reason === 'reborn') a.peers.forget('n2');
      },
    });
    await a.peers.open();
    (await town.open('n2')).peers.connect('n1', 'n1:1');
    await town.run(100);
    town.network.crash('n2');
    (await town.open('n2', { incarnation: 2 })).peers.connect('n1', 'n1:1');
    await town.run(20);
    expect(order.slice(0, 4)).toEqual(['up 1', 'down 1 reborn', 'up 2', 'down 2 forgotten']);
  });

  it('may throw: it is logged, and nothing else happens', async () => {
    const town = new Town();
    const boom = (): never => {
      throw new Error('of a handler');
    };
    const seen: string[] = [];
    const a = await town.open('n1', {
      onUp: boom,
      onDown: boom,
      onRefused: boom,
      onFrame: (from, bytes, _view, start) => {
        seen.push(`${from} ${bytes[start]}`);
        boom();
      },
    });
    const b = await town.open('n2');
    b.peers.connect('n1', 'n1:1');
    await town.run(100);
    for (const text of ['a', 'b', 'c']) send(b, 'n1', text);
    await town.run(100);
    expect(seen).toEqual(['n2 97', 'n2 98', 'n2 99']);
    b.peers.forget('n1');
    await town.run(100);
    expect(a.lines.filter(line => line.startsWith('error'))).toHaveLength(3); // a packet's frames throw together
  });

  it('hold a peer up by pausing: it has to wait, and loses nothing', async () => {
    const town = new Town();
    const [a, b] = [await town.open('n1'), await town.open('n2')];
    a.peers.connect('n2', 'n2:1');
    await town.run(100);
    b.peers.pause('n1');
    b.peers.pause('nobody');
    let sent = 0;
    while (send(a, 'n2', `${sent} ${'x'.repeat(500)}`)) sent++;
    await town.run(1_000);
    expect(sent).toBeLessThan(65_536 / 500);
    expect([b.frames, link(b, 'n1')?.heldBytes]).toEqual([[], expect.any(Number)]);
    b.peers.resume('n1');
    await town.run(100);
    expect(b.frames).toHaveLength(sent);
    expect(send(a, 'n2', 'again')).toBe(true);
  });
});

describe('what cannot be', () => {
  it('is refused at the call', async () => {
    const town = new Town();
    const a = town.make('n1');
    expect(() => a.peers.connect('n2', 'n2:1')).toThrow(expect.objectContaining({ code: 'STOPPED' }));
    expect(() => a.peers.join('n2:1')).toThrow(expect.objectContaining({ code: 'STOPPED' }));
    await a.peers.open();
    for (const [name, address] of [
      ['n1', 'n2:1'],
      ['N2', 'n2:1'],
      ['n2', 'n2'],
    ] as const)
      expect(() => a.peers.connect(name, address)).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }));
    expect(() => a.peers.join('nowhere')).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }));
    const bad: Partial<PeersOptions>[] = [
      { advertise: 'n1' },
      { peerVia: { n2: '5' } },
      { secret: 'short' },
      { insecure: false },
      { cluster: '' },
      { cluster: 'x'.repeat(65) },
      { cluster: 'a\nb' },
      { incarnation: 1.5 },
      { listen: 'n1' },
    ];
    for (const settings of bad)
      expect(() => town.make('n1', settings)).toThrow(expect.objectContaining({ code: 'BAD_OPTION' }));
    await expect(town.open('n3', { listen: 'n1:1' })).rejects.toThrow('n1:1 is taken');
  });
});
