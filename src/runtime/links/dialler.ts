// Dials one address until it is told to rest, with a wait before each try that is chance times an ever longer time (full jitter), so
// that many nodes that have lost the same peer do not come back to it together.
//
//     resting ──start()──▶ waiting ──▶ dialling ──▶ busy: its owner has the wire ──again()──▶ waiting
//        ▲                    ▲            └─ fails ──┘                                │
//        └────────────────────┴─── rest(), from anywhere ──────────────────────────────┘
//
// Invariant: one dial at a time; a wire that comes after rest() is closed unseen.

import { dialMs, dialWaitMsMax, dialWaitMsMin } from '../../limits.ts';
import type { Cancel, Clock, Random } from '../world.ts';
import type { Wire, WireTransport } from './wire.ts';

export interface DiallerOptions {
  readonly clock: Pick<Clock, 'timer'>;
  readonly random: Pick<Random, 'float'>;
  readonly transport: Pick<WireTransport, 'dial'>;
  /** Asked anew for each dial. */
  address(): string;
  onWire(wire: Wire): void;
  onFailed(error: unknown): void;
}

/** What the last try came to: 'good' lasted, 'bad' may be better soon, 'hopeless' is so until a person does something. */
export type Tried = 'good' | 'bad' | 'hopeless';

/** As many as make the wait the longest. */
const hopelessTries = 32;

export class Dialler {
  state: 'resting' | 'waiting' | 'dialling' | 'busy' = 'resting';
  /** Bad ones in a row. */
  tries = 0;
  private readonly options: DiallerOptions;
  private generation = 0;
  private cancel: Cancel = () => {};

  constructor(options: DiallerOptions) {
    this.options = options;
  }

  /** At once, unless it is at it already. */
  start(): void {
    if (this.state !== 'resting') return;
    this.tries = 0;
    this.becomeWaiting(0);
  }

  /** Its owner has done with the wire. */
  again(tried: Tried): void {
    this.tries = tried === 'good' ? 0 : tried === 'bad' ? this.tries + 1 : hopelessTries;
    this.becomeWaiting(this.options.random.float() * Math.min(dialWaitMsMax, dialWaitMsMin * 2 ** this.tries));
  }

  rest(): void {
    this.state = 'resting';
    this.generation++;
    this.cancel();
  }

  private becomeWaiting(ms: number): void {
    this.rest();
    this.state = 'waiting';
    this.cancel = this.options.clock.timer(ms, () => this.becomeDialling());
  }

  private becomeDialling(): void {
    this.state = 'dialling';
    const generation = ++this.generation;
    this.options.transport.dial(this.options.address(), { timeoutMs: dialMs }).then(
      wire => {
        if (generation !== this.generation) return wire.close(true);
        this.state = 'busy';
        this.options.onWire(wire);
      },
      error => {
        if (generation !== this.generation) return;
        this.options.onFailed(error);
        if (generation === this.generation) this.again('bad');
      },
    );
  }
}
