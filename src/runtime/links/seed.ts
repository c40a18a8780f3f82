// An address without a name: dialled until we know who is there. Whoever answers and is known already is not greeted twice, and an
// address of our own is no seed.

import { Dialler, type DiallerOptions } from './dialler.ts';
import type { Failure, Greeter } from './greeter.ts';
import type { Agreed } from './handshake.ts';
import type { DialFailure, Greets } from './peer.ts';
import { isHopeless } from './refusals.ts';
import type { Wire } from './wire.ts';

export interface SeedOptions {
  readonly dialling: Pick<DiallerOptions, 'clock' | 'random' | 'transport'>;
  greet(wire: Wire, greets: Greets): Greeter;
  onAgreed(greeter: Greeter, agreed: Agreed): void;
  /** A peer with a session already. */
  onKnown(name: string): void;
  onSelf(): void;
  report(failure: DialFailure): void;
}

export class Seed {
  readonly address: string;
  /** The trouble that was told last. */
  told = '';
  private readonly options: SeedOptions;
  private readonly dialler: Dialler;
  private greeting: Greeter | undefined;

  constructor(address: string, options: SeedOptions) {
    this.address = address;
    this.options = options;
    this.dialler = new Dialler({
      ...options.dialling,
      address: () => address,
      onWire: wire => {
        this.greeting = options.greet(wire, this.greets());
      },
      onFailed: error => options.report({ type: 'unreachable', error }),
    });
  }

  /** Whoever it has just met there, by the name that they give themselves. */
  get meets(): string | undefined {
    return this.greeting?.claims;
  }

  dial(): void {
    this.dialler.start();
  }

  /** A connection that a peer has taken is that peer's. */
  end(): void {
    this.dialler.rest();
    this.greeting?.drop();
    this.greeting = undefined;
  }

  private greets(): Greets {
    const { onAgreed } = this.options;
    return {
      onAgreed: (greeter, agreed) => {
        this.greeting = undefined;
        onAgreed(greeter, agreed);
      },
      onFailed: (_greeter, failure) => this.onFailed(failure),
    };
  }

  private onFailed(failure: Failure): void {
    this.greeting = undefined;
    if (failure.type === 'refused') {
      const { reason, by, peer } = failure;
      if (reason === 'duplicate' && by === 'us' && peer !== undefined) return this.options.onKnown(peer.name);
      if (reason === 'self') return this.options.onSelf();
    }
    this.options.report(failure);
    this.dialler.again(failure.type === 'refused' && isHopeless(failure.reason) ? 'hopeless' : 'bad');
  }
}
