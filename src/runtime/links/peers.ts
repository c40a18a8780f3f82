// The other nodes that this one has links with: listens, greets who comes, dials who is wanted, and keeps one session with each.
//
// A name is dialled from connect() until forget(); who comes in by itself is a peer until its session ends. Sessions outlive their
// connections, so frames are neither lost nor doubled when one breaks; what is undelivered when a session ends is handed out
// with its end ('unknown': it may have arrived; 'unsent': it has not).
//
// Strangers: a connection has greetingMs to prove itself, there are at most unprovenMax of them, the oldest gives way, and an
// address that has proved wrongly too often is not listened to for a while.
//
// Handlers are called one after the other in the order of what happened, also what they cause themselves. What they throw is logged.

import { TroupeError } from '../../errors.ts';
import { ackDelayMs, membersMax, peerLinkBytesDefault, seedsMax, stopFlushMs, stopLookMs } from '../../limits.ts';
import { checkNodeName } from '../ids.ts';
import type { Millis } from '../world.ts';
import { dialable, formatAddress, isWildcard, parseAddress } from './address.ts';
import { CallQueue } from './call-queue.ts';
import { checkExposure } from './exposure.ts';
import { type Failure, Greeter } from './greeter.ts';
import { checkMember, type Role } from './greeting.ts';
import type { Agreed, Refused, Self } from './handshake.ts';
import { type DialFailure, type Greets, type Neighbourhood, Peer, type PeerEvent } from './peer.ts';
import type { DriverEnd } from './peer-driver.ts';
import { PeerLink } from './peer-link.ts';
import type { PeersOptions } from './peers-options.ts';
import { explainRefusal, isHopeless, type Refusal } from './refusals.ts';
import { Seed } from './seed.ts';
import type { TlsIdentity } from './tls-wire.ts';
import { Visitors } from './visitors.ts';
import { renew, type Wire, type WireListener } from './wire.ts';

export type { PeersOptions } from './peers-options.ts';
export type { Refusal } from './refusals.ts';

/** Plain data. `peers`: see Peer.describe(); `turnedAway`: connections closed without a greeting; `refused`: by reason. */
export interface PeersDescription {
  readonly name: string;
  readonly address: string;
  readonly state: string;
  readonly unproven: number;
  readonly turnedAway: number;
  readonly refused: Readonly<Record<string, number>>;
  readonly seeds: readonly string[];
  readonly peers: readonly Readonly<Record<string, unknown>>[];
}

export class Peers {
  private readonly options: PeersOptions;
  private readonly linkBytes: number;
  private readonly peers = new Map<string, Peer>();
  private readonly seeds = new Map<string, Seed>();
  private readonly visitors: Visitors;
  private readonly calls = new CallQueue(error => this.onThrown(error));
  private readonly around: Neighbourhood;
  private state: 'new' | 'open' | 'stopping' = 'new';
  private self: Self;
  private listener: WireListener | undefined;
  private ticks = 0;
  private stopped: Promise<void> | undefined;
  private readonly refused = new Map<string, number>();

  /** Throws BAD_OPTION: a port for strangers, a secret to be guessed, an address that is none. */
  constructor(options: PeersOptions) {
    const { listen, advertise, secret, insecure, transport, cluster, incarnation, replicas, partitions, world } =
      options;
    checkExposure({ listen, secure: transport.secure, secret, insecure });
    checkMember(cluster, incarnation);
    for (const address of [listen, advertise, ...Object.values(options.peerVia)])
      if (address !== undefined) parseAddress(address);
    this.options = options;
    this.visitors = new Visitors(world.clock);
    this.linkBytes = options.linkBytes ?? peerLinkBytesDefault;
    const key = secret === undefined ? undefined : new TextEncoder().encode(secret);
    const name = checkNodeName(options.name);
    this.self = { cluster, name, incarnation, address: advertise ?? '', replicas, partitions, secret: key };
    this.around = {
      ownName: options.name,
      clock: world.clock,
      dialling: { clock: world.clock, random: world.random, transport },
      greet: (wire, role, expected, greets) => this.greet(wire, role, expected, greets),
      makeLink: name => this.makeLink(name),
      tick: () => ++this.ticks,
      dialable,
      via: (name, address) => (Object.hasOwn(options.peerVia, name) ? (options.peerVia[name] as string) : address),
      emit: events => this.emit(events),
      report: (peer, failure, remote) => this.onDialFailed(peer, peer.name, failure, remote),
      onEmpty: peer => this.peers.delete(peer.name),
    };
  }

