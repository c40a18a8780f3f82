// Nodes that know each other only through peers.ts, over the simulated network, on a clock that a test moves.

import { createHmac } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { Greeter } from '../../../src/runtime/links/greeter.ts';
import type { KnownSession } from '../../../src/runtime/links/handshake.ts';
import type { PeerInfo } from '../../../src/runtime/links/peer.ts';
import type { Progress } from '../../../src/runtime/links/peer-inbox.ts';
import type { PeerLink } from '../../../src/runtime/links/peer-link.ts';
import { Peers, type PeersOptions, type Refusal } from '../../../src/runtime/links/peers.ts';
import type { Wire } from '../../../src/runtime/links/wire.ts';
import type { Log } from '../../../src/runtime/world.ts';
import { type Faults, VirtualNetwork } from '../../../src/testing/virtual-network.ts';
import { seededRandom } from '../../../src/testing/virtual-world.ts';
import { HandClock } from './hand-clock.ts';

export const secret = '0123456789abcdef';
export const hmac = (key: Uint8Array, data: Uint8Array): Uint8Array => createHmac('sha256', key).update(data).digest();

export interface Inhabitant {
  readonly peers: Peers;
  readonly host: string;
  /** 'up n2', 'down n2 lost (1 unknown, 0 unsent)' in the order in which they came. */
  readonly events: string[];
  readonly ups: PeerInfo[];
  readonly refusals: Refusal[];
  /** 'n2: text' for each frame. */
  readonly frames: string[];
  /** 'n2 nobody' or 'n2' for each dial in vain. */
  readonly unreached: string[];
  readonly lines: string[];
}

type Settings = Partial<Omit<PeersOptions, 'name'>> & { host?: string };

export class Town {
  readonly clock = new HandClock();
  readonly network: VirtualNetwork;
  private readonly random;

  constructor({
    seed = 1,
    faults = {},
    secure = false,
  }: { seed?: number; faults?: Partial<Faults>; secure?: boolean } = {}) {
    this.random = seededRandom(seed);
    this.network = new VirtualNetwork({ clock: this.clock, random: this.random, faults, secure });
  }

  /** A node that listens as '<name>:1' unless it is said otherwise. */
  make(name: string, { host = name, ...settings }: Settings = {}): Inhabitant {
    const seen = { events: [], ups: [], refusals: [], frames: [], unreached: [], lines: [] } as Omit<
      Inhabitant,
      'peers' | 'host'
    >;
    const line =
      (level: string) =>
      (fields: object | string, message?: string): void =>
        void seen.lines.push(`${level} ${JSON.stringify(fields)} ${message ?? ''}`);
    const log: Log = {
      trace: line('trace'),
      debug: line('debug'),
      info: line('info'),
      warn: line('warn'),
      error: line('error'),
    };
    const peers = new Peers({
      name,
      incarnation: 1,
      cluster: 'town',
      listen: `${host}:1`,
      advertise: undefined,
      peerVia: {},
      secret,
      insecure: true,
      transport: this.network.transport(host),
      crc32,
      hmac,
      world: { clock: this.clock, random: this.random, log },
      linkBytes: 65_536,
      onUp: peer => {
        seen.ups.push(peer);
        seen.events.push(`up ${peer.name}`);
      },
      onDown: (peer, reason, { unknown, unsent }) => {
        seen.events.push(`down ${peer.name} ${reason} (${unknown.length} unknown, ${unsent.length} unsent)`);
      },
      onFrame: (from, bytes, _view, start, end) => {
        seen.frames.push(`${from}: ${Buffer.from(bytes.subarray(start, end)).toString()}`);
      },
      onRefused: refusal => seen.refusals.push(refusal),
      onUnreached: (peer, isNobody) => seen.unreached.push(isNobody ? `${peer} nobody` : peer),
      ...settings,
    });
    return { peers, host, ...seen };
  }

  async open(name: string, settings: Settings = {}): Promise<Inhabitant> {
    const inhabitant = this.make(name, settings);
    await inhabitant.peers.open();
    return inhabitant;
  }

  /** Some who all keep links with each other, each dialling each. */
  async several(names: readonly string[], settings: Settings = {}): Promise<Inhabitant[]> {
    const all = await Promise.all(names.map(name => this.open(name, settings)));
    for (const { peers } of all)
      for (const name of names) if (name !== peers.describe().name) peers.connect(name, `${name}:1`);
    return all;
  }

  /** A connection of somebody who does not use peers.ts. */
  async stranger(host: string, address: string): Promise<Wire> {
    const dialled = this.network.transport(host).dial(address, { timeoutMs: 1_000 });
    await this.clock.run(5);
    return dialled;
  }

  run(ms: number): Promise<void> {
    return this.clock.run(ms);
  }
}

export function send(from: Inhabitant, to: string, text: string): boolean {
  return from.peers.link(to)?.send(Buffer.from(text)) ?? false;
}

/** The row of a peer in describe(). */
export function row(of: Inhabitant, name: string): Record<string, unknown> | undefined {
  return of.peers.describe().peers.find(peer => peer.name === name);
}

export interface Guest {
  readonly wire: Wire;
  readonly greeter: Greeter;
  /** 'agreed', the reason of a refusal, or how the connection ended; empty while it goes on. */
  readonly outcomes: string[];
}

export interface GuestOptions {
  readonly name: string;
  readonly incarnation?: number;
  readonly secret?: string;
  readonly known?: KnownSession;
  /** What is sent as the own progress in a session that begins. */
  readonly fresh?: Progress;
  /** A link to join, as a peer would. */
  readonly link?: PeerLink;
}

/** Greets over a wire by hand, as somebody who says what a peer would not. */
export function greetAs(town: Town, wire: Wire, options: GuestOptions): Guest {
  const { name, incarnation = 1, known, fresh = { received: 0, granted: 65_536 }, link } = options;
  const outcomes: string[] = [];
  const greeter: Greeter = new Greeter({
    wire,
    clock: town.clock,
    crc32,
    handshake: {
      role: 'dialer',
      self: { cluster: 'town', name, incarnation, address: '', secret: Buffer.from(options.secret ?? secret) },
      nonce: seededRandom(town.clock.mono() * 1_000).bytes(32),
      hmac,
      expected: 'n1',
      sessionWith: () => known,
      fresh,
    },
    onAgreed: agreed => {
      outcomes.push('agreed');
      if (link !== undefined) greeter.join(link, agreed);
    },
    onFailed: failure => outcomes.push(failure.type === 'refused' ? failure.reason : failure.why),
    onLost: why => outcomes.push(why),
    onThrown: () => {},
  });
  return { wire, greeter, outcomes };
}
