// What this thread's actors may send to one that is on the move: as much as its mailbox holds, until it has arrived.
//
//     in motion    tell ──room──▶ the route (relocation-route.ts)
//                       └─none──▶ 'reject': OVERLOADED        'wait': kept here ──the move is over──▶ sent the way that is right by then
//
// Intuition: its mailbox may be packed, on its way or over there already, and nobody can say 'pause' for it; a sender that does not
// stop for breath would pile up without bound what the move has to carry. So the sender's own thread counts.
//
// Invariant: behind one that is kept none is let through before the move is over.

import { TroupeError } from '../errors.ts';
import { waitersPerMailboxMax } from '../limits.ts';
import type { Outgoing } from './far-peer.ts';
import { type BaseRef, TYPE } from './refs.ts';
import type { Unit } from './relocation-messages.ts';

interface Crowd {
  count: number;
  bytes: number;
  readonly waiting: Outgoing[];
}

export class MovingCrowds {
  readonly #crowds = new Map<Unit, Crowd>();

  /** Is there room for one more of so many bytes? Then it is counted. */
  admits(ref: BaseRef, unit: Unit, size: number): boolean {
    const { capacity, bytes } = ref[TYPE].spec;
    let crowd = this.#crowds.get(unit);
    if (crowd === undefined) {
      crowd = { count: 0, bytes: 0, waiting: [] };
      this.#crowds.set(unit, crowd);
    }
    const hasRoom = crowd.count < capacity && (crowd.count === 0 || crowd.bytes + size <= bytes);
    if (!hasRoom || crowd.waiting.length > 0) return false;
    crowd.count++;
    crowd.bytes += size;
    return true;
  }

  isWaiting(unit: Unit): boolean {
    return (this.#crowds.get(unit)?.waiting.length ?? 0) > 0;
  }

  /** What there is no room for. False: it cannot wait either. */
  keep(ref: BaseRef, unit: Unit, message: Outgoing): boolean {
    const waiting = this.#crowds.get(unit)?.waiting;
    if (ref[TYPE].spec.overflow !== 'wait' || waiting === undefined || waiting.length >= waitersPerMailboxMax)
      return false;
    waiting.push(message);
    return true;
  }

  /** The move is over, as far as this thread knows. */
  over(unit: Unit): readonly Outgoing[] {
    const waiting = this.#crowds.get(unit)?.waiting ?? [];
    this.#crowds.delete(unit);
    return waiting;
  }

  /** Those that wait in front of such a unit; they wait no more. */
  takeOf(which: (unit: Unit) => boolean): Outgoing[] {
    return [...this.#crowds].flatMap(([unit, { waiting }]) => (which(unit) ? waiting.splice(0) : []));
  }

  /** Nobody will say how their moves end. */
  stop(error: TroupeError): void {
    for (const { waiting } of this.#crowds.values()) for (const message of waiting.splice(0)) message.fail(error);
  }
}

export function crowdedOut(unit: Unit): TroupeError {
  return new TroupeError(
    'OVERLOADED',
    `${unit} is on the move, and this thread has sent it as much meanwhile as its mailbox holds; the message was not sent`,
  );
}
