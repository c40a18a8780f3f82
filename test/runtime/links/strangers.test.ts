// What comes to a node's port that is no peer, and greetings that are cut, garbled, repeated or never finished.

import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { failedProofsMax, unprovenMax, unprovenPerAddressMax } from '../../../src/limits.ts';
import { encodeRefusal } from '../../../src/runtime/links/greeting.ts';
import { kindGreeting, packetOf } from '../../../src/runtime/links/packet.ts';
import type { Wire } from '../../../src/runtime/links/wire.ts';
import { seededRandom } from '../../../src/testing/virtual-world.ts';
import { greetAs, type Inhabitant, row, secret, send, Town } from './town.ts';

/** One greeting with a secret of its own, to its end. */
async function guess(town: Town, host: string, secretGuessed: string): Promise<string> {
  const guest = greetAs(town, await town.stranger(host, 'n1:1'), { name: 'n9', secret: secretGuessed });
  await town.run(20);
  guest.greeter.drop();
  return guest.outcomes[0] ?? 'waits';
}

/** Collects what comes out of a wire. */
function listenTo(wire: Wire): { bytes: number[]; ended: boolean } {
  const seen = { bytes: [] as number[], ended: false };
  wire.listen({
    onBytes: bytes => void seen.bytes.push(...bytes),
    onDrain: () => {},
    onEnd: () => {
      seen.ended = true;
    },
  });
  return seen;
}

async function honest(town: Town, name: string): Promise<Inhabitant> {
  const one = await town.open(name);
  one.peers.connect('n1', 'n1:1');
  return one;
}

