// Another node, as this one knows it: the session with it and its link, the connection that carries it, and the dialling when
// there is none.
//
//     away ──take(): a connection whose other end has proved itself──▶ joined ──it ends──▶ away
//                                                                        └── another is taken: the older one is dropped
//     session:   none ──▶ begun: onUp ──(connections come and go)──▶ ended: onDown, with what may and what cannot have arrived
//
// Which of two connections stays, both ends must decide alike. When each has dialled the other, the one dialled by the smaller name
// stays: only its dialler refuses ('duplicate'), the other gives up its own. Apart from that a connection that was opened later
// replaces one that was joined before: who dials has no other, whatever ours looks like from here.
//
// Invariant: one link a session, one connection a link; no frame of a session after its end.

import { sessionKeepMs, silenceMs } from '../../limits.ts';
import type { Cancel, Clock, Millis } from '../world.ts';
import { Dialler, type DiallerOptions } from './dialler.ts';
import type { Failure, Greeter } from './greeter.ts';
import type { Role } from './greeting.ts';
import type { Agreed, KnownSession } from './handshake.ts';
import type { DriverEnd } from './peer-driver.ts';
import type { PeerLink } from './peer-link.ts';
import { isHopeless } from './refusals.ts';
import type { Remains } from './remains.ts';
import type { Wire } from './wire.ts';

export interface PeerInfo {
  readonly name: string;
  readonly incarnation: number;
  readonly session: number;
  /** Where it wants to be dialled; undefined: nowhere. */
  readonly address: string | undefined;
}

/**
 * Why a session has ended. 'goodbye': the other node stops, or has forgotten us. 'reborn': it has another life. 'lost': no
 * connection for sessionKeepMs. 'reset': one end knew nothing of it any more. 'forgotten', 'stopped': by us.
 */
export type DownReason = 'goodbye' | 'reborn' | 'lost' | 'reset' | 'forgotten' | 'stopped';

export type PeerEvent =
  | { readonly type: 'up'; readonly peer: PeerInfo }
  | { readonly type: 'down'; readonly peer: PeerInfo; readonly reason: DownReason; readonly remains: Remains };

/** Who wants to know what a greeting comes to. */
export interface Greets {
  onAgreed(greeter: Greeter, agreed: Agreed): void;
  onFailed(greeter: Greeter, failure: Failure): void;
}

/** Why a dial came to nothing. */
export type DialFailure = Failure | { readonly type: 'unreachable'; readonly error: unknown };

/** What all peers of a node share. */
export interface Neighbourhood {
  readonly ownName: string;
  readonly clock: Pick<Clock, 'mono' | 'timer'>;
  readonly dialling: Pick<DiallerOptions, 'clock' | 'random' | 'transport'>;
  greet(wire: Wire, role: Role, expected: string | undefined, greets: Greets): Greeter;
  makeLink(name: string): PeerLink;
  /** Numbers in the order of time: of connections that were opened, and joined. */
  tick(): number;
  /** The address by which a peer may be dialled, given what it says and where it comes from. */
  dialable(said: string, remote: string): string | undefined;
  via(name: string, address: string): string;
  emit(events: readonly PeerEvent[]): void;
  /** A dial or its greeting came to nothing. */
  report(peer: Peer, failure: DialFailure, remote: string): void;
  /** See Peer.isEmpty. */
  onEmpty(peer: Peer): void;
}

interface Session {
  readonly info: PeerInfo;
  readonly link: PeerLink;
}

export class Peer {
  readonly name: string;
  /** The trouble that was told last, so that each is told once. */
  told = '';
  private readonly around: Neighbourhood;
  private readonly dialler: Dialler;
  /** Where connect() said it is; undefined: it comes to us, or not at all. */
  private address: string | undefined;
  private session: Session | undefined;
  /** The connection that carries the session, since when, and its number in the order of time. */
  private joined: Greeter | undefined;
  private joinedAt: Millis = 0;
  private joinedTick = 0;
  /** Our own dial that is in its greeting. */
  private greeting: Greeter | undefined;
  /** The latest life that has proved itself. */
  private incarnation = 0;
  private keep: Cancel = () => {};

  constructor(name: string, around: Neighbourhood) {
    this.name = name;
    this.around = around;
    this.dialler = new Dialler({
      ...around.dialling,
      address: () => around.via(name, this.address as string),
      onWire: wire => this.onWire(wire),
      onFailed: error => around.report(this, { type: 'unreachable', error }, this.dialled),
    });
  }

  get link(): PeerLink | undefined {
    return this.session?.link;
  }

  get connection(): Greeter | undefined {
    return this.joined;
  }

  /** Nothing is left of it: no session, and nobody wants it dialled. */
  get isEmpty(): boolean {
    return this.session === undefined && this.address === undefined && this.joined === undefined;
  }

  known(): KnownSession | undefined {
    const { session } = this;
    if (session === undefined) return undefined;
    const { info, link } = session;
    return { session: info.session, incarnation: info.incarnation, progress: () => link.progress() };
  }