  renewTls(tls: TlsIdentity): void {
    renew(this.options.transport, tls);
  }

  /** What peers are told to dial; empty: nothing. */
  get address(): string {
    return this.self.address;
  }

  /** Rejects with BAD_OPTION when the address cannot be listened on. */
  async open(): Promise<void> {
    const { listen, advertise, transport, world } = this.options;
    if (listen !== undefined) {
      this.listener = await transport.listen(listen, wire => this.onWire(wire));
      if (this.stopped !== undefined) return this.listener.close();
      this.self = { ...this.self, address: advertise ?? this.listener.address };
      if (isWildcard(parseAddress(this.self.address)))
        world.log.warn(
          { address: this.self.address },
          "peers cannot dial this address and take the one we come from instead; set 'advertise'",
        );
    }
    this.state = 'open';
  }

  /** Keeps a link with this node until forget(). Called again, it says where the node is now. */
  connect(name: string, address: string): void {
    checkNodeName(name);
    if (name === this.self.name)
      throw new TroupeError('BAD_OPTION', `'${name}' is this node itself: it has no link to itself`);
    const at = formatAddress(parseAddress(address));
    if (this.refuseWork()) return;
    const peer = this.peers.get(name) ?? this.add(name);
    if (peer === undefined) throw new TroupeError('OVERLOADED', `a node has at most ${membersMax} peers`);
    peer.want(at);
  }

  /** Dials whoever is there, until it is known by name; from then on it is as if connect() had been called. */
  join(address: string): void {
    const at = formatAddress(parseAddress(address));
    if (this.refuseWork() || this.seeds.has(at)) return;
    if (this.seeds.size >= seedsMax)
      throw new TroupeError('OVERLOADED', `a node joins by ${seedsMax} addresses at most`);
    const seed = new Seed(at, {
      dialling: this.around.dialling,
      greet: (wire, greets) => this.greet(wire, 'dialer', undefined, greets),
      onAgreed: (greeter, agreed) => this.onSeed(seed, greeter, agreed),
      onKnown: name => this.onSeedKnown(seed, name),
      onSelf: () => {
        this.endSeed(seed);
        this.calls.add(() => this.options.onSeed?.(at, this.self.name));
      },
      report: failure => this.onDialFailed(seed, undefined, failure, at),
    });
    this.seeds.set(at, seed);
    seed.dial();
  }

  /** Neither dials nor keeps anything of it; it is told. A node that dials us after that is a new peer. */
  forget(name: string): void {
    this.peers.get(name)?.end('forgotten');
  }

  /** Undefined while there is no session. It refuses everything once the session has ended. */
  link(name: string): PeerLink | undefined {
    return this.peers.get(name)?.link;
  }

  /** Frames of its session are held, up to linkBytes, and then it has to wait. The next session is not paused. */
  pause(name: string): void {
    this.peers.get(name)?.link?.pause();
  }

  resume(name: string): void {
    this.calls.add(() => this.peers.get(name)?.link?.resume());
  }

  /** Takes and dials nobody any more, waits a little until what was sent is acknowledged, and says goodbye to all. */
  stop(): Promise<void> {
    this.stopped ??= this.windUp();
    return this.stopped;
  }

  private async windUp(): Promise<void> {
    this.state = 'stopping';
    await this.listener?.close();
    for (const seed of [...this.seeds.values()]) this.endSeed(seed);
    for (const greeter of this.visitors.all()) greeter.refuse('stopping');
    const peers = [...this.peers.values()];
    for (const peer of peers) peer.endDialling();
    const until = this.options.world.clock.mono() + stopFlushMs;
    await this.wait(until, () => peers.every(({ connection, link }) => !connection || link?.isQuiet !== false));
    const connections = peers.map(peer => peer.connection);
    for (const peer of peers) peer.end('stopped');
    await this.wait(until, () => connections.every(connection => !connection || connection.buffered === 0));
  }

