// One connection from its first byte: carries the messages of the handshake, tells its owner what they came to, and then whose
// connection it is until it ends.
//
// Invariant: its owner hears either onFailed, or onAgreed and, once it has joined a link, onLost; each once.

import type { Clock } from '../world.ts';
import type { Reason } from './greeting.ts';
import { type Agreed, Handshake, type HandshakeOptions, type Refused, type Step } from './handshake.ts';
import type { Crc32 } from './packet.ts';
import { type DriverEnd, PeerDriver } from './peer-driver.ts';
import type { PeerLink } from './peer-link.ts';
import type { Wire } from './wire.ts';

/** Why there is no link: a refusal, or the end of the connection before there was one. */
export type Failure = Refused | { readonly type: 'ended'; readonly why: DriverEnd; readonly error: Error | undefined };

export interface GreeterOptions {
  readonly wire: Wire;
  readonly clock: Pick<Clock, 'mono' | 'timer'>;
  readonly crc32: Crc32;
  readonly handshake: Omit<HandshakeOptions, 'provenNames'>;
  /** The other side has proved itself: join() or refuse(). */
  onAgreed(agreed: Agreed): void;
  onFailed(failure: Failure): void;
  onLost(why: DriverEnd, error: Error | undefined): void;
  onThrown(error: unknown): void;
}

export class Greeter {
  readonly remote: string;
  private readonly options: GreeterOptions;
  private readonly driver: PeerDriver;
  private readonly handshake: Handshake;
  private state: 'greeting' | 'joined' | 'over' = 'greeting';

  constructor(options: GreeterOptions) {
    const { wire, clock, crc32 } = options;
    this.options = options;
    this.remote = wire.remote;
    this.handshake = new Handshake({ ...options.handshake, provenNames: wire.provenNames });
    this.driver = new PeerDriver({
      wire,
      clock,
      crc32,
      onGreeting: body => this.apply(this.handshake.onPacket(body)),
      onEnd: (why, error) => this.onEnd(why, error),
      onThrown: error => options.onThrown(error),
    });
    if (options.handshake.role === 'dialer') this.apply(this.handshake.begin());
  }

  /** The name that the other side gives itself, proved or not. */
  get claims(): string | undefined {
    return this.handshake.claims;
  }

  /** Bytes that have not left. */
  get buffered(): number {
    return this.driver.wire.buffered();
  }

  /** After onAgreed. False, and nothing has changed: the link cannot go on from where the other end is. */
  join(link: PeerLink, { progress }: Agreed): boolean {
    const own = link.progress();
    if (!this.driver.join(link, progress)) return false;
    this.state = 'joined';
    if (this.options.handshake.role === 'acceptor') this.apply(this.handshake.accept(own));
    return true;
  }

  refuse(reason: Reason): void {
    if (this.state === 'greeting') this.apply(this.handshake.refuse(reason));
  }

  /** The session ends with the connection. */
  goodbye(): void {
    this.state = 'over';
    this.driver.goodbye();
  }

  /** Without a word to anybody, its owner included. */
  drop(): void {
    this.state = 'over';
    this.driver.close(true);
  }

  private apply(step: Step): void {
    if (step.type !== 'asks' && step.body !== undefined) this.driver.greet(step.body);
    if (step.type === 'asks') this.options.onAgreed(step.agreed);
    else if (step.type === 'done' && this.state === 'greeting') this.options.onAgreed(step.agreed);
    else if (step.type === 'refused') {
      this.state = 'over';
      this.driver.close();
      this.options.onFailed(step);
    }
  }

  private onEnd(why: DriverEnd, error: Error | undefined): void {
    const { state } = this;
    this.state = 'over';
    if (state === 'greeting') this.options.onFailed({ type: 'ended', why, error });
    else if (state === 'joined') this.options.onLost(why, error);
  }
}
