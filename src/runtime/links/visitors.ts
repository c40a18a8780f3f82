// Who may come in: connections that have proved nothing yet are few, short and soon forgotten.
//
// When there are too many, the oldest gives way: an honest one needs milliseconds for its greeting, and who only holds a place
// holds it longest. An address that has proved wrongly too often is not listened to until its allowance has grown again.

import {
  failedProofAddressesMax,
  failedProofsMax,
  failedProofsPerSecond,
  unprovenMax,
  unprovenPerAddressMax,
} from '../../limits.ts';
import type { Clock } from '../world.ts';
import { hostOfRemote } from './address.ts';
import { Allowance } from './allowance.ts';
import type { Greeter } from './greeter.ts';

const perAddress = { atOnce: failedProofsMax, perSecond: failedProofsPerSecond, keysMax: failedProofAddressesMax };

export class Visitors {
  private readonly clock: Pick<Clock, 'mono'>;
  /** In the greeting, oldest first, with the address they come from. */
  private readonly unproven = new Map<Greeter, string>();
  private readonly failedProofs = new Allowance(perAddress);
  private readonly lines = new Allowance(perAddress);
  private turnedAway = 0;

  constructor(clock: Pick<Clock, 'mono'>) {
    this.clock = clock;
  }

  /** False: close it. */
  admits(remote: string): boolean {
    if (this.failedProofs.left(hostOfRemote(remote), this.clock.mono()) >= 1) return true;
    this.turnedAway++;
    return false;
  }

  add(greeter: Greeter): void {
    const host = hostOfRemote(greeter.remote);
    const sameHost = [...this.unproven].filter(([, other]) => other === host);
    if (sameHost.length >= unprovenPerAddressMax) this.giveWay(sameHost[0]?.[0]);
    else if (this.unproven.size >= unprovenMax) this.giveWay(this.unproven.keys().next().value);
    this.unproven.set(greeter, host);
  }

  /** It has proved itself, or has ended. */
  remove(greeter: Greeter): void {
    this.unproven.delete(greeter);
  }

  onWrongProof(remote: string): void {
    this.failedProofs.take(hostOfRemote(remote), this.clock.mono());
  }

  /** Whether one more line about this address may be written to the log: strangers shall not fill it. */
  mayLog(remote: string): boolean {
    return this.lines.take(hostOfRemote(remote), this.clock.mono());
  }

  all(): Greeter[] {
    return [...this.unproven.keys()];
  }

  describe(): { unproven: number; turnedAway: number } {
    return { unproven: this.unproven.size, turnedAway: this.turnedAway };
  }

  private giveWay(greeter: Greeter | undefined): void {
    if (greeter === undefined) return;
    this.unproven.delete(greeter);
    this.turnedAway++;
    greeter.drop();
  }
}