  describe(): PeersDescription {
    return {
      name: this.self.name,
      address: this.address,
      state: this.state,
      ...this.visitors.describe(),
      refused: Object.fromEntries(this.refused),
      seeds: [...this.seeds.keys()],
      peers: [...this.peers.values()].map(peer => peer.describe()),
    };
  }

  // Connections that come in.

  private onWire(wire: Wire): void {
    if (this.state === 'stopping' || !this.visitors.admits(wire.remote)) return wire.close(true);
    const openedTick = ++this.ticks;
    const greeter = this.greet(wire, 'acceptor', undefined, {
      onAgreed: (greeter, agreed) => this.onVisitor(greeter, agreed, openedTick),
      onFailed: (greeter, failure) => this.onVisitorFailed(greeter, failure),
    });
    this.visitors.add(greeter);
  }

  private onVisitor(greeter: Greeter, agreed: Agreed, openedTick: number): void {
    const { name } = agreed.peer;
    const known = this.peers.get(name);
    const isRival = this.self.name < name && [...this.seeds.values()].some(({ meets }) => meets === name);
    if (isRival || known?.hasBetter(openedTick)) return greeter.refuse('duplicate');
    const peer = known ?? this.add(name);
    if (peer === undefined) return greeter.refuse('full');
    this.visitors.remove(greeter);
    peer.take(greeter, agreed);
  }

  private onVisitorFailed(greeter: Greeter, failure: Failure): void {
    const { remote } = greeter;
    this.visitors.remove(greeter);
    if (failure.type === 'ended') return this.log('debug', { address: remote, why: failure.why }, 'no greeting');
    if (failure.by === 'us' && failure.reason === 'secret') this.visitors.onWrongProof(remote);
    this.onRefused(failure, remote, this.visitors.mayLog(remote));
  }

  // Dialling.

  private greet(wire: Wire, role: Role, expected: string | undefined, greets: Greets): Greeter {
    const { world, crc32, hmac } = this.options;
    const greeter: Greeter = new Greeter({
      wire,
      clock: world.clock,
      crc32,
      handshake: {
        role,
        self: this.self,
        nonce: world.random.bytes(32),
        hmac,
        expected,
        sessionWith: name => this.peers.get(name)?.known(),
        fresh: { received: 0, granted: this.linkBytes },
      },
      onAgreed: agreed => greets.onAgreed(greeter, agreed),
      onFailed: failure => greets.onFailed(greeter, failure),
      onLost: (why, error) => this.onLost(greeter, why, error),
      onThrown: error => this.onThrown(error),
    });
    return greeter;
  }

  private onLost(greeter: Greeter, why: DriverEnd, error: Error | undefined): void {
    const peer = [...this.peers.values()].find(({ connection }) => connection === greeter);
    this.log('debug', { peer: peer?.name, address: greeter.remote, why, err: error }, 'a connection has ended');
    peer?.onLost(why);
  }

  private onDialFailed(holder: { told: string }, name: string | undefined, failure: DialFailure, remote: string): void {
    const key =
      failure.type === 'refused' ? failure.reason : failure.type === 'ended' ? failure.why : codeOf(failure.error);
    const isNews = holder.told !== key;
    holder.told = key;
    if (failure.type === 'refused') {
      const refusal = this.onRefused(failure, remote, isNews);
      if (name === undefined) this.onSeedTrouble(remote, refusal, refusal.message);
      return;
    }
    if (name !== undefined && failure.type === 'unreachable') {
      // What stands in between may refuse when nothing is wrong with the node.
      const isNobody = key === 'ECONNREFUSED' && !Object.hasOwn(this.options.peerVia, name);
      this.calls.add(() => this.options.onUnreached?.(name, isNobody));
    }
    const fields = { peer: name, address: remote, err: failure.error };
    const where = failure.type === 'ended' ? 'cannot greet it' : 'cannot reach it';
    this.log(isNews ? 'info' : 'debug', fields, `${where}: ${key}`);
    const { message = key } = (failure.error ?? {}) as Partial<Error>;
    if (name === undefined) this.onSeedTrouble(remote, undefined, `${where}: ${message}`);
  }