  /** From now on a connection is wanted, and dialled whenever there is none. */
  want(address: string): void {
    const moved = this.address !== address;
    this.address = address;
    if (this.joined !== undefined || this.greeting !== undefined) return;
    if (moved && this.dialler.state === 'waiting') this.dialler.rest();
    this.dialler.start();
  }

  /** Whether there is, or is about to be, a better connection than one that came in, was opened at this tick and has proved itself. */
  hasBetter(openedTick: number): boolean {
    if (this.joined !== undefined && openedTick < this.joinedTick) return true;
    return this.greeting !== undefined && this.around.ownName < this.name;
  }

  /** A connection whose other end has proved itself, whoever dialled. `address`: dial it there from now on. False: refused. */
  take(greeter: Greeter, agreed: Agreed, address: string | undefined = this.address): boolean {
    const { peer, resumed, progress } = agreed;
    const old = this.session;
    if (peer.incarnation < this.incarnation || (resumed && old?.link.isBehind(progress) === true)) {
      greeter.refuse('superseded');
      return false;
    }
    if (peer.incarnation > this.incarnation && this.joined !== undefined) {
      // The life before still speaks to us: it is no life before, but another node. A dead one is found out within silenceMs.
      greeter.refuse('namesake');
      return false;
    }
    if (this.greeting !== greeter) {
      this.greeting?.drop();
      this.dialler.rest();
    }
    this.greeting = undefined;
    this.joined?.drop();
    this.joined = undefined;
    const session = resumed && old !== undefined ? old : this.sessionOf(greeter, agreed);
    if (!greeter.join(session.link, agreed)) return this.onMisfit(greeter);
    this.address = address;
    this.becomeJoined(greeter, session);
    if (session === old) return true;
    const down = old === undefined ? [] : [this.downOf(old, peer.incarnation > this.incarnation ? 'reborn' : 'reset')];
    this.incarnation = peer.incarnation;
    this.around.emit([...down, { type: 'up', peer: session.info }]);
    return true;
  }

  /** The connection that carried the session has ended. */
  onLost(why: DriverEnd): void {
    this.joined = undefined;
    const lasted = this.around.clock.mono() - this.joinedAt >= silenceMs;
    if (this.address !== undefined) this.dialler.again(lasted ? 'good' : 'bad');
    if (why === 'goodbye') this.endSession('goodbye');
    else this.keep = this.around.clock.timer(sessionKeepMs, () => this.endSession('lost'));
  }

  /** Nothing goes on: no dialling, no connection, no session. */
  end(reason: 'forgotten' | 'stopped'): void {
    this.endDialling();
    this.joined?.goodbye();
    this.joined = undefined;
    this.endSession(reason);
  }

  /** No new connection; the one there is goes on. */
  endDialling(): void {
    this.address = undefined;
    this.dialler.rest();
    this.greeting?.drop();
    this.greeting = undefined;
  }

  describe(): Record<string, unknown> {
    const { name, address, incarnation, session, joined, dialler } = this;
    return {
      name,
      address,
      incarnation,
      session: session?.info.session,
      state: joined !== undefined ? 'joined' : this.greeting !== undefined ? 'greeting' : dialler.state,
      remote: joined?.remote,
      tries: dialler.tries,
      trouble: this.told,
      link: session?.link.describe(),
    };
  }

  private get dialled(): string {
    return this.around.via(this.name, this.address ?? '');
  }

  private onWire(wire: Wire): void {
    this.greeting = this.around.greet(wire, 'dialer', this.name, {
      onAgreed: (greeter, agreed) => void this.take(greeter, agreed),
      onFailed: (greeter, failure) => this.onFailed(greeter, failure),
    });
  }

  private onFailed(greeter: Greeter, failure: Failure): void {
    if (this.greeting === greeter) this.greeting = undefined;
    this.around.report(this, failure, this.dialled);
    if (this.address === undefined || this.joined !== undefined) return;
    this.dialler.again(failure.type === 'refused' && isHopeless(failure.reason) ? 'hopeless' : 'bad');
  }

  /** The other end claims what cannot be: it was set back, or we were. The session is of no use to either. */
  private onMisfit(greeter: Greeter): false {
    greeter.refuse('session');
    if (this.address !== undefined && this.dialler.state === 'resting') this.dialler.again('bad');
    this.endSession('reset');
    return false;
  }

  private becomeJoined(greeter: Greeter, session: Session): void {
    this.keep();
    this.told = '';
    this.session = session;
    this.joined = greeter;
    this.joinedAt = this.around.clock.mono();
    this.joinedTick = this.around.tick();
  }

  private sessionOf(greeter: Greeter, { peer, session }: Agreed): Session {
    const { name, incarnation } = peer;
    const address = this.around.dialable(peer.address, greeter.remote);
    return { info: { name, incarnation, session, address }, link: this.around.makeLink(name) };
  }

  private endSession(reason: DownReason): void {
    this.keep();
    const { session } = this;
    this.session = undefined;
    if (this.isEmpty) this.around.onEmpty(this);
    if (session !== undefined) this.around.emit([this.downOf(session, reason)]);
  }

  private downOf({ info, link }: Session, reason: DownReason): PeerEvent {
    return { type: 'down', peer: info, reason, remains: link.finish() };
  }
}