describe('a stranger', () => {
  it('who tries secrets is soon not listened to, and keeps nobody else out', async () => {
    const town = new Town();
    const a = await town.open('n1');
    const seen = new Map<string, number>();
    const began = town.clock.mono();
    for (let i = 0; i < 1_000; i++) {
      const outcome = await guess(town, 'evil', `0123456789abcde${i}`);
      seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
    }
    const seconds = (town.clock.mono() - began) / 1_000;
    expect(seen.get('secret')).toBeGreaterThan(failedProofsMax);
    expect(seen.get('secret')).toBeLessThan(failedProofsMax + seconds + 2);
    expect([...seen.keys()].toSorted()).toEqual(['error', 'secret']); // reset, or told
    expect(a.peers.describe()).toMatchObject({ unproven: 0, turnedAway: seen.get('error'), peers: [] });
    expect(a.lines.filter(line => line.startsWith('warn')).length).toBeLessThan(failedProofsMax + seconds + 2);
    expect(a.lines.join()).not.toContain(secret);
    await honest(town, 'n2');
    await town.run(50);
    expect(a.events).toEqual(['up n2']);
    // And who knows it gets in from there too, once the allowance has grown again.
    await town.run(2_000);
    expect(await guess(town, 'evil', secret)).toBe('agreed');
  });

  it('who holds many connections open and says nothing keeps nobody out, and is thrown out', async () => {
    const town = new Town();
    const a = await town.open('n1');
    const wires = [];
    for (let i = 0; i < 200; i++) wires.push(listenTo(await town.stranger(`evil${i % 40}`, 'n1:1')));
    await town.run(10);
    expect(a.peers.describe().unproven).toBe(unprovenMax);
    expect(wires.filter(({ ended }) => ended)).toHaveLength(200 - unprovenMax);
    for (const name of ['n2', 'n3', 'n4']) await honest(town, name);
    await town.run(50);
    expect(a.events).toEqual(['up n2', 'up n3', 'up n4']);
    await town.run(5_000);
    expect([a.peers.describe().unproven, wires.every(({ ended, bytes }) => ended && bytes.length === 0)]).toEqual([
      0,
      true,
    ]);
  });

  it('who has not proved itself when the node stops is told so, and nobody comes after it', async () => {
    const town = new Town();
    const a = await town.open('n1');
    const wire = await town.stranger('evil', 'n1:1');
    const seen = listenTo(wire);
    await town.run(10);
    void a.peers.stop();
    await town.run(10);
    const stopping = packetOf(kindGreeting, encodeRefusal('stopping'), crc32);
    expect([seen.bytes, seen.ended, a.peers.describe().unproven]).toEqual([[...stopping], true, 0]);
    await expect(town.stranger('evil', 'n1:1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('cannot fill the places with one address', async () => {
    const town = new Town();
    const a = await town.open('n1');
    for (let i = 0; i < 100; i++) listenTo(await town.stranger('evil', 'n1:1'));
    expect(a.peers.describe()).toMatchObject({ unproven: unprovenPerAddressMax });
  });

  it('who sends its greeting a byte a second is thrown out in time', async () => {
    const town = new Town();
    const a = await town.open('n1');
    const wire = await town.stranger('evil', 'n1:1');
    const seen = listenTo(wire);
    for (const byte of packetOf(kindGreeting, new Uint8Array(200), crc32)) {
      wire.write(Uint8Array.of(byte));
      await town.run(1_000);
      if (seen.ended) break;
    }
    expect([seen.ended, town.clock.mono() < 7_000, a.peers.describe().unproven]).toEqual([true, true, 0]);
  });

  it('who sends nonsense is never answered but with that word', async () => {
    const town = new Town();
    const a = await town.open('n1');
    const random = seededRandom(5);
    for (let i = 0; i < 300; i++) {
      const wire = await town.stranger(`evil${i}`, 'n1:1');
      const seen = listenTo(wire);
      const body = random.bytes(random.u32() % 300);
      if (body.length > 0 && i % 2 === 0) body[0] = random.u32() % 6;
      wire.write(i % 3 === 0 ? body : packetOf(i % 5 === 0 ? random.u32() % 9 : kindGreeting, body, crc32));
      await town.run(20);
      expect([
        [],
        [...packetOf(kindGreeting, Uint8Array.of(5, 1), crc32)],
        [...packetOf(kindGreeting, Uint8Array.of(5, 0), crc32)],
      ]).toContainEqual(seen.bytes);
      wire.close(true);
    }
    await town.run(6_000);
    expect(a.peers.describe()).toMatchObject({ unproven: 0, peers: [] });
    expect(town.network.connections()).toEqual([]);
  });

  it('who has recorded what a node said cannot say it again', async () => {
    const town = new Town();
    const a = await town.open('n1');
    // n2 dials through a host in the middle that passes everything on and keeps it.
    const said: Uint8Array[] = [];
    await town.network.transport('middle').listen('middle:1', async inner => {
      const outer = await town.network.transport('middle').dial('n1:1', { timeoutMs: 1_000 });
      const pass = (from: Wire, to: Wire, keep: boolean): void =>
        from.listen({
          onBytes: bytes => {
            if (keep) said.push(bytes.slice());
            to.write(bytes.slice());
          },
          onDrain: () => {},
          onEnd: () => to.close(),
        });
      pass(inner, outer, true);
      pass(outer, inner, false);
    });
    const b = await town.open('n2', { peerVia: { n1: 'middle:1' } });
    b.peers.connect('n1', 'n1:1');
    await town.run(100);
    expect(a.events).toEqual(['up n2']);
    expect(send(b, 'n1', 'pay')).toBe(true);
    await town.run(100);
    for (const reflect of [false, true]) {
      const target = reflect ? 'n2:1' : 'n1:1';
      const wire = await town.stranger('evil', target);
      listenTo(wire);
      for (const bytes of said) wire.write(bytes.slice());
      await town.run(100);
    }
    expect([a.events, b.events, a.frames]).toEqual([['up n2'], ['up n1'], ['n2: pay']]);
    expect(a.refusals.at(-1)).toMatchObject({ by: 'us', reason: 'secret' });
    expect(b.refusals.at(-1)).toMatchObject({ by: 'us', reason: 'self' });
  });
});

describe('a greeting that is cut', () => {
  const greetingBytes = 2 * (16 + 74) + 2 * (16 + 50); // hellos and proofs of nodes called n1 and n2

  const consistent = async (town: Town, a: Inhabitant, b: Inhabitant, why: unknown): Promise<void> => {
    await town.run(12_000);
    const [first, second] = [a.frames.length, b.frames.length];
    expect([why, row(a, 'n2')?.state, row(b, 'n1')?.state]).toEqual([why, 'joined', 'joined']);
    expect([why, row(a, 'n2')?.session]).toEqual([why, row(b, 'n1')?.session]);
    expect([send(a, 'n2', 'ping'), send(b, 'n1', 'pong')]).toEqual([true, true]);
    await town.run(100);
    expect([why, a.frames.slice(first), b.frames.slice(second)]).toEqual([why, ['n2: pong'], ['n1: ping']]);
    expect(town.network.connections()).toHaveLength(1);
    for (const { events } of [a, b])
      for (const [i, event] of events.entries()) expect(event.startsWith(i % 2 === 0 ? 'up' : 'down')).toBe(true);
  };

  it.each(['cut', 'block'] as const)(
    'after any byte (%s), by one or by two who dial, comes to one session',
    async how => {
      for (const both of [false, true]) {
        for (let bytes = 0; bytes < greetingBytes + 100; bytes += how === 'cut' ? 1 : 3) {
          const town = new Town({ seed: bytes + 1, faults: { chunkMax: 1, delayMs: 0, bytesPerMs: 10 } });
          const [a, b] = [await town.open('n1'), await town.open('n2')];
          a.peers.connect('n2', 'n2:1');
          if (both) b.peers.connect('n1', 'n1:1');
          const carried = (): number =>
            town.network.connections().reduce((sum, { carried }) => sum + carried[0] + carried[1], 0);
          for (let step = 0; step < 2_000 && carried() < bytes; step++) await town.run(0.05);
          const at = carried(); // the first byte of an answer goes with the last of what it answers
          expect([both || a.events.length > 0, at - bytes < 2 || both]).toEqual([both || at >= greetingBytes, true]);
          if (how === 'cut') {
            town.network.cut('n1', 'n2');
          } else {
            town.network.block('n2', 'n1');
            await town.run(7_000);
          }
          town.network.heal();
          await consistent(town, a, b, [how, both, bytes]);
        }
      }
    },
    120_000,
  );

  it('again and again, while a session waits to be gone on with, loses none of it', async () => {
    for (let seed = 1; seed < 40; seed++) {
      const town = new Town({ seed, faults: { chunkMax: 50, jitterMs: 2 } });
      const [a, b] = (await town.several(['n1', 'n2'])) as [Inhabitant, Inhabitant];
      await town.run(1_000);
      const random = seededRandom(seed);
      for (let i = 0; i < 60; i++) {
        send(a, 'n2', `${i}`);
        send(b, 'n1', `${i}`);
        town.network.cut('n1', 'n2');
        await town.run(random.u32() % 200);
      }
      await town.run(15_000);
      const all = Array.from({ length: 60 }, (_, i) => i);
      expect([seed, a.events, b.events]).toEqual([seed, ['up n2'], ['up n1']]);
      expect(a.frames).toEqual(all.map(i => `n2: ${i}`));
      expect(b.frames).toEqual(all.map(i => `n1: ${i}`));
    }
  }, 60_000);

  it('and garbled for a while comes to a session when it is garbled no more, and never to a false one', async () => {
    for (let seed = 1; seed < 60; seed++) {
      const town = new Town({ seed, faults: { chunkMax: 30, corrupt: 0.05 } });
      const [a, b] = (await town.several(['n1', 'n2'])) as [Inhabitant, Inhabitant];
      await town.run(20_000);
      town.network.set('n1', 'n2', { corrupt: 0 });
      town.network.set('n2', 'n1', { corrupt: 0 });
      await town.run(30_000);
      await consistent(town, a, b, seed);
      for (const { name, incarnation } of [...a.ups, ...b.ups])
        expect([['n1', 'n2'].includes(name), incarnation]).toEqual([true, 1]);
    }
  }, 60_000);
});

describe('nodes that do not fit', () => {
  it.each<[string, object, object, string, string]>([
    [
      'another cluster',
      { cluster: 'other' },
      {},
      'cluster',
      "this node belongs to cluster 'town', the other to 'other'",
    ],
    ['another secret', { secret: 'another secret of theirs' }, {}, 'secret', "give both nodes the same 'secret'"],
    ['no secret', { secret: undefined }, {}, 'secret', "give both nodes the same 'secret', or neither"],
  ])('by %s are refused, told once, and dialled seldom', async (_why, theirs, ours, reason, message) => {
    const town = new Town();
    const a = await town.open('n1', ours);
    const b = await town.open('n2', theirs);
    b.peers.connect('n1', 'n1:1');
    await town.run(2_000);
    expect(b.refusals.length).toBeLessThan(3); // nothing gets better by asking again soon
    await town.run(118_000);
    expect([a.events, b.events]).toEqual([[], []]);
    expect(a.refusals[0]).toMatchObject({ reason, by: 'us', name: 'n2', message: expect.stringContaining(message) });
    expect(b.refusals.length).toBeLessThan(120 / 3);
    expect(b.lines.filter(line => line.startsWith('warn'))).toHaveLength(1);
    expect(a.peers.describe().refused).toMatchObject({ [reason]: a.refusals.length });
  });

  it('by another name than their certificate are refused', async () => {
    const town = new Town({ secure: true });
    const a = await town.open('n1');
    const liar = await town.open('n2', { host: 'n3' });
    liar.peers.connect('n1', 'n1:1');
    a.peers.connect('n2', 'n3:1');
    await town.run(1_000);
    expect([a.events, liar.events]).toEqual([[], []]);
    expect(a.refusals.map(({ reason, by, remote }) => [reason, by, remote.split(':')[0]])).toEqual(
      expect.arrayContaining([['certificate', 'us', 'n3']]),
    );
    expect(a.refusals.every(({ reason, by }) => reason === 'certificate' && by === 'us')).toBe(true);
  });

  it('by another name than was expected there are refused', async () => {
    const town = new Town();
    const a = await town.open('n1');
    await town.open('n3');
    a.peers.connect('n2', 'n3:1');
    await town.run(100);
    expect(a.refusals[0]).toMatchObject({
      reason: 'name',
      message: 'refused n3 at n3:1: n2 was expected there; has the address been given to another node?',
    });
  });

  it('by the same name are told so', async () => {
    const town = new Town();
    const a = await town.open('n1');
    const other = await town.open('n1', { host: 'elsewhere', incarnation: 5 });
    other.peers.join('n1:1');
    await town.run(100);
    expect(a.refusals[0]).toMatchObject({
      reason: 'namesake',
      message: expect.stringContaining("another node is called 'n1' too; give one of them another 'name'"),
    });
    expect(other.peers.describe().seeds).toEqual(['n1:1']);
  });
});