  private onSeedTrouble(address: string, refusal: Refusal | undefined, message: string): void {
    this.calls.add(() => this.options.onSeedTrouble?.({ address, refusal, message }));
  }

  private onRefused(refused: Refused, remote: string, isNews: boolean): Refusal {
    const { reason, by, peer } = refused;
    this.refused.set(reason, (this.refused.get(reason) ?? 0) + 1);
    const message = explainRefusal(refused, this.self, remote);
    this.log(
      isNews && isHopeless(reason) && reason !== 'self' ? 'warn' : 'debug',
      { peer: peer?.name, address: remote, reason },
      message,
    );
    const refusal = { name: peer?.name, remote, reason, by, message };
    this.calls.add(() => this.options.onRefused(refusal));
    return refusal;
  }

  private onSeed(seed: Seed, greeter: Greeter, agreed: Agreed): void {
    const peer = this.peers.get(agreed.peer.name) ?? this.add(agreed.peer.name);
    if (peer === undefined) return greeter.refuse('full');
    if (!peer.take(greeter, agreed, seed.address)) return;
    this.endSeed(seed);
    this.calls.add(() => this.options.onSeed?.(seed.address, peer.name));
  }

  private onSeedKnown(seed: Seed, name: string): void {
    this.endSeed(seed);
    this.calls.add(() => this.options.onSeed?.(seed.address, name));
    this.peers.get(name)?.want(seed.address);
  }

  private endSeed(seed: Seed): void {
    this.seeds.delete(seed.address);
    seed.end();
  }

  // What all share.

  private add(name: string): Peer | undefined {
    if (this.peers.size >= membersMax) return undefined;
    const peer = new Peer(name, this.around);
    this.peers.set(name, peer);
    return peer;
  }

  private makeLink(name: string): PeerLink {
    const { world, crc32 } = this.options;
    const link: PeerLink = new PeerLink({
      from: 0,
      onFrame: (_from, bytes, view, start, end) => {
        if (!link.isEnded) this.options.onFrame(name, bytes, view, start, end); // a handler may have ended it
      },
      crc32,
      soon: fn => world.clock.soon(fn),
      later: fn => void world.clock.timer(ackDelayMs, fn),
      bytesMax: this.linkBytes,
    });
    return link;
  }

  private refuseWork(): boolean {
    if (this.state === 'new') throw new TroupeError('STOPPED', 'open() first: peers are told where this node listens');
    return this.state === 'stopping';
  }

  private emit(events: readonly PeerEvent[]): void {
    const calls = events.map(event => () => {
      const { peer } = event;
      if (event.type === 'up') {
        this.log('info', { peer: peer.name, incarnation: peer.incarnation }, 'a peer is up');
        return this.options.onUp(peer);
      }
      const { reason, remains } = event;
      const counts = { unknown: remains.unknown.length, unsent: remains.unsent.length };
      this.log('info', { peer: peer.name, incarnation: peer.incarnation, reason, ...counts }, 'a peer is down');
      return this.options.onDown(peer, reason, remains);
    });
    this.calls.add(...calls);
  }

  private onThrown(error: unknown): void {
    this.options.world.log.error({ err: error }, 'a handler of links has thrown');
  }

  private log(level: 'debug' | 'info' | 'warn', fields: object, message: string): void {
    this.options.world.log[level](fields, message);
  }

  private async wait(until: Millis, holds: () => boolean): Promise<void> {
    const { clock } = this.options.world;
    while (!holds() && clock.mono() < until) {
      const { promise, resolve } = Promise.withResolvers<void>();
      clock.timer(stopLookMs, resolve);
      await promise;
    }
  }
}

const codeOf = (error: unknown): string => String((error as { code?: unknown } | null)?.code ?? error);
