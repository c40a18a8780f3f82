// Nodes that dial, forget, die, come back and send, over a network that breaks in every way it can: whatever happens, a session is
// the same to both its ends, what it delivers is a beginning of what was sent, and what its end says of the rest is true.

import { describe, expect, it } from 'vitest';
import type { PeerInfo } from '../../../src/runtime/links/peer.ts';
import { seededRandom } from '../../../src/testing/virtual-world.ts';
import { type Inhabitant, Town } from './town.ts';

const names = ['n1', 'n2', 'n3'] as const;

/** One direction of one session. */
interface Ledger {
  sent: number;
  delivered: number;
  /** What the end said: the first frame that may not have arrived, and the first that has not left. */
  unknownFrom: number | undefined;
  unsentFrom: number | undefined;
}

class World {
  readonly town: Town;
  readonly ledgers = new Map<string, Ledger>();
  readonly living = new Map<string, { inhabitant: Inhabitant; sessions: Map<string, PeerInfo> }>();
  private readonly incarnations = new Map<string, number>();

  constructor(seed: number) {
    const random = seededRandom(seed + 77);
    this.town = new Town({
      seed,
      faults: {
        delayMs: random.u32() % 30,
        jitterMs: random.u32() % 30,
        chunkMax: random.u32() % 2 === 0 ? 0 : 1 + (random.u32() % 200),
        corrupt: random.u32() % 3 === 0 ? 0.001 : 0,
        bufferBytes: 2_000,
        windowBytes: 3_000,
      },
    });
  }

  async start(name: string): Promise<void> {
    const incarnation = (this.incarnations.get(name) ?? 0) + 1;
    this.incarnations.set(name, incarnation);
    const sessions = new Map<string, PeerInfo>();
    const me = `${name}#${incarnation}`;
    const isAlive = (): boolean => this.incarnations.get(name) === incarnation && this.living.has(name);
    const inhabitant = await this.town.open(name, {
      incarnation,
      onUp: peer => {
        if (sessions.has(peer.name)) throw new Error(`${me}: two sessions with ${peer.name}`);
        sessions.set(peer.name, peer);
      },
      onDown: (peer, _reason, { unknown, unsent }) => {
        expect(sessions.get(peer.name)).toBe(peer);
        sessions.delete(peer.name);
        const ledger = this.ledger(peer.session, name);
        const numbers = [...unknown, ...unsent].map(frame => Number(Buffer.from(frame).toString().split(' ')[1]));
        const first = ledger.sent - numbers.length;
        expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, i) => first + i));
        ledger.unknownFrom = first;
        ledger.unsentFrom = first + unknown.length;
      },
      onFrame: (from, bytes, _view, start, end) => {
        const [session, number] = Buffer.from(bytes.subarray(start, end)).toString().split(' ').map(Number);
        expect([me, session]).toEqual([me, sessions.get(from)?.session]);
        const ledger = this.ledger(session as number, from);
        expect([me, from, number]).toEqual([me, from, ledger.delivered]);
        ledger.delivered++;
        if (!isAlive()) throw new Error(`${me} is dead and handles frames`);
      },
    });
    this.living.set(name, { inhabitant, sessions });
  }

  /** The process is gone, and nothing of it runs on. */
  crash(name: string, silent: boolean): void {
    const one = this.living.get(name);
    if (one === undefined) return;
    this.living.delete(name);
    for (const other of names) one.inhabitant.peers.forget(other);
    void one.inhabitant.peers.stop();
    this.town.network.crash(name, { silent });
  }

  send(from: string, to: string, random: { u32(): number }): void {
    const one = this.living.get(from);
    const peer = one?.sessions.get(to);
    const link = one?.inhabitant.peers.link(to);
    if (peer === undefined || link === undefined) return;
    const ledger = this.ledger(peer.session, from);
    for (let count = random.u32() % 12; count > 0; count--) {
      const padding = 'x'.repeat(random.u32() % 60 === 0 ? 30_000 : random.u32() % 50);
      if (!link.send(Buffer.from(`${peer.session} ${ledger.sent} ${padding}`))) return;
      ledger.sent++;
    }
  }

  check(): void {
    for (const [key, { sent, delivered, unknownFrom = 0, unsentFrom = sent }] of this.ledgers)
      expect([key, unknownFrom <= delivered, delivered <= unsentFrom]).toEqual([key, true, true]);
  }

  private ledger(session: number, from: string): Ledger {
    const key = `${session} ${from}`;
    const ledger = this.ledgers.get(key) ?? { sent: 0, delivered: 0, unknownFrom: undefined, unsentFrom: undefined };
    this.ledgers.set(key, ledger);
    return ledger;
  }
}

async function run(seed: number): Promise<void> {
  const world = new World(seed);
  const { town } = world;
  const random = seededRandom(seed);
  const pick = <One>(from: readonly One[]): One => from[random.u32() % from.length] as One;
  for (const name of names) await world.start(name);
  for (let step = 0; step < 250; step++) {
    const [a, b] = [pick(names), pick(names)];
    if (a === b) continue;
    const peers = world.living.get(a)?.inhabitant.peers;
    const dice = random.u32() % 100;
    if (dice < 45) world.send(a, b, random);
    else if (dice < 60) peers?.connect(b, `${b}:1`);
    else if (dice < 65) peers?.join(`${b}:1`);
    else if (dice < 70) town.network.cut(a, b);
    else if (dice < 74) town.network.block(a, b);
    else if (dice < 86) town.network.free(a, b);
    else if (dice < 88) peers?.forget(b);
    else if (dice < 90) world.crash(a, random.u32() % 2 === 0);
    else if (dice < 95 && !world.living.has(a)) await world.start(a);
    else if (dice < 97) peers?.pause(b);
    else peers?.resume(b);
    await town.run(pick([0, 1, 10, 100, 1_000, step % 50 === 0 ? 70_000 : 5]));
  }
  town.network.heal();
  for (const a of names) for (const b of names) town.network.set(a, b, { corrupt: 0 });
  for (const name of names) if (!world.living.has(name)) await world.start(name);
  for (const a of names)
    for (const b of names) {
      if (a === b) continue;
      world.living.get(a)?.inhabitant.peers.connect(b, `${b}:1`);
      world.living.get(a)?.inhabitant.peers.resume(b);
    }
  await town.run(40_000);
  for (const a of names) {
    const one = world.living.get(a);
    for (const b of names) {
      if (a === b) continue;
      const session = one?.sessions.get(b)?.session;
      expect([seed, a, b, session]).toEqual([seed, a, b, world.living.get(b)?.sessions.get(a)?.session]);
      expect(session).toBeGreaterThan(0);
      world.send(a, b, random);
    }
  }
  await town.run(5_000);
  for (const a of names)
    for (const b of names) {
      const session = world.living.get(a)?.sessions.get(b)?.session;
      const ledger = world.ledgers.get(`${session} ${a}`);
      expect([seed, a, b, ledger?.delivered]).toEqual([seed, a, b, ledger?.sent]);
    }
  expect(town.network.connections()).toHaveLength(3);
  world.check();
  for (const { inhabitant } of world.living.values())
    expect(inhabitant.lines.filter(line => line.startsWith('error'))).toEqual([]);
}

describe('nodes in all kinds of trouble', () => {
  it('have true sessions, and one with each in the end', async () => {
    for (let seed = 1; seed <= 60; seed++) await run(seed);
  }, 120_000);
});
